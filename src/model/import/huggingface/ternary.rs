//! Linear layers of BitNet b1.58 as `transformers` stores them. Out: an [`Entry`] whose values are exactly -s, 0 and s.
//!
//! Packed: `weight` is U8 with a quarter of the rows; bits 2q and 2q + 1 of its row p are trit + 1 of row p + q·rows/4.
//! `weight_scale` has one element w; s is w where products are multiplied with it (`autobitlinear`) and 1/w, rounded to f32, where they are
//! divided by it (`bitlinear`). Masters: s = max(mean |x|, 1e-5), trit = x/s rounded to even and clamped, and s rounded to the
//! masters' type, as `WeightQuant` does it; the mean is taken in f64.
//!
//! Stored as I2_S, which holds s in f32; rows that are no multiple of its 128 are BF16, or F32 where BF16 does not hold s.
//!
//! Source: `integrations/bitnet.py` of `transformers` 5.23.

use half::{bf16, f16};
use safetensors::Dtype;

use super::super::safetensors::{Stored, Tensors};
use super::super::{Entry, Place};
use super::config::Ternary;
use super::{float, values};
use crate::model::error::{ModelError, Refusal, shown};
use crate::model::gguf::TensorType;
use crate::model::gguf::blocks::to_i2_s;
use crate::model::quant::encode::trailer;

/// Trits of a packed byte.
const TRITS_A_BYTE: usize = 4;
/// The mean of magnitudes is taken as at least this.
const MEAN_FLOOR: f32 = 1e-5;

/// One layer, to be made.
#[derive(Debug)]
pub(super) struct Linear<'a> {
    /// Name of the tensor in the file and in GGUF.
    theirs: String,
    ours: String,
    rows: usize,
    cols: usize,
    weight: Stored<'a>,
    /// s; `None` for masters.
    scale: Option<f32>,
}

impl<'a> Linear<'a> {
    /// Takes the layer's tensors; `theirs` without `.weight`.
    ///
    /// # Errors
    /// [`Refusal::Missing`], [`Refusal::Contradiction`], [`Refusal::Bounds`]: no such tensor, another shape, a storage that the
    /// configuration does not allow, a scale that is none.
    pub fn take(tensors: &mut Tensors<'a>, theirs: &str, ours: String, [rows, cols]: [usize; 2], how: Ternary) -> Result<Self, ModelError> {
        let name = format!("{theirs}.weight");
        let weight = tensors.take_any(&name)?;
        let packed = weight.dtype == Dtype::U8;
        let stored_rows = if packed { rows.div_ceil(TRITS_A_BYTE) } else { rows };
        if weight.shape != [stored_rows, cols] || (packed && !rows.is_multiple_of(TRITS_A_BYTE)) {
            let whole = if packed { ", a quarter of the rows" } else { "" };
            let (item, expected) = (format!("shape of tensor '{}'", shown(&name)), format!("[{stored_rows}, {cols}]{whole}"));
            let found = format!("{:?} for {rows} rows", weight.shape);
            return Err(ModelError::refused(Refusal::Contradiction, item, expected, found, super::config::REMEDY));
        }
        let scale = match (how, packed) {
            (Ternary::Divides, true) => Some(1.0 / scale(tensors, theirs)?),
            (Ternary::Multiplies, _) => Some(scale(tensors, theirs)?),
            (Ternary::Online, false) => None,
            (Ternary::Divides, false) | (Ternary::Online, true) => {
                let expected = if packed { "floats, as config.json says" } else { "packed U8, as config.json says" };
                let item = format!("type of tensor '{}'", shown(&name));
                let found = format!("{:?}", weight.dtype);
                return Err(ModelError::refused(Refusal::Contradiction, item, expected, found, super::config::REMEDY));
            }
        };
        if let Some(s) = scale.filter(|s| !s.is_finite() || *s == 0.0) {
            let item = format!("tensor '{theirs}.weight_scale'");
            return Err(ModelError::refused(Refusal::Bounds, item, "a scale", s.to_string(), super::config::REMEDY));
        }
        if !packed {
            float(&weight, &name)?;
        }
        Ok(Self { theirs: name, ours, rows, cols, weight, scale })
    }

    /// Whether these are masters, which are made ternary here.
    pub fn is_master(&self) -> bool {
        self.scale.is_none()
    }

    /// Makes the tensor.
    ///
    /// # Errors
    /// [`Refusal::NotTernary`] with the place of a code that is no trit; [`Refusal::Bounds`] for a master that is no number.
    pub fn entry(&self) -> Result<Entry, ModelError> {
        let sizes = vec![self.cols as u64, self.rows as u64];
        let name = self.ours.clone();
        let (trits, scale, origin) = match (self.weight.dtype, self.scale) {
            (Dtype::U8, Some(scale)) => {
                self.check_codes()?;
                let (kind, bytes) = self.repack(scale);
                return Ok(Entry { name, kind, sizes, place: Place::Own(bytes), origin: Some("packed U8") });
            }
            (_, Some(scale)) => (self.unpacked()?, scale, "trits as floats"),
            (_, None) => {
                let (trits, scale) = self.ternarise()?;
                (trits, scale, "masters")
            }
        };
        let (kind, bytes) = store(&trits, self.cols, scale);
        Ok(Entry { name, kind, sizes, place: Place::Own(bytes), origin: Some(origin) })
    }

    /// Refuses the first code of packed weights, in the order of elements, that is no trit.
    fn check_codes(&self) -> Result<(), ModelError> {
        let packed = self.weight.bytes;
        // Both bits of a code set, in any of four.
        if packed.iter().fold(0, |wrong, byte| wrong | byte & byte >> 1 & 0x55) == 0 {
            return Ok(());
        }
        let wrong = |quarter: usize| packed.iter().position(|byte| byte >> (2 * quarter) & 3 == 3).map(|at| quarter * packed.len() + at);
        let first = (0..TRITS_A_BYTE).find_map(wrong).unwrap_or(0);
        Err(self.not_ternary(first, "code 0, 1 or 2", "3"))
    }

    /// Packed weights in a type that holds the scale. A quarter of the rows is the bytes' own order, so its trits need no place of
    /// their own on the way to I2_S.
    fn repack(&self, scale: f32) -> (TensorType, Vec<u8>) {
        let packed = self.weight.bytes;
        let trit = |byte: u8, quarter: usize| (byte >> (2 * quarter) & 3) as i8 - 1;
        if !(self.cols as u64).is_multiple_of(TensorType::I2S.block_elements()) {
            let trits: Vec<i8> = (0..TRITS_A_BYTE).flat_map(|quarter| packed.iter().map(move |&byte| trit(byte, quarter))).collect();
            return store(&trits, self.cols, scale);
        }
        let end = trailer(TensorType::I2S, scale);
        let mut bytes = Vec::with_capacity(packed.len() + end.len());
        bytes.resize(packed.len(), 0);
        for (quarter, part) in bytes.chunks_exact_mut(packed.len() / TRITS_A_BYTE).enumerate() {
            let blocks = part.chunks_exact_mut(TensorType::I2S.block_bytes() as usize);
            let mut trits = [0; TensorType::I2S.block_elements() as usize];
            for (codes, block) in packed.as_chunks::<{ TensorType::I2S.block_elements() as usize }>().0.iter().zip(blocks) {
                trits.iter_mut().zip(codes).for_each(|(out, &byte)| *out = trit(byte, quarter));
                to_i2_s(&trits, block);
            }
        }
        bytes.extend(end);
        (TensorType::I2S, bytes)
    }

    /// Trits that are stored as numbers.
    fn unpacked(&self) -> Result<Vec<i8>, ModelError> {
        let values = values(&self.weight, &self.theirs)?;
        match values.iter().position(|x| ![-1.0, 0.0, 1.0].contains(x)) {
            None => Ok(values.into_iter().map(|x| x as i8).collect()),
            Some(at) => Err(self.not_ternary(at, "-1, 0 or 1, as config.json says (offline)", &values[at].to_string())),
        }
    }

    /// As `WeightQuant`.
    fn ternarise(&self) -> Result<(Vec<i8>, f32), ModelError> {
        let masters = values(&self.weight, &self.theirs)?;
        let sum: f64 = masters.iter().map(|x| f64::from(x.abs())).sum();
        let scale = 1.0 / ((sum / masters.len() as f64) as f32).max(MEAN_FLOOR);
        if !sum.is_finite() {
            let at = masters.iter().position(|x| !x.is_finite()).unwrap_or(0);
            return Err(self.not_ternary(at, "a finite number", &masters[at].to_string()));
        }
        let trits = masters.iter().map(|x| (x * scale).round_ties_even().clamp(-1.0, 1.0) as i8).collect();
        let value = 1.0 / scale;
        let rounded = match self.weight.dtype {
            Dtype::BF16 => bf16::from_f32(value).to_f32(),
            Dtype::F16 => f16::from_f32(value).to_f32(),
            _ => value,
        };
        Ok((trits, rounded))
    }

    fn not_ternary(&self, at: usize, expected: &str, found: &str) -> ModelError {
        let item = format!("tensor '{}', row {}, column {}", shown(&self.theirs), at / self.cols, at % self.cols);
        let remedy = "the weights are damaged or not what config.json says: download the folder again";
        ModelError::refused(Refusal::NotTernary, item, expected, found, remedy)
    }
}

/// The one element of `weight_scale`.
fn scale(tensors: &mut Tensors<'_>, theirs: &str) -> Result<f32, ModelError> {
    let name = format!("{theirs}.weight_scale");
    let stored = tensors.take_any(&name)?;
    let found = values(&stored, &name)?;
    match found[..] {
        [scale] => Ok(scale),
        _ => {
            let (item, found) = (format!("shape of tensor '{}'", shown(&name)), format!("{:?}", stored.shape));
            Err(ModelError::refused(Refusal::Contradiction, item, "one element", found, super::config::REMEDY))
        }
    }
}

/// Trits, row by row, in a type that holds the scale.
fn store(trits: &[i8], cols: usize, scale: f32) -> (TensorType, Vec<u8>) {
    let short = bf16::from_f32(scale);
    if (cols as u64).is_multiple_of(TensorType::I2S.block_elements()) {
        let mut bytes = vec![0; trits.len() / TRITS_A_BYTE];
        let blocks = bytes.chunks_exact_mut(TensorType::I2S.block_bytes() as usize);
        trits.as_chunks().0.iter().zip(blocks).for_each(|(trits, block)| to_i2_s(trits, block));
        bytes.extend(trailer(TensorType::I2S, scale));
        (TensorType::I2S, bytes)
    } else if short.to_f32() == scale {
        let value = |trit: i8| bf16::from_f32(f32::from(trit) * scale).to_le_bytes();
        (TensorType::Bf16, trits.iter().flat_map(|&trit| value(trit)).collect())
    } else {
        (TensorType::F32, super::f32_bytes(trits.iter().map(|&trit| f32::from(trit) * scale)))
    }
}
