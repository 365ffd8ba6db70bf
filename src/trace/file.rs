//! Traces as safetensors files: docs/trace.md. In: bytes of a file. Out: a [`Trace`], every name, type and shape checked; and back.
//!
//! The crate checks the header against the bytes that are there before anything is allocated; what it cannot know is checked here: what
//! a tensor is called, which axes it has, how many tokens.

use std::collections::HashMap;
use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{About, Number, Tensor, Trace};
use crate::model::error::shown;
use crate::model::judge::{Place, Stage};

/// Value of the metadata `format`.
pub const FORMAT: &str = "tritforge trace 1";
/// What the name of an int8 stage's scales ends in.
const SCALE: &str = ".scale";
/// No model has more layers, no sequence more positions.
const LARGEST: usize = 1 << 24;
const REMEDY: &str = "write the trace with `tritforge trace` or the scripts under scripts/ (docs/trace.md)";

/// Why a file is no trace.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{item}: expected {expected}, found {found}; {remedy}")]
pub struct TraceError {
    /// What was looked at.
    pub item: String,
    /// What should have been there.
    pub expected: String,
    /// What was there.
    pub found: String,
    /// What to do.
    pub remedy: &'static str,
}

fn refuse(item: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> TraceError {
    TraceError { item: item.into(), expected: expected.into(), found: found.into(), remedy: REMEDY }
}

/// Reads the trace in the file at `path`.
///
/// # Errors
/// The system's error, or [`TraceError`], with the path.
pub fn read(path: &Path) -> anyhow::Result<Trace> {
    use anyhow::Context;
    let context = || format!("trace {}", path.display());
    crate::inputs::note(path);
    // Asked before it is opened: a pipe that nobody writes to would never open.
    if !std::fs::metadata(path).with_context(context)?.is_file() {
        return Err(refuse("file", "a safetensors file", "no regular file")).with_context(context);
    }
    let file = std::fs::File::open(path).with_context(context)?;
    // SAFETY: the map is read-only and private to this function; a trace is not written while it is read.
    let map = unsafe { memmap2::Mmap::map(&file) }.with_context(context)?;
    parse(&map).with_context(context)
}

/// Reads a trace.
///
/// # Errors
/// [`TraceError`]: no safetensors file, another format, no tokens, a tensor whose type or axes are not its stage's.
pub fn parse(bytes: &[u8]) -> Result<Trace, TraceError> {
    let bad = |error: safetensors::SafeTensorError| refuse("file", "a safetensors file", error.to_string());
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(bad)?;
    let texts = header.metadata().clone().unwrap_or_default();
    let file = SafeTensors::deserialize(bytes).map_err(bad)?;
    let text = |key: &str| texts.get(key).map_or("", String::as_str);
    if text("format") != FORMAT {
        let found = if text("format").is_empty() { "nothing".into() } else { format!("'{}'", shown(text("format"))) };
        return Err(refuse("metadata 'format'", format!("'{FORMAT}'"), found));
    }
    let about = About {
        runtime: shown(text("runtime")),
        arithmetic: shown(text("arithmetic")),
        model: shown(text("model")),
        model_hash: shown(text("model_hash")),
    };
    let mut trace = Trace::new(about, &tokens(&file)?);
    trace.first_position = match text("first_position") {
        "" => 0,
        number => number.parse().ok().filter(|&first| first <= LARGEST).ok_or_else(|| {
            let found = format!("'{}'", shown(number));
            refuse("metadata 'first_position'", format!("a number up to {LARGEST}"), found)
        })?,
    };
    let tensors: HashMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
    for (name, view) in &tensors {
        if name == "tokens" {
            continue;
        }
        let place = name.strip_suffix(SCALE).unwrap_or(name).parse::<Place>();
        match place {
            Ok(place) if place.layer.is_none_or(|layer| layer < LARGEST) => {
                let scales = tensors.get(&format!("{name}{SCALE}"));
                if name.ends_with(SCALE) {
                    check_belongs(name, place, &tensors)?;
                } else {
                    trace.set(place, tensor(&trace, name, place.stage, view, scales)?);
                }
            }
            _ => trace.unknown.push(shown(name)),
        }
    }
    trace.unknown.sort();
    Ok(trace)
}

/// The ids of the pass.
fn tokens(file: &SafeTensors<'_>) -> Result<Vec<u32>, TraceError> {
    let item = "tensor 'tokens'";
    let view = file.tensor("tokens").map_err(|_| refuse(item, "I32 or I64, one axis", "nothing"))?;
    let bytes = view.data();
    let ids: Vec<i64> = match view.dtype() {
        Dtype::I32 => bytes.as_chunks().0.iter().map(|&word| i32::from_le_bytes(word).into()).collect(),
        Dtype::U32 => bytes.as_chunks().0.iter().map(|&word| u32::from_le_bytes(word).into()).collect(),
        Dtype::I64 => bytes.as_chunks().0.iter().map(|&word| i64::from_le_bytes(word)).collect(),
        other => return Err(refuse(item, "I32 or I64", format!("{other:?}"))),
    };
    if view.shape().len() != 1 || ids.is_empty() {
        return Err(refuse(item, "one axis, one id or more", format!("{:?}", view.shape())));
    }
    let id =
        |id: i64| u32::try_from(id).ok().filter(|&id| (id as usize) < LARGEST).ok_or_else(|| refuse(item, "token ids", id.to_string()));
    ids.into_iter().map(id).collect()
}

/// Scales stand beside codes.
fn check_belongs(name: &str, place: Place, tensors: &HashMap<String, TensorView<'_>>) -> Result<(), TraceError> {
    match tensors.get(&place.to_string()) {
        Some(codes) if codes.dtype() == Dtype::I8 => Ok(()),
        _ => Err(refuse(format!("tensor '{name}'"), format!("int8 codes '{place}' beside it"), "none")),
    }
}

/// Whether the stage has int8 codes.
fn is_int8(stage: Stage) -> bool {
    matches!(stage, Stage::AttnNormQ8 | Stage::AttnSubNormQ8 | Stage::FfnNormQ8 | Stage::FfnSubNormQ8)
}

fn tensor(trace: &Trace, name: &str, stage: Stage, view: &TensorView<'_>, scales: Option<&TensorView<'_>>) -> Result<Tensor, TraceError> {
    let item = || format!("tensor '{name}'");
    let shape = view.shape().to_vec();
    let tokens = trace.tokens.len();
    // The last stages may be those of the last token alone.
    let rows = |rows: usize| rows == tokens || rows == 1 && matches!(stage, Stage::ResultNorm | Stage::ResultOutput);
    let (fits, expected) = match stage {
        Stage::Q | Stage::K | Stage::V | Stage::QRope | Stage::KRope => {
            (shape.len() == 3 && rows(shape[0]), format!("[{tokens} tokens, heads, head size]"))
        }
        Stage::Kq | Stage::KqSoft => {
            let keys = tokens + trace.first_position;
            (shape.len() == 3 && shape[1] == tokens && shape[2] == keys, format!("[heads, {tokens} queries, {keys} keys]"))
        }
        _ => (shape.len() == 2 && rows(shape[0]), format!("[{tokens} tokens, width]")),
    };
    if !fits || shape.contains(&0) {
        return Err(refuse(item(), expected, format!("{shape:?}")));
    }
    if !is_int8(stage) {
        let (number, values) = floats(view).ok_or_else(|| refuse(item(), "F64, F32, F16 or BF16", format!("{:?}", view.dtype())))?;
        return Ok(Tensor::floats(shape, number, values));
    }
    if view.dtype() != Dtype::I8 {
        return Err(refuse(item(), "I8", format!("{:?}", view.dtype())));
    }
    let scale_item = format!("tensor '{name}{SCALE}'");
    let scales = scales.ok_or_else(|| refuse(&scale_item, "one scale a token", "nothing"))?;
    let values = floats(scales).filter(|_| scales.shape() == [tokens]).map(|(_, values)| values);
    let values = values
        .ok_or_else(|| refuse(&scale_item, format!("floats [{tokens} tokens]"), format!("{:?} {:?}", scales.dtype(), scales.shape())))?;
    if let Some(scale) = values.iter().find(|scale| !scale.is_finite() || **scale < 0.0) {
        return Err(refuse(&scale_item, "finite numbers, 0 or more", scale.to_string()));
    }
    Ok(Tensor::codes(shape, view.data().iter().map(|&byte| byte as i8).collect(), values))
}

fn floats(view: &TensorView<'_>) -> Option<(Number, Vec<f64>)> {
    let bytes = view.data();
    Some(match view.dtype() {
        Dtype::F64 => (Number::F64, bytes.as_chunks().0.iter().map(|&word| f64::from_le_bytes(word)).collect()),
        Dtype::F32 => (Number::F32, bytes.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word).into()).collect()),
        Dtype::F16 => (Number::F16, bytes.as_chunks().0.iter().map(|&word| f16::from_le_bytes(word).into()).collect()),
        Dtype::BF16 => (Number::BF16, bytes.as_chunks().0.iter().map(|&word| bf16::from_le_bytes(word).into()).collect()),
        _ => return None,
    })
}

/// Values as bytes: F32 where the tensor's numbers were no wider and all fit, else F64.
fn stored(number: Number, values: &[f64]) -> (Dtype, Vec<u8>) {
    let narrow = number != Number::F64 && values.iter().all(|&v| v.is_nan() || f64::from(v as f32) == v);
    match narrow {
        true => (Dtype::F32, values.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect()),
        false => (Dtype::F64, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
    }
}

/// The bytes of a trace's file.
///
/// # Errors
/// What the crate reports.
pub fn bytes(trace: &Trace) -> anyhow::Result<Vec<u8>> {
    let ids = trace.tokens.iter().flat_map(|id| i64::from(*id).to_le_bytes()).collect();
    let mut all: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = vec![("tokens".into(), Dtype::I64, vec![trace.tokens.len()], ids)];
    for (place, tensor) in trace.iter() {
        match &tensor.int8 {
            Some(int8) => {
                all.push((place.to_string(), Dtype::I8, tensor.shape.clone(), int8.codes.iter().map(|&code| code as u8).collect()));
                let (dtype, scales) = stored(Number::F32, &int8.scales);
                all.push((format!("{place}{SCALE}"), dtype, vec![int8.scales.len()], scales));
            }
            None => {
                let (dtype, values) = stored(tensor.number, &tensor.values);
                all.push((place.to_string(), dtype, tensor.shape.clone(), values));
            }
        }
    }
    let About { runtime, arithmetic, model, model_hash } = trace.about.clone();
    let first = trace.first_position.to_string();
    let texts = [
        ("format", FORMAT.to_owned()),
        ("runtime", runtime),
        ("arithmetic", arithmetic),
        ("model", model),
        ("model_hash", model_hash),
        ("first_position", first),
    ];
    let texts = texts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let views = all.iter().map(|(name, dtype, shape, bytes)| Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?)));
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    Ok(safetensors::serialize(views, Some(texts))?)
}
