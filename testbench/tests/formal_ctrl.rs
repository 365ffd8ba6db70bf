//! SMT proof of `ctrl`: every movement brings a run nearer to its end, and comes within the contract's bound for peers that answer within
//! any number of cycles; the bound is tight, and the proof finds planted faults.

use tritforge_spec::block::{Contract, ctrl::Params};
use tritforge_testbench::harness::{
    Design,
    formal::{Proof, base_case, prove_with},
};

/// The induction needs one cycle; the base case starts with the reset.
const STEPS: usize = 3;
/// Cycles from reset to the first command and over the longest wait that is tried.
const FIRST_COMMAND: usize = 26;

/// The contract's bounds as the properties take them: the one on cycles without the peers' wait.
fn bounds(p: &Params, short_by: u64) -> [String; 2] {
    [format!("F_BOUND={}", p.progress_bound(0) - short_by), format!("F_MOVES={}", p.moves_of_pass())]
}

/// 64-byte records of one, two and four super-words.
fn widths() -> Vec<Params> {
    [128, 256, 512].map(|word_bits| Params { word_bits, ..Params::examples()[0].clone() }).to_vec()
}

#[test]
fn ctrl_moves_within_its_bound_whatever_time_its_peers_take_and_every_run_ends() {
    for p in widths() {
        let [bound, moves] = bounds(&p, 0);
        let Some(proof) = prove_with(&Design::of(&p).unwrap(), STEPS, &[&bound, &moves]).unwrap() else { return };
        assert_eq!(proof, Proof { base: true, induction: true }, "{} bits", p.word_bits);
    }
}

/// Whether the properties hold from reset with `macros`, for prompt peers but one that takes `wait` cycles for the first command.
fn holds(short_by: u64, wait: u64, macros: &[&str], fault: Option<(&str, &str)>) -> Option<bool> {
    let p = &widths()[2];
    let mut design = Design::of(p).unwrap();
    if let Some((from, to)) = fault {
        design = design.with_fault(from, to).unwrap();
    }
    let [bound, moves] = bounds(p, short_by);
    let wait = format!("F_WAIT={wait}");
    base_case(&design, FIRST_COMMAND, &[&[&bound, &moves, &wait, "F_EAGER"], macros].concat()).unwrap()
}

#[test]
fn a_bound_of_one_cycle_less_does_not_hold() {
    for wait in [1, 3] {
        for p in widths() {
            assert_eq!(p.progress_bound(wait), wait + p.progress_bound(0));
        }
        assert_ne!(holds(1, wait, &["F_BOUND_ONLY"], None), Some(true), "peers {wait} cycles late");
    }
}

#[test]
fn the_proof_finds_planted_faults() {
    let found = |from, to| holds(0, 1, &[], Some((from, to))) != Some(true);
    // The fetch machine comes forward only while the other one asks: never, before the first descriptor.
    assert!(found("F_REQ: if (!issue_x)", "F_REQ: if (issue_x)"));
    // The constants of a pass are asked for, but for somebody else.
    assert!(found("wseg_dest = stream_pkg::WEIGHT_CONST;", "wseg_dest = stream_pkg::WEIGHT_GAIN;"));
    // A descriptor is handed on only into a full slot.
    assert!(found("F_PUSH: if (!slot_full_q)", "F_PUSH: if (slot_full_q)"));
    // A step never advances: its command is given again and again.
    assert!(found("step_d = step_q + 4'd1;", "step_d = step_q;"));
}
