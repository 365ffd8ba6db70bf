//! `config.json`: what a model of Hugging Face says about itself. Out: [`Config`], sizes checked, everything refused that
//! would change numbers and is not understood. Defaults are those of `transformers` 5.23 where it has one for the field.

use serde_json::Value;

use super::rope::{self, Rope};
use crate::model::config::Activation;
use crate::model::error::{ModelError, Refusal, shown};
use crate::model::metadata::LARGEST;

/// What to do about a wrong configuration.
pub(super) const REMEDY: &str = "download the model's folder again; a model with other features is not supported";

const SUB_NORMS: [&str; 2] = ["self_attn.attn_sub_norm", "mlp.ffn_sub_norm"];
/// Those of the 700M to 3B models.
const FIRST_SUB_NORMS: [&str; 2] = ["self_attn.inner_attn_ln", "mlp.ffn_layernorm"];

/// The layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Llama, and Mistral without sliding window.
    Llama,
    /// Mixtral: a router and experts in each layer.
    Mixtral,
    /// BitNet b1.58.
    BitNet,
}

/// How the ternary weights of BitNet are stored, and what their `weight_scale` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ternary {
    /// `bitlinear`: products are divided by `weight_scale`.
    Divides,
    /// `autobitlinear`, `offline`: products are multiplied with it.
    Multiplies,
    /// `autobitlinear`, `online`, or no word of it: masters, ternarised where they are used.
    Online,
}

/// A model's configuration.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub family: Family,
    /// The published weights are floats, which their own code makes ternary: BitNet 700M to 3B.
    pub published_floats: bool,
    /// BitNet's norms before the output projection and before down, as the file names them.
    pub sub_norms: [&'static str; 2],
    pub dim: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub ffn: usize,
    pub vocab: usize,
    pub context: usize,
    pub epsilon: f32,
    pub activation: Activation,
    pub tied: bool,
    pub attention_bias: bool,
    pub mlp_bias: bool,
    /// Experts of a layer and how many a token uses; 0 where the family has none.
    pub experts: usize,
    pub experts_used: usize,
    pub rope: Rope,
    /// BitNet only.
    pub ternary: Ternary,
}

/// Checked look-up in one object of `config.json`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    object: &'a Value,
    /// What precedes the names in messages.
    path: &'static str,
}

impl<'a> Fields<'a> {
    /// The value, `None` where it is absent or null.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// The object under `name`.
    pub fn object(&self, name: &str, path: &'static str) -> Result<Option<Fields<'a>>, ModelError> {
        match self.get(name) {
            None => Ok(None),
            Some(object) if object.is_object() => Ok(Some(Fields { object, path })),
            Some(other) => Err(self.wrong(name, "an object", other)),
        }
    }

    /// A size: 1 to [`LARGEST`].
    pub fn size(&self, name: &str) -> Result<Option<usize>, ModelError> {
        self.get(name)
            .map(|value| {
                let size = value.as_u64().filter(|size| (1..=LARGEST).contains(size));
                size.map(|size| size as usize).ok_or_else(|| self.wrong(name, &format!("a whole number, 1 to {LARGEST}"), value))
            })
            .transpose()
    }

    /// A size that must be there.
    pub fn need_size(&self, name: &str) -> Result<usize, ModelError> {
        self.size(name)?.ok_or_else(|| self.missing(name))
    }

    /// A positive finite number.
    pub fn number(&self, name: &str) -> Result<Option<f64>, ModelError> {
        self.get(name)
            .map(|value| {
                let number = value.as_f64().filter(|x| *x > 0.0 && (*x as f32).is_finite() && *x as f32 > 0.0);
                number.ok_or_else(|| self.wrong(name, "a positive number", value))
            })
            .transpose()
    }

    /// A number that must be there.
    pub fn need_number(&self, name: &str) -> Result<f64, ModelError> {
        self.number(name)?.ok_or_else(|| self.missing(name))
    }

    /// A truth value, `absent` where there is none.
    pub fn flag(&self, name: &str, absent: bool) -> Result<bool, ModelError> {
        self.get(name).map_or(Ok(absent), |value| value.as_bool().ok_or_else(|| self.wrong(name, "true or false", value)))
    }

    /// A text.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, ModelError> {
        self.get(name).map(|value| value.as_str().ok_or_else(|| self.wrong(name, "a text", value))).transpose()
    }

    /// The refusal of a value.
    pub fn wrong(&self, name: &str, expected: &str, found: &Value) -> ModelError {
        let found = found.as_str().map_or_else(|| shown(&found.to_string()), |text| format!("'{}'", shown(text)));
        ModelError::refused(Refusal::Contradiction, self.item(name), expected, found, REMEDY)
    }

    pub fn missing(&self, name: &str) -> ModelError {
        ModelError::refused(Refusal::Missing, self.item(name), "to be present", "nothing", REMEDY)
    }

    fn item(&self, name: &str) -> String {
        format!("config.json, '{}{name}'", self.path)
    }
}

impl Config {
    /// Reads the content of a `config.json`.
    ///
    /// # Errors
    /// [`Refusal::Format`] where it is no JSON object; [`Refusal::Missing`], [`Refusal::Contradiction`] with the field.
    pub fn read(bytes: &[u8]) -> Result<Self, ModelError> {
        let format = |found: &str| ModelError::refused(Refusal::Format, "config.json", "a JSON object", shown(found), REMEDY);
        let object: Value = serde_json::from_slice(bytes).map_err(|cause| format(&cause.to_string()))?;
        if !object.is_object() {
            return Err(format("another value"));
        }
        let fields = Fields { object: &object, path: "" };
        let (family, kind) = family(&fields)?;
        let published_floats = family == Family::BitNet && kind == "llama";
        let sub_norms = if published_floats { FIRST_SUB_NORMS } else { SUB_NORMS };
        let (dim, heads) = (fields.need_size("hidden_size")?, fields.need_size("num_attention_heads")?);
        let head_dim = match fields.size("head_dim")? {
            Some(size) => size,
            None if dim.is_multiple_of(heads) => dim / heads,
            None => return Err(fields.wrong("num_attention_heads", &format!("a divisor of hidden_size {dim}"), &heads.into())),
        };
        // Later families were published with fewer key/value heads from the start: nothing says that absent means all.
        let kv_heads =
            if kind == "llama" { fields.size("num_key_value_heads")?.unwrap_or(heads) } else { fields.need_size("num_key_value_heads")? };
        if !heads.is_multiple_of(kv_heads) {
            return Err(fields.wrong("num_key_value_heads", &format!("a divisor of the {heads} heads"), &kv_heads.into()));
        }
        if !head_dim.is_multiple_of(2) || (heads * head_dim) as u64 > LARGEST {
            return Err(fields.wrong("head_dim", "an even number, with all heads at most 2^24", &head_dim.into()));
        }
        let context = fields.need_size("max_position_embeddings")?;
        sliding_window(&fields, context)?;
        let mixture = family == Family::Mixtral;
        let (experts, experts_used) =
            if mixture { (fields.need_size("num_local_experts")?, fields.need_size("num_experts_per_tok")?) } else { (0, 0) };
        if experts_used > experts {
            return Err(fields.wrong("num_experts_per_tok", &format!("at most the {experts} experts"), &experts_used.into()));
        }
        Ok(Self {
            family,
            published_floats,
            sub_norms,
            dim,
            layers: fields.need_size("num_hidden_layers")?,
            heads,
            kv_heads,
            head_dim,
            ffn: fields.need_size("intermediate_size")?,
            vocab: fields.need_size("vocab_size")?,
            context,
            epsilon: fields.need_number("rms_norm_eps")? as f32,
            activation: activation(&fields, family)?,
            tied: fields.flag("tie_word_embeddings", false)?,
            attention_bias: family != Family::Mixtral && fields.flag("attention_bias", false)?,
            mlp_bias: family == Family::Llama && fields.flag("mlp_bias", false)?,
            experts,
            experts_used,
            rope: rope::read(&fields, kind, context)?,
            ternary: quantisation(&fields, family)?,
        })
    }
}

/// The family, and `model_type` as the file has it: the first BitNet b1.58 models (700M to 3B) call themselves `llama` and give the bits of
/// weights and activations.
fn family<'a>(fields: &Fields<'a>) -> Result<(Family, &'a str), ModelError> {
    let kind = fields.text("model_type")?.ok_or_else(|| fields.missing("model_type"))?;
    match kind {
        "llama" if fields.get("weight_bits").is_some() => {
            for (name, bits) in [("weight_bits", 1), ("input_bits", 8)] {
                let found = fields.get(name).ok_or_else(|| fields.missing(name))?;
                if found.as_u64() != Some(bits) {
                    return Err(fields.wrong(name, &format!("{bits}, as BitNet b1.58 has it"), found));
                }
            }
            Ok((Family::BitNet, kind))
        }
        "llama" | "mistral" => Ok((Family::Llama, kind)),
        "mixtral" => Ok((Family::Mixtral, kind)),
        "bitnet" => Ok((Family::BitNet, kind)),
        other => {
            let lower = other.to_lowercase();
            let remedy = if lower.contains("bit") {
                "the nearest supported model type is 'bitnet': use a model of it"
            } else if ["moe", "mix", "expert"].iter().any(|part| lower.contains(part)) {
                "the nearest supported model type is 'mixtral': use a model of it, or a GGUF file of architecture 'llama'"
            } else if lower.contains("mistral") || lower.contains("mini") {
                "the nearest supported model type is 'mistral': use a model of it, or a GGUF file of architecture 'llama'"
            } else {
                "the nearest supported model type is 'llama': use a model of it, or a GGUF file of architecture 'llama'"
            };
            let expected = "'llama', 'mistral', 'mixtral' or 'bitnet'";
            let found = format!("'{}'", shown(other));
            Err(ModelError::refused(Refusal::Contradiction, "config.json, 'model_type'", expected, found, remedy))
        }
    }
}

/// Mistral's first models look back over a window only; within the context it must not be seen.
fn sliding_window(fields: &Fields<'_>, context: usize) -> Result<(), ModelError> {
    match (fields.get("sliding_window"), fields.size("sliding_window")?) {
        (Some(value), Some(window)) if window < context => {
            Err(fields.wrong("sliding_window", &format!("none, or at least the context of {context}"), value))
        }
        _ => Ok(()),
    }
}

fn activation(fields: &Fields<'_>, family: Family) -> Result<Activation, ModelError> {
    let value = fields.get("hidden_act").ok_or_else(|| fields.missing("hidden_act"))?;
    match (family, value.as_str()) {
        (_, Some("silu" | "swish")) => Ok(Activation::Silu),
        (Family::BitNet, Some("relu2")) => Ok(Activation::Relu2),
        (Family::BitNet, _) => Err(fields.wrong("hidden_act", "'relu2' or 'silu'", value)),
        _ => Err(fields.wrong("hidden_act", "'silu'", value)),
    }
}

/// `quantization_config`: nothing but BitNet's is read.
fn quantisation(fields: &Fields<'_>, family: Family) -> Result<Ternary, ModelError> {
    let Some(config) = fields.object("quantization_config", "quantization_config.")? else { return Ok(Ternary::Online) };
    let method = config.get("quant_method").ok_or_else(|| config.missing("quant_method"))?;
    if family != Family::BitNet || method != "bitnet" {
        let expected = if family == Family::BitNet { "'bitnet'" } else { "no quantization_config: F32, F16 or BF16 weights" };
        return Err(config.wrong("quant_method", expected, method));
    }
    if config.flag("use_rms_norm", false)? {
        return Err(config.wrong("use_rms_norm", "false", &true.into()));
    }
    if let Some(list) = config.get("modules_to_not_convert") {
        // The head is never converted, whether it is named or not.
        let known = list.as_array().is_some_and(|list| list.iter().all(|name| name == "lm_head"));
        if !known {
            return Err(config.wrong("modules_to_not_convert", "nothing or the head", list));
        }
    }
    let class = config.text("linear_class")?.unwrap_or("bitlinear");
    let mode = config.text("quantization_mode")?.unwrap_or("offline");
    match (class, mode) {
        ("bitlinear", "offline" | "online") => Ok(Ternary::Divides),
        ("autobitlinear", "offline") => Ok(Ternary::Multiplies),
        ("autobitlinear", "online") => Ok(Ternary::Online),
        ("bitlinear" | "autobitlinear", other) => Err(config.wrong("quantization_mode", "'offline' or 'online'", &other.into())),
        (other, _) => Err(config.wrong("linear_class", "'bitlinear' or 'autobitlinear'", &other.into())),
    }
}
