//! llama2.c checkpoints: every version's weights, found again where a plain writer put them; the published files against the
//! same model as GGUF; damaged ones.

mod support;

use std::path::Path;

use half::f16;
use support::program::Folder;
use support::test_data;
use tritforge::model::gguf::{Gguf, GgufFile, TensorType};
use tritforge::model::import::llama2c;
use tritforge::model::judge::arg_max;
use tritforge::model::llama::{Llama, LlamaModel, Wanted};
use tritforge::model::quant::{Arithmetic, Matrix};
use tritforge::model::{ModelFile, Refusal, Tokenizer};

/// No size equals another one, so that exchanged ones are seen.
const DIM: usize = 24;
const FFN: usize = 40;
const LAYERS: usize = 2;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const VOCAB: usize = 12;
const CONTEXT: usize = 10;
const KV: usize = DIM / HEADS * KV_HEADS;

/// Names and sizes (rows, columns) of the matrices of a layer, in the order of a checkpoint.
const MATRICES: [(&str, usize, usize); 7] = [
    ("attn_q", DIM, DIM),
    ("attn_k", KV, DIM),
    ("attn_v", KV, DIM),
    ("attn_output", DIM, DIM),
    ("ffn_gate", FFN, DIM),
    ("ffn_down", DIM, FFN),
    ("ffn_up", FFN, DIM),
];

/// A value of its own for each element of each tensor.
fn value(name: &str, at: usize) -> f32 {
    let hash = name.bytes().fold(at as u32 ^ 0x9e37_79b9, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash >> 9) as f32 / (1 << 23) as f32 - 0.5
}

fn code(name: &str, at: usize) -> i8 {
    (value(name, at) * 254.0) as i8
}

fn words(words: &[i32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn put(out: &mut Vec<u8>, name: &str, elements: usize) {
    (0..elements).for_each(|at| out.extend(value(name, at).to_le_bytes()));
}

fn layers(part: &str) -> impl Iterator<Item = String> {
    (0..LAYERS).map(move |layer| format!("blk.{layer}.{part}.weight"))
}

fn sizes(vocab: i32) -> [i32; 7] {
    [DIM as i32, FFN as i32, LAYERS as i32, HEADS as i32, KV_HEADS as i32, vocab, CONTEXT as i32]
}

fn old(tied: bool) -> Vec<u8> {
    let mut out = words(&sizes(if tied { VOCAB as i32 } else { -(VOCAB as i32) }));
    put(&mut out, "token_embd.weight", VOCAB * DIM);
    let matrices = |out: &mut Vec<u8>, of: std::ops::Range<usize>| {
        MATRICES[of].iter().for_each(|(part, rows, cols)| layers(part).for_each(|name| put(out, &name, rows * cols)));
    };
    layers("attn_norm").for_each(|name| put(&mut out, &name, DIM));
    matrices(&mut out, 0..4);
    layers("ffn_norm").for_each(|name| put(&mut out, &name, DIM));
    matrices(&mut out, 4..7);
    put(&mut out, "output_norm.weight", DIM);
    put(&mut out, "nothing", CONTEXT * (DIM / HEADS));
    if !tied {
        put(&mut out, "output.weight", VOCAB * DIM);
    }
    out
}

fn header(version: i32, tied: bool, group: i32) -> Vec<u8> {
    let mut out = words(&[0x616b_3432, version]);
    out.extend(words(&sizes(VOCAB as i32)));
    out.push(u8::from(tied));
    if version == 2 {
        out.extend(words(&[group]));
    }
    out.resize(256, 0);
    out
}

/// Versions 1 and 2: norms first, then every matrix by `matrix`.
fn later(mut out: Vec<u8>, tied: bool, matrix: &dyn Fn(&mut Vec<u8>, &str, usize)) -> Vec<u8> {
    for part in ["attn_norm", "ffn_norm"] {
        layers(part).for_each(|name| put(&mut out, &name, DIM));
    }
    put(&mut out, "output_norm.weight", DIM);
    matrix(&mut out, "token_embd.weight", VOCAB * DIM);
    MATRICES.iter().for_each(|(part, rows, cols)| layers(part).for_each(|name| matrix(&mut out, &name, rows * cols)));
    if !tied {
        matrix(&mut out, "output.weight", VOCAB * DIM);
    }
    out
}

fn put_quantised(out: &mut Vec<u8>, name: &str, elements: usize, group: usize, scale: &dyn Fn(usize) -> f32) {
    out.extend((0..elements).map(|at| code(name, at).to_le_bytes()[0]));
    (0..elements / group).for_each(|at| out.extend(scale(at).to_le_bytes()));
}

/// Every tensor of the model has its sizes and, element by element, `expected`'s values.
fn assert_weights(file: &[u8], tied: bool, expected: &dyn Fn(&str, usize) -> f32) {
    let import = llama2c::import(file, None).unwrap();
    let gguf = import.directory(&[file]).unwrap();
    let mut names: Vec<(String, usize, usize)> = vec![("token_embd.weight".into(), VOCAB, DIM), ("output_norm.weight".into(), 1, DIM)];
    names.extend((!tied).then(|| ("output.weight".into(), VOCAB, DIM)));
    for (part, rows, cols) in MATRICES.into_iter().chain([("attn_norm", 1, DIM), ("ffn_norm", 1, DIM)]) {
        names.extend(layers(part).map(|name| (name, rows, cols)));
    }
    assert_eq!(gguf.tensors().len(), names.len());
    for (name, rows, cols) in names {
        let tensor = gguf.need_tensor(&name).unwrap();
        assert_eq!(tensor.sizes, [cols as u64, rows as u64, 1, 1], "{name}");
        let mut at = 0;
        Matrix::new(&gguf, tensor).unwrap().for_each_value(|x| {
            assert_eq!(x.to_bits(), expected(&name, at).to_bits(), "{name}, element {at}");
            at += 1;
        });
        assert_eq!(at, rows * cols);
    }
    let model = LlamaModel::from_gguf(&gguf).unwrap();
    let shape = &model.shape;
    let found = [shape.dim, shape.ffn, shape.layers, shape.heads, shape.kv_heads, shape.vocab, shape.context];
    assert_eq!(found, [DIM, FFN, LAYERS, HEADS, KV_HEADS, VOCAB, CONTEXT]);
    assert_eq!((shape.rope.base, shape.rms_epsilon), (10000.0, 1e-5));
}

#[test]
fn float_versions_keep_every_weight_in_place() {
    for tied in [true, false] {
        assert_weights(&old(tied), tied, &value);
        assert_weights(&later(header(1, tied, 0), tied, &put), tied, &value);
    }
}

#[test]
fn quantised_groups_of_any_size_become_their_products() {
    let norm = |name: &str| name.contains("norm");
    for (group, tied) in [(8, true), (24, false)] {
        let scale = |at: usize| 0.011 + at as f32 * 1e-5;
        let file = later(header(2, tied, group as i32), tied, &|out, name, n| put_quantised(out, name, n, group, &scale));
        assert_weights(&file, tied, &|name, at| {
            if norm(name) { value(name, at) } else { f32::from(code(name, at)) * scale(at / group) }
        });
    }
}

#[test]
fn groups_of_32_with_half_precision_scales_stay_int8() {
    // Sizes of this model are no multiples of 32, so it has one of its own.
    let (dim, group) = (64usize, 64usize);
    let mut file = words(&[0x616b_3432, 2, dim as i32, dim as i32, 1, 2, 2, 8, 16]);
    file.push(1);
    file.extend(words(&[group as i32]));
    file.resize(256, 0);
    ["a", "b", "c"].iter().for_each(|name| put(&mut file, name, dim));
    let scale = |at: usize| f16::from_f32(0.02 + at as f32 * 1e-4).to_f32();
    put_quantised(&mut file, "e", 8 * dim, group, &scale);
    (0..7).for_each(|_| put_quantised(&mut file, "m", dim * dim, group, &scale));
    let import = llama2c::import(&file, None).unwrap();
    let gguf = import.directory(&[&file]).unwrap();
    for (name, seed, elements) in [("token_embd.weight", "e", 8 * dim), ("blk.0.ffn_down.weight", "m", dim * dim)] {
        let tensor = gguf.need_tensor(name).unwrap();
        assert_eq!((tensor.kind, tensor.origin), (TensorType::Q8_0, Some("int8 groups")));
        let mut at = 0;
        Matrix::new(&gguf, tensor).unwrap().for_each_value(|x| {
            assert_eq!(x, f32::from(code(seed, at)) * scale(at / group), "{name}, element {at}");
            at += 1;
        });
        assert_eq!(at, elements);
    }
    // One scale that f16 does not hold, and the tensor is f32.
    let last = file.len() - 4;
    file[last] ^= 1;
    let import = llama2c::import(&file, None).unwrap();
    assert_eq!(import.directory(&[&file]).unwrap().need_tensor("blk.0.ffn_up.weight").unwrap().kind, TensorType::F32);
}

fn greedy(gguf: &Gguf<'_>, prompt: &[u32], count: usize) -> Vec<u32> {
    let model = LlamaModel::from_gguf(gguf).unwrap();
    let llama = Llama::new(&model, Arithmetic::Ggml);
    let mut cache = llama.cache();
    let mut logits = llama.forward(prompt, &mut cache, Wanted::Last, &mut ()).unwrap().values;
    let mut ids = Vec::new();
    while ids.len() < count {
        ids.push(arg_max(&logits) as u32);
        logits = llama.forward(&ids[ids.len() - 1..], &mut cache, Wanted::Last, &mut ()).unwrap().values;
    }
    ids
}

#[test]
fn the_published_checkpoint_is_the_published_gguf_bit_for_bit() {
    let (Some(bin), Some(gguf)) = (test_data("llama2c/stories260K.bin"), test_data("gguf/stories260K.gguf")) else { return };
    let (bin, gguf) = (ModelFile::open_silently(&bin).unwrap(), GgufFile::open(&gguf).unwrap());
    assert_eq!(bin.format(), "llama2.c");
    let (found, expected) = (bin.parse().unwrap(), gguf.parse().unwrap());
    for tensor in expected.tensors() {
        // The GGUF file has the tied head a second time.
        let name = if tensor.name == "output.weight" { "token_embd.weight" } else { tensor.name };
        let mine = found.need_tensor(name).unwrap();
        assert_eq!(mine.sizes, tensor.sizes);
        assert!(found.tensor_bytes(mine) == expected.tensor_bytes(tensor), "{name}");
    }
    assert_eq!(found.tensors().len() + 1, expected.tensors().len());

    let (mine, theirs) = (Tokenizer::from_gguf(&found).unwrap(), Tokenizer::from_gguf(&expected).unwrap());
    for text in ["Once upon a time", " Tim  said \"hé\"\n\tto the 大 dog. ", "", "<s> a </s>"] {
        assert_eq!(mine.encode_prompt(text).unwrap(), theirs.encode_prompt(text).unwrap(), "{text:?}");
    }
    let prompt = theirs.encode_prompt("Once upon a time").unwrap();
    let ids = greedy(&expected, &prompt, 200);
    assert_eq!(greedy(&found, &prompt, 200), ids);
}

#[test]
fn the_published_int8_checkpoint_is_the_floats_within_half_a_step() {
    let (Some(floats), Some(int8)) = (test_data("llama2c/stories260K.bin"), test_data("llama2c/stories260K-q8.bin")) else { return };
    let (floats, int8) = (ModelFile::open_silently(&floats).unwrap(), ModelFile::open_silently(&int8).unwrap());
    let (floats, int8) = (floats.parse().unwrap(), int8.parse().unwrap());
    let values = |gguf: &Gguf<'_>, name: &str| {
        let mut out = Vec::new();
        Matrix::new(gguf, gguf.need_tensor(name).unwrap()).unwrap().for_each_value(|x| out.push(x));
        out
    };
    for tensor in floats.tensors() {
        let (exact, rounded) = (values(&floats, tensor.name), values(&int8, tensor.name));
        assert_eq!(exact.len(), rounded.len());
        for (exact, rounded) in exact.chunks(8).zip(rounded.chunks(8)) {
            let step = exact.iter().fold(0f32, |most, x| most.max(x.abs())) / 127.0;
            let bound = if tensor.name.contains("norm") { 0.0 } else { step * 0.5001 };
            for (x, y) in exact.iter().zip(rounded) {
                assert!((x - y).abs() <= bound, "{}: {x} and {y}, step {step}", tensor.name);
            }
        }
    }
    let prompt = [1, 403, 407];
    assert_eq!(greedy(&int8, &prompt, 40), greedy(&floats, &prompt, 40));
}

#[test]
fn a_tokenizer_of_another_size_beside_the_model_is_named_and_not_used() {
    let folder = Folder::new("llama2c-tokenizer");
    let model = folder.0.join("m.bin");
    std::fs::write(&model, old(true)).unwrap();
    let token = |text: &str| [&1.5f32.to_le_bytes()[..], &(text.len() as i32).to_le_bytes(), text.as_bytes()].concat();
    let tokenizer = |count: usize| [vec![8, 0, 0, 0], (0..count).flat_map(|id| token(&format!("t{id}"))).collect()].concat();
    std::fs::write(folder.0.join("tokenizer.bin"), tokenizer(VOCAB - 1)).unwrap();
    let file = ModelFile::open_silently(&model).unwrap();
    assert_eq!(file.warnings().len(), 1);
    assert!(file.warnings()[0].ends_with("tokenizer.bin: not used, it has 11 tokens and the model 12"), "{:?}", file.warnings());
    assert_eq!(Tokenizer::from_gguf(&file.parse().unwrap()).unwrap_err().refusal(), Some(Refusal::Vocabulary));
    std::fs::write(folder.0.join("tok12.bin"), tokenizer(VOCAB)).unwrap();
    let file = ModelFile::open_silently(&model).unwrap();
    assert!(file.warnings().is_empty());
    assert_eq!(Tokenizer::from_gguf(&file.parse().unwrap()).unwrap().len(), VOCAB);
}

#[test]
fn damaged_checkpoints_are_refused() {
    let whole = later(header(2, true, 8), true, &|out, name, n| put_quantised(out, name, n, 8, &|_| 0.1));
    let refusal = |bytes: &[u8]| llama2c::import(bytes, None).unwrap_err();
    for cut in [0, 27, 28, 100, 256, whole.len() - 1] {
        assert_eq!(refusal(&whole[..cut]).refusal(), Some(Refusal::Truncated), "{cut} bytes");
    }
    let longer = [&whole[..], &[0]].concat();
    assert_eq!(refusal(&longer).refusal(), Some(Refusal::Truncated));
    let changed = |at: usize, word: i32| {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        refusal(&bytes).refusal().unwrap()
    };
    assert_eq!(changed(4, 3), Refusal::Format);
    assert_eq!(changed(8, 0), Refusal::Bounds);
    assert_eq!(changed(16, i32::MAX), Refusal::Bounds);
    assert_eq!(changed(20, 5), Refusal::Contradiction);
    assert_eq!(changed(24, 3), Refusal::Contradiction);
    assert_eq!(changed(16, 1 << 24), Refusal::Truncated);
    // Groups that do not divide a tensor.
    assert_eq!(changed(37, 7), Refusal::Bounds);
    let gguf_expected = ModelFile::open_silently(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml").as_path());
    let text = gguf_expected.and_then(|file| file.parse().map(drop)).unwrap_err().to_string();
    assert!(text.starts_with("magic number: expected 'GGUF'"), "{text}");
}
