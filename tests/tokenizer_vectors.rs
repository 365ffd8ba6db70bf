//! Ids against llama.cpp's: its own test vectors, and those that scripts/tokenizer-vectors.py made (tests/data/tokenizer).

mod support;

use std::path::{Path, PathBuf};

use support::{embedded, test_data};
use tritforge::model::Tokenizer;
use tritforge::model::gguf::{Gguf, GgufFile, GgufWriter, Metadata};

fn data(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/tokenizer").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()))
}

fn tokenizer(path: &Path) -> Tokenizer {
    let file = GgufFile::open(path).unwrap();
    Tokenizer::from_gguf(&file.parse().unwrap()).unwrap()
}

fn numbers(text: &str) -> Vec<u32> {
    text.split_ascii_whitespace().map(|id| id.parse().unwrap()).collect()
}

/// Compares every line `name, number, ids` of a file of vectors; `tokenizer` gives that of a name.
fn check(vectors: &str, mut tokenizer: impl FnMut(&str) -> Tokenizer) -> usize {
    let texts: Vec<String> = serde_json::from_str(&data("texts.json")).unwrap();
    let mut current: Option<(String, Tokenizer)> = None;
    let mut lines = 0;
    for line in data(vectors).lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let (name, number): (&str, usize) = (fields[0], fields[1].parse().unwrap());
        if current.as_ref().is_none_or(|(known, _)| known != name) {
            current = Some((name.into(), tokenizer(name)));
        }
        let tokenizer = &current.as_ref().unwrap().1;
        let found = tokenizer.tokenize(&texts[number], number % 5 == 4, number % 3 == 2).unwrap();
        assert_eq!(found, numbers(fields[2]), "{name}, text {number}: {:?}", texts[number]);
        lines += 1;
    }
    lines
}

/// The vocabulary of the tests: tokens, an empty line, merges.
fn own(pre: &str) -> Vec<u8> {
    let text = data("own-vocabulary.txt");
    let (tokens, merges) = text.trim_end_matches('\n').split_once("\n\n").unwrap();
    let lines = |text: &str| Metadata::Texts(text.split('\n').map(|line| line.as_bytes().to_vec()).collect());
    let kinds = tokens.split('\n').map(|token| match token {
        "<|endoftext|>" | "<|im_start|>" | "<|im_end|>" => 3,
        "<tool>" | "##" => 4,
        _ => 1,
    });
    let mut file = GgufWriter::new();
    let mut set = |key: &str, value: Metadata| {
        file.metadata(&format!("tokenizer.ggml.{key}"), &value);
    };
    set("model", Metadata::Text("gpt2".into()));
    set("pre", Metadata::Text(pre.into()));
    set("token_type", Metadata::Ints(kinds.collect()));
    set("tokens", lines(tokens));
    set("merges", lines(merges));
    set("bos_token_id", Metadata::U32(0));
    set("eos_token_id", Metadata::U32(0));
    file.finish()
}

fn own_tokenizer(pre: &str) -> Tokenizer {
    Tokenizer::from_gguf(&Gguf::parse(&own(pre)).unwrap()).unwrap()
}

#[test]
fn every_family_of_pre_tokenizers_gives_the_ids_of_llama_cpp() {
    assert_eq!(check("families.txt", own_tokenizer), 20 * 24);
}

#[test]
fn the_embedded_vocabulary_gives_the_ids_of_llama_cpp() {
    assert_eq!(check("tok512.txt", |_| tokenizer(&embedded("stories3m.tq2_0.gguf"))), 80);
}

#[test]
fn llama_and_gpt_2_vocabularies_give_the_ids_of_llama_cpp() {
    for name in ["ggml-vocab-llama-spm", "ggml-vocab-gpt-2"] {
        let Some(path) = test_data(&format!("vocab/{name}.gguf")) else { return };
        assert_eq!(check(&format!("{name}.txt"), |_| tokenizer(&path)), 80);
    }
}

#[test]
fn every_line_of_the_vectors_of_llama_cpp_is_exact() {
    for name in ["ggml-vocab-llama-spm.gguf", "ggml-vocab-gpt-2.gguf"] {
        let Some(path) = test_data(&format!("vocab/{name}")) else { return };
        let read = |ending: &str| std::fs::read_to_string(format!("{}.{ending}", path.display())).unwrap();
        let (texts, ids) = (read("inp"), read("out"));
        let texts: Vec<&str> = texts.split("\n__ggml_vocab_test__\n").collect();
        let ids: Vec<&str> = ids.trim_end_matches('\n').split('\n').collect();
        // The last text is followed by a marker, and its ids by a line break.
        assert!(texts.len() >= ids.len() && ids.len() >= 46, "{name}: {} texts, {} lines of ids", texts.len(), ids.len());
        let tokenizer = tokenizer(&path);
        for (text, ids) in texts.iter().zip(&ids) {
            assert_eq!(tokenizer.encode(text).unwrap(), numbers(ids), "{name}: {text:?}");
        }
    }
}

#[test]
fn byte_level_ids_decode_to_their_text_and_stream_in_whole_characters() {
    let tokenizer = own_tokenizer("llama-bpe");
    for text in serde_json::from_str::<Vec<String>>(&data("texts.json")).unwrap() {
        let ids = tokenizer.encode(&text).unwrap();
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
        let mut stream = tritforge::model::tokenizer::TextStream::default();
        let streamed: String = ids.iter().map(|&id| stream.push(&tokenizer.piece(id).unwrap())).collect();
        assert_eq!(streamed + &stream.finish(), text);
    }
}

#[test]
fn control_tokens_in_a_chat_are_ids_and_bos_is_written_once() {
    let tokenizer = own_tokenizer("llama-bpe");
    let (begin, start) = (tokenizer.bos().unwrap(), tokenizer.encode_chat("<|im_start|>").unwrap()[1]);
    assert_eq!(tokenizer.token_text(start).unwrap(), "<|im_start|>");
    for rendered in ["<|im_start|>s", "<|endoftext|><|im_start|>s"] {
        assert_eq!(tokenizer.encode_chat(rendered).unwrap(), [vec![begin, start], tokenizer.encode("s").unwrap()].concat());
    }
    assert!(!tokenizer.encode_prompt("<|im_start|>s").unwrap().contains(&start));
    assert!(tokenizer.is_end(tokenizer.tokenize("<|im_end|>", false, true).unwrap()[0]));
    assert_eq!(tokenizer.decode(&[start]).unwrap(), "");
}
