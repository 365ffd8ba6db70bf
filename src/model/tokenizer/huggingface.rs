//! `tokenizer.json` as Hugging Face publishes it, run by their own crate, and the folder around it:
//! `tokenizer_config.json` names BOS, EOS and the chat template, `chat_template.jinja` holds a template.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::super::error::{ModelError, Refusal, shown, shown_path};
use super::vocabulary::{Kind, Vocabulary, byte_of};
use super::{Scheme, Spelling, Tokenizer};

const REMEDY: &str = "download the model's folder again, or give token ids";
/// Largest file that is read, in bytes; the largest published ones have some 30 million.
const LARGEST: u64 = 512 << 20;

/// A tokenizer of the `tokenizers` crate.
#[derive(Debug, Clone)]
pub struct HuggingFace {
    /// Parses special tokens in the text.
    parsing: Arc<tokenizers::Tokenizer>,
    /// Takes them as text; made when first needed.
    plain: Arc<OnceLock<tokenizers::Tokenizer>>,
}

impl HuggingFace {
    /// The ids of a text.
    ///
    /// # Errors
    /// [`Refusal::Vocabulary`]: what the crate says.
    pub fn encode(&self, text: &str, add_special: bool, parse_special: bool) -> Result<Vec<u32>, ModelError> {
        let tokenizer = if parse_special {
            &self.parsing
        } else {
            self.plain.get_or_init(|| {
                let mut plain = (*self.parsing).clone();
                plain.set_encode_special_tokens(true);
                plain
            })
        };
        let encoding = tokenizer.encode_fast(text, add_special).map_err(|cause| {
            let found = shown(&cause.to_string());
            ModelError::refused(Refusal::Vocabulary, format!("text '{}'", shown(text)), "tokens", found, REMEDY)
        })?;
        Ok(encoding.get_ids().to_vec())
    }
}

/// Reads the tokenizer of a model's folder: `tokenizer.json`, or else `tokenizer.model`.
///
/// # Errors
/// [`ModelError::Io`]; as [`from_json`]; [`Refusal::Missing`] where the folder has neither.
pub fn from_folder(folder: &Path) -> Result<Tokenizer, ModelError> {
    let config = optional(&folder.join("tokenizer_config.json"))?;
    let config = config.map(|bytes| parse("tokenizer_config.json", &bytes)).transpose()?.unwrap_or(Value::Null);
    let mut tokenizer = match (optional(&folder.join("tokenizer.json"))?, optional(&folder.join("tokenizer.model"))?) {
        (Some(json), _) => from_json(&json, &config)?,
        (None, Some(model)) => super::sentencepiece::from_model(&model)?,
        (None, None) => {
            let item = shown_path(folder);
            return Err(ModelError::refused(Refusal::Missing, item, "tokenizer.json or tokenizer.model", "neither", REMEDY));
        }
    };
    if let Some(template) = optional(&folder.join("chat_template.jinja"))? {
        tokenizer.template = Some(String::from_utf8_lossy(&template).into());
    } else if let Some(template) = template(&config["chat_template"]) {
        tokenizer.template = Some(template.into());
    }
    Ok(tokenizer)
}

/// Reads the contents of a `tokenizer.json` and, where there is one, of a `tokenizer_config.json`.
///
/// # Errors
/// As [`from_json`].
pub fn from_texts(json: &str, config: Option<&str>) -> Result<Tokenizer, ModelError> {
    let config = config.map(|config| parse("tokenizer_config.json", config.as_bytes())).transpose()?.unwrap_or(Value::Null);
    from_json(json.as_bytes(), &config)
}

/// Reads a `tokenizer.json`; `config` is the content of `tokenizer_config.json`, or null.
///
/// # Errors
/// [`Refusal::Format`]: no JSON, or a tokenizer that the crate does not take; [`Refusal::Vocabulary`]: ids that are no range.
pub fn from_json(bytes: &[u8], config: &Value) -> Result<Tokenizer, ModelError> {
    let json = parse("tokenizer.json", bytes)?;
    let damaged = |found: &str| ModelError::refused(Refusal::Format, "tokenizer.json", "a tokenizer", shown(found), REMEDY);
    // The crate is not made for hostile files: a panic there is an error here.
    let read =
        std::thread::scope(|scope| scope.spawn(|| tokenizers::Tokenizer::from_bytes(bytes).map_err(|cause| cause.to_string())).join());
    let mut parsing = read.map_err(|_| damaged("a fault of its reader"))?.map_err(|cause| damaged(&cause))?;
    let _ = parsing.with_truncation(None);
    parsing.with_padding(None);
    let vocabulary = vocabulary(&parsing)?;
    let named = |name: &str| {
        let text = config[name].as_str().or(config[name]["content"].as_str())?;
        vocabulary.find(text)
    };
    let (before, behind) = around(&parsing);
    let (bos, eos) = (named("bos_token").or(before.first().copied()), named("eos_token").or(behind.last().copied()));
    let adds_bos = bos.is_some() && before.first() == bos.as_ref();
    let adds_eos = eos.is_some() && behind.last() == eos.as_ref();
    let spelling = if mentions(&json["decoder"], "ByteLevel") { Spelling::Bytes } else { Spelling::Spaces };
    let mut vocabulary = vocabulary;
    let ends = super::ends::find(&mut vocabulary, &[eos]);
    let scheme = Scheme::HuggingFace(HuggingFace { parsing: Arc::new(parsing), plain: Arc::default() });
    Ok(Tokenizer::new(vocabulary, scheme, spelling)
        .with_special(bos, eos, ends)
        .with_flags(adds_bos, adds_eos)
        .with_template(template(&config["chat_template"])))
}

/// The ids that the tokenizer's post-processor puts before and behind a text.
fn around(parsing: &tokenizers::Tokenizer) -> (Vec<u32>, Vec<u32>) {
    let ids = |special| parsing.encode_fast("a", special).map(|encoding| encoding.get_ids().to_vec()).unwrap_or_default();
    let (with, text) = (ids(true), ids(false));
    let place = with.windows(text.len().max(1)).position(|ids| ids == text).unwrap_or(with.len());
    let end = (place + text.len()).min(with.len());
    (with[..place].to_vec(), with[end..].to_vec())
}

/// All tokens, by id; ids that are missing become unused ones.
fn vocabulary(tokenizer: &tokenizers::Tokenizer) -> Result<Vocabulary, ModelError> {
    let mut tokens: Vec<(u32, String)> = tokenizer.get_vocab(true).into_iter().map(|(text, id)| (id, text)).collect();
    tokens.sort_unstable();
    let added = tokenizer.get_added_tokens_decoder();
    let highest = tokens.last().map_or(0, |&(id, _)| id as usize);
    if tokens.is_empty() || highest >= 2 * tokens.len() + 1024 {
        let found = format!("{} tokens, highest id {highest}", tokens.len());
        return Err(ModelError::refused(Refusal::Vocabulary, "tokenizer.json", "ids from 0 on", found, REMEDY));
    }
    let mut vocabulary = Vocabulary::default();
    for (id, text) in &tokens {
        while vocabulary.len() < *id as usize {
            vocabulary.push("", Kind::Unused)?;
        }
        // Of two texts with one id the first counts.
        if vocabulary.len() > *id as usize {
            continue;
        }
        let kind = match added.get(id) {
            Some(token) if token.special => Kind::Control,
            Some(_) => Kind::UserDefined,
            None if byte_of(text).is_some() => Kind::Byte,
            None => Kind::Normal,
        };
        vocabulary.push(text, kind)?;
    }
    vocabulary.index()?;
    Ok(vocabulary)
}

/// Whether an object of the given type is anywhere in `value`.
fn mentions(value: &Value, kind: &str) -> bool {
    match value {
        Value::Object(fields) => fields.get("type").is_some_and(|it| it == kind) || fields.values().any(|it| mentions(it, kind)),
        Value::Array(items) => items.iter().any(|it| mentions(it, kind)),
        _ => false,
    }
}

/// The template of a configuration: a text, or the one called `default` of a list.
fn template(value: &Value) -> Option<&str> {
    let named = || value.as_array()?.iter().find(|it| it["name"] == "default")?["template"].as_str();
    value.as_str().or_else(named)
}

fn parse(name: &str, bytes: &[u8]) -> Result<Value, ModelError> {
    serde_json::from_slice(bytes).map_err(|cause| ModelError::refused(Refusal::Format, name, "JSON", shown(&cause.to_string()), REMEDY))
}

/// The content of a file that must be there.
///
/// # Errors
/// [`ModelError::Io`]; [`Refusal::Bounds`] for one that is no tokenizer by its size.
pub fn need_file(path: &Path) -> Result<Vec<u8>, ModelError> {
    optional(path)?.ok_or_else(|| {
        let cause = std::io::Error::from(std::io::ErrorKind::NotFound);
        ModelError::Io { path: path.to_owned(), cause, remedy: "give a readable tokenizer file" }
    })
}

/// The content of a file, `None` where there is none.
fn optional(path: &Path) -> Result<Option<Vec<u8>>, ModelError> {
    let io = |cause| ModelError::Io { path: path.to_owned(), cause, remedy: "give a readable folder" };
    let size = match std::fs::metadata(path) {
        Ok(data) => data.len(),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(io(cause)),
    };
    if size > LARGEST {
        let expected = format!("at most {LARGEST} bytes");
        return Err(ModelError::refused(Refusal::Bounds, shown_path(path), expected, format!("{size} bytes"), REMEDY));
    }
    crate::inputs::note(path);
    std::fs::read(path).map(Some).map_err(io)
}
