//! Sizes and constants of a Llama model, from its file's metadata. Out: [`LlamaShape`], checked: sizes are not 0 and within
//! bounds, heads divide, at most as many experts are used as there are.

use super::rope::Rope;
use crate::model::config::{ARCHITECTURE, ARCHITECTURE_SILU, Activation, activation};
use crate::model::error::{ModelError, Refusal};
use crate::model::gguf::Gguf;
use crate::model::metadata::{self, Keys, REMEDY};

/// Layers of one kind with names of their own in GGUF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Llama, Mistral, Mixtral and their like.
    Llama,
    /// llama.cpp's own graph of BitNet b1.58: Llama's with two more norms; its activations are quantised as any other's. So `bitnet`; and
    /// `bitnet-b1.58`, with relu², where its weights are not ternary.
    Bitnet,
}

impl Architecture {
    /// The names that `general.architecture` may have.
    pub const NAMES: [&str; 3] = ["llama", ARCHITECTURE_SILU, ARCHITECTURE];
}

/// Sizes and constants of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct LlamaShape {
    /// Which layers.
    pub architecture: Architecture,
    /// Decoder layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub dim: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// Width of the feed-forward network, or of each expert's.
    pub ffn: usize,
    /// Entries of the vocabulary.
    pub vocab: usize,
    /// Most positions of a sequence.
    pub context: usize,
    /// What stands between gate and up.
    pub activation: Activation,
    /// Added to the mean square in every RMS norm.
    pub rms_epsilon: f32,
    /// Rotary position embedding.
    pub rope: Rope,
    /// Experts of a layer; 0 where the feed-forward network is one.
    pub experts: usize,
    /// Experts that each token uses.
    pub experts_used: usize,
}

impl LlamaShape {
    /// Width of all query heads together.
    pub fn query_dim(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of all key (or value) heads together.
    pub fn kv_dim(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// What scores are multiplied with before the softmax: llama.cpp obeys `attention.scale` in other architectures only.
    pub fn attention_scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
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
        let architecture = metadata::architecture(file, &Architecture::NAMES)?;
        let keys = Keys { file, architecture };
        let dim = keys.need_size("embedding_length")?;
        let heads = keys.need_size("attention.head_count")?;
        // The rotated part of a head may be shorter than the head, so it does not say how long that is.
        let head_dim = match keys.size("attention.key_length")? {
            None if dim.is_multiple_of(heads) => dim / heads,
            _ => keys.head_dim(dim, heads)?,
        };
        let context = keys.need_size("context_length")?;
        let experts = count(&keys, "expert_count")?;
        let shape = Self {
            architecture: if architecture == "llama" { Architecture::Llama } else { Architecture::Bitnet },
            layers: keys.need_size("block_count")?,
            dim,
            heads,
            kv_heads: keys.size("attention.head_count_kv")?.unwrap_or(heads),
            head_dim,
            ffn: keys.need_size("feed_forward_length")?,
            vocab: keys.vocab()?,
            context,
            activation: if architecture == "llama" { Activation::Silu } else { activation(&keys)? },
            rms_epsilon: keys.need_constant("attention.layer_norm_rms_epsilon")?,
            rope: Rope::from_gguf(&keys, head_dim, context)?,
            experts,
            experts_used: if experts == 0 { 0 } else { keys.need_size("expert_used_count")? },
        };
        shape.check(&keys)?;
        Ok(shape)
    }

    fn check(&self, keys: &Keys<'_, '_>) -> Result<(), ModelError> {
        let refuse = |item: String, expected: String, found: usize| {
            Err(ModelError::refused(Refusal::Contradiction, item, expected, found.to_string(), REMEDY))
        };
        let item = |name| format!("metadata '{}'", keys.key(name));
        if !self.heads.is_multiple_of(self.kv_heads) {
            return refuse(item("attention.head_count_kv"), format!("a divisor of the {} heads", self.heads), self.kv_heads);
        }
        if let Some(found) = keys.size("attention.value_length")?.filter(|&found| found != self.head_dim) {
            return refuse(item("attention.value_length"), format!("the head size {}", self.head_dim), found);
        }
        if self.experts_used > self.experts {
            return refuse(item("expert_used_count"), format!("at most the {} experts", self.experts), self.experts_used);
        }
        // Each layer needs several tensors, so a count that the file cannot hold ends here, before any list of layers.
        let tensors = keys.file.tensors().len();
        if self.layers > tensors {
            return refuse(item("block_count"), format!("at most the {tensors} tensors of the file"), self.layers);
        }
        Ok(())
    }
}

/// A size that may be 0 or absent, which is the same.
fn count(keys: &Keys<'_, '_>, name: &str) -> Result<usize, ModelError> {
    match keys.file.get_u64(&keys.key(name))? {
        Some(0) => Ok(0),
        _ => Ok(keys.size(name)?.unwrap_or(0)),
    }
}
