//! The shape and constants of a model, from its file's metadata and nowhere else. Out: [`ModelShape`], checked:
//! sizes are non-zero and within bounds, heads divide, constants are finite.

use super::error::{ModelError, Refusal, shown};
use super::gguf::Gguf;

/// The one architecture that is read (BitNet b1.58 as in 2B4T).
pub const ARCHITECTURE: &str = "bitnet-b1.58";
/// Our own key for the activation between gate and up; absent means the architecture's relu².
pub const ACTIVATION_KEY: &str = "tritforge.activation";
/// No size of a model is larger (2^24: beyond every known vocabulary, width and context).
const LARGEST: u64 = 1 << 24;

const REMEDY: &str = "the file's metadata is wrong: convert the model again";
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
        check_architecture(file)?;
        let dim = need_size(file, "embedding_length")?;
        let heads = need_size(file, "attention.head_count")?;
        let shape = Self {
            layers: need_size(file, "block_count")?,
            dim,
            heads,
            kv_heads: size(file, "attention.head_count_kv")?.unwrap_or(heads),
            head_dim: head_dim(file, dim, heads)?,
            ffn: need_size(file, "feed_forward_length")?,
            vocab: vocab(file)?,
            context: need_size(file, "context_length")?,
            rope_theta: need_constant(file, "rope.freq_base")?,
            rms_epsilon: need_constant(file, "attention.layer_norm_rms_epsilon")?,
            activation: activation(file)?,
        };
        shape.check()?;
        check_unsupported(file, &shape)?;
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

fn key(name: &str) -> String {
    format!("{ARCHITECTURE}.{name}")
}

fn missing(name: &str) -> ModelError {
    ModelError::refused(Refusal::Missing, format!("metadata '{}'", key(name)), "to be present", "nothing", REMEDY)
}

fn contradiction(item: &str, expected: impl Into<String>, found: impl Into<String>) -> ModelError {
    ModelError::refused(Refusal::Contradiction, item, expected, found, REMEDY)
}

fn check_architecture(file: &Gguf<'_>) -> Result<(), ModelError> {
    let item = "metadata 'general.architecture'";
    match file.get_str("general.architecture")? {
        Some(ARCHITECTURE) => Ok(()),
        found => {
            let found = found.map_or("nothing".into(), |name| format!("'{}'", shown(name)));
            let remedy = "only BitNet b1.58 models can be used: convert one with ternary weights";
            Err(ModelError::refused(Refusal::Contradiction, item, format!("'{ARCHITECTURE}'"), found, remedy))
        }
    }
}

/// A size under the architecture's key: non-zero, within bounds.
fn size(file: &Gguf<'_>, name: &str) -> Result<Option<usize>, ModelError> {
    let Some(value) = file.get_u64(&key(name))? else {
        return Ok(None);
    };
    if value == 0 || value > LARGEST {
        let expected = format!("1 to {LARGEST}");
        let item = format!("metadata '{}'", key(name));
        return Err(ModelError::refused(Refusal::Bounds, item, expected, value.to_string(), REMEDY));
    }
    Ok(Some(value as usize))
}

fn need_size(file: &Gguf<'_>, name: &str) -> Result<usize, ModelError> {
    size(file, name)?.ok_or_else(|| missing(name))
}

/// A constant: positive and finite.
fn constant(file: &Gguf<'_>, name: &str) -> Result<Option<f32>, ModelError> {
    let Some(value) = file.get_f64(&key(name))? else {
        return Ok(None);
    };
    let narrow = value as f32;
    if !narrow.is_finite() || narrow <= 0.0 {
        let item = format!("metadata '{}'", key(name));
        return Err(ModelError::refused(Refusal::Bounds, item, "a positive number", value.to_string(), REMEDY));
    }
    Ok(Some(narrow))
}

fn need_constant(file: &Gguf<'_>, name: &str) -> Result<f32, ModelError> {
    constant(file, name)?.ok_or_else(|| missing(name))
}

fn head_dim(file: &Gguf<'_>, dim: usize, heads: usize) -> Result<usize, ModelError> {
    if let Some(size) = size(file, "attention.key_length")? {
        return Ok(size);
    }
    if let Some(size) = size(file, "rope.dimension_count")? {
        return Ok(size);
    }
    if !dim.is_multiple_of(heads) {
        let expected = format!("a divisor of the embedding length {dim}, as the file gives no head size");
        return Err(contradiction("attention heads", expected, heads.to_string()));
    }
    Ok(dim / heads)
}

/// The vocabulary's size: the rows of the embedding; the key, where present, must agree.
fn vocab(file: &Gguf<'_>) -> Result<usize, ModelError> {
    let rows = file.need_tensor("token_embd.weight")?.sizes[1];
    match size(file, "vocab_size")? {
        Some(size) if size as u64 != rows => {
            let expected = format!("{rows}, the rows of 'token_embd.weight'");
            Err(contradiction("vocabulary size", expected, size.to_string()))
        }
        // Larger than any size: `check` refuses it by name.
        _ => Ok(usize::try_from(rows).unwrap_or(usize::MAX)),
    }
}

fn activation(file: &Gguf<'_>) -> Result<Activation, ModelError> {
    match file.get_str(ACTIVATION_KEY)? {
        None | Some("relu2") => Ok(Activation::Relu2),
        Some("silu") => Ok(Activation::Silu),
        Some(other) => {
            let item = format!("metadata '{ACTIVATION_KEY}'");
            Err(contradiction(&item, "'relu2' or 'silu'", format!("'{}'", shown(other))))
        }
    }
}

/// Variants of the architecture that would silently give other numbers.
fn check_unsupported(file: &Gguf<'_>, shape: &ModelShape) -> Result<(), ModelError> {
    for name in ["attention.key_length", "attention.value_length", "rope.dimension_count"] {
        if let Some(found) = size(file, name)?.filter(|&found| found != shape.head_dim) {
            let item = format!("metadata '{}'", key(name));
            return Err(contradiction(&item, format!("the head size {}", shape.head_dim), found.to_string()));
        }
    }
    let name = "rope.scaling.factor";
    if let Some(factor) = constant(file, name)?.filter(|&factor| factor != 1.0) {
        let item = format!("metadata '{}'", key(name));
        let remedy = "scaled rotary embeddings are not supported: use the model without an extended context";
        return Err(ModelError::refused(Refusal::Contradiction, item, "1", factor.to_string(), remedy));
    }
    Ok(())
}
