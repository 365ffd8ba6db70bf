//! Products of a stored matrix with rows of activations. In: a [`Matrix`], f32 rows. Out: f32 rows, one element an output.
//! Products inside a block are integers; how sums over blocks are done, [`super::sums`] says.

use half::{bf16, f16};
use rayon::prelude::*;

use super::Matrix;
use super::activation::{Q8Block32, Q8Block256, Q8Row};
use super::codes::Codes;
use super::kernel::{self, Kernel, dot};
use super::sums::{FloatOrder, Lanes, Sum, Wide, float_dot, wide_dot};
use crate::model::gguf::TensorType;
use crate::model::judge::Rows;

/// Multiplications that one parallel task has at least: below it the hand-over costs more than the work.
const WORK_A_TASK: usize = 1 << 15;

/// In which arithmetic products with stored weights are done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Arithmetic {
    /// As llama.cpp: activations are rounded to what the weight's type is multiplied with there (int8 blocks, f16, bf16),
    /// sums are f32 in the order of its AVX2 code.
    #[default]
    Ggml,
    /// The same operands, sums in f64.
    Wide,
    /// Weights as f32, activations as they are, sums in f64: the judge.
    Float,
}

/// The rows of activations in the form that a weight type is multiplied with.
enum Inputs {
    Floats(Rows<f32>, FloatOrder),
    Block32(Vec<Q8Block32>),
    Block256(Vec<Q8Block256>),
    Row(Vec<Q8Row>),
}

impl Inputs {
    fn of(kind: TensorType, x: &Rows<f32>, arithmetic: Arithmetic) -> Self {
        let rounded = |round: fn(f32) -> f32, order| Self::Floats(x.map(x.width, |_, row| row.iter().map(|&v| round(v)).collect()), order);
        if arithmetic == Arithmetic::Float {
            return Self::Floats(x.clone(), FloatOrder::F32);
        }
        match kind {
            TensorType::F32 => Self::Floats(x.clone(), FloatOrder::F32),
            TensorType::F16 => rounded(|v| f16::from_f32(v).to_f32(), FloatOrder::F16),
            TensorType::Bf16 => rounded(|v| bf16::from_f32(v).to_f32(), FloatOrder::Bf16),
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
        || (Codes::new(), Vec::new()),
        |(codes, values), (row, out)| kernel::run(RowProduct { weight, row, inputs: &inputs, arithmetic, codes, values, out }),
    );
    let by_token = (0..tokens).flat_map(|token| (0..weight.rows).map(move |row| row * tokens + token));
    Rows { tokens, width: weight.rows, values: by_token.map(|at| by_output[at]).collect() }
}

/// Output `row` for every token.
struct RowProduct<'w> {
    weight: &'w Matrix<'w>,
    row: usize,
    inputs: &'w Inputs,
    arithmetic: Arithmetic,
    codes: &'w mut Codes,
    values: &'w mut Vec<f32>,
    out: &'w mut [f32],
}

impl kernel::Work for RowProduct<'_> {
    #[inline(always)]
    fn run<K: Kernel>(self) {
        let Self { weight, row, inputs, arithmetic, codes, values, out } = self;
        match inputs {
            Inputs::Floats(x, order) => {
                weight.row_values(row, values);
                for (out, x) in out.iter_mut().zip(x.iter()) {
                    *out = if arithmetic == Arithmetic::Ggml { float_dot(values, x, *order) } else { wide_dot(values, x) as f32 };
                }
            }
            Inputs::Block32(x) if arithmetic == Arithmetic::Ggml => blocks::<Lanes<K>, _>(weight, row, codes, x, out),
            Inputs::Block32(x) => blocks::<Wide, _>(weight, row, codes, x, out),
            Inputs::Block256(x) if arithmetic == Arithmetic::Ggml => blocks::<Lanes<K>, _>(weight, row, codes, x, out),
            Inputs::Block256(x) => blocks::<Wide, _>(weight, row, codes, x, out),
            Inputs::Row(x) => {
                let mut sums = vec![0i64; x.len()];
                for (block, stored) in weight.row_blocks(row).enumerate() {
                    codes.read(weight.kind, stored);
                    for (sum, x) in sums.iter_mut().zip(x) {
                        *sum += i64::from(dot(&codes.codes[..128], &x.codes[128 * block..128 * block + 128]));
                    }
                }
                let products = sums.iter().zip(x).map(|(&sum, x)| sum as f32 / x.reciprocal * weight.scale);
                out.iter_mut().zip(products).for_each(|(out, product)| *out = product);
            }
        }
    }
}

/// Activations in blocks. A function given by name instead would be compiled apart from its caller, for any machine.
trait Blocks {
    /// Adds block `block` to a row's sum.
    fn add<S: Sum>(&self, sum: &mut S, weight: &Codes, block: usize);
}

impl Blocks for Q8Block32 {
    #[inline(always)]
    fn add<S: Sum>(&self, sum: &mut S, weight: &Codes, block: usize) {
        sum.add_32(weight, self, block);
    }
}

impl Blocks for Q8Block256 {
    #[inline(always)]
    fn add<S: Sum>(&self, sum: &mut S, weight: &Codes, block: usize) {
        sum.add_256(weight, self, block);
    }
}

/// Sums over the blocks of a row for every token.
#[inline(always)]
fn blocks<S: Sum, X: Blocks>(weight: &Matrix<'_>, row: usize, codes: &mut Codes, x: &[X], out: &mut [f32]) {
    // One token, the usual case, needs no list.
    if let ([x], [out]) = (x, &mut *out) {
        let mut sum = S::new(weight.kind);
        for (block, stored) in weight.row_blocks(row).enumerate() {
            codes.read(weight.kind, stored);
            x.add(&mut sum, codes, block);
        }
        *out = sum.total();
        return;
    }
    let mut sums: Vec<S> = x.iter().map(|_| S::new(weight.kind)).collect();
    for (block, stored) in weight.row_blocks(row).enumerate() {
        codes.read(weight.kind, stored);
        for (sum, x) in sums.iter_mut().zip(x) {
            x.add(sum, codes, block);
        }
    }
    out.iter_mut().zip(&sums).for_each(|(out, sum)| *out = sum.total());
}
