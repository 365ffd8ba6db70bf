//! Activations in the form that a quantised weight is multiplied with, as llama.cpp's CPU back end makes it before each
//! product. In: one row of f32. Out: int8 codes with a scale a block of 32 or 256, or a row.
//!
//! Rounding follows the x86 code: nearest, ties to even; the reciprocal is `127 / absmax`, not `1 / (absmax / 127)`.

use half::f16;

use super::codes::GROUP;

/// Largest code.
const CODE_ONE: f32 = 127.0;
/// bitnet.cpp takes the largest magnitude of a row as at least this.
const ABSMAX_FLOOR: f32 = 1e-5;

/// A row in blocks of 32: what ggml calls Q8_0 and, with `sums`, Q8_1.
#[derive(Debug, Clone, PartialEq)]
pub struct Q8Block32 {
    /// Codes of the row.
    pub codes: Vec<i8>,
    /// Value of code 1, a block; an f16.
    pub scales: Vec<f32>,
    /// Sum of the block's codes times its scale before that was rounded; an f16. Used for weights with an offset.
    pub sums: Vec<f32>,
}

/// A row in blocks of 256: what ggml calls Q8_K.
#[derive(Debug, Clone, PartialEq)]
pub struct Q8Block256 {
    /// Codes of the row.
    pub codes: Vec<i8>,
    /// Value of code 1, a block.
    pub scales: Vec<f32>,
    /// Sum of codes, a group of 16.
    pub group_sums: Vec<i16>,
}

/// A whole row with one scale: bitnet.cpp's activations for I2_S.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Q8Row {
    pub(super) codes: Vec<i8>,
    /// Codes a unit of value (the reciprocal of a scale).
    pub(super) reciprocal: f32,
}

fn absmax(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |most, v| most.max(v.abs()))
}

fn code(x: f32) -> i8 {
    // `as` clamps to -128..127 and takes NaN as 0.
    x.round_ties_even() as i8
}

fn round_f16(x: f32) -> f32 {
    f16::from_f32(x).to_f32()
}

impl Q8Block32 {
    /// Quantises a row of a multiple of 32 elements.
    pub fn of(x: &[f32]) -> Self {
        let mut out = Self { codes: Vec::with_capacity(x.len()), scales: Vec::new(), sums: Vec::new() };
        for block in x.chunks_exact(32) {
            let most = absmax(block);
            let (scale, reciprocal) = (most / CODE_ONE, if most == 0.0 { 0.0 } else { CODE_ONE / most });
            let first = out.codes.len();
            out.codes.extend(block.iter().map(|v| code(v * reciprocal)));
            let sum: i32 = out.codes[first..].iter().map(|&code| i32::from(code)).sum();
            out.scales.push(round_f16(scale));
            out.sums.push(round_f16(scale * sum as f32));
        }
        out
    }
}

impl Q8Block256 {
    /// Quantises a row of a multiple of 256 elements. The element of largest magnitude (the first of them) becomes -127, so
    /// a scale may be negative.
    pub fn of(x: &[f32]) -> Self {
        let mut out = Self { codes: Vec::with_capacity(x.len()), scales: Vec::new(), group_sums: Vec::new() };
        for block in x.chunks_exact(256) {
            let most = block.iter().fold(0.0f32, |most, &v| if v.abs() > most.abs() { v } else { most });
            let reciprocal = if most == 0.0 { 0.0 } else { -CODE_ONE / most };
            // Rounded once: the compiler of the x86 code joins this product and the addition that rounds it.
            let code = |&v: &f32| (v * reciprocal).round_ties_even() as i8;
            out.codes.extend(block.iter().map(code));
            out.scales.push(if most == 0.0 { 0.0 } else { 1.0 / reciprocal });
        }
        let sum = |group: &[i8]| group.iter().map(|&code| i16::from(code)).sum();
        out.group_sums = out.codes.chunks_exact(GROUP).map(sum).collect();
        out
    }
}

impl Q8Row {
    pub(super) fn of(x: &[f32]) -> Self {
        let reciprocal = CODE_ONE / absmax(x).max(ABSMAX_FLOOR);
        Self { codes: x.iter().map(|v| code(v * reciprocal)).collect(), reciprocal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_32_round_ties_to_even_and_keep_f16_scales() {
        let mut x = vec![0.0; 64];
        (x[0], x[1], x[2], x[3], x[33]) = (127.0, 0.5, 1.5, -2.5, -1e-3);
        let row = Q8Block32::of(&x);
        assert_eq!(&row.codes[..4], [127, 0, 2, -2]);
        assert_eq!((row.scales[0], row.sums[0]), (1.0, 127.0));
        assert_eq!((row.codes[33], row.codes[32]), (-127, 0));
        assert_eq!(row.scales[1], round_f16(1e-3 / 127.0));
        assert_eq!(Q8Block32::of(&[0.0; 32]), Q8Block32 { codes: vec![0; 32], scales: vec![0.0], sums: vec![0.0] });
    }

    #[test]
    fn blocks_of_256_give_the_first_largest_element_code_minus_127() {
        let mut x = vec![0.0; 256];
        (x[5], x[6], x[40]) = (2.0, -2.0, 1.0);
        let row = Q8Block256::of(&x);
        assert_eq!((row.codes[5], row.codes[6], row.codes[40]), (-127, 127, -64), "63.5 to even");
        assert_eq!(row.scales, [1.0 / (-127.0 / 2.0)]);
        assert_eq!((row.group_sums[0], row.group_sums[2]), (0, -64));
    }
}
