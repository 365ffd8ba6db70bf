//! `tritforge run --perplexity`: how well a model predicts the documents of a text.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};

use super::{Outcome, output};
use crate::model::{Engine, Tokenizer, text};

/// What `--json` gets.
#[derive(serde::Serialize)]
struct Measured {
    kind: &'static str,
    documents: usize,
    predictions: usize,
    nll: f64,
    perplexity: f64,
}

/// Measures the perplexity of the documents at `path`, each cut to `context` ids, and writes it where `json` says.
///
/// # Errors
/// A text that cannot be read or has nothing to predict; as the engine says; results that cannot be written.
pub(super) fn measure(
    path: &Path,
    tokenizer: &Tokenizer,
    engine: &Engine<'_, '_>,
    context: usize,
    json: &output::JsonArgs,
) -> anyhow::Result<Outcome> {
    let documents = text::read_documents(path, tokenizer, context)?;
    if let (documents @ 1.., ids) = documents.cut {
        output::note(format_args!(
            "note: {documents} documents are longer than the context of {context}: their last {ids} ids are left out"
        ));
    }
    let documents = &documents.ids;
    let predictions: usize = documents.iter().map(|ids| ids.len().saturating_sub(1)).sum();
    if predictions == 0 {
        bail!("--perplexity: expected a text of one token or more, found none; give another file");
    }
    let mut sum = 0.0;
    for ids in documents.iter().filter(|ids| ids.len() > 1) {
        sum += engine.loss(ids)?;
    }
    let nll = sum / predictions as f64;
    let measured = Measured { kind: "measured", documents: documents.len(), predictions, nll, perplexity: nll.exp() };
    writeln!(
        json.text(),
        "measured: perplexity {:.5} ({:.6} nats a token, {predictions} predictions in {} documents)",
        measured.perplexity,
        nll,
        documents.len()
    )
    .context("cannot write to standard output")?;
    json.write(&measured)?;
    Ok(Outcome::Held)
}
