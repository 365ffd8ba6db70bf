//! `tmac`: the ternary array. In: `cmd` (a phase of rows), `act` (int8 activations of every token), `t` (array words of trits).
//! Out: `sum0`/`sum1` (exact sums, row by row, token by token) and what the last cycle was spent on.

use super::{Contract, Port};
use crate::{bits::clog2, hw::Hw, stream_names};

/// Bits of a sum: |acc| <= 127 · 16384 < 2^21.
pub const SUM_BITS: usize = 22;
/// Levels of the adder tree between two registers.
pub const LEVELS_PER_STAGE: usize = 2;
/// Rows of sums that can be under way or waiting: above the cycles from a place taken to its return ([`Params::latency`] + 2 at
/// 4096 lanes), so that rows of one array word and one token run at one a cycle.
pub const ROWS: usize = 16;

/// Parameters of `tmac`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// Activations along K in an array word, at least 5.
    pub lanes: usize,
    /// Tokens that share the trits, 1..=16.
    pub batch: usize,
    /// Activations an act beat; divides `lanes`.
    pub vec: usize,
    /// Array words of the longest row, at least 2.
    pub depth: usize,
}

impl Params {
    /// Bits of a token index.
    pub fn token_bits(&self) -> usize {
        clog2(self.batch).max(1)
    }

    /// Act beats of an array word.
    pub fn groups(&self) -> usize {
        self.lanes / self.vec
    }

    /// Register stages of the adder tree.
    pub fn stages(&self) -> usize {
        clog2(self.lanes).div_ceil(LEVELS_PER_STAGE)
    }

    /// Cycles from a row's last array word to its first sum on `sum0`/`sum1`, when no older row waits:
    /// lane registers, tree stages, accumulator, buffer.
    pub fn latency(&self) -> u64 {
        1 + self.stages() as u64 + 1 + 1
    }
}

impl From<&Hw> for Params {
    fn from(hw: &Hw) -> Self {
        let longest = hw.shape.dim.max(hw.q_dim());
        let config = &hw.config;
        Self { lanes: config.lanes, batch: config.batch, vec: config.vec, depth: hw.words_per_row(longest).max(2) }
    }
}

impl Contract for Params {
    const STEM: &'static str = "tmac";

    fn ports(&self) -> Vec<Port> {
        let tw = self.token_bits();
        let mut ports = vec![Port::clk(), Port::rst()];
        ports.extend(Port::stream_in(stream_names!("cmd", "acts", "wpr", "rows", "n", "dest"), &[20, 15, 20, tw + 1, 1]));
        ports.extend(Port::stream_in(stream_names!("act", "token", "index", "data"), &[tw, 15, 8 * self.vec]));
        ports.extend(Port::stream_in(stream_names!("t", "trits"), &[2 * self.lanes]));
        ports.extend(Port::stream_out(stream_names!("sum0", "token", "data"), &[tw, SUM_BITS]));
        ports.extend(Port::stream_out(stream_names!("sum1", "token", "data"), &[tw, SUM_BITS]));
        ports.extend(["busy", "wait_w", "wait_act", "wait_out"].map(|name| Port::level_out(name, 1)));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        vec![
            ("LANES", self.lanes as i64),
            ("BATCH", self.batch as i64),
            ("VEC", self.vec as i64),
            ("DEPTH", self.depth as i64),
            ("ROWS", ROWS as i64),
        ]
    }

    fn examples() -> Vec<Self> {
        let of = |lanes, batch, vec, depth| Self { lanes, batch, vec, depth };
        vec![of(80, 4, 4, 4), of(5, 1, 5, 70), of(16, 16, 2, 3), of(40, 3, 1, 2)]
    }
}
