//! SMT proofs of the primitives: nothing is lost, doubled, altered or reordered; and the proofs find planted faults.

use tritforge_spec::block::{Contract, fifo, skid};
use tritforge_testbench::harness::{
    Design,
    formal::{Proof, prove},
};

/// Cycles of the base case and of the induction window.
const STEPS: usize = 8;

/// Two bits a word are enough: no control depends on data.
const WIDTH: usize = 2;

fn proof_of<P: Contract>(params: &P, fault: Option<(&str, &str)>) -> Option<Proof> {
    let mut design = Design::of(params).unwrap();
    if let Some((from, to)) = fault {
        design = design.with_fault(from, to).unwrap();
    }
    prove(&design, STEPS).unwrap()
}

#[test]
fn skid_never_loses_doubles_alters_or_reorders_a_word() {
    let Some(proof) = proof_of(&skid::Params { width: WIDTH }, None) else { return };
    assert_eq!(proof, Proof { base: true, induction: true });
}

#[test]
fn fifo_never_loses_doubles_alters_or_reorders_a_word() {
    // A power of two, an odd depth, and block RAM.
    for depth in [2, 4, 5, 65] {
        let Some(proof) = proof_of(&fifo::Params { width: WIDTH, depth }, None) else { return };
        assert_eq!(proof, Proof { base: true, induction: true }, "depth {depth}");
    }
}

#[test]
fn the_proofs_find_planted_faults() {
    // A word is taken although two stand there.
    let lost = ("= !count_q[1]", "= count_q != 2'd3");
    let Some(proof) = proof_of(&skid::Params { width: WIDTH }, Some(lost)) else { return };
    assert!(!proof.base);
    // The write pointer wraps one word late.
    let wrap = ("wptr_q == LAST ? '0", "rptr_q == LAST ? '0");
    let Some(proof) = proof_of(&fifo::Params { width: WIDTH, depth: 5 }, Some(wrap)) else { return };
    assert!(!proof.base);
    // A word is fetched into a full output register.
    let doubled = ("stored && (!full_q || out_ready)", "stored");
    let Some(proof) = proof_of(&fifo::Params { width: WIDTH, depth: 65 }, Some(doubled)) else { return };
    assert!(!proof.base);
}
