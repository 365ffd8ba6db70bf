//! Stages of the feed-forward sub-layer.

use tritforge_spec::numerics::ffn::float_norm_quantise;
use tritforge_spec::reference::Saturations;

use super::{Check, R};
use crate::model::Activation;
use crate::model::judge::Stage;

impl Check<'_> {
    pub(super) fn feed_forward(&mut self, layer: usize) {
        let (int, seen, weights) = (self.reference.model, self.seen, &self.model.layers[layer]);
        let p = &int.layers[layer].ffn;
        let x = seen.float(layer, Stage::AttnResid);
        self.norm("ffn_norm", x, int.res_frac, &p.norm, &weights.ffn_norm, seen.float(layer, Stage::FfnNorm));
        let width = int.ffn;
        let [gates, ups, acts, norms] =
            [Stage::FfnGate, Stage::FfnUp, Stage::FfnAct, Stage::FfnSubNorm].map(|stage| seen.float(layer, stage));
        for (t, (q8, s_x)) in seen.rows(layer, Stage::FfnNormQ8).enumerate() {
            let row = t * width..(t + 1) * width;
            let (gate, up) = (p.gate.sums(q8), p.up.sums(q8));
            let (s_g, s_u) = (s_x.mul(p.c_gate).value(), s_x.mul(p.c_up).value());
            for (i, at) in row.clone().enumerate() {
                // The input's scale, the constant, their product.
                self.take("ffn_gate", (f64::from(gate[i]) * s_g - gates[at]).abs(), gates[at].abs() * 3.0 * R + f64::MIN_POSITIVE);
                self.take("ffn_up", (f64::from(up[i]) * s_u - ups[at]).abs(), ups[at].abs() * 3.0 * R + f64::MIN_POSITIVE);
            }
            let (h, s_h) = self.reference.activate(p, &gate, &up, s_x, &mut Saturations::default());
            let relative = self.relative_of_activation();
            // The ROM of σ: half an index at its steepest slope, half a unit; absolute in σ, so it multiplies |gate · up|.
            let rom = if self.model.shape.activation == Activation::Silu { 0.25 * 0.5 / 256.0 + R } else { 0.0 };
            for (i, at) in row.clone().enumerate() {
                let bound = acts[at].abs() * relative + (gates[at] * ups[at]).abs() * rom + f64::MIN_POSITIVE;
                self.take("ffn_act", (h[i].value() as f64 * s_h.value() - acts[at]).abs(), bound);
            }
            let found = float_norm_quantise(&h, &p.sub_norm.gain, s_h, p.sub_norm.c_eps, p.sub_norm.c);
            let bound = self.sub_norm_bound(&acts[row.clone()], p.sub_norm.gain_exponent, &norms[row.clone()], s_h.value());
            for (i, at) in row.enumerate() {
                let error = (f64::from(found.q[i]) * found.scale.value() - norms[at]).abs();
                let silu = rom * (gates[at] * ups[at]).abs() / bound.rms * f64::from(weights.ffn_sub_norm[i].abs());
                self.take("ffn_sub_norm", error, bound.half_code + norms[at].abs() * bound.relative + bound.gain + 2.0 * silu);
            }
        }
        let judged = [seen.float(layer, Stage::FfnOut), seen.float(layer, Stage::LOut)];
        self.projection(["ffn_out", "l_out"], layer, Stage::FfnSubNormQ8, &p.down, p.c_down, x, judged);
    }

    /// relu²: three Scales of three roundings each, two products, the mantissa. SiLU has a factor less.
    fn relative_of_activation(&self) -> f64 {
        12.0 * R
    }

    fn sub_norm_bound(&self, act: &[f64], gain_exponent: i32, y: &[f64], s_h: f64) -> SubNormBound {
        let k = act.len() as f64;
        let largest = |v: &[f64]| v.iter().fold(0f64, |m, v| m.max(v.abs()));
        let rms = (act.iter().map(|a| a * a).sum::<f64>() / k + f64::from(self.model.shape.rms_epsilon)).sqrt();
        // Mantissas of the sum of squares are aligned to the largest, of at least 2^15 (or exact): half a unit each.
        let aligned = 0.5 * k.sqrt() / 32768.0;
        // The common scale cancels but for epsilon's term; each mantissa's rounding does not. Epsilon's term is an integer beside Σh'².
        let unit = largest(act) / 32768.0;
        let relative = (12.0 + 1.0 + 6.5) * R + aligned + 0.5 * (unit.max(s_h)).powi(2) / (rms * rms * k);
        let gain_error = 0.5 * f64::from(gain_exponent).exp2() * largest(act) / rms;
        SubNormBound { half_code: (largest(y) * (1.0 + relative) + gain_error) / 254.0, relative, gain: gain_error, rms }
    }
}

struct SubNormBound {
    half_code: f64,
    relative: f64,
    gain: f64,
    rms: f64,
}
