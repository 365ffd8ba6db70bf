//! The integer model of a float model (docs/numerics.md): gains, constants, head planes, residual rows. In: [`Model`] and the choices
//! of the calibration. Out: [`IntModel`]; refused where the contract does not cover the model.

use std::f64::consts::LOG2_E;

use tritforge_spec::hw::AttnShape;
use tritforge_spec::numerics::head::{PLANES, balanced_digits, quantise_row};
use tritforge_spec::numerics::headq::code_limit;
use tritforge_spec::numerics::norm::{integer_gains, norm_constants};
use tritforge_spec::numerics::{MAX_CONTEXT, MAX_K, Scale};
use tritforge_spec::reference as int;
use tritforge_spec::rom::rope_steps;

use super::calibrate::{FracBits, calibrate};
use crate::model::error::Refusal;
use crate::model::quant::StoredMatrix;
use crate::model::weights::Layer;
use crate::model::{Activation, Model, ModelError, ModelShape, TernaryTensor, Tokenizer};

const REMEDY: &str = "this version's integer pipeline does not cover the model: use another one";

fn refused(item: impl Into<String>, expected: impl Into<String>, found: impl ToString) -> ModelError {
    ModelError::refused(Refusal::Bounds, item, expected, found.to_string(), REMEDY)
}

/// Calibrates and quantises a model for `kv_bits` (4, 6 or 8) of KV codes.
///
/// # Errors
/// [`Refusal::Bounds`] naming the dimension or constant that the contract does not cover.
pub fn compile_model(model: &Model, tokenizer: Option<&Tokenizer>, kv_bits: usize) -> Result<int::IntModel, ModelError> {
    // Refused before the calibration spends time.
    check_kv_bits(kv_bits)?;
    attn_shape(&model.shape)?;
    quantise(model, calibrate(model, tokenizer)?, kv_bits)
}

/// The attention shape of a model, its context cut to the contract's.
///
/// # Errors
/// The first dimension that the contract does not cover.
pub fn attn_shape(s: &ModelShape) -> Result<AttnShape, ModelError> {
    if !(32..=128).contains(&s.head_dim) || !s.head_dim.is_multiple_of(16) {
        return Err(refused("head size", "a multiple of 16, 32 to 128", s.head_dim));
    }
    for (item, k) in [("embedding length", s.dim), ("heads x head size", s.query_dim()), ("feed-forward length", s.ffn)] {
        if k > MAX_K {
            return Err(refused(item, format!("at most {MAX_K}"), k));
        }
    }
    Ok(AttnShape {
        layers: s.layers,
        dim: s.dim,
        heads: s.heads,
        kv_heads: s.kv_heads,
        head_dim: s.head_dim,
        context: s.context.min(MAX_CONTEXT),
        rope_theta: f64::from(s.rope_theta),
    })
}

/// Quantises a model whose fraction bits are known.
///
/// # Errors
/// As [`compile_model`].
pub fn quantise(model: &Model, frac: FracBits, kv_bits: usize) -> Result<int::IntModel, ModelError> {
    check_kv_bits(kv_bits)?;
    let shape = attn_shape(&model.shape)?;
    let eps = f64::from(model.shape.rms_epsilon);
    let build = Build { shape: &shape, eps, frac, kv_limit: f64::from(code_limit(kv_bits)) };
    let layers = model.layers.iter().enumerate().map(|(n, layer)| build.layer(n, layer)).collect::<Result<_, _>>()?;
    let unit = f64::from(frac.residual).exp2();
    let residual = |v: f32| (f64::from(v) * unit).round_ties_even().clamp(i32::MIN.into(), i32::MAX.into()) as i32;
    Ok(int::IntModel {
        ffn: model.shape.ffn,
        vocab: model.shape.vocab,
        activation: match model.shape.activation {
            Activation::Relu2 => int::Activation::Relu2,
            Activation::Silu => int::Activation::Silu,
        },
        kv_bits,
        res_frac: frac.residual,
        attn_frac: frac.attention,
        rope_steps: rope_steps(shape.rope_theta, shape.head_dim),
        embedding: (0..model.shape.vocab).flat_map(|row| model.token_embd.row(row)).map(residual).collect(),
        layers,
        head: head(model.head(), build.norm("output_norm", &model.output_norm, frac.residual)?),
        shape,
    })
}

fn check_kv_bits(bits: usize) -> Result<(), ModelError> {
    if [4, 6, 8].contains(&bits) {
        return Ok(());
    }
    Err(ModelError::refused(Refusal::Bounds, "KV bits", "4, 6 or 8", bits.to_string(), "choose one of these widths"))
}

struct Build<'b> {
    shape: &'b AttnShape,
    eps: f64,
    frac: FracBits,
    kv_limit: f64,
}

impl Build<'_> {
    fn layer(&self, n: usize, w: &Layer) -> Result<int::IntLayer, ModelError> {
        let name = |part: &str| format!("blk.{n}.{part}");
        let constant = |part: &str, value: f64| constant(&name(part), value);
        let scale = |w: &TernaryTensor| f64::from(w.scale);
        let (unit, attn_unit) = (f64::from(self.frac.residual).exp2(), f64::from(self.frac.attention).exp2());
        // The rotation's ROM has 15 fraction bits; scores are in log2 units.
        let rotation = 2f64.powi(-15);
        let attn = int::AttnParams {
            norm: self.norm(&name("attn_norm"), &w.attn_norm, self.frac.residual)?,
            q: rows(&w.q),
            k: rows(&w.k),
            v: rows(&w.v),
            c_q: constant("attn_q", scale(&w.q) * rotation * LOG2_E / (self.shape.head_dim as f64).sqrt() / 127.0)?,
            c_k: constant("attn_k", scale(&w.k) * rotation / self.kv_limit)?,
            c_v: constant("attn_v", scale(&w.v) * rotation / self.kv_limit * attn_unit)?,
            sub_norm: self.norm(&name("attn_sub_norm"), &w.attn_sub_norm, self.frac.attention)?,
            o: rows(&w.o),
            c_o: constant("attn_output", scale(&w.o) * unit)?,
        };
        let (gain, gain_exponent) = gains(&w.ffn_sub_norm);
        let k = w.ffn_sub_norm.len() as f64;
        let ffn = int::FfnParams {
            norm: self.norm(&name("ffn_norm"), &w.ffn_norm, self.frac.residual)?,
            gate: rows(&w.gate),
            up: rows(&w.up),
            c_gate: constant("ffn_gate", scale(&w.gate))?,
            c_up: constant("ffn_up", scale(&w.up))?,
            sub_norm: int::FloatNorm {
                gain,
                gain_exponent,
                c_eps: constant("ffn_sub_norm", k * self.eps)?,
                c: constant("ffn_sub_norm", k.sqrt() * f64::from(gain_exponent).exp2() / 127.0)?,
            },
            down: rows(&w.down),
            c_down: constant("ffn_down", scale(&w.down) * unit)?,
        };
        Ok(int::IntLayer { attn, ffn })
    }

    fn norm(&self, item: &str, gain: &[f32], frac: u32) -> Result<int::Norm, ModelError> {
        let (gain, gain_exponent) = gains(gain);
        let too_large = || refused(format!("epsilon of {item}"), "K·epsilon·2^(2F) below 2^64", self.eps);
        let (eps, c) = norm_constants(gain.len(), self.eps, frac, gain_exponent).ok_or_else(too_large)?;
        Ok(int::Norm { gain, gain_exponent, eps, c })
    }
}

fn gains(gain: &[f32]) -> (Vec<i32>, i32) {
    integer_gains(&gain.iter().map(|&g| f64::from(g)).collect::<Vec<_>>())
}

fn rows(w: &TernaryTensor) -> int::TernaryRows {
    int::TernaryRows { rows: w.rows, cols: w.cols, trits: w.to_trits() }
}

/// A Scale constant; refused where its exponent leaves the range.
fn constant(item: &str, value: f64) -> Result<Scale, ModelError> {
    match Scale::of_sat(value) {
        (scale, false) => Ok(scale),
        (_, true) => Err(refused(format!("scale of {item}"), "a number between 2^-113 and 2^143", value)),
    }
}

/// Rows of the head's matrix as integers, in planes of balanced ternary digits.
fn head(matrix: &StoredMatrix, norm: int::Norm) -> int::HeadParams {
    let mut planes: [Vec<i8>; PLANES] = std::array::from_fn(|_| Vec::with_capacity(matrix.rows() * matrix.cols()));
    let mut row_scales = Vec::with_capacity(matrix.rows());
    let mut w = vec![0; matrix.cols()];
    for r in 0..matrix.rows() {
        let row: Vec<f64> = matrix.row(r).iter().map(|&v| f64::from(v)).collect();
        row_scales.push(quantise_row(&row, &mut w));
        for &w in &w {
            for (plane, digit) in planes.iter_mut().zip(balanced_digits(w.into())) {
                plane.push(digit);
            }
        }
    }
    let planes = planes.map(|trits| int::TernaryRows { rows: matrix.rows(), cols: matrix.cols(), trits });
    int::HeadParams { norm, planes, row_scales }
}
