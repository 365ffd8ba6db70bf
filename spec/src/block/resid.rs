//! `resid`: the scaled residual add (docs/numerics.md section 6) for the tokens of a pass.
//! In: streams `cmd`, `x` (groups), `s` (a Scale a token), `sum` (row by row, token by token), level `co`; out: `y` (groups),
//! saturation levels.

use super::{Contract, Port};
use crate::{hw::Hw, numerics::SCALE_BITS, stream_names};

/// Cycles from a sum that leaves its skid to its element written: read 1, choice 1, product 1, shift 2, clamp 1, round 1, add 1, write 1.
pub const SUM_LATENCY: u64 = 9;
/// Groups under way between the memory and the reader of `y`.
pub const OUT_CREDITS: usize = 4;

/// Parameters of `resid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// VEC: elements of a group, a power of two.
    pub vec: usize,
    /// TW: bits of a token index.
    pub token_bits: usize,
    /// BATCH: tokens a pass.
    pub batch: usize,
    /// D: elements of a vector, a multiple of `vec`.
    pub dim: usize,
}

impl From<&Hw> for Params {
    fn from(hw: &Hw) -> Self {
        Self { vec: hw.config.vec, token_bits: hw.token_bits(), batch: hw.config.batch, dim: hw.shape.dim }
    }
}

impl Contract for Params {
    const STEM: &'static str = "resid";

    fn ports(&self) -> Vec<Port> {
        let (tw, group) = (self.token_bits, 32 * self.vec);
        let mut ports = vec![Port::clk(), Port::rst()];
        ports.extend(Port::stream_in(stream_names!("cmd", "n"), &[tw + 1]));
        ports.extend(Port::stream_in(stream_names!("x", "data"), &[group]));
        ports.extend(Port::stream_in(stream_names!("s", "token", "scale"), &[tw, SCALE_BITS]));
        ports.extend(Port::stream_in(stream_names!("sum", "token", "data"), &[tw, 22]));
        ports.extend(Port::stream_out(stream_names!("y", "data"), &[group]));
        ports.push(Port::level_in("co", SCALE_BITS));
        ports.push(Port::level_out("sat", 1));
        ports.push(Port::level_out("sat_inc", 2));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        vec![("VEC", self.vec as i64), ("TW", self.token_bits as i64), ("BATCH", self.batch as i64), ("D", self.dim as i64)]
    }

    fn examples() -> Vec<Self> {
        [(1, 1, 1, 48), (4, 2, 3, 32), (8, 3, 8, 16), (16, 4, 16, 32)]
            .map(|(vec, token_bits, batch, dim)| Self { vec, token_bits, batch, dim })
            .into()
    }
}
