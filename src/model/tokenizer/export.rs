//! A tokenizer as metadata of a GGUF file. In: a SentencePiece vocabulary, wherever it was read. Out: keys and values from
//! which [`Tokenizer::from_gguf`] reads the same tokenizer.

use super::super::gguf::Metadata;
use super::{Scheme, Tokenizer};

impl Tokenizer {
    /// The `tokenizer.*` keys of a GGUF file with this tokenizer; `None` unless it is a SentencePiece vocabulary.
    pub fn to_metadata(&self) -> Option<Vec<(&'static str, Metadata)>> {
        let Scheme::SentencePiece(rules) = &self.scheme else { return None };
        let all = || self.vocabulary.ids();
        let mut out = vec![
            ("tokenizer.ggml.model", Metadata::Text("llama".into())),
            ("tokenizer.ggml.tokens", Metadata::Texts(all().map(|id| self.vocabulary.text(id).into()).collect())),
            ("tokenizer.ggml.scores", Metadata::Floats(all().map(|id| self.vocabulary.score(id)).collect())),
            ("tokenizer.ggml.token_type", Metadata::Ints(all().map(|id| self.vocabulary.kind(id) as i32).collect())),
            ("tokenizer.ggml.add_bos_token", Metadata::Bool(self.adds_bos)),
            ("tokenizer.ggml.add_eos_token", Metadata::Bool(self.adds_eos)),
            ("tokenizer.ggml.add_space_prefix", Metadata::Bool(rules.add_space_prefix)),
        ];
        let ids = [
            ("tokenizer.ggml.bos_token_id", self.bos),
            ("tokenizer.ggml.eos_token_id", self.eos),
            ("tokenizer.ggml.unknown_token_id", rules.unknown),
        ];
        out.extend(ids.into_iter().filter_map(|(key, id)| Some((key, Metadata::U32(id?)))));
        out.extend(self.chat_template().map(|template| ("tokenizer.chat_template", Metadata::Text(template.into()))));
        Some(out)
    }
}
