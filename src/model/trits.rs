//! Whether a stored matrix is ternary: every element is -s, 0 or +s with one s for the tensor. In: a tensor of any stored type. Out: s and
//! how many elements there are of each kind; or the place of the first element that breaks the rule. Nothing is kept of the weights.

use rayon::prelude::*;

use super::error::{ModelError, Refusal, shown};
use super::gguf::blocks::{self, BadCode, TRITS_A_BLOCK};
use super::gguf::{Gguf, TensorInfo, TensorType};
use super::quant::Matrix;

/// Elements of a chunk that is counted at once.
const CHUNK_BLOCKS: usize = 1 << 14;
/// What to do about weights that are not ternary; damaged ones have another remedy.
pub(super) const NOT_TERNARY: &str = "use a model trained with ternary weights, stored from its ternary values (not from its masters)";
const DAMAGED: &str = "the weights are damaged: fetch or convert the model again";

/// How many elements of a ternary matrix are -s, 0 and s.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Trits {
    /// s; 1 where every element is 0 and the file gives none.
    pub scale: f32,
    pub minus: u64,
    pub zero: u64,
    pub plus: u64,
}

/// Looks at every element of a matrix.
///
/// # Errors
/// [`Refusal::NotTernary`] with tensor, row and column (or block) of the first element that is none of -s, 0, s.
pub(super) fn trits(file: &Gguf<'_>, tensor: &TensorInfo<'_>) -> Result<Trits, ModelError> {
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
fn same_scale(bytes: &[u8], block: usize, codes: usize) -> Option<(f32, Vec<[u64; 256]>)> {
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
    let (scale, counts) = same_scale(bytes, block, block - 2)?;
    of_two_bits(scale, &counts[0])
}

fn base3(bytes: &[u8]) -> Option<Trits> {
    const FIVE: usize = 48;
    let (scale, counts) = same_scale(bytes, TensorType::Tq1_0.block_bytes() as usize, FIVE)?;
    let mut sums = [0; 3];
    for (counts, digits) in counts.iter().zip([5, 4]) {
        for (byte, &n) in counts.iter().enumerate().filter(|c| *c.1 != 0) {
            let mut code = blocks::tq1_code(byte as u8)?;
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
                x => return Err(not_ternary(tensor, row, col, trits.scale, x)),
            }
        }
    }
    if trits.scale == 0.0 {
        trits.scale = 1.0;
    }
    Ok(trits)
}

fn refuse(tensor: &TensorInfo<'_>, place: String, expected: &str, found: String, remedy: &'static str) -> ModelError {
    let item = format!("tensor '{}' ({}), {place}", shown(tensor.name), tensor.kind.name());
    ModelError::refused(Refusal::NotTernary, item, expected, found, remedy)
}

fn place(element: usize, cols: usize) -> String {
    format!("row {}, column {}", element / cols, element % cols)
}

/// The refusal of a matrix whose element of `row` and `col` is `found`, where those before it that are not 0 had this magnitude.
fn not_ternary(tensor: &TensorInfo<'_>, row: usize, col: usize, scale: f32, found: f32) -> ModelError {
    let expected = if scale > 0.0 { format!("-{scale}, 0 or {scale}") } else { "a finite number".into() };
    refuse(tensor, format!("row {row}, column {col}"), &expected, found.to_string(), NOT_TERNARY)
}

/// TQ1_0 and TQ2_0: gives the trits of each block to `out`, and their scale, which may be negative. The scales of all blocks must be
/// bit-equal; a block of zeros may have scale 0.
fn ternary_blocks(tensor: &TensorInfo<'_>, bytes: &[u8], mut out: impl FnMut(&[i8])) -> Result<f32, ModelError> {
    let cols = tensor.columns() as usize;
    let mut common: Option<half::f16> = None;
    let mut trits = [0; TRITS_A_BLOCK];
    for (block, stored) in bytes.chunks_exact(tensor.kind.block_bytes() as usize).enumerate() {
        let decoded = match tensor.kind {
            TensorType::Tq1_0 => blocks::tq1_0(stored, &mut trits),
            _ => blocks::tq2_0(stored, &mut trits),
        };
        let first = block * TRITS_A_BLOCK;
        let scale = decoded.map_err(|BadCode { element, code }| {
            let expected = if tensor.kind == TensorType::Tq1_0 { "one of the 243 legal bytes" } else { "code 0, 1 or 2" };
            refuse(tensor, format!("{} (block {block})", place(first + element, cols)), expected, code.to_string(), DAMAGED)
        })?;
        let zeros = trits.iter().all(|&trit| trit == 0);
        let block_place = || format!("block {block} ({})", place(first, cols));
        if scale.to_f32() == 0.0 {
            if !zeros {
                return Err(refuse(tensor, block_place(), "a scale, or zeros only", "scale 0 and other trits".into(), DAMAGED));
            }
        } else if !scale.is_finite() {
            return Err(refuse(tensor, block_place(), "a finite scale", scale.to_string(), DAMAGED));
        } else if let Some(common) = common.filter(|common| common.to_bits() != scale.to_bits()) {
            let expected = format!("the tensor's one scale, {common}");
            return Err(refuse(tensor, block_place(), &expected, scale.to_string(), NOT_TERNARY));
        } else {
            common = Some(scale);
        }
        out(&trits);
    }
    Ok(common.map_or(1.0, half::f16::to_f32))
}
