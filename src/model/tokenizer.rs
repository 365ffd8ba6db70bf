//! SentencePiece BPE from the file's tokenizer section: text to ids and back.
//!
//! Encoding: spaces become `▁`, one is put in front (unless the file says not); the text is cut into characters
//! (user-defined tokens stay whole), then the pair of neighbours whose join has the highest score is joined, the
//! leftmost first among equals, until no join is in the vocabulary. What then is no token is written as bytes.
//! A heap of candidates makes that O(n log n). Decoding keeps the leading space and prints nothing for control tokens.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::error::{ModelError, Refusal, shown};
use super::gguf::Gguf;

const SPACE: &str = "\u{2581}";
const REMEDY: &str = "the file's tokenizer section is incomplete: convert the model again, or give token ids";

/// What a token is for; the discriminant is the number in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
enum Kind {
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

impl Kind {
    fn from_number(number: i32) -> Option<Self> {
        [Self::Normal, Self::Unknown, Self::Control, Self::UserDefined, Self::Unused, Self::Byte]
            .into_iter()
            .find(|&kind| kind as i32 == number)
    }
}

#[derive(Debug, Clone)]
struct Token {
    text: Box<str>,
    score: f32,
    kind: Kind,
}

/// A SentencePiece vocabulary and its rules.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    tokens: Vec<Token>,
    /// Ids of the tokens that text can become (normal, user-defined), in the order of their texts.
    by_text: Vec<u32>,
    /// Id of the token for each byte.
    by_byte: [Option<u32>; 256],
    longest: usize,
    has_user_defined: bool,
    unknown: Option<u32>,
    bos: Option<u32>,
    eos: Option<u32>,
    add_bos: bool,
    add_space_prefix: bool,
}

impl Tokenizer {
    /// Reads the tokenizer section of a file.
    ///
    /// # Errors
    /// [`Refusal::Missing`], [`Refusal::Type`] or [`Refusal::Vocabulary`]: no tokenizer, another kind than
    /// SentencePiece, lists of different lengths, a score that is no number, ids outside the vocabulary.
    pub fn from_gguf(file: &Gguf<'_>) -> Result<Self, ModelError> {
        check_kind(file)?;
        let tokens = read_tokens(file)?;
        let id = |name: &str| special_id(file, name, tokens.len());
        let mut tokenizer = Self {
            unknown: id("unknown_token_id")?,
            bos: id("bos_token_id")?,
            eos: id("eos_token_id")?,
            add_bos: file.get_bool("tokenizer.ggml.add_bos_token")?.unwrap_or(true),
            add_space_prefix: file.get_bool("tokenizer.ggml.add_space_prefix")?.unwrap_or(true),
            by_text: Vec::new(),
            by_byte: [None; 256],
            longest: tokens.iter().map(|token| token.text.len()).max().unwrap_or(0),
            has_user_defined: tokens.iter().any(|token| token.kind == Kind::UserDefined),
            tokens,
        };
        tokenizer.index();
        Ok(tokenizer)
    }

    fn index(&mut self) {
        let tokens = &self.tokens;
        let findable = |&id: &u32| matches!(tokens[id as usize].kind, Kind::Normal | Kind::UserDefined);
        let mut by_text: Vec<u32> = (0..tokens.len() as u32).filter(findable).collect();
        // A stable sort: of equal texts the lowest id comes first and is kept.
        by_text.sort_by(|&a, &b| tokens[a as usize].text.cmp(&tokens[b as usize].text));
        by_text.dedup_by(|&mut later, &mut first| tokens[later as usize].text == tokens[first as usize].text);
        self.by_text = by_text;
        for (id, token) in tokens.iter().enumerate().rev() {
            if let Some(byte) = byte_of(token) {
                self.by_byte[usize::from(byte)] = Some(id as u32);
            }
        }
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether the vocabulary has no token.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Id of the token that begins a sequence, where the file names one.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// Id of the token that ends a sequence, where the file names one.
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// Whether prompts begin with BOS (the file's `add_bos_token`, true where absent).
    pub fn adds_bos(&self) -> bool {
        self.add_bos
    }

    /// The ids of a prompt: BOS where the file wants it, then the text.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`] and [`Tokenizer::encode_with_bos`].
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        if self.add_bos { self.encode_with_bos(text) } else { self.encode(text) }
    }

    /// BOS and the ids of `text`.
    ///
    /// # Errors
    /// [`Refusal::Missing`] if the file names no BOS; as [`Tokenizer::encode`].
    pub fn encode_with_bos(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        let bos = self.bos.ok_or_else(|| {
            let item = "metadata 'tokenizer.ggml.bos_token_id'";
            ModelError::refused(Refusal::Missing, item, "to be present", "nothing", REMEDY)
        })?;
        let mut ids = vec![bos];
        ids.extend(self.encode(text)?);
        Ok(ids)
    }

    /// The ids of `text`, without BOS or EOS. An empty text has none.
    ///
    /// # Errors
    /// [`Refusal::Vocabulary`] for a character without token where the file has no byte and no unknown token.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let prefix = if self.add_space_prefix { SPACE } else { "" };
        let escaped = format!("{prefix}{}", text.replace(' ', SPACE));
        let mut ids = Vec::new();
        for piece in Merger::new(self, &escaped).run() {
            match self.find(piece) {
                Some(id) => ids.push(id),
                None => self.encode_bytes(piece, &mut ids)?,
            }
        }
        Ok(ids)
    }

    fn encode_bytes(&self, piece: &str, ids: &mut Vec<u32>) -> Result<(), ModelError> {
        let bytes: Option<Vec<u32>> = piece.bytes().map(|byte| self.by_byte[usize::from(byte)]).collect();
        match (bytes, self.unknown) {
            (Some(bytes), _) => ids.extend(bytes),
            (None, Some(unknown)) => ids.push(unknown),
            (None, None) => {
                let item = format!("text '{}'", shown(piece));
                let expected = "a token, byte tokens or an unknown token for it";
                return Err(ModelError::refused(Refusal::Vocabulary, item, expected, "none", REMEDY));
            }
        }
        Ok(())
    }

    /// The bytes that one token prints (`▁` as a space; nothing for control, unknown and unused tokens). A byte
    /// token's byte may be a part of a character.
    ///
    /// # Errors
    /// [`Refusal::Vocabulary`] for an id outside the vocabulary.
    pub fn piece(&self, id: u32) -> Result<Vec<u8>, ModelError> {
        let token = self.tokens.get(id as usize).ok_or_else(|| {
            let expected = format!("below the vocabulary's {}", self.tokens.len());
            let remedy = "use ids of this model's vocabulary";
            ModelError::refused(Refusal::Vocabulary, "token id", expected, id.to_string(), remedy)
        })?;
        Ok(match token.kind {
            Kind::Normal | Kind::UserDefined => token.text.replace(SPACE, " ").into_bytes(),
            Kind::Byte => byte_of(token).into_iter().collect(),
            Kind::Unknown | Kind::Control | Kind::Unused => Vec::new(),
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

    /// The normal or user-defined token with this text.
    fn find(&self, text: &str) -> Option<u32> {
        if text.len() > self.longest {
            return None;
        }
        let place = self.by_text.binary_search_by(|&id| (*self.tokens[id as usize].text).cmp(text));
        place.ok().map(|place| self.by_text[place])
    }

    /// Length of the longest user-defined token that `text` begins with.
    fn user_defined_prefix(&self, text: &str) -> Option<usize> {
        if !self.has_user_defined {
            return None;
        }
        let is_token = |&end: &usize| {
            text.is_char_boundary(end) && self.find(&text[..end]).is_some_and(|id| self.tokens[id as usize].kind == Kind::UserDefined)
        };
        (1..=text.len().min(self.longest)).rev().find(is_token)
    }
}

/// A stretch of the text that will not be split further, linked to its living neighbours.
struct Symbol {
    start: usize,
    /// 0 once joined to the symbol on its left.
    len: usize,
    previous: Option<usize>,
    next: Option<usize>,
    frozen: bool,
}

/// A possible join of two neighbours; valid only while both still have these lengths.
struct Join {
    score: f32,
    left: usize,
    right: usize,
    len: usize,
}

impl Ord for Join {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Join {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Join {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Join {}

/// The joining of one text.
struct Merger<'t> {
    tokenizer: &'t Tokenizer,
    text: &'t str,
    symbols: Vec<Symbol>,
    joins: BinaryHeap<Join>,
}

impl<'t> Merger<'t> {
    fn new(tokenizer: &'t Tokenizer, text: &'t str) -> Self {
        let mut symbols: Vec<Symbol> = Vec::new();
        let mut start = 0;
        while let Some(character) = text[start..].chars().next() {
            let user_defined = tokenizer.user_defined_prefix(&text[start..]);
            let len = user_defined.unwrap_or(character.len_utf8());
            let index = symbols.len();
            symbols.push(Symbol { start, len, previous: index.checked_sub(1), next: Some(index + 1), frozen: user_defined.is_some() });
            start += len;
        }
        if let Some(last) = symbols.last_mut() {
            last.next = None;
        }
        Self { tokenizer, text, symbols, joins: BinaryHeap::new() }
    }

    fn run(mut self) -> impl Iterator<Item = &'t str> {
        for left in 0..self.symbols.len() {
            self.propose(Some(left));
        }
        while let Some(Join { left, right, len, .. }) = self.joins.pop() {
            // A join is stale once one of its two sides was joined to something else.
            let (l, r) = (&self.symbols[left], &self.symbols[right]);
            if l.len == 0 || r.len == 0 || l.len + r.len != len {
                continue;
            }
            let next = r.next;
            self.symbols[right].len = 0;
            self.symbols[left].len = len;
            self.symbols[left].next = next;
            if let Some(next) = next {
                self.symbols[next].previous = Some(left);
            }
            self.propose(self.symbols[left].previous);
            self.propose(Some(left));
        }
        let text = self.text;
        self.symbols.into_iter().filter(|s| s.len > 0).map(move |s| &text[s.start..s.start + s.len])
    }

    /// Adds the join of `left` and its right neighbour, if it is a token.
    fn propose(&mut self, left: Option<usize>) {
        let Some(left) = left else { return };
        let Some(right) = self.symbols[left].next else {
            return;
        };
        let (l, r) = (&self.symbols[left], &self.symbols[right]);
        if l.frozen || r.frozen {
            return;
        }
        let len = l.len + r.len;
        if let Some(id) = self.tokenizer.find(&self.text[l.start..l.start + len]) {
            let score = self.tokenizer.tokens[id as usize].score;
            self.joins.push(Join { score, left, right, len });
        }
    }
}

/// The byte of a byte token, written `<0xHH>`.
fn byte_of(token: &Token) -> Option<u8> {
    if token.kind != Kind::Byte {
        return None;
    }
    let digits = token.text.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok())?
}

fn check_kind(file: &Gguf<'_>) -> Result<(), ModelError> {
    let kind = file.get_str("tokenizer.ggml.model")?;
    if kind == Some("llama") {
        return Ok(());
    }
    let found = kind.map_or("nothing".into(), |kind| format!("'{}'", shown(kind)));
    let expected = "'llama' (SentencePiece)";
    let remedy = "give token ids instead of text: other tokenizers are not supported";
    Err(ModelError::refused(Refusal::Vocabulary, "metadata 'tokenizer.ggml.model'", expected, found, remedy))
}

fn read_tokens(file: &Gguf<'_>) -> Result<Vec<Token>, ModelError> {
    let list = |name: &str| {
        let key = format!("tokenizer.ggml.{name}");
        let array = file.get_array(&key)?;
        array.ok_or_else(|| ModelError::refused(Refusal::Missing, format!("metadata '{key}'"), "to be present", "nothing", REMEDY))
    };
    let wrong_type = |name: &str, expected: &str, found| {
        let item = format!("metadata 'tokenizer.ggml.{name}'");
        ModelError::refused(Refusal::Type, item, expected, format!("a list of {found:?}"), REMEDY)
    };
    let (texts, scores, kinds) = (list("tokens")?, list("scores")?, list("token_type")?);
    let (text, score, kind) = (texts.strings(), scores.floats(), kinds.ints());
    let text = text.ok_or_else(|| wrong_type("tokens", "a list of strings", texts.element))?;
    let score = score.ok_or_else(|| wrong_type("scores", "a list of F32", scores.element))?;
    let kind = kind.ok_or_else(|| wrong_type("token_type", "a list of I32", kinds.element))?;
    if text.len() == 0 || score.len() != text.len() || kind.len() != text.len() {
        let found = format!("{}, {} and {}", text.len(), score.len(), kind.len());
        let item = "tokenizer lists tokens, scores, token_type";
        return Err(ModelError::refused(Refusal::Vocabulary, item, "equal lengths, not 0", found, REMEDY));
    }
    let tokens = text.zip(score).zip(kind).enumerate().map(|(id, ((text, score), kind))| {
        let item = |what: &str| format!("{what} of token {id}");
        let refuse = |item, expected: &str, found| Err(ModelError::refused(Refusal::Vocabulary, item, expected, found, REMEDY));
        let Ok(text) = std::str::from_utf8(text) else {
            return refuse(item("text"), "UTF-8", "other bytes".into());
        };
        let Some(kind) = Kind::from_number(kind) else {
            return refuse(item("type"), "1 to 6", kind.to_string());
        };
        if !score.is_finite() {
            return refuse(item("score"), "a finite number", score.to_string());
        }
        // + 0 makes -0 into 0, so that the two rank equal.
        let token = Token { text: text.into(), score: score + 0.0, kind };
        if kind == Kind::Byte && byte_of(&token).is_none() {
            return refuse(item("text"), "<0xHH> for a byte token", format!("'{}'", shown(text)));
        }
        Ok(token)
    });
    tokens.collect()
}

fn special_id(file: &Gguf<'_>, name: &str, tokens: usize) -> Result<Option<u32>, ModelError> {
    let key = format!("tokenizer.ggml.{name}");
    match file.get_u64(&key)? {
        Some(id) if id >= tokens as u64 => {
            let expected = format!("below the vocabulary's {tokens}");
            let item = format!("metadata '{key}'");
            Err(ModelError::refused(Refusal::Vocabulary, item, expected, id.to_string(), REMEDY))
        }
        id => Ok(id.map(|id| id as u32)),
    }
}
