//! Small random models of both graphs, their executions by the library and by plain loops (`plain.rs`), and what `diff` must say of two of them.
//! Shapes: one where no two sizes are equal, with two query heads a KV head, and two of squares (width = heads x head size = feed-forward width =
//! vocabulary), which hide a transposition from every check of sizes.
#![allow(dead_code)]

use tritforge::diff::graph::Evaluator;
use tritforge::diff::{Comparison, Settings, diff};
use tritforge::model::gguf::{Gguf, GgufWriter, Metadata, TensorType};
use tritforge::model::synth::{Synth, parse_shape};
use tritforge::model::{LlamaModel, Model};
use tritforge::trace::{Loaded, Runner, Trace};

use crate::plain::{Fault, Plain};
use crate::support::parts::Parts;

pub const IDS: [u32; 9] = [1, 30, 7, 19, 2, 30, 11, 5, 23];

/// Which graph, and whether sizes are equal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Ternary,
    Llama,
}

/// Sizes of the two shapes: width, heads, KV heads, head size, feed-forward, vocabulary.
pub const RECTANGLES: [usize; 6] = [48, 4, 2, 16, 80, 36];
pub const SQUARES: [usize; 6] = [64, 4, 2, 16, 64, 64];
/// As the squares, every head with keys of its own.
pub const ALL_SQUARES: [usize; 6] = [64, 4, 4, 16, 64, 64];

pub fn ternary_file([dim, heads, kv, head_dim, ffn, vocab]: [usize; 6]) -> Vec<u8> {
    let text = format!(
        "layers=2,dim={dim},heads={heads},kv={kv},head_dim={head_dim},ffn={ffn},vocab={vocab},ctx=32,theta=10000,eps=1e-5,tied=false"
    );
    let (shape, tied) = parse_shape(&text).unwrap();
    Synth { shape, tied, seed: 3, kind: TensorType::F32 }.build()
}

/// Numbers in -1 to 1 of a stream.
pub fn random(stream: u64) -> impl FnMut() -> f32 {
    let mut state = stream.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 40) as f32 / (1 << 23) as f32) - 1.0
    }
}

/// A Llama with biases, in F32.
pub fn llama_file([dim, heads, kv, head_dim, ffn, vocab]: [usize; 6]) -> Vec<u8> {
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

pub fn file_of(kind: Kind, sizes: [usize; 6]) -> Vec<u8> {
    match kind {
        Kind::Ternary => ternary_file(sizes),
        Kind::Llama => llama_file(sizes),
    }
}

/// Our own execution of a file, in f64.
pub fn own(file: &[u8]) -> Trace {
    let parsed = Gguf::parse(file).unwrap();
    let mut loaded = Loaded::new("model.gguf".as_ref(), &parsed, vec![file]).unwrap();
    loaded.load(Runner::F64).unwrap();
    loaded.record(Runner::F64, &IDS, None).unwrap()
}

/// The plain loops' execution.
pub fn plain(kind: Kind, file: &[u8], fault: Fault) -> Trace {
    let parsed = Gguf::parse(file).unwrap();
    match kind {
        Kind::Ternary => Plain::ternary(&Model::from_gguf(&parsed).unwrap()).run(&IDS, fault),
        Kind::Llama => Plain::llama(&LlamaModel::from_gguf(&parsed).unwrap()).run(&IDS, fault),
    }
}

/// Compares our own execution of `file` with `other`, with `file` as the model.
pub fn compared(file: &[u8], other: &Trace, stage_by_stage: bool) -> Comparison {
    let parsed = Gguf::parse(file).unwrap();
    let mut loaded = Loaded::new("model.gguf".as_ref(), &parsed, vec![file]).unwrap();
    loaded.load(Runner::F64).unwrap();
    let evaluator = Evaluator::new(loaded.graph(Runner::F64).unwrap());
    diff(&own(file), other, Some(&evaluator), None, Settings { tolerance: None, stage_by_stage })
}

/// The fault must part at `tensor` and be named there as `name` with `what` in it, it alone; and stage by stage nothing else may be named
/// anywhere.
#[track_caller]
pub fn assert_named(case: &str, file: &[u8], other: &Trace, tensor: &str, name: &str, what: &str) {
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

/// The tensor's numbers, F32.
pub fn numbers(parts: &Parts, name: &str) -> (Vec<u64>, Vec<f32>) {
    let tensor = parts.tensors.iter().find(|t| t.name == name).unwrap();
    let values = match tensor.kind {
        TensorType::F32 => tensor.stored.as_chunks().0.iter().map(|&w| f32::from_le_bytes(w)).collect(),
        TensorType::F16 => tensor.stored.as_chunks().0.iter().map(|&w| half::f16::from_le_bytes(w).to_f32()).collect(),
        other => panic!("{other:?}"),
    };
    (tensor.sizes.clone(), values)
}

/// A copy of the file with one tensor's numbers changed.
pub fn changed(file: &[u8], name: &str, change: impl FnOnce(&[f32], usize, usize) -> Vec<f32>) -> Vec<u8> {
    let parts = Parts::read(file);
    let (sizes, values) = numbers(&parts, name);
    let (cols, rows) = (sizes[0] as usize, sizes.get(1).map_or(1, |&r| r as usize));
    let stored = change(&values, rows, cols).into_iter().flat_map(f32::to_le_bytes).collect();
    parts.store(name, TensorType::F32, &sizes, stored).write()
}

/// Rows and columns exchanged in memory, the sizes kept.
pub fn transposed(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    (0..rows * cols).map(|at| values[at % cols * rows + at / cols]).collect()
}
