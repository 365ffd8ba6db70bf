//! Stages of the attention sub-layer: heads, scores, softmax, mixing of values, output.

use std::f64::consts::{LN_2, LOG2_E, PI, TAU};

use tritforge_spec::numerics::headq::code_limit;
use tritforge_spec::numerics::rope::{RopeRom, rotate_head, unrotated};
use tritforge_spec::numerics::softmax::{Softmax, accumulate, output, score};
use tritforge_spec::numerics::{Scale, head_quantise, head_scale};
use tritforge_spec::reference::model::dot;
use tritforge_spec::reference::{AttnParams, TernaryRows};

use super::{Check, R};
use crate::model::judge::Stage;
use crate::trace::probabilities;

/// One head's values as the contract stores them, from the judge's: codes, their Scale, and the bound of an element's error.
struct Stored {
    codes: Vec<i8>,
    scale: Scale,
    half_code: f64,
}

/// Rounds a head to codes; `factor` is what the Scale carries beside the value (log2 e/√HD for q, 2^Fo for v).
fn stored(values: &[f64], limit: u32, factor: f64) -> Stored {
    let most = values.iter().fold(0f64, |m, v| m.max(v.abs()));
    // A power of two that takes the largest to 36 bits: far finer than a code.
    let unit = if most > 0.0 { (35.0 - most.log2().floor()).exp2() } else { 1.0 };
    let r: Vec<i64> = values.iter().map(|v| (v * unit).round() as i64).collect();
    let mut codes = vec![0; values.len()];
    head_quantise(&r, limit, &mut codes);
    Stored { codes, scale: Scale::of(most / f64::from(limit) * factor), half_code: most * (0.5 / f64::from(limit) + 1e-9) }
}

/// A head's projection stage.
struct Heads<'h> {
    name: &'static str,
    weights: &'h TernaryRows,
    c: Scale,
    limit: u32,
    /// What the Scale carries beside the value.
    factor: f64,
    /// The judge's values before and after RoPE.
    judged: [Stage; 2],
}

impl Check<'_> {
    pub(super) fn attention(&mut self, layer: usize, x: &[f64]) {
        let (int, seen, weights) = (self.reference.model, self.seen, &self.model.layers[layer]);
        let p = &int.layers[layer].attn;
        self.norm("attn_norm", x, int.res_frac, &p.norm, &weights.attn_norm, seen.float(layer, Stage::AttnNorm));
        self.projections(layer, p);
        self.scores(layer);
        self.softmax(layer);
        self.mix(layer);
        let (kqv, sub) = (seen.float(layer, Stage::Kqv), seen.float(layer, Stage::AttnSubNorm));
        self.norm("attn_sub_norm", kqv, int.attn_frac, &p.sub_norm, &weights.attn_sub_norm, sub);
        let judged = [seen.float(layer, Stage::AttnOut), seen.float(layer, Stage::AttnResid)];
        self.projection(["attn_out", "attn_resid"], layer, Stage::AttnSubNormQ8, &p.o, p.c_o, x, judged);
    }

    fn projections(&mut self, layer: usize, p: &AttnParams) {
        let int = self.reference.model;
        let limit = code_limit(int.kv_bits);
        let q_factor = LOG2_E / (int.shape.head_dim as f64).sqrt();
        let v_factor = f64::from(int.attn_frac).exp2();
        let q = Heads { name: "q_rope", weights: &p.q, c: p.c_q, limit: 127, factor: q_factor, judged: [Stage::Q, Stage::QRope] };
        let k = Heads { name: "k_rope", weights: &p.k, c: p.c_k, limit, factor: 1.0, judged: [Stage::K, Stage::KRope] };
        let v = Heads { name: "v", weights: &p.v, c: p.c_v, limit, factor: v_factor, judged: [Stage::V, Stage::V] };
        for heads in [q, k, v] {
            self.heads(layer, &heads);
        }
    }

    /// Projection of the judge's codes, RoPE and quantisation, against the judge's rotated values.
    fn heads(&mut self, layer: usize, h: &Heads<'_>) {
        let (int, seen) = (self.reference.model, self.seen);
        let (hd, rom) = (int.shape.head_dim, RopeRom::new());
        let [before, after] = h.judged.map(|stage| seen.float(layer, stage));
        for (t, (q8, s_x)) in seen.rows(layer, Stage::AttnNormQ8).enumerate() {
            for (n, sums) in h.weights.sums(q8).chunks_exact(hd).enumerate() {
                let mut r: Vec<i64> = sums.iter().map(|&s| unrotated(s)).collect();
                let rotated = h.judged[0] != h.judged[1];
                if rotated {
                    rotate_head(&rom, &int.rope_steps, t as u32, sums, &mut r);
                }
                let mut codes = vec![0; hd];
                let a = head_quantise(&r, h.limit, &mut codes);
                let scale = head_scale(a, s_x, h.c).0.value() / h.factor;
                let at = t * h.weights.rows + n * hd;
                let (before, after) = (&before[at..][..hd], &after[at..][..hd]);
                // Half an index of the ROM, half a unit of the phase's step at every position; half a unit of each ROM value.
                let angle = PI / 16384.0 + t as f64 * 0.5 * TAU / 2f64.powi(32);
                let turn = |i: usize| {
                    let (a, b) = (before[i % (hd / 2)], before[i % (hd / 2) + hd / 2]);
                    if rotated { a.hypot(b) * angle + (a.abs() + b.abs()) / 65536.0 } else { 0.0 }
                };
                let most = (0..hd).fold(0f64, |m, i| m.max(after[i].abs() + turn(i)));
                for i in 0..hd {
                    // Scales: of the input, A, the constant, two products.
                    let bound = most * (0.5 / f64::from(h.limit)) * (1.0 + 5.0 * R) + after[i].abs() * 5.0 * R + turn(i);
                    self.take(h.name, (f64::from(codes[i]) * scale - after[i]).abs(), bound);
                }
            }
        }
    }

    /// Scores from the judge's rotated q and k.
    fn scores(&mut self, layer: usize) {
        let (int, seen, tokens) = (self.reference.model, self.seen, self.tokens);
        let s = &int.shape;
        let (hd, root) = (s.head_dim, (s.head_dim as f64).sqrt());
        let (queries, keys) = (seen.float(layer, Stage::QRope), seen.float(layer, Stage::KRope));
        let judged = seen.float(layer, Stage::Kq);
        let stored_keys: Vec<Stored> = keys.chunks_exact(hd).map(|k| stored(k, code_limit(int.kv_bits), 1.0)).collect();
        for t in 0..tokens {
            for h in 0..s.heads {
                let query = &queries[(t * s.heads + h) * hd..][..hd];
                let q = stored(query, 127, LOG2_E / root);
                for pos in 0..=t {
                    let at = pos * s.kv_heads + h / int.group();
                    let (key, k) = (&keys[at * hd..][..hd], &stored_keys[at]);
                    let z = score(dot(&q.codes, &k.codes), k.scale, q.scale).z;
                    let error = (f64::from(z) / 4096.0 * LN_2 - judged[(h * tokens + t) * tokens + pos]).abs();
                    let sums = query.iter().zip(key).fold(0.0, |sum, (q_i, k_i)| {
                        let (q_i, k_i) = (q_i.abs(), k_i.abs());
                        sum + q_i * k.half_code + k_i * q.half_code + q.half_code * k.half_code + q_i * k_i * 2.0 * R
                    });
                    self.take("kq", error, sums / root + 0.5 / 4096.0 * LN_2);
                }
            }
        }
    }

    /// Probabilities from the judge's scores: what is left of every position's weight at the end, times the reciprocal.
    fn softmax(&mut self, layer: usize) {
        let (seen, tokens) = (self.seen, self.tokens);
        let (kq, judged) = (seen.float(layer, Stage::Kq), seen.float(layer, Stage::KqSoft));
        let rom = &self.reference.softmax_rom;
        let relative = self.relative_of_p();
        for row in 0..self.reference.model.shape.heads * tokens {
            let t = row % tokens;
            let (scores, judged) = (&kq[row * tokens..][..=t], &judged[row * tokens..][..=t]);
            let z: Vec<i32> = scores.iter().map(|&kq| to_z(kq)).collect();
            let (found, shifts) = probabilities(rom, &z);
            for (&found, &p) in found.iter().zip(judged) {
                let error = (found - p).abs();
                // p and its weight round by half a unit each, every shift by another; the sum is at least half of 2^24.
                let absolute = (2.0 + f64::from(shifts)) * 2f64.powi(-23);
                self.take("kq_soft", error, p * (relative + (t + 1) as f64 * 2f64.powi(-24)) + absolute);
            }
        }
    }

    /// Relative error of a probability: of p and of the sum, each by z's rounding and the ROM; and of the reciprocal.
    fn relative_of_p(&self) -> f64 {
        let rom = &self.reference.softmax_rom;
        let codes = f64::from(4096u32 >> rom.log2);
        let z = 0.5 / 4096.0 * LN_2;
        let entry = (codes - 1.0) / 2.0 / 4096.0 * LN_2 + f64::from(-(rom.bits as i32)).exp2();
        2.0 * (z + entry) * (1.0 + z + entry) + R
    }

    /// Attention output from the judge's scores and values.
    fn mix(&mut self, layer: usize) {
        let (int, seen, tokens) = (self.reference.model, self.seen, self.tokens);
        let s = &int.shape;
        let (hd, unit) = (s.head_dim, f64::from(int.attn_frac).exp2());
        let (kq, soft) = (seen.float(layer, Stage::Kq), seen.float(layer, Stage::KqSoft));
        let (values, judged) = (seen.float(layer, Stage::V), seen.float(layer, Stage::Kqv));
        let stored_values: Vec<Stored> = values.chunks_exact(hd).map(|v| stored(v, code_limit(int.kv_bits), unit)).collect();
        let relative = self.relative_of_p();
        let rom = &self.reference.softmax_rom;
        for t in 0..tokens {
            for h in 0..s.heads {
                let row = (h * tokens + t) * tokens;
                let mut state = Softmax::default();
                let mut acc = vec![0i64; hd];
                let (mut bound, mut absolute) = (0.0, vec![0f64; hd]);
                for pos in 0..=t {
                    let at = pos * s.kv_heads + h / int.group();
                    let (v, p) = (&stored_values[at], soft[row + pos]);
                    let w = state.step(rom, to_z(kq[row + pos]), v.scale);
                    for (acc, &code) in acc.iter_mut().zip(&v.codes) {
                        *acc = accumulate(*acc, w, code);
                    }
                    bound += p * v.half_code * (1.0 + relative);
                    let value = &values[at * hd..][..hd];
                    absolute.iter_mut().zip(value).for_each(|(sum, v)| *sum += p * v.abs());
                }
                let reciprocal = state.finish();
                // Every position rounds p, its weight and the accumulator by at most one unit of 2^-8 · 2^E in all, times the code.
                let steps = 127.0 * f64::from(state.exp + 16).exp2() * (t + 1) as f64 * 2f64.powi(-23) / unit;
                for i in 0..hd {
                    let error = (f64::from(output(acc[i], reciprocal).0) / unit - judged[(t * s.heads + h) * hd + i]).abs();
                    let bound = bound + absolute[i] * (relative + R + (t + 1) as f64 * 2f64.powi(-24)) + steps + 0.5 / unit;
                    self.take("kqv", error, bound);
                }
            }
        }
    }
}

/// A score in nats as z.
fn to_z(kq: f64) -> i32 {
    (kq * LOG2_E * 4096.0).round_ties_even() as i32
}
