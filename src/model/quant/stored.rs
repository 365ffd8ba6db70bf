//! A matrix as the file stores it, for models that outlive the file's directory. In: a tensor. Out: [`StoredMatrix`], whose bytes are the
//! memory map's own where the file is mapped.

use super::Matrix;
use crate::model::error::ModelError;
use crate::model::gguf::{Gguf, TensorBytes, TensorInfo, TensorType};

/// A stored matrix that keeps its file mapped; [`StoredMatrix::view`] gives its values.
#[derive(Debug, Clone)]
pub struct StoredMatrix {
    kind: TensorType,
    rows: usize,
    cols: usize,
    stored: TensorBytes,
    scale: f32,
}

/// Equal values, bit by bit, however stored.
impl PartialEq for StoredMatrix {
    fn eq(&self, other: &Self) -> bool {
        let bits = |row: Vec<f32>| row.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        (self.rows, self.cols) == (other.rows, other.cols) && (0..self.rows).all(|row| bits(self.row(row)) == bits(other.row(row)))
    }
}

impl StoredMatrix {
    /// As [`Matrix::new`].
    ///
    /// # Errors
    /// As [`Matrix::new`].
    pub fn new(file: &Gguf<'_>, tensor: &TensorInfo<'_>) -> Result<Self, ModelError> {
        let Matrix { kind, rows, cols, scale, .. } = Matrix::new(file, tensor)?;
        Ok(Self { kind, rows, cols, stored: file.kept_bytes(tensor), scale })
    }

    /// Rows: outputs of a linear layer.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Elements of a row: inputs of a linear layer.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The matrix.
    pub fn view(&self) -> Matrix<'_> {
        let stored = &self.stored[..self.stored.len() - self.kind.trailer_bytes() as usize];
        Matrix { kind: self.kind, rows: self.rows, cols: self.cols, stored, scale: self.scale }
    }

    /// The values of one row.
    pub fn row(&self, row: usize) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.cols);
        self.view().row_values(row, &mut out);
        out
    }
}
