//! `rhe_div`: signed codes `sign · rhe(QMAX·mag, a)` of a vector (docs/numerics.md section 2), LANES a cycle, inside other blocks.
//! In: levels `en`, `in_valid`, `in_mag`, `in_neg`, `in_a`, `in_tag`; out: `out_valid`, `out_q`, `out_tag` after [`latency`] enabled
//! cycles.

use super::{Contract, Port};
use crate::bits::clog2;

/// Enabled cycles from input to output: numerator 1, one a bit of the quotient, comparison 1, rounding 1.
pub const fn latency(qmax: usize) -> u64 {
    clog2(qmax + 1) as u64 + 3
}

/// Parameters of `rhe_div`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// W: bits of a magnitude and of a.
    pub mag_bits: usize,
    /// QMAX: the code of the largest magnitude, 2^n − 1 (127, 31 or 7).
    pub qmax: usize,
    /// LANES: elements a cycle.
    pub lanes: usize,
    /// TAG: bits of the tag that travels along.
    pub tag_bits: usize,
}

impl Params {
    /// QW: bits of a code.
    pub fn code_bits(&self) -> usize {
        clog2(self.qmax + 1) + 1
    }
}

impl Contract for Params {
    const STEM: &'static str = "rhe_div";

    fn ports(&self) -> Vec<Port> {
        vec![
            Port::clk(),
            Port::rst(),
            Port::level_in("en", 1),
            Port::level_in("in_valid", 1),
            Port::level_in("in_mag", self.lanes * self.mag_bits),
            Port::level_in("in_neg", self.lanes),
            Port::level_in("in_a", self.mag_bits),
            Port::level_in("in_tag", self.tag_bits),
            Port::level_out("out_valid", 1),
            Port::level_out("out_q", self.lanes * self.code_bits()),
            Port::level_out("out_tag", self.tag_bits),
        ]
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        vec![("W", self.mag_bits as i64), ("QMAX", self.qmax as i64), ("LANES", self.lanes as i64), ("TAG", self.tag_bits as i64)]
    }

    fn examples() -> Vec<Self> {
        [(47, 127, 1, 1), (47, 127, 4, 17), (38, 31, 2, 9), (38, 7, 3, 5)]
            .map(|(mag_bits, qmax, lanes, tag_bits)| Self { mag_bits, qmax, lanes, tag_bits })
            .into()
    }
}
