//! The tokenizer section of a GGUF file: `tokenizer.ggml.*` and the chat template; or, where there is none, a whole
//! `tokenizer.json` under `tokenizer.huggingface.json`.

use super::super::error::{ModelError, Refusal, shown};
use super::super::gguf::Gguf;
use super::bpe::ByteLevel;
use super::pre::PreTokenizer;
use super::spm::SentencePiece;
use super::vocabulary::{Kind, Vocabulary};
use super::{HF_CONFIG_KEY, HF_JSON_KEY, REMEDY, Scheme, Spelling, Tokenizer, huggingface};

/// The id that old converters write for a token that does not exist.
const NONE: u64 = u32::MAX as u64;

/// Reads the tokenizer section of a file.
///
/// # Errors
/// [`Refusal::Missing`], [`Refusal::Type`] or [`Refusal::Vocabulary`]: no tokenizer, one of an unknown kind, lists of
/// different lengths, a score that is no number, two tokens with one text, merges of unknown tokens, ids outside the vocabulary.
pub fn read(file: &Gguf<'_>) -> Result<Tokenizer, ModelError> {
    let kind = file.get_str("tokenizer.ggml.model")?;
    if let (None, Some(json)) = (kind, file.get_str(HF_JSON_KEY)?) {
        return huggingface::from_texts(json, file.get_str(HF_CONFIG_KEY)?);
    }
    let byte_level = match kind {
        Some("llama") => false,
        Some("gpt2") => true,
        _ => {
            let found = kind.map_or("nothing".into(), |kind| format!("'{}'", shown(kind)));
            let expected = "'llama' (SentencePiece) or 'gpt2' (byte-level BPE)";
            let remedy = "give token ids instead of text: other tokenizers are not supported";
            return Err(ModelError::refused(Refusal::Vocabulary, "metadata 'tokenizer.ggml.model'", expected, found, remedy));
        }
    };
    let mut vocabulary = read_tokens(file, byte_level)?;
    let id = |name: &str| special_id(file, name, vocabulary.len());
    let (bos, eos, unknown) = (id("bos_token_id")?, id("eos_token_id")?, id("unknown_token_id")?);
    let ends = [eos, id("eot_token_id")?, id("eom_token_id")?];
    let ends = super::ends::find(&mut vocabulary, &ends);
    let flag = |name: &str| file.get_bool(&format!("tokenizer.ggml.{name}"));
    let (scheme, adds_bos) = if byte_level {
        // Files without a name are old; the reference runtime warns and takes this one.
        let pre = PreTokenizer::named(file.get_str("tokenizer.ggml.pre")?.unwrap_or("default"))?;
        let adds_bos = pre.adds_bos();
        let merges = list(file, "merges")?;
        let merges = merges.strings().ok_or_else(|| wrong_type("merges", "a list of strings", merges.element))?;
        (Scheme::ByteLevel(ByteLevel::new(&vocabulary, pre, merges)?), adds_bos)
    } else {
        let space = flag("add_space_prefix")?.unwrap_or(true);
        (Scheme::SentencePiece(SentencePiece::new(&vocabulary, space, unknown)), true)
    };
    Ok(Tokenizer::new(vocabulary, scheme, if byte_level { Spelling::Bytes } else { Spelling::Spaces })
        .with_special(bos, eos, ends)
        .with_flags(flag("add_bos_token")?.unwrap_or(adds_bos), flag("add_eos_token")?.unwrap_or(false))
        .with_template(file.get_str("tokenizer.chat_template")?))
}

fn list<'a>(file: &Gguf<'a>, name: &str) -> Result<super::super::gguf::Array<'a>, ModelError> {
    let key = format!("tokenizer.ggml.{name}");
    let array = file.get_array(&key)?;
    array.ok_or_else(|| ModelError::refused(Refusal::Missing, format!("metadata '{key}'"), "to be present", "nothing", REMEDY))
}

fn wrong_type(name: &str, expected: &str, found: super::super::gguf::ValueType) -> ModelError {
    let item = format!("metadata 'tokenizer.ggml.{name}'");
    ModelError::refused(Refusal::Type, item, expected, format!("a list of {found:?}"), REMEDY)
}

/// Tokens with kinds and scores; byte-level files need neither of the two.
fn read_tokens(file: &Gguf<'_>, byte_level: bool) -> Result<Vocabulary, ModelError> {
    let has = |name: &str| !byte_level || file.get(&format!("tokenizer.ggml.{name}")).is_some();
    let texts = list(file, "tokens")?;
    let scores = has("scores").then(|| list(file, "scores")).transpose()?;
    let kinds = has("token_type").then(|| list(file, "token_type")).transpose()?;
    let text = texts.strings().ok_or_else(|| wrong_type("tokens", "a list of strings", texts.element))?;
    let score = scores.map(|list| list.floats().ok_or_else(|| wrong_type("scores", "a list of F32", list.element))).transpose()?;
    let kind = kinds.map(|list| list.ints().ok_or_else(|| wrong_type("token_type", "a list of I32", list.element))).transpose()?;
    let (count, scores, kinds) = (text.len(), score.as_ref().map(|s| s.len()), kind.as_ref().map(|k| k.len()));
    if count == 0 || scores.unwrap_or(count) != count || kinds.unwrap_or(count) != count {
        let found = format!("{count}, {} and {}", scores.unwrap_or(count), kinds.unwrap_or(count));
        let item = "tokenizer lists tokens, scores, token_type";
        return Err(ModelError::refused(Refusal::Vocabulary, item, "equal lengths, not 0", found, REMEDY));
    }
    let bytes = texts.strings().into_iter().flatten().map(<[u8]>::len).sum();
    let mut vocabulary = Vocabulary::with_capacity(count, bytes);
    let mut kind = kind.into_iter().flatten();
    for (id, text) in text.enumerate() {
        let refuse = |what: &str, expected: &str, found: String| {
            Err(ModelError::refused(Refusal::Vocabulary, format!("{what} of token {id}"), expected, found, REMEDY))
        };
        let Ok(text) = std::str::from_utf8(text) else {
            return refuse("text", "UTF-8", "other bytes".into());
        };
        let number = kind.next().unwrap_or(Kind::Normal as i32);
        let Some(kind) = Kind::from_number(number) else {
            return refuse("type", "1 to 6", number.to_string());
        };
        vocabulary.push(text, kind)?;
    }
    if let Some(score) = score {
        let scores: Vec<f32> = score.map(|score| score + 0.0).collect();
        if let Some(id) = scores.iter().position(|score| !score.is_finite()) {
            let found = scores[id].to_string();
            return Err(ModelError::refused(Refusal::Vocabulary, format!("score of token {id}"), "a finite number", found, REMEDY));
        }
        vocabulary.set_scores(scores);
    }
    vocabulary.index()?;
    Ok(vocabulary)
}

fn special_id(file: &Gguf<'_>, name: &str, tokens: usize) -> Result<Option<u32>, ModelError> {
    let key = format!("tokenizer.ggml.{name}");
    match file.get_u64(&key)? {
        None | Some(NONE) => Ok(None),
        Some(id) if id >= tokens as u64 => {
            let expected = format!("below the vocabulary's {tokens}");
            Err(ModelError::refused(Refusal::Vocabulary, format!("metadata '{key}'"), expected, id.to_string(), REMEDY))
        }
        Some(id) => Ok(Some(id as u32)),
    }
}
