//! What the integer reference shows, as numbers in the judge's units. In: its observer's calls. Out: a [`Trace`].
//!
//! The contract's integers carry factors that its scales explain (docs/numerics.md): they are divided out here, so every stage can be laid
//! beside a float execution's. q, k and v after RoPE are what the codes stand for, since these are what goes on.

use std::collections::BTreeMap;
use std::f64::consts::{LN_2, LOG2_E};

use tritforge_spec::numerics::headq::code_limit;
use tritforge_spec::numerics::softmax::{Softmax, SoftmaxRom, output};
use tritforge_spec::numerics::{Scale, shr};
use tritforge_spec::reference::{IntModel, Observer, Stage as IntStage, Values};

use super::{About, Number, Tensor, Trace};
use crate::model::judge::{Place, Stage};

/// A stage's codes and scales.
type KeptCodes = (Place, Vec<i8>, Vec<f64>);

/// A pass of the reference, as it is seen.
pub(super) struct IntegerRecorder<'m> {
    model: &'m IntModel,
    rom: &'m SoftmaxRom,
    tokens: usize,
    floats: BTreeMap<(usize, Stage), (Place, Vec<f64>)>,
    codes: BTreeMap<(usize, Stage), KeptCodes>,
    /// Scale of the last row of codes.
    scale: Scale,
}

/// Probabilities that the contract's softmax gives for scores z, one a position, and how often the weights before were shifted: what is left
/// of every position's weight at the end, as accumulators are shifted, times the reciprocal.
pub fn probabilities(rom: &SoftmaxRom, z: &[i32]) -> (Vec<f64>, u32) {
    // 2^24 as the scale of V: the output then is the probability with 24 fraction bits.
    let one = Scale { m: 1 << 15, e: 9 };
    let mut state = Softmax::default();
    let mut left: Vec<i64> = Vec::with_capacity(z.len());
    let mut shifts = 0;
    for &z in z {
        let w = state.step(rom, z, one);
        if w.sh > 0 {
            shifts += 1;
            left.iter_mut().for_each(|l| *l = shr(*l, w.sh as i32));
        }
        left.push(i64::from(w.w));
    }
    let reciprocal = state.finish();
    (left.into_iter().map(|l| f64::from(output(l, reciprocal).0) * 2f64.powi(-24)).collect(), shifts)
}

impl<'m> IntegerRecorder<'m> {
    /// Of a pass over `tokens` tokens from position 0.
    pub fn new(model: &'m IntModel, rom: &'m SoftmaxRom, tokens: usize) -> Self {
        Self { model, rom, tokens, floats: BTreeMap::new(), codes: BTreeMap::new(), scale: Scale::ONE }
    }

    /// Appends values to a stage.
    pub fn add(&mut self, layer: Option<usize>, stage: Stage, values: impl IntoIterator<Item = f64>) {
        let place = Place { layer, stage };
        self.floats.entry(place.rank()).or_insert_with(|| (place, Vec::new())).1.extend(values);
    }

    /// Appends residual elements, `res_frac` fraction bits.
    pub fn add_residual(&mut self, layer: Option<usize>, stage: Stage, values: &[i32]) {
        let unit = f64::from(self.model.res_frac).exp2();
        self.add(layer, stage, values.iter().map(|&v| f64::from(v) / unit));
    }

    fn add_codes(&mut self, layer: Option<usize>, stage: Stage, codes: &[i8], scale: Scale) {
        let place = Place { layer, stage };
        let kept = self.codes.entry(place.rank()).or_insert_with(|| (place, Vec::new(), Vec::new()));
        kept.1.extend(codes);
        kept.2.push(scale.value());
        self.scale = scale;
    }

    /// Puts one row of scores or weights of a query head, `none` behind its own position.
    fn add_scores(&mut self, layer: Option<usize>, stage: Stage, (token, head): (usize, usize), row: &[f64], none: f64) {
        let place = Place { layer, stage };
        let tokens = self.tokens;
        let size = self.model.shape.heads * tokens * tokens;
        let all = &mut self.floats.entry(place.rank()).or_insert_with(|| (place, vec![none; size])).1;
        let at = (head * tokens + token) * tokens;
        all[at..at + row.len()].copy_from_slice(row);
    }

    /// The trace of what was seen.
    pub fn finish(self, about: About, tokens: &[u32]) -> Trace {
        let mut trace = Trace::new(about, tokens);
        let (shape, count) = (&self.model.shape, self.tokens);
        for (place, values) in self.floats.into_values() {
            let axes = match place.stage {
                Stage::Q | Stage::QRope => vec![count, shape.heads, shape.head_dim],
                Stage::K | Stage::KRope | Stage::V => vec![count, shape.kv_heads, shape.head_dim],
                Stage::Kq | Stage::KqSoft => vec![shape.heads, count, count],
                _ => vec![count, values.len() / count.max(1)],
            };
            trace.set(place, Tensor::floats(axes, Number::F64, values));
        }
        for (place, codes, scales) in self.codes.into_values() {
            trace.set(place, Tensor::codes(vec![scales.len(), codes.len() / scales.len().max(1)], codes, scales));
        }
        trace
    }
}

impl Observer for IntegerRecorder<'_> {
    fn see(&mut self, layer: Option<usize>, stage: IntStage, token: usize, head: Option<usize>, values: Values<'_>) {
        let int = self.model;
        let (hd, res_frac) = (int.shape.head_dim as f64, i32::try_from(int.res_frac).unwrap_or(0));
        let of_attention =
            |get: fn(&tritforge_spec::reference::AttnParams) -> Scale| layer.map_or(1.0, |l| get(&int.layers[l].attn).value());
        let of_ffn = |get: fn(&tritforge_spec::reference::FfnParams) -> Scale| layer.map_or(Scale::ONE, |l| get(&int.layers[l].ffn));
        let (q_factor, kv_limit) = (LOG2_E / hd.sqrt(), f64::from(code_limit(int.kv_bits)));
        // What the constants of the projections carry beside the weight's scale, and RoPE's 15 fraction bits.
        let carried = 2f64.powi(15);
        match (stage, values) {
            (IntStage::AttnNormQ8, Values::Codes(codes, scale)) => self.add_codes(layer, Stage::AttnNormQ8, codes, scale),
            (IntStage::AttnSubNormQ8, Values::Codes(codes, scale)) => self.add_codes(layer, Stage::AttnSubNormQ8, codes, scale),
            (IntStage::FfnNormQ8, Values::Codes(codes, scale)) => self.add_codes(layer, Stage::FfnNormQ8, codes, scale),
            (IntStage::FfnSubNormQ8, Values::Codes(codes, scale)) => self.add_codes(layer, Stage::FfnSubNormQ8, codes, scale),
            (IntStage::OutputNormQ8, Values::Codes(codes, scale)) => {
                self.add(None, Stage::ResultNorm, codes.iter().map(|&code| f64::from(code) * scale.value()));
            }
            (IntStage::Q, Values::I32(sums)) => {
                let unit = self.scale.value() * of_attention(|p| p.c_q) * 127.0 * carried / q_factor;
                self.add(layer, Stage::Q, sums.iter().map(|&sum| f64::from(sum) * unit));
            }
            (IntStage::K, Values::I32(sums)) => {
                let unit = self.scale.value() * of_attention(|p| p.c_k) * kv_limit * carried;
                self.add(layer, Stage::K, sums.iter().map(|&sum| f64::from(sum) * unit));
            }
            (IntStage::QCodes, Values::Codes(codes, scale)) => {
                self.add(layer, Stage::QRope, codes.iter().map(|&code| f64::from(code) * scale.value() / q_factor));
            }
            (IntStage::KCodes, Values::Codes(codes, scale)) => {
                self.add(layer, Stage::KRope, codes.iter().map(|&code| f64::from(code) * scale.value()));
            }
            (IntStage::VCodes, Values::Codes(codes, scale)) => {
                let unit = scale.value() / f64::from(int.attn_frac).exp2();
                self.add(layer, Stage::V, codes.iter().map(|&code| f64::from(code) * unit));
            }
            (IntStage::Scores, Values::I32(z)) => {
                let place = (token, head.unwrap_or(0));
                let scores: Vec<f64> = z.iter().map(|&z| f64::from(z) / 4096.0 * LN_2).collect();
                self.add_scores(layer, Stage::Kq, place, &scores, f64::NEG_INFINITY);
                self.add_scores(layer, Stage::KqSoft, place, &probabilities(self.rom, z).0, 0.0);
            }
            (IntStage::AttnOutput, Values::I32(o)) => {
                let unit = f64::from(int.attn_frac).exp2();
                self.add(layer, Stage::Kqv, o.iter().map(|&o| f64::from(o) / unit));
            }
            (IntStage::OSums, Values::I32(sums)) => {
                let unit = self.scale.value() * of_attention(|p| p.c_o) * 2f64.powi(-res_frac);
                self.add(layer, Stage::AttnOut, sums.iter().map(|&sum| f64::from(sum) * unit));
            }
            (IntStage::DownSums, Values::I32(sums)) => {
                let unit = self.scale.mul(of_ffn(|p| p.c_down)).value() * 2f64.powi(-res_frac);
                self.add(layer, Stage::FfnOut, sums.iter().map(|&sum| f64::from(sum) * unit));
            }
            (IntStage::Gate, Values::I32(sums)) => {
                let unit = self.scale.mul(of_ffn(|p| p.c_gate)).value();
                self.add(layer, Stage::FfnGate, sums.iter().map(|&sum| f64::from(sum) * unit));
            }
            (IntStage::Up, Values::I32(sums)) => {
                let unit = self.scale.mul(of_ffn(|p| p.c_up)).value();
                self.add(layer, Stage::FfnUp, sums.iter().map(|&sum| f64::from(sum) * unit));
            }
            (IntStage::Activation, Values::Elements(h, scale)) => {
                self.add(layer, Stage::FfnAct, h.iter().map(|h| h.value() as f64 * scale.value()));
            }
            (IntStage::AttnResidual, Values::I32(x)) => self.add_residual(layer, Stage::AttnResid, x),
            (IntStage::LayerOutput, Values::I32(x)) => self.add_residual(layer, Stage::LOut, x),
            (IntStage::Logits, Values::I32(logits)) => {
                self.add(None, Stage::ResultOutput, logits.iter().map(|&l| f64::from(l) / 65536.0));
            }
            _ => {}
        }
    }
}
