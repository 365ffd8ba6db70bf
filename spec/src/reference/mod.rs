//! The plain integer transformer: it executes `docs/numerics.md` with loops written to be read, and every backend gives its bits.
//!
//! In: an [`IntModel`] (built by the compiler) and token ids, or residual rows for one sub-layer. Out: logits or residual rows, with every
//! stage shown to an [`Observer`] and saturations counted. No floats, no I/O.

pub mod attention;
pub mod cache;
pub mod feed_forward;
pub mod head;
pub mod model;
pub mod observer;
pub mod random;

pub use attention::{AttendedHead, attend_head};
pub use cache::{KvCache, LayerCache};
pub use model::{Activation, AttnParams, FfnParams, FloatNorm, HeadParams, IntLayer, IntModel, Norm, TernaryRows};
pub use observer::{Observer, Saturations, Stage, Values};

use crate::numerics::ffn::SigmaRom;
use crate::numerics::{RopeRom, SoftmaxRom};

/// The integer transformer over one model, with its ROMs.
#[derive(Clone, Debug)]
pub struct Reference<'m> {
    /// The model that is executed.
    pub model: &'m IntModel,
    /// ROM of the softmax.
    pub softmax_rom: SoftmaxRom,
    rope_rom: RopeRom,
    sigma_rom: SigmaRom,
}

/// Why a forward pass was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PassError {
    /// A token id outside the vocabulary.
    #[error("token id {found}: expected below the vocabulary's {vocab}; use ids of this model's vocabulary")]
    Token { found: u32, vocab: usize },
    /// More positions than the context.
    #[error("position {found}: expected at most {context} positions; shorten the prompt or generate fewer tokens")]
    Context { found: usize, context: usize },
    /// Nothing to run.
    #[error("token ids: expected one or more, found none; give at least one id, e.g. the model's BOS")]
    Empty,
}

impl<'m> Reference<'m> {
    /// The transformer with a softmax ROM of 2^rom_log2 entries (rom_log2 2..=12) of rom_bits bits (4..=23).
    pub fn new(model: &'m IntModel, rom_log2: u32, rom_bits: u32) -> Self {
        Reference { model, softmax_rom: SoftmaxRom::new(rom_log2, rom_bits), rope_rom: RopeRom::new(), sigma_rom: SigmaRom::default() }
    }

    /// Logits (tokens x vocabulary, 16 fraction bits) of `tokens`, which follow the positions in `cache` and are added to it.
    ///
    /// # Errors
    /// No token, an id outside the vocabulary, or more positions than the context; nothing has run then.
    pub fn forward(
        &self,
        tokens: &[u32],
        cache: &mut KvCache,
        observer: &mut impl Observer,
        saturations: &mut Saturations,
    ) -> Result<Vec<i32>, PassError> {
        let x = self.body(tokens, cache, observer, saturations)?;
        Ok(x.chunks_exact(self.model.shape.dim).enumerate().flat_map(|(t, x)| self.head_full(t, x, observer, saturations)).collect())
    }

    /// The residual rows behind the last layer; as [`Reference::forward`].
    ///
    /// # Errors
    /// As [`Reference::forward`].
    pub fn body(
        &self,
        tokens: &[u32],
        cache: &mut KvCache,
        observer: &mut impl Observer,
        saturations: &mut Saturations,
    ) -> Result<Vec<i32>, PassError> {
        let pos = cache.positions();
        self.check(tokens, pos)?;
        let mut x: Vec<i32> = tokens.iter().flat_map(|&t| self.model.embedding_row(t as usize)).copied().collect();
        for layer in 0..self.model.layers.len() {
            x = self.attention(layer, &x, pos, &mut cache.layers[layer], observer, saturations);
            x = self.feed_forward(layer, &x, observer, saturations);
        }
        Ok(x)
    }

    /// The ids of `prompt` and their greedy continuation, `total` ids in all; ties go to the lower id, nothing stops it before.
    ///
    /// # Errors
    /// As [`Reference::forward`].
    pub fn generate(&self, prompt: &[u32], total: usize, saturations: &mut Saturations) -> Result<Vec<u32>, PassError> {
        let mut ids = prompt.to_vec();
        let mut fresh = prompt.to_vec();
        let mut cache = KvCache::new(self.model);
        while ids.len() < total {
            let x = self.body(&fresh, &mut cache, &mut (), saturations)?;
            let last = &x[x.len() - self.model.shape.dim..];
            let logits = self.head_full(0, last, &mut (), saturations);
            let next = crate::numerics::head::arg_max(&logits).unwrap_or(0) as u32;
            ids.push(next);
            fresh = vec![next];
        }
        Ok(ids)
    }

    fn check(&self, tokens: &[u32], pos: usize) -> Result<(), PassError> {
        if tokens.is_empty() {
            return Err(PassError::Empty);
        }
        let vocab = self.model.vocab;
        if let Some(&found) = tokens.iter().find(|&&t| t as usize >= vocab) {
            return Err(PassError::Token { found, vocab });
        }
        let (found, context) = (pos + tokens.len(), self.model.shape.context);
        if found > context {
            return Err(PassError::Context { found, context });
        }
        Ok(())
    }
}
