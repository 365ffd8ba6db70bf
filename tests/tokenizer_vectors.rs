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

/// The vocabulary of the tests as a `tokenizer.json`, with Qwen 2's pattern.
fn own_json() -> serde_json::Value {
    let text = data("own-vocabulary.txt");
    let (tokens, merges) = text.trim_end_matches('\n').split_once("\n\n").unwrap();
    let vocabulary: serde_json::Map<_, _> = tokens.split('\n').enumerate().map(|(id, token)| (token.into(), id.into())).collect();
    let added = |(text, special): (&str, bool)| {
        serde_json::json!({ "id": vocabulary[text], "content": text, "special": special, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false })
    };
    let added = [("<|endoftext|>", true), ("<|im_start|>", true), ("<|im_end|>", true), ("<tool>", false), ("##", false)].map(added);
    let pattern = r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null, "added_tokens": added,
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
            { "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false },
            { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false },
        ] },
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": merges.split('\n').collect::<Vec<_>>() },
    })
}

#[test]
fn a_tokenizer_json_gives_the_ids_of_the_same_vocabulary_in_a_gguf_file() {
    let tokenizer = Tokenizer::from_json(own_json().to_string().as_bytes()).unwrap();
    let gguf = own_tokenizer("qwen2");
    assert_eq!(tokenizer.len(), gguf.len());
    // llama.cpp takes a token that reads </s> for a control token, whatever the file says; the crate does not.
    let texts: Vec<String> = serde_json::from_str(&data("texts.json")).unwrap();
    for text in texts.iter().filter(|text| !text.contains("</s>")) {
        for parse in [false, true] {
            let ids = tokenizer.tokenize(text, true, parse).unwrap();
            assert_eq!(ids, gguf.tokenize(text, true, parse).unwrap(), "{text:?}");
            assert_eq!(tokenizer.decode(&ids).unwrap(), gguf.decode(&ids).unwrap());
        }
    }
}

#[test]
fn what_a_post_processor_puts_behind_a_text_is_eos_and_not_bos() {
    let around = |single: serde_json::Value| {
        let mut json = own_json();
        let id = |text: &str| json["model"]["vocab"][text].clone();
        let special = |text: &str| serde_json::json!({ "id": text, "ids": [id(text)], "tokens": [text] });
        let special_tokens = ["<|im_start|>", "<|im_end|>"].map(|text| (text.to_owned(), special(text)));
        let special_tokens: serde_json::Map<_, _> = special_tokens.into_iter().collect();
        json["post_processor"] =
            serde_json::json!({ "type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": special_tokens });
        let tokenizer = Tokenizer::from_json(json.to_string().as_bytes()).unwrap();
        let name = |id: Option<u32>| id.map(|id| tokenizer.token_text(id).unwrap().to_owned());
        (name(tokenizer.bos()), tokenizer.adds_bos(), name(tokenizer.eos()))
    };
    let special = |text: &str| serde_json::json!({ "SpecialToken": { "id": text, "type_id": 0 } });
    let text = serde_json::json!({ "Sequence": { "id": "A", "type_id": 0 } });
    let (begin, end) = (Some("<|im_start|>".to_owned()), Some("<|im_end|>".to_owned()));
    assert_eq!(around(serde_json::json!([text, special("<|im_end|>")])), (None, false, end.clone()));
    assert_eq!(around(serde_json::json!([special("<|im_start|>"), text])), (begin.clone(), true, None));
    assert_eq!(around(serde_json::json!([special("<|im_start|>"), text, special("<|im_end|>")])), (begin, true, end));
}

#[test]
fn a_folder_gives_tokenizer_special_tokens_and_template() {
    let folder = std::env::temp_dir().join(format!("tritforge-tokenizer-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let missing = Tokenizer::from_folder(&folder).unwrap_err().to_string();
    assert!(missing.contains("expected tokenizer.json or tokenizer.model, found neither"), "{missing}");
    std::fs::write(folder.join("tokenizer.json"), own_json().to_string()).unwrap();
    let config = serde_json::json!({ "bos_token": { "content": "<|im_start|>" }, "eos_token": "<|im_end|>",
        "chat_template": [{ "name": "default", "template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}" }] });
    std::fs::write(folder.join("tokenizer_config.json"), config.to_string()).unwrap();
    let tokenizer = Tokenizer::from_folder(&folder).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(tokenizer.token_text(tokenizer.bos().unwrap()).unwrap(), "<|im_start|>");
    assert!(!tokenizer.adds_bos() && tokenizer.is_end(tokenizer.eos().unwrap()));
    let message = tritforge::model::chat::Message::new("user", "Hello");
    assert_eq!(tokenizer.chat().unwrap().unwrap().render(&[message], true).unwrap(), "<|im_start|>Hello<|im_end|>");
}

#[test]
fn files_of_sentencepiece_and_llama2_c_give_the_ids_of_llama_cpp() {
    for (file, vectors) in [("tokenizer.model", "ggml-vocab-llama-spm.txt"), ("tok512.bin", "tok512.txt")] {
        let Some(path) = test_data(&format!("llama2c/{file}")) else { return };
        let bytes = std::fs::read(path).unwrap();
        let read = |bytes: &[u8]| {
            if file == "tok512.bin" { Tokenizer::from_llama2c(bytes) } else { Tokenizer::from_sentencepiece(bytes) }
        };
        assert_eq!(check(vectors, |_| read(&bytes).unwrap()), 80, "{file}");
        for cut in (0..400).chain(bytes.len() - 400..bytes.len()) {
            let _ = read(&bytes[..cut]);
        }
    }
}

#[test]
fn damaged_tokenizer_files_are_refused() {
    let json = own_json();
    let with = |key: &str, value: serde_json::Value| {
        let mut json = json.clone();
        json[key] = value;
        json.to_string().into_bytes()
    };
    let far = serde_json::json!({ "type": "BPE", "vocab": { "a": 4_000_000_000u32 }, "merges": [] });
    for bytes in [b"".to_vec(), b"{}".to_vec(), b"[[[[".to_vec(), with("model", serde_json::json!({ "type": "?" })), with("model", far)] {
        let error = Tokenizer::from_json(&bytes).unwrap_err().to_string();
        assert!(error.starts_with("tokenizer.json: expected"), "{error}");
    }
    // One piece `a` of score 0 in a model of type unigram, then the same with type BPE and extra spaces removed.
    let piece = b"\x0a\x03\x0a\x01a".as_slice();
    for (bytes, fault) in [
        (piece.to_vec(), "type BPE"),
        ([piece, b"\x12\x02\x18\x02"].concat(), "spaces kept"),
        (b"\x0a\xff\xff\xff\xff\x0f".to_vec(), "protocol buffer"),
        (b"\x12\x02\x18\x02\x1a\x02\x20\x00".to_vec(), "no token"),
    ] {
        let error = Tokenizer::from_sentencepiece(&bytes).unwrap_err().to_string();
        assert!(error.contains(fault), "{error}");
    }
    for bytes in [&b""[..], b"\x01\0\0\0", b"\x01\0\0\0\0\0\0\0\x02\0\0\0ab", b"\x01\0\0\0\0\0\xc0\x7f\x01\0\0\0a"] {
        assert!(Tokenizer::from_llama2c(bytes).is_err());
    }
}
