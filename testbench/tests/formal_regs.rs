//! SMT proof of `regs`: a soft reset ends within the contract's bound for masters that drain after any number of cycles, every access of
//! the host is answered once, and what waits stands; the bound is tight, and the proof finds planted faults.

use tritforge_spec::block::{Contract, regs::Params};
use tritforge_testbench::harness::{
    Design,
    formal::{Proof, base_case, prove_with},
};

/// The induction needs one cycle; the base case starts with the reset.
const STEPS: usize = 3;
/// Cycles from reset over a write of the host and a soft reset, and some more.
const SHOWN: usize = 12;

/// Hardware whose image check holds from reset on, so that a doorbell is near.
fn near() -> Design {
    Design::of(&Params { hw_hash: 0, numerics_hash: 0, ..Params::examples()[0].clone() }).unwrap()
}

fn bound(short_by: u64) -> String {
    format!("F_BOUND={}", Params::soft_reset_bound(0) - short_by)
}

#[test]
fn a_soft_reset_ends_every_access_is_answered_once_and_what_waits_stands() {
    for p in Params::examples() {
        let Some(proof) = prove_with(&Design::of(&p).unwrap(), STEPS, &[&bound(0)]).unwrap() else { return };
        assert_eq!(proof, Proof { base: true, induction: true }, "{p:?}");
    }
}

#[test]
fn a_stop_of_one_cycle_less_does_not_hold() {
    let wait = 1;
    assert_eq!(Params::soft_reset_bound(wait), wait + Params::soft_reset_bound(0));
    assert_ne!(base_case(&near(), SHOWN, &[&bound(1), &format!("F_WAIT={wait}")]).unwrap(), Some(true));
}

#[test]
fn the_proof_finds_planted_faults() {
    let found = |from, to| {
        let design = near().with_fault(from, to).unwrap();
        base_case(&design, SHOWN, &[&bound(0), "F_WAIT=0"]).unwrap() != Some(true)
    };
    // The reset goes on for as long as the masters are drained.
    assert!(found("if (r_count_q == 3'(regmap_pkg::RESET_CYCLES - 1)) r_q", "if (!drained) r_q"));
    // The doorbell is withdrawn although nobody took it.
    assert!(found("end else if (go_ready) go_q <= 1'b0;", "end else go_q <= 1'b0;"));
    // An answer is dropped when the host is slow.
    assert!(found("end else if (s_bready) b_q <= 1'b0;", "end else b_q <= 1'b0;"));
    // The descriptor pointer changes under a doorbell that waits.
    assert!(found("(running && REFUSED_BUSY[word])", "(busy && REFUSED_BUSY[word])"));
}
