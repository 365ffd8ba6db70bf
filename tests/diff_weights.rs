//! The proof that `diff` finds what it is for, second half: every usual mistake of whoever writes or reads a model file is planted in a copy of
//! it, and must be named, it alone. Mistakes of a path: `diff_faults.rs`.

#[path = "support/plain.rs"]
mod plain;
#[path = "support/small.rs"]
mod small;
mod support;

use small::*;
use support::parts::Parts;
use tritforge::model::gguf::Metadata;

#[test]
fn a_transposed_weight_is_named_wherever_it_stands_also_in_squares() {
    let weights = [
        ("attn_q", "q"),
        ("attn_k", "k"),
        ("attn_v", "v"),
        ("attn_output", "attn_out"),
        ("ffn_gate", "ffn_gate"),
        ("ffn_up", "ffn_up"),
        ("ffn_down", "ffn_out"),
    ];
    for kind in [Kind::Ternary, Kind::Llama] {
        for sizes in [RECTANGLES, SQUARES, ALL_SQUARES] {
            let file = file_of(kind, sizes);
            let mut all = file.clone();
            for (weight, stage) in weights {
                let name = format!("blk.1.{weight}.weight");
                let other = own(&changed(&file, &name, transposed));
                assert_named(&format!("{kind:?} {sizes:?} {name}"), &file, &other, &format!("blk.1.{stage}"), "transposed weight", weight);
                for layer in 0..2 {
                    all = changed(&all, &format!("blk.{layer}.{weight}.weight"), transposed);
                }
            }
            assert_named(&format!("{kind:?} {sizes:?}, all"), &file, &own(&all), "blk.0.q", "transposed weight", "attn_q");
            let found = compared(&file, &own(&all), true).diagnoses.len();
            assert_eq!(found, 14, "every weight of both layers is named");
        }
    }
}

/// Hugging Face's file holds rows of q and k in another order than GGUF: exchanged there, a weight is no transposition of the one here.
#[test]
fn a_weight_transposed_in_hugging_faces_order_is_named() {
    for sizes in [RECTANGLES, SQUARES] {
        let (file, half) = (llama_file(sizes), sizes[3] / 2);
        for (weight, stage) in [("attn_q", "q"), ("attn_k", "k")] {
            let other = changed(&file, &format!("blk.0.{weight}.weight"), |values, rows, cols| {
                let head = |r: usize| r / (2 * half) * 2 * half;
                let take = |from: &[f32], order: &dyn Fn(usize) -> usize| -> Vec<f32> {
                    (0..rows).flat_map(|r| from[(head(r) + order(r % (2 * half))) * cols..][..cols].to_vec()).collect()
                };
                let theirs = take(values, &|i| i % half * 2 + i / half);
                take(&transposed(&theirs, rows, cols), &|i| i / 2 + i % 2 * half)
            });
            let case = format!("{sizes:?} {weight}");
            assert_named(&case, &file, &own(&other), &format!("blk.0.{stage}"), "transposed weight", "in Hugging Face's order");
        }
    }
}

#[test]
fn the_vocabulary_matrix_in_another_layout_is_named() {
    for kind in [Kind::Ternary, Kind::Llama] {
        for sizes in [RECTANGLES, SQUARES] {
            let file = file_of(kind, sizes);
            for (name, tensor) in [("token_embd", "inp_embd"), ("output", "result_output")] {
                let other = own(&changed(&file, &format!("{name}.weight"), transposed));
                let case = format!("{kind:?} {sizes:?} {name}");
                assert_named(&case, &file, &other, tensor, "wrong layout of the vocabulary matrix", name);
            }
            let tied = own(&Parts::read(&file).without_tensor("output.weight").write());
            assert_named("tied", &file, &tied, "result_output", "head tied to the embedding", "token_embd");
        }
    }
}

#[test]
fn rows_of_q_and_k_permuted_as_between_hugging_face_and_gguf_are_named() {
    for kind in [Kind::Ternary, Kind::Llama] {
        for sizes in [RECTANGLES, SQUARES] {
            let (file, half) = (file_of(kind, sizes), sizes[3] / 2);
            let to_interleaved = |r: usize| r / 2 + r % 2 * half;
            let to_halved = |r: usize| r % half * 2 + r / half;
            for (weight, stage) in [("attn_q", "q"), ("attn_k", "k")] {
                let name = format!("blk.0.{weight}.weight");
                for (order, text) in [
                    (&to_interleaved as &dyn Fn(usize) -> usize, "half-rotated to interleaved"),
                    (&to_halved, "interleaved to half-rotated"),
                ] {
                    let permute = |values: &[f32], rows: usize, cols: usize| -> Vec<f32> {
                        (0..rows)
                            .flat_map(|r| values[(r / (2 * half) * 2 * half + order(r % (2 * half))) * cols..][..cols].to_vec())
                            .collect()
                    };
                    let mut other = changed(&file, &name, permute);
                    if kind == Kind::Llama {
                        other = changed(&other, &format!("blk.0.{weight}.bias"), |v, _, cols| permute(v, cols, 1));
                    }
                    let case = format!("{kind:?} {sizes:?} {name} {text}");
                    assert_named(&case, &file, &own(&other), &format!("blk.0.{stage}"), "permuted rows of a weight", text);
                }
            }
        }
    }
}

#[test]
fn norm_weights_left_out_or_multiplied_twice_are_named_at_every_norm() {
    for (kind, sizes) in [(Kind::Ternary, RECTANGLES), (Kind::Ternary, SQUARES), (Kind::Llama, RECTANGLES), (Kind::Llama, SQUARES)] {
        let file = file_of(kind, sizes);
        let subs = if kind == Kind::Ternary { &["blk.1.attn_sub_norm", "blk.1.ffn_sub_norm"][..] } else { &[] };
        for norm in ["blk.1.attn_norm", "blk.1.ffn_norm", "output_norm"].iter().chain(subs) {
            let tensor = if *norm == "output_norm" { "result_norm" } else { norm };
            let short = norm.trim_start_matches("blk.1.");
            let missing = own(&changed(&file, &format!("{norm}.weight"), |v, _, _| vec![1.0; v.len()]));
            assert_named(&format!("{kind:?} {norm}"), &file, &missing, tensor, "missing norm weight", short);
            let doubled = own(&changed(&file, &format!("{norm}.weight"), |v, _, _| v.iter().map(|g| g * g).collect()));
            assert_named(&format!("{kind:?} {norm}"), &file, &doubled, tensor, "doubled norm weight", short);
        }
    }
}

#[test]
fn constants_exchanged_weights_and_missing_scales_and_biases_of_a_file_are_named() {
    for kind in [Kind::Ternary, Kind::Llama] {
        let prefix = if kind == Kind::Ternary { "bitnet-b1.58" } else { "llama" };
        for sizes in [RECTANGLES, SQUARES, ALL_SQUARES] {
            let file = file_of(kind, sizes);
            let case = |what: &str| format!("{kind:?} {sizes:?} {what}");
            let set = |key: &str, value: f32| own(&Parts::read(&file).set(&format!("{prefix}.{key}"), Metadata::F32(value)).write());
            let other = set("rope.freq_base", 500_000.0);
            assert_named(&case("theta"), &file, &other, "blk.0.q_rope", "wrong theta", "theta 500000 instead of 10000");
            let other = set("attention.layer_norm_rms_epsilon", 1e-6);
            assert_named(&case("epsilon"), &file, &other, "blk.0.attn_norm", "wrong epsilon", "epsilon 1e-6 instead of 1e-5");
            let exchange = |a: &str, b: &str| {
                let mut parts = Parts::read(&file);
                for tensor in &mut parts.tensors {
                    for kind in ["weight", "bias"] {
                        let (x, y) = (format!("blk.0.{a}.{kind}"), format!("blk.0.{b}.{kind}"));
                        if tensor.name == x {
                            tensor.name = y;
                        } else if tensor.name == y {
                            tensor.name = x;
                        }
                    }
                }
                own(&parts.write())
            };
            let gate = exchange("ffn_gate", "ffn_up");
            assert_named(&case("gate, up"), &file, &gate, "blk.0.ffn_gate", "exchanged gate and up", "weight");
            let kv = exchange("attn_k", "attn_v");
            assert_named(&case("k, v"), &file, &kv, "blk.0.k", "exchanged q, k or v", "attn_k and attn_v");
            if sizes == ALL_SQUARES {
                let qk = exchange("attn_q", "attn_k");
                assert_named(&case("q, k"), &file, &qk, "blk.0.q", "exchanged q, k or v", "attn_q and attn_k");
            }
            if kind == Kind::Llama {
                let bare = own(&Parts::read(&file).without_tensor("blk.1.attn_v.bias").write());
                assert_named(&case("bias"), &file, &bare, "blk.1.v", "missing bias", "attn_v.bias");
                let scaled = Parts::read(&file).set("llama.rope.scaling.factor", Metadata::F32(4.0)).write();
                assert_named(&case("scaling"), &scaled, &own(&file), "blk.0.q_rope", "RoPE scaling ignored", "");
            } else {
                let signs = |v: &[f32], _, _| v.iter().map(|v| if *v == 0.0 { 0.0 } else { v.signum() }).collect();
                let unscaled = own(&changed(&file, "blk.1.ffn_down.weight", signs));
                assert_named(&case("scale"), &file, &unscaled, "blk.1.ffn_out", "missing scale", "of ffn_down");
                let silu = own(&Parts::read(&file).set("tritforge.activation", Metadata::Text("silu".into())).write());
                assert_named(&case("activation"), &file, &silu, "blk.0.ffn_act", "other activation", "SiLU instead of relu²");
            }
        }
    }
}
