//! `fifo`: model and RTL in lockstep, the words that pass, their cycles, the fill level; and two planted faults that must be found.

use tritforge_sim::block::fifo::FifoBlock;
use tritforge_spec::{
    bits::Bits,
    block::{Contract, fifo::Params},
    stall::hash,
};
use tritforge_testbench::{
    builds,
    harness::{Case, Lockstep, Stall},
};

fn words(width: usize, n: u64, seed: u64) -> Vec<Bits> {
    (0..n).map(|i| Bits::from_words(width, &[0, 1, 2].map(|w| hash(seed, w, i)))).collect()
}

#[test]
fn every_word_passes_once_and_in_order_under_every_stall() {
    for params in Params::examples() {
        let Some(rtl) = Lockstep::<FifoBlock>::new(&params) else { return };
        for case in Case::all() {
            let sent = words(params.width, 1500, case.seed);
            let run = rtl.bench(&case).input("in", &sent, |i, w| i.in_data = w.clone()).run();
            assert_eq!(run.values("out", |o| o.out_data.clone()), sent, "{params:?} {case}");
        }
    }
}

#[test]
fn without_stalls_a_word_leaves_every_cycle_after_the_latency() {
    // Distributed RAM: 1 cycle. Block RAM: 1 for the write, 1 for the read register.
    for (params, latency) in Params::examples().into_iter().zip([1, 1, 1, 2]) {
        assert_eq!(params.latency(), latency);
        let Some(rtl) = Lockstep::<FifoBlock>::new(&params) else { return };
        let sent = words(params.width, 700, 5);
        let run = rtl.bench(&Case::plain()).input("in", &sent, |i, w| i.in_data = w.clone()).run();
        assert_eq!(run.cycles_in("in"), (0..700).collect::<Vec<_>>());
        assert_eq!(run.cycles_out("out"), (latency..700 + latency).collect::<Vec<_>>());
    }
}

#[test]
fn it_takes_exactly_its_depth_of_words_and_counts_them() {
    for params in Params::examples() {
        let depth = params.depth;
        let Some(rtl) = Lockstep::<FifoBlock>::new(&params) else { return };
        let sent = words(params.width, 600, 6);
        let mut counts = Vec::new();
        let run = rtl
            .bench(&Case::plain())
            .input("in", &sent, |i, w| i.in_data = w.clone())
            .environment(|_: u64, out: &tritforge_sim::block::fifo::Out, input: &mut tritforge_sim::block::fifo::In| {
                counts.push(out.count);
                input.out_ready = false;
            })
            .until(|cycle, _| cycle == 550)
            .run();
        // A word a cycle until full, none after.
        let expected: Vec<u64> = (0..=550).map(|c| c.min(depth as u64)).collect();
        assert_eq!(run.cycles_in("in").len(), depth);
        assert!(run.beats("out").is_empty());
        assert_eq!(counts, expected, "depth {depth}");
    }
}

/// The report of the run of the `fifo` with this planted fault.
fn report_of_fault(name: &str, wave: bool) -> Option<String> {
    let params = Params { width: 8, depth: 65 };
    let mut rtl = Lockstep::<FifoBlock>::with_design(&params, builds::faulty(name))?;
    if !wave {
        rtl = rtl.without_wave();
    }
    let case = Case { stall: Stall::Both, ..Case::plain() };
    let sent = words(8, 1000, 7);
    let result = rtl.bench(&case).input("in", &sent, |i, w| i.in_data = w.clone()).try_run();
    Some(result.err().expect("the fault went unseen"))
}

#[test]
fn a_planted_fault_of_one_bit_is_caught() {
    let Some(report) = report_of_fault("fifo: one bit", true) else { return };
    println!("{report}");
    assert!(report.contains("port out_data"), "{report}");
    assert!(report.contains("first different bit 0"), "{report}");
    assert!(report.contains("TRITFORGE_SEED=0x"), "{report}");
    let wave = report.split("wave of the last cycles: ").nth(1).expect("a wave").trim();
    let text = std::fs::read_to_string(wave).unwrap();
    assert!(text.contains("rptr_q") && text.contains("$enddefinitions"), "{wave}");
    std::fs::remove_file(wave).unwrap();
}

#[test]
fn a_planted_fault_of_one_cycle_is_caught() {
    let Some(report) = report_of_fault("fifo: one cycle", false) else { return };
    println!("{report}");
    assert!(report.contains("port out_valid"), "{report}");
}
