//! Stored weights to numbers, and products with them. In: rows of a tensor as the file stores them (they stay in the
//! memory map), activations in f32. Out: f32 rows, or the products `weight · x` in the arithmetic of llama.cpp's CPU
//! back end (activations quantised as the weight's type demands, integer sums inside a block) or in plain floats.
//!
//! Every type but the floats is a sequence of blocks: integer codes, one float scale, and for some an integer scale and
//! minimum a group of elements: `value = (scale · group_scale) · code - (min · group_min)`, in f32 in this order. One
//! decoder of codes ([`codes::Codes`]) serves both the values and the products.
//!
//! Source: ggml's `ggml-common.h` and `ggml-quants.c` (layouts), `arch/x86/quants.c` (rounding of activations);
//! bitnet.cpp's `ggml-bitnet-mad.cpp` (I2_S). Values are bit-equal to PyPI `gguf` 0.19 (`tests/quant.rs`).

mod activation;
mod codes;
pub mod encode;
mod k_codes;
mod kernel;
mod product;
mod stored;
mod sums;
mod ternary_codes;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use super::error::{ModelError, Refusal, shown};
use super::gguf::{Gguf, TensorInfo, TensorType};
pub use activation::{Q8Block32, Q8Block256};
pub use codes::{BLOCK_MOST, Codes};
pub(super) use kernel::dot;
pub use product::{Arithmetic, multiply};
pub use stored::StoredMatrix;
pub(super) use sums::{FloatOrder, float_dot, wide_dot};

/// A stored matrix, borrowed from the file.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// Storage type.
    pub kind: TensorType,
    /// Rows: outputs of a linear layer.
    pub rows: usize,
    /// Elements of a row: inputs of a linear layer.
    pub cols: usize,
    stored: &'a [u8],
    /// Scale of all values that stands behind an I2_S tensor; 1 for all other types.
    scale: f32,
}

impl<'a> Matrix<'a> {
    /// The whole of a tensor; dimensions beyond the second lengthen the list of rows.
    ///
    /// # Errors
    /// [`Refusal::Bounds`] for an I2_S tensor whose scale is not finite.
    pub fn new(file: &Gguf<'a>, tensor: &TensorInfo<'a>) -> Result<Self, ModelError> {
        let bytes = file.tensor_bytes(tensor);
        let (stored, trailer) = bytes.split_at(bytes.len() - tensor.kind.trailer_bytes() as usize);
        let scale = trailer.first_chunk().map_or(1.0, |scale| f32::from_le_bytes(*scale));
        if !scale.is_finite() {
            let item = format!("scale of tensor '{}'", shown(tensor.name));
            let remedy = "the weights are damaged: fetch or convert the model again";
            return Err(ModelError::refused(Refusal::Bounds, item, "a finite number", scale.to_string(), remedy));
        }
        let cols = tensor.columns() as usize;
        Ok(Self { kind: tensor.kind, rows: (tensor.elements() / tensor.columns()) as usize, cols, stored, scale })
    }

    /// Part `index` of `count` equal parts, rows that follow each other (an expert of a tensor that holds all).
    pub fn part(&self, index: usize, count: usize) -> Self {
        let (rows, bytes) = (self.rows / count, self.stored.len() / count);
        Self { rows, stored: &self.stored[index * bytes..(index + 1) * bytes], ..*self }
    }

    /// The stored bytes, without an I2_S tensor's trailer.
    pub(crate) fn stored(&self) -> &'a [u8] {
        self.stored
    }

    /// Bytes that the matrix takes in the file, without an I2_S tensor's trailer.
    pub fn stored_bytes(&self) -> usize {
        self.stored.len()
    }

    /// The values of one row, `cols` of them, in order.
    pub fn row_values(&self, row: usize, out: &mut Vec<f32>) {
        out.clear();
        let stored = self.row(row);
        match self.kind {
            TensorType::F32 => out.extend(stored.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word))),
            TensorType::F16 => f16_values(stored, out),
            TensorType::Bf16 => out.extend(stored.as_chunks().0.iter().map(|&word| bf16::from_le_bytes(word).to_f32())),
            _ => {
                let mut codes = Codes::new();
                for block in self.row_blocks(row) {
                    codes.read(self.kind, block);
                    codes.scale *= self.scale;
                    codes.values(self.kind.block_elements() as usize, out);
                }
            }
        }
    }

    /// The sign of each value of one row, to `out` of `cols` elements; of a ternary type the stored trits, without the scale's sign.
    pub fn row_signs(&self, row: usize, out: &mut [i8]) {
        if !self.kind.is_ternary() {
            let mut values = Vec::with_capacity(self.cols);
            self.row_values(row, &mut values);
            out.iter_mut().zip(values).for_each(|(sign, x)| *sign = i8::from(x > 0.0) - i8::from(x < 0.0));
            return;
        }
        let mut codes = Codes::new();
        for (block, out) in self.row_blocks(row).zip(out.chunks_mut(self.kind.block_elements() as usize)) {
            codes.read(self.kind, block);
            out.copy_from_slice(&codes.codes[..out.len()]);
        }
    }

    /// `Σ trit·x` of one row of a type with codes of two bits, without the scale's sign, where the machine sums these without unpacking;
    /// `sum` is `Σ x`.
    pub(super) fn two_bit_dot(&self, row: usize, x: &[i8], sum: i32) -> Option<i32> {
        match self.kind {
            TensorType::Tq2_0 => kernel::two_bit_dot::<64>(self.row(row), self.kind.block_bytes() as usize, false, x, sum),
            TensorType::I2S => kernel::two_bit_dot::<32>(self.row(row), self.kind.block_bytes() as usize, true, x, sum),
            _ => None,
        }
    }

    /// The first block's scale that is not 0, with that of the whole tensor; 0 where there is none. Of float types 1.
    pub fn first_scale(&self) -> f32 {
        let mut codes = Codes::new();
        let scale = |block| {
            codes.read(self.kind, block);
            codes.scale * self.scale
        };
        match self.kind {
            TensorType::F32 | TensorType::F16 | TensorType::Bf16 => 1.0,
            _ => self.stored.chunks_exact(self.kind.block_bytes() as usize).map(scale).find(|&s| s != 0.0).unwrap_or(0.0),
        }
    }

    /// Gives each value, row by row, to `out`.
    pub fn for_each_value(&self, mut out: impl FnMut(f32)) {
        let mut values = Vec::with_capacity(self.cols);
        for row in 0..self.rows {
            self.row_values(row, &mut values);
            values.iter().for_each(|&value| out(value));
        }
    }

    /// The stored bytes of one row.
    fn row(&self, row: usize) -> &'a [u8] {
        let bytes = self.stored.len() / self.rows;
        &self.stored[row * bytes..(row + 1) * bytes]
    }

    fn row_blocks(&self, row: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        self.row(row).chunks_exact(self.kind.block_bytes() as usize)
    }
}

/// Little-endian f16 as f32, eight at a time where the machine can.
fn f16_values(stored: &[u8], out: &mut Vec<f32>) {
    const AT_ONCE: usize = 64;
    let (blocks, rest) = stored.as_chunks::<{ 2 * AT_ONCE }>();
    let mut values = [0.0; AT_ONCE];
    for block in blocks {
        let words: [f16; AT_ONCE] = std::array::from_fn(|i| f16::from_le_bytes([block[2 * i], block[2 * i + 1]]));
        words.convert_to_f32_slice(&mut values);
        out.extend_from_slice(&values);
    }
    out.extend(rest.as_chunks().0.iter().map(|&word| f16::from_le_bytes(word).to_f32()));
}
