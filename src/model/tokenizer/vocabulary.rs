//! The tokens of a vocabulary: text, score and kind by id, id by text. All texts lie in one string, so that a vocabulary
//! costs little more than its file.

use super::super::error::{ModelError, Refusal, shown};
use super::REMEDY;

/// What a token is for; the discriminant is the number in a GGUF or SentencePiece file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A piece of text.
    Normal = 1,
    /// What stands for text without token.
    Unknown = 2,
    /// A mark for the model, never printed.
    Control = 3,
    /// A piece of text that is found before all others and never split.
    UserDefined = 4,
    /// A place that holds nothing.
    Unused = 5,
    /// One byte, written `<0xHH>`.
    Byte = 6,
}

impl Kind {
    /// The kind with this number.
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Normal, Self::Unknown, Self::Control, Self::UserDefined, Self::Unused, Self::Byte]
            .into_iter()
            .find(|&kind| kind as i32 == number)
    }
}

/// All tokens. Texts differ; an empty one is held as `[EMPTY_<id>]`.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    texts: String,
    /// Where each text ends; it begins where the one before ends.
    ends: Vec<u32>,
    /// Larger is joined earlier; empty where the file ranks joins by a list.
    scores: Vec<f32>,
    kinds: Vec<Kind>,
    /// Ids in the order of their texts.
    by_text: Vec<u32>,
    /// Bytes of the longest text.
    longest: usize,
}

impl Vocabulary {
    /// Room for `tokens` tokens of `bytes` bytes of text altogether; both must have been compared with the file's size.
    pub fn with_capacity(tokens: usize, bytes: usize) -> Self {
        Self { texts: String::with_capacity(bytes), ends: Vec::with_capacity(tokens), kinds: Vec::with_capacity(tokens), ..Self::default() }
    }

    /// Adds the next id.
    ///
    /// # Errors
    /// [`Refusal::Vocabulary`]: more than 2^31 bytes of text or tokens; a byte token without its byte.
    pub fn push(&mut self, text: &str, kind: Kind) -> Result<(), ModelError> {
        let id = self.len();
        if text.is_empty() {
            self.texts += &format!("[EMPTY_{id}]");
        }
        self.texts += text;
        if self.texts.len() >= 1 << 31 || id >= 1 << 31 {
            return Err(ModelError::refused(Refusal::Vocabulary, "the vocabulary", "below 2 GiB of text", "more", REMEDY));
        }
        if kind == Kind::Byte && byte_of(text).is_none() {
            let found = format!("'{}'", shown(text));
            return Err(ModelError::refused(Refusal::Vocabulary, format!("text of token {id}"), "<0xHH> for a byte token", found, REMEDY));
        }
        self.ends.push(self.texts.len() as u32);
        self.kinds.push(kind);
        Ok(())
    }

    /// Gives the scores of all tokens, in the order of the ids; they must be finite.
    pub fn set_scores(&mut self, scores: Vec<f32>) {
        self.scores = scores;
    }

    /// Builds the index by text, once all tokens are there.
    ///
    /// # Errors
    /// [`Refusal::Vocabulary`] where two tokens have one text.
    pub fn index(&mut self) -> Result<(), ModelError> {
        let mut by_text: Vec<u32> = (0..self.len() as u32).collect();
        by_text.sort_unstable_by(|&a, &b| self.text(a).cmp(self.text(b)).then(a.cmp(&b)));
        if let Some(pair) = by_text.windows(2).find(|pair| self.text(pair[0]) == self.text(pair[1])) {
            let item = format!("token {}", pair[1]);
            let found = format!("'{}', which is token {}", shown(self.text(pair[1])), pair[0]);
            return Err(ModelError::refused(Refusal::Vocabulary, item, "a text of its own", found, REMEDY));
        }
        self.by_text = by_text;
        self.longest = (0..self.len() as u32).map(|id| self.text(id).len()).max().unwrap_or(0);
        Ok(())
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Text of a token. `id` must be below [`Vocabulary::len`].
    pub fn text(&self, id: u32) -> &str {
        let id = id as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] as usize };
        &self.texts[start..self.ends[id] as usize]
    }

    /// Kind of a token.
    pub fn kind(&self, id: u32) -> Kind {
        self.kinds[id as usize]
    }

    /// Changes the kind of a token.
    pub fn set_kind(&mut self, id: u32, kind: Kind) {
        self.kinds[id as usize] = kind;
    }

    /// Score of a token; 0 where the vocabulary has none.
    pub fn score(&self, id: u32) -> f32 {
        self.scores.get(id as usize).copied().unwrap_or(0.0)
    }

    /// The token with this text, of whatever kind.
    pub fn find(&self, text: &str) -> Option<u32> {
        if text.len() > self.longest {
            return None;
        }
        let place = self.by_text.binary_search_by(|&id| self.text(id).cmp(text));
        place.ok().map(|place| self.by_text[place])
    }

    /// All ids.
    pub fn ids(&self) -> impl Iterator<Item = u32> + use<> {
        0..self.len() as u32
    }
}

/// The byte of a byte token's text, `<0xHH>`.
pub fn byte_of(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let hex = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hex.then(|| u8::from_str_radix(digits, 16).ok())?
}
