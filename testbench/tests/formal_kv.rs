//! SMT proofs of the control on the way of the KV cache, `route`, `kvread` and `kvwrite`: they move within the contract's bound for peers that
//! answer within any number of cycles, and every movement counts; the bounds are tight, and the proofs find planted faults.

use tritforge_spec::{
    block::{Contract, kvread, kvwrite, route},
    kv::KvShape,
};
use tritforge_testbench::harness::{
    Design,
    formal::{Proof, base_case, prove_with},
};

/// The induction needs one cycle; the base case starts with the reset.
const STEPS: usize = 2;

fn bound(cycles: u64) -> String {
    format!("F_BOUND={cycles}")
}

fn is_proven<P: Contract + std::fmt::Debug>(params: &P, bound_without_wait: u64) {
    let Some(proof) = prove_with(&Design::of(params).unwrap(), STEPS, &[&bound(bound_without_wait)]).unwrap() else { return };
    assert_eq!(proof, Proof { base: true, induction: true }, "{params:?}");
}

/// Whether `steps` cycles from reset are good, for peers that are `wait` cycles late, with `fault` planted.
fn holds<P: Contract>(params: &P, steps: usize, wait: u64, macros: &[&str], fault: Option<(&str, &str)>) -> Option<bool> {
    let mut design = Design::of(params).unwrap();
    if let Some((from, to)) = fault {
        design = design.with_fault(from, to).unwrap();
    }
    base_case(&design, steps, &[&[&*format!("F_WAIT={wait}")], macros].concat()).unwrap()
}

/// Two bits: no control depends on data.
const ROUTE: route::Params = route::Params { width: 2 };

/// Vectors of `words` super-words, in a context of `blocks` blocks.
fn shape(words: usize, blocks: usize, kv_heads: usize, batch: usize) -> KvShape {
    KvShape { word_bits: 512, vec: 16, kv_bits: 8, head_dim: 64 * words, kv_heads, batch, slots: 1, context: 16 * blocks }
}

/// The same for the writer, in words of four codes.
fn narrow(kv_heads: usize, batch: usize) -> kvwrite::Params {
    kvwrite::Params { kv: KvShape { word_bits: 32, vec: 1, kv_bits: 8, head_dim: 32, kv_heads, batch, slots: 1, context: 64 } }
}

#[test]
fn route_waits_for_the_sink_of_its_oldest_word_only_and_every_word_leaves_where_it_belongs() {
    is_proven(&ROUTE, route::Params::progress_bound(0));
}

#[test]
fn kvwrite_moves_within_its_bound_and_every_pass_ends() {
    for params in [narrow(1, 1), narrow(2, 4)] {
        is_proven(&params, kvwrite::Params::progress_bound(0));
    }
}

#[test]
fn kvread_moves_within_its_bound_and_uses_all_that_it_asks_for() {
    is_proven(&kvread::Params { kv: shape(1, 2, 1, 2) }, kvread::Params::progress_bound(0));
}

#[test]
fn bounds_of_one_cycle_less_do_not_hold() {
    for wait in [1, 3] {
        assert_eq!(route::Params::progress_bound(wait), wait + route::Params::progress_bound(0));
        assert_eq!(kvread::Params::progress_bound(wait), wait + kvread::Params::progress_bound(0));
        assert_eq!(kvwrite::Params::progress_bound(wait), wait + kvwrite::Params::progress_bound(0));
    }
    let route_bound = bound(route::Params::progress_bound(0) - 1);
    assert_ne!(holds(&ROUTE, 6, 1, &[&route_bound, "F_BOUND_ONLY"], None), Some(true));
    let read = kvread::Params { kv: shape(1, 1, 1, 1) };
    let read_bound = bound(kvread::Params::progress_bound(0) - 1);
    assert_ne!(holds(&read, 11, 0, &[&read_bound, "F_BOUND_ONLY", "F_EAGER"], None), Some(true));
    let write_bound = bound(kvwrite::Params::progress_bound(0) - 1);
    assert_ne!(holds(&narrow(1, 1), 25, 0, &[&write_bound, "F_BOUND_ONLY", "F_EAGER"], None), Some(true));
}

#[test]
fn the_proofs_find_planted_faults() {
    let found = |from, to| holds(&ROUTE, 6, 1, &[&bound(route::Params::progress_bound(0))], Some((from, to))) != Some(true);
    // A word for nobody is never dropped.
    assert!(found("default: ready = 1'b1", "default: ready = 1'b0"));
    // A word is gone although another output was ready.
    assert!(found("2'd1:    ready = o1_ready", "2'd1:    ready = o0_ready"));

    let read = kvread::Params { kv: shape(1, 1, 1, 1) };
    let found = |from, to| {
        let limit = bound(kvread::Params::progress_bound(0));
        holds(&read, 10, 0, &[&limit, "F_EAGER"], Some((from, to))) != Some(true)
    };
    // The values of a partial block are never asked for.
    assert!(found("seg_d = seg_partial ? SECOND : seg_last_t ? IDLE : PAGE", "seg_d = seg_last_t ? IDLE : PAGE"));
    // The words of the pass are taken only when none is missing.
    assert!(found("p_take   = active_q && missing_q != '0", "p_take   = active_q && missing_q == '0"));
    // A word of the pass is taken before the command that it belongs to.
    assert!(found("p_take   = active_q && missing_q != '0", "p_take   = missing_q != '0"));

    let found = |from, to| {
        let limit = bound(kvwrite::Params::progress_bound(0));
        holds(&narrow(1, 1), 14, 0, &[&limit, "F_EAGER"], Some((from, to))) != Some(true)
    };
    // A scale's segment is offered again and again.
    assert!(found("default: if (wseg_ready) address_d = FREE", "default: if (wseg_ready) address_d = SCALE"));
    // A vector begins while the segments of the one before are still offered.
    assert!(found("(k_index != '0 || address_free)", "(k_index != '0 || !wseg_valid)"));
    // A word leaves only beside another one.
    assert!(found("(!pb_q || pb_ready) && (!wd_q || wd_ready)", "(pb_q && pb_ready) && (!wd_q || wd_ready)"));
}
