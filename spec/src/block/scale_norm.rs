//! `scale_norm`: the Scale of an integer, `norm(v, e)` of docs/numerics.md section 1, one a cycle, inside other blocks.
//! In: levels `en`, `in_valid`, `in_v`, `in_e`; out: `out_valid`, `out_scale`, `out_sat` after [`LATENCY`] enabled cycles.

use super::{Contract, Port};
use crate::numerics::SCALE_BITS;

/// Enabled cycles from input to output: two of normalising, one of rounding.
pub const LATENCY: u64 = 3;

/// Parameters of `scale_norm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// VW: bits of v, 17 or more.
    pub value_bits: usize,
    /// EW: bits of e, so that e + value_bits does not overflow.
    pub exponent_bits: usize,
}

impl Contract for Params {
    const STEM: &'static str = "scale_norm";

    fn ports(&self) -> Vec<Port> {
        vec![
            Port::clk(),
            Port::rst(),
            Port::level_in("en", 1),
            Port::level_in("in_valid", 1),
            Port::level_in("in_v", self.value_bits),
            Port::level_in("in_e", self.exponent_bits),
            Port::level_out("out_valid", 1),
            Port::level_out("out_scale", SCALE_BITS),
            Port::level_out("out_sat", 1),
        ]
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        vec![("VW", self.value_bits as i64), ("EW", self.exponent_bits as i64)]
    }

    fn examples() -> Vec<Self> {
        [(17, 10), (32, 12), (47, 12), (48, 12), (64, 12)].map(|(value_bits, exponent_bits)| Self { value_bits, exponent_bits }).into()
    }
}
