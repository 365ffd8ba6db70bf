//! The shape of a random model as the command line gives it. In: `layers=2,dim=256,…`. Out: [`ModelShape`], checked, and whether the head is
//! tied to the embedding.

use super::LEAST_VOCABULARY;
use crate::model::config::{Activation, ModelShape};
use crate::model::error::{ModelError, Refusal, shown};

/// More than the largest published model of the architecture has.
const MOST_WEIGHTS: u64 = 1 << 32;

const SHAPE_REMEDY: &str = "give e.g. layers=2,dim=256,heads=4,kv=2,head_dim=64,ffn=768,vocab=512,ctx=256";

/// Shapes of published models: Microsoft's BitNet b1.58 2B4T, and 1bitLLM's of the BitNet b1.58 paper (`config.json` of each).
const PUBLISHED: [(&str, &str); 4] = [
    ("2b4t", "layers=30,dim=2560,heads=20,kv=5,head_dim=128,ffn=6912,vocab=128256,ctx=4096,theta=500000"),
    ("700m", "layers=24,dim=1536,heads=16,ffn=4096,vocab=32002,ctx=2048,act=silu,tied=false"),
    ("1.3b", "layers=24,dim=2048,heads=32,ffn=5460,vocab=32002,ctx=2048,act=silu,tied=false"),
    ("3b", "layers=26,dim=3200,heads=32,ffn=8640,vocab=32002,ctx=2048,act=silu,tied=false"),
];

/// Reads `layers=2,dim=256,…` (see `tritforge synth-model --help`) into a shape and whether the head is tied. The first entry may
/// be the name of a published shape; entries behind it change it.
///
/// # Errors
/// [`Refusal`] for an unknown, doubled, missing or unusable entry.
pub fn parse_shape(text: &str) -> Result<(ModelShape, bool), ModelError> {
    let mut entries: Vec<(&str, &str)> = Vec::new();
    let parts = || text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let published = parts().next().and_then(|first| PUBLISHED.iter().find(|p| p.0 == first));
    for part in parts().skip(published.is_some().into()) {
        let Some((name, value)) = part.split_once('=') else {
            let names = PUBLISHED.map(|p| p.0).join(", ");
            return Err(bad_entry(part, &format!("name=value, or first of all one of {names}"), part));
        };
        if !ENTRIES.contains(&name) {
            return Err(bad_entry(name, &format!("one of {}", ENTRIES.join(", ")), name));
        }
        if entries.iter().any(|&(other, _)| other == name) {
            return Err(bad_entry(name, "once", "twice"));
        }
        entries.push((name, value));
    }
    for (name, value) in published.iter().flat_map(|p| p.1.split(',')).filter_map(|part| part.split_once('=')) {
        if entries.iter().all(|&(other, _)| other != name) {
            entries.push((name, value));
        }
    }
    let find = |name: &str| entries.iter().find(|(other, _)| *other == name).map(|&(_, value)| value);
    let size = |name: &str, default: Option<usize>| match find(name) {
        Some(value) => value.parse().map_err(|_| bad_entry(name, "a whole number", value)),
        None => default.ok_or_else(|| bad_entry(name, "to be given", "nothing")),
    };
    let constant = |name: &str, default: f32| match find(name) {
        Some(value) => match value.parse::<f32>() {
            Ok(x) if x.is_finite() && x > 0.0 => Ok(x),
            _ => Err(bad_entry(name, "a positive number", value)),
        },
        None => Ok(default),
    };
    let (dim, heads) = (size("dim", None)?, size("heads", None)?);
    if find("head_dim").is_none() && heads > 0 && !dim.is_multiple_of(heads) {
        return Err(bad_entry("head_dim", &format!("to be given, as {heads} heads do not divide {dim}"), "nothing"));
    }
    let shape = ModelShape {
        layers: size("layers", None)?,
        dim,
        heads,
        kv_heads: size("kv", Some(heads))?,
        head_dim: size("head_dim", Some(dim.checked_div(heads).unwrap_or(dim)))?,
        ffn: size("ffn", None)?,
        vocab: size("vocab", Some(512))?,
        context: size("ctx", Some(256))?,
        rope_theta: constant("theta", 10000.0)?,
        rms_epsilon: constant("eps", 1e-5)?,
        activation: match find("act") {
            None | Some("relu2") => Activation::Relu2,
            Some("silu") => Activation::Silu,
            Some(other) => return Err(bad_entry("act", "relu2 or silu", other)),
        },
    };
    shape.check()?;
    if shape.vocab < LEAST_VOCABULARY {
        return Err(bad_entry("vocab", &format!("{LEAST_VOCABULARY} or more"), &shape.vocab.to_string()));
    }
    let weights = weights(&shape);
    if weights > MOST_WEIGHTS {
        let expected = format!("at most {MOST_WEIGHTS} weights in all");
        return Err(ModelError::refused(Refusal::Bounds, "shape", expected, weights.to_string(), SHAPE_REMEDY));
    }
    let tied = match find("tied") {
        None | Some("true") => true,
        Some("false") => false,
        Some(other) => return Err(bad_entry("tied", "true or false", other)),
    };
    Ok((shape, tied))
}

/// Weights of the linear layers, the embedding, and a head of its own.
fn weights(shape: &ModelShape) -> u64 {
    let wide = |a: usize, b: usize| a as u64 * b as u64;
    let attention = 2 * wide(shape.query_dim() + shape.kv_dim(), shape.dim);
    let layer = attention + 3 * wide(shape.ffn, shape.dim);
    layer.saturating_mul(shape.layers as u64).saturating_add(2 * wide(shape.vocab, shape.dim))
}

const ENTRIES: [&str; 12] = ["layers", "dim", "heads", "kv", "head_dim", "ffn", "vocab", "ctx", "theta", "eps", "act", "tied"];

fn bad_entry(name: &str, expected: &str, found: &str) -> ModelError {
    ModelError::refused(Refusal::Bounds, format!("shape entry '{}'", shown(name)), expected, shown(found), SHAPE_REMEDY)
}
