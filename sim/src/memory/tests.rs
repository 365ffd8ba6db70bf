//! Cycles, bytes and recorded rules of the memory, one port unless said.

use super::*;

fn memory(timing: Timing) -> Memory {
    Memory::new(MemConfig { timing, ..MemConfig::ideal(1, 64) }).unwrap()
}

fn fixed(latency: u64, beats: u32, cycles: u32, outstanding: usize) -> Timing {
    Timing::Fixed { latency, beats, cycles, outstanding }
}

/// Asks for `bursts` as fast as AR takes them; the cycles in which AR was taken and in which beats passed.
fn read(m: &mut Memory, bursts: &[Burst], cycles: u64) -> (Vec<u64>, Vec<u64>) {
    let (mut asked, mut got, mut next) = (Vec::new(), Vec::new(), 0);
    for cycle in 0..cycles {
        let out = m.out().ports.remove(0);
        let ar = bursts.get(next).copied();
        if ar.is_some() && out.ar_ready {
            asked.push(cycle);
            next += 1;
        }
        if out.r.is_some() {
            got.push(cycle);
        }
        m.step(&MemIn { ports: vec![PortIn { ar, r_ready: true, ..PortIn::default() }] });
    }
    assert_eq!(m.violations(), []);
    (asked, got)
}

const FOUR: Burst = Burst { addr: 0, len: 3 };

#[test]
fn an_ideal_memory_answers_in_the_next_cycle_a_beat_a_cycle() {
    let (asked, got) = read(&mut memory(Timing::Ideal), &[FOUR; 3], 30);
    assert_eq!(asked, [0, 1, 2]);
    assert_eq!(got, (1..13).collect::<Vec<_>>());
}

#[test]
fn a_fixed_memory_answers_after_its_latency_at_its_rate_and_takes_no_more_than_its_limit() {
    // Latency 10; 3 beats in 4 cycles; 2 in flight: the third burst is taken after the first one's last beat.
    let (asked, got) = read(&mut memory(fixed(10, 3, 4, 2)), &[FOUR; 3], 60);
    // Burst 0 from 10, every fourth cycle left out; burst 1 at once after it (due at 11); burst 2 taken at 15, due at 25.
    assert_eq!(got, [10, 11, 12, 14, 15, 16, 18, 19, 25, 26, 27, 29]);
    assert_eq!(asked, [0, 1, 15]);
}

#[test]
fn bytes_are_little_endian_and_strobes_choose_them_and_the_response_comes_after_the_latency() {
    let mut m = memory(fixed(5, 1, 1, 4));
    m.storage_mut().write(0x1000, &[0x11; 16]);
    let w = |data: u64, strb, last| WriteBeat { data: Bits::from_u64(64, data), strb, last };
    let beats = [w(0x0807_0605_0403_0201, 0x0f, false), w(0xffff_ffff_ffff_fff0, 0x81, true)];
    let (mut sent, mut answered) = (Vec::new(), Vec::new());
    for cycle in 0..20 {
        let out = m.out().ports.remove(0);
        let aw = (cycle == 0).then_some(Burst { addr: 0x1000, len: 1 });
        let beat = beats.get(sent.len()).cloned();
        if out.w_ready && beat.is_some() {
            sent.push(cycle);
        }
        if let Some(resp) = out.b {
            answered.push((cycle, resp));
        }
        m.step(&MemIn { ports: vec![PortIn { aw, w: beat, b_ready: true, ..PortIn::default() }] });
    }
    assert_eq!(sent, [1, 2]);
    assert_eq!(answered, [(7, OKAY)]);
    let mut bytes = [0; 16];
    m.storage().read(0x1000, &mut bytes);
    assert_eq!(bytes, [1, 2, 3, 4, 0x11, 0x11, 0x11, 0x11, 0xf0, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0xff]);
    assert_eq!(m.violations(), []);
    assert!(m.idle());
}

#[test]
fn failing_addresses_answer_an_error_and_keep_their_bytes() {
    let mut config = MemConfig::ideal(1, 64);
    config.errors.push(8..16);
    let mut m = Memory::new(config).unwrap();
    let (mut resps, mut answers) = (Vec::new(), Vec::new());
    for cycle in 0..12 {
        let out = m.out().ports.remove(0);
        resps.extend(out.r.map(|r| r.resp));
        answers.extend(out.b);
        let burst = (cycle == 0).then_some(Burst { addr: 0, len: 2 });
        let w = (1..4).contains(&cycle).then(|| WriteBeat { data: Bits::from_u64(64, u64::MAX), strb: 0xff, last: cycle == 3 });
        m.step(&MemIn { ports: vec![PortIn { ar: burst, r_ready: true, aw: burst, w, b_ready: true }] });
    }
    assert_eq!(resps, [OKAY, SLVERR, OKAY]);
    assert_eq!(answers, [SLVERR]);
    assert_eq!((m.storage().byte(7), m.storage().byte(8), m.storage().byte(16)), (0xff, 0, 0xff));
}

/// The rules that a sequence of inputs breaks.
fn broken(inputs: Vec<PortIn>) -> Vec<(u64, Rule)> {
    let mut m = memory(fixed(3, 1, 1, 1));
    for input in inputs {
        m.step(&MemIn { ports: vec![input] });
    }
    m.violations().iter().map(|v| (v.cycle, v.rule)).collect()
}

#[test]
fn every_broken_rule_is_recorded_in_its_cycle() {
    let ar = |addr, len| PortIn { ar: Some(Burst { addr, len }), r_ready: true, ..PortIn::default() };
    let none = PortIn { r_ready: true, ..PortIn::default() };
    // With one burst in flight the second waits.
    assert_eq!(broken(vec![ar(0, 0), ar(8, 0), none.clone()]), [(2, Rule::ValidDropped)]);
    assert_eq!(broken(vec![ar(0, 0), ar(8, 0), ar(16, 0)]), [(2, Rule::PayloadChanged)]);
    assert_eq!(broken(vec![ar(4096 - 16, 2)]), [(0, Rule::CrossesBoundary)]);
    assert_eq!(broken(vec![ar(4096 - 16, 1)]), []);
    assert_eq!(broken(vec![ar(4, 0)]), [(0, Rule::Unaligned)]);
    let w = |last| Some(WriteBeat { data: Bits::zeros(64), strb: 0, last });
    let aw = PortIn { aw: Some(Burst { addr: 0, len: 1 }), ..PortIn::default() };
    let beat = |last| PortIn { w: w(last), ..PortIn::default() };
    assert_eq!(broken(vec![aw.clone(), beat(true), beat(false)]), [(1, Rule::LastPosition), (2, Rule::LastPosition)]);
    assert_eq!(broken(vec![aw, beat(false), beat(true)]), []);
}

#[test]
fn numbers_out_of_range_are_refused_by_name() {
    let refused = |c: MemConfig| Memory::new(c).unwrap_err().to_string();
    assert_eq!(refused(MemConfig::ideal(0, 64)), "memory ports: expected 1 to 32, found 0");
    assert_eq!(refused(MemConfig::ideal(1, 48)), "memory port bits: expected 32, 64, 128, 256 or 512, found 48");
    let rate = MemConfig { timing: fixed(1, 5, 4, 1), ..MemConfig::ideal(1, 64) };
    assert_eq!(refused(rate), "memory bandwidth: expected more than 0 and at most 1 beat a cycle, found 5 beats in 4 cycles");
}
