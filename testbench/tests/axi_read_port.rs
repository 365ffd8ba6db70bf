//! `axi_read_port` before a memory: data and order of both classes, AXI rules, rates, reservation, stop, failed beats.

use tritforge_sim::{
    block::axi_read_port::{AxiReadPort, In, Out},
    memory::{MemConfig, Timing},
};
use tritforge_spec::{
    bits::Bits,
    block::{Contract, axi_read_port::Params},
    stall::hash,
};
use tritforge_testbench::{
    axi::{Behind, bases, memories, word_at},
    harness::{Bench, Case, Environment, Lockstep, Stall},
};

type Seg = (u32, u32);

/// Beats of the memory that hold something.
const BEATS: u64 = 1024;

fn segments(p: &Params, n: u64, seed: u64) -> Vec<Seg> {
    let longest = (2 * p.burst as u64 + 3).min(150);
    let one = |i| {
        let beats = hash(seed, 2, i) % longest;
        ((hash(seed, 1, i) % (BEATS - beats)) as u32, beats as u32)
    };
    (0..n).map(one).collect()
}

fn expected(segs: &[Seg], base: u64, bytes: usize) -> Vec<Bits> {
    let beats = segs.iter().flat_map(|&(off, n)| off..off + n);
    beats.map(|b| word_at(base + b as u64 * bytes as u64, bytes)).collect()
}

fn bench<'a>(rtl: &'a Lockstep<AxiReadPort>, case: &Case, w: &'a [Seg], x: &'a [Seg]) -> Bench<'a, AxiReadPort> {
    rtl.bench(case)
        .input("wseg", w, |i, s| (i.wseg_off, i.wseg_beats) = *s)
        .input("xseg", x, |i, s| (i.xseg_off, i.xseg_beats) = *s)
        .drain(400)
}

#[test]
fn both_streams_deliver_their_segments_in_order_from_every_memory_under_every_stall() {
    for params in Params::examples() {
        let Some(rtl) = Lockstep::<AxiReadPort>::new(&params) else { return };
        let bytes = params.port_bits / 8;
        for case in Case::all() {
            let (w, x) = (segments(&params, 30, case.seed), segments(&params, 20, !case.seed));
            for (i, config) in memories(1, params.port_bits, case.seed).into_iter().enumerate() {
                let base = bases(1, params.port_bits);
                let behind = Behind::new(config, base.clone(), BEATS as usize * bytes);
                let run = bench(&rtl, &case, &w, &x).environment(behind.clone()).run();
                let what = format!("{params:?}, memory {i}, {case}");
                assert!(run.values("w", |o| o.w_data.clone()) == expected(&w, base[0], bytes), "w: {what}");
                assert!(run.values("x", |o| o.x_data.clone()) == expected(&x, base[0], bytes), "x: {what}");
                behind.assert_rules_held();
                assert!(behind.memory.borrow().idle(), "{what}");
            }
        }
    }
}

#[test]
fn a_beat_arrives_every_cycle_once_the_latency_is_covered() {
    // 4 bursts of 16 in flight cover a latency up to 48 cycles; single-beat bursts need as many in flight as the latency.
    for (example, latency) in [(0, 1), (0, 40), (1, 1), (1, 50)] {
        let params = Params::examples().swap_remove(example);
        let bits = params.port_bits;
        let Some(rtl) = Lockstep::<AxiReadPort>::new(&params) else { return };
        let timing = Timing::Fixed { latency, beats: 1, cycles: 1, outstanding: 64 };
        let behind = Behind::new(MemConfig { timing, ..MemConfig::ideal(1, bits) }, vec![0], 1024 * 16);
        let w = [(0, 1000)];
        let run = bench(&rtl, &Case::plain(), &w, &[]).environment(behind).run();
        // Segment taken in cycle 0; burst generator 3, AR register 1 (accepted there), memory, R register 1, FIFO in block RAM 2.
        let first = params.request_latency() + latency + params.data_latency(params.w_depth);
        assert_eq!(first, 3 + 1 + latency + 1 + 2);
        assert_eq!(run.cycles_out("w"), (first..first + 1000).collect::<Vec<_>>(), "{params:?} latency {latency}");
    }
}

#[test]
fn no_more_is_asked_for_than_the_fifo_holds_and_auxiliary_data_pass_waiting_weights() {
    let params = Params::examples().swap_remove(0);
    let Some(rtl) = Lockstep::<AxiReadPort>::new(&params) else { return };
    let behind = Behind::new(MemConfig::ideal(1, 128), vec![0], BEATS as usize * 16);
    let (w, x) = ([(0, 1000)], [(200, 50)]);
    let mut behind_drive = behind.clone();
    let run = bench(&rtl, &Case::plain(), &w, &x)
        .environment(move |cycle: u64, out: &Out, input: &mut In| {
            Environment::<AxiReadPort>::drive(&mut behind_drive, cycle, out, input);
            // Nobody takes weights.
            input.w_ready = false;
        })
        .until(|cycle, _| cycle == 300)
        .run();
    assert_eq!(run.values("x", |o| o.x_data.clone()), expected(&x, 0, 16));
    // 8 bursts of 16 fill the 128 beats of the weights' FIFO; x is all there.
    assert!(run.beats("w").is_empty());
    assert!(behind.memory.borrow().idle());
    behind.assert_rules_held();
}

#[test]
fn after_stop_and_quiet_the_port_can_be_reset_while_the_memory_runs_on() {
    for params in Params::examples() {
        let Some(rtl) = Lockstep::<AxiReadPort>::new(&params) else { return };
        let bytes = params.port_bits / 8;
        for seed in 0..12 {
            let case = Case { stall: Stall::ALL[seed as usize % 4], seed: hash(Case::seed(1), 5, seed), ..Case::plain() };
            let (w, x) = (segments(&params, 30, case.seed), segments(&params, 20, !case.seed));
            let config = memories(1, params.port_bits, case.seed).remove(seed as usize % 4);
            let behind = Behind::new(config, vec![4096], BEATS as usize * bytes).stop_at(10 + hash(case.seed, 6, 0) % 200);
            let run = bench(&rtl, &case, &w, &x).environment(behind.clone()).run();
            assert_eq!(*behind.lost.borrow(), Some(false), "{params:?} {case}: transactions under way at quiet");
            assert!(run.values("w", |o| o.w_data.clone()) == expected(&w, 4096, bytes), "w: {params:?} {case}");
            assert!(run.values("x", |o| o.x_data.clone()) == expected(&x, 4096, bytes), "x: {params:?} {case}");
            behind.assert_rules_held();
        }
    }
}

#[test]
fn a_failed_beat_is_zero_and_reported_with_its_address_and_costs_no_cycle() {
    let params = Params::examples().swap_remove(0);
    let Some(rtl) = Lockstep::<AxiReadPort>::new(&params) else { return };
    let w = [(0, 100)];
    let mut cycles = Vec::new();
    for fails in [false, true] {
        let mut config = MemConfig::ideal(1, 128);
        if fails {
            config.errors.push(16 * 37..16 * 39);
        }
        let mut behind = Behind::new(config, vec![0], 2048);
        let mut bad = Vec::new();
        let run = bench(&rtl, &Case::plain(), &w, &[])
            .environment(|cycle: u64, out: &Out, input: &mut In| {
                Environment::<AxiReadPort>::drive(&mut behind, cycle, out, input);
                if out.bad {
                    bad.push(out.bad_addr);
                }
            })
            .run();
        let mut data = expected(&w, 0, 16);
        if fails {
            (data[37], data[38]) = (Bits::zeros(128), Bits::zeros(128));
        }
        assert_eq!(run.values("w", |o| o.w_data.clone()), data);
        assert_eq!(bad, if fails { vec![16 * 37, 16 * 38] } else { vec![] });
        cycles.push(run.cycles_out("w"));
    }
    assert_eq!(cycles[0], cycles[1]);
}
