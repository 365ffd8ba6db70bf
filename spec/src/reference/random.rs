//! Random integer models of any shape, from a seed: for tests of every block and backend. Values are of the size that a trained model
//! has (activations of order 1), so nothing saturates and no stage is trivial.

use super::model::{Activation, AttnParams, FfnParams, FloatNorm, HeadParams, IntLayer, IntModel, Norm, TernaryRows};
use crate::hw::AttnShape;
use crate::numerics::head::{PLANES, balanced_digits};
use crate::numerics::headq::code_limit;
use crate::numerics::norm::norm_constants;
use crate::numerics::{MAX_CONTEXT, Scale};
use crate::random::Rng;
use crate::rom::rope_steps;

/// What a random model looks like.
#[derive(Clone, Debug)]
pub struct RandomModel {
    /// Dimensions of the attention sub-layer.
    pub shape: AttnShape,
    /// Width of the feed-forward network.
    pub ffn: usize,
    /// Rows of the vocabulary.
    pub vocab: usize,
    /// Activation.
    pub activation: Activation,
    /// Bits of a KV code: 4, 6 or 8.
    pub kv_bits: usize,
}

/// Fraction bits of residual and attention output: values of order 1 leave eight bits of headroom.
const FRAC: u32 = 20;
const EPS: f64 = 1e-5;

impl RandomModel {
    /// A small shape for tests: `heads` x `head_dim`, `kv_heads`, model dimension `dim`, one layer, 8-bit KV.
    pub fn small(dim: usize, heads: usize, kv_heads: usize, head_dim: usize) -> Self {
        let shape = AttnShape { layers: 1, dim, heads, kv_heads, head_dim, context: MAX_CONTEXT, rope_theta: 500_000.0 };
        RandomModel { shape, ffn: 2 * dim, vocab: 64, activation: Activation::Relu2, kv_bits: 8 }
    }

    /// The model of a seed.
    pub fn build(&self, seed: u64) -> IntModel {
        let mut r = Rng::new(seed);
        let s = &self.shape;
        let q_limit = f64::from(code_limit(self.kv_bits));
        let (q_dim, kv_dim) = (s.heads * s.head_dim, s.kv_heads * s.head_dim);
        // A row of K trits, two thirds of them not 0, gives sums of order √K: this scale brings them back to order 1.
        let weight_scale = |k: usize, r: &mut Rng| (0.7 + 0.6 * r.unit()) / (k as f64).sqrt();
        let layers = (0..s.layers)
            .map(|_| {
                let [wq, wk, wv, wo] = [s.dim, s.dim, s.dim, q_dim].map(|k| weight_scale(k, &mut r));
                let [wg, wu, wd] = [s.dim, s.dim, self.ffn].map(|k| weight_scale(k, &mut r));
                let attn = AttnParams {
                    norm: norm(&mut r, s.dim),
                    q: ternary(&mut r, q_dim, s.dim),
                    k: ternary(&mut r, kv_dim, s.dim),
                    v: ternary(&mut r, kv_dim, s.dim),
                    c_q: Scale::of(wq * 2f64.powi(-15) * std::f64::consts::LOG2_E / (s.head_dim as f64).sqrt() / 127.0),
                    c_k: Scale::of(wk * 2f64.powi(-15) / q_limit),
                    c_v: Scale::of(wv * 2f64.powi(-15) / q_limit * f64::from(FRAC).exp2()),
                    sub_norm: norm(&mut r, q_dim),
                    o: ternary(&mut r, s.dim, q_dim),
                    c_o: Scale::of(wo * f64::from(FRAC).exp2()),
                };
                let sub_norm = norm(&mut r, self.ffn);
                let ffn = FfnParams {
                    norm: norm(&mut r, s.dim),
                    gate: ternary(&mut r, self.ffn, s.dim),
                    up: ternary(&mut r, self.ffn, s.dim),
                    c_gate: Scale::of(wg),
                    c_up: Scale::of(wu),
                    sub_norm: FloatNorm {
                        gain: sub_norm.gain,
                        gain_exponent: sub_norm.gain_exponent,
                        c_eps: Scale::of(self.ffn as f64 * EPS),
                        c: sub_norm.c,
                    },
                    down: ternary(&mut r, s.dim, self.ffn),
                    c_down: Scale::of(wd * f64::from(FRAC).exp2()),
                };
                IntLayer { attn, ffn }
            })
            .collect();
        IntModel {
            ffn: self.ffn,
            vocab: self.vocab,
            activation: self.activation,
            kv_bits: self.kv_bits,
            res_frac: FRAC,
            attn_frac: FRAC,
            rope_steps: rope_steps(s.rope_theta, s.head_dim),
            embedding: residual_rows(&mut r, self.vocab * s.dim),
            layers,
            head: head(&mut r, self.vocab, s.dim),
            shape: s.clone(),
        }
    }
}

/// A random ternary matrix, the three values equally likely.
pub fn ternary(r: &mut Rng, rows: usize, cols: usize) -> TernaryRows {
    TernaryRows { rows, cols, trits: (0..rows * cols).map(|_| r.trit()).collect() }
}

/// Random residual elements: about normal, of order 1 in 20 fraction bits.
pub fn residual_rows(r: &mut Rng, elements: usize) -> Vec<i32> {
    (0..elements).map(|_| (r.normal() * f64::from(FRAC).exp2()) as i32).collect()
}

fn norm(r: &mut Rng, k: usize) -> Norm {
    // One gain at the top keeps the exponent's definition; some are negative.
    let mut gain: Vec<i32> = (0..k).map(|_| r.range(20_000, 65_000) as i32 * if r.below(8) == 0 { -1 } else { 1 }).collect();
    gain[0] = 65_535;
    // K·eps·2^40 < 2^64 for every K of the contract.
    let (eps, c) = norm_constants(k, EPS, FRAC, -16).unwrap_or((1, Scale::ONE));
    Norm { gain, gain_exponent: -16, eps, c }
}

fn head(r: &mut Rng, vocab: usize, dim: usize) -> HeadParams {
    let weights: Vec<i32> = (0..vocab * dim).map(|_| r.range(-121, 121) as i32).collect();
    let plane = |p: usize| TernaryRows { rows: vocab, cols: dim, trits: weights.iter().map(|&w| balanced_digits(w)[p]).collect() };
    let planes: [TernaryRows; PLANES] = std::array::from_fn(plane);
    let row_scales = (0..vocab).map(|_| Scale::of((0.5 + r.unit()) / 121.0 / (dim as f64).sqrt())).collect();
    HeadParams { norm: norm(r, dim), planes, row_scales }
}
