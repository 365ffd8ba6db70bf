//! `attn_out`: accumulators of a head group to attention outputs with the reciprocal of their sum (docs/numerics.md, 5).
//! In: `sum` S of the G heads and E, `acc` their accumulators, query head by query head; out: `o`, Fo fraction bits;
//! levels `sat` (an output saturated since reset) and `sat_inc` (outputs that saturated in one cycle).

use super::{Contract, Port, attn::ACC_BITS, softmax::SUM_BITS};
use crate::{bits::clog2, hw::Hw, stream_names};

/// Bits of an output.
pub const OUT_BITS: usize = 32;
/// Beats that the output fifo holds; also the beats that may be inside, so nothing inside ever waits.
pub const FIFO_DEPTH: usize = 8;
/// Stages: partial products, product, shift, round and saturate.
pub const STAGES: usize = 4;
/// Cycles from an accepted beat of `acc` to its `o_valid` when nothing waits: skid, stages, fifo.
pub const LATENCY: u64 = 1 + STAGES as u64 + 1;
/// Cycles of one head's reciprocal: load, length, normalise, round, 19 quotient bits, hand over.
pub const RECIPROCAL_CYCLES: u64 = 4 + 19 + 1;
/// Cycles from an accepted `sum` to the earliest issue of a beat of its first head: skid, reciprocal (its fifo included).
pub const RECIPROCAL_LATENCY: u64 = 1 + RECIPROCAL_CYCLES;

/// Parameters of `attn_out`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// G: query heads of a KV head.
    pub group: usize,
    /// HD: a multiple of 16, at least 32.
    pub head_dim: usize,
    /// Elements a beat: 1, 2, 4, 8, 16.
    pub vec: usize,
}

impl From<&Hw> for Params {
    fn from(hw: &Hw) -> Self {
        Self { group: hw.group(), head_dim: hw.shape.head_dim, vec: hw.config.vec }
    }
}

impl Params {
    /// Reciprocals that wait: those of a group.
    pub fn reciprocals(&self) -> usize {
        self.group.max(2)
    }
    /// Bits of `sat_inc`, which counts to VEC.
    pub fn sat_bits(&self) -> usize {
        clog2(self.vec + 1)
    }
}

impl Contract for Params {
    const STEM: &'static str = "attn_out";

    fn ports(&self) -> Vec<Port> {
        let mut ports = vec![Port::clk(), Port::rst()];
        ports.extend(Port::stream_in(stream_names!("sum", "s", "e"), &[SUM_BITS * self.group, 8]));
        ports.extend(Port::stream_in(stream_names!("acc", "data"), &[ACC_BITS * self.vec]));
        ports.extend(Port::stream_out(stream_names!("o", "data"), &[OUT_BITS * self.vec]));
        ports.push(Port::level_out("sat", 1));
        ports.push(Port::level_out("sat_inc", self.sat_bits()));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        vec![("G", self.group as i64), ("HD", self.head_dim as i64), ("VEC", self.vec as i64)]
    }

    fn examples() -> Vec<Self> {
        [(1, 64, 1), (4, 128, 4), (5, 80, 4), (2, 32, 16)].map(|(group, head_dim, vec)| Self { group, head_dim, vec }).into()
    }
}
