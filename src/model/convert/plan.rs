//! What becomes of each tensor, and the directory of the new file. In: a parsed file and what is wanted. Out: [`Step`]s; a [`GgufPlan`] with
//! the file's metadata.

use half::f16;
use rayon::prelude::*;

use super::role::{Role, role};
use super::{Options, Step, Work, ternarise};
use crate::model::error::{ModelError, Refusal, shown};
use crate::model::gguf::{DEFAULT_ALIGNMENT, Gguf, GgufPlan, Metadata, TensorInfo, TensorType};
use crate::model::trits::{NOT_TERNARY, trits};

/// Says which type most weights have; llama.cpp's `enum llama_ftype`, for I2_S bitnet.cpp's.
const FILE_TYPE: &str = "general.file_type";
/// Version of the quantised layouts (ggml's `GGML_QNT_VERSION`).
const QUANTISATION_VERSION: (&str, u32) = ("general.quantization_version", 2);
/// What only parts of a split model have.
const SPLIT: &str = "split.";
/// Our own key: how weights became ternary that were not trained so.
const TERNARISED: &str = "tritforge.ternarised";

/// The number in `general.file_type`; for the K types that of the smallest mixture, whose weights are (nearly) all of one type.
fn file_type(kind: TensorType) -> u32 {
    match kind {
        TensorType::F32 => 0,
        TensorType::F16 => 1,
        TensorType::Q4_0 => 2,
        TensorType::Q4_1 => 3,
        TensorType::Q8_0 => 7,
        TensorType::Q5_0 => 8,
        TensorType::Q5_1 => 9,
        TensorType::Q2K => 10,
        TensorType::Q3K => 11,
        TensorType::Q4K => 14,
        TensorType::Q5K => 16,
        TensorType::Q6K => 18,
        TensorType::Bf16 => 32,
        TensorType::Tq1_0 => 36,
        TensorType::Tq2_0 => 37,
        TensorType::I2S => 40,
    }
}

/// The metadata of `file` as they stand there, but for the split ones and those that say how weights are stored; and the tensors of `steps`.
pub(super) fn directory(file: &Gguf<'_>, steps: &[Step<'_, '_>], options: Options) -> GgufPlan {
    // As a reader of the new file will find it.
    let alignment = file.get_u64("general.alignment").ok().flatten().unwrap_or(DEFAULT_ALIGNMENT);
    let mut plan = GgufPlan::new(alignment);
    let ternarised = steps.iter().any(|step| matches!(step.work, Work::Ternarise(_)));
    let ours = |key: &str| key == FILE_TYPE || key == QUANTISATION_VERSION.0 || key.starts_with(SPLIT) || (ternarised && key == TERNARISED);
    for (key, value) in file.metadata().filter(|(key, _)| !ours(key)) {
        plan.value(key, value);
    }
    if ternarised {
        plan.metadata(TERNARISED, &Metadata::Text("absmean, without training".into()));
    }
    plan.metadata(QUANTISATION_VERSION.0, &Metadata::U32(QUANTISATION_VERSION.1));
    plan.metadata(FILE_TYPE, &Metadata::U32(file_type(options.kind)));
    for step in steps {
        plan.tensor(step.tensor.name, step.kind, &step.tensor.sizes[..step.tensor.dimensions as usize]);
    }
    plan
}

pub(super) fn steps<'f, 'a>(file: &'f Gguf<'a>, options: Options, done: &(dyn Fn(u64) + Sync)) -> Result<Vec<Step<'f, 'a>>, ModelError> {
    let one = |tensor: &'f TensorInfo<'a>| {
        let wanted = match role(tensor) {
            Role::Plain => TensorType::F32,
            // Neither is ternary in any model, and llama.cpp keeps both in other types as well.
            Role::Table if options.kind.is_ternary() => tensor.kind,
            Role::Table | Role::Linear => options.kind,
        };
        let kind = wanted.fitting(tensor.columns());
        let work = if wanted.is_ternary() && role(tensor) == Role::Linear {
            ternary(file, tensor, kind, options)?
        } else if tensor.kind == kind {
            Work::Copy
        } else {
            Work::Encode
        };
        done(1);
        Ok(Step { tensor, kind, wanted, work })
    };
    // Collected in order first, so that of several refusals the first in the file is reported.
    file.tensors().par_iter().map(one).collect::<Vec<_>>().into_iter().collect()
}

/// The way of a linear weight to a ternary type (or to `kind`, where its rows do not fit that).
fn ternary(file: &Gguf<'_>, tensor: &TensorInfo<'_>, kind: TensorType, options: Options) -> Result<Work, ModelError> {
    let (scale, work) = match trits(file, tensor) {
        Ok(_) if tensor.kind == kind => return Ok(Work::Copy),
        Ok(trits) => (trits.scale, Work::Ternary(trits.scale)),
        Err(refusal) if !options.ternarise || !may_be_rounded(&refusal) => return Err(hint(refusal)),
        Err(_) => {
            let scale = ternarise::mean_magnitude(file, tensor)?;
            (scale as f32, Work::Ternarise(scale))
        }
    };
    let kept = kept_scale(kind, scale);
    if !kept.is_finite() || kept == 0.0 {
        let item = format!("scale of tensor '{}' ({})", shown(tensor.name), tensor.kind.name());
        let expected = format!("one that the f16 of {} can hold, 6e-8 to 65504", kind.name());
        let remedy = "choose i2_s, whose scale is an f32 (rows must be multiples of 128), or f32";
        return Err(ModelError::refused(Refusal::Bounds, item, expected, scale.to_string(), remedy));
    }
    Ok(work)
}

/// What `kind` makes of the scale of a ternary tensor.
pub(super) fn kept_scale(kind: TensorType, scale: f32) -> f32 {
    match kind {
        TensorType::F32 | TensorType::I2S => scale,
        // The codes of ±s are ±127.
        TensorType::Q8_0 => f16::from_f32(scale / 127.0).to_f32() * 127.0,
        _ => f16::from_f32(scale).to_f32(),
    }
}

/// Whether the refusal is that of weights which are all right, but not ternary.
fn may_be_rounded(refusal: &ModelError) -> bool {
    matches!(refusal, ModelError::Refused { refusal: Refusal::NotTernary, remedy: NOT_TERNARY, .. })
}

/// The refusal of a weight that is not ternary, with what can be done here about it.
fn hint(refusal: ModelError) -> ModelError {
    match refusal {
        ModelError::Refused { refusal: Refusal::NotTernary, item, expected, found, remedy: NOT_TERNARY } => {
            let remedy = "ternary types hold nothing else: choose another type, or round with --ternarise (that is no training: the model will be bad)";
            ModelError::refused(Refusal::NotTernary, item, expected, found, remedy)
        }
        other => other,
    }
}
