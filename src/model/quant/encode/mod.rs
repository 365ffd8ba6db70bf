//! Numbers to stored rows, every type. In: one row of values in f32. Out: its blocks, rounded as ggml's reference quantisers round them
//! (the plain ones, without an importance matrix); or the first element that the type cannot hold.
//!
//! Bit-equal to PyPI `gguf` 0.19 (F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, TQ1_0, TQ2_0) and `libgguf` 0.2.2 (these and the
//! K types), see `tests/encode.rs`.
//!
//! Source: ggml's `ggml-quants.c`, functions `quantize_row_*_ref`; bitnet.cpp for I2_S.

mod k_blocks;
mod search;
mod small_blocks;
mod ternary_blocks;

use std::io;

use half::{bf16, f16};
use rayon::prelude::*;

use crate::model::gguf::TensorType;

/// Stores one row; `out` has exactly the bytes of its blocks. I2_S takes the signs alone: its scale stands behind the tensor
/// ([`trailer`]).
///
/// # Errors
/// The first element that is not finite, else the largest one of the first block whose float scale would not be finite.
pub fn encode_row(kind: TensorType, values: &[f32], out: &mut [u8]) -> Result<(), usize> {
    if let Some(element) = values.iter().position(|x| !x.is_finite()) {
        return Err(element);
    }
    match kind {
        TensorType::F32 => each(values, out, |x| Some(x.to_le_bytes())),
        TensorType::F16 => each(values, out, |x| Some(f16::from_f32(x)).filter(|h| h.is_finite()).map(f16::to_le_bytes)),
        TensorType::Bf16 => each(values, out, |x| Some(bf16::from_f32(x)).filter(|h| h.is_finite()).map(bf16::to_le_bytes)),
        TensorType::Q4_0 => blocks(kind, values, out, small_blocks::q4_0),
        TensorType::Q4_1 => blocks(kind, values, out, small_blocks::q4_1),
        TensorType::Q5_0 => blocks(kind, values, out, small_blocks::q5_0),
        TensorType::Q5_1 => blocks(kind, values, out, small_blocks::q5_1),
        TensorType::Q8_0 => blocks(kind, values, out, small_blocks::q8_0),
        TensorType::Q2K => blocks(kind, values, out, k_blocks::q2_k),
        TensorType::Q3K => blocks(kind, values, out, k_blocks::q3_k),
        TensorType::Q4K => blocks(kind, values, out, k_blocks::q4_k),
        TensorType::Q5K => blocks(kind, values, out, k_blocks::q5_k),
        TensorType::Q6K => blocks(kind, values, out, k_blocks::q6_k),
        TensorType::Tq1_0 => blocks(kind, values, out, ternary_blocks::tq1_0),
        TensorType::Tq2_0 => blocks(kind, values, out, ternary_blocks::tq2_0),
        TensorType::I2S => blocks(kind, values, out, ternary_blocks::i2_s),
    }
}

/// Elements that are stored at once: what bounds the memory of [`write_rows`].
const PIECE: usize = 1 << 19;

/// No block with a float scale of 16 bits holds more than this (Q6_K: 65504 · 128 · 32); below it no sum of a search overflows.
const BEYOND: f32 = (1 << 28) as f32;

/// Why rows could not be stored.
#[derive(Debug)]
pub enum Unstored {
    /// The value at this row and column is not finite, or has no place in the type.
    Value { row: usize, col: usize, value: f32 },
    /// What took the bytes failed.
    Write(io::Error),
}

impl From<io::Error> for Unstored {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// Makes (with `values_of`), stores and gives away (to `write`) all rows of a tensor but its trailer, some at a time, in parallel within
/// these; `done` is called with the number of rows that were written since.
///
/// # Errors
/// As [`encode_row`], for the first row that it refuses; and those of `write`.
pub fn write_rows(
    kind: TensorType,
    rows: usize,
    cols: usize,
    values_of: impl Fn(usize, &mut Vec<f32>) + Sync,
    write: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    done: &(dyn Fn(u64) + Sync),
) -> Result<(), Unstored> {
    let row_bytes = cols / kind.block_elements() as usize * kind.block_bytes() as usize;
    let piece_rows = (PIECE / cols.max(1)).clamp(1, rows.max(1));
    let mut stored = vec![0; piece_rows * row_bytes];
    for first in (0..rows).step_by(piece_rows) {
        let stored = &mut stored[..piece_rows.min(rows - first) * row_bytes];
        let encode = |values: &mut Vec<f32>, (row, out): (usize, &mut [u8])| {
            values_of(first + row, values);
            let refused = encode_row(kind, values, out).err();
            refused.map(|col| Unstored::Value { row: first + row, col, value: values[col] })
        };
        // Few rows a task, so that the first refused one ends the others soon.
        let refused = stored.par_chunks_exact_mut(row_bytes).enumerate().map_init(Vec::new, encode).find_map_first(|refused| refused);
        refused.map_or(Ok(()), Err)?;
        write(stored)?;
        done((stored.len() / row_bytes) as u64);
    }
    Ok(())
}

/// What stands behind the last block of a tensor whose values are -`scale`, 0 and `scale`; nothing but for I2_S.
pub fn trailer(kind: TensorType, scale: f32) -> Vec<u8> {
    let mut out = vec![0; kind.trailer_bytes() as usize];
    if let Some(head) = out.first_chunk_mut() {
        *head = scale.to_le_bytes();
    }
    out
}

fn each<const N: usize>(values: &[f32], out: &mut [u8], store: impl Fn(f32) -> Option<[u8; N]>) -> Result<(), usize> {
    for (element, (&x, word)) in values.iter().zip(out.as_chunks_mut().0).enumerate() {
        *word = store(x).ok_or(element)?;
    }
    Ok(())
}

/// Block by block; `store` says whether the block's float scales are finite.
fn blocks<const N: usize>(
    kind: TensorType,
    values: &[f32],
    out: &mut [u8],
    store: impl Fn(&[f32; N], &mut [u8]) -> bool,
) -> Result<(), usize> {
    let size = kind.block_bytes() as usize;
    for (at, (block, out)) in values.as_chunks().0.iter().zip(out.chunks_exact_mut(size)).enumerate() {
        let (place, most) = largest(block);
        if (most.abs() > BEYOND && kind != TensorType::I2S) || !store(block, out) {
            return Err(at * N + place);
        }
    }
    Ok(())
}

/// Place and value of the first element of largest magnitude; element 0 where all are 0.
fn largest(values: &[f32]) -> (usize, f32) {
    let mut best = (0, values[0]);
    for (at, &x) in values.iter().enumerate() {
        if x.abs() > best.1.abs() {
            best = (at, x);
        }
    }
    best
}

/// Writes `value` as f16 to the first two bytes of `out`: what it reads back as, and whether that is finite.
fn put_f16(out: &mut [u8], value: f32) -> (f32, bool) {
    let rounded = f16::from_f32(value);
    out[..2].copy_from_slice(&rounded.to_le_bytes());
    (rounded.to_f32(), rounded.is_finite())
}

/// The nearest integer, a half away from 0; as `f32::round`, which is a call where the machine has no instruction for it. For codes of 8 bits:
/// numbers beyond them (the steps of a scale that f16 has no place for are infinite) give one that is cut.
fn round(x: f32) -> i32 {
    let x = x.clamp(-255.0, 255.0);
    let whole = x as i32;
    let rest = x - whole as f32;
    whole + i32::from(rest >= 0.5) - i32::from(rest <= -0.5)
}

/// `1 / x`, and 0 for 0.
fn inverse(x: f32) -> f32 {
    if x == 0.0 { 0.0 } else { 1.0 / x }
}
