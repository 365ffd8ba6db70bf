//! The shape and constants of a model, from its file's metadata and nowhere else. Out: [`ModelShape`], checked:
//! sizes are non-zero and within bounds, heads divide, constants are finite.

use super::error::{ModelError, Refusal, shown};
use super::gguf::Gguf;
use super::metadata::{self, Keys, LARGEST, REMEDY};

/// BitNet b1.58 as in 2B4T; what is written.
pub const ARCHITECTURE: &str = "bitnet-b1.58";
/// BitNet b1.58 as in the 700M to 3B models: the same layers with SiLU.
pub const ARCHITECTURE_SILU: &str = "bitnet";
/// Our own key for the activation between gate and up; absent means the architecture's own.
pub const ACTIVATION_KEY: &str = "tritforge.activation";
const SHAPE_REMEDY: &str = "correct the shape (in a file: convert the model again)";

/// What stands between gate and up: `activation(gate) · up`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `max(x, 0)²`.
    Relu2,
    /// `x / (1 + e^-x)`.
    Silu,
}

/// Sizes and constants of one model.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ModelShape {
    /// Decoder layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub dim: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Elements of a head, even. `heads · head_dim` need not equal `dim`.
    pub head_dim: usize,
    /// Width of the feed-forward network.
    pub ffn: usize,
    /// Entries of the vocabulary.
    pub vocab: usize,
    /// Most positions of a sequence.
    pub context: usize,
    /// Base of the rotary position embedding's frequencies.
    pub rope_theta: f32,
    /// Added to the mean square in every RMS norm.
    pub rms_epsilon: f32,
    /// Activation of the feed-forward network.
    pub activation: Activation,
}

impl ModelShape {
    /// Width of all query heads together.
    pub fn query_dim(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of all key (or value) heads together.
    pub fn kv_dim(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Query heads that share one key/value head.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Reads the shape of the file's model.
    ///
    /// # Errors
    /// [`Refusal::Missing`], [`Refusal::Type`], [`Refusal::Bounds`] or [`Refusal::Contradiction`] with the key.
    pub fn from_gguf(file: &Gguf<'_>) -> Result<Self, ModelError> {
        let architecture = metadata::architecture(file, &[ARCHITECTURE, ARCHITECTURE_SILU])?;
        let keys = Keys { file, architecture };
        let dim = keys.need_size("embedding_length")?;
        let heads = keys.need_size("attention.head_count")?;
        let shape = Self {
            layers: keys.need_size("block_count")?,
            dim,
            heads,
            kv_heads: keys.size("attention.head_count_kv")?.unwrap_or(heads),
            head_dim: keys.head_dim(dim, heads)?,
            ffn: keys.need_size("feed_forward_length")?,
            vocab: keys.vocab()?,
            context: keys.need_size("context_length")?,
            rope_theta: keys.need_constant("rope.freq_base")?,
            rms_epsilon: keys.need_constant("attention.layer_norm_rms_epsilon")?,
            activation: activation(&keys)?,
        };
        shape.check()?;
        check_unsupported(&keys, &shape)?;
        Ok(shape)
    }

    /// Checks the rules between sizes; also used where a shape comes from the command line.
    ///
    /// # Errors
    /// [`Refusal::Bounds`] or [`Refusal::Contradiction`] with the size.
    pub fn check(&self) -> Result<(), ModelError> {
        let sizes = [
            ("layers", self.layers),
            ("embedding length", self.dim),
            ("attention heads", self.heads),
            ("key/value heads", self.kv_heads),
            ("head size", self.head_dim),
            ("feed-forward length", self.ffn),
            ("vocabulary", self.vocab),
            ("context length", self.context),
        ];
        for (item, size) in sizes {
            if size == 0 || size as u64 > LARGEST {
                let expected = format!("1 to {LARGEST}");
                return Err(ModelError::refused(Refusal::Bounds, item, expected, size.to_string(), SHAPE_REMEDY));
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            let expected = format!("a divisor of the {} heads", self.heads);
            return Err(ModelError::refused(Refusal::Contradiction, "key/value heads", expected, self.kv_heads.to_string(), SHAPE_REMEDY));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(ModelError::refused(
                Refusal::Contradiction,
                "head size",
                "an even number (RoPE turns pairs)",
                self.head_dim.to_string(),
                SHAPE_REMEDY,
            ));
        }
        if self.query_dim() as u64 > LARGEST {
            let found = format!("{} x {}", self.heads, self.head_dim);
            return Err(ModelError::refused(Refusal::Bounds, "heads x head size", format!("at most {LARGEST}"), found, SHAPE_REMEDY));
        }
        Ok(())
    }
}

fn contradiction(item: &str, expected: impl Into<String>, found: impl Into<String>) -> ModelError {
    ModelError::refused(Refusal::Contradiction, item, expected, found, REMEDY)
}

/// The activation of a BitNet: its architecture's own, or what our key says.
pub(super) fn activation(keys: &Keys<'_, '_>) -> Result<Activation, ModelError> {
    match keys.file.get_str(ACTIVATION_KEY)? {
        None if keys.architecture == ARCHITECTURE_SILU => Ok(Activation::Silu),
        None | Some("relu2") => Ok(Activation::Relu2),
        Some("silu") => Ok(Activation::Silu),
        Some(other) => {
            let item = format!("metadata '{ACTIVATION_KEY}'");
            Err(contradiction(&item, "'relu2' or 'silu'", format!("'{}'", shown(other))))
        }
    }
}

/// Variants of the architecture that would silently give other numbers.
fn check_unsupported(keys: &Keys<'_, '_>, shape: &ModelShape) -> Result<(), ModelError> {
    for name in ["attention.key_length", "attention.value_length", "rope.dimension_count"] {
        if let Some(found) = keys.size(name)?.filter(|&found| found != shape.head_dim) {
            let item = format!("metadata '{}'", keys.key(name));
            return Err(contradiction(&item, format!("the head size {}", shape.head_dim), found.to_string()));
        }
    }
    let name = "rope.scaling.factor";
    if let Some(factor) = keys.constant(name)?.filter(|&factor| factor != 1.0) {
        let item = format!("metadata '{}'", keys.key(name));
        let remedy = "scaled rotary embeddings are not supported: use the model without an extended context";
        return Err(ModelError::refused(Refusal::Contradiction, item, "1", factor.to_string(), remedy));
    }
    Ok(())
}
