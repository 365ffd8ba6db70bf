//! Rotary position embedding as llama.cpp computes it: in f32, the angle of each pair from the last one's by a
//! multiplication. In: the file's metadata; a position; rows of heads. Out: rows with every head's pairs turned.
//!
//! Source: Su et al. 2021; linear scaling (Chen et al. 2023), NTK-aware scaling (bloc97 2023: a larger base), YaRN (Peng et
//! al. 2023); divisors a pair (`rope_freqs`, Llama 3.1; LongRoPE, Ding et al. 2024). Formulas of YaRN as in ggml's `ops.cpp`.

use std::fmt;

use crate::model::error::{ModelError, Refusal, shown};
use crate::model::metadata::{Keys, REMEDY};

/// Base of the frequencies where the file gives none.
const DEFAULT_BASE: f32 = 10000.0;
/// YaRN: turns over the original context at which a pair is not interpolated at all, and at which it is in full.
const BETA_FAST: f32 = 32.0;
const BETA_SLOW: f32 = 1.0;

/// What precedes keys of our own; imported models have [`YARN_BETAS`] behind it, as `transformers` obeys theirs.
pub(in crate::model) const OWN: &str = "tritforge";
/// Names of [`BETA_FAST`] and [`BETA_SLOW`].
pub(in crate::model) const YARN_BETAS: [&str; 2] = ["yarn_beta_fast", "yarn_beta_slow"];

const ORIGINAL_CONTEXT: &str = "rope.scaling.original_context_length";

/// How angles grow beyond the context of training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scaling {
    /// As trained.
    None,
    /// Positions are divided by the factor.
    Linear(f32),
    /// The base grows with the factor, so that the slowest pair is divided by it and the fastest not at all.
    Ntk(f32),
    /// Slow pairs are divided by the factor, fast ones not.
    Yarn(Yarn),
    /// As linear with `factor`; besides, each pair's angle is divided by a number of its own, from one of two lists (LongRoPE).
    Long {
        /// Positions are divided by it.
        factor: f32,
        /// Context of training: the second list is for longer ones.
        original_context: usize,
    },
}

impl fmt::Display for Scaling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(f, "no scaling"),
            Self::Linear(factor) => write!(f, "linear scaling by {factor}"),
            Self::Ntk(factor) => write!(f, "NTK scaling by {factor}"),
            Self::Yarn(yarn) => write!(f, "YaRN scaling by {} from context {}", yarn.factor, yarn.original_context),
            Self::Long { original_context, .. } => write!(f, "LongRoPE scaling from context {original_context}"),
        }
    }
}

/// Constants of YaRN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Yarn {
    /// Context divided by that of training.
    pub factor: f32,
    /// Context of training.
    pub original_context: usize,
    /// See [`BETA_FAST`].
    pub beta_fast: f32,
    /// See [`BETA_SLOW`].
    pub beta_slow: f32,
}

/// Which elements of a head turn together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairs {
    /// Elements 2j and 2j + 1: Llama in GGUF, whose converter permutes the weights to it.
    Interleaved,
    /// Elements j and j + half.
    HalfRotated,
}

/// Rotary position embedding of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Elements of a head that turn, the first ones; even.
    pub dims: usize,
    /// Base of the frequencies.
    pub base: f32,
    /// Beyond the context of training.
    pub scaling: Scaling,
    /// Both cosine and sine are multiplied with it.
    pub magnitude: f32,
    /// Which elements form a pair.
    pub pairs: Pairs,
}

impl Rope {
    /// Reads the file's `rope.*`.
    pub(super) fn from_gguf(keys: &Keys<'_, '_>, head_dim: usize, context: usize) -> Result<Self, ModelError> {
        let dims = keys.size("rope.dimension_count")?.unwrap_or(head_dim);
        if !dims.is_multiple_of(2) || dims > head_dim {
            let item = format!("metadata '{}'", keys.key("rope.dimension_count"));
            let expected = format!("an even number, at most the head size {head_dim}");
            return Err(ModelError::refused(Refusal::Contradiction, item, expected, dims.to_string(), REMEDY));
        }
        let scaling = scaling(keys, context)?;
        let yarn = if let Scaling::Yarn(yarn) = scaling { 1.0 + 0.1 * yarn.factor.ln() } else { 1.0 };
        Ok(Self {
            dims,
            base: keys.constant("rope.freq_base")?.unwrap_or(DEFAULT_BASE),
            scaling,
            magnitude: yarn * keys.constant("rope.scaling.attn_factor")?.unwrap_or(1.0),
            pairs: if keys.architecture == "llama" { Pairs::Interleaved } else { Pairs::HalfRotated },
        })
    }

    /// Cosine and sine of each pair at `position`; `divisors`, where there are any, divide the pairs' angles.
    pub fn rotation(&self, position: usize, divisors: Option<&[f32]>) -> Vec<(f32, f32)> {
        let base = match self.scaling {
            Scaling::Ntk(factor) => self.base * factor.powf(self.dims as f32 / (self.dims as f32 - 2.0)),
            _ => self.base,
        };
        let step = base.powf(-2.0 / self.dims as f32);
        let mut angle = position as f32;
        let mut pair = |index: usize| {
            let theta = self.scaled(index, angle / divisors.map_or(1.0, |divisors| divisors[index]));
            angle *= step;
            (theta.cos() * self.magnitude, theta.sin() * self.magnitude)
        };
        (0..self.dims / 2).map(&mut pair).collect()
    }

    /// The angle by which a pair turns at any position, in f64 from the definition.
    pub fn angle(&self, position: f64, pair: usize, divisors: Option<&[f32]>) -> f64 {
        let dims = self.dims as f64;
        let base = match self.scaling {
            Scaling::Ntk(factor) => f64::from(self.base) * f64::from(factor).powf(dims / (dims - 2.0)),
            _ => self.base.into(),
        };
        let angle = position * base.powf(-2.0 * pair as f64 / dims) / divisors.map_or(1.0, |divisors| divisors[pair].into());
        match self.scaling {
            Scaling::None | Scaling::Ntk(_) => angle,
            Scaling::Linear(factor) | Scaling::Long { factor, .. } => angle / f64::from(factor),
            Scaling::Yarn(yarn) => {
                let keep = f64::from(self.kept(yarn, pair));
                angle / f64::from(yarn.factor) * (1.0 - keep) + angle * keep
            }
        }
    }

    /// YaRN: the share of pair `index`'s angle that is not divided.
    fn kept(&self, yarn: Yarn, index: usize) -> f32 {
        let turned = |turns: f32| {
            let ratio = yarn.original_context as f32 / (turns * 2.0 * std::f32::consts::PI);
            self.dims as f32 * ratio.ln() / (2.0 * self.base.ln())
        };
        let first = turned(yarn.beta_fast).floor().max(0.0);
        let last = turned(yarn.beta_slow).ceil().min(self.dims as f32 - 1.0);
        1.0 - ((index as f32 - first) / (last - first).max(0.001)).clamp(0.0, 1.0)
    }

    /// The angle of pair `index` that would be `angle` without scaling.
    fn scaled(&self, index: usize, angle: f32) -> f32 {
        match self.scaling {
            Scaling::None | Scaling::Ntk(_) => angle,
            Scaling::Linear(factor) | Scaling::Long { factor, .. } => angle * (1.0 / factor),
            Scaling::Yarn(yarn) => {
                let keep = self.kept(yarn, index);
                angle * (1.0 / yarn.factor) * (1.0 - keep) + angle * keep
            }
        }
    }

    /// Turns the pairs of every head of a row.
    pub fn apply(&self, row: &mut [f32], head_dim: usize, rotation: &[(f32, f32)]) {
        let half = self.dims / 2;
        for head in row.chunks_exact_mut(head_dim) {
            for (index, &(cos, sin)) in rotation.iter().enumerate() {
                let (i, j) = match self.pairs {
                    Pairs::Interleaved => (2 * index, 2 * index + 1),
                    Pairs::HalfRotated => (index, index + half),
                };
                // The compiler of llama.cpp joins the first product and the sum.
                let (a, b) = (head[i], head[j]);
                (head[i], head[j]) = (a.mul_add(cos, -(b * sin)), a.mul_add(sin, b * cos));
            }
        }
    }
}

/// `rope.scaling.*`; without a type a factor means linear scaling.
fn scaling(keys: &Keys<'_, '_>, context: usize) -> Result<Scaling, ModelError> {
    let old = keys.constant("rope.scale_linear")?;
    let factor = keys.constant("rope.scaling.factor")?.or(old).unwrap_or(1.0);
    let key = keys.key("rope.scaling.type");
    let own = Keys { architecture: OWN, ..*keys };
    match keys.file.get_str(&key)?.unwrap_or("linear") {
        "none" => Ok(Scaling::None),
        "linear" if factor == 1.0 => Ok(Scaling::None),
        "linear" => Ok(Scaling::Linear(factor)),
        "longrope" => Ok(Scaling::Long { factor, original_context: keys.size(ORIGINAL_CONTEXT)?.unwrap_or(context) }),
        "ntk" => Ok(Scaling::Ntk(factor)),
        "yarn" => Ok(Scaling::Yarn(Yarn {
            factor,
            original_context: keys.size(ORIGINAL_CONTEXT)?.unwrap_or(context),
            // llama.cpp obeys `rope.scaling.yarn_*` in other architectures only.
            beta_fast: own.constant(YARN_BETAS[0])?.unwrap_or(BETA_FAST),
            beta_slow: own.constant(YARN_BETAS[1])?.unwrap_or(BETA_SLOW),
        })),
        other => {
            let expected = "'none', 'linear', 'ntk', 'yarn' or 'longrope'";
            let remedy = "the nearest supported scaling is 'yarn': use a model of the same family without an extended context";
            let found = format!("'{}'", shown(other));
            Err(ModelError::refused(Refusal::Contradiction, format!("metadata '{key}'"), expected, found, remedy))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope(scaling: Scaling) -> Rope {
        Rope { dims: 64, base: 10000.0, scaling, magnitude: 1.0, pairs: Pairs::Interleaved }
    }

    /// The angle of each pair, in f64 from its definition.
    fn angles(position: f64, base: f64) -> Vec<f64> {
        (0..32).map(|pair| position * base.powf(-2.0 * f64::from(pair) / 64.0)).collect()
    }

    fn assert_angles(rope: &Rope, position: usize, divisors: Option<&[f32]>, expected: &[f64]) {
        for ((cos, sin), angle) in rope.rotation(position, divisors).into_iter().zip(expected) {
            assert!((f64::from(cos) - angle.cos()).abs() < 2e-4 && (f64::from(sin) - angle.sin()).abs() < 2e-4, "{angle}");
        }
    }

    #[test]
    fn angles_follow_their_definitions() {
        assert_angles(&rope(Scaling::None), 100, None, &angles(100.0, 1e4));
        assert_angles(&rope(Scaling::Linear(4.0)), 100, None, &angles(25.0, 1e4));
        assert_angles(&rope(Scaling::Ntk(8.0)), 100, None, &angles(100.0, 1e4 * 8f64.powf(64.0 / 62.0)));
        let divisors: Vec<f32> = (0..32).map(|pair| 1.0 + pair as f32 / 4.0).collect();
        let divided: Vec<f64> = angles(100.0, 1e4).iter().zip(&divisors).map(|(a, &d)| a / f64::from(d)).collect();
        assert_angles(&rope(Scaling::None), 100, Some(&divisors), &divided);
    }

    #[test]
    fn yarn_keeps_fast_pairs_divides_slow_ones_and_mixes_between() {
        let yarn = Yarn { factor: 4.0, original_context: 2048, beta_fast: 32.0, beta_slow: 1.0 };
        // Pair j turns 2048·θ^(-2j/64)/2π times: 32 times at j = 8.06, once at j = 20.1.
        let mixed = |pair: usize, angle: f64| {
            let ramp = ((pair as f64 - 8.0) / (21.0 - 8.0)).clamp(0.0, 1.0);
            angle * (1.0 - ramp) + angle / 4.0 * ramp
        };
        let expected: Vec<f64> = angles(100.0, 1e4).into_iter().enumerate().map(|(pair, angle)| mixed(pair, angle)).collect();
        assert_angles(&rope(Scaling::Yarn(yarn)), 100, None, &expected);
    }

    #[test]
    fn pairs_turn_where_they_stand_and_the_rest_of_a_head_stays() {
        let mut rope = Rope { dims: 4, base: 10000.0, scaling: Scaling::None, magnitude: 1.0, pairs: Pairs::Interleaved };
        let quarter = [(0.0, 1.0), (0.0, 1.0)];
        let mut row = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        rope.apply(&mut row, 6, &quarter);
        assert_eq!(row, [-2.0, 1.0, -4.0, 3.0, 5.0, 6.0]);
        rope.pairs = Pairs::HalfRotated;
        let mut row = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        rope.apply(&mut row, 6, &quarter);
        assert_eq!(row, [-3.0, -4.0, 1.0, 2.0, 5.0, 6.0]);
    }
}
