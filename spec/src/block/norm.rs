//! `norm`: RMSNorm and absmax int8 (docs/numerics.md section 2) for the tokens of a pass, VEC elements a cycle.
//! In: streams `cmd`, `gain` (super-words), `x0`/`x1` (groups); out: `act` (codes), `s0`/`s1` (a Scale a token), saturation levels.

use super::{Contract, Port, ctrl::EPS_BITS, rhe_div, scale_mul, scale_norm};
use crate::{bits::clog2, hw::Hw, numerics::SCALE_BITS, stream_names};

/// Codes under way between a read of memory and the reader of `act`; more than the round trip, so that no cycle is lost.
pub const ACT_CREDITS: usize = 32;
/// Cycles from a beat's issue to the magnitudes of u: read 1, choice 1, product 3, magnitude 1.
pub const PRODUCT_LATENCY: u64 = 6;
/// Cycles from the start of a token's scale to its mantissa product entering `scale_norm`: T 1, alignment 2, root 17, division 19,
/// product 2.
pub const SCALE_TO_NORM: u64 = 41;
/// Cycles from the start of a token's scale to the scale.
pub const SCALE_LATENCY: u64 = SCALE_TO_NORM + scale_norm::LATENCY + scale_mul::LATENCY;

/// Parameters of `norm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// W: bits of a super-word, a multiple of 32·vec.
    pub word_bits: usize,
    /// VEC: elements a cycle, a power of two.
    pub vec: usize,
    /// TW: bits of a token index.
    pub token_bits: usize,
    /// BATCH: tokens a pass.
    pub batch: usize,
    /// K: elements of the longest vector, a multiple of `vec`.
    pub max_len: usize,
}

impl Params {
    /// Cycles from a vector's last accepted beat to its statistics being written: products, tree, accumulation.
    pub fn stat_latency(&self) -> u64 {
        PRODUCT_LATENCY + clog2(self.vec) as u64 + 1
    }

    /// Cycles from a code's issue to the output FIFO's input.
    pub fn code_latency(&self) -> u64 {
        PRODUCT_LATENCY + rhe_div::latency(127)
    }
}

impl From<&Hw> for Params {
    fn from(hw: &Hw) -> Self {
        Self {
            word_bits: hw.word_bits(),
            vec: hw.config.vec,
            token_bits: hw.token_bits(),
            batch: hw.config.batch,
            max_len: hw.shape.dim.max(hw.q_dim()),
        }
    }
}

impl Contract for Params {
    const STEM: &'static str = "norm";

    fn ports(&self) -> Vec<Port> {
        let (tw, group) = (self.token_bits, 32 * self.vec);
        let mut ports = vec![Port::clk(), Port::rst()];
        let cmd = stream_names!("cmd", "groups", "n", "src", "dest", "eps", "c");
        ports.extend(Port::stream_in(cmd, &[15, tw + 1, 1, 1, EPS_BITS, SCALE_BITS]));
        ports.extend(Port::stream_in(stream_names!("gain", "data"), &[self.word_bits]));
        ports.extend(Port::stream_in(stream_names!("x0", "data"), &[group]));
        ports.extend(Port::stream_in(stream_names!("x1", "data"), &[group]));
        ports.extend(Port::stream_out(stream_names!("act", "token", "index", "data"), &[tw, 15, 8 * self.vec]));
        ports.extend(Port::stream_out(stream_names!("s0", "token", "scale"), &[tw, SCALE_BITS]));
        ports.extend(Port::stream_out(stream_names!("s1", "token", "scale"), &[tw, SCALE_BITS]));
        ports.push(Port::level_out("sat", 1));
        ports.push(Port::level_out("sat_inc", 1));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        vec![
            ("W", self.word_bits as i64),
            ("VEC", self.vec as i64),
            ("TW", self.token_bits as i64),
            ("BATCH", self.batch as i64),
            ("K", self.max_len as i64),
        ]
    }

    fn examples() -> Vec<Self> {
        [(32, 1, 1, 1, 48), (128, 4, 2, 3, 80), (192, 2, 3, 5, 64), (512, 16, 4, 16, 96)]
            .map(|(word_bits, vec, token_bits, batch, max_len)| Self { word_bits, vec, token_bits, batch, max_len })
            .into()
    }
}
