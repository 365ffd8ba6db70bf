//! Attention of one query head over the cache. In: a query, the layer's keys and values. Out: the mix of values, f32.
//!
//! As llama.cpp's CPU back end does it with its default f16 cache: the query is rounded to f16; positions are taken in
//! order with a running maximum; the mix is kept in f16 and rounded after every position. (With 64 tokens or more in a
//! pass llama.cpp keeps the mix in f32 instead; that is not done here.) The judge has no rounding and takes the softmax of
//! all positions at once.

use half::f16;

use super::cache::LayerCache;
use crate::model::quant::{Arithmetic, FloatOrder, float_dot, wide_dot};

/// Where a query head looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'c> {
    /// The layer's keys and values.
    pub cache: &'c LayerCache,
    /// Elements of a row of the cache.
    pub kv_dim: usize,
    /// First element of the key/value head in a row.
    pub first: usize,
    /// Positions that are looked at, from 0.
    pub positions: usize,
    /// Factor of the scores.
    pub scale: f32,
}

fn round_f16(x: f32) -> f32 {
    f16::from_f32(x).to_f32()
}

impl View<'_> {
    /// The scores of all positions, scaled, for whoever looks: as [`View::mix_f16`] and [`View::mix_exact`] compute them.
    pub fn scores(&self, query: &[f32], arithmetic: Arithmetic) -> Vec<f32> {
        let half: Vec<f32> = query.iter().map(|&v| round_f16(v)).collect();
        let mut row = vec![0.0; query.len()];
        let score = |position| {
            self.cache.keys.read(position * self.kv_dim + self.first, &mut row);
            match arithmetic {
                Arithmetic::Ggml => float_dot(&row, &half, FloatOrder::F16) * self.scale,
                Arithmetic::Wide => wide_dot(&row, &half) as f32 * self.scale,
                Arithmetic::Float => (wide_dot(&row, query) * f64::from(self.scale)) as f32,
            }
        };
        (0..self.positions).map(score).collect()
    }

    /// As llama.cpp; `wide`: with sums of scores in f64.
    pub fn mix_f16(&self, query: &[f32], wide: bool) -> Vec<f32> {
        let query: Vec<f32> = query.iter().map(|&v| round_f16(v)).collect();
        let mut row = vec![0.0; query.len()];
        let mut mix = vec![0.0; query.len()];
        let (mut most, mut sum) = (f32::NEG_INFINITY, 0.0);
        for position in 0..self.positions {
            let at = position * self.kv_dim + self.first;
            self.cache.keys.read(at, &mut row);
            let dot = if wide { wide_dot(&row, &query) as f32 } else { float_dot(&row, &query, FloatOrder::F16) };
            let score = dot * self.scale;
            let (mut shrink, mut weight) = (1.0, 1.0);
            if score > most {
                shrink = (most - score).exp();
                most = score;
                mix.iter_mut().for_each(|v| *v = round_f16(*v * shrink));
            } else {
                weight = (score - most).exp();
            }
            self.cache.values.read(at, &mut row);
            mix.iter_mut().zip(&row).for_each(|(mix, &value)| *mix = round_f16(value.mul_add(weight, *mix)));
            // Two roundings there, unlike everywhere around.
            sum = sum * shrink + weight;
        }
        let inverse = 1.0 / sum;
        mix.iter().map(|v| v * inverse).collect()
    }

    /// As the definition says, in f64.
    pub fn mix_exact(&self, query: &[f32]) -> Vec<f32> {
        let mut row = vec![0.0; query.len()];
        let mut scores = Vec::with_capacity(self.positions);
        for position in 0..self.positions {
            self.cache.keys.read(position * self.kv_dim + self.first, &mut row);
            scores.push(wide_dot(&row, query) * f64::from(self.scale));
        }
        let most = scores.iter().fold(f64::NEG_INFINITY, |most, &score| most.max(score));
        let powers: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
        let sum: f64 = powers.iter().sum();
        let mut mix = vec![0.0f64; query.len()];
        for (position, power) in powers.iter().enumerate() {
            self.cache.values.read(position * self.kv_dim + self.first, &mut row);
            mix.iter_mut().zip(&row).for_each(|(mix, &value)| *mix += power / sum * f64::from(value));
        }
        mix.into_iter().map(|v| v as f32).collect()
    }
}
