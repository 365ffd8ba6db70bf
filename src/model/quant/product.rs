//! Products of a stored matrix with rows of activations. In: a [`Matrix`], f32 rows. Out: f32 rows, one element an output.
//! Sums inside a block are integers, sums over blocks and of floats are f64: the result is the exact one of llama.cpp's
//! quantised operands to f64's rounding, where llama.cpp itself adds in f32 in an order of its own.

use half::{bf16, f16};
use rayon::prelude::*;

use super::Matrix;
use super::activation::{Q8Block32, Q8Block256, Q8Row};
use super::codes::{Codes, GROUP, GROUPS};
use crate::model::gguf::TensorType;
use crate::model::judge::Rows;

/// Multiplications that one parallel task has at least: below it the hand-over costs more than the work.
const WORK_A_TASK: usize = 1 << 15;

/// In which arithmetic products with stored weights are done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Arithmetic {
    /// As llama.cpp: activations are rounded to what the weight's type is multiplied with there (int8 blocks, f16, bf16).
    #[default]
    Ggml,
    /// Weights as f32, activations as they are: the judge.
    Float,
}

/// The rows of activations in the form that a weight type is multiplied with.
enum Inputs {
    Floats(Rows<f32>),
    Block32(Vec<Q8Block32>),
    Block256(Vec<Q8Block256>),
    Row(Vec<Q8Row>),
}

impl Inputs {
    fn of(kind: TensorType, x: &Rows<f32>, arithmetic: Arithmetic) -> Self {
        let rounded = |round: fn(f32) -> f32| Self::Floats(x.map(x.width, |_, row| row.iter().map(|&v| round(v)).collect()));
        if arithmetic == Arithmetic::Float {
            return Self::Floats(x.clone());
        }
        match kind {
            TensorType::F32 => Self::Floats(x.clone()),
            TensorType::F16 => rounded(|v| f16::from_f32(v).to_f32()),
            TensorType::Bf16 => rounded(|v| bf16::from_f32(v).to_f32()),
            TensorType::Q4_0 | TensorType::Q4_1 | TensorType::Q5_0 | TensorType::Q5_1 | TensorType::Q8_0 => {
                Self::Block32(x.iter().map(Q8Block32::of).collect())
            }
            TensorType::Q2K
            | TensorType::Q3K
            | TensorType::Q4K
            | TensorType::Q5K
            | TensorType::Q6K
            | TensorType::Tq1_0
            | TensorType::Tq2_0 => Self::Block256(x.iter().map(Q8Block256::of).collect()),
            TensorType::I2S => Self::Row(x.iter().map(Q8Row::of).collect()),
        }
    }
}

/// `weight · x` for each row of `x`, whose width is the weight's columns.
pub fn multiply(weight: &Matrix<'_>, x: &Rows<f32>, arithmetic: Arithmetic) -> Rows<f32> {
    let tokens = x.tokens;
    let inputs = Inputs::of(weight.kind, x, arithmetic);
    // One decoded row of weights serves every token, so the results come output by output.
    let mut by_output = vec![0.0; weight.rows * tokens];
    let least = WORK_A_TASK / (tokens * weight.cols).max(1) + 1;
    let outputs = by_output.par_chunks_mut(tokens).enumerate().with_min_len(least);
    outputs.for_each_init(
        || (Codes::new(), vec![0.0; tokens], Vec::new()),
        |(codes, sums, values), (row, out)| match &inputs {
            Inputs::Floats(x) => {
                weight.row_values(row, values);
                out.iter_mut().zip(x.iter()).for_each(|(out, x)| *out = dot(values, x) as f32);
            }
            Inputs::Block32(x) => {
                sums.fill(0.0);
                for (block, stored) in weight.row_blocks(row).enumerate() {
                    codes.read(weight.kind, stored);
                    sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += block_32(codes, x, block));
                }
                out.iter_mut().zip(&*sums).for_each(|(out, &sum)| *out = sum as f32);
            }
            Inputs::Block256(x) => {
                sums.fill(0.0);
                for (block, stored) in weight.row_blocks(row).enumerate() {
                    codes.read(weight.kind, stored);
                    sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += block_256(codes, x, block));
                }
                out.iter_mut().zip(&*sums).for_each(|(out, &sum)| *out = sum as f32);
            }
            Inputs::Row(x) => {
                sums.fill(0.0);
                for (block, stored) in weight.row_blocks(row).enumerate() {
                    codes.read(weight.kind, stored);
                    let sum = |x: &Q8Row| integer_dot(&codes.codes[..128], &x.codes[128 * block..128 * block + 128]);
                    sums.iter_mut().zip(x).for_each(|(total, x)| *total += f64::from(sum(x)));
                }
                let values = sums.iter().zip(x).map(|(&sum, x)| sum as f32 / x.reciprocal * weight.scale);
                out.iter_mut().zip(values).for_each(|(out, value)| *out = value);
            }
        },
    );
    let by_token = (0..tokens).flat_map(|token| (0..weight.rows).map(move |row| row * tokens + token));
    Rows { tokens, width: weight.rows, values: by_token.map(|at| by_output[at]).collect() }
}

/// Block `block` of a row of blocks of 32: `scale · x_scale · Σ code · x_code - min · x_sum`.
fn block_32(weight: &Codes, x: &Q8Block32, block: usize) -> f64 {
    let sum = integer_dot(&weight.codes[..32], &x.codes[32 * block..32 * block + 32]);
    let scaled = f64::from(weight.scale) * f64::from(x.scales[block]) * f64::from(sum);
    scaled - f64::from(weight.min) * f64::from(x.sums[block])
}

/// Block `block` of a row of blocks of 256: `x_scale · (scale · Σ group_scale · Σ code · x_code - min · Σ group_min · x_group_sum)`.
fn block_256(weight: &Codes, x: &Q8Block256, block: usize) -> f64 {
    let codes = &x.codes[256 * block..256 * block + 256];
    let group_sums = &x.group_sums[GROUPS * block..GROUPS * (block + 1)];
    let (weights, _) = weight.codes.as_chunks::<GROUP>();
    let (codes, _) = codes.as_chunks::<GROUP>();
    let mut sum = 0;
    for ((weights, codes), &scale) in weights.iter().zip(codes).zip(&weight.scales) {
        sum += i32::from(scale) * integer_dot(weights, codes);
    }
    let mins = weight.mins.iter().zip(group_sums).map(|(&min, &sum)| i32::from(min) * i32::from(sum)).sum::<i32>();
    let scaled = f64::from(weight.scale) * f64::from(sum) - f64::from(weight.min) * f64::from(mins);
    scaled * f64::from(x.scales[block])
}

/// Exact: at most 256 products of 2^14.
fn integer_dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}

/// `Σ a·b` in f64, in eight interleaved partial sums; each product of two f32 is exact.
pub(in crate::model) fn dot(a: &[f32], b: &[f32]) -> f64 {
    let (a_eights, a_rest) = a.as_chunks::<8>();
    let (b_eights, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a_eights.iter().zip(b_eights) {
        for lane in 0..8 {
            sums[lane] += f64::from(a[lane]) * f64::from(b[lane]);
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(&a, &b)| f64::from(a) * f64::from(b));
    sums.into_iter().chain(rest).sum()
}
