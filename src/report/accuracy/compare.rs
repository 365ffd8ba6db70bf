//! Two programs' logits over the same text: perplexity ratio with its standard error over documents, arg-max, divergence.

use crate::model::judge::{arg_max, negative_log_likelihood};

/// Logits of a document, position by position.
pub type Logits = Vec<f64>;

/// The judge's two best logits this far apart: it is sure.
pub const SURE: f64 = 0.5;

/// One document: sums over its predictions.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Comparison {
    /// Predictions: ids but the first.
    pub predictions: usize,
    /// The judge's negative log-likelihood, nats.
    pub judge_nll: f64,
    /// The other program's.
    pub other_nll: f64,
    /// Other arg-max.
    pub flips: usize,
    /// Other arg-max where the judge is sure.
    pub flips_sure: usize,
    /// Kullback-Leibler divergence from the judge, nats.
    pub kl: f64,
}

impl Comparison {
    /// Compares the logits (positions x vocabulary) of one document.
    pub fn of(ids: &[u32], judge: &[f64], other: &[f64]) -> Self {
        let vocab = judge.len() / ids.len();
        let mut out = Comparison { predictions: ids.len() - 1, ..Self::default() };
        let rows = judge.chunks_exact(vocab).zip(other.chunks_exact(vocab));
        for ((j, o), &next) in rows.zip(&ids[1..]) {
            out.judge_nll += negative_log_likelihood(j, next as usize);
            out.other_nll += negative_log_likelihood(o, next as usize);
            out.kl += divergence(j, o);
            if arg_max(j) != arg_max(o) {
                out.flips += 1;
                out.flips_sure += usize::from(lead(j) >= SURE);
            }
        }
        out
    }
}

/// How far the best value lies above the second.
fn lead(values: &[f64]) -> f64 {
    let (best, second) = values
        .iter()
        .fold((f64::NEG_INFINITY, f64::NEG_INFINITY), |(best, second), &v| if v > best { (v, best) } else { (best, second.max(v)) });
    best - second
}

/// `Σ p ln(p/q)` of the softmax of two rows of logits.
pub fn divergence(judge: &[f64], other: &[f64]) -> f64 {
    let log_sum = |row: &[f64]| {
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        most + row.iter().map(|z| (z - most).exp()).sum::<f64>().ln()
    };
    let (a, b) = (log_sum(judge), log_sum(other));
    judge.iter().zip(other).map(|(&j, &o)| (j - a).exp() * ((j - a) - (o - b))).sum()
}

/// What all documents together say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Perplexity of the judge.
    pub ppl_judge: f64,
    /// Perplexity of the other.
    pub ppl_other: f64,
    /// Their ratio.
    pub ratio: f64,
    /// Standard error of the ratio over documents; None for fewer than two.
    pub ratio_se: Option<f64>,
    /// Share of equal arg-max.
    pub top1: f64,
    /// Different arg-max.
    pub flips: usize,
    /// Different arg-max where the judge is sure.
    pub flips_sure: usize,
    /// Mean divergence, nats a prediction.
    pub kl: f64,
}

/// Sums documents up. The standard error is the ratio estimator's over documents (Cochran 1977, section 6): the mean difference of nats a
/// prediction is Σd/Σn, with documents as the sampled units; the perplexity ratio's is that times the ratio.
pub fn summarise(documents: &[Comparison]) -> Summary {
    let total = documents.iter().fold(Comparison::default(), |a, b| Comparison {
        predictions: a.predictions + b.predictions,
        judge_nll: a.judge_nll + b.judge_nll,
        other_nll: a.other_nll + b.other_nll,
        flips: a.flips + b.flips,
        flips_sure: a.flips_sure + b.flips_sure,
        kl: a.kl + b.kl,
    });
    let n = total.predictions as f64;
    let difference = |c: &Comparison| c.other_nll - c.judge_nll;
    let mean = difference(&total) / n;
    let count = documents.len() as f64;
    let spread: f64 = documents.iter().map(|d| (difference(d) - mean * d.predictions as f64).powi(2)).sum();
    let ratio = mean.exp();
    Summary {
        ppl_judge: (total.judge_nll / n).exp(),
        ppl_other: (total.other_nll / n).exp(),
        ratio,
        ratio_se: (documents.len() > 1).then(|| ratio * (count / (count - 1.0) * spread).sqrt() / n),
        top1: 1.0 - total.flips as f64 / n,
        flips: total.flips,
        flips_sure: total.flips_sure,
        kl: total.kl / n,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_count_and_are_sure_from_half_a_logit() {
        let judge = [0.0, 1.0, 0.4, 0.0, 1.0, 0.6, 9.0, 0.0, 0.0];
        let other = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 9.0, 0.0];
        let c = Comparison::of(&[0, 1, 2], &judge, &other);
        assert_eq!((c.predictions, c.flips, c.flips_sure), (2, 2, 1), "the last position predicts nothing");
    }

    #[test]
    fn equal_logits_give_ratio_one_and_no_divergence() {
        let rows = [0.3, -1.0, 2.0, 0.1, 0.2, 0.3];
        let c = Comparison::of(&[0, 2], &rows, &rows);
        let s = summarise(&[c, c]);
        assert_eq!((s.ratio, s.ratio_se, s.top1, s.flips), (1.0, Some(0.0), 1.0, 0));
        assert!(s.kl.abs() < 1e-15);
        assert_eq!(summarise(&[c]).ratio_se, None);
    }

    #[test]
    fn divergence_and_standard_error_equal_a_hand_calculation() {
        // p = (1/2, 1/2), q = (1/4, 3/4): KL = 1/2 ln 2 + 1/2 ln(2/3).
        let want = 0.5 * 2f64.ln() + 0.5 * (2f64 / 3.0).ln();
        assert!((divergence(&[0.0, 0.0], &[0.0, 3f64.ln()]) - want).abs() < 1e-12);
        let doc = |d| Comparison { predictions: 10, other_nll: d, ..Comparison::default() };
        let s = summarise(&[doc(0.1), doc(0.3)]);
        // mean 0.02 a prediction; deviations ∓0.1; sqrt(2/1 · 0.02)/20 = 0.01.
        assert!((s.ratio - 0.02f64.exp()).abs() < 1e-12 && (s.ratio_se.unwrap() - 0.02f64.exp() * 0.01).abs() < 1e-12);
    }
}
