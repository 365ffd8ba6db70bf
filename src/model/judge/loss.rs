//! How well a model predicts text: the loss of documents in nats a token, and the arg-max.

use rayon::prelude::*;

use super::{Judge, Real, Rows};
use crate::model::error::ModelError;

/// Tokens whose logits are held at once: those of a whole context would fill the memory.
const PIECE: usize = 64;

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
        let x = self.body(ids, &mut self.cache(), &mut ())?;
        let predictions = ids.len() - 1;
        let mut sum = 0.0;
        for (rows, targets) in x.values[..predictions * x.width].chunks(PIECE * x.width).zip(ids[1..].chunks(PIECE)) {
            let x = Rows { tokens: targets.len(), width: x.width, values: rows.to_vec() };
            let logits = self.head(&x, &mut ());
            let nll = |(row, &target): (&[F], &u32)| negative_log_likelihood(row, target as usize).to_f64().unwrap_or(f64::NAN);
            sum = logits.iter().zip(targets).map(nll).fold(sum, |sum, nll| sum + nll);
        }
        Ok(DocumentLoss { predictions, nll: if predictions > 0 { sum / predictions as f64 } else { 0.0 } })
    }
}
