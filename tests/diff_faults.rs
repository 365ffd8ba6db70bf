//! The proof that `diff` finds what it is for, first half: every usual mistake of a path is planted in a second forward pass written here
//! (`support/plain.rs`), and must be named, it alone. Mistakes in a file: `diff_weights.rs`.

#[path = "support/plain.rs"]
mod plain;
#[path = "support/small.rs"]
mod small;
mod support;

use plain::Fault;
use plain::function::{FUNCTIONS, Function};
use small::*;
use tritforge::model::judge::Stage;
use tritforge::trace::Trace;

#[test]
fn without_a_fault_the_plain_loops_and_every_stage_agree() {
    for (kind, sizes) in [(Kind::Ternary, RECTANGLES), (Kind::Ternary, SQUARES), (Kind::Llama, RECTANGLES), (Kind::Llama, ALL_SQUARES)] {
        let file = file_of(kind, sizes);
        for stage_by_stage in [false, true] {
            let found = compared(&file, &plain(kind, &file, Fault::None), stage_by_stage);
            assert!(found.equal(), "{kind:?} {sizes:?}: {:?}", found.first_beyond);
            let one_side: Vec<&str> = found.rows.iter().filter(|row| row.stats.is_none()).map(|row| row.tensor.as_str()).collect();
            assert!(one_side.is_empty(), "{one_side:?}");
        }
    }
}

/// What a graph's activation may be mistaken for: the function, its name, that of the graph's own.
fn other_functions(kind: Kind) -> impl Iterator<Item = (Function, &'static str, &'static str)> {
    let (own, name) = FUNCTIONS[if kind == Kind::Ternary { 0 } else { 1 }];
    FUNCTIONS.into_iter().filter(move |&(function, _)| function != own).map(move |(function, text)| (function, text, name))
}

#[test]
fn faults_of_the_path_are_each_named_and_nothing_else() {
    let norm = "blk.0.attn_norm";
    let cases = [
        (Fault::OtherPairs, "blk.0.q_rope", "RoPE turns other pairs", "instead of"),
        (Fault::Theta(500_000.0), "blk.0.q_rope", "wrong theta", "theta 500000 instead of 10000"),
        (Fault::Shift(1), "blk.0.q_rope", "shifted position", "positions +1"),
        (Fault::Shift(-3), "blk.0.q_rope", "shifted position", "positions -3"),
        (Fault::NoRope, "blk.0.q_rope", "missing RoPE", ""),
        (Fault::ModuloKv, "blk.0.kq", "wrong KV head mapping", "head % 2 instead of head / 2"),
        (Fault::NoMask, "blk.0.kq_soft", "missing causal mask", ""),
        (Fault::NoAttentionScale, "blk.0.kq", "missing scale", "1/√head size"),
        (Fault::ActivationOfUp, "blk.0.ffn_act", "exchanged gate and up", "the activation is up's"),
        (Fault::Epsilon(1e-3), norm, "wrong epsilon", "epsilon 1e-3 instead of 1e-5"),
        (Fault::Epsilon(1e-6), norm, "wrong epsilon", "epsilon 1e-6 instead of 1e-5"),
        (Fault::NoNormWeight, norm, "missing norm weight", "attn_norm"),
        (Fault::DoubledNormWeight, norm, "doubled norm weight", "attn_norm"),
        (Fault::NoNorm, norm, "missing norm", "attn_norm"),
        (Fault::NoResidual, "blk.0.attn_resid", "missing residual connection", ""),
    ];
    for kind in [Kind::Ternary, Kind::Llama] {
        for sizes in [RECTANGLES, SQUARES] {
            let file = file_of(kind, sizes);
            for (fault, tensor, name, what) in cases {
                let case = format!("{kind:?} {sizes:?} {fault:?}");
                assert_named(&case, &file, &plain(kind, &file, fault), tensor, name, what);
            }
            for (function, text, own) in other_functions(kind) {
                let (case, what) = (format!("{kind:?} {sizes:?} {function:?}"), format!("{text} instead of {own}"));
                let other = plain(kind, &file, Fault::Activation(function));
                assert_named(&case, &file, &other, "blk.0.ffn_act", "other activation", &what);
            }
        }
    }
    let file = ternary_file(RECTANGLES);
    let other = plain(Kind::Ternary, &file, Fault::NoRounding);
    assert_named("no rounding", &file, &other, "blk.0.q", "activations not rounded to int8", "floats");
    let file = llama_file(RECTANGLES);
    assert_named("no bias", &file, &plain(Kind::Llama, &file, Fault::NoBias), "blk.0.q", "missing bias", "attn_q.bias");
}

/// A trace that shows the residual stream alone is enough: the stages between are computed under each suspect. Other pairs and rows of both q and k
/// permuted give the same scores, so nothing behind them can tell the one from the other, and both are named.
#[test]
fn faults_are_named_from_the_layers_outputs_alone() {
    let cases = [
        (Fault::OtherPairs, "RoPE turns other pairs"),
        (Fault::Theta(500_000.0), "wrong theta"),
        (Fault::NoRope, "missing RoPE"),
        (Fault::ModuloKv, "wrong KV head mapping"),
        (Fault::NoMask, "missing causal mask"),
        (Fault::NoAttentionScale, "missing scale"),
        (Fault::ActivationOfUp, "exchanged gate and up"),
        (Fault::Epsilon(1e-3), "wrong epsilon"),
        (Fault::NoNormWeight, "missing norm weight"),
        (Fault::DoubledNormWeight, "doubled norm weight"),
        (Fault::NoResidual, "missing residual connection"),
    ];
    for kind in [Kind::Ternary, Kind::Llama] {
        for sizes in [RECTANGLES, SQUARES] {
            let file = file_of(kind, sizes);
            let named = |mut other: Trace, name: &str, case: &str| {
                let hidden: Vec<_> =
                    other.iter().map(|(place, _)| place).filter(|p| p.stage.in_layer() && p.stage != Stage::LOut).collect();
                hidden.into_iter().for_each(|place| drop(other.remove(place)));
                let found = compared(&file, &other, false);
                assert_eq!(found.first_parting.as_deref(), Some("blk.0.l_out"), "{case}");
                let names: Vec<&str> = found.diagnoses[0].findings.iter().map(|f| f.name).collect();
                let same = ["RoPE turns other pairs", "permuted rows of a weight"];
                let also = |other: &&str| *other == name || same.contains(&name) && same.contains(other);
                assert!(names.contains(&name) && names.iter().all(also), "{case}: {:#?}", found.diagnoses);
            };
            for (fault, name) in cases {
                named(plain(kind, &file, fault), name, &format!("{kind:?} {sizes:?} {fault:?}"));
            }
            for (function, ..) in other_functions(kind) {
                let case = format!("{kind:?} {sizes:?} {function:?}");
                named(plain(kind, &file, Fault::Activation(function)), "other activation", &case);
            }
            for weight in ["attn_k", "attn_output", "ffn_down"] {
                let other = own(&changed(&file, &format!("blk.0.{weight}.weight"), transposed));
                named(other, "transposed weight", &format!("{kind:?} {sizes:?} {weight}"));
            }
        }
    }
}
