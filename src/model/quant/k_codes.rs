//! Codes of the K types: blocks of 256 whose groups have integer scales (and minima) of their own. In: a block's bytes.
//! Out: [`Codes`]. In all of them element `128h + 32p + i` (half h, plane p, i below 32) is spread over byte i of a field.

use super::codes::{Codes, GROUPS, read_f16};

/// Q2_K: 16 bytes (scale in the low, minimum in the high half), 64 bytes of four 2-bit planes a half, f16 scale, f16 minimum.
#[inline(always)]
pub(super) fn q2_k(block: &[u8], out: &mut Codes) {
    let (packed, rest) = block.split_at(16);
    let (planes, floats) = rest.split_at(64);
    for (group, &byte) in packed.iter().enumerate() {
        (out.scales[group], out.mins[group]) = ((byte & 15) as i8, byte >> 4);
    }
    two_bit_planes(planes, &mut out.codes);
    (out.scale, out.min) = (read_f16(floats, 0), read_f16(floats, 2));
}

/// Q3_K: 32 bytes of third bits (bit 4h + p of byte i; a bit of 0 subtracts 4), 64 bytes of 2-bit planes as Q2_K, 16 scales
/// of 6 bits in 12 bytes (minus 32), f16 scale.
#[inline(always)]
pub(super) fn q3_k(block: &[u8], out: &mut Codes) {
    let (third, rest) = block.split_at(32);
    let (planes, rest) = rest.split_at(64);
    two_bit_planes(planes, &mut out.codes);
    for (plane, codes) in out.codes.chunks_exact_mut(32).enumerate() {
        for (code, &bits) in codes.iter_mut().zip(third) {
            *code -= (!bits >> plane & 1) as i8 * 4;
        }
    }
    for (group, scale) in out.scales.iter_mut().enumerate() {
        // Low 4 bits: 16 halves of the first 8 bytes, low halves first. High 2 bits: four pairs in each of the last 4 bytes.
        let low = rest[group % 8] >> (group / 8 * 4) & 15;
        let high = rest[8 + group % 4] >> (group / 4 * 2) & 3;
        *scale = (low | high << 4) as i8 - 32;
    }
    out.scale = read_f16(rest, 12);
}

/// Q4_K: f16 scale, f16 minimum, 8 scales and 8 minima of 6 bits in 12 bytes, then for each 64 elements 32 bytes: the
/// first 32 elements in the low halves.
#[inline(always)]
pub(super) fn q4_k(block: &[u8], out: &mut Codes) {
    (out.scale, out.min) = (read_f16(block, 0), read_f16(block, 2));
    six_bit_pairs(&block[4..16], out);
    half_bytes(&block[16..], &mut out.codes);
}

/// Q5_K: as Q4_K with 32 bytes of fifth bits (bit s of byte i is of element 32s + i) before the half bytes.
#[inline(always)]
pub(super) fn q5_k(block: &[u8], out: &mut Codes) {
    (out.scale, out.min) = (read_f16(block, 0), read_f16(block, 2));
    six_bit_pairs(&block[4..16], out);
    let (fifth, halves) = block[16..].split_at(32);
    half_bytes(halves, &mut out.codes);
    for (plane, codes) in out.codes.chunks_exact_mut(32).enumerate() {
        for (code, &bits) in codes.iter_mut().zip(fifth) {
            *code |= ((bits >> plane & 1) << 4) as i8;
        }
    }
}

/// Q6_K: 128 bytes of low 4 bits (a half takes 64: planes 0 and 1 in the low halves, 2 and 3 in the high ones), 64 bytes of
/// high 2 bits as Q2_K's planes, 16 signed scales, f16 scale; code = 6 bits - 32.
#[inline(always)]
pub(super) fn q6_k(block: &[u8], out: &mut Codes) {
    let (low, rest) = block.split_at(128);
    let (high, rest) = rest.split_at(64);
    two_bit_planes(high, &mut out.codes);
    for (half, codes) in out.codes.chunks_exact_mut(128).enumerate() {
        let low = &low[64 * half..64 * half + 64];
        let (first, second) = codes.split_at_mut(64);
        for ((first, second), &byte) in first.iter_mut().zip(second).zip(low) {
            *first = (*first << 4 | (byte & 15) as i8) - 32;
            *second = (*second << 4 | (byte >> 4) as i8) - 32;
        }
    }
    out.scales.iter_mut().zip(rest).for_each(|(scale, &byte)| *scale = byte as i8);
    out.scale = read_f16(rest, GROUPS);
}

/// Bits 2p, 2p + 1 of byte 32h + i are of element 128h + 32p + i.
#[inline(always)]
fn two_bit_planes(bytes: &[u8], codes: &mut [i8; 256]) {
    for (bytes, codes) in bytes.chunks_exact(32).zip(codes.chunks_exact_mut(128)) {
        for (plane, codes) in codes.chunks_exact_mut(32).enumerate() {
            codes.iter_mut().zip(bytes).for_each(|(code, &byte)| *code = (byte >> (2 * plane) & 3) as i8);
        }
    }
}

#[inline(always)]
fn half_bytes(bytes: &[u8], codes: &mut [i8; 256]) {
    for (bytes, codes) in bytes.chunks_exact(32).zip(codes.chunks_exact_mut(64)) {
        let (low, high) = codes.split_at_mut(32);
        for ((low, high), &byte) in low.iter_mut().zip(high).zip(bytes) {
            (*low, *high) = ((byte & 15) as i8, (byte >> 4) as i8);
        }
    }
}

/// Scale and minimum of 8 groups of 32. The first four of each stand in the low 6 bits of bytes 0..4 and 4..8; of the last
/// four the low 4 bits stand in bytes 8..12 (scale low, minimum high), the high 2 bits on top of the first four.
#[inline(always)]
fn six_bit_pairs(packed: &[u8], out: &mut Codes) {
    for group in 0..4 {
        let (a, b, c) = (packed[group], packed[4 + group], packed[8 + group]);
        for (group, scale, min) in [(group, a & 63, b & 63), (4 + group, c & 15 | a >> 6 << 4, c >> 4 | b >> 6 << 4)] {
            out.scales[2 * group..2 * group + 2].fill(scale as i8);
            out.mins[2 * group..2 * group + 2].fill(min);
        }
    }
}
