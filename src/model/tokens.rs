//! The check that every forward pass begins with.

use super::error::{ModelError, Refusal};

/// Ids must be in the vocabulary, at least one, and fit the context behind the `cached` positions.
///
/// # Errors
/// [`Refusal::Vocabulary`] for an unknown id or no id, [`Refusal::Bounds`] beyond the context.
pub(crate) fn check(tokens: &[u32], cached: usize, vocab: usize, context: usize) -> Result<(), ModelError> {
    if tokens.is_empty() {
        let remedy = "give at least one id, e.g. the model's BOS";
        return Err(ModelError::refused(Refusal::Vocabulary, "token ids", "one or more", "none", remedy));
    }
    if let Some(id) = tokens.iter().find(|&&id| id as usize >= vocab) {
        let expected = format!("below the vocabulary's {vocab}");
        let remedy = "use ids of this model's vocabulary";
        return Err(ModelError::refused(Refusal::Vocabulary, "token id", expected, id.to_string(), remedy));
    }
    let positions = cached + tokens.len();
    if positions > context {
        let remedy = "shorten the prompt, or generate fewer tokens";
        let item = "positions of the context";
        return Err(ModelError::refused(Refusal::Bounds, item, format!("at most {context}"), positions.to_string(), remedy));
    }
    Ok(())
}
