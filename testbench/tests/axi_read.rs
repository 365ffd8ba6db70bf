//! `axi_read` before a memory: super-words of all ports joined, dest and order of the segments, rates, stop, first error.

use tritforge_sim::{
    block::axi_read::{AxiRead, In, Out},
    memory::{MemConfig, Timing},
};
use tritforge_spec::{
    bits::Bits,
    block::{Contract, axi_read::Params},
    stall::hash,
};
use tritforge_testbench::{
    axi::{Behind, bases, memories, word_at},
    harness::{Bench, Case, Design, Environment, Lockstep, Stall, four_state},
};

/// off, beats, dest.
type Seg = (u32, u32, u8);
/// dest, data.
type Word = (u8, Bits);

const BEATS: u64 = 512;

/// `dests` first .. last + 1 for the segments of one stream.
fn segments(p: &Params, n: u64, seed: u64, dests: std::ops::Range<u64>) -> Vec<Seg> {
    let longest = (2 * p.port.burst as u64 + 3).min(150);
    let one = |i| {
        let beats = hash(seed, 2, i) % longest;
        let dest = dests.start + hash(seed, 3, i) % (dests.end - dests.start);
        ((hash(seed, 1, i) % (BEATS - beats)) as u32, beats as u32, dest as u8)
    };
    (0..n).map(one).collect()
}

/// The super-words of `segs`: beat `off` of every port side by side.
fn expected(p: &Params, base: &[u64], segs: &[Seg]) -> Vec<Word> {
    let bytes = p.port.port_bits / 8;
    let word = |off: u32, dest: u8| {
        let mut all = Bits::zeros(p.word_bits());
        for (i, b) in base.iter().enumerate() {
            all.put(i * p.port.port_bits, &word_at(b + off as u64 * bytes as u64, bytes));
        }
        (dest, all)
    };
    segs.iter().flat_map(|&(off, n, dest)| (off..off + n).map(move |o| word(o, dest))).collect()
}

fn bench<'a>(rtl: &'a Lockstep<AxiRead>, case: &Case, segs: &'a [Vec<Seg>; 3]) -> Bench<'a, AxiRead> {
    rtl.bench(case)
        .input("wseg", &segs[0], |i, s| (i.wseg_off, i.wseg_beats, i.wseg_dest) = *s)
        .input("dseg", &segs[1], |i, s| (i.dseg_off, i.dseg_beats, i.dseg_dest) = *s)
        .input("kseg", &segs[2], |i, s| (i.kseg_off, i.kseg_beats, i.kseg_dest) = *s)
        .drain(400)
}

/// Segments of the three streams; d goes to dest 0 and 1, k to 2.
fn three(p: &Params, seed: u64) -> [Vec<Seg>; 3] {
    [segments(p, 20, seed, 0..4), segments(p, 12, seed ^ 1, 0..2), segments(p, 12, seed ^ 2, 2..3)]
}

fn check(p: &Params, base: &[u64], segs: &[Vec<Seg>; 3], run: &tritforge_testbench::harness::Run<Out>, what: &str) {
    let w = run.values("w", |o| (o.w_dest, o.w_data.clone()));
    assert!(w == expected(p, base, &segs[0]), "w: {what}");
    // The order of d and k depends on time; each is complete, in order, and no segment is interleaved.
    let a = run.values("a", |o| (o.a_dest, o.a_data.clone()));
    let (mut d, mut k) = (expected(p, base, &segs[1]).into_iter(), expected(p, base, &segs[2]).into_iter());
    let (mut d_left, mut k_left) = (0, 0);
    let next = |segs: &mut std::vec::IntoIter<u32>| segs.by_ref().find(|&n| n > 0).unwrap_or(0);
    let lengths = |s: &[Seg]| s.iter().map(|s| s.1).collect::<Vec<_>>().into_iter();
    let (mut d_segs, mut k_segs) = (lengths(&segs[1]), lengths(&segs[2]));
    for (i, word) in a.iter().enumerate() {
        let of_k = word.0 == 2;
        let (words, left, segs, other) =
            if of_k { (&mut k, &mut k_left, &mut k_segs, d_left) } else { (&mut d, &mut d_left, &mut d_segs, k_left) };
        assert_eq!(other, 0, "a word {i} interrupts a segment: {what}");
        if *left == 0 {
            *left = next(segs);
        }
        *left -= 1;
        assert!(words.next().as_ref() == Some(word), "a word {i}: {what}");
    }
    assert!(d.next().is_none() && k.next().is_none(), "a is not complete: {what}");
}

#[test]
fn super_words_of_all_segments_arrive_in_order_from_every_memory_under_every_stall() {
    for params in Params::examples() {
        let Some(rtl) = Lockstep::<AxiRead>::new(&params) else { return };
        let base = bases(params.ports, params.port.port_bits);
        let bytes = BEATS as usize * params.port.port_bits / 8;
        for (i, case) in Case::all().into_iter().enumerate() {
            let segs = three(&params, case.seed);
            let config = memories(params.ports, params.port.port_bits, case.seed).remove((i / 2 + i) % 4);
            let behind = Behind::new(config, base.clone(), bytes);
            let run = bench(&rtl, &case, &segs).environment(behind.clone()).run();
            check(&params, &base, &segs, &run, &format!("{params:?} {case}"));
            behind.assert_rules_held();
        }
    }
}

#[test]
fn after_stop_and_idle_it_can_be_reset_while_the_memory_runs_on() {
    for params in Params::examples() {
        let Some(rtl) = Lockstep::<AxiRead>::new(&params) else { return };
        let base = bases(params.ports, params.port.port_bits);
        for seed in 0..8 {
            let case = Case { stall: Stall::ALL[seed as usize % 4], seed: hash(Case::seed(1), 5, seed), ..Case::plain() };
            let segs = three(&params, case.seed);
            let config = memories(params.ports, params.port.port_bits, case.seed).remove(seed as usize % 4);
            let stop_at = 10 + hash(case.seed, 6, 0) % 300;
            let behind = Behind::new(config, base.clone(), BEATS as usize * params.port.port_bits / 8).stop_at(stop_at);
            let run = bench(&rtl, &case, &segs).environment(behind.clone()).run();
            assert_eq!(*behind.lost.borrow(), Some(false), "{params:?} {case}: transactions under way at idle");
            check(&params, &base, &segs, &run, &format!("{params:?} {case}"));
            behind.assert_rules_held();
        }
    }
}

fn kv260_like() -> Params {
    Params::examples().swap_remove(0)
}

#[test]
fn a_super_word_leaves_every_cycle_across_segments_of_a_layer_once_the_latency_is_covered() {
    let params = kv260_like();
    let Some(rtl) = Lockstep::<AxiRead>::new(&params) else { return };
    let latency = 60;
    let timing = Timing::Fixed { latency, beats: 1, cycles: 1, outstanding: 64 };
    let base = vec![0, 1 << 32];
    let behind = Behind::new(MemConfig { timing, ..MemConfig::ideal(2, 128) }, base.clone(), 2048 * 16);
    // const, gain1, qkv rows, gain2, o rows.
    let segs = [vec![(0, 2, 0), (2, 80, 1), (82, 600, 2), (682, 80, 1), (762, 400, 2)], vec![], vec![]];
    let run = bench(&rtl, &Case::plain(), &segs).environment(behind.clone()).run();
    assert!(run.values("w", |o| (o.w_dest, o.w_data.clone())) == expected(&params, &base, &segs[0]));
    // Skid 1, burst generator 3, AR 1, memory 60, R register 1, FIFO 2 (block RAM).
    let first = params.request_latency() + latency + params.port.data_latency(256);
    assert_eq!(first, 1 + 3 + 1 + 60 + 1 + 2);
    // The first burst (const) has 2 beats, the second 14 (to the end of its block of 16): both shorter than the 16 that the
    // bus could carry, but bursts are issued a cycle apart, so no cycle is lost between them.
    assert_eq!(run.cycles_out("w"), (first..first + 1162).collect::<Vec<_>>());
}

#[test]
fn control_goes_before_kv_and_both_before_weights() {
    let params = kv260_like();
    let Some(rtl) = Lockstep::<AxiRead>::new(&params) else { return };
    let mut behind = Behind::new(MemConfig::ideal(2, 128), vec![0, 1 << 32], 2048 * 16);
    let segs = [vec![(0, 64, 2)], vec![(128, 16, 0)], vec![(256, 16, 2)]];
    let mut addresses = Vec::new();
    let run = bench(&rtl, &Case::plain(), &segs)
        .environment(|cycle: u64, out: &Out, input: &mut In| {
            Environment::<AxiRead>::drive(&mut behind, cycle, out, input);
            if out.m_arvalid & input.m_arready & 1 != 0 {
                addresses.push(out.m_araddr.get(0, 64) / 16);
            }
        })
        .run();
    // All three segments come in cycle 0; k is handed to the ports a cycle after d, and its burst follows a cycle after d's.
    assert_eq!(addresses, [128, 256, 0, 16, 32, 48]);
    assert_eq!(run.values("a", |o| o.a_dest), [[0; 16], [2; 16]].concat());
}

#[test]
fn the_first_failed_beat_is_kept_with_its_port_and_address() {
    let params = kv260_like();
    let Some(rtl) = Lockstep::<AxiRead>::new(&params) else { return };
    let base = vec![0, 1 << 32];
    let mut config = MemConfig::ideal(2, 128);
    config.errors = vec![(1 << 32) + 16 * 40..(1 << 32) + 16 * 41, 16 * 50..16 * 90];
    let behind = Behind::new(config, base.clone(), 2048 * 16);
    let segs = [vec![(0, 100, 2)], vec![], vec![]];
    let mut last = (false, 0, 0);
    let mut drive = behind.clone();
    let run = bench(&rtl, &Case::plain(), &segs)
        .environment(|cycle: u64, out: &Out, input: &mut In| {
            Environment::<AxiRead>::drive(&mut drive, cycle, out, input);
            last = (out.err, out.err_port, out.err_addr);
        })
        .run();
    assert_eq!(last, (true, 1, (1 << 32) + 16 * 40));
    let words = run.values("w", |o| o.w_data.clone());
    let good = expected(&params, &base, &segs[0]);
    assert_eq!(words.len(), 100);
    for (i, (word, (_, good))) in words.iter().zip(&good).enumerate() {
        let port0 = if (50..90).contains(&i) { Bits::zeros(128) } else { good.slice(0, 128) };
        let port1 = if i == 40 { Bits::zeros(128) } else { good.slice(128, 128) };
        assert_eq!((word.slice(0, 128), word.slice(128, 128)), (port0, port1), "word {i}");
    }
}

#[test]
fn nothing_undefined_leaves_it_in_four_state_simulation() {
    let design = Design::of(&Params::examples()[0]).unwrap();
    // Distributed and block RAM.
    for depth in [8, 70] {
        let Some(said) = four_state(&design, "axi_read_x", &[("DEPTH", depth)]).unwrap() else { return };
        assert_eq!(said, "PASS 21 9", "DEPTH {depth}");
    }
}
