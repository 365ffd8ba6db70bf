//! The golden file `models/golden/stories3m.json`: figures of the embedded model by an independent program (numpy, f64),
//! cut down from its reference results. `tests/reference.rs` makes it; `tests/judge.rs` checks the judge with it.
#![allow(dead_code)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Value of `format`.
pub const FORMAT: &str = "tritforge golden 1";

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Golden {
    /// [`FORMAT`].
    pub format: String,
    /// Prompts with their greedy continuation.
    pub prompts: Vec<Prompt>,
    /// Some rows of logits on the way.
    pub logits: Vec<LogitRow>,
    /// Ids of one pass, and CRC32 of the int8 codes of every stage in it, tokens first, a code as one byte.
    pub trace_tokens: Vec<u32>,
    pub int8_crc32: BTreeMap<String, u32>,
    /// Loss of each document of `own-stories.txt`, and of all.
    pub own_stories: Losses,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Prompt {
    pub text: String,
    pub prompt_ids: Vec<u32>,
    pub greedy_ids: Vec<u32>,
    pub greedy_text: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct LogitRow {
    pub prompt: usize,
    /// Position of the last id that was read; the row predicts the next one.
    pub position: usize,
    pub logits: Vec<f64>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Losses {
    #[serde(alias = "stories")]
    pub documents: Vec<Document>,
    pub tokens_predicted: usize,
    pub nll: f64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Ids with BOS.
    pub tokens: usize,
    /// Mean negative log-likelihood, nats.
    pub nll: f64,
}

/// The committed file.
pub fn path() -> std::path::PathBuf {
    super::embedded("golden/stories3m.json")
}

pub fn read() -> Golden {
    let golden: Golden = serde_json::from_slice(&std::fs::read(path()).unwrap()).unwrap();
    assert_eq!(golden.format, FORMAT);
    golden
}

/// Asserts that losses agree to 6 digits behind the point.
pub fn assert_losses(expected: &Losses, found: &[tritforge::model::judge::DocumentLoss]) {
    assert_eq!(expected.documents.len(), found.len());
    for (index, (expected, found)) in expected.documents.iter().zip(found).enumerate() {
        assert_eq!(expected.tokens, found.predictions + 1, "document {index}");
        assert!((expected.nll - found.nll).abs() < 5e-7, "document {index}: {} and {}", expected.nll, found.nll);
    }
    let mean = tritforge::model::judge::mean_loss(found).unwrap();
    assert!((expected.nll - mean).abs() < 5e-7, "mean: {} and {mean}", expected.nll);
}
