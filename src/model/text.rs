//! Text files as lists of documents. Rule: documents are separated by lines equal to `<|endoftext|>`; each one is
//! stripped of white space at both ends; empty ones are dropped. A document's ids are BOS and its encoding, without
//! EOS, cut to the context; a loss is the mean over all predictions of all documents.

use std::path::Path;

use super::error::ModelError;
use super::tokenizer::Tokenizer;

/// The line between two documents.
pub const SEPARATOR: &str = "<|endoftext|>";

/// The documents of a text.
pub fn documents(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut start, mut position) = (0, 0);
    for line in text.split_inclusive('\n') {
        let content = line.strip_suffix('\n').unwrap_or(line);
        if content.strip_suffix('\r').unwrap_or(content) == SEPARATOR {
            out.push(&text[start..position]);
            start = position + line.len();
        }
        position += line.len();
    }
    out.push(&text[start..]);
    out.into_iter().map(str::trim).filter(|document| !document.is_empty()).collect()
}

/// A text's documents as ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documents {
    /// Of each document, at most as many as the context has positions.
    pub ids: Vec<Vec<u32>>,
    /// Documents that were longer, and the ids that they lost.
    pub cut: (usize, usize),
}

/// The documents of the file at `path`, cut to `context`.
///
/// # Errors
/// [`ModelError::Io`] if the file cannot be read or is not UTF-8; as [`Tokenizer::encode_with_bos`].
pub fn read_documents(path: &Path, tokenizer: &Tokenizer, context: usize) -> Result<Documents, ModelError> {
    let text = crate::inputs::read_text(path).map_err(|cause| ModelError::Io {
        path: path.to_owned(),
        cause,
        remedy: "give a readable text file in UTF-8",
    })?;
    let mut all = Documents { ids: Vec::new(), cut: (0, 0) };
    for document in documents(&text) {
        let mut ids = tokenizer.encode_with_bos(document)?;
        if ids.len() > context {
            all.cut = (all.cut.0 + 1, all.cut.1 + ids.len() - context);
            ids.truncate(context);
        }
        all.ids.push(ids);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_split_at_separator_lines_stripped_and_never_empty() {
        let text = " one\ntwo \n<|endoftext|>\n\n \n<|endoftext|>\r\nthree <|endoftext|> still\n<|endoftext|> no\n<|endoftext|>";
        assert_eq!(documents(text), ["one\ntwo", "three <|endoftext|> still\n<|endoftext|> no"]);
        assert_eq!(documents(""), [""; 0]);
    }
}
