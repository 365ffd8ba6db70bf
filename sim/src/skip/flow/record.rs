//! What reports need of a run: in which cycles each level was high, a bit a cycle.

use super::times::Time;
use crate::{skip::summary::Summary, stats::Cycle};

/// Cycles of a pass at most: levels are kept a bit a cycle, and reports count with 32 bits.
pub const LONGEST_PASS: Time = 1 << 30;

/// A level: bit i is cycle i of the run.
#[derive(Clone, Debug, Default)]
pub struct Level(Vec<u64>);

impl Level {
    /// High from cycle `from` on, up to `end`.
    #[inline(always)]
    fn set(&mut self, from: usize, end: usize) {
        if from >= end {
            return;
        }
        let (first, last) = (from / 64, (end - 1) / 64);
        if last >= self.0.len() {
            self.0.resize((last + 1).max(2 * self.0.len()), 0);
        }
        let (low, high) = (u64::MAX << (from % 64), u64::MAX >> (63 - (end - 1) % 64));
        if first == last {
            self.0[first] |= low & high;
            return;
        }
        self.0[first] |= low;
        self.0[first + 1..last].fill(u64::MAX);
        self.0[last] |= high;
    }

    #[inline(always)]
    fn word(&self, i: usize) -> u64 {
        self.0.get(i).copied().unwrap_or(0)
    }
}

/// Levels of [`Cycle`], in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Busy,
    Weights,
    Activations,
    BackPressure,
    Attn,
    Kv,
}

/// A run.
#[derive(Clone, Debug, Default)]
pub struct Record {
    begin: Time,
    levels: [Level; 6],
}

impl Record {
    /// With room for passes of this many cycles.
    pub fn with_capacity(cycles: usize) -> Self {
        Self { begin: 0, levels: std::array::from_fn(|_| Level(vec![0; cycles.div_ceil(64)])) }
    }

    /// Of a run that begins in this cycle.
    pub fn begin(&mut self, begin: Time) {
        self.begin = begin;
        for level in &mut self.levels {
            level.0.fill(0);
        }
    }

    /// Of a run that began as the one of a shorter record.
    pub fn begin_as(&mut self, other: &Self) {
        self.begin(other.begin);
        for (level, begun) in self.levels.iter_mut().zip(&other.levels) {
            let words = begun.0.len();
            if level.0.len() < words {
                level.0.resize(words, 0);
            }
            level.0[..words].copy_from_slice(&begun.0);
        }
    }

    /// Without the words behind the last level.
    pub fn shortened(&self) -> Self {
        let levels = self.levels.each_ref().map(|level| {
            let words = level.0.iter().rposition(|&w| w != 0).map_or(0, |i| i + 1);
            Level(level.0[..words].to_vec())
        });
        Self { begin: self.begin, levels }
    }

    /// A level is high from cycle `from` on, up to `end`.
    #[inline(always)]
    pub fn high(&mut self, which: Which, from: Time, end: Time) {
        // Streams are open since long before the run.
        let from = from.max(self.begin);
        // Of a pass that is longer there is no report.
        let end = end.min(self.begin + LONGEST_PASS);
        if from < end {
            self.levels[which as usize].set((from - self.begin) as usize, (end - self.begin) as usize);
        }
    }

    /// Puts the levels of the first `cycles` cycles into `summary`, run by run.
    pub fn levels(&self, cycles: usize, summary: &mut Summary) {
        let mut current = Cycle::default();
        let mut since = 0;
        let mut before = [0u64; 6];
        for i in 0..cycles.div_ceil(64) {
            let words: [u64; 6] = std::array::from_fn(|l| self.levels[l].word(i));
            let mut changes = 0;
            for (word, before) in words.iter().zip(&mut before) {
                changes |= word ^ (word << 1 | *before >> 63);
                *before = *word;
            }
            if i == 0 {
                changes |= 1;
            }
            while changes != 0 {
                let bit = changes.trailing_zeros() as usize;
                changes &= changes - 1;
                let at = 64 * i + bit;
                if at >= cycles {
                    break;
                }
                if at > since {
                    summary.levels.push((current, (at - since) as u32));
                }
                let high = |l: Which| words[l as usize] >> bit & 1 != 0;
                current = Cycle {
                    busy: high(Which::Busy),
                    weights: high(Which::Weights),
                    activations: high(Which::Activations),
                    back_pressure: high(Which::BackPressure),
                    attn: high(Which::Attn),
                    kv: high(Which::Kv),
                };
                since = at;
            }
        }
        if cycles > since {
            summary.levels.push((current, (cycles - since) as u32));
        }
    }
}
