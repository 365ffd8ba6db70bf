//! The feed-forward sub-layer in integers (docs/numerics.md, section 7).

use super::Reference;
use super::attention::{quantised, residual_row};
use super::model::{Activation, FfnParams};
use super::observer::{Observer, Saturations, Stage, Values};
use crate::numerics::Scale;
use crate::numerics::ffn::{Element, float_norm_quantise, relu_squared, relu_squared_scale, silu, silu_scale};

impl Reference<'_> {
    /// The feed-forward sub-layer of one layer: `x[tokens][D]` → `y[tokens][D]`, F fraction bits.
    pub fn feed_forward(&self, layer: usize, x: &[i32], observer: &mut impl Observer, saturations: &mut Saturations) -> Vec<i32> {
        let params = &self.model.layers[layer].ffn;
        let mut y = Vec::with_capacity(x.len());
        for (t, x) in x.chunks_exact(self.model.shape.dim).enumerate() {
            let mut see = |stage, values: Values<'_>| observer.see(Some(layer), stage, t, None, values);
            let (q8, s_x) = quantised(&params.norm, x, saturations);
            see(Stage::FfnNormQ8, Values::Codes(&q8, s_x));
            let (gate, up) = (params.gate.sums(&q8), params.up.sums(&q8));
            see(Stage::Gate, Values::I32(&gate));
            see(Stage::Up, Values::I32(&up));
            let (h, s_h) = self.activate(params, &gate, &up, s_x, saturations);
            see(Stage::Activation, Values::Elements(&h, s_h));
            let norm = &params.sub_norm;
            let sub = float_norm_quantise(&h, &norm.gain, s_h, norm.c_eps, norm.c);
            saturations.scales += u64::from(sub.saturations);
            see(Stage::FfnSubNormQ8, Values::Codes(&sub.q, sub.scale));
            let sums = params.down.sums(&sub.q);
            see(Stage::DownSums, Values::I32(&sums));
            let row = residual_row(x, &sums, sub.scale, params.c_down, saturations);
            see(Stage::LayerOutput, Values::I32(&row));
            y.extend(row);
        }
        y
    }

    /// `activation(gate) · up` of one row: elements and the scale of their integers.
    pub fn activate(
        &self,
        params: &FfnParams,
        gate: &[i32],
        up: &[i32],
        s_x: Scale,
        saturations: &mut Saturations,
    ) -> (Vec<Element>, Scale) {
        let (s_g, a) = s_x.mul_sat(params.c_gate);
        let (s_u, b) = s_x.mul_sat(params.c_up);
        let pairs = gate.iter().zip(up);
        let (h, (s_h, c)): (Vec<Element>, _) = match self.model.activation {
            Activation::Relu2 => (pairs.map(|(&g, &u)| Element::of(relu_squared(g, u))).collect(), relu_squared_scale(s_g, s_u)),
            Activation::Silu => (pairs.map(|(&g, &u)| Element::of(silu(&self.sigma_rom, g, u, s_g))).collect(), silu_scale(s_g, s_u)),
        };
        saturations.scales += u64::from(a) + u64::from(b) + u64::from(c);
        (h, s_h)
    }
}
