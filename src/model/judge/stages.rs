//! The stages of BitNet b1.58 as pure functions: each takes one token's row (or what its name says) and gives the next
//! one. A stage of any other implementation can be checked by feeding both the same input.
//!
//! Source: Ma et al., "The Era of 1-bit LLMs" (2024) and the BitNet b1.58 2B4T report (2025); RMSNorm, Zhang and
//! Sennrich 2019; RoPE, Su et al. 2021, in the half-rotated form.

use rayon::prelude::*;

use super::rows::{Int8Rows, Real, Rows};
use crate::model::config::Activation;
use crate::model::quant::{Matrix, dot};
use crate::model::ternary::TernaryTensor;

/// Largest code of an int8 row whose absolute maximum sets the scale.
pub const CODE_ONE: f64 = 127.0;
/// The absolute maximum of an activation row is taken as at least this (BitNet b1.58).
pub const ABSMAX_FLOOR: f64 = 1e-5;
/// Multiplications that one parallel task has at least: below it the hand-over costs more than the work.
const WORK_A_TASK: usize = 1 << 17;

/// `Σ a·b`, in eight interleaved partial sums: one chain of additions would cost their latency at every element.
pub fn dot_product<F: Real>(a: &[F], b: &[F]) -> F {
    let (a_eights, a_rest) = a.as_chunks::<8>();
    let (b_eights, b_rest) = b.as_chunks::<8>();
    let mut sums = [F::zero(); 8];
    for (a, b) in a_eights.iter().zip(b_eights) {
        for lane in 0..8 {
            sums[lane] = sums[lane] + a[lane] * b[lane];
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(&a, &b)| a * b);
    sums.into_iter().chain(rest).fold(F::zero(), |sum, v| sum + v)
}

/// `gain · x / sqrt(mean(x²) + epsilon)`.
pub fn rms_norm<F: Real>(x: &[F], gain: &[f32], epsilon: f32) -> Vec<F> {
    let sum = dot_product(x, x);
    let rms = (sum / F::of(x.len() as f64) + F::of(f64::from(epsilon))).sqrt();
    x.iter().zip(gain).map(|(&v, &g)| v / rms * F::of(f64::from(g))).collect()
}

/// Largest magnitude of a row; 0 for an empty one.
pub fn absmax<F: Real>(x: &[F]) -> F {
    x.iter().fold(F::zero(), |most, &v| most.max(v.abs()))
}

/// int8 codes `round(x · 127 / absmax)`, ties to even, clamped to -128..127, and the value of code 1.
pub fn quantise<F: Real>(x: &[F]) -> (Vec<i8>, F) {
    let scale = F::of(CODE_ONE) / absmax(x).max(F::of(ABSMAX_FLOOR));
    let code = |v: &F| (*v * scale).round_ties_even().max(F::of(-128.0)).min(F::of(127.0));
    (x.iter().map(|v| code(v).to_i8().unwrap_or(0)).collect(), F::one() / scale)
}

/// [`quantise`] for every row.
pub fn quantise_rows<F: Real>(x: &Rows<F>) -> Int8Rows<F> {
    let (codes, scales): (Vec<Vec<i8>>, Vec<F>) = x.iter().map(quantise).unzip();
    Int8Rows { tokens: x.tokens, width: x.width, codes: codes.concat(), scales }
}

/// A ternary linear layer: `weight.scale · input.scale · Σ code · trit`, the sum exact.
pub fn ternary_linear<F: Real>(input: &Int8Rows<F>, weight: &TernaryTensor) -> Rows<F> {
    let weight_scale = F::of(f64::from(weight.scale));
    let sums: Vec<i32> = (0..input.tokens).map(|token| input.row(token).iter().map(|&code| i32::from(code)).sum()).collect();
    let product = |trits: &mut Vec<i8>, row: usize, out: &mut [F]| {
        let mut unpacked = false;
        for (token, out) in out.iter_mut().enumerate() {
            let codes = input.row(token);
            let sum = weight.packed_dot(row, codes, sums[token]).unwrap_or_else(|| {
                if !unpacked {
                    weight.unpack_row(row, trits);
                    unpacked = true;
                }
                dot(trits, codes)
            });
            *out = F::of(f64::from(sum)) * input.scales[token] * weight_scale;
        }
    };
    linear(input.tokens, weight.rows, weight.cols, || vec![0; weight.cols], product)
}

/// A linear layer of `outputs` x `inputs`: `product` gives one output for every token, so that a row of weights is decoded once.
fn linear<F: Real, S>(
    tokens: usize,
    outputs: usize,
    inputs: usize,
    scratch: impl Fn() -> S + Sync + Send,
    product: impl Fn(&mut S, usize, &mut [F]) + Sync + Send,
) -> Rows<F> {
    let mut by_output = vec![F::zero(); outputs * tokens];
    let rows = by_output.par_chunks_mut(tokens).enumerate().with_min_len(WORK_A_TASK / (tokens * inputs) + 1);
    rows.for_each_init(scratch, |scratch, (row, out)| product(scratch, row, out));
    if tokens == 1 {
        return Rows { tokens, width: outputs, values: by_output };
    }
    let by_token = (0..tokens).flat_map(|token| (0..outputs).map(move |row| row * tokens + token));
    Rows { tokens, width: outputs, values: by_token.map(|at| by_output[at]).collect() }
}

/// Cosine and sine of `position · theta^(-2j/head_dim)` for each pair j of a head.
pub fn rotation<F: Real>(position: usize, head_dim: usize, theta: f32) -> Vec<(F, F)> {
    let angle = |pair: usize| {
        let exponent = F::of(-2.0 * pair as f64) / F::of(head_dim as f64);
        F::of(position as f64) * F::of(f64::from(theta)).powf(exponent)
    };
    (0..head_dim / 2).map(|pair| (angle(pair).cos(), angle(pair).sin())).collect()
}

/// Rotates every head of a row: element j turns with element j + half, `(a, b)` to `(a·cos - b·sin, b·cos + a·sin)`.
pub fn rope<F: Real>(row: &[F], rotation: &[(F, F)]) -> Vec<F> {
    let half = rotation.len();
    let mut out = row.to_vec();
    for head in out.chunks_exact_mut(2 * half) {
        let (first, second) = head.split_at_mut(half);
        for ((a, b), &(cos, sin)) in first.iter_mut().zip(second).zip(rotation) {
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }
    out
}

/// Scores of one query head with each key: `q·k / sqrt(head_dim)`.
pub fn scores<'k, F: Real>(query: &[F], keys: impl Iterator<Item = &'k [F]>) -> Vec<F> {
    let scale = F::one() / F::of(query.len() as f64).sqrt();
    keys.map(|key| dot_product(query, key) * scale).collect()
}

/// `exp(z - max) / Σ exp(z - max)`.
pub fn softmax<F: Real>(scores: &[F]) -> Vec<F> {
    let most = scores.iter().fold(F::neg_infinity(), |most, &z| most.max(z));
    let powers: Vec<F> = scores.iter().map(|&z| (z - most).exp()).collect();
    let sum = powers.iter().fold(F::zero(), |sum, &p| sum + p);
    powers.into_iter().map(|p| p / sum).collect()
}

/// `Σ weight · value` of one head; `values` are as long as `weights`.
pub fn weighted_sum<'v, F: Real>(weights: &[F], values: impl Iterator<Item = &'v [F]>, head_dim: usize) -> Vec<F> {
    let mut out = vec![F::zero(); head_dim];
    for (&weight, value) in weights.iter().zip(values) {
        out.iter_mut().zip(value).for_each(|(sum, &v)| *sum = *sum + weight * v);
    }
    out
}

/// `activation(gate) · up`.
pub fn activate<F: Real>(activation: Activation, gate: F, up: F) -> F {
    match activation {
        Activation::Relu2 => {
            let positive = gate.max(F::zero());
            positive * positive * up
        }
        Activation::Silu => gate / (F::one() + (-gate).exp()) * up,
    }
}

/// A float linear layer, the head: one result a row of `matrix`, for each row of `x`.
pub fn dense_linear<F: Real>(x: &Rows<F>, matrix: &Matrix<'_>) -> Rows<F> {
    let product = |(row, wide): &mut (Vec<f32>, Vec<F>), output: usize, out: &mut [F]| {
        matrix.row_values(output, row);
        wide.clear();
        wide.extend(row.iter().map(|&w| F::of(f64::from(w))));
        out.iter_mut().zip(x.iter()).for_each(|(out, x)| *out = dot_product(wide, x));
    };
    linear(x.tokens, matrix.rows, matrix.cols, Default::default, product)
}

/// Rounds to `bits` fraction bits, ties to even.
pub fn round_to_fraction<F: Real>(x: F, bits: u32) -> F {
    let unit = F::of(f64::from(bits).exp2());
    (x * unit).round_ties_even() / unit
}

/// Rounds every head of a row to codes of `bits` bits (7, 31, 127 … times absmax), and back to values.
pub fn round_heads<F: Real>(row: &[F], head_dim: usize, bits: u32) -> Vec<F> {
    let one = F::of(f64::from(bits - 1).exp2() - 1.0);
    let round_head = |head: &[F]| {
        let most = absmax(head);
        let value = move |v: &F| if most > F::zero() { (*v * (one / most)).round_ties_even() * (most / one) } else { F::zero() };
        head.iter().map(value).collect::<Vec<F>>()
    };
    row.chunks_exact(head_dim).flat_map(round_head).collect()
}
