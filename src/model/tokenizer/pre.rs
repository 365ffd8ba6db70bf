//! The pre-tokenizer: cuts a text into the pieces that byte-level BPE never joins across. In: text. Out: its pieces, in
//! order, nothing left out.
//!
//! A pre-tokenizer is a list of steps. Each step searches every piece of the step before for its pattern; a match is a
//! piece, and so is what lies between two matches. Patterns are those of llama.cpp, which follow the publishers' own;
//! they are written without look-ahead ([`Space`] stands for it), so that matching takes linear time on any text.

use std::borrow::Cow;

use regex::Regex;

use super::super::error::{ModelError, Refusal, shown};
use super::pre_table::{FAMILIES, Family};

/// How a step treats a run of white space that its pattern leaves to `\s+` at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// The pattern has no such end.
    Whole,
    /// `\s+(?!\S)|\s+`: where text follows, the run leaves its last character to it.
    LeavesLast,
    /// The same, except that a run that ends in a line break was matched by `\s*[\r\n]+` before and stays whole.
    LeavesLastAfterLines,
}

/// One step: pattern and treatment of white space.
pub type Step = (&'static str, Space);

/// A compiled pre-tokenizer.
#[derive(Debug, Clone)]
pub struct PreTokenizer {
    steps: Vec<(Regex, Space)>,
    family: &'static Family,
}

impl PreTokenizer {
    /// The pre-tokenizer that a file names under `tokenizer.ggml.pre`.
    ///
    /// # Errors
    /// [`Refusal::Vocabulary`] for a name that is not known; the message has the nearest known one.
    pub fn named(name: &str) -> Result<Self, ModelError> {
        let Some(family) = FAMILIES.iter().find(|family| family.names.contains(&name)) else {
            // Of a name in a file only the begin is compared: it may be as long as the file.
            let begin: String = name.chars().take(64).collect();
            let nearest = names().min_by_key(|known| strsim::levenshtein(known, &begin)).unwrap_or_default();
            let expected =
                format!("a known pre-tokenizer, '{nearest}' being the nearest (all: {})", names().collect::<Vec<_>>().join(", "));
            let remedy = "convert the model with a known pre-tokenizer, or give token ids";
            let item = "metadata 'tokenizer.ggml.pre'";
            return Err(ModelError::refused(Refusal::Vocabulary, item, expected, format!("'{}'", shown(name)), remedy));
        };
        let steps = family.steps.iter().map(|&(pattern, space)| {
            let regex = Regex::new(&limited(pattern)).map_err(|cause| {
                let remedy = "report this: the pattern is a part of this program";
                ModelError::refused(Refusal::Vocabulary, format!("pre-tokenizer '{name}'"), "a pattern", cause.to_string(), remedy)
            })?;
            Ok((regex, space))
        });
        Ok(Self { steps: steps.collect::<Result<_, ModelError>>()?, family })
    }

    /// Whether a piece that is a token stays whole, whatever the merges say.
    pub fn whole_pieces(&self) -> bool {
        self.family.whole_pieces
    }

    /// Whether prompts begin with BOS where the file does not say.
    pub fn adds_bos(&self) -> bool {
        self.family.adds_bos
    }

    /// The pieces of `text`, none of them empty.
    pub fn split<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let mut pieces = if text.is_empty() { Vec::new() } else { vec![text] };
        for (regex, space) in &self.steps {
            let mut out = Vec::with_capacity(pieces.len());
            pieces.iter().for_each(|piece| split_one(regex, *space, piece, &mut out));
            pieces = out;
        }
        pieces
    }
}

fn split_one<'t>(regex: &Regex, space: Space, text: &'t str, out: &mut Vec<&'t str>) {
    let mut done = 0;
    // Where the next search begins: at `done`, or one character on where the pattern matched nothing.
    let mut from = 0;
    while let Some(found) = (from < text.len()).then(|| regex.find_at(text, from)).flatten() {
        let (start, mut end) = (found.start(), found.end());
        if end < text.len() && leaves_last(space, found.as_str()) {
            end -= found.as_str().chars().next_back().map_or(0, char::len_utf8);
        }
        if end == start {
            from = end + text[end..].chars().next().map_or(1, char::len_utf8);
            continue;
        }
        if done < start {
            out.push(&text[done..start]);
        }
        out.push(&text[start..end]);
        (done, from) = (end, end);
    }
    if done < text.len() {
        out.push(&text[done..]);
    }
}

/// Whether a match, with text behind it, is a run of white space that leaves its last character.
fn leaves_last(space: Space, found: &str) -> bool {
    let mut characters = found.chars();
    let (first, last) = (characters.next(), characters.next_back());
    let lines = matches!(last, Some('\r' | '\n'));
    let kept = match space {
        Space::Whole => true,
        Space::LeavesLast => false,
        Space::LeavesLastAfterLines => lines,
    };
    !kept && last.is_some() && first.is_some_and(char::is_whitespace) && found.chars().all(char::is_whitespace)
}

/// The pattern with its classes of letters, numbers, marks, punctuation and symbols limited to the Unicode version that
/// the reference runtime's tables have, 15.1: characters that are newer belong to no class there.
fn limited(pattern: &str) -> Cow<'_, str> {
    let mut out = Cow::Borrowed(pattern);
    for class in ["L", "N", "M", "P", "S"] {
        let from = format!(r"\p{{{class}}}");
        if out.contains(&from) {
            out = out.replace(&from, &format!(r"[\p{{{class}}}&&\p{{Age=15.1}}]")).into();
        }
    }
    out
}

/// All names, as files have them.
fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().flat_map(|family| family.names.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_one_family_and_every_pattern_compiles() {
        let mut all: Vec<&str> = names().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for family in FAMILIES {
            PreTokenizer::named(family.names[0]).unwrap();
        }
    }

    #[test]
    fn pieces_are_the_whole_text_in_order_for_every_family() {
        let text = "Hello  WORLD's 12345 \n\n\t x\r\n  \u{3000}né\u{301} ＡＢ !!?\u{1F469}\u{200D}\u{1F4BB}   ";
        for family in FAMILIES {
            let pieces = PreTokenizer::named(family.names[0]).unwrap().split(text);
            assert_eq!(pieces.concat(), text, "{:?}", family.names);
            assert!(pieces.iter().all(|piece| !piece.is_empty()));
        }
    }

    #[test]
    fn white_space_leaves_its_last_character_to_the_text_behind_it() {
        let gpt2 = PreTokenizer::named("gpt-2").unwrap();
        assert_eq!(gpt2.split("a   b\n\nc  "), ["a", "  ", " b", "\n", "\n", "c", "  "]);
        let llama = PreTokenizer::named("llama-bpe").unwrap();
        assert_eq!(llama.split("a   b \n\n c12345"), ["a", "  ", " b", " \n\n", " c", "123", "45"]);
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest_one() {
        let error = PreTokenizer::named("lama-bpe").unwrap_err().to_string();
        assert!(error.contains("'llama-bpe' being the nearest"), "{error}");
    }
}
