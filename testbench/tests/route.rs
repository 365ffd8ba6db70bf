//! `route`: words go to the output of their dest, in order; one a cycle; a held output holds what is behind it.

use tritforge_sim::block::route::{In, Out, Route};
use tritforge_spec::{
    bits::Bits,
    block::{Contract, route::Params},
    stall::hash,
};
use tritforge_testbench::harness::{Case, Lockstep};

fn words(width: usize, n: u64, seed: u64) -> Vec<(u8, Bits)> {
    let data = |i| Bits::from_words(width, &(0..8).map(|w| hash(seed, w, i)).collect::<Vec<_>>());
    // Runs of one dest as sections have, and single words; dest 3 now and then.
    (0..n).map(|i| ((hash(seed, 99, if i % 50 < 25 { i / 10 } else { i }) % 4) as u8, data(i))).collect()
}

#[test]
fn every_word_leaves_at_the_output_of_its_dest_in_order_and_dest_3_nowhere() {
    for params in Params::examples() {
        let Some(rtl) = Lockstep::<Route>::new(&params) else { return };
        for case in Case::all() {
            let sent = words(params.width, 800, case.seed);
            let run = rtl
                .bench(&case)
                .input("in", &sent, |i, w| {
                    i.in_dest = w.0;
                    i.in_data = w.1.clone();
                })
                .run();
            let of = |dest| sent.iter().filter(|w| w.0 == dest).map(|w| w.1.clone()).collect::<Vec<_>>();
            assert_eq!(run.values("o0", |o| o.o0_data.clone()), of(0), "{params:?} {case}");
            assert_eq!(run.values("o1", |o| o.o1_data.clone()), of(1), "{params:?} {case}");
            assert_eq!(run.values("o2", |o| o.o2_data.clone()), of(2), "{params:?} {case}");
        }
    }
}

#[test]
fn a_word_a_cycle_one_cycle_after_it_was_taken_whatever_the_dest() {
    let params = Params { width: 128 };
    let Some(rtl) = Lockstep::<Route>::new(&params) else { return };
    let sent = words(128, 300, 3);
    let fill = |i: &mut In, w: &(u8, Bits)| (i.in_dest, i.in_data) = (w.0, w.1.clone());
    let run = rtl.bench(&Case::plain()).input("in", &sent, fill).run();
    assert_eq!(run.cycles_in("in"), (0..300).collect::<Vec<_>>());
    for (dest, name) in ["o0", "o1", "o2"].into_iter().enumerate() {
        // Skid: 1.
        let expected: Vec<u64> = (0..300).filter(|&i| sent[i as usize].0 == dest as u8).map(|i| i + 1).collect();
        assert_eq!(run.cycles_out(name), expected);
    }
}

#[test]
fn an_output_that_does_not_take_its_word_holds_the_words_behind() {
    let params = Params { width: 128 };
    let Some(rtl) = Lockstep::<Route>::new(&params) else { return };
    let sent: Vec<(u8, Bits)> = [0, 1, 0, 0].into_iter().map(|d| (d, Bits::from_u64(128, d as u64))).collect();
    let fill = |i: &mut In, w: &(u8, Bits)| (i.in_dest, i.in_data) = (w.0, w.1.clone());
    let run =
        rtl.bench(&Case::plain()).input("in", &sent, fill).environment(|cycle: u64, _: &Out, i: &mut In| i.o1_ready = cycle >= 10).run();
    // Word 0 passes at 1; word 1 is held until 10; then one a cycle. The skid holds two, so word 3 is taken at 11.
    assert_eq!(run.cycles_in("in"), [0, 1, 2, 11]);
    assert_eq!(run.cycles_out("o0"), [1, 11, 12]);
    assert_eq!(run.cycles_out("o1"), [10]);
}
