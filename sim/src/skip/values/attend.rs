//! Attention of one query head over the positions of its KV head: scores, streaming softmax, accumulators, outputs.

use super::kv::HeadCache;
use tritforge_spec::numerics::{
    Scale, Softmax, SoftmaxRom, prim, score,
    softmax::{self, Weight},
};

/// Buffers of a head, and what saturated since they were made.
#[derive(Clone, Debug, Default)]
pub struct Attend {
    weights: Vec<Weight>,
    acc: Vec<i64>,
    /// Scores and outputs that saturated.
    pub saturated_scores: u64,
    pub saturated_outputs: u64,
}

impl Attend {
    /// Output `o[HD]` of the query `q[HD]` over the first `positions` positions of `cache`.
    pub fn head(&mut self, rom: &SoftmaxRom, q: &[i8], s_q: Scale, cache: &HeadCache, positions: usize, o: &mut [i32]) {
        let hd = q.len();
        let mut state = Softmax::default();
        self.weights.clear();
        let keys = cache.codes[0].chunks_exact(hd).zip(&cache.scales[0]);
        for ((k, &s_k), &s_v) in keys.zip(&cache.scales[1]).take(positions) {
            let z = score(dot(q, k), s_k, s_q);
            self.saturated_scores += u64::from(z.saturated);
            self.weights.push(state.step(rom, z.z, s_v));
        }
        self.acc.clear();
        self.acc.resize(hd, 0);
        for (v, &Weight { w, sh }) in cache.codes[1].chunks_exact(hd).zip(&self.weights) {
            // A new maximum is rare, and a shift of 64 bits costs more than the sum.
            if sh > 0 {
                self.acc.iter_mut().for_each(|acc| *acc = prim::shr(*acc, sh as i32));
            }
            let w = i64::from(w);
            self.acc.iter_mut().zip(v).for_each(|(acc, &v)| *acc += w * i64::from(v));
        }
        let reciprocal = state.finish();
        for (o, &acc) in o.iter_mut().zip(&self.acc) {
            let (value, saturated) = softmax::output(acc, reciprocal);
            *o = value;
            self.saturated_outputs += u64::from(saturated);
        }
    }
}

/// Exact dot product; the length is a multiple of 16.
fn dot(a: &[i8], b: &[i8]) -> i32 {
    let mut sum = 0;
    for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
        for i in 0..16 {
            sum += i32::from(a[i]) * i32::from(b[i]);
        }
    }
    sum
}
