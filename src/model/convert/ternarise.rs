//! Rounding to -s, 0, s by the mean magnitude, as BitNet b1.58 does in every step of its training. In: weights that were trained without it. Out:
//! weights that are ternary and no good.
//!
//! Source: Ma et al. 2024, "The Era of 1-bit LLMs", equations 1 to 3 (without their epsilon: a mean of 0 makes zeros).

use rayon::prelude::*;

use crate::model::error::{ModelError, Refusal, shown};
use crate::model::gguf::{Gguf, TensorInfo};
use crate::model::quant::Matrix;

/// s: the mean magnitude of all elements, summed in f64, rows in their order whatever the threads.
///
/// # Errors
/// [`Refusal::Bounds`] with row and column for an element that is no number.
pub(super) fn mean_magnitude(file: &Gguf<'_>, tensor: &TensorInfo<'_>) -> Result<f64, ModelError> {
    let matrix = Matrix::new(file, tensor)?;
    let sum_of = |values: &mut Vec<f32>, row: usize| {
        matrix.row_values(row, values);
        match values.iter().position(|x| !x.is_finite()) {
            Some(col) => Err((row, col, values[col])),
            None => Ok(values.iter().map(|&x| f64::from(x.abs())).sum::<f64>()),
        }
    };
    let sums: Vec<Result<f64, _>> = (0..matrix.rows).into_par_iter().map_init(Vec::new, sum_of).collect();
    let sum = sums.into_iter().try_fold(0.0, |sum, row| row.map(|row| sum + row)).map_err(|(row, col, found)| {
        let item = format!("tensor '{}' ({}), row {row}, column {col}", shown(tensor.name), tensor.kind.name());
        let remedy = "the weights are damaged: fetch or convert the model again";
        ModelError::refused(Refusal::Bounds, item, "a finite number", found.to_string(), remedy)
    })?;
    Ok(sum / tensor.elements() as f64)
}

/// Rounds each value: `s · round(clip(value / s, -1, 1))`, a half to the even number, which is 0. Returns how many became -s, 0, s.
pub(super) fn round(values: &mut [f32], s: f64) -> [u64; 3] {
    let mut counts = [0; 3];
    for x in values {
        let trit = i8::from(f64::from(*x) > s / 2.0) - i8::from(f64::from(*x) < -s / 2.0);
        counts[(trit + 1) as usize] += 1;
        *x = f32::from(trit) * s as f32;
    }
    counts
}
