//! Byte-level BPE: the text is cut by the pre-tokenizer, each piece written in GPT-2's alphabet and its characters joined in
//! the order of the file's list of merges.

use super::super::error::{ModelError, Refusal, shown};
use super::bytes;
use super::merge::{Merger, NO_TOKEN, Part};
use super::pre::PreTokenizer;
use super::vocabulary::Vocabulary;

/// The rules of a byte-level vocabulary.
#[derive(Debug, Clone)]
pub struct ByteLevel {
    pre: PreTokenizer,
    merges: Merges,
    /// Id of the token for each byte, [`NO_TOKEN`] where there is none.
    by_byte: Box<[u32; 256]>,
}

impl ByteLevel {
    /// The rules for `vocabulary`; `merges` in the order of their ranks.
    ///
    /// # Errors
    /// As [`Merges::new`].
    pub fn new<'a>(
        vocabulary: &Vocabulary,
        pre: PreTokenizer,
        merges: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Result<Self, ModelError> {
        let token = |byte: usize| {
            let character = bytes::character_of(byte as u8);
            vocabulary.find(character.encode_utf8(&mut [0; 4])).unwrap_or(NO_TOKEN)
        };
        let by_byte = Box::new(std::array::from_fn(token));
        Ok(Self { pre, merges: Merges::new(vocabulary, merges)?, by_byte })
    }

    /// Adds the ids of a stretch of text. A byte without token is left out, as the reference runtimes do.
    pub fn encode(&self, vocabulary: &Vocabulary, text: &str, ids: &mut Vec<u32>) {
        let mut merger = Merger::default();
        for piece in self.pre.split(text) {
            if self.pre.whole_pieces()
                && let Some(id) = vocabulary.find(&bytes::written(piece))
            {
                ids.push(id);
                continue;
            }
            merger.clear();
            for (place, byte) in piece.bytes().enumerate() {
                merger.push(place, 1, self.by_byte[usize::from(byte)]);
            }
            let parts = merger.run(|l: &Part, r: &Part| self.merges.find(l.id, r.id));
            ids.extend(parts.map(|part| part.id).filter(|&id| id != NO_TOKEN));
        }
    }
}

/// The list of merges: rank and result by the two tokens.
#[derive(Debug, Clone)]
struct Merges {
    /// For each left token where its merges begin in `entries`, and their end.
    starts: Vec<u32>,
    /// Right token, rank, result; in the order of left and right token.
    entries: Vec<(u32, u32, u32)>,
}

impl Merges {
    /// Reads `left right` lines, in the order of their ranks.
    ///
    /// # Errors
    /// [`Refusal::Vocabulary`]: a line that is no two texts with a space between, or whose parts or join are no tokens.
    fn new<'a>(vocabulary: &Vocabulary, lines: impl ExactSizeIterator<Item = &'a [u8]>) -> Result<Self, ModelError> {
        let mut all: Vec<(u32, u32, u32, u32)> = Vec::with_capacity(lines.len());
        let mut joined = String::new();
        for (rank, line) in lines.enumerate() {
            let refuse = |expected: String| {
                let found = format!("'{}'", shown(&String::from_utf8_lossy(line)));
                let remedy = "the file's tokenizer section is damaged: convert the model again, or give token ids";
                Err(ModelError::refused(Refusal::Vocabulary, format!("merge {rank}"), expected, found, remedy))
            };
            // The first text may itself begin with a space.
            let parts = std::str::from_utf8(line).ok().and_then(|line| {
                let space = line.bytes().skip(1).position(|byte| byte == b' ')? + 1;
                Some((&line[..space], &line[space + 1..]))
            });
            let Some((left, right)) = parts else {
                return refuse("two texts with a space between".into());
            };
            joined.clear();
            joined += left;
            joined += right;
            match (vocabulary.find(left), vocabulary.find(right), vocabulary.find(&joined)) {
                (Some(left), Some(right), Some(join)) => all.push((left, right, rank as u32, join)),
                _ => return refuse(format!("tokens '{}', '{}' and their join in the vocabulary", shown(left), shown(right))),
            }
        }
        // Of two equal merges the first counts.
        all.sort_unstable();
        all.dedup_by(|later, first| (later.0, later.1) == (first.0, first.1));
        let mut starts = vec![0u32; vocabulary.len() + 1];
        all.iter().for_each(|&(left, ..)| starts[left as usize + 1] += 1);
        for left in 0..vocabulary.len() {
            starts[left + 1] += starts[left];
        }
        let entries = all.into_iter().map(|(_, right, rank, join)| (right, rank, join)).collect();
        Ok(Self { starts, entries })
    }

    /// Rank and result of joining two tokens.
    fn find(&self, left: u32, right: u32) -> Option<(u32, u32)> {
        if left == NO_TOKEN || right == NO_TOKEN {
            return None;
        }
        let entries = &self.entries[self.starts[left as usize] as usize..self.starts[left as usize + 1] as usize];
        let place = entries.binary_search_by_key(&right, |&(right, ..)| right).ok()?;
        Some((entries[place].1, entries[place].2))
    }
}
