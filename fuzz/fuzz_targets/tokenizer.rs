//! Fuzz target: any bytes as a file that holds a tokenizer. The first byte chooses the kind of file (GGUF, SentencePiece,
//! llama2.c), the second how much of the end is a text. Reading gives a tokenizer or an error; a tokenizer encodes any text or
//! refuses it, its ids decode, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tritforge_fuzz::model::gguf::Gguf;
use tritforge_fuzz::model::tokenizer::{TextStream, Tokenizer};

fuzz_target!(|bytes: &[u8]| {
    let [kind, length, rest @ ..] = bytes else { return };
    let (file, text) = rest.split_at(rest.len() - rest.len().min(usize::from(*length)));
    let tokenizer = match kind % 3 {
        0 => Gguf::parse(file).and_then(|file| Tokenizer::from_gguf(&file)),
        1 => Tokenizer::from_sentencepiece(file),
        _ => Tokenizer::from_llama2c(file),
    };
    let Ok(tokenizer) = tokenizer else { return };
    let text = String::from_utf8_lossy(text);
    for parse in [false, true] {
        let Ok(ids) = tokenizer.tokenize(&text, true, parse) else { continue };
        let mut stream = TextStream::default();
        let streamed: String = ids.iter().map(|&id| stream.push(&tokenizer.piece(id).unwrap_or_default())).collect();
        assert_eq!(tokenizer.decode(&ids).ok(), Some(streamed + &stream.finish()));
    }
});
