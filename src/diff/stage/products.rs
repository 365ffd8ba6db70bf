//! Products of a model's matrices with rows of a tensor, in f64 or in llama.cpp's arithmetic, and int8 rounding.

use rayon::prelude::*;

use crate::diff::graph::Weight;
use crate::model::judge::{Rows, stages};
use crate::model::quant::{Arithmetic, Matrix, multiply};
use crate::trace::{Number, Tensor};

/// int8 codes of every row.
pub(super) fn quantise(x: &Tensor) -> Tensor {
    let rows: Vec<(Vec<i8>, f64)> = x.rows().map(stages::quantise).collect();
    let (codes, scales): (Vec<Vec<i8>>, Vec<f64>) = rows.into_iter().unzip();
    Tensor::codes(vec![scales.len(), x.width()], codes.concat(), scales)
}

/// Elements that share a scale in llama.cpp's Q8_K, which it puts before ternary weights.
const BLOCK: usize = 256;

/// Every row rounded to int8 in blocks with a scale each.
pub(super) fn quantise_in_blocks(x: &Tensor) -> Tensor {
    let block = |block: &[f64]| {
        let (codes, scale) = stages::quantise(block);
        codes.into_iter().map(move |code| f64::from(code) * scale)
    };
    Tensor::floats(x.shape.clone(), Number::F64, x.rows().flat_map(|row| row.chunks(BLOCK)).flat_map(block).collect())
}

/// `weight · x` of every row of x: tokens x outputs.
pub(super) fn product(weight: Weight<'_>, x: &Tensor) -> Vec<f64> {
    let (rows, _) = weight.sizes();
    let tokens = x.shape[0];
    let by_output: Vec<Vec<f64>> = (0..rows)
        .into_par_iter()
        .map_init(Vec::new, |values, row| {
            weight.row(row, values);
            x.rows().map(|x| stages::dot_product(values, x)).collect()
        })
        .collect();
    (0..tokens).flat_map(|token| by_output.iter().map(move |outputs| outputs[token])).collect()
}

/// The same with the stored numbers read column by column, after `order` has said which row stands where.
pub(super) fn transposed_product(weight: Weight<'_>, x: &Tensor, order: impl Fn(usize) -> usize) -> Vec<f64> {
    let (rows, cols) = weight.sizes();
    let mut out = vec![0.0; x.shape[0] * rows];
    let mut values = Vec::new();
    for stored in 0..rows {
        weight.row(order(stored), &mut values);
        for (token, x) in x.rows().enumerate() {
            for (i, value) in values.iter().enumerate() {
                let at = stored * cols + i;
                out[token * rows + at % rows] += value * x[at / rows];
            }
        }
    }
    out
}

/// In llama.cpp's arithmetic.
pub(super) fn stored_product(matrix: &Matrix<'_>, x: &Tensor, arithmetic: Arithmetic) -> Vec<f64> {
    let rows = Rows { tokens: x.shape[0], width: x.width(), values: x.values.iter().map(|&v| v as f32).collect() };
    multiply(matrix, &rows, arithmetic).values.into_iter().map(f64::from).collect()
}
