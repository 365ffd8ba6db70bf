//! Rotary position embedding as `config.json` gives it (`rope_theta` and `rope_scaling`, or `rope_parameters` of later
//! files). Out: the keys of a GGUF file that mean the same, and for `llama3` the divisors of the pairs.
//!
//! Source: `modeling_rope_utils.py` of `transformers` 5.23. `dynamic` changes nothing up to `max_position_embeddings`,
//! and no sequence here is longer.

use super::config::Fields;
use crate::model::error::ModelError;
use crate::model::gguf::Metadata;
use crate::model::llama::{OWN, YARN_BETAS};

/// What a model's rotary embedding needs.
#[derive(Debug, Clone, Default)]
pub(super) struct Rope {
    pub theta: f32,
    /// Keys of architecture `llama`, the only one that is scaled, and of our own.
    pub scaling: Vec<(String, Metadata)>,
    /// What divides the angle of each pair.
    pub divisors: Option<Divisors>,
}

/// Llama 3.1: pairs that turn slowly over the original context are divided by the factor, fast ones by 1, others by what is
/// between.
#[derive(Debug, Clone, Copy)]
pub(super) struct Divisors {
    theta: f64,
    factor: f64,
    /// Turns over the original context.
    low: f64,
    high: f64,
    original: usize,
}

/// Reads the fields of a model of type `kind`.
///
/// # Errors
/// [`Refusal::Contradiction`](crate::model::Refusal), [`Refusal::Missing`](crate::model::Refusal): an unknown type, a constant that
/// is missing or has no meaning here.
pub(super) fn read(fields: &Fields<'_>, kind: &str, context: usize) -> Result<Rope, ModelError> {
    let scaling = match fields.object("rope_parameters", "rope_parameters.")? {
        Some(fields) => Some(fields),
        None => fields.object("rope_scaling", "rope_scaling.")?,
    };
    let inside = |name: &str| scaling.map_or(Ok(None), |scaling| scaling.number(name));
    let usual = match kind {
        "mixtral" => 1e6,
        "bitnet" => 5e5,
        _ => 1e4,
    };
    let theta = inside("rope_theta")?.or(fields.number("rope_theta")?).unwrap_or(usual);
    for place in [Some(*fields), scaling].into_iter().flatten() {
        if let (Some(value), Some(part)) = (place.get("partial_rotary_factor"), place.number("partial_rotary_factor")?)
            && part != 1.0
        {
            return Err(place.wrong("partial_rotary_factor", "1", value));
        }
    }
    let mut rope = Rope { theta: theta as f32, ..Rope::default() };
    let Some(scaling) = scaling else { return Ok(rope) };
    let original = match fields.size("original_max_position_embeddings")? {
        Some(size) => size,
        None => scaling.size("original_max_position_embeddings")?.unwrap_or(context),
    };
    let name = if scaling.get("rope_type").is_some() { "rope_type" } else { "type" };
    let known = scaling.text(name)?.unwrap_or("default");
    if kind == "bitnet" && known != "default" {
        return Err(scaling.wrong(name, "'default': BitNet has no scaled rotary embedding here", &known.into()));
    }
    let text = |value: &str| Metadata::Text(value.into());
    match known {
        "default" | "dynamic" => {}
        "linear" => {
            rope.scaling = vec![key("type", text("linear")), key("factor", Metadata::F32(scaling.need_number("factor")? as f32))];
        }
        "yarn" => rope.scaling = yarn(&scaling, original, context)?,
        "llama3" => rope.divisors = Some(Divisors::read(&scaling, theta, original)?),
        other => {
            let expected = "'default', 'linear', 'dynamic', 'llama3' or the nearest of them, 'yarn'";
            return Err(scaling.wrong(name, expected, &other.into()));
        }
    }
    Ok(rope)
}

fn key(name: &str, value: Metadata) -> (String, Metadata) {
    (format!("llama.rope.scaling.{name}"), value)
}

/// YaRN; the reader of GGUF multiplies `attn_factor` with the usual magnitude, so the two are parted here.
fn yarn(fields: &Fields<'_>, original: usize, context: usize) -> Result<Vec<(String, Metadata)>, ModelError> {
    let factor = fields.number("factor")?.unwrap_or(context as f64 / original as f64);
    if factor < 1.0 {
        return Err(fields.wrong("factor", "1 or more", &factor.into()));
    }
    if !fields.flag("truncate", true)? {
        return Err(fields.wrong("truncate", "true", &false.into()));
    }
    let magnitude = |share: f64| 0.1 * share * factor.ln() + 1.0;
    let shares = (fields.number("mscale")?, fields.number("mscale_all_dim")?);
    let wanted = match (fields.number("attention_factor")?, shares) {
        (Some(given), _) => given,
        (None, (Some(above), Some(below))) => magnitude(above) / magnitude(below),
        _ => magnitude(1.0),
    };
    let mut keys = vec![
        key("type", Metadata::Text("yarn".into())),
        key("factor", Metadata::F32(factor as f32)),
        key("original_context_length", Metadata::U32(original as u32)),
    ];
    if wanted != magnitude(1.0) {
        keys.push(key("attn_factor", Metadata::F32((wanted / magnitude(1.0)) as f32)));
    }
    for (name, ours) in ["beta_fast", "beta_slow"].into_iter().zip(YARN_BETAS) {
        keys.extend(fields.number(name)?.map(|value| (format!("{OWN}.{ours}"), Metadata::F32(value as f32))));
    }
    Ok(keys)
}

impl Divisors {
    fn read(fields: &Fields<'_>, theta: f64, original: usize) -> Result<Self, ModelError> {
        let factor = fields.need_number("factor")?;
        let (low, high) = (fields.need_number("low_freq_factor")?, fields.need_number("high_freq_factor")?);
        if high <= low {
            return Err(fields.wrong("high_freq_factor", &format!("more than low_freq_factor {low}"), &high.into()));
        }
        Ok(Self { theta, factor, low, high, original })
    }

    /// The divisor of each pair of a head (`rope_freqs.weight`).
    pub fn values(&self, head_dim: usize) -> Vec<f32> {
        let divisor = |pair: usize| {
            let turn = 2.0 * std::f64::consts::PI * self.theta.powf(2.0 * pair as f64 / head_dim as f64);
            match self.original as f64 / turn {
                turns if turns > self.high => 1.0,
                turns if turns < self.low => self.factor,
                turns => {
                    let keep = (turns - self.low) / (self.high - self.low);
                    1.0 / ((1.0 - keep) / self.factor + keep)
                }
            }
        };
        (0..head_dim / 2).map(|pair| divisor(pair) as f32).collect()
    }
}
