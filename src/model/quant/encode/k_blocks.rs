//! Blocks of 256 from numbers: Q2_K to Q6_K. In: 256 finite values. Out: the block, and whether its float scales fit f16. The layouts are those that
//! `k_codes.rs` reads. A search gives each group its scale (and minimum); these are rounded to integers of one float scale, and the codes taken
//! again with what they then stand for. A group whose scale is rounded to 0 keeps the codes of its search.

use super::put_f16;
use super::search::{Candidates, nearest, symmetric, three_bits, with_minimum};
use crate::model::quant::codes::GROUP;

const ELEMENTS: usize = 256;
const GROUPS: usize = ELEMENTS / GROUP;
/// Q4_K and Q5_K: groups of 32.
const WIDE: usize = 32;
const WIDE_GROUPS: usize = ELEMENTS / WIDE;
/// Q6_K: a block whose largest scale is below this is taken as zeros.
const NOTHING: f32 = 1e-15;

type Codes = [u8; ELEMENTS];

pub(super) fn q2_k(x: &[f32; ELEMENTS], out: &mut [u8]) -> bool {
    const SEARCH: Candidates = Candidates { most: 3, first: -0.5, more: 15, magnitude: true };
    const MOST: f32 = 15.0;
    let mut codes = [0; ELEMENTS];
    let (mut scales, mut mins) = ([0f32; GROUPS], [0f32; GROUPS]);
    for (group, (x, codes)) in x.chunks_exact(GROUP).zip(codes.chunks_exact_mut(GROUP)).enumerate() {
        let mut weights = [0f32; GROUP];
        weights.iter_mut().zip(x).for_each(|(w, x)| *w = x.abs());
        (scales[group], mins[group]) = with_minimum(x, &weights, &SEARCH, codes);
    }
    let (packed, rest) = out.split_at_mut(GROUPS);
    let (planes, floats) = rest.split_at_mut(ELEMENTS / 4);
    let (most_scale, most_min) = (most(&scales), most(&mins));
    let (scale, scale_fits) = put_f16(floats, most_scale / MOST);
    let (min, min_fits) = put_f16(&mut floats[2..], most_min / MOST);
    let share = |value: f32, most: f32| if most > 0.0 { nearest(MOST / most * value) as u8 } else { 0 };
    for (group, byte) in packed.iter_mut().enumerate() {
        *byte = share(scales[group], most_scale) | share(mins[group], most_min) << 4;
        let (scale, min) = (scale * f32::from(*byte & 15), min * f32::from(*byte >> 4));
        again(group * GROUP..(group + 1) * GROUP, x, scale, min, 3, &mut codes);
    }
    two_bit_planes(&codes, planes);
    scale_fits & min_fits
}

pub(super) fn q3_k(x: &[f32; ELEMENTS], out: &mut [u8]) -> bool {
    let mut codes = [0; ELEMENTS];
    let mut scales = [0f32; GROUPS];
    for (group, (x, codes)) in x.chunks_exact(GROUP).zip(codes.chunks_exact_mut(GROUP)).enumerate() {
        scales[group] = three_bits(x, codes);
    }
    let (third, rest) = out.split_at_mut(ELEMENTS / 8);
    let (planes, rest) = rest.split_at_mut(ELEMENTS / 4);
    let (packed, float) = rest.split_at_mut(12);
    packed.fill(0);
    let most = super::largest(&scales).1;
    let steps = if most == 0.0 { 0.0 } else { -32.0 / most };
    let (scale, fits) = put_f16(float, super::inverse(steps));
    if most != 0.0 {
        for (group, &value) in scales.iter().enumerate() {
            // The layout's bits: low 4 in halves of the first 8 bytes, high 2 in quarters of the last 4.
            let share = nearest(steps * value).clamp(-32, 31);
            let bits = (share + 32) as u8;
            packed[group % 8] |= (bits & 15) << (group / 8 * 4);
            packed[8 + group % 4] |= bits >> 4 << (group / 4 * 2);
            let scale = scale * share as f32;
            if scale != 0.0 {
                let range = group * GROUP..(group + 1) * GROUP;
                for (code, x) in codes[range.clone()].iter_mut().zip(&x[range]) {
                    *code = (nearest(x / scale).clamp(-4, 3) + 4) as u8;
                }
            }
        }
    }
    for (i, byte) in third.iter_mut().enumerate() {
        *byte = (0..8).fold(0, |bits, plane| bits | (codes[32 * plane + i] >> 2) << plane);
    }
    two_bit_planes(&codes.map(|code| code & 3), planes);
    fits
}

pub(super) fn q4_k(x: &[f32; ELEMENTS], out: &mut [u8]) -> bool {
    const SEARCH: Candidates = Candidates { most: 15, first: -1.0, more: 20, magnitude: false };
    let (codes, fits) = wide_groups(x, &SEARCH, out);
    half_bytes(&codes, &mut out[16..]);
    fits
}

pub(super) fn q5_k(x: &[f32; ELEMENTS], out: &mut [u8]) -> bool {
    const SEARCH: Candidates = Candidates { most: 31, first: -0.5, more: 15, magnitude: false };
    let (codes, fits) = wide_groups(x, &SEARCH, out);
    let (fifth, halves) = out[16..].split_at_mut(32);
    for (i, byte) in fifth.iter_mut().enumerate() {
        *byte = (0..8).fold(0, |bits, plane| bits | (codes[32 * plane + i] >> 4) << plane);
    }
    half_bytes(&codes.map(|code| code & 15), halves);
    fits
}

pub(super) fn q6_k(x: &[f32; ELEMENTS], out: &mut [u8]) -> bool {
    let mut codes = [0; ELEMENTS];
    let mut scales = [0f32; GROUPS];
    for (group, (x, codes)) in x.chunks_exact(GROUP).zip(codes.chunks_exact_mut(GROUP)).enumerate() {
        scales[group] = symmetric(x, 32, codes);
    }
    let most = super::largest(&scales).1;
    if most.abs() < NOTHING {
        out.fill(0);
        return true;
    }
    let (low, rest) = out.split_at_mut(128);
    let (high, rest) = rest.split_at_mut(64);
    let (packed, float) = rest.split_at_mut(GROUPS);
    let steps = -128.0 / most;
    let (scale, fits) = put_f16(float, 1.0 / steps);
    for (group, byte) in packed.iter_mut().enumerate() {
        let share = nearest(steps * scales[group]).min(127) as i8;
        *byte = share as u8;
        let scale = scale * f32::from(share);
        if scale != 0.0 {
            let range = group * GROUP..(group + 1) * GROUP;
            for (code, x) in codes[range.clone()].iter_mut().zip(&x[range]) {
                *code = (nearest(x / scale).clamp(-32, 31) + 32) as u8;
            }
        }
    }
    for (low, codes) in low.chunks_exact_mut(64).zip(codes.chunks_exact(128)) {
        for (i, byte) in low.iter_mut().enumerate() {
            *byte = codes[i] & 15 | codes[64 + i] << 4;
        }
    }
    two_bit_planes(&codes.map(|code| code >> 4), high);
    fits
}

/// Q4_K and Q5_K but for their codes' places: both floats and the twelve bytes of scales and minima to the first 16 bytes.
fn wide_groups(x: &[f32; ELEMENTS], search: &Candidates, out: &mut [u8]) -> (Codes, bool) {
    const MOST: f32 = 63.0;
    let mut codes = [0; ELEMENTS];
    let (mut scales, mut mins) = ([0f32; WIDE_GROUPS], [0f32; WIDE_GROUPS]);
    for (group, (x, codes)) in x.chunks_exact(WIDE).zip(codes.chunks_exact_mut(WIDE)).enumerate() {
        let squares = x.iter().fold(0f32, |sum, x| sum + x * x);
        let typical = (squares / WIDE as f32).sqrt();
        let mut weights = [0f32; WIDE];
        weights.iter_mut().zip(x).for_each(|(w, x)| *w = typical + x.abs());
        (scales[group], mins[group]) = with_minimum(x, &weights, search, codes);
    }
    let (most_scale, most_min) = (most(&scales), most(&mins));
    let (scale, scale_fits) = put_f16(out, most_scale / MOST);
    let (min, min_fits) = put_f16(&mut out[2..], most_min / MOST);
    let share = |value: f32, most: f32| {
        let steps = if most > 0.0 { MOST / most } else { 0.0 };
        (nearest(steps * value) as u8).min(63)
    };
    let packed = &mut out[4..16];
    packed.fill(0);
    for group in 0..WIDE_GROUPS {
        let (s, m) = (share(scales[group], most_scale), share(mins[group], most_min));
        if group < 4 {
            packed[group] |= s;
            packed[4 + group] |= m;
        } else {
            packed[4 + group] = s & 15 | m << 4;
            packed[group - 4] |= s >> 4 << 6;
            packed[group] |= m >> 4 << 6;
        }
        let (scale, min) = (scale * f32::from(s), min * f32::from(m));
        again(group * WIDE..(group + 1) * WIDE, x, scale, min, search.most, &mut codes);
    }
    (codes, scale_fits & min_fits)
}

/// The codes of one group above a minimum, with the scale and minimum that are stored.
fn again(range: std::ops::Range<usize>, x: &[f32; ELEMENTS], scale: f32, min: f32, most: i32, codes: &mut Codes) {
    if scale != 0.0 {
        for (code, x) in codes[range.clone()].iter_mut().zip(&x[range]) {
            *code = nearest((x + min) / scale).clamp(0, most) as u8;
        }
    }
}

/// The largest of these and 0.
fn most(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, &x| if x > most { x } else { most })
}

/// Bits 2p, 2p + 1 of byte 32h + i are of element 128h + 32p + i.
fn two_bit_planes(codes: &Codes, out: &mut [u8]) {
    for (out, codes) in out.chunks_exact_mut(32).zip(codes.chunks_exact(128)) {
        for (i, byte) in out.iter_mut().enumerate() {
            *byte = codes[i] | codes[32 + i] << 2 | codes[64 + i] << 4 | codes[96 + i] << 6;
        }
    }
}

/// Of each 64 elements the first 32 stand in the low halves of 32 bytes, the others in the high ones.
fn half_bytes(codes: &Codes, out: &mut [u8]) {
    for (out, codes) in out.chunks_exact_mut(32).zip(codes.chunks_exact(64)) {
        for (i, byte) in out.iter_mut().enumerate() {
            *byte = codes[i] | codes[32 + i] << 4;
        }
    }
}
