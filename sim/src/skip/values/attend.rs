//! Attention of one query head over the positions of its KV head: scores, streaming softmax, accumulators, outputs.

use super::{
    kv::HeadCache,
    wide::{Kernel, wide},
};
use tritforge_spec::numerics::{
    Scale, Softmax, SoftmaxRom, prim, score,
    softmax::{self, Weight},
};

/// Buffers of a head, and what saturated since they were made.
#[derive(Clone, Debug, Default)]
pub struct Attend {
    query: Vec<i16>,
    dots: Vec<i32>,
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
        self.query.clear();
        self.query.extend(q.iter().map(|&q| i16::from(q)));
        self.dots.resize(positions, 0);
        wide(Dots { query: &self.query, keys: &cache.codes[0], dots: &mut self.dots });

        let mut state = Softmax::default();
        self.weights.clear();
        for ((&dot, &s_k), &s_v) in self.dots.iter().zip(&cache.scales[0]).zip(&cache.scales[1]) {
            let z = score(dot, s_k, s_q);
            self.saturated_scores += u64::from(z.saturated);
            self.weights.push(state.step(rom, z.z, s_v));
        }

        self.acc.clear();
        self.acc.resize(hd, 0);
        wide(Accumulate { weights: &self.weights, values: &cache.codes[1], acc: &mut self.acc });
        let reciprocal = state.finish();
        for (o, &acc) in o.iter_mut().zip(&self.acc) {
            let (value, saturated) = softmax::output(acc, reciprocal);
            *o = value;
            self.saturated_outputs += u64::from(saturated);
        }
    }
}

/// `dots[p] = Σ query · keys[p]`.
struct Dots<'a> {
    query: &'a [i16],
    keys: &'a [i8],
    dots: &'a mut [i32],
}

impl Kernel for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (key, dot) in self.keys.chunks_exact(self.query.len()).zip(self.dots) {
            *dot = key.iter().zip(self.query).map(|(&k, &q)| i32::from(k) * i32::from(q)).sum();
        }
    }
}

/// [`softmax::accumulate`] over all positions.
struct Accumulate<'a> {
    weights: &'a [Weight],
    values: &'a [i8],
    acc: &'a mut [i64],
}

impl Kernel for Accumulate<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (value, &Weight { w, sh }) in self.values.chunks_exact(self.acc.len()).zip(self.weights) {
            // A new maximum is rare, and a shift of 64 bits costs more than the sum.
            if sh > 0 {
                self.acc.iter_mut().for_each(|acc| *acc = prim::shr(*acc, sh as i32));
            }
            let w = w as i32;
            self.acc.iter_mut().zip(value).for_each(|(acc, &v)| *acc += i64::from(w) * i64::from(i32::from(v)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tritforge_spec::random::Rng;
    use tritforge_spec::reference::attend_head;

    #[test]
    fn heads_are_the_references_on_the_baseline_and_on_the_widest_vectors() {
        let mut r = Rng::new(2);
        let rom = SoftmaxRom::new(8, 15);
        for (hd, positions) in [(32, 1), (48, 7), (64, 40), (80, 33), (128, 200)] {
            let mut code = |limit: i64| r.range(-limit, limit) as i8;
            let query: Vec<i8> = (0..hd).map(|_| code(127)).collect();
            let mut cache = HeadCache::default();
            for p in 0..positions {
                // Exponents that rise and scores that saturate: every shift occurs.
                let scale = |e: i8| Scale { m: 40_000 + 100 * p as u16, e };
                for (kind, e) in [(0, -20 + (p % 12) as i8), (1, -30 + (p % 50) as i8)] {
                    let codes: Vec<i8> = (0..hd).map(|_| code(127)).collect();
                    cache.push(kind, &codes, scale(e));
                }
            }
            let s_q = Scale { m: 50_000, e: -25 };
            let at = |kind: usize| {
                let cache = &cache;
                move |p: usize| (&cache.codes[kind][p * hd..][..hd], cache.scales[kind][p])
            };
            let expected = attend_head(&rom, &query, s_q, positions, at(0), at(1));
            let (mut attend, mut o) = (Attend::default(), vec![0; hd]);
            attend.head(&rom, &query, s_q, &cache, positions, &mut o);
            assert_eq!((&o, attend.saturated_scores), (&expected.o, expected.saturated_scores), "{hd} x {positions}");
            assert_eq!(
                (attend.saturated_outputs, &attend.weights[positions - 1].w),
                (expected.saturated_outputs, &expected.w[positions - 1])
            );
            // The kernels as the baseline has them.
            let (mut dots, mut acc) = (vec![0; positions], vec![0; hd]);
            Dots { query: &attend.query, keys: &cache.codes[0], dots: &mut dots }.run();
            Accumulate { weights: &attend.weights, values: &cache.codes[1], acc: &mut acc }.run();
            assert_eq!((dots, acc), (attend.dots, expected.acc), "{hd} x {positions}");
        }
    }
}
