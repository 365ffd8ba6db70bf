//! Damaged, hostile and unsuitable model files: each is refused with one message that names the item, what was expected,
//! what was found, and the remedy. The messages are snapshots.

mod support;

use std::fmt::Write;

use support::parts::Parts;
use support::program::Folder;
use tritforge::model::gguf::{Gguf, GgufFile, GgufWriter, Metadata, TensorType};
use tritforge::model::judge::{Judge, Options};
use tritforge::model::{Model, ModelError, Tokenizer};

/// The messages of several cases, a line each.
fn messages(cases: Vec<(&str, Result<(), ModelError>)>) -> String {
    let mut out = String::new();
    for (case, result) in cases {
        let error = result.expect_err(case);
        writeln!(out, "{case}\n    {error}").unwrap();
    }
    out
}

fn parse(bytes: &[u8]) -> Result<(), ModelError> {
    Gguf::parse(bytes).map(drop)
}

fn load(parts: &Parts) -> Result<(), ModelError> {
    Model::from_gguf(&Gguf::parse(&parts.write())?).map(drop)
}

fn tokenizer(parts: &Parts) -> Result<(), ModelError> {
    Tokenizer::from_gguf(&Gguf::parse(&parts.write())?).map(drop)
}

/// Header with these counts, then `body`.
fn raw(tensors: u64, entries: u64, body: &[&[u8]]) -> Vec<u8> {
    let mut out = b"GGUF\x03\0\0\0".to_vec();
    out.extend(tensors.to_le_bytes());
    out.extend(entries.to_le_bytes());
    out.extend(body.concat());
    out
}

fn text(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text].concat()
}

/// One metadata entry: key, type, the value's bytes.
fn entry(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [&text(key.as_bytes())[..], &kind.to_le_bytes(), value].concat()
}

/// One entry of the tensor directory.
fn tensor(name: &str, sizes: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let mut out = text(name.as_bytes());
    out.extend((sizes.len() as u32).to_le_bytes());
    sizes.iter().for_each(|size| out.extend(size.to_le_bytes()));
    out.extend(kind.to_le_bytes());
    out.extend(offset.to_le_bytes());
    out
}

/// A file of these directory entries and `data_bytes` of data.
fn tensors(entries: &[Vec<u8>], data_bytes: usize) -> Vec<u8> {
    let mut out = raw(entries.len() as u64, 0, &[&entries.concat()]);
    out.resize(out.len().next_multiple_of(32) + data_bytes, 0);
    out
}

const MANY: [u8; 8] = (1u64 << 60).to_le_bytes();

#[test]
fn headers_and_metadata_that_break_the_format() {
    let nested = [9u32.to_le_bytes().as_slice(), &1u64.to_le_bytes()].concat().repeat(8);
    let found = messages(vec![
        ("empty", parse(b"")),
        ("another format", parse(b"\x08\0\0\0\0\0\0\0{\"a\":1}")),
        ("a PyTorch checkpoint", parse(b"PK\x03\x04\x14\0")),
        ("older version", parse(b"GGUF\x01\0\0\0")),
        ("big-endian", parse(b"GGUF\0\0\0\x03")),
        ("cut in the header", parse(b"GGUF\x03\0\0\0\x01\0")),
        ("absurd number of metadata entries", parse(&raw(0, 1 << 62, &[&[0; 64]]))),
        ("absurd number of tensors", parse(&raw(1 << 62, 0, &[&[0; 64]]))),
        ("absurd key length", parse(&raw(0, 1, &[&MANY, &[0; 64]]))),
        ("empty key", parse(&raw(0, 1, &[&entry("", 4, &[0; 4])]))),
        ("key that is no text", parse(&raw(0, 1, &[&text(b"\xff\xfe"), &[0; 8]]))),
        ("the same key twice", parse(&raw(0, 2, &[&entry("a\n", 4, &[0; 4]), &entry("a\n", 4, &[1; 4])]))),
        ("unknown value type", parse(&raw(0, 1, &[&entry("a", 13, &[0; 4])]))),
        ("boolean of 7", parse(&raw(0, 1, &[&entry("a", 7, &[7])]))),
        ("absurd string length", parse(&raw(0, 1, &[&entry("a", 8, &MANY)]))),
        ("absurd array length", parse(&raw(0, 1, &[&entry("a", 9, &[&4u32.to_le_bytes()[..], &MANY].concat())]))),
        ("absurd list of strings", parse(&raw(0, 1, &[&entry("a", 9, &[&8u32.to_le_bytes()[..], &MANY].concat())]))),
        ("arrays in arrays in arrays", parse(&raw(0, 1, &[&entry("a", 9, &nested)]))),
        ("cut in a value", parse(&raw(0, 1, &[&entry("a", 10, &[0; 3])]))),
        ("alignment of 3", parse(&raw(0, 1, &[&entry("general.alignment", 4, &3u32.to_le_bytes())]))),
        ("alignment as text", parse(&raw(0, 1, &[&entry("general.alignment", 8, &text(b"32"))]))),
    ]);
    insta::assert_snapshot!(found);
}

#[test]
fn tensor_directories_that_break_the_format() {
    let f32s = |name: &str, count: u64, offset: u64| tensor(name, &[count], 0, offset);
    let found = messages(vec![
        ("no dimension", parse(&tensors(&[tensor("a", &[], 0, 0), f32s("b", 8, 0)], 64))),
        ("five dimensions", parse(&tensors(&[tensor("a", &[1; 5], 0, 0)], 64))),
        ("a size of 0", parse(&tensors(&[tensor("a", &[8, 0], 0, 0)], 64))),
        ("an absurd size", parse(&tensors(&[tensor("a", &[1 << 40], 0, 0)], 64))),
        ("sizes whose product overflows", parse(&tensors(&[tensor("a", &[1 << 32; 4], 0, 0)], 64))),
        ("a type that is not read", parse(&tensors(&[tensor("a", &[256], 23, 0)], 256))),
        ("an unknown type", parse(&tensors(&[tensor("a", &[256], 4_000_000_000, 0)], 256))),
        ("rows that are no multiple of the block", parse(&tensors(&[tensor("a", &[128, 2], 35, 0)], 256))),
        ("the same name twice", parse(&tensors(&[f32s("a", 8, 0), f32s("a", 8, 32)], 64))),
        ("a misaligned tensor", parse(&tensors(&[f32s("a", 8, 4)], 64))),
        ("a tensor beyond the end", parse(&tensors(&[f32s("a", 8, 0), f32s("b", 9, 32)], 64))),
        ("an offset near 2^64", parse(&tensors(&[f32s("a", 8, u64::MAX - 31)], 64))),
        ("overlapping tensors", parse(&tensors(&[f32s("b", 8, 32), f32s("a", 9, 0)], 64))),
        ("an endless name", parse(&tensors(&[f32s(&"n".repeat(300), 8, 0)], 64))),
        ("no data section", parse(&raw(1, 0, &[&f32s("a", 8, 0)]))),
    ]);
    insta::assert_snapshot!(found);
}

#[test]
fn metadata_that_is_no_model_of_the_architecture() {
    let parts = || Parts::model(TensorType::Tq2_0);
    let with = |name: &str, value: Metadata| load(&parts().set(&format!("bitnet-b1.58.{name}"), value));
    let without = |name: &str| load(&parts().without_key(&format!("bitnet-b1.58.{name}")));
    let no_head_size = || {
        let keys = ["attention.key_length", "attention.value_length", "rope.dimension_count"];
        keys.iter().fold(parts(), |parts, key| parts.without_key(&format!("bitnet-b1.58.{key}")))
    };
    let found = messages(vec![
        ("another architecture", load(&parts().set("general.architecture", Metadata::Text("llama".into())))),
        ("no architecture", load(&parts().without_key("general.architecture"))),
        ("no number of layers", without("block_count")),
        ("number of layers as a float", with("block_count", Metadata::F32(1.0))),
        ("no layers", with("block_count", Metadata::U32(0))),
        ("more layers than tensors", with("block_count", Metadata::U32(16_000_000))),
        ("absurd number of layers", with("block_count", Metadata::U32(u32::MAX))),
        ("one layer too many", with("block_count", Metadata::U32(2))),
        ("no heads", with("attention.head_count", Metadata::U32(0))),
        ("key/value heads that do not divide", with("attention.head_count_kv", Metadata::U32(3))),
        ("an odd head size", with("attention.key_length", Metadata::U32(63))),
        ("two head sizes", with("rope.dimension_count", Metadata::U32(32))),
        ("another head size for values", with("attention.value_length", Metadata::U32(32))),
        ("no head size and heads that do not divide", load(&no_head_size().set("bitnet-b1.58.attention.head_count", Metadata::U32(3)))),
        ("another vocabulary", with("vocab_size", Metadata::U32(301))),
        ("no epsilon", without("attention.layer_norm_rms_epsilon")),
        ("no theta", without("rope.freq_base")),
        ("epsilon that is no number", with("attention.layer_norm_rms_epsilon", Metadata::F32(f32::NAN))),
        ("negative theta", with("rope.freq_base", Metadata::F32(-1.0))),
        ("scaled RoPE", with("rope.scaling.factor", Metadata::F32(4.0))),
        ("an unknown activation", load(&parts().set("tritforge.activation", Metadata::Text("gelu".into())))),
        ("another width than the tensors", with("feed_forward_length", Metadata::U32(512))),
        ("a tensor is missing", load(&parts().without_tensor("blk.0.ffn_sub_norm.weight"))),
        ("no embedding", load(&parts().without_tensor("token_embd.weight"))),
        ("a bias", load(&parts().store("blk.0.attn_q.bias", TensorType::F32, &[8], vec![0; 32]))),
        ("an embedding of trits", load(&parts().store("token_embd.weight", TensorType::Tq2_0, &[256, 300], vec![0; 66 * 300]))),
        ("a norm that is no number", load(&parts().spoil("output_norm.weight", |b| b[12..16].fill(0xff)))),
    ]);
    insta::assert_snapshot!(found);
}

#[test]
fn linear_weights_that_are_not_ternary() {
    let two = || Parts::model(TensorType::Tq2_0);
    let one = || Parts::model(TensorType::Tq1_0);
    let (q, down) = ("blk.0.attn_q.weight", "blk.0.ffn_down.weight");
    let floats = |at: usize, x: f32| {
        let mut numbers = vec![0.5f32; 256 * 256];
        numbers[at] = x;
        load(&two().store(q, TensorType::F32, &[256, 256], numbers.iter().flat_map(|x| x.to_le_bytes()).collect()))
    };
    let found = messages(vec![
        ("TQ2_0: code 3 in row 1, column 37", load(&two().spoil(q, |b| b[66 + 5] |= 3 << 2))),
        ("TQ1_0: illegal byte in row 3", load(&one().spoil(q, |b| b[3 * 54 + 50] = illegal_byte()))),
        ("TQ2_0: two scales", load(&two().spoil(down, |b| b[7 * 66 + 64] ^= 1))),
        ("TQ1_0: two scales", load(&one().spoil(down, |b| b[7 * 54 + 52] ^= 1))),
        ("TQ2_0: infinite scale", load(&two().spoil(q, |b| b[64..66].copy_from_slice(&[0x00, 0x7c])))),
        ("TQ2_0: scale 0 and trits", load(&two().spoil(q, |b| b[64..66].fill(0)))),
        ("F32: a third magnitude", floats(256 * 200 + 9, -0.25)),
        ("F32: infinite", floats(0, f32::INFINITY)),
        ("F32: no number", floats(70, f32::NAN)),
        ("Q8_0: a code between", load(&Parts::model(TensorType::Q8_0).spoil(q, |b| b[34 + 2] = 64))),
        ("F16: a third magnitude", load(&Parts::model(TensorType::F16).spoil(q, |b| b[0..2].copy_from_slice(&[1, 0x40])))),
    ]);
    insta::assert_snapshot!(found);
}

/// A byte that is ceil(code·256/243) for no code.
fn illegal_byte() -> u8 {
    (0..=255u8).find(|&byte| (0..243u32).all(|code| (code * 256).div_ceil(243) != u32::from(byte))).unwrap()
}

#[test]
fn every_illegal_byte_is_refused_in_every_place_of_a_tq1_0_block() {
    let legal: Vec<u8> = (0..243u32).map(|code| (code * 256).div_ceil(243) as u8).collect();
    let parts = Parts::model(TensorType::Tq1_0);
    let file = parts.write();
    let name = "blk.0.attn_k.weight";
    let start = {
        let file_view = Gguf::parse(&file).unwrap();
        let stored = file_view.tensor_bytes(file_view.tensor(name).unwrap());
        stored.as_ptr() as usize - file.as_ptr() as usize
    };
    for at in 0..52 {
        for byte in (0..=255).filter(|byte| !legal.contains(byte)) {
            let mut file = file.clone();
            file[start + 54 + at] = byte;
            let message = Model::from_gguf(&Gguf::parse(&file).unwrap()).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains("block 1"), "byte {byte} at {at}: {message}");
        }
    }
}

#[test]
fn ternary_tensors_with_zero_blocks_or_a_negative_scale_are_accepted() {
    let parts = || Parts::model(TensorType::Tq2_0);
    let name = "blk.0.attn_q.weight";
    let read = |parts: &Parts| Model::from_gguf(&Gguf::parse(&parts.write()).unwrap()).unwrap().layers.remove(0).q;
    let plain = read(&parts());
    let negative = read(&parts().spoil(name, |b| b.chunks_exact_mut(66).for_each(|block| block[65] ^= 0x80)));
    assert_eq!(negative.scale, plain.scale);
    assert!(negative.to_trits().iter().zip(plain.to_trits()).all(|(&a, b)| a == -b));
    let zeros = |b: &mut [u8]| {
        b[..64].fill(0x55);
        b[64..66].fill(0);
    };
    let zero_row = read(&parts().spoil(name, zeros));
    assert_eq!(zero_row.scale, plain.scale);
    assert!(zero_row.to_trits()[..256].iter().all(|&t| t == 0));
    let all = read(&parts().spoil(name, |b| b.chunks_exact_mut(66).for_each(zeros)));
    assert_eq!(all.scale, 1.0);
    assert!(all.to_trits().iter().all(|&t| t == 0));
}

#[test]
fn tokenizers_that_cannot_be_used() {
    let parts = || Parts::model(TensorType::Tq2_0);
    let with = |name: &str, value: Metadata| tokenizer(&parts().set(&format!("tokenizer.ggml.{name}"), value));
    let texts = |list: &[&[u8]]| Metadata::Texts(list.iter().map(|text| text.to_vec()).collect());
    let tiny = |texts_: &[&[u8]], scores: Vec<f32>, kinds: Vec<i32>| {
        let parts = parts().set("tokenizer.ggml.tokens", texts(texts_));
        let parts = parts.set("tokenizer.ggml.scores", Metadata::Floats(scores));
        tokenizer(&parts.set("tokenizer.ggml.token_type", Metadata::Ints(kinds)))
    };
    let merges = |pre: &str, list: &[&[u8]]| {
        let parts = parts().set("tokenizer.ggml.tokens", texts(&[b"a", b"b", b"ab"]));
        let parts = parts.without_key("tokenizer.ggml.scores").without_key("tokenizer.ggml.token_type");
        let parts = parts.set("tokenizer.ggml.model", Metadata::Text("gpt2".into()));
        tokenizer(&parts.set("tokenizer.ggml.pre", Metadata::Text(pre.into())).set("tokenizer.ggml.merges", texts(list)))
    };
    let found = messages(vec![
        ("another kind", with("model", Metadata::Text("bert".into()))),
        ("none", tokenizer(&parts().without_key("tokenizer.ggml.model"))),
        ("no scores", tokenizer(&parts().without_key("tokenizer.ggml.scores"))),
        ("tokens of another type", with("tokens", Metadata::Ints(vec![1]))),
        ("lists of different lengths", with("scores", Metadata::Floats(vec![0.0; 299]))),
        ("an empty vocabulary", tiny(&[], vec![], vec![])),
        ("a score that is no number", tiny(&[b"a", b"b"], vec![0.0, f32::NAN], vec![1, 1])),
        ("an unknown token type", tiny(&[b"a", b"b"], vec![0.0; 2], vec![1, 9])),
        ("a token that is no text", tiny(&[b"a", b"\xff"], vec![0.0; 2], vec![1, 1])),
        ("a byte token without byte", tiny(&[b"a", b"<0x0>"], vec![0.0; 2], vec![1, 6])),
        ("BOS outside the vocabulary", with("bos_token_id", Metadata::U32(300))),
        ("two tokens with one text", tiny(&[b"a", b"b", b"a"], vec![0.0; 3], vec![1; 3])),
        ("byte-level without merges", with("model", Metadata::Text("gpt2".into()))),
        ("an unknown pre-tokenizer", merges("qwen3", &[b"a b"])),
        ("a merge of an unknown token", merges("qwen2", &[b"a b", b"a c"])),
        ("a merge to an unknown token", merges("qwen2", &[b"b a"])),
        ("a merge without space", merges("qwen2", &[b"ab"])),
        ("a merge that is no text", merges("qwen2", &[b"a \xff"])),
    ]);
    insta::assert_snapshot!(found);
}

#[test]
fn prompts_that_do_not_fit_the_model() {
    let parts = Parts::model(TensorType::Tq2_0);
    let no_bos = parts.write();
    let file = Gguf::parse(&no_bos).unwrap();
    let model = Model::from_gguf(&file).unwrap();
    let judge = Judge::<f64>::new(&model, Options::default());
    let forward = |ids: &[u32]| judge.forward(ids, &mut judge.cache(), &mut ()).map(drop);
    let spoilt = Parts::model(TensorType::Tq2_0).without_key("tokenizer.ggml.bos_token_id").write();
    let no_bos = Tokenizer::from_gguf(&Gguf::parse(&spoilt).unwrap()).unwrap();
    let found = messages(vec![
        ("no id", forward(&[])),
        ("an id outside the vocabulary", forward(&[1, 300])),
        ("longer than the context", forward(&[1; 17])),
        ("no BOS", no_bos.encode_with_bos("a").map(drop)),
        ("an id that cannot be printed", Tokenizer::from_gguf(&file).unwrap().decode(&[300]).map(drop)),
    ]);
    insta::assert_snapshot!(found);
}

#[test]
fn files_that_cannot_be_read() {
    let folder = Folder::new("bad-model");
    let empty = folder.0.join("empty.gguf");
    std::fs::write(&empty, b"").unwrap();
    let open = |path: &std::path::Path| match GgufFile::open(path) {
        Ok(file) => file.parse().map(drop),
        Err(error) => Err(error),
    };
    let cases = vec![("missing", open(&folder.0.join("none.gguf"))), ("a folder", open(&folder.0)), ("empty", open(&empty))];
    let text = messages(cases).replace(folder.0.to_str().unwrap(), "FOLDER");
    insta::assert_snapshot!(text);
}

#[test]
fn a_file_without_tensors_needs_no_data_section() {
    let mut file = GgufWriter::new();
    file.metadata("a", &Metadata::U32(1));
    let mut bytes = file.finish();
    bytes.truncate(8 + 16 + 8 + 1 + 4 + 4);
    let file = Gguf::parse(&bytes).unwrap();
    assert_eq!(file.metadata_bytes(), bytes.len());
    assert_eq!(file.get_u64("a").unwrap(), Some(1));
}
