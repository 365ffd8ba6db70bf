//! How well a model predicts text: the loss of documents in nats a token, and the arg-max.

use rayon::prelude::*;

use super::{Judge, Real};
use crate::model::error::ModelError;

/// The loss of one document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DocumentLoss {
    /// Predictions: the document's ids but the first.
    pub predictions: usize,
    /// Mean negative log-likelihood of a prediction, nats; 0 where there is none.
    pub nll: f64,
}

/// Position of the largest value; of equals the first.
pub fn arg_max<F: Real>(values: &[F]) -> usize {
    let larger = |best: usize, (at, &value): (usize, &F)| if value > values[best] { at } else { best };
    values.iter().enumerate().fold(0, larger)
}

/// `-ln softmax(logits)[target]`.
pub fn negative_log_likelihood<F: Real>(logits: &[F], target: usize) -> F {
    let most = logits.iter().fold(F::neg_infinity(), |most, &z| most.max(z));
    let sum = logits.iter().fold(F::zero(), |sum, &z| sum + (z - most).exp());
    sum.ln() + most - logits[target]
}

/// Mean over all predictions of all documents, nats a token; `None` where there is no prediction.
pub fn mean_loss(documents: &[DocumentLoss]) -> Option<f64> {
    let predictions: usize = documents.iter().map(|d| d.predictions).sum();
    let sum: f64 = documents.iter().map(|d| d.nll * d.predictions as f64).sum();
    (predictions > 0).then(|| sum / predictions as f64)
}

impl<F: Real> Judge<'_, F> {
    /// The loss of each document, given as ids (BOS first, cut to the context).
    ///
    /// # Errors
    /// As [`Judge::forward`].
    pub fn losses(&self, documents: &[Vec<u32>]) -> Result<Vec<DocumentLoss>, ModelError> {
        documents.par_iter().map(|ids| self.loss(ids)).collect()
    }

    /// The loss of one document.
    ///
    /// # Errors
    /// As [`Judge::forward`].
    pub fn loss(&self, ids: &[u32]) -> Result<DocumentLoss, ModelError> {
        let logits = self.forward(ids, &mut self.cache(), &mut ())?;
        let predictions = ids.len() - 1;
        let target = |token: usize| ids[token + 1] as usize;
        let nll = |token| negative_log_likelihood(logits.row(token), target(token)).to_f64().unwrap_or(f64::NAN);
        let sum: f64 = (0..predictions).map(nll).sum();
        Ok(DocumentLoss { predictions, nll: if predictions > 0 { sum / predictions as f64 } else { 0.0 } })
    }
}
