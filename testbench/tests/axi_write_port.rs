//! `axi_write_port` before a memory: every byte with its strobe, AXI rules, rates of short bursts, stop, failed bursts.

use tritforge_sim::{
    block::axi_write_port::{AxiWritePort, In, Out},
    memory::{MemConfig, Timing},
};
use tritforge_spec::{
    bits::{Bits, mask},
    block::{Contract, axi_write_port::Params},
    stall::hash,
};
use tritforge_testbench::{
    axi::{Behind, bases, byte_at, memories},
    harness::{Bench, Case, Environment, Lockstep, Stall},
};

type Seg = (u32, u32);
type Beat = (Bits, u64);

const BEATS: u64 = 512;

/// Segments, and the beats of all of them; strobes all, some or none.
fn writes(p: &Params, n: u64, seed: u64) -> (Vec<Seg>, Vec<Beat>) {
    let longest = (2 * p.burst as u64 + 3).min(150);
    let one = |i| {
        let beats = hash(seed, 2, i) % longest;
        ((hash(seed, 1, i) % (BEATS - beats)) as u32, beats as u32)
    };
    let segs: Vec<Seg> = (0..n).map(one).collect();
    let total: u64 = segs.iter().map(|s| s.1 as u64).sum();
    let beat = |i| {
        let words: Vec<u64> = (0..8).map(|w| hash(seed, 10 + w, i)).collect();
        let strb = if hash(seed, 4, i).is_multiple_of(2) { u64::MAX } else { hash(seed, 5, i) };
        (Bits::from_words(p.port_bits, &words), strb & mask(p.port_bits / 8))
    };
    (segs, (0..total).map(beat).collect())
}

/// The bytes from `base` on after all writes in order.
fn expected(p: &Params, base: u64, segs: &[Seg], beats: &[Beat]) -> Vec<u8> {
    let bytes = p.port_bits / 8;
    let mut all: Vec<u8> = (0..BEATS * bytes as u64).map(|i| byte_at(base + i)).collect();
    let mut beats = beats.iter();
    for &(off, n) in segs {
        for beat in off as usize..off as usize + n as usize {
            let (data, strb) = beats.next().unwrap();
            for byte in (0..bytes).filter(|b| strb >> b & 1 != 0) {
                all[beat * bytes + byte] = data.get(8 * byte, 8) as u8;
            }
        }
    }
    all
}

fn bench<'a>(rtl: &'a Lockstep<AxiWritePort>, case: &Case, segs: &'a [Seg], beats: &'a [Beat]) -> Bench<'a, AxiWritePort> {
    rtl.bench(case)
        .input("seg", segs, |i, s| (i.seg_off, i.seg_beats) = *s)
        .input("d", beats, |i, b| (i.d_data, i.d_strb) = b.clone())
        .drain(2500)
}

fn assert_written(p: &Params, behind: &Behind, base: u64, segs: &[Seg], beats: &[Beat], what: &str) {
    let good = expected(p, base, segs, beats);
    let mut found = vec![0; good.len()];
    behind.memory.borrow().storage().read(base, &mut found);
    let first = (0..good.len()).find(|&i| good[i] != found[i]);
    assert_eq!(first, None, "first byte that differs: {what}");
    behind.assert_rules_held();
    assert!(behind.memory.borrow().idle(), "{what}");
}

#[test]
fn every_byte_is_written_in_order_to_every_memory_under_every_stall() {
    for params in Params::examples() {
        let Some(rtl) = Lockstep::<AxiWritePort>::new(&params) else { return };
        let base = bases(1, params.port_bits)[0];
        for case in Case::all() {
            let (segs, beats) = writes(&params, 30, case.seed);
            for (i, config) in memories(1, params.port_bits, case.seed).into_iter().enumerate() {
                let behind = Behind::new(config, vec![base], BEATS as usize * params.port_bits / 8);
                bench(&rtl, &case, &segs, &beats).environment(behind.clone()).run();
                assert_written(&params, &behind, base, &segs, &beats, &format!("{params:?}, memory {i}, {case}"));
            }
        }
    }
}

/// Cycles in which W beats passed.
fn w_cycles(params: &Params, config: MemConfig, segs: &[Seg], beats: &[Beat]) -> Option<Vec<u64>> {
    let rtl = Lockstep::<AxiWritePort>::new(params)?;
    let mut behind = Behind::new(config, vec![0], 2048 * 16);
    let mut cycles = Vec::new();
    bench(&rtl, &Case::plain(), segs, beats)
        .environment(|cycle: u64, out: &Out, input: &mut In| {
            Environment::<AxiWritePort>::drive(&mut behind, cycle, out, input);
            if out.m_wvalid && input.m_wready {
                cycles.push(cycle);
            }
        })
        .run();
    behind.assert_rules_held();
    Some(cycles)
}

#[test]
fn a_beat_is_written_every_cycle_in_long_and_in_short_bursts() {
    let params = Params::examples().swap_remove(0);
    let timing = Timing::Fixed { latency: 25, beats: 1, cycles: 1, outstanding: 64 };
    let config = || MemConfig { timing, ..MemConfig::ideal(1, 128) };
    let beats: Vec<Beat> = (0..512).map(|i| (Bits::from_u64(128, i), 0xffff)).collect();
    // One segment of 512: the first burst is announced when its 16 beats are in: taken in 0..=15, counted in 16, AW register
    // and WVALID in 17; this memory takes W only after it took AW: one more. Then a beat a cycle.
    let Some(cycles) = w_cycles(&params, config(), &[(0, 512)], &beats) else { return };
    assert_eq!(15 + Params::ANNOUNCE_LATENCY + 1, 18);
    assert_eq!(cycles, (18..530).collect::<Vec<_>>());
    // 512 segments of one beat, as KV scales are: segment taken in 0, burst generator 3, AW register 1, this memory 1. Then a burst a
    // cycle: 25 cycles to the response, 1 to register it, 1 for the AW: below the 32 that may be in flight.
    let singles: Vec<Seg> = (0..512).map(|i| (i, 1)).collect();
    let Some(cycles) = w_cycles(&params, config(), &singles, &beats) else { return };
    assert_eq!(params.request_latency() + 1, 5);
    assert_eq!(cycles, (5..517).collect::<Vec<_>>());
}

#[test]
fn a_burst_is_announced_only_when_its_data_are_here_so_stop_never_leaves_one_open() {
    let params = Params::examples().swap_remove(0);
    let Some(rtl) = Lockstep::<AxiWritePort>::new(&params) else { return };
    let mut behind = Behind::new(MemConfig::ideal(1, 128), vec![0], 2048 * 16);
    // 40 beats are promised, 39 come.
    let beats: Vec<Beat> = (0..39).map(|i| (Bits::from_u64(128, i), 0xffff)).collect();
    let (mut announced, mut sent) = (0, 0);
    bench(&rtl, &Case::plain(), &[(0, 40)], &beats)
        .environment(|cycle: u64, out: &Out, input: &mut In| {
            Environment::<AxiWritePort>::drive(&mut behind, cycle, out, input);
            announced += if out.m_awvalid && input.m_awready { out.m_awlen as u32 + 1 } else { 0 };
            sent += (out.m_wvalid && input.m_wready) as u32;
            assert!(cycle < 90 || out.quiet);
        })
        .until(|cycle, _| cycle == 100)
        .run();
    assert_eq!((announced, sent), (32, 32));
}

#[test]
fn after_stop_and_quiet_the_port_can_be_reset_while_the_memory_runs_on() {
    for params in Params::examples() {
        let Some(rtl) = Lockstep::<AxiWritePort>::new(&params) else { return };
        for seed in 0..12 {
            let case = Case { stall: Stall::ALL[seed as usize % 4], seed: hash(Case::seed(1), 5, seed), ..Case::plain() };
            let (segs, beats) = writes(&params, 30, case.seed);
            let config = memories(1, params.port_bits, case.seed).remove(seed as usize % 4);
            let stop_at = 10 + hash(case.seed, 6, 0) % 200;
            let behind = Behind::new(config, vec![4096], BEATS as usize * params.port_bits / 8).stop_at(stop_at);
            bench(&rtl, &case, &segs, &beats).environment(behind.clone()).run();
            // The block starts all over after the reset, so the bytes are those of a run without one.
            assert_eq!(*behind.lost.borrow(), Some(false), "{params:?} {case}: transactions under way at quiet");
            assert_written(&params, &behind, 4096, &segs, &beats, &format!("{params:?} {case}"));
        }
    }
}

#[test]
fn a_burst_answered_with_an_error_is_reported_with_its_address() {
    let params = Params::examples().swap_remove(0);
    let Some(rtl) = Lockstep::<AxiWritePort>::new(&params) else { return };
    let mut config = MemConfig::ideal(1, 128);
    config.errors = vec![16 * 20..16 * 21, 16 * 47..16 * 48];
    let mut behind = Behind::new(config, vec![0], 2048 * 16);
    let beats: Vec<Beat> = (0..64).map(|i| (Bits::from_u64(128, i), 0xffff)).collect();
    let mut bad = Vec::new();
    bench(&rtl, &Case::plain(), &[(0, 64)], &beats)
        .environment(|cycle: u64, out: &Out, input: &mut In| {
            Environment::<AxiWritePort>::drive(&mut behind, cycle, out, input);
            if out.bad {
                assert!(!out.quiet);
                bad.push(out.bad_addr);
            }
        })
        .run();
    assert_eq!(bad, [16 * 16, 16 * 32]);
}
