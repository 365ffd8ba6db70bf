//! Text to ids and back, by the rules of the model's file: SentencePiece or byte-level BPE, special tokens, BOS and EOS.
//!
//! In: a GGUF file, a `tokenizer.json`, a SentencePiece `tokenizer.model` or llama2.c's `tokenizer.bin`. Out: a
//! [`Tokenizer`]. Ids are those of llama.cpp for GGUF files; docs/tokenizers.md says what was compared.

mod bpe;
mod bytes;
mod ends;
mod export;
mod huggingface;
mod merge;
mod pre;
mod pre_table;
mod section;
mod sentencepiece;
mod special;
mod spm;
mod stream;
mod vocabulary;

use std::path::Path;

use super::chat::ChatTemplate;
use super::error::{ModelError, Refusal};
use super::gguf::Gguf;
use bpe::ByteLevel;
use huggingface::HuggingFace;
use special::{Fragment, Specials};
use spm::{SPACE, SentencePiece};
pub use stream::TextStream;
use vocabulary::{Kind, Vocabulary, byte_of};

/// Keys under which a GGUF file holds a whole `tokenizer.json`, and the `tokenizer_config.json` beside it (the second is our own).
pub const HF_JSON_KEY: &str = "tokenizer.huggingface.json";
pub const HF_CONFIG_KEY: &str = "tokenizer.huggingface.config";

const REMEDY: &str = "the file's tokenizer section is incomplete: convert the model again, or give token ids";

/// How a text without special tokens becomes ids.
#[derive(Debug, Clone)]
enum Scheme {
    SentencePiece(SentencePiece),
    ByteLevel(ByteLevel),
    HuggingFace(HuggingFace),
}

/// How the texts of normal tokens are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// With `▁` for a space.
    Spaces,
    /// In GPT-2's alphabet of bytes.
    Bytes,
}

/// A vocabulary and its rules.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    vocabulary: Vocabulary,
    specials: Specials,
    scheme: Scheme,
    spelling: Spelling,
    bos: Option<u32>,
    eos: Option<u32>,
    /// Ids that end a text, in order.
    ends: Vec<u32>,
    adds_bos: bool,
    adds_eos: bool,
    template: Option<Box<str>>,
}

impl Tokenizer {
    /// Reads the tokenizer section of a file.
    ///
    /// # Errors
    /// [`Refusal::Missing`], [`Refusal::Type`] or [`Refusal::Vocabulary`]: no tokenizer, one of an unknown kind, lists of
    /// different lengths, a score that is no number, two tokens with one text, ids outside the vocabulary.
    pub fn from_gguf(file: &Gguf<'_>) -> Result<Self, ModelError> {
        section::read(file)
    }

    /// Reads the tokenizer of a folder that Hugging Face publishes: `tokenizer.json` or `tokenizer.model`, and
    /// `tokenizer_config.json`.
    ///
    /// # Errors
    /// [`ModelError::Io`]; [`Refusal::Missing`], [`Refusal::Format`], [`Refusal::Vocabulary`]: no tokenizer there, or one that
    /// is not supported.
    pub fn from_folder(folder: &Path) -> Result<Self, ModelError> {
        huggingface::from_folder(folder)
    }

    /// Reads the tokenizer at `path`: a folder as [`Tokenizer::from_folder`], or a file whose kind its name and content tell
    /// (`.json`; `.model`, a protocol buffer; else llama2.c's).
    ///
    /// # Errors
    /// [`ModelError::Io`]; as the kind's reader.
    pub fn from_file(path: &Path) -> Result<Self, ModelError> {
        if path.is_dir() {
            return Self::from_folder(path);
        }
        let bytes = huggingface::need_file(path)?;
        match path.extension().and_then(std::ffi::OsStr::to_str) {
            Some("json") => Self::from_json(&bytes),
            Some("model") => Self::from_sentencepiece(&bytes),
            _ => Self::from_llama2c(&bytes),
        }
    }

    /// Reads the content of a `tokenizer.json`, without the configuration beside it.
    ///
    /// # Errors
    /// [`Refusal::Format`], [`Refusal::Vocabulary`]: no tokenizer, or one that is not supported.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ModelError> {
        huggingface::from_json(bytes, &serde_json::Value::Null)
    }

    /// Reads the content of a SentencePiece `tokenizer.model`.
    ///
    /// # Errors
    /// [`Refusal::Format`], [`Refusal::Vocabulary`]: no SentencePiece model, or one with rules that are not supported.
    pub fn from_sentencepiece(bytes: &[u8]) -> Result<Self, ModelError> {
        sentencepiece::from_model(bytes)
    }

    /// Reads the content of llama2.c's `tokenizer.bin`.
    ///
    /// # Errors
    /// [`Refusal::Truncated`], [`Refusal::Format`], [`Refusal::Vocabulary`]: no such file.
    pub fn from_llama2c(bytes: &[u8]) -> Result<Self, ModelError> {
        sentencepiece::from_llama2c(bytes)
    }

    fn new(vocabulary: Vocabulary, scheme: Scheme, spelling: Spelling) -> Self {
        let specials = Specials::new(&vocabulary);
        let (bos, eos, ends) = (None, None, Vec::new());
        Self { vocabulary, specials, scheme, spelling, bos, eos, ends, adds_bos: false, adds_eos: false, template: None }
    }

    fn with_special(self, bos: Option<u32>, eos: Option<u32>, ends: Vec<u32>) -> Self {
        Self { bos, eos, ends, ..self }
    }

    fn with_flags(self, adds_bos: bool, adds_eos: bool) -> Self {
        Self { adds_bos, adds_eos, ..self }
    }

    fn with_template(self, template: Option<&str>) -> Self {
        Self { template: template.map(Into::into), ..self }
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.vocabulary.len()
    }

    /// Whether the vocabulary has no token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Id of the token that begins a sequence, where the file names one.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// Id of the token that ends a sequence, where the file names one.
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// Whether `id` ends a text: EOS, the end of a turn, and what else is known as an end by its text.
    pub fn is_end(&self, id: u32) -> bool {
        self.ends.binary_search(&id).is_ok()
    }

    /// Whether prompts begin with BOS (the file's `add_bos_token`; where absent, what its kind of tokenizer does).
    pub fn adds_bos(&self) -> bool {
        self.adds_bos
    }

    /// The file's chat template, where it has one.
    pub fn chat_template(&self) -> Option<&str> {
        self.template.as_deref()
    }

    /// The file's chat template with its special tokens, ready to render; `None` where the file has none.
    ///
    /// # Errors
    /// As [`ChatTemplate::parse`].
    pub fn chat(&self) -> Result<Option<ChatTemplate>, ModelError> {
        let text = |id: Option<u32>| id.map_or("", |id| self.vocabulary.text(id));
        self.chat_template().map(|source| ChatTemplate::parse(source, text(self.bos), text(self.eos))).transpose()
    }

    /// The text of a token as the vocabulary has it.
    ///
    /// # Errors
    /// [`Refusal::Vocabulary`] for an id outside the vocabulary.
    pub fn token_text(&self, id: u32) -> Result<&str, ModelError> {
        self.check(id).map(|id| self.vocabulary.text(id))
    }

    /// The ids of a prompt: BOS where the file wants it, the text, EOS where the file wants it. Control tokens in the
    /// text are text.
    ///
    /// # Errors
    /// As [`Tokenizer::tokenize`].
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        self.tokenize(text, true, false)
    }

    /// The ids of a rendered chat: control tokens in the text are ids. BOS is put in front where the file wants it and
    /// the template did not write it.
    ///
    /// # Errors
    /// As [`Tokenizer::tokenize`].
    pub fn encode_chat(&self, rendered: &str) -> Result<Vec<u32>, ModelError> {
        let bos = self.bos.filter(|_| self.adds_bos).map_or("", |bos| self.vocabulary.text(bos));
        self.tokenize(rendered.strip_prefix(bos).unwrap_or(rendered), true, true)
    }

    /// BOS and the ids of `text`.
    ///
    /// # Errors
    /// [`Refusal::Missing`] if the file names no BOS; as [`Tokenizer::encode`].
    pub fn encode_with_bos(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        let mut ids = vec![self.need(self.bos, "bos_token_id")?];
        ids.extend(self.encode(text)?);
        Ok(ids)
    }

    /// The ids of `text`, without BOS or EOS. An empty text has none.
    ///
    /// # Errors
    /// [`Refusal::Vocabulary`] for a character without token where the file has no byte and no unknown token.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        self.tokenize(text, false, false)
    }

    /// The ids of `text`. `add_special`: with BOS and EOS where the file wants them; `parse_special`: control tokens in the
    /// text are ids, not text.
    ///
    /// # Errors
    /// [`Refusal::Vocabulary`] as [`Tokenizer::encode`]; [`Refusal::Missing`] for a BOS or EOS that the file wants but does
    /// not name.
    pub fn tokenize(&self, text: &str, add_special: bool, parse_special: bool) -> Result<Vec<u32>, ModelError> {
        if let Scheme::HuggingFace(rules) = &self.scheme {
            return rules.encode(text, add_special, parse_special);
        }
        let mut ids = Vec::new();
        if add_special && self.adds_bos {
            ids.push(self.need(self.bos, "bos_token_id")?);
        }
        self.encode_into(text, parse_special, &mut ids)?;
        if add_special && self.adds_eos {
            ids.push(self.need(self.eos, "eos_token_id")?);
        }
        Ok(ids)
    }

    fn encode_into(&self, text: &str, parse_special: bool, ids: &mut Vec<u32>) -> Result<(), ModelError> {
        let mut first = true;
        for fragment in self.specials.split(&self.vocabulary, text, parse_special) {
            match (fragment, &self.scheme) {
                (Fragment::Token(id), _) => ids.push(id),
                (Fragment::Text(text), Scheme::SentencePiece(rules)) => rules.encode(&self.vocabulary, text, first, ids)?,
                (Fragment::Text(text), Scheme::ByteLevel(rules)) => rules.encode(&self.vocabulary, text, ids),
                (Fragment::Text(text), Scheme::HuggingFace(rules)) => ids.extend(rules.encode(text, false, parse_special)?),
            }
            first = matches!(fragment, Fragment::Token(_));
        }
        Ok(())
    }

    /// The bytes that one token prints; nothing for control, unknown and unused tokens. They may be a part of a character.
    ///
    /// # Errors
    /// [`Refusal::Vocabulary`] for an id outside the vocabulary.
    pub fn piece(&self, id: u32) -> Result<Vec<u8>, ModelError> {
        let text = self.token_text(id)?;
        Ok(match (self.vocabulary.kind(id), self.spelling) {
            (Kind::Normal, Spelling::Spaces) => text.replace(SPACE, " ").into_bytes(),
            (Kind::Normal, Spelling::Bytes) => bytes::read(text),
            (Kind::UserDefined, _) => text.as_bytes().to_vec(),
            (Kind::Byte, _) => byte_of(text).into_iter().collect(),
            (Kind::Unknown | Kind::Control | Kind::Unused, _) => Vec::new(),
        })
    }

    /// The text of `ids`; bytes that form no character become U+FFFD.
    ///
    /// # Errors
    /// As [`Tokenizer::piece`].
    pub fn decode(&self, ids: &[u32]) -> Result<String, ModelError> {
        let pieces: Vec<Vec<u8>> = ids.iter().map(|&id| self.piece(id)).collect::<Result<_, _>>()?;
        Ok(String::from_utf8_lossy(&pieces.concat()).into_owned())
    }

    fn check(&self, id: u32) -> Result<u32, ModelError> {
        if (id as usize) < self.len() {
            return Ok(id);
        }
        let expected = format!("below the vocabulary's {}", self.len());
        let remedy = "use ids of this model's vocabulary";
        Err(ModelError::refused(Refusal::Vocabulary, "token id", expected, id.to_string(), remedy))
    }

    fn need(&self, id: Option<u32>, name: &str) -> Result<u32, ModelError> {
        id.ok_or_else(|| {
            let item = format!("metadata 'tokenizer.ggml.{name}'");
            ModelError::refused(Refusal::Missing, item, "to be present", "nothing", REMEDY)
        })
    }
}
