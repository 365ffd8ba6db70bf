//! `scale_mul`: the product of two Scales (docs/numerics.md section 1), one a cycle, inside other blocks.
//! In: levels `en`, `in_valid`, `in_a`, `in_b`; out: `out_valid`, `out_scale`, `out_sat` after [`LATENCY`] enabled cycles.

use super::{Contract, Port, scale_norm};
use crate::numerics::SCALE_BITS;

/// Enabled cycles from input to output: the product, then `scale_norm`.
pub const LATENCY: u64 = 1 + scale_norm::LATENCY;

/// Parameters of `scale_mul`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// EW: bits of the sum of two exponents inside, 10 or more.
    pub exponent_bits: usize,
}

impl Contract for Params {
    const STEM: &'static str = "scale_mul";

    fn ports(&self) -> Vec<Port> {
        vec![
            Port::clk(),
            Port::rst(),
            Port::level_in("en", 1),
            Port::level_in("in_valid", 1),
            Port::level_in("in_a", SCALE_BITS),
            Port::level_in("in_b", SCALE_BITS),
            Port::level_out("out_valid", 1),
            Port::level_out("out_scale", SCALE_BITS),
            Port::level_out("out_sat", 1),
        ]
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        vec![("EW", self.exponent_bits as i64)]
    }

    fn examples() -> Vec<Self> {
        [10, 12].map(|exponent_bits| Self { exponent_bits }).into()
    }
}
