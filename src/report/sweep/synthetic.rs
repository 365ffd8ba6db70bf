//! Attention alone on synthetic scores, against f64 on the same scores and the same int8 values.
//!
//! Cases: one peak 0 to 30 nats above the next of normally distributed scores; one sink at position 0 with 50, 90, 99 % of the mass;
//! one-hot. Error of an output element relative to the RMS of the f64 output. Seeded; the same numbers on every machine.

use std::f64::consts::LOG2_E;

use rayon::prelude::*;
use serde::Serialize;
use tritforge_spec::numerics::headq::code_limit;
use tritforge_spec::numerics::softmax::{Softmax, SoftmaxRom, accumulate, output};
use tritforge_spec::numerics::{Scale, head_quantise};
use tritforge_spec::random::Rng;

use super::RomSize;

/// Contexts.
pub const CONTEXTS: [usize; 6] = [256, 512, 1024, 2048, 4096, 8192];
/// Peak gaps, nats.
pub const GAPS: [f64; 9] = [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 20.0, 30.0];
/// Shares of a sink.
pub const SINKS: [f64; 3] = [0.5, 0.9, 0.99];
/// Far enough above all others that nothing of them is left.
const ONE_HOT_GAP: f64 = 200.0;
const HEAD_DIM: usize = 64;
/// Draws a case and context.
const DRAWS: u64 = 3;
/// Fraction bits of V in the output: leaves 32 bits room and rounds far below every ROM.
const FRAC: i32 = 22;

/// One ROM on one case and context.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// ROM.
    #[serde(flatten)]
    pub rom: RomSize,
    /// Case.
    pub case: String,
    /// Positions.
    pub context: usize,
    /// Largest error of an element over the RMS of the f64 output.
    pub worst: f64,
    /// Mean error of an element over the RMS.
    pub mean: f64,
}

/// What storing V at `kv_bits` costs on the same inputs in f64: no ROM in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValueRow {
    /// Bits of a code.
    pub kv_bits: usize,
    /// Mean error of an element over the RMS, over all cases and contexts.
    pub mean: f64,
    /// Largest.
    pub worst: f64,
}

/// How scores are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Case {
    /// A peak this many nats above the next score, anywhere.
    Gap(f64),
    /// Position 0 holds this share of the mass.
    Sink(f64),
    /// One position holds all of it.
    OneHot,
}

impl Case {
    /// All cases.
    pub fn all() -> Vec<Case> {
        let gaps = GAPS.map(Case::Gap);
        gaps.into_iter().chain(SINKS.map(Case::Sink)).chain([Case::OneHot]).collect()
    }

    /// Name in tables.
    pub fn name(self) -> String {
        match self {
            Case::Gap(nats) => format!("gap {nats}"),
            Case::Sink(share) => format!("sink {}%", (share * 100.0).round()),
            Case::OneHot => "one-hot".into(),
        }
    }

    /// Scores in nats.
    fn scores(self, n: usize, rng: &mut Rng) -> Vec<f64> {
        let mut scores: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
        let at = rng.below(n as u64) as usize;
        let top = |scores: &[f64], but: usize| {
            scores.iter().enumerate().filter(|&(i, _)| i != but).fold(f64::NEG_INFINITY, |m, (_, &s)| m.max(s))
        };
        match self {
            Case::Gap(nats) => scores[at] = top(&scores, at) + nats,
            Case::OneHot => scores[at] = top(&scores, at) + ONE_HOT_GAP,
            Case::Sink(share) => {
                let rest: f64 = scores[1..].iter().map(|s| s.exp()).sum();
                scores[0] = (share / (1.0 - share) * rest).ln();
            }
        }
        scores
    }
}

/// One draw: scores, values, and what f64 makes of them.
struct Draw {
    z: Vec<i32>,
    codes: Vec<i8>,
    scales: Vec<Scale>,
    /// f64 over the 8-bit codes' values.
    exact: Vec<f64>,
    /// Error relative to RMS of storing V at 4, 6, 8 bits.
    value_errors: [Vec<f64>; 3],
}

/// KV widths of [`Draw::value_errors`].
const KV: [usize; 3] = [4, 6, 8];

impl Draw {
    fn new(case: Case, n: usize, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let scores = case.scores(n, &mut rng);
        // Rows of different sizes, so that the scales of V differ as they do in a model.
        let values: Vec<f64> = (0..n)
            .flat_map(|_| {
                let size = rng.unit().exp2();
                (0..HEAD_DIM).map(|_| size * rng.normal()).collect::<Vec<_>>()
            })
            .collect();
        let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
        let sum: f64 = powers.iter().sum();
        let mix = |values: &[f64]| {
            let mut out = vec![0f64; HEAD_DIM];
            for (p, row) in powers.iter().zip(values.chunks_exact(HEAD_DIM)) {
                out.iter_mut().zip(row).for_each(|(o, v)| *o += p / sum * v);
            }
            out
        };
        let float = mix(&values);
        let stored = KV.map(|bits| store(&values, bits));
        let value_errors = std::array::from_fn(|i| relative_errors(&mix(&stored[i].2), &float));
        let [_, _, (codes, scales, dequantised)] = stored;
        let z = scores.iter().map(|s| (s * LOG2_E * 4096.0).round_ties_even() as i32).collect();
        Draw { z, codes, scales, exact: mix(&dequantised), value_errors }
    }

    /// Relative errors of the integer attention with this ROM.
    fn run(&self, rom: &SoftmaxRom) -> Vec<f64> {
        let mut state = Softmax::default();
        let mut acc = [0i64; HEAD_DIM];
        for ((&z, codes), &scale) in self.z.iter().zip(self.codes.chunks_exact(HEAD_DIM)).zip(&self.scales) {
            let weight = state.step(rom, z, scale);
            for (acc, &v) in acc.iter_mut().zip(codes) {
                *acc = accumulate(*acc, weight, v);
            }
        }
        let reciprocal = state.finish();
        let found: Vec<f64> = acc.iter().map(|&acc| f64::from(output(acc, reciprocal).0) * f64::from(-FRAC).exp2()).collect();
        relative_errors(&found, &self.exact)
    }
}

/// Codes, Scales (2^FRAC in them) and the values they stand for.
fn store(values: &[f64], bits: usize) -> (Vec<i8>, Vec<Scale>, Vec<f64>) {
    let limit = code_limit(bits);
    let (mut codes, mut scales, mut out) = (vec![0i8; values.len()], Vec::new(), Vec::with_capacity(values.len()));
    for (row, codes) in values.chunks_exact(HEAD_DIM).zip(codes.chunks_exact_mut(HEAD_DIM)) {
        let r: Vec<i64> = row.iter().map(|v| (v * 2f64.powi(30)).round() as i64).collect();
        let a = head_quantise(&r, limit, codes);
        let scale = Scale::of(a as f64 * f64::from(FRAC - 30).exp2() / f64::from(limit));
        out.extend(codes.iter().map(|&c| f64::from(c) * scale.value() * f64::from(-FRAC).exp2()));
        scales.push(scale);
    }
    (codes, scales, out)
}

fn relative_errors(found: &[f64], exact: &[f64]) -> Vec<f64> {
    let rms = (exact.iter().map(|v| v * v).sum::<f64>() / exact.len() as f64).sqrt();
    found.iter().zip(exact).map(|(f, e)| (f - e).abs() / rms).collect()
}

/// Worst and sum of errors.
#[derive(Clone, Copy, Default)]
struct Total {
    worst: f64,
    sum: f64,
    count: usize,
}

impl Total {
    fn add(mut self, errors: &[f64]) -> Self {
        self.worst = errors.iter().copied().fold(self.worst, f64::max);
        self.sum += errors.iter().sum::<f64>();
        self.count += errors.len();
        self
    }

    fn mean(self) -> f64 {
        self.sum / self.count as f64
    }
}

/// Runs every ROM over every case and context; `tick` once a case and context, [`steps`] times in all.
pub fn run(roms: &[RomSize], contexts: &[usize], seed: u64, tick: &(impl Fn() + Sync)) -> (Vec<Row>, Vec<ValueRow>) {
    let tables: Vec<SoftmaxRom> = roms.iter().map(|r| SoftmaxRom::new(r.log2, r.bits)).collect();
    let places: Vec<(usize, Case, usize)> =
        Case::all().into_iter().enumerate().flat_map(|(i, case)| contexts.iter().map(move |&n| (i, case, n))).collect();
    let found: Vec<(Vec<Row>, [Total; 3])> = places
        .par_iter()
        .map(|&(index, case, n)| {
            let draws: Vec<Draw> = (0..DRAWS).map(|d| Draw::new(case, n, seed ^ (index as u64) << 32 ^ (n as u64) << 8 ^ d)).collect();
            let rows = roms.iter().zip(&tables).map(|(&rom, table)| {
                let total = draws.iter().fold(Total::default(), |total, draw| total.add(&draw.run(table)));
                Row { rom, case: case.name(), context: n, worst: total.worst, mean: total.mean() }
            });
            let rows = rows.collect();
            let values = std::array::from_fn(|i| draws.iter().fold(Total::default(), |total, d| total.add(&d.value_errors[i])));
            tick();
            (rows, values)
        })
        .collect();
    let values = KV.iter().enumerate().map(|(i, &kv_bits)| {
        let (mut sum, mut count, mut worst) = (0.0, 0, 0f64);
        for (_, totals) in &found {
            sum += totals[i].sum;
            count += totals[i].count;
            worst = worst.max(totals[i].worst);
        }
        ValueRow { kv_bits, mean: sum / count as f64, worst }
    });
    let values = values.collect();
    (found.into_iter().flat_map(|(rows, _)| rows).collect(), values)
}

/// Ticks of [`run`].
pub fn steps(contexts: &[usize]) -> u64 {
    (Case::all().len() * contexts.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_rom_follows_f64_and_the_smallest_does_not() {
        let roms = [RomSize { log2: 2, bits: 4 }, RomSize { log2: 12, bits: 23 }];
        let (rows, values) = run(&roms, &[256, 1024], 1, &|| ());
        let worst = |rom| rows.iter().filter(|r| r.rom == rom).map(|r| r.worst).fold(0.0, f64::max);
        assert!(worst(roms[1]) < 1e-3, "{}", worst(roms[1]));
        assert!(worst(roms[0]) > 0.03, "{}", worst(roms[0]));
        assert_eq!(values.iter().map(|v| v.kv_bits).collect::<Vec<_>>(), [4, 6, 8]);
        assert!(values[0].mean > 10.0 * values[2].mean);
        assert_eq!(run(&roms, &[256], 1, &|| ()), run(&roms, &[256], 1, &|| ()), "seeded");
    }

    #[test]
    fn one_hot_returns_the_value_itself_for_every_rom() {
        let (rows, _) = run(&[RomSize { log2: 2, bits: 4 }], &[256], 2, &|| ());
        let row = rows.iter().find(|r| r.case == "one-hot").unwrap();
        assert!(row.worst < 2e-5, "{row:?}");
    }

    #[test]
    fn a_sink_holds_its_share() {
        for share in SINKS {
            let scores = Case::Sink(share).scores(500, &mut Rng::new(3));
            let sum: f64 = scores.iter().map(|s| s.exp()).sum();
            assert!((scores[0].exp() / sum - share).abs() < 1e-12);
        }
    }
}
