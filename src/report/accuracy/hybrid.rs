//! The variant `attention`: every attention sub-layer in integers, everything else in the judge's f64.

use tritforge_spec::reference::{KvCache, PassError, Reference, Saturations};

use super::compare::Logits;
use crate::model::ModelError;
use crate::model::error::Refusal;
use crate::model::judge::{Judge, Rows};

/// A pass error of the integer reference as the project's error of a model's input.
pub fn refused(error: PassError) -> ModelError {
    let remedy = "use ids of this model's vocabulary within its context";
    ModelError::refused(Refusal::Bounds, "token ids", "a pass the integer model can run", error.to_string(), remedy)
}

/// Residual rows as integers with F fraction bits, rounded half to even, clamped to 32 bits.
pub fn to_fixed(x: &[f64], frac: u32) -> Vec<i32> {
    let unit = f64::from(frac).exp2();
    x.iter().map(|x| (x * unit).round_ties_even().clamp(i32::MIN.into(), i32::MAX.into()) as i32).collect()
}

/// Fixed point back to floats, exactly.
pub fn from_fixed(x: &[i32], frac: u32) -> Vec<f64> {
    let unit = f64::from(frac).exp2();
    x.iter().map(|&x| f64::from(x) / unit).collect()
}

/// Logits of a document and what saturated.
///
/// # Errors
/// An id outside the vocabulary, or a document beyond the context.
pub fn attention_logits(judge: &Judge<'_, f64>, reference: &Reference<'_>, ids: &[u32]) -> Result<(Logits, Saturations), ModelError> {
    if let Some(&id) = ids.iter().find(|&&id| id as usize >= reference.model.vocab) {
        return Err(refused(PassError::Token { found: id, vocab: reference.model.vocab }));
    }
    let frac = reference.model.res_frac;
    let mut saturations = Saturations::default();
    let mut cache = KvCache::new(reference.model);
    let mut x = judge.embed(ids);
    for layer in 0..reference.model.layers.len() {
        let fixed = to_fixed(&x.values, frac);
        let y = reference.attention(layer, &fixed, 0, &mut cache.layers[layer], &mut (), &mut saturations);
        x = Rows { values: from_fixed(&y, frac), ..x };
        x = judge.feed_forward(layer, &x, &mut ());
    }
    Ok((judge.head(&x, &mut ()).values, saturations))
}
