//! A linear weight of a ternary model: every element is -s, 0 or +s with one s for the tensor. In: a tensor of
//! any stored type. Out: its trits, two bits each, and s; or the place of the first element that breaks the rule.

use super::error::{ModelError, Refusal, shown};
use super::gguf::blocks::{self, BadCode, TRITS_A_BLOCK};
use super::gguf::{Gguf, TensorInfo, TensorType};
use super::quant::Matrix;

const TRITS_A_BYTE: usize = 4;
const NOT_TERNARY: &str = "use a model trained with ternary weights, stored from its ternary values (not from its masters)";
const DAMAGED: &str = "the weights are damaged: fetch or convert the model again";

/// The trits of every packed byte.
const TRITS_OF_BYTE: [[i8; TRITS_A_BYTE]; 256] = {
    let mut table = [[0; TRITS_A_BYTE]; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut lane = 0;
        while lane < TRITS_A_BYTE {
            table[byte][lane] = (byte >> (2 * lane) & 3) as i8 - 1;
            lane += 1;
        }
        byte += 1;
    }
    table
};

/// A ternary matrix: `rows` outputs by `cols` inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct TernaryTensor {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub cols: usize,
    /// The one scale, positive and finite: a weight is `scale · trit`. 1 where every trit is 0 and the file gives none.
    pub scale: f32,
    /// Codes trit + 1, four a byte, first in the lowest bits; each row starts at a byte.
    packed: Vec<u8>,
}

impl TernaryTensor {
    /// Packs `rows · cols` trits given row by row.
    ///
    /// # Panics
    /// If the number of trits is another one (a mistake of the caller).
    pub fn from_trits(rows: usize, cols: usize, scale: f32, trits: &[i8]) -> Self {
        assert_eq!(trits.len(), rows * cols, "trits of a {rows} x {cols} tensor");
        let pack = |four: &[i8]| four.iter().rev().fold(0, |byte, &trit| byte << 2 | (trit + 1) as u8);
        let packed = trits.chunks_exact(cols).flat_map(|row| row.chunks(TRITS_A_BYTE).map(pack)).collect();
        Self { rows, cols, scale, packed }
    }

    /// Reads a tensor of `[cols, rows]` that must be ternary.
    ///
    /// # Errors
    /// [`Refusal::NotTernary`] with tensor, row and column (or block) of the first element that is not.
    pub fn read(file: &Gguf<'_>, tensor: &TensorInfo<'_>) -> Result<Self, ModelError> {
        let cols = tensor.columns() as usize;
        let rows = (tensor.elements() / tensor.columns()) as usize;
        let (trits, scale) = match tensor.kind {
            TensorType::Tq1_0 | TensorType::Tq2_0 => {
                let mut trits = Vec::with_capacity(tensor.elements() as usize);
                let scale = ternary_blocks(tensor, file.tensor_bytes(tensor), |block| trits.extend_from_slice(block))?;
                if scale < 0.0 {
                    // -s, 0, +s all the same, counted from the other end.
                    trits.iter_mut().for_each(|trit| *trit = -*trit);
                }
                (trits, scale.abs())
            }
            _ => from_numbers(tensor, &Matrix::new(file, tensor)?)?,
        };
        Ok(Self::from_trits(rows, cols, scale, &trits))
    }

    /// The trit of output `row` and input `col`: -1, 0 or 1.
    pub fn trit(&self, row: usize, col: usize) -> i8 {
        let byte = self.packed_row(row)[col / TRITS_A_BYTE];
        (byte >> (2 * (col % TRITS_A_BYTE)) & 3) as i8 - 1
    }

    /// Writes one row's trits to `out`, which holds `cols` elements.
    pub fn unpack_row(&self, row: usize, out: &mut [i8]) {
        let packed = self.packed_row(row);
        let (whole, rest) = out[..self.cols].as_chunks_mut::<TRITS_A_BYTE>();
        for (four, &byte) in whole.iter_mut().zip(packed) {
            *four = TRITS_OF_BYTE[usize::from(byte)];
        }
        if let (false, Some(&byte)) = (rest.is_empty(), packed.last()) {
            rest.copy_from_slice(&TRITS_OF_BYTE[usize::from(byte)][..rest.len()]);
        }
    }

    /// All trits, row by row.
    pub fn to_trits(&self) -> Vec<i8> {
        let mut out = vec![0; self.rows * self.cols];
        for (row, trits) in out.chunks_exact_mut(self.cols).enumerate() {
            self.unpack_row(row, trits);
        }
        out
    }

    fn packed_row(&self, row: usize) -> &[u8] {
        let bytes = self.cols.div_ceil(TRITS_A_BYTE);
        &self.packed[row * bytes..(row + 1) * bytes]
    }
}

fn refuse(tensor: &TensorInfo<'_>, place: String, expected: &str, found: String, remedy: &'static str) -> ModelError {
    let item = format!("tensor '{}' ({}), {place}", shown(tensor.name), tensor.kind.name());
    ModelError::refused(Refusal::NotTernary, item, expected, found, remedy)
}

fn place(element: usize, cols: usize) -> String {
    format!("row {}, column {}", element / cols, element % cols)
}

/// The refusal of a matrix whose element of `row` and `col` is `found`, where those before it that are not 0 had this magnitude.
pub(super) fn not_ternary(tensor: &TensorInfo<'_>, row: usize, col: usize, scale: f32, found: f32) -> ModelError {
    let expected = if scale > 0.0 { format!("-{scale}, 0 or {scale}") } else { "a finite number".into() };
    refuse(tensor, format!("row {row}, column {col}"), &expected, found.to_string(), NOT_TERNARY)
}

/// TQ1_0 and TQ2_0: gives the trits of each block to `out`, and their scale, which may be negative. The scales of all blocks must be
/// bit-equal; a block of zeros may have scale 0.
pub(super) fn ternary_blocks(tensor: &TensorInfo<'_>, bytes: &[u8], mut out: impl FnMut(&[i8])) -> Result<f32, ModelError> {
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

/// All other types: s is the magnitude of the first element that is not 0, every other one must be ±s or 0.
fn from_numbers(tensor: &TensorInfo<'_>, matrix: &Matrix<'_>) -> Result<(Vec<i8>, f32), ModelError> {
    let mut out = Vec::with_capacity(tensor.elements() as usize);
    let mut scale: Option<f32> = None;
    let mut wrong = None;
    matrix.for_each_value(|x| {
        if x == 0.0 {
            out.push(0);
        } else if x.is_finite() && x.abs() == *scale.get_or_insert(x.abs()) {
            out.push(if x > 0.0 { 1 } else { -1 });
        } else {
            wrong.get_or_insert((out.len(), x, scale));
            out.push(0);
        }
    });
    if let Some((element, x, scale)) = wrong {
        return Err(not_ternary(tensor, element / matrix.cols, element % matrix.cols, scale.unwrap_or(0.0), x));
    }
    Ok((out, scale.unwrap_or(1.0)))
}
