//! Fraction bits of the residual and of the attention output: from a run of the judge over a built-in text and over ids drawn from the
//! whole vocabulary (docs/numerics.md, section 9). In: model, tokenizer. Out: [`FracBits`], the same on every run.

use tritforge_spec::random::Rng;

use crate::model::judge::{Judge, Observer, Options, Place, Stage, Values};
use crate::model::{Model, ModelError, Tokenizer};

/// Fraction bits that one model's residual stream and attention outputs are stored with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FracBits {
    /// F, 12..=24.
    pub residual: u32,
    /// Fo, 8..=28.
    pub attention: u32,
}

/// Largest magnitudes that the judge met, from which [`FracBits`] follow.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Range {
    /// Of the residual stream: all embedding rows, and every sub-layer's output.
    pub residual: f64,
    /// Of the attention output before attn_sub_norm.
    pub attention: f64,
}

/// Text of the calibration run; written for this project. A model whose tokenizer cannot encode it is calibrated by ids alone.
const TEXT: &str = "The river ran past the old mill, and every morning a girl named Ada counted the boats. \"One, two, three!\" she \
    said. A dog barked at the big red boat because it was so loud. In 1987 there were 42 of them; now there are few.";
/// Ids drawn from the vocabulary, behind BOS.
const DRAWN_IDS: usize = 64;
/// Longest calibration run.
const LONGEST: usize = 128;
const SEED: u64 = 0x7472_6974;
/// Four bits of headroom above the largest magnitude of the calibration run, in signed 32 bits.
const LIMIT: f64 = (1u64 << 31) as f64 / 16.0;

impl Range {
    /// The largest fraction bits that keep the headroom, within the contract's ranges.
    pub fn frac_bits(&self) -> FracBits {
        let largest = |most: f64, low: u32, high: u32| (low..=high).rev().find(|&f| most * f64::from(f).exp2() <= LIMIT).unwrap_or(low);
        FracBits { residual: largest(self.residual, 12, 24), attention: largest(self.attention, 8, 28) }
    }
}

impl Observer<f64> for Range {
    fn wants(&self, place: Place) -> bool {
        matches!(place.stage, Stage::AttnResid | Stage::LOut | Stage::Kqv)
    }

    fn see(&mut self, place: Place, _: &[usize], values: Values<'_, f64>) {
        let Values::Float(values) = values else { return };
        let most = values.iter().fold(0f64, |most, v| most.max(v.abs()));
        let kept = if place.stage == Stage::Kqv { &mut self.attention } else { &mut self.residual };
        *kept = kept.max(most);
    }
}

/// The calibration run's sequences of ids.
pub fn sequences(model: &Model, tokenizer: Option<&Tokenizer>) -> Vec<Vec<u32>> {
    let vocab = model.shape.vocab as u64;
    let longest = LONGEST.min(model.shape.context);
    let mut rng = Rng::new(SEED);
    let bos = tokenizer.and_then(Tokenizer::bos);
    let drawn = bos.into_iter().chain((0..DRAWN_IDS).map(|_| rng.below(vocab) as u32)).collect();
    let text = tokenizer.and_then(|t| t.encode_prompt(TEXT).ok());
    [Some(drawn), text]
        .into_iter()
        .flatten()
        .map(|mut ids: Vec<u32>| {
            ids.retain(|&id| u64::from(id) < vocab);
            ids.truncate(longest);
            ids
        })
        .filter(|ids| !ids.is_empty())
        .collect()
}

/// Runs the calibration.
///
/// # Errors
/// As [`Judge::forward`]; none for a model that the reader accepted.
pub fn calibrate(model: &Model, tokenizer: Option<&Tokenizer>) -> Result<FracBits, ModelError> {
    let judge = Judge::<f64>::new(model, Options::default());
    let mut embedding = 0f64;
    model.token_embd.view().for_each_value(|v| embedding = embedding.max(f64::from(v.abs())));
    let mut range = Range { residual: embedding, attention: 0.0 };
    for ids in sequences(model, tokenizer) {
        judge.body(&ids, &mut judge.cache(), &mut range)?;
    }
    Ok(range.frac_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fraction_bits_leave_four_bits_of_headroom() {
        let bits = |residual, attention| Range { residual, attention }.frac_bits();
        assert_eq!(bits(1.0, 1.0), FracBits { residual: 24, attention: 27 });
        assert_eq!(bits(16.0, 16.0), FracBits { residual: 23, attention: 23 });
        assert_eq!(bits(16.01, 0.0), FracBits { residual: 22, attention: 28 });
        assert_eq!(bits(1e9, 1e9), FracBits { residual: 12, attention: 8 });
    }
}
