//! The one error of everything that reads a model: what was looked at, what was expected there, what was
//! found, and what to do about it. A file from outside never causes a panic, only one of these.

use std::path::{Path, PathBuf};

/// Longest piece of a file's own text that a message repeats, in characters.
const SHOWN_CHARACTERS: usize = 64;

/// Which rule was broken; tests and callers match on this, people read the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The bytes are not GGUF, or a version that is not read.
    Format,
    /// A count, length or offset reaches beyond the end of the file.
    Truncated,
    /// A count or dimension that no model has.
    Bounds,
    /// The same key or tensor name twice.
    Duplicate,
    /// An unknown or unsupported type number, or a value of another type than the key needs.
    Type,
    /// A tensor that is misaligned or shares bytes with another one.
    Layout,
    /// A key or a tensor that the architecture needs is absent.
    Missing,
    /// Values that contradict each other, or an architecture that is not supported.
    Contradiction,
    /// A linear weight that is not -s, 0, +s with one s.
    NotTernary,
    /// Text that cannot be tokenised, or ids that are not in the vocabulary.
    Vocabulary,
}

/// Why a model, its tokenizer or its text was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The operating system refused.
    #[error("{path}: {cause}; {remedy}", path = shown_path(path))]
    Io {
        /// The file in question.
        path: PathBuf,
        /// What the system said. Part of the message, so not a `source`, which a chain would print again.
        cause: std::io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// The content breaks a rule.
    #[error("{item}: expected {expected}, found {found}; {remedy}")]
    Refused {
        /// The rule.
        refusal: Refusal,
        /// The thing that was looked at.
        item: String,
        /// What should have been there.
        expected: String,
        /// What was there.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
}

impl ModelError {
    /// Builds a [`ModelError::Refused`].
    pub fn refused(
        refusal: Refusal,
        item: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
        remedy: &'static str,
    ) -> Self {
        Self::Refused { refusal, item: item.into(), expected: expected.into(), found: found.into(), remedy }
    }

    /// The same with the name of what the item is part of before it: a file.
    pub fn within(self, name: &str) -> Self {
        match self {
            Self::Io { .. } => self,
            Self::Refused { refusal, item, expected, found, remedy } => {
                Self::Refused { refusal, item: format!("{name}: {item}"), expected, found, remedy }
            }
        }
    }

    /// The broken rule, or `None` for an error of the system.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Io { .. } => None,
            Self::Refused { refusal, .. } => Some(*refusal),
        }
    }
}

/// A file's own text made safe for a message: control characters escaped, cut to a readable length.
pub fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(SHOWN_CHARACTERS).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_CHARACTERS).is_some() {
        out.push('…');
    }
    out
}

/// A path made safe for a message, at its whole length.
pub fn shown_path(path: &Path) -> String {
    printable(&path.display().to_string()).replace('\n', "\\n")
}

/// Text made safe for a terminal: what would move its cursor, change its colours or the order of its letters is escaped; lines stay.
pub fn printable(text: &str) -> String {
    let acts = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_steer_a_terminal_and_stays_readable() {
        assert_eq!(printable("a\u{1b}[31m\r\u{7f}\u{9b}2J\u{202e}'é\\ あ'\n\tb"), "a\\u{1b}[31m\\r\\u{7f}\\u{9b}2J\\u{202e}'é\\ あ'\n\tb");
        assert_eq!(shown_path("it's\n\u{1b}c".as_ref()), "it's\\n\\u{1b}c");
        let refused = ModelError::Io { path: "\u{1b}c.gguf".into(), cause: std::io::ErrorKind::NotFound.into(), remedy: "give another" };
        assert_eq!(refused.to_string(), "\\u{1b}c.gguf: entity not found; give another");
    }
}
