//! Blocks of 32 from numbers: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0. In: 32 finite values. Out: the block, and whether its scale (and offset) fit f16.
//! The layouts are those that `codes.rs` reads. Codes are taken with the scale in f32; only the scale that is stored is rounded.

use super::{inverse, largest, put_f16, round};

/// Scale: the element of largest magnitude becomes code -8.
pub(super) fn q4_0(x: &[f32; 32], out: &mut [u8]) -> bool {
    let (codes, fits) = symmetric(x, 8, out);
    nibbles(&codes, &mut out[2..]);
    fits
}

/// Scale and offset: the least element becomes code 0, the largest 15.
pub(super) fn q4_1(x: &[f32; 32], out: &mut [u8]) -> bool {
    let (codes, fits) = with_offset(x, 15, out);
    nibbles(&codes, &mut out[4..]);
    fits
}

/// Scale: the element of largest magnitude becomes code -16.
pub(super) fn q5_0(x: &[f32; 32], out: &mut [u8]) -> bool {
    let (codes, fits) = symmetric(x, 16, out);
    fifth_bits(&codes, &mut out[2..6]);
    nibbles(&codes, &mut out[6..]);
    fits
}

/// Scale and offset: the least element becomes code 0, the largest 31.
pub(super) fn q5_1(x: &[f32; 32], out: &mut [u8]) -> bool {
    let (codes, fits) = with_offset(x, 31, out);
    fifth_bits(&codes, &mut out[4..8]);
    nibbles(&codes, &mut out[8..]);
    fits
}

/// Scale: the largest magnitude becomes 127; halves are rounded away from 0.
pub(super) fn q8_0(x: &[f32; 32], out: &mut [u8]) -> bool {
    let scale = largest(x).1.abs() / 127.0;
    let steps = inverse(scale);
    for (code, x) in out[2..].iter_mut().zip(x) {
        *code = round(x * steps) as u8;
    }
    put_f16(out, scale).1
}

/// Codes from 0 to 2·half - 1 around `half`, by rounding up after a shift; the scale goes to the block's first bytes.
fn symmetric(x: &[f32; 32], half: u8, out: &mut [u8]) -> ([u8; 32], bool) {
    let scale = largest(x).1 / -f32::from(half);
    let (steps, middle) = (inverse(scale), f32::from(half) + 0.5);
    let codes = x.map(|x| ((x * steps + middle) as u8).min(2 * half - 1));
    (codes, put_f16(out, scale).1)
}

/// Codes from 0 to `most` above the least element; scale and offset go to the block's first bytes.
fn with_offset(x: &[f32; 32], most: u8, out: &mut [u8]) -> ([u8; 32], bool) {
    let (least, greatest) = x.iter().fold((x[0], x[0]), |(low, high), &x| (if x < low { x } else { low }, if x > high { x } else { high }));
    let scale = (greatest - least) / f32::from(most);
    let steps = inverse(scale);
    let codes = x.map(|x| (((x - least) * steps + 0.5) as u8).min(most));
    (codes, put_f16(out, scale).1 & put_f16(&mut out[2..], least).1)
}

/// The low 4 bits: element i in the low, element 16 + i in the high half of byte i.
fn nibbles(codes: &[u8; 32], out: &mut [u8]) {
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = codes[i] & 15 | codes[16 + i] << 4;
    }
}

/// Bit i is the fifth bit of element i.
fn fifth_bits(codes: &[u8; 32], out: &mut [u8]) {
    let bits = codes.iter().rev().fold(0, |bits: u32, code| bits << 1 | u32::from(code >> 4));
    out.copy_from_slice(&bits.to_le_bytes());
}
