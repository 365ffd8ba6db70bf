//! The tokenizer against a plain quadratic merger written here, and its rules on small vocabularies.

mod support;

use std::collections::HashMap;

use proptest::prelude::*;
use support::embedded;
use tritforge::model::Tokenizer;
use tritforge::model::gguf::{Gguf, GgufFile, GgufWriter, Metadata};

const SPACE: &str = "\u{2581}";

/// Joins, again and again, the neighbours whose join is the token of the highest score, the leftmost first.
fn plain_encode(scores: &HashMap<String, (u32, f32)>, bytes: &HashMap<u8, u32>, text: &str) -> Vec<u32> {
    let mut parts: Vec<String> = format!("{SPACE}{}", text.replace(' ', SPACE)).chars().map(String::from).collect();
    loop {
        let mut best: Option<(f32, usize)> = None;
        for at in 1..parts.len() {
            if let Some(&(_, score)) = scores.get(&(parts[at - 1].clone() + &parts[at]))
                && best.is_none_or(|(most, _)| score > most)
            {
                best = Some((score, at));
            }
        }
        let Some((_, at)) = best else { break };
        let right = parts.remove(at);
        parts[at - 1] += &right;
    }
    let ids = parts.iter().flat_map(|part| match scores.get(part) {
        Some(&(id, _)) => vec![id],
        None => part.bytes().map(|byte| bytes[&byte]).collect(),
    });
    ids.collect()
}

/// The embedded vocabulary as the plain merger wants it: normal tokens with id and score, ids of bytes.
fn vocabulary(file: &Gguf<'_>) -> (HashMap<String, (u32, f32)>, HashMap<u8, u32>) {
    let list = |name: &str| file.get_array(&format!("tokenizer.ggml.{name}")).unwrap().unwrap();
    let texts = list("tokens").strings().unwrap();
    let lists = texts.zip(list("scores").floats().unwrap()).zip(list("token_type").ints().unwrap());
    let (mut scores, mut bytes) = (HashMap::new(), HashMap::new());
    for (id, ((text, score), kind)) in lists.enumerate() {
        let text = String::from_utf8(text.to_vec()).unwrap();
        match kind {
            1 => drop(scores.insert(text, (id as u32, score))),
            6 => drop(bytes.insert(u8::from_str_radix(&text[3..5], 16).unwrap(), id as u32)),
            _ => {}
        }
    }
    (scores, bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_heap_merges_as_the_plain_loop_does(text in "([ -~]|the |and |was |[a-z]|\\PC|\n){1,60}") {
        let file = GgufFile::open(&embedded("stories3m.tq2_0.gguf")).unwrap();
        let file = file.parse().unwrap();
        let (scores, bytes) = vocabulary(&file);
        let found = Tokenizer::from_gguf(&file).unwrap().encode(&text).unwrap();
        prop_assert_eq!(found, plain_encode(&scores, &bytes, &text));
    }
}

const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const BYTE: i32 = 6;

fn small(tokens: &[(&str, f32, i32)], extra: &[(&str, Metadata)]) -> Tokenizer {
    let mut file = GgufWriter::new();
    file.metadata("tokenizer.ggml.model", &Metadata::Text("llama".into()));
    file.metadata("tokenizer.ggml.tokens", &Metadata::Texts(tokens.iter().map(|t| t.0.as_bytes().to_vec()).collect()));
    file.metadata("tokenizer.ggml.scores", &Metadata::Floats(tokens.iter().map(|t| t.1).collect()));
    file.metadata("tokenizer.ggml.token_type", &Metadata::Ints(tokens.iter().map(|t| t.2).collect()));
    for (key, value) in extra {
        file.metadata(&format!("tokenizer.ggml.{key}"), value);
    }
    Tokenizer::from_gguf(&Gguf::parse(&file.finish()).unwrap()).unwrap()
}

#[test]
fn of_equal_scores_the_leftmost_pair_is_joined_first() {
    let tokens = [("a", 0.0, NORMAL), ("aa", -1.0, NORMAL), (SPACE, -2.0, NORMAL)];
    assert_eq!(small(&tokens, &[]).encode("aaaaa").unwrap(), [2, 1, 1, 0]);
}

#[test]
fn a_zero_score_of_either_sign_ranks_equal() {
    let tokens = [("a", 0.0, NORMAL), ("b", 0.0, NORMAL), ("ab", -0.0, NORMAL), ("ba", 0.0, NORMAL)];
    let tokenizer = small(&tokens, &[("add_space_prefix", Metadata::Bool(false))]);
    assert_eq!(tokenizer.encode("aba").unwrap(), [2, 0]);
}

#[test]
fn user_defined_tokens_stay_whole() {
    let tokens = [
        ("<s>", 0.0, CONTROL),
        ("<", 0.0, NORMAL),
        ("s", 0.0, NORMAL),
        (">", 0.0, NORMAL),
        ("s>", -1.0, NORMAL),
        ("<user>", 0.0, USER_DEFINED),
        ("<us", 0.0, USER_DEFINED),
        ("u", 0.0, NORMAL),
    ];
    let tokenizer = small(&tokens, &[("add_space_prefix", Metadata::Bool(false))]);
    assert_eq!(tokenizer.encode("<<user>s>").unwrap(), [1, 5, 4]);
    assert_eq!(tokenizer.encode("s<user>s>").unwrap(), [2, 5, 4]);
    assert_eq!(tokenizer.encode("<us<user>").unwrap(), [6, 5]);
    // As llama.cpp has it: joins may arrive at the text of any token. Ids made with xllamacpp 2026.10.11549.
    assert_eq!(tokenizer.encode("<s>").unwrap(), [0]);
    assert_eq!(tokenizer.decode(&[0, 5, 2, 0]).unwrap(), "<user>s");
}

#[test]
fn a_character_without_token_becomes_bytes_or_else_unknown_or_else_an_error() {
    let e_acute = [("a", 0.0, NORMAL), (SPACE, 0.0, NORMAL), ("<0xC3>", 0.0, BYTE), ("<0xA9>", 0.0, BYTE), ("?", 0.0, UNKNOWN)];
    assert_eq!(small(&e_acute, &[]).encode("aé").unwrap(), [1, 0, 2, 3]);
    let unknown = [("unknown_token_id", Metadata::U32(4))];
    assert_eq!(small(&e_acute, &unknown).encode("aß").unwrap(), [1, 0, 4], "only one of its two bytes has a token");
    assert_eq!(
        small(&e_acute, &[]).encode("aß").unwrap_err().to_string(),
        "text 'ß': expected a token, byte tokens or an unknown token for it, found none; the file's tokenizer section is incomplete: \
         convert the model again, or give token ids"
    );
}

#[test]
fn a_prompt_begins_with_bos_unless_the_file_says_not() {
    let tokens = [("<s>", 0.0, CONTROL), ("a", 0.0, NORMAL), (SPACE, 0.0, NORMAL)];
    let bos = ("bos_token_id", Metadata::U32(0));
    assert_eq!(small(&tokens, std::slice::from_ref(&bos)).encode_prompt("a").unwrap(), [0, 2, 1]);
    let without = small(&tokens, &[bos, ("add_bos_token", Metadata::Bool(false))]);
    assert_eq!(without.encode_prompt("a").unwrap(), [2, 1]);
    assert_eq!(without.encode_with_bos("").unwrap(), [0]);
}
