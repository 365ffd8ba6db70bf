//! Searches for the scale (and minimum) of a group of elements of the K types, and for their codes. In: the group's values. Out: scale, minimum,
//! codes: those of least weighted error among a few candidates around the obvious scale. Everything in f32, in the order of elements, as the
//! result hangs on each rounding.
//!
//! Source: ggml's `make_qx_quants`, `make_q3_quants`, `make_qkx2_quants`.

use super::largest;

/// A group whose largest magnitude is below this is taken as zeros.
const NOTHING: f32 = 1e-15;

/// The nearest integer, a half to the even one, of a number below 2^22; other numbers give some integer.
pub(super) fn nearest(x: f32) -> i32 {
    const MAGIC: f32 = 12_582_912.0;
    ((x + MAGIC).to_bits() & 0x7f_ffff) as i32 - 0x40_0000
}

/// Symmetric codes from -`half` to `half` - 1 that minimise the error weighted with x². Returns the scale; codes are stored plus `half`.
pub(super) fn symmetric(x: &[f32], half: i32, codes: &mut [u8]) -> f32 {
    let most = largest(x).1;
    codes.fill(0);
    if most.abs() < NOTHING {
        return 0.0;
    }
    let code = |steps: f32, x: f32| nearest(steps * x).clamp(-half, half - 1);
    // Weighted sums of x·code and code² of one candidate.
    let sums = |steps: f32| {
        let (mut xl, mut ll) = (0f32, 0f32);
        for &x in x {
            let (w, l) = (x * x, code(steps, x) as f32);
            xl += w * x * l;
            ll += w * l * l;
        }
        (xl, ll)
    };
    let mut keep = |steps: f32| codes.iter_mut().zip(x).for_each(|(out, &x)| *out = (code(steps, x) + half) as u8);
    let steps = -(half as f32) / most;
    keep(steps);
    let (xl, ll) = sums(steps);
    let mut scale = if ll == 0.0 { 0.0 } else { xl / ll };
    let mut best = scale * xl;
    for tenth in (-9..=9).filter(|&tenth| tenth != 0) {
        let steps = -(half as f32 + 0.1 * tenth as f32) / most;
        let (xl, ll) = sums(steps);
        if ll > 0.0 && xl * xl > best * ll {
            keep(steps);
            scale = xl / ll;
            best = scale * xl;
        }
    }
    scale
}

/// Symmetric codes from -4 to 3, improved one at a time while the error weighted with x² falls. Returns the scale; codes are stored plus 4.
pub(super) fn three_bits(x: &[f32], codes: &mut [u8]) -> f32 {
    const HALF: i32 = 4;
    const ROUNDS: usize = 5;
    let most = largest(x).1;
    codes.fill(0);
    if most.abs() < NOTHING {
        return 0.0;
    }
    let steps = -(HALF as f32) / most;
    let clamped = |l: i32| l.clamp(-HALF, HALF - 1);
    let mut found = [0i32; super::super::codes::GROUP];
    let (mut sum_xl, mut sum_ll) = (0f32, 0f32);
    for (code, &x) in found.iter_mut().zip(x) {
        *code = clamped(nearest(steps * x));
        let (w, l) = (x * x, *code as f32);
        sum_xl += w * x * l;
        sum_ll += w * l * l;
    }
    for _ in 0..ROUNDS {
        let mut changed = false;
        for (code, &x) in found.iter_mut().zip(x) {
            let (w, l) = (x * x, *code as f32);
            let mut xl = sum_xl - w * x * l;
            if xl > 0.0 {
                let mut ll = sum_ll - w * l * l;
                let other = clamped(nearest(x * ll / xl));
                if other != *code {
                    let l = other as f32;
                    xl += w * x * l;
                    ll += w * l * l;
                    if ll > 0.0 && xl * xl * sum_ll > sum_xl * sum_xl * ll {
                        (*code, sum_xl, sum_ll) = (other, xl, ll);
                        changed = true;
                    }
                }
            }
        }
        if !changed {
            break;
        }
    }
    codes.iter_mut().zip(found).for_each(|(out, code)| *out = (code + HALF) as u8);
    if sum_ll > 0.0 { sum_xl / sum_ll } else { 0.0 }
}

/// What [`with_minimum`] tries.
pub(super) struct Candidates {
    /// Largest code.
    pub most: i32,
    /// The first candidate has `most` + this many steps between least and largest element, each next one 0.1 more.
    pub first: f32,
    /// Candidates behind the obvious one and the first.
    pub more: i32,
    /// Whether errors count by their magnitude, else by their square.
    pub magnitude: bool,
}

/// Codes from 0 above a minimum that is not positive. Returns scale and the minimum with its sign changed.
pub(super) fn with_minimum(x: &[f32], weights: &[f32], try_: &Candidates, codes: &mut [u8]) -> (f32, f32) {
    let (mut min, mut max) = (x[0], x[0]);
    let (mut sum_w, mut sum_x) = (weights[0], weights[0] * x[0]);
    for (&x, &w) in x.iter().zip(weights).skip(1) {
        min = if x < min { x } else { min };
        max = if x > max { x } else { max };
        sum_w += w;
        sum_x += w * x;
    }
    min = if min > 0.0 { 0.0 } else { min };
    codes.fill(0);
    if max == min {
        return (0.0, -min);
    }
    let code = |steps: f32, min: f32, x: f32| nearest(steps * (x - min)).clamp(0, try_.most) as u8;
    let error = |codes: &[u8], scale: f32, min: f32| {
        let mut sum = 0f32;
        for ((&x, &w), &l) in x.iter().zip(weights).zip(codes) {
            let difference = scale * f32::from(l) + min - x;
            sum += w * if try_.magnitude { difference.abs() } else { difference * difference };
        }
        sum
    };
    let steps = try_.most as f32 / (max - min);
    codes.iter_mut().zip(x).for_each(|(out, &x)| *out = code(steps, min, x));
    let mut best = (1.0 / steps, min);
    let mut best_error = error(codes, best.0, best.1);
    let mut tried = [0u8; 32];
    let tried = &mut tried[..x.len()];
    for step in 0..=try_.more {
        let steps = (try_.first + 0.1 * step as f32 + try_.most as f32) / (max - best.1);
        let (mut sum_l, mut sum_ll, mut sum_xl) = (0f32, 0f32, 0f32);
        for ((out, &x), &w) in tried.iter_mut().zip(x).zip(weights) {
            *out = code(steps, best.1, x);
            let l = f32::from(*out);
            sum_l += w * l;
            sum_ll += w * l * l;
            sum_xl += w * l * x;
        }
        let determinant = sum_w * sum_ll - sum_l * sum_l;
        if determinant > 0.0 {
            let mut scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
            let mut offset = (sum_ll * sum_x - sum_l * sum_xl) / determinant;
            if offset > 0.0 {
                (offset, scale) = (0.0, sum_xl / sum_ll);
            }
            let found = error(tried, scale, offset);
            if found < best_error {
                codes.copy_from_slice(tried);
                (best_error, best) = (found, (scale, offset));
            }
        }
    }
    (best.0, -best.1)
}
