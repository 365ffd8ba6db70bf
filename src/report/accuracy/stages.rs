//! Worst error of every stage of the integer pipeline against its bound, each stage fed the judge's own inputs.
//!
//! An input that the contract stores as integers (residual, attention output, codes) is rounded to that form first, and the bound counts
//! that rounding. Bounds are worst cases, derived in `docs/accuracy.md`; they hold for every element, so a share above 1 is an error.

use std::collections::BTreeMap;

use serde::Serialize;
use tritforge_spec::numerics::head::horner;
use tritforge_spec::numerics::{Scale, head, norm_quantise, resid};
use tritforge_spec::reference::model::dot;
use tritforge_spec::reference::{Norm, Reference};

use super::hybrid::to_fixed;
use crate::model::judge::{Judge, Observer, Place, Stage, Values};
use crate::model::{Model, ModelError};

mod attend;
mod ffn;

/// Relative error of one rounding to a Scale: half a unit of a mantissa of at least 2^15.
pub(super) const R: f64 = 1.0 / 65536.0;

/// Stages of the attention sub-layer.
pub const ATTENTION: [&str; 10] = ["attn_norm", "q_rope", "k_rope", "v", "kq", "kq_soft", "kqv", "attn_sub_norm", "attn_out", "attn_resid"];

/// The worst element of a stage: the one whose error takes the largest share of its bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct StageError {
    /// Its error, in the judge's unit.
    pub worst: f64,
    /// Its bound.
    pub bound: f64,
    /// worst / bound, the largest of all elements.
    pub share: f64,
    /// Root mean square error over all elements.
    pub rms: f64,
    /// Elements looked at.
    pub elements: u64,
}

impl StageError {
    fn take(&mut self, error: f64, bound: f64) {
        let share = error / bound;
        if self.elements == 0 || share > self.share || share.is_nan() {
            (self.worst, self.bound, self.share) = (error, bound, share);
        }
        self.add_rms(error * error, 1);
    }

    fn add_rms(&mut self, squares: f64, elements: u64) {
        let total = self.rms * self.rms * self.elements as f64 + squares;
        self.elements += elements;
        self.rms = (total / self.elements as f64).sqrt();
    }
}

/// Errors by stage.
pub type Stages = BTreeMap<&'static str, StageError>;

/// The worst of several documents.
pub fn merge(documents: Vec<Stages>) -> Stages {
    let mut all = Stages::new();
    for (name, e) in documents.into_iter().flatten() {
        let kept = all.entry(name).or_default();
        if kept.elements == 0 || e.share > kept.share || e.share.is_nan() {
            (kept.worst, kept.bound, kept.share) = (e.worst, e.bound, e.share);
        }
        kept.add_rms(e.rms * e.rms * e.elements as f64, e.elements);
    }
    all
}

/// What the judge showed of one document.
#[derive(Default)]
pub(super) struct Capture {
    floats: BTreeMap<Place, Vec<f64>>,
    codes: BTreeMap<Place, (Vec<i8>, Vec<f64>)>,
}

impl Observer<f64> for Capture {
    fn see(&mut self, place: Place, _: &[usize], values: Values<'_, f64>) {
        match values {
            Values::Float(values) => drop(self.floats.insert(place, values.to_vec())),
            Values::Int8 { codes, scales } => drop(self.codes.insert(place, (codes.to_vec(), scales.to_vec()))),
        }
    }
}

impl Capture {
    fn float(&self, layer: impl Into<Option<usize>>, stage: Stage) -> &[f64] {
        self.floats.get(&Place { layer: layer.into(), stage }).map_or(&[], Vec::as_slice)
    }

    /// Codes and scales of a stage, a token's codes and Scale at a time.
    fn rows(&self, layer: usize, stage: Stage) -> impl Iterator<Item = (&[i8], Scale)> {
        let (codes, scales): (&[i8], &[f64]) =
            self.codes.get(&Place { layer: Some(layer), stage }).map_or((&[], &[]), |(c, s)| (c.as_slice(), s.as_slice()));
        codes.chunks_exact((codes.len() / scales.len().max(1)).max(1)).zip(scales.iter().map(|&s| Scale::of(s)))
    }
}

/// One document on its way through the stages.
pub(super) struct Check<'c> {
    model: &'c Model,
    reference: &'c Reference<'c>,
    seen: &'c Capture,
    tokens: usize,
    out: Stages,
}

/// Errors of all stages on one document.
///
/// # Errors
/// As [`Judge::forward`].
pub fn measure(judge: &Judge<'_, f64>, reference: &Reference<'_>, ids: &[u32]) -> Result<Stages, ModelError> {
    let mut seen = Capture::default();
    judge.forward(ids, &mut judge.cache(), &mut seen)?;
    let mut check = Check { model: judge.model(), reference, seen: &seen, tokens: ids.len(), out: Stages::new() };
    let mut input = seen.float(None, Stage::InpEmbd);
    for layer in 0..reference.model.layers.len() {
        check.attention(layer, input);
        check.feed_forward(layer);
        input = seen.float(layer, Stage::LOut);
    }
    check.head(input);
    Ok(check.out)
}

/// `share·max|y|/127`, and what else a norm with int8 adds, one bound an element. See docs/accuracy.md.
struct NormBound {
    half_code: f64,
    relative: f64,
    /// Bound of what rounding the input does to an element of gain 1.
    input: f64,
    gain: f64,
}

impl Check<'_> {
    fn take(&mut self, stage: &'static str, error: f64, bound: f64) {
        self.out.entry(stage).or_default().take(error, bound);
    }

    /// Norm and int8 of every token: the codes' values against the judge's normalised values before its own rounding.
    fn norm(&mut self, stage: &'static str, x: &[f64], frac: u32, norm: &Norm, gain: &[f32], judged: &[f64]) {
        let width = gain.len();
        for (x, y) in x.chunks_exact(width).zip(judged.chunks_exact(width)) {
            let found = norm_quantise(&to_fixed(x, frac), &norm.gain, norm.eps, norm.c);
            let bound = self.norm_bound(x, frac, norm, gain, y);
            for (i, (&q, &y)) in found.q.iter().zip(y).enumerate() {
                let error = (f64::from(q) * found.scale.value() - y).abs();
                self.take(stage, error, bound.of(y, gain[i]));
            }
        }
    }

    fn norm_bound(&self, x: &[f64], frac: u32, norm: &Norm, gain: &[f32], y: &[f64]) -> NormBound {
        let k = x.len() as f64;
        let square = x.iter().map(|x| x * x).sum::<f64>() / k;
        let rms = (square + f64::from(self.model.shape.rms_epsilon)).sqrt();
        let half_unit = 0.5 * f64::from(-(frac as i32)).exp2();
        let largest = |v: &[f64]| v.iter().fold(0f64, |m, v| m.max(v.abs()));
        let largest_gain = gain.iter().fold(0f64, |m, g| m.max(f64::from(g.abs())));
        // Four Scale roundings, the root's floor (2^-16) and the reciprocal's (2^-17); the input's rounding in Σx²; epsilon's own rounding.
        let relative = 5.5 * R + half_unit / rms + half_unit * half_unit / (rms * rms * k);
        let input = half_unit / rms;
        let gain = 0.5 * f64::from(norm.gain_exponent).exp2() * (largest(x) / rms);
        let top = largest(y) * (1.0 + relative) + input * largest_gain + gain;
        NormBound { half_code: top / 254.0, relative, input, gain }
    }

    /// Ternary projection of the judge's codes, scaled into the residual's unit, and added to the residual.
    #[allow(clippy::too_many_arguments)]
    fn projection(
        &mut self,
        [out, added]: [&'static str; 2],
        layer: usize,
        from: Stage,
        weights: &tritforge_spec::reference::TernaryRows,
        c: Scale,
        x: &[f64],
        [judged_out, judged_sum]: [&[f64]; 2],
    ) {
        let (seen, frac) = (self.seen, self.reference.model.res_frac);
        let unit = f64::from(frac).exp2();
        let width = weights.rows;
        for (t, (q8, s_x)) in seen.rows(layer, from).enumerate() {
            let fixed = to_fixed(&x[t * width..][..width], frac);
            let s = s_x.mul(c);
            for (i, acc) in weights.sums(q8).into_iter().enumerate() {
                let (value, sum) = (judged_out[t * width + i], judged_sum[t * width + i]);
                // The input's scale, the constant, their product; then half a unit, and the residual's own half unit.
                let bound = value.abs() * 3.0 * R + 0.5 / unit;
                self.take(out, (f64::from(resid::scaled_sum(acc, s).0) / unit - value).abs(), bound);
                self.take(added, (f64::from(resid::residual(fixed[i], acc, s).0) / unit - sum).abs(), bound + 0.5 / unit);
            }
        }
    }

    /// Output norm and logits.
    fn head(&mut self, x: &[f64]) {
        let (model, int, seen) = (self.model, self.reference.model, self.seen);
        let frac = int.res_frac;
        let judged = seen.float(None, Stage::ResultNorm);
        self.norm("result_norm", x, frac, &int.head.norm, &model.output_norm, judged);
        let logits = seen.float(None, Stage::ResultOutput);
        let width = int.shape.dim;
        let rows: Vec<_> = (0..int.vocab).map(|r| model.head().row(r)).collect();
        for t in 0..self.tokens {
            let (x, y) = (&x[t * width..][..width], &judged[t * width..][..width]);
            let found = norm_quantise(&to_fixed(x, frac), &int.head.norm.gain, int.head.norm.eps, int.head.norm.c);
            let bound = self.norm_bound(x, frac, &int.head.norm, &model.output_norm, y);
            let of_element: Vec<f64> = y.iter().zip(&model.output_norm).map(|(&y, &g)| bound.of(y, g)).collect();
            let absolute: f64 = y.iter().map(|y| y.abs()).sum();
            for r in 0..int.vocab {
                let acc = int.head.planes.iter().fold(0, |acc, p| horner(acc, dot(p.row(r), &found.q)));
                let rs = int.head.row_scales[r];
                let (value, _) = head::logit(acc, found.scale.mul(rs));
                let mut bound = 0.5 / 65536.0 + 0.5 * rs.value() * absolute;
                for (i, &w) in rows[r].iter().enumerate() {
                    let w = f64::from(w).abs() + 0.5 * rs.value();
                    bound += w * (of_element[i] + y[i].abs() * 2.0 * R);
                }
                let error = (f64::from(value) / 65536.0 - logits[t * int.vocab + r]).abs();
                self.take("result_output", error, bound);
            }
        }
    }
}

impl NormBound {
    fn of(&self, y: f64, gain: f32) -> f64 {
        self.half_code + y.abs() * self.relative + self.input * f64::from(gain.abs()) + self.gain
    }
}
