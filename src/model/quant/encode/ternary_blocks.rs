//! Ternary blocks from numbers. In: the values of one block. Out: the block with the largest magnitude as its scale and every value rounded to
//! -1, 0, 1 times it (a half away from 0), and whether that scale fits f16. Values that are ternary stay as they are, but for the scale's rounding.

use half::f16;

use super::{inverse, largest, round};
use crate::model::gguf::blocks::{TRITS_A_BLOCK, to_i2_s, to_tq1_0, to_tq2_0};

pub(super) fn tq1_0(x: &[f32; TRITS_A_BLOCK], out: &mut [u8]) -> bool {
    let (trits, scale) = rounded(x);
    to_tq1_0(&trits, scale, out);
    scale.is_finite()
}

pub(super) fn tq2_0(x: &[f32; TRITS_A_BLOCK], out: &mut [u8]) -> bool {
    let (trits, scale) = rounded(x);
    to_tq2_0(&trits, scale, out);
    scale.is_finite()
}

/// The signs alone.
pub(super) fn i2_s(x: &[f32; 128], out: &mut [u8]) -> bool {
    to_i2_s(&x.map(|x| i8::from(x > 0.0) - i8::from(x < 0.0)), out);
    true
}

fn rounded(x: &[f32; TRITS_A_BLOCK]) -> ([i8; TRITS_A_BLOCK], f16) {
    let scale = largest(x).1.abs();
    let steps = inverse(scale);
    // The inverse of a scale below f32's normal range is infinite.
    (x.map(|x| round(x * steps).clamp(-1, 1) as i8), f16::from_f32(scale))
}
