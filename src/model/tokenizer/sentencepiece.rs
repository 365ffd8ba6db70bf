//! The files that hold a SentencePiece vocabulary without a model: SentencePiece's own `tokenizer.model` (a protocol
//! buffer) and llama2.c's `tokenizer.bin`.

use super::super::error::{ModelError, Refusal, shown};
use super::spm::{SPACE, SentencePiece};
use super::vocabulary::{Kind, Vocabulary, byte_of};
use super::{Scheme, Spelling, Tokenizer};

const REMEDY: &str = "give the file that came with the model, or a GGUF file that holds the tokenizer";
/// The model type of BPE, and the one that is meant where the file has none (unigram).
const BPE: u64 = 2;
const UNIGRAM: u64 = 1;

/// A value of a protocol buffer.
enum Field<'a> {
    Number(u64),
    Float(f32),
    Bytes(&'a [u8]),
}

/// What the parts of a `tokenizer.model` say beside the pieces.
struct Specs {
    model_type: u64,
    unknown: u64,
    bos: u64,
    eos: u64,
    add_dummy_prefix: bool,
    remove_extra_whitespaces: bool,
    escape_whitespaces: bool,
    suffix: bool,
    rewrites: bool,
}

/// Reads a `tokenizer.model`.
///
/// # Errors
/// [`Refusal::Format`]: no such file, or one with rules that are not supported (unigram, normalisation).
pub fn from_model(bytes: &[u8]) -> Result<Tokenizer, ModelError> {
    let mut vocabulary = Vocabulary::default();
    let mut scores = Vec::new();
    let mut specs = Specs {
        model_type: UNIGRAM,
        unknown: 0,
        bos: 1,
        eos: 2,
        add_dummy_prefix: true,
        remove_extra_whitespaces: true,
        escape_whitespaces: true,
        suffix: false,
        rewrites: false,
    };
    each(bytes, &mut |field, value| match (field, value) {
        (1, Field::Bytes(piece)) => {
            let (mut text, mut score, mut kind) = (&[][..], 0.0, Kind::Normal as u64);
            each(piece, &mut |field, value| {
                match (field, value) {
                    (1, Field::Bytes(bytes)) => text = bytes,
                    (2, Field::Float(value)) => score = value,
                    (3, Field::Number(value)) => kind = value,
                    _ => {}
                }
                Ok(())
            })?;
            let id = vocabulary.len();
            let text = std::str::from_utf8(text).map_err(|_| refuse(format!("text of token {id}"), "UTF-8", "other bytes"))?;
            let kind = i32::try_from(kind).ok().and_then(Kind::from_number);
            let kind = kind.ok_or_else(|| refuse(format!("type of token {id}"), "1 to 6", "another number"))?;
            vocabulary.push(text, kind)?;
            push_score(&mut scores, score)
        }
        (2, Field::Bytes(trainer)) => each(trainer, &mut |field, value| {
            match (field, value) {
                (3, Field::Number(value)) => specs.model_type = value,
                (24, Field::Number(value)) => specs.suffix = value != 0,
                (40, Field::Number(value)) => specs.unknown = value,
                (41, Field::Number(value)) => specs.bos = value,
                (42, Field::Number(value)) => specs.eos = value,
                _ => {}
            }
            Ok(())
        }),
        (3, Field::Bytes(normalizer)) => each(normalizer, &mut |field, value| {
            match (field, value) {
                (2, Field::Bytes(map)) => specs.rewrites = !map.is_empty(),
                (3, Field::Number(value)) => specs.add_dummy_prefix = value != 0,
                (4, Field::Number(value)) => specs.remove_extra_whitespaces = value != 0,
                (5, Field::Number(value)) => specs.escape_whitespaces = value != 0,
                _ => {}
            }
            Ok(())
        }),
        _ => Ok(()),
    })?;
    let unsupported = [
        (specs.model_type != BPE, "type BPE", "another type"),
        (specs.rewrites, "no normalisation", "a map of characters"),
        (specs.remove_extra_whitespaces, "spaces kept", "extra spaces removed"),
        (!specs.escape_whitespaces || specs.suffix, "spaces as ▁ before words", "another rule"),
    ];
    if let Some((_, expected, found)) = unsupported.into_iter().find(|(wrong, ..)| *wrong) {
        return Err(refuse("rules of the SentencePiece model", expected, found));
    }
    finish(vocabulary, scores, specs.add_dummy_prefix, [specs.unknown, specs.bos, specs.eos])
}

/// Reads llama2.c's `tokenizer.bin`: the length of the longest text, then score, length and text of each token. Ids 0, 1
/// and 2 are the unknown token, BOS and EOS there.
///
/// # Errors
/// [`Refusal::Format`] or [`Refusal::Truncated`]: no such file.
pub fn from_llama2c(bytes: &[u8]) -> Result<Tokenizer, ModelError> {
    let cut = || {
        let found = format!("{} bytes", bytes.len());
        ModelError::refused(Refusal::Truncated, "llama2.c tokenizer", "whole tokens to the end", found, REMEDY)
    };
    let (longest, mut rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
    let longest = u32::from_le_bytes(*longest);
    let mut vocabulary = Vocabulary::default();
    let mut scores = Vec::new();
    while !rest.is_empty() {
        let id = vocabulary.len();
        let (score, after) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let (length, after) = after.split_first_chunk::<4>().ok_or_else(cut)?;
        let length = u32::from_le_bytes(*length);
        if length > longest {
            return Err(refuse(format!("length of token {id}"), format!("at most the {longest} of the header"), length.to_string()));
        }
        let (text, after) = after.split_at_checked(length as usize).ok_or_else(cut)?;
        let text = std::str::from_utf8(text).map_err(|_| refuse(format!("text of token {id}"), "UTF-8", "other bytes"))?;
        let kind = match id {
            0 => Kind::Unknown,
            1 | 2 => Kind::Control,
            _ if byte_of(text).is_some() => Kind::Byte,
            _ => Kind::Normal,
        };
        let text = if kind == Kind::Control { text.trim_matches('\n').into() } else { text.replace(' ', SPACE) };
        vocabulary.push(&text, kind)?;
        push_score(&mut scores, f32::from_le_bytes(*score))?;
        rest = after;
    }
    finish(vocabulary, scores, true, [0, 1, 2])
}

fn finish(mut vocabulary: Vocabulary, scores: Vec<f32>, space: bool, special: [u64; 3]) -> Result<Tokenizer, ModelError> {
    if vocabulary.len() == 0 {
        return Err(refuse("tokenizer file", "a SentencePiece vocabulary", "no token"));
    }
    vocabulary.set_scores(scores);
    vocabulary.index()?;
    let [unknown, bos, eos] = special.map(|id| u32::try_from(id).ok().filter(|&id| (id as usize) < vocabulary.len()));
    let ends = super::ends::find(&mut vocabulary, &[eos]);
    let scheme = Scheme::SentencePiece(SentencePiece::new(&vocabulary, space, unknown));
    Ok(Tokenizer::new(vocabulary, scheme, Spelling::Spaces).with_special(bos, eos, ends).with_flags(bos.is_some(), false))
}

fn push_score(scores: &mut Vec<f32>, score: f32) -> Result<(), ModelError> {
    if !score.is_finite() {
        return Err(refuse(format!("score of token {}", scores.len()), "a finite number", score.to_string()));
    }
    // + 0 makes -0 into 0, so that the two rank equal.
    scores.push(score + 0.0);
    Ok(())
}

fn refuse(item: impl Into<String>, expected: impl Into<String>, found: impl AsRef<str>) -> ModelError {
    ModelError::refused(Refusal::Format, item, expected, shown(found.as_ref()), REMEDY)
}

/// Gives every field of a message, with its number, to `each`.
fn each<'a>(mut bytes: &'a [u8], each: &mut dyn FnMut(u64, Field<'a>) -> Result<(), ModelError>) -> Result<(), ModelError> {
    let damaged = || refuse("tokenizer file", "a SentencePiece model (a protocol buffer)", "other or damaged bytes");
    while !bytes.is_empty() {
        let tag = varint(&mut bytes).ok_or_else(damaged)?;
        let value = match tag & 7 {
            0 => Field::Number(varint(&mut bytes).ok_or_else(damaged)?),
            1 => {
                bytes = bytes.get(8..).ok_or_else(damaged)?;
                continue;
            }
            2 => {
                let length = varint(&mut bytes).and_then(|length| usize::try_from(length).ok()).ok_or_else(damaged)?;
                let (content, rest) = bytes.split_at_checked(length).ok_or_else(damaged)?;
                bytes = rest;
                Field::Bytes(content)
            }
            5 => {
                let (number, rest) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
                bytes = rest;
                Field::Float(f32::from_le_bytes(*number))
            }
            _ => return Err(damaged()),
        };
        each(tag >> 3, value)?;
    }
    Ok(())
}

/// A number in seven bits a byte, lowest first.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for place in 0..10 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(7 * place)?;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
