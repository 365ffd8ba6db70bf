//! `skid`: model and RTL in lockstep, the words that pass, and their cycles.

use tritforge_sim::block::skid::SkidBlock;
use tritforge_spec::{
    bits::Bits,
    block::{
        Contract,
        skid::{LATENCY, Params},
    },
    stall::hash,
};
use tritforge_testbench::harness::{Case, Lockstep};

fn words(width: usize, n: u64, seed: u64) -> Vec<Bits> {
    (0..n).map(|i| Bits::from_words(width, &[0, 1, 2, 3].map(|w| hash(seed, w, i)))).collect()
}

#[test]
fn every_word_passes_once_and_in_order_under_every_stall() {
    for params in Params::examples() {
        let Some(rtl) = Lockstep::<SkidBlock>::new(&params) else { return };
        for case in Case::all() {
            let sent = words(params.width, 300, case.seed);
            let run = rtl.bench(&case).input("in", &sent, |i, w| i.in_data = w.clone()).run();
            assert_eq!(run.values("out", |o| o.out_data.clone()), sent, "{case}");
        }
    }
}

#[test]
fn without_stalls_a_word_leaves_every_cycle_one_cycle_after_it_came() {
    let params = Params { width: 8 };
    let Some(rtl) = Lockstep::<SkidBlock>::new(&params) else { return };
    let sent = words(8, 100, 3);
    let run = rtl.bench(&Case::plain()).input("in", &sent, |i, w| i.in_data = w.clone()).run();
    // Word k is taken in cycle k and leaves LATENCY = 1 cycle later.
    assert_eq!(run.cycles_in("in"), (0..100).collect::<Vec<_>>());
    assert_eq!(run.cycles_out("out"), (LATENCY..100 + LATENCY).collect::<Vec<_>>());
}
