//! What the matrices of a file hold: how many of their elements are -s, 0 and s, or why they are not ternary. In: a parsed file.
//! Out: a [`Tensor`] for each, in the order of the file. Nothing is kept of the weights but counts.

use rayon::prelude::*;

use super::error::ModelError;
use super::gguf::{Gguf, TensorInfo, TensorType};
use super::quant::Matrix;
use super::ternary::ternary_blocks;

/// Elements of a chunk that is counted at once.
const CHUNK_BLOCKS: usize = 1 << 14;

/// How many elements of a ternary matrix are -s, 0 and s.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Trits {
    /// s; 1 where every element is 0 and the file gives none.
    pub scale: f32,
    pub minus: u64,
    pub zero: u64,
    pub plus: u64,
}

/// One tensor.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Tensor {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The form in the file, where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<&'static str>,
    /// Sizes, fastest first.
    pub sizes: Vec<u64>,
    /// Bytes in this type.
    pub bytes: u64,
    /// Of a ternary matrix.
    pub trits: Option<Trits>,
    /// Of another matrix: the first element that is none of -s, 0, s.
    pub not_ternary: Option<String>,
}

impl Tensor {
    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.sizes.iter().product()
    }
}

/// Looks at every tensor; `done` is called with the bytes of each when it is through.
pub fn survey(file: &Gguf<'_>, done: &(dyn Fn(u64) + Sync)) -> Vec<Tensor> {
    let look = |tensor: &TensorInfo<'_>| {
        let sizes = tensor.sizes[..tensor.dimensions as usize].to_vec();
        let found = (sizes.len() > 1).then(|| trits(file, tensor));
        done(tensor.stored_bytes);
        let (trits, not_ternary) = match found {
            Some(Ok(trits)) => (Some(trits), None),
            Some(Err(refusal)) => (None, Some(refusal.to_string())),
            None => (None, None),
        };
        let (name, kind, bytes, origin) = (tensor.name.to_owned(), tensor.kind.name(), tensor.stored_bytes, tensor.origin);
        Tensor { name, kind, origin, sizes, bytes, trits, not_ternary }
    };
    file.tensors().par_iter().map(look).collect()
}

/// Counts the elements of a matrix.
///
/// # Errors
/// As [`TernaryTensor::read`](super::TernaryTensor::read), for one that is not ternary.
fn trits(file: &Gguf<'_>, tensor: &TensorInfo<'_>) -> Result<Trits, ModelError> {
    let quick = match tensor.kind {
        TensorType::Tq2_0 => two_bit(file.tensor_bytes(tensor)),
        TensorType::Tq1_0 => base3(file.tensor_bytes(tensor)),
        TensorType::I2S => i2_s(file.tensor_bytes(tensor)),
        _ => return numbers(file, tensor),
    };
    match quick {
        Some(trits) => Ok(trits),
        // Something is unusual about it: the careful readers say what, or that it is all right.
        None if tensor.kind == TensorType::I2S => numbers(file, tensor),
        None => careful(file, tensor),
    }
}

/// TQ1_0 and TQ2_0 block by block.
fn careful(file: &Gguf<'_>, tensor: &TensorInfo<'_>) -> Result<Trits, ModelError> {
    let mut counts = [0; 3];
    let scale = ternary_blocks(tensor, file.tensor_bytes(tensor), |block| block.iter().for_each(|&t| counts[(t + 1) as usize] += 1))?;
    if scale < 0.0 {
        counts.reverse();
    }
    let [minus, zero, plus] = counts;
    Ok(Trits { scale: scale.abs(), minus, zero, plus })
}

/// How often each byte stands in the codes of blocks, whose one scale stands behind them; `None` if blocks differ in it, or it is not
/// positive.
fn blocks(bytes: &[u8], block: usize, codes: usize) -> Option<(f32, Vec<[u64; 256]>)> {
    let first: [u8; 2] = *bytes.get(block - 2..block)?.first_chunk()?;
    let scale = half::f16::from_le_bytes(first).to_f32();
    if !(scale.is_finite() && scale > 0.0) {
        return None;
    }
    // The last bytes of a TQ1_0 block hold fewer trits, so they are counted apart.
    let parts = bytes.par_chunks(CHUNK_BLOCKS * block).map(|chunk| {
        let mut counts = vec![[0u64; 256]; 2];
        for block in chunk.chunks_exact(block) {
            let (all, of) = block.split_at(block.len() - 2);
            if *of != first {
                return None;
            }
            let (front, back) = all.split_at(codes);
            front.iter().for_each(|&b| counts[0][usize::from(b)] += 1);
            back.iter().for_each(|&b| counts[1][usize::from(b)] += 1);
        }
        Some(counts)
    });
    let sum = parts.try_reduce(
        || vec![[0u64; 256]; 2],
        |mut a, b| {
            for (a, b) in a.iter_mut().flatten().zip(b.iter().flatten()) {
                *a += b;
            }
            Some(a)
        },
    )?;
    Some((scale, sum))
}

/// Codes of two bits, trit + 1; `None` if there is code 3.
fn of_two_bits(scale: f32, bytes: &[u64; 256]) -> Option<Trits> {
    let mut counts = [0; 4];
    for (byte, n) in bytes.iter().enumerate() {
        for lane in 0..4 {
            counts[byte >> (2 * lane) & 3] += n;
        }
    }
    let [minus, zero, plus, 0] = counts else { return None };
    Some(Trits { scale, minus, zero, plus })
}

fn two_bit(bytes: &[u8]) -> Option<Trits> {
    let block = TensorType::Tq2_0.block_bytes() as usize;
    let (scale, counts) = blocks(bytes, block, block - 2)?;
    of_two_bits(scale, &counts[0])
}

fn base3(bytes: &[u8]) -> Option<Trits> {
    const FIVE: usize = 48;
    let (scale, counts) = blocks(bytes, TensorType::Tq1_0.block_bytes() as usize, FIVE)?;
    let mut sums = [0; 3];
    for (counts, digits) in counts.iter().zip([5, 4]) {
        for (byte, &n) in counts.iter().enumerate().filter(|c| *c.1 != 0) {
            let mut code = super::gguf::blocks::tq1_code(byte as u8)?;
            for _ in 0..digits {
                sums[(code / 81) as usize] += n;
                code = code % 81 * 3;
            }
        }
    }
    let [minus, zero, plus] = sums;
    Some(Trits { scale, minus, zero, plus })
}

fn i2_s(bytes: &[u8]) -> Option<Trits> {
    let codes = bytes.len().checked_sub(TensorType::I2S.trailer_bytes() as usize)?;
    let scale = f32::from_le_bytes(*bytes.get(codes..)?.first_chunk()?);
    let sum = |chunk: &[u8]| {
        let mut counts = [0u64; 256];
        chunk.iter().for_each(|&b| counts[usize::from(b)] += 1);
        counts
    };
    let add = |mut a: [u64; 256], b: [u64; 256]| {
        a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        a
    };
    let counts = bytes[..codes].par_chunks(CHUNK_BLOCKS * 32).map(sum).reduce(|| [0; 256], add);
    (scale.is_finite() && scale > 0.0).then(|| of_two_bits(scale, &counts))?
}

/// All other types, up to the first element that breaks the rule.
fn numbers(file: &Gguf<'_>, tensor: &TensorInfo<'_>) -> Result<Trits, ModelError> {
    let matrix = Matrix::new(file, tensor)?;
    let (mut values, mut trits) = (Vec::with_capacity(matrix.cols), Trits { scale: 0.0, ..Trits::default() });
    for row in 0..matrix.rows {
        matrix.row_values(row, &mut values);
        for (col, &x) in values.iter().enumerate() {
            if x != 0.0 && x.is_finite() && trits.scale == 0.0 {
                trits.scale = x.abs();
            }
            match x {
                0.0 => trits.zero += 1,
                x if x == trits.scale && x.is_finite() => trits.plus += 1,
                x if x == -trits.scale && x.is_finite() => trits.minus += 1,
                x => return Err(super::ternary::not_ternary(tensor, row, col, trits.scale, x)),
            }
        }
    }
    if trits.scale == 0.0 {
        trits.scale = 1.0;
    }
    Ok(trits)
}
