//! SentencePiece BPE: spaces become `▁`, the text is cut into characters, neighbours are joined in the order of the joined
//! token's score. What then is no token is written as bytes.

use super::super::error::{ModelError, Refusal, shown};
use super::REMEDY;
use super::merge::{Merger, NO_TOKEN};
use super::vocabulary::Vocabulary;

/// What stands for a space in the vocabulary.
pub const SPACE: &str = "\u{2581}";

/// The rules of a SentencePiece vocabulary.
#[derive(Debug, Clone)]
pub struct SentencePiece {
    /// Whether a text, and what follows a special token, begins with a space.
    pub add_space_prefix: bool,
    /// Id of the token for each byte.
    by_byte: Box<[Option<u32>; 256]>,
    /// What stands for text without token where not all bytes have one.
    pub unknown: Option<u32>,
}

impl SentencePiece {
    /// The rules for `vocabulary`.
    pub fn new(vocabulary: &Vocabulary, add_space_prefix: bool, unknown: Option<u32>) -> Self {
        let token = |byte: usize| {
            let raw = u8::try_from(byte).ok().filter(u8::is_ascii).map(|byte| char::from(byte).to_string());
            vocabulary.find(&format!("<0x{byte:02X}>")).or_else(|| vocabulary.find(&raw?))
        };
        Self { add_space_prefix, by_byte: Box::new(std::array::from_fn(token)), unknown }
    }

    /// Adds the ids of a stretch of text; `first`: it begins the text or follows a special token.
    ///
    /// # Errors
    /// [`Refusal::Vocabulary`] for a character without token where the file has no bytes and no unknown token.
    pub fn encode(&self, vocabulary: &Vocabulary, text: &str, first: bool, ids: &mut Vec<u32>) -> Result<(), ModelError> {
        let prefix = if self.add_space_prefix && first { SPACE } else { "" };
        let escaped = format!("{prefix}{}", text.replace(' ', SPACE));
        let mut merger = Merger::default();
        for (start, character) in escaped.char_indices() {
            let len = character.len_utf8();
            let id = vocabulary.find(&escaped[start..start + len]);
            merger.push(start, len, id.unwrap_or(NO_TOKEN));
        }
        let rank = |l: &super::merge::Part, r: &super::merge::Part| {
            let id = vocabulary.find(&escaped[l.start..r.start + r.len])?;
            Some((rank_of_score(vocabulary.score(id)), id))
        };
        for part in merger.run(rank) {
            match part.id {
                NO_TOKEN => self.encode_bytes(&escaped[part.start..part.start + part.len], ids)?,
                id => ids.push(id),
            }
        }
        Ok(())
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
}

/// Ranks that order as the scores do, the highest score first; scores are finite and no -0.
fn rank_of_score(score: f32) -> u32 {
    let bits = score.to_bits();
    // The order of floats as that of unsigned integers, then turned round.
    let ascending = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    !ascending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_order_as_falling_scores() {
        let falling = [f32::MAX, 3.5, 1.0, f32::MIN_POSITIVE, 0.0, -f32::MIN_POSITIVE, -1.0, -32000.0, f32::MIN];
        assert!(falling.map(rank_of_score).is_sorted_by(|a, b| a < b));
    }
}
