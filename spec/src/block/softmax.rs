//! `softmax`: scores to weights of V, streaming base-2 softmax of the G query heads of a group side by side (docs/numerics.md, 5).
//! In: `score`, a position of all G heads; out: `p` for every position, `sum` after the last position of a head;
//! levels `sat` (a score saturated since reset) and `sat_inc` (scores that saturated in one cycle).

use super::{Contract, Port, RomFile};
pub use crate::numerics::SCALE_BITS;
use crate::{bits::clog2, hw::Hw, rom, stream_names};

/// Bits of a dot product q·k, of the weight of V, of the accumulators' shift, of the sum of p.
pub const DOT_BITS: usize = 22;
pub const WEIGHT_BITS: usize = 25;
pub const SHIFT_BITS: usize = 6;
pub const SUM_BITS: usize = 40;

/// Words that the fifo of `p` holds; also the positions that may be inside, so nothing inside ever waits.
/// A KV block's 16 positions: the engine sends all of them before it takes the first weight.
pub const FIFO_DEPTH: usize = 16;
/// Words that the fifo of `sum` holds, and heads whose last position may be inside.
pub const SUM_DEPTH: usize = 2;
/// Cycles between the skid and the fifo of `p`: k scale, q scale, product, shift, z, ceil, maximum, exponent and ROM, p, S and p·m_v, w.
pub const STAGES: usize = 11;
/// The stage that counts saturations (z) and the one that completes S.
pub const SAT_STAGE: usize = 5;
pub const SUM_STAGE: usize = 10;
/// Cycles from an accepted score to its `p_valid` when nothing waits: skid, stages, fifo.
pub const LATENCY: u64 = 1 + STAGES as u64 + 1;
/// Cycles from the accepted last score of a head to `sum_valid`: S is complete one stage before w.
pub const SUM_LATENCY: u64 = 1 + SUM_STAGE as u64 + 1;

/// Parameters of `softmax`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// G, query heads side by side, at least 1.
    pub group: usize,
    /// log2 of the ROM's entries, 2..=12.
    pub rom_log2: u32,
    /// Bits of a ROM entry, 4..=23.
    pub rom_bits: u32,
}

impl From<&Hw> for Params {
    fn from(hw: &Hw) -> Self {
        Self { group: hw.group(), rom_log2: hw.config.rom_log2, rom_bits: hw.config.rom_bits }
    }
}

impl Params {
    /// Bits of `sat_inc`, which counts to G.
    pub fn sat_bits(&self) -> usize {
        clog2(self.group + 1)
    }
}

impl Contract for Params {
    const STEM: &'static str = "softmax";

    fn ports(&self) -> Vec<Port> {
        let g = self.group;
        let mut ports = vec![Port::clk(), Port::rst()];
        let score = stream_names!("score", "dot", "sq", "sk", "sv", "first", "last");
        ports.extend(Port::stream_in(score, &[DOT_BITS * g, SCALE_BITS * g, SCALE_BITS, SCALE_BITS, 1, 1]));
        ports.extend(Port::stream_out(stream_names!("p", "w", "sh"), &[WEIGHT_BITS * g, SHIFT_BITS * g]));
        ports.extend(Port::stream_out(stream_names!("sum", "s", "e"), &[SUM_BITS * g, 8]));
        ports.push(Port::level_out("sat", 1));
        ports.push(Port::level_out("sat_inc", self.sat_bits()));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        vec![("G", self.group as i64), ("ROM_LOG2", self.rom_log2.into()), ("ROM_BITS", self.rom_bits.into())]
    }

    fn roms(&self) -> Vec<RomFile> {
        let file = format!("exp2_{}x{}.hex", 1u32 << self.rom_log2, self.rom_bits);
        vec![RomFile::of("ROM_FILE", file, &rom::softmax_rom(self.rom_log2, self.rom_bits))]
    }

    fn examples() -> Vec<Self> {
        [(1, 8, 15), (4, 12, 23), (5, 2, 4), (2, 6, 10)].map(|(group, rom_log2, rom_bits)| Self { group, rom_log2, rom_bits }).into()
    }
}
