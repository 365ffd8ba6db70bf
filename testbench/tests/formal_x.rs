//! SMT proofs of `xload` and `xstore`: they move within the contract's bound for peers that answer within any number of cycles, and every
//! group counts; the bound is tight, and the proofs find planted faults.

use tritforge_spec::block::{xload::Params, xstore};
use tritforge_testbench::harness::{
    Design,
    formal::{Proof, base_case, prove_with},
};

/// The induction needs one cycle; the base case starts with the reset.
const STEPS: usize = 2;

/// Words of one, two and four groups; a last word with padding.
fn shapes() -> [Params; 3] {
    [(32, 1, 2), (64, 1, 5), (128, 2, 6)].map(|(word_bits, token_bits, dim)| Params { word_bits, vec: 1, token_bits, dim })
}

fn designs(shape: &Params) -> [Design; 2] {
    [Design::of(shape).unwrap(), Design::of(&xstore::Params(shape.clone())).unwrap()]
}

fn bound(short_by: u64) -> String {
    format!("F_BOUND={}", Params::progress_bound(0) - short_by)
}

#[test]
fn both_move_within_their_bound_and_every_group_counts() {
    for shape in shapes() {
        for design in designs(&shape) {
            let Some(proof) = prove_with(&design, STEPS, &[&bound(0)]).unwrap() else { return };
            assert_eq!(proof, Proof { base: true, induction: true }, "{}", design.label());
        }
    }
}

#[test]
fn a_bound_of_one_cycle_less_does_not_hold() {
    let wait = 1;
    assert_eq!(Params::progress_bound(wait), wait + Params::progress_bound(0));
    for design in designs(&shapes()[1]) {
        let macros = [&*bound(1), "F_WAIT=1", "F_BOUND_ONLY"];
        assert_ne!(base_case(&design, 8, &macros).unwrap(), Some(true), "{}", design.label());
    }
}

#[test]
fn the_proofs_find_planted_faults() {
    let found = |which: usize, from, to| {
        let [load, store] = designs(&shapes()[0]);
        let design = [load, store][which].clone().with_fault(from, to).unwrap();
        base_case(&design, 8, &[&bound(0), "F_WAIT=1"]).unwrap() != Some(true)
    };
    // A group goes on though one reader has no room.
    assert!(found(0, "take = run && have && xn_free && xr_free", "take = run && have && xn_free"));
    // The readers take turns: each waits for the other.
    assert!(found(0, "take = run && have && xn_free && xr_free", "take = run && have && xn_free && xr_free && xr_valid"));
    // A command is over before its last segment has been offered.
    assert!(found(1, "done = run && seg_q == n && tok_q == n", "done = run && tok_q == n"));
    // A group waits for its segment's being offered, and so for ever once it is taken.
    assert!(found(1, "have && wd_free;", "have && wd_free && seg_valid_q;"));
}
