//! From logits to the next id. In: one row of logits and the ids so far. Out: an id. Greedy where the temperature is 0, else:
//! repeat penalty, then the largest k, then the fewest that hold the share p (nucleus), then those of at least a share of
//! the best one's chance (min-p), then the temperature, then a draw. The order is llama.cpp's; the draw is not.

use super::judge::arg_max;

/// How ids are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Divides the logits before the draw; 0: the largest is taken.
    pub temperature: f64,
    /// Only so many of the largest; 0: all.
    pub top_k: usize,
    /// Only the fewest that hold this share of the chance; 1: all.
    pub top_p: f64,
    /// Only those with at least this share of the best one's chance; 0: all.
    pub min_p: f64,
    /// Positive logits of the last ids are divided by it, negative ones multiplied; 1: nothing.
    pub repeat_penalty: f64,
}

impl Sampling {
    /// The largest logit, always.
    pub const GREEDY: Self = Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repeat_penalty: 1.0 };
}

/// So many of the last ids are penalised.
const PENALISED: usize = 64;

/// A sampler with its random numbers.
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    /// State of splitmix64 (Steele et al. 2014).
    state: u64,
}

impl Sampler {
    /// The same ids for the same logits and seed.
    pub fn new(sampling: Sampling, seed: u64) -> Self {
        Self { sampling, state: seed }
    }

    /// The next id; `so_far` are prompt and generated ids.
    pub fn next(&mut self, logits: &[f64], so_far: &[u32]) -> u32 {
        let penalised = self.penalise(logits, so_far);
        if self.sampling.temperature == 0.0 {
            return arg_max(&penalised) as u32;
        }
        let mut kept: Vec<(usize, f64)> = penalised.into_iter().enumerate().collect();
        kept.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        if self.sampling.top_k > 0 {
            kept.truncate(self.sampling.top_k);
        }
        let most = kept[0].1;
        let chances: Vec<f64> = kept.iter().map(|&(_, z)| (z - most).exp()).collect();
        let mut left = self.sampling.top_p * chances.iter().sum::<f64>();
        let within = |chance: &&f64| {
            let open = left > 0.0;
            left -= **chance;
            open
        };
        let nucleus = chances.iter().take_while(within).count();
        let likely = chances.iter().take_while(|&&chance| chance >= self.sampling.min_p).count();
        kept.truncate(nucleus.min(likely).max(1));
        let weights: Vec<f64> = kept.iter().map(|&(_, z)| ((z - most) / self.sampling.temperature).exp()).collect();
        let mut at = self.uniform() * weights.iter().sum::<f64>();
        let drawn = weights.iter().position(|weight| {
            at -= weight;
            at < 0.0
        });
        kept[drawn.unwrap_or(kept.len() - 1)].0 as u32
    }

    fn penalise(&self, logits: &[f64], so_far: &[u32]) -> Vec<f64> {
        let mut out = logits.to_vec();
        if self.sampling.repeat_penalty != 1.0 {
            let mut last = so_far[so_far.len().saturating_sub(PENALISED)..].to_vec();
            last.sort_unstable();
            last.dedup();
            for z in last.into_iter().filter_map(|id| logits.get(id as usize).map(|z| (id as usize, *z))) {
                let penalty = self.sampling.repeat_penalty;
                out[z.0] = if z.1 > 0.0 { z.1 / penalty } else { z.1 * penalty };
            }
        }
        out
    }

    /// 53 random bits between 0 and 1.
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Sampling = Sampling { temperature: 1.0, ..Sampling::GREEDY };

    /// Shares of the ids drawn.
    fn shares(sampling: Sampling, logits: &[f64], so_far: &[u32]) -> Vec<f64> {
        let mut sampler = Sampler::new(sampling, 7);
        let mut counts = vec![0.0; logits.len()];
        (0..20_000).for_each(|_| counts[sampler.next(logits, so_far) as usize] += 1.0 / 20_000.0);
        counts
    }

    fn assert_near(found: &[f64], expected: &[f64]) {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.015), "{found:?} {expected:?}");
    }

    #[test]
    fn ids_come_with_the_chances_that_the_settings_leave() {
        let logits = [0.5f64, 0.3, 0.15, 0.05].map(f64::ln);
        assert_near(&shares(ALL, &logits, &[]), &[0.5, 0.3, 0.15, 0.05]);
        assert_near(&shares(Sampling { top_k: 2, ..ALL }, &logits, &[]), &[0.625, 0.375, 0.0, 0.0]);
        assert_near(&shares(Sampling { top_p: 0.7, ..ALL }, &logits, &[]), &[0.625, 0.375, 0.0, 0.0]);
        assert_near(&shares(Sampling { min_p: 0.2, ..ALL }, &logits, &[]), &[0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0.0]);
        let squares = [0.25, 0.09, 0.0225, 0.0025].map(|p| p / 0.365);
        assert_near(&shares(Sampling { temperature: 0.5, ..ALL }, &logits, &[]), &squares);
    }

    #[test]
    fn repeated_ids_are_penalised_and_greedy_takes_the_first_of_the_largest() {
        let mut greedy = Sampler::new(Sampling::GREEDY, 1);
        assert_eq!(greedy.next(&[1.0, 3.0, 3.0], &[]), 1);
        let mut penalised = Sampler::new(Sampling { repeat_penalty: 2.0, ..Sampling::GREEDY }, 1);
        assert_eq!(penalised.next(&[1.0, 3.0, 2.0], &[1, 1]), 2);
        assert_eq!(penalised.next(&[-1.0, -1.5, -3.0], &[0]), 1);
    }
}
