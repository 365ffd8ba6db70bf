//! A linear weight of a ternary model: every element is -s, 0 or +s with one s for the tensor. In: a tensor of any stored type, checked
//! element by element when it is read. Out: its trits, decoded row by row from the stored blocks; nothing else is kept.

use super::error::ModelError;
use super::gguf::{Gguf, TensorInfo};
use super::quant::{Matrix, StoredMatrix};
use super::trits::trits;

/// A ternary matrix: `rows` outputs by `cols` inputs.
#[derive(Debug, Clone)]
pub struct TernaryTensor {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub cols: usize,
    /// The one scale, positive and finite: a weight is `scale · trit`. 1 where every trit is 0 and the file gives none.
    pub scale: f32,
    stored: StoredMatrix,
    /// Sign of the stored scale: with a negative one -s, 0, +s are counted from the other end, with 0 all weights are 0.
    sign: i8,
}

/// Equal trits and scale, however stored.
impl PartialEq for TernaryTensor {
    fn eq(&self, other: &Self) -> bool {
        (self.rows, self.cols, self.scale) == (other.rows, other.cols, other.scale) && self.to_trits() == other.to_trits()
    }
}

impl TernaryTensor {
    /// Reads a tensor of `[cols, rows]` that must be ternary.
    ///
    /// # Errors
    /// [`Refusal::NotTernary`](super::Refusal) with tensor, row and column (or block) of the first element that is not.
    pub fn read(file: &Gguf<'_>, tensor: &TensorInfo<'_>) -> Result<Self, ModelError> {
        let scale = trits(file, tensor)?.scale;
        let stored = StoredMatrix::new(file, tensor)?;
        let first = stored.view().first_scale();
        let sign = if tensor.kind.is_ternary() { i8::from(first > 0.0) - i8::from(first < 0.0) } else { 1 };
        Ok(Self { rows: stored.rows(), cols: stored.cols(), scale, stored, sign })
    }

    /// The matrix as the file stores it.
    pub fn stored(&self) -> Matrix<'_> {
        self.stored.view()
    }

    /// Writes one row's trits to `out`, which holds `cols` elements.
    pub fn unpack_row(&self, row: usize, out: &mut [i8]) {
        self.stored.view().row_signs(row, out);
        if self.sign != 1 {
            out.iter_mut().for_each(|trit| *trit *= self.sign);
        }
    }

    /// `Σ trit·x` of output `row`, where the machine sums stored codes without unpacking them; `sum` is `Σ x`.
    pub fn packed_dot(&self, row: usize, x: &[i8], sum: i32) -> Option<i32> {
        Some(self.stored.view().two_bit_dot(row, x, sum)? * i32::from(self.sign))
    }

    /// All trits, row by row.
    pub fn to_trits(&self) -> Vec<i8> {
        let mut out = vec![0; self.rows * self.cols];
        for (row, trits) in out.chunks_exact_mut(self.cols).enumerate() {
            self.unpack_row(row, trits);
        }
        out
    }
}
