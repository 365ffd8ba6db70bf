//! `axi_burst`: the bursts of a segment cover it exactly, none crosses 4 KiB, and one leaves every cycle.

use tritforge_sim::block::axi_burst::AxiBurst;
use tritforge_spec::{
    block::{
        Contract,
        axi_burst::{LATENCY, Params},
    },
    stall::hash,
};
use tritforge_testbench::harness::{Case, Lockstep};

/// Segments of 0 to a few bursts, with corners; and a base that makes no burst start aligned by itself.
fn segments(p: &Params, n: u64, seed: u64) -> (Vec<(u32, u32)>, u64) {
    let longest = 3 * p.burst as u64 + 2;
    let one = |i| (hash(seed, 1, i) as u32, (hash(seed, 2, i) % longest) as u32);
    let mut all: Vec<_> = (0..n).map(one).collect();
    all.extend([(u32::MAX, 1), (0, 0), (u32::MAX, p.burst as u32), (0, p.burst as u32)]);
    (all, hash(seed, 3, 0) & !(p.port_bits as u64 / 8 - 1))
}

/// Bursts of a segment by plain loops: one beat at a time, a burst ends where an address block of `burst` beats ends.
fn expected(p: &Params, base: u64, seg: (u32, u32)) -> Vec<(u64, u8)> {
    let bytes = p.port_bits as u64 / 8;
    let mut bursts: Vec<(u64, u64)> = Vec::new();
    for beat in 0..seg.1 as u64 {
        let addr = base.wrapping_add((seg.0 as u64 + beat) * bytes);
        match bursts.last_mut() {
            Some(last) if !addr.is_multiple_of(p.burst as u64 * bytes) => last.1 += 1,
            _ => bursts.push((addr, 1)),
        }
    }
    bursts.into_iter().map(|(addr, beats)| (addr, (beats - 1) as u8)).collect()
}

#[test]
fn bursts_cover_every_segment_in_order_under_every_stall() {
    for params in Params::examples() {
        let Some(rtl) = Lockstep::<AxiBurst>::new(&params) else { return };
        for case in Case::all() {
            let (segs, base) = segments(&params, 200, case.seed);
            let run = rtl
                .bench(&case)
                .input("seg", &segs, |i, s| (i.seg_off, i.seg_beats) = *s)
                .environment(|_: u64, _: &_, i: &mut tritforge_sim::block::axi_burst::In| i.base = base)
                .run();
            let found = run.values("burst", |o| (o.burst_addr, o.burst_len));
            let all: Vec<_> = segs.iter().flat_map(|&s| expected(&params, base, s)).collect();
            assert_eq!(found, all, "{params:?} {case}");
            let bytes = params.port_bits as u64 / 8;
            for (addr, len) in found {
                assert!(addr % 4096 + (len as u64 + 1) * bytes <= 4096, "{addr:#x} {len} crosses 4 KiB");
                assert!((len as usize) < params.burst);
            }
        }
    }
}

#[test]
fn one_burst_a_cycle_after_three_cycles_across_segments() {
    let params = Params { port_bits: 128, burst: 16 };
    let Some(rtl) = Lockstep::<AxiBurst>::new(&params) else { return };
    // 1 burst, 3 bursts (aligned), 2 bursts (8 beats to the boundary, then 8), none, 1 burst.
    let segs = [(0, 1), (16, 48), (72, 16), (0, 0), (96, 16)];
    let run = rtl.bench(&Case::plain()).input("seg", &segs, |i, s| (i.seg_off, i.seg_beats) = *s).run();
    // Skid 1, address 1, burst register 1; then a burst a cycle; the empty segment costs one cycle.
    assert_eq!(LATENCY, 3);
    assert_eq!(run.cycles_out("burst"), [3, 4, 5, 6, 7, 8, 10]);
    assert_eq!(run.values("burst", |o| o.burst_len), [0, 15, 15, 15, 7, 7, 15]);
}
