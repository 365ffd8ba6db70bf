//! The proof that `diff` finds what it is for: every usual mistake is planted, in a copy of the model's file or in a second forward pass written
//! here (`support/plain.rs`), and must be named, it alone. Shapes: one where no two sizes are equal, with two query heads a KV head, and one of
//! squares (width = heads x head size = feed-forward width = vocabulary), which hide a transposition from every check of sizes.

#[path = "support/plain.rs"]
mod plain;
mod support;

use plain::{Fault, Plain};
use support::parts::Parts;
use tritforge::diff::graph::{Evaluator, Graph};
use tritforge::diff::report;
use tritforge::diff::{Comparison, Settings, Verdict, diff};
use tritforge::model::gguf::{Gguf, GgufWriter, Metadata, TensorType};
use tritforge::model::judge::{Place, Stage};
use tritforge::model::quant::encode::encode_row;
use tritforge::model::synth::{Synth, parse_shape};
use tritforge::model::{LlamaModel, Model};
use tritforge::trace::{Loaded, Runner, Trace};

const IDS: [u32; 9] = [1, 30, 7, 19, 2, 30, 11, 5, 23];

/// Which graph, and whether sizes are equal.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Ternary,
    Llama,
}

/// Sizes of the two shapes: width, heads, KV heads, head size, feed-forward, vocabulary.
const RECTANGLES: [usize; 6] = [48, 4, 2, 16, 80, 36];
const SQUARES: [usize; 6] = [64, 4, 2, 16, 64, 64];
/// As the squares, every head with keys of its own.
const ALL_SQUARES: [usize; 6] = [64, 4, 4, 16, 64, 64];

fn ternary_file([dim, heads, kv, head_dim, ffn, vocab]: [usize; 6]) -> Vec<u8> {
    let text = format!(
        "layers=2,dim={dim},heads={heads},kv={kv},head_dim={head_dim},ffn={ffn},vocab={vocab},ctx=32,theta=10000,eps=1e-5,tied=false"
    );
    let (shape, tied) = parse_shape(&text).unwrap();
    Synth { shape, tied, seed: 3, kind: TensorType::F32 }.build()
}

/// Numbers in -1 to 1 of a stream.
fn random(stream: u64) -> impl FnMut() -> f32 {
    let mut state = stream.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 40) as f32 / (1 << 23) as f32) - 1.0
    }
}

/// A Llama with biases, in F32.
fn llama_file([dim, heads, kv, head_dim, ffn, vocab]: [usize; 6]) -> Vec<u8> {
    let mut file = GgufWriter::new();
    file.metadata("general.architecture", &Metadata::Text("llama".into()));
    let sizes = [
        ("block_count", 2),
        ("context_length", 32),
        ("embedding_length", dim),
        ("feed_forward_length", ffn),
        ("attention.head_count", heads),
        ("attention.head_count_kv", kv),
        ("attention.key_length", head_dim),
        ("attention.value_length", head_dim),
        ("rope.dimension_count", head_dim),
        ("vocab_size", vocab),
    ];
    for (name, size) in sizes {
        file.metadata(&format!("llama.{name}"), &Metadata::U32(size as u32));
    }
    file.metadata("llama.attention.layer_norm_rms_epsilon", &Metadata::F32(1e-5));
    file.metadata("llama.rope.freq_base", &Metadata::F32(10000.0));
    let mut stream = 0;
    let mut tensor = |name: &str, rows: usize, cols: usize, middle: f32, spread: f32| {
        stream += 1;
        let mut random = random(stream);
        let stored: Vec<u8> = (0..rows * cols).flat_map(|_| (middle + spread * random()).to_le_bytes()).collect();
        let sizes: &[u64] = if rows == 1 { &[cols as u64] } else { &[cols as u64, rows as u64] };
        file.tensor(name, TensorType::F32, sizes, &stored);
    };
    let spread = |cols: usize| 1.7 / (cols as f32).sqrt();
    tensor("token_embd.weight", vocab, dim, 0.0, 0.5);
    tensor("output.weight", vocab, dim, 0.0, spread(dim));
    tensor("output_norm.weight", 1, dim, 1.0, 0.4);
    for layer in 0..2 {
        let query = heads * head_dim;
        for (name, size) in [("attn_norm", dim), ("ffn_norm", dim)] {
            tensor(&format!("blk.{layer}.{name}.weight"), 1, size, 1.0, 0.4);
        }
        for (name, rows, cols) in [
            ("attn_q", query, dim),
            ("attn_k", kv * head_dim, dim),
            ("attn_v", kv * head_dim, dim),
            ("attn_output", dim, query),
            ("ffn_gate", ffn, dim),
            ("ffn_up", ffn, dim),
            ("ffn_down", dim, ffn),
        ] {
            tensor(&format!("blk.{layer}.{name}.weight"), rows, cols, 0.0, spread(cols));
            tensor(&format!("blk.{layer}.{name}.bias"), 1, rows, 0.0, 0.3);
        }
    }
    file.finish()
}

fn file_of(kind: Kind, sizes: [usize; 6]) -> Vec<u8> {
    match kind {
        Kind::Ternary => ternary_file(sizes),
        Kind::Llama => llama_file(sizes),
    }
}

/// Our own execution of a file, in f64.
fn own(file: &[u8]) -> Trace {
    let parsed = Gguf::parse(file).unwrap();
    let mut loaded = Loaded::new("model.gguf".as_ref(), &parsed, vec![file]).unwrap();
    loaded.load(Runner::F64).unwrap();
    loaded.record(Runner::F64, &IDS, None).unwrap()
}

/// The plain loops' execution.
fn plain(kind: Kind, file: &[u8], fault: Fault) -> Trace {
    let parsed = Gguf::parse(file).unwrap();
    match kind {
        Kind::Ternary => Plain::ternary(&Model::from_gguf(&parsed).unwrap()).run(&IDS, fault),
        Kind::Llama => Plain::llama(&LlamaModel::from_gguf(&parsed).unwrap()).run(&IDS, fault),
    }
}

/// Compares our own execution of `file` with `other`, with `file` as the model.
fn compared(file: &[u8], other: &Trace, stage_by_stage: bool) -> Comparison {
    let parsed = Gguf::parse(file).unwrap();
    let mut loaded = Loaded::new("model.gguf".as_ref(), &parsed, vec![file]).unwrap();
    loaded.load(Runner::F64).unwrap();
    let evaluator = Evaluator::new(loaded.graph(Runner::F64).unwrap());
    diff(&own(file), other, Some(&evaluator), None, Settings { tolerance: None, stage_by_stage })
}

/// The fault must part at `tensor` and be named there as `name` with `what` in it, it alone; and stage by stage nothing else may be named
/// anywhere.
#[track_caller]
fn assert_named(case: &str, file: &[u8], other: &Trace, tensor: &str, name: &str, what: &str) {
    let found = compared(file, other, false);
    assert_eq!(found.first_parting.as_deref(), Some(tensor), "{case}");
    let [diagnosis] = &found.diagnoses[..] else { panic!("{case}: {:?}", found.diagnoses) };
    let [finding] = &diagnosis.findings[..] else { panic!("{case}: {diagnosis:#?}") };
    assert!(finding.name == name && finding.what.contains(what), "{case}: expected {name} ({what}), found {finding:?}");
    assert!(finding.after < 1e-7 && finding.before > 1e-9, "{case}: {finding:?}");
    for diagnosis in compared(file, other, true).diagnoses {
        let names: Vec<&str> = diagnosis.findings.iter().map(|f| f.name).collect();
        assert_eq!(names, [name], "{case}, stage by stage at {}", diagnosis.tensor);
    }
}

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
        (Fault::OtherActivation, "blk.0.ffn_act", "other activation", "instead of"),
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
        (Fault::OtherActivation, "other activation"),
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
            for weight in ["attn_k", "attn_output", "ffn_down"] {
                let other = own(&changed(&file, &format!("blk.0.{weight}.weight"), transposed));
                named(other, "transposed weight", &format!("{kind:?} {sizes:?} {weight}"));
            }
        }
    }
}

/// The tensor's numbers, F32.
fn numbers(parts: &Parts, name: &str) -> (Vec<u64>, Vec<f32>) {
    let tensor = parts.tensors.iter().find(|t| t.name == name).unwrap();
    let values = match tensor.kind {
        TensorType::F32 => tensor.stored.as_chunks().0.iter().map(|&w| f32::from_le_bytes(w)).collect(),
        TensorType::F16 => tensor.stored.as_chunks().0.iter().map(|&w| half::f16::from_le_bytes(w).to_f32()).collect(),
        other => panic!("{other:?}"),
    };
    (tensor.sizes.clone(), values)
}

/// A copy of the file with one tensor's numbers changed.
fn changed(file: &[u8], name: &str, change: impl FnOnce(&[f32], usize, usize) -> Vec<f32>) -> Vec<u8> {
    let parts = Parts::read(file);
    let (sizes, values) = numbers(&parts, name);
    let (cols, rows) = (sizes[0] as usize, sizes.get(1).map_or(1, |&r| r as usize));
    let stored = change(&values, rows, cols).into_iter().flat_map(f32::to_le_bytes).collect();
    parts.store(name, TensorType::F32, &sizes, stored).write()
}

/// Rows and columns exchanged in memory, the sizes kept.
fn transposed(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    (0..rows * cols).map(|at| values[at % cols * rows + at / cols]).collect()
}

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

/// Sets some values of a stage.
fn spoil(mut trace: Trace, layer: usize, stage: Stage, at: std::ops::Range<usize>, value: f64) -> Trace {
    let tensor = trace.get_mut(Place { layer: Some(layer), stage }).unwrap();
    let at = at.start..at.end.min(tensor.values.len());
    tensor.values[at].fill(value);
    trace
}

#[test]
fn values_that_are_no_numbers_and_zeros_are_said_and_nothing_is_suspected() {
    for kind in [Kind::Ternary, Kind::Llama] {
        let file = file_of(kind, RECTANGLES);
        let cases = [
            (Stage::V, 5..6, f64::NAN, "b holds 1 of 288 values that are no numbers (first at token 0, head 0, element 5)"),
            (Stage::KqSoft, 9..11, f64::NAN, "b holds 2 of 324 values that are no numbers (first at head 0, query 1, key 0)"),
            (Stage::FfnAct, 80..usize::MAX, f64::INFINITY, "b holds 640 of 720 values that are no numbers (first at token 1, element 0)"),
            (Stage::FfnOut, 0..usize::MAX, 0.0, "b is all zeros"),
            (Stage::Q, 0..usize::MAX, 0.0, "b is all zeros"),
        ];
        for (stage, at, value, said) in cases {
            let other = spoil(own(&file), 1, stage, at, value);
            let found = compared(&file, &other, false);
            let row = found.rows.iter().find(|row| row.verdict == Verdict::Parts).unwrap();
            assert_eq!(row.note.as_deref(), Some(said), "{kind:?} {stage:?}");
            assert_eq!(found.first_parting.as_ref(), Some(&row.tensor));
            assert!(found.diagnoses.is_empty() && !found.equal(), "{kind:?} {stage:?}: {:?}", found.diagnoses);
            assert!(report::text(&found, false).contains(&format!("PARTS at {}: {said}", row.tensor)));
            for diagnosis in compared(&file, &other, true).diagnoses {
                assert!(diagnosis.before.is_finite() && diagnosis.findings.iter().all(|f| f.after.is_finite()), "{diagnosis:?}");
            }
        }
        let (a, b) = (spoil(own(&file), 0, Stage::V, 0..1, f64::NAN), spoil(own(&file), 0, Stage::V, 0..1, f64::NAN));
        let found = diff(&a, &b, None, None, Settings::default());
        assert!(!found.equal() && !found.only_ties);
        let row = found.rows.iter().find(|row| row.verdict == Verdict::Parts).unwrap();
        assert_eq!(row.tensor, "blk.0.v", "two values that are no numbers are not equal");
        // What kq holds behind its query is nobody's.
        let (a, b) = (spoil(own(&file), 0, Stage::Kq, 1..2, f64::NAN), spoil(own(&file), 0, Stage::Kq, 1..2, f64::INFINITY));
        assert!(diff(&a, &b, None, None, Settings::default()).equal());
    }
}

/// Quantised weights: llama.cpp rounds what they are multiplied with, and only its own arithmetic gives its numbers.
#[test]
fn llama_cpps_rounding_of_activations_is_named_and_no_fault_where_both_sides_have_it() {
    let mut parts = Parts::read(&llama_file(SQUARES));
    for tensor in parts.tensors.iter_mut().filter(|t| t.sizes.len() == 2 && t.name.starts_with("blk.")) {
        let values: Vec<f32> = tensor.stored.as_chunks().0.iter().map(|&w| f32::from_le_bytes(w)).collect();
        let mut stored = vec![0; TensorType::Q8_0.stored_bytes(values.len() as u64).unwrap() as usize];
        encode_row(TensorType::Q8_0, &values, &mut stored).unwrap();
        (tensor.kind, tensor.stored) = (TensorType::Q8_0, stored);
    }
    let file = parts.write();
    let recorded = |runner| {
        let parsed = Gguf::parse(&file).unwrap();
        let mut loaded = Loaded::new("model.gguf".as_ref(), &parsed, vec![&file[..]]).unwrap();
        loaded.load(runner).unwrap();
        loaded.record(runner, &IDS, None).unwrap()
    };
    let parsed = Gguf::parse(&file).unwrap();
    let model = LlamaModel::from_gguf(&parsed).unwrap();
    let evaluator = Evaluator::new(Graph::Llama(&model));
    let settings = Settings { tolerance: Some(4e-3), stage_by_stage: true };
    let found = diff(&own(&file), &recorded(Runner::Ggml), Some(&evaluator), None, settings);
    assert_eq!(found.first_parting.as_deref(), Some("blk.0.q"));
    assert!(found.diagnoses.len() > 4);
    for diagnosis in &found.diagnoses {
        let names: Vec<&str> = diagnosis.findings.iter().map(|f| f.name).collect();
        assert_eq!(names, ["llama.cpp's rounding of activations"], "{diagnosis:?}");
    }
    let found = diff(&recorded(Runner::Wide), &recorded(Runner::Ggml), Some(&evaluator), None, settings);
    assert!(found.first_parting.is_none(), "{:?}", found.first_parting);
}

/// A trace of another model: its axes are compared before anything is computed from it.
#[test]
fn a_trace_of_a_model_of_other_sizes_is_told_and_nothing_is_suspected() {
    for kind in [Kind::Ternary, Kind::Llama] {
        for [sizes, others] in [[RECTANGLES, SQUARES], [SQUARES, RECTANGLES], [SQUARES, ALL_SQUARES], [ALL_SQUARES, SQUARES]] {
            let (file, other) = (file_of(kind, sizes), own(&file_of(kind, others)));
            for stage_by_stage in [false, true] {
                let found = compared(&file, &other, stage_by_stage);
                let first = found.rows.iter().find(|row| row.verdict == Verdict::Unlike).unwrap();
                assert!(first.note.as_ref().unwrap().starts_with("shapes ["));
                let of_model = found.rows.iter().position(|row| row.tensor == first.tensor).unwrap();
                assert!(found.diagnoses.iter().all(|d| found.rows[..of_model].iter().any(|row| row.tensor == d.tensor)));
                assert!(report::text(&found, true).contains(&format!("{:<24}", first.tensor)));
            }
            // Two traces of the other model, beside this one.
            let parsed = Gguf::parse(&file).unwrap();
            let mut loaded = Loaded::new("model.gguf".as_ref(), &parsed, vec![&file[..]]).unwrap();
            loaded.load(Runner::F64).unwrap();
            let evaluator = Evaluator::new(loaded.graph(Runner::F64).unwrap());
            let found = diff(&other, &other, Some(&evaluator), None, Settings::default());
            assert!(found.equal() && found.diagnoses.is_empty());
        }
    }
}

/// Everything between tokens and logits is computed under each suspect, once each; and where that is much, parameters are not searched for.
#[test]
fn a_trace_of_the_logits_alone_is_diagnosed_in_a_bounded_number_of_evaluations() {
    let file = std::fs::read(support::embedded("stories3m.tq2_0.gguf")).unwrap();
    let spoilt = Parts::read(&file).set("bitnet-b1.58.attention.layer_norm_rms_epsilon", Metadata::F32(1e-3)).write();
    let mut other = own(&spoilt);
    let places: Vec<Place> = other.iter().map(|(place, _)| place).filter(|place| place.stage != Stage::ResultOutput).collect();
    places.into_iter().for_each(|place| drop(other.remove(place)));
    let found = compared(&file, &other, false);
    assert_eq!(found.first_parting.as_deref(), Some("result_output"));
    let [diagnosis] = &found.diagnoses[..] else { panic!("{:?}", found.diagnoses) };
    assert!(diagnosis.findings.iter().any(|f| f.name == "wrong epsilon"), "{diagnosis:#?}");
    assert!(diagnosis.tried < 120 && diagnosis.limits.as_ref().unwrap().contains("usual values"), "{diagnosis:#?}");
}
