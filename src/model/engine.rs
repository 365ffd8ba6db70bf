//! A model that runs in software, whatever its architecture. In: ids, one pass after the other. Out: logits in f64.
//! `llama` and `bitnet` files run in llama.cpp's arithmetic (or wider), `bitnet-b1.58` files in the f64 judge, whose ternary
//! sums are exact.

use super::config::ARCHITECTURE;
use super::error::ModelError;
use super::gguf::Gguf;
use super::judge::{Judge, KvCache, Options, negative_log_likelihood};
use super::llama::{Llama, LlamaCache, LlamaModel, Wanted};
use super::metadata;
use super::quant::Arithmetic;
use super::weights::Model;

/// The weights of a model of any supported architecture.
#[derive(Debug)]
pub enum AnyModel<'a> {
    /// Llama, a mixture of experts, or llama.cpp's `bitnet`.
    Llama(LlamaModel<'a>),
    /// BitNet b1.58 as in 2B4T.
    Ternary(Model),
}

impl<'a> AnyModel<'a> {
    /// Reads the model of a parsed file.
    ///
    /// # Errors
    /// [`ModelError`]: another architecture (the nearest supported one is named), or as the architecture's reader says.
    pub fn from_gguf(file: &Gguf<'a>) -> Result<Self, ModelError> {
        match metadata::architecture(file, &["llama", "bitnet", ARCHITECTURE])? {
            ARCHITECTURE => Ok(Self::Ternary(Model::from_gguf(file)?)),
            _ => Ok(Self::Llama(LlamaModel::from_gguf(file)?)),
        }
    }

    /// Most positions of a sequence.
    pub fn context(&self) -> usize {
        match self {
            Self::Llama(model) => model.shape.context,
            Self::Ternary(model) => model.shape.context,
        }
    }
}

/// A sequence that grows: a model, its arithmetic, and the keys and values so far.
#[derive(Debug)]
pub enum Engine<'m, 'a> {
    /// See [`AnyModel::Llama`].
    Llama(Llama<'m, 'a>, LlamaCache),
    /// See [`AnyModel::Ternary`].
    Ternary(Judge<'m, f64>, KvCache<f64>),
}

impl<'m, 'a> Engine<'m, 'a> {
    /// An empty sequence; `arithmetic` is of no meaning to the judge.
    pub fn new(model: &'m AnyModel<'a>, arithmetic: Arithmetic) -> Self {
        match model {
            AnyModel::Llama(model) => {
                let llama = Llama::new(model, arithmetic);
                Self::Llama(llama, llama.cache())
            }
            AnyModel::Ternary(model) => {
                let judge = Judge::new(model, Options::default());
                Self::Ternary(judge, judge.cache())
            }
        }
    }

    /// Logits behind the last of `tokens`, which follow the sequence so far.
    ///
    /// # Errors
    /// [`Refusal::Vocabulary`](super::Refusal) for an unknown id or no id, `Refusal::Bounds` beyond the context.
    pub fn forward(&mut self, tokens: &[u32]) -> Result<Vec<f64>, ModelError> {
        match self {
            Self::Llama(llama, cache) => {
                let logits = llama.forward(tokens, cache, Wanted::Last, &mut ())?;
                Ok(logits.values.into_iter().map(f64::from).collect())
            }
            Self::Ternary(judge, cache) => judge.last(tokens, cache, &mut ()),
        }
    }

    /// Sum of the negative log-likelihoods of `ids` but the first, nats, on a sequence of their own.
    ///
    /// # Errors
    /// As [`Engine::forward`].
    pub fn loss(&self, ids: &[u32]) -> Result<f64, ModelError> {
        match self {
            Self::Llama(llama, _) => {
                // Logits of a whole context would fill the memory.
                const PIECE: usize = 64;
                let (mut cache, mut sum) = (llama.cache(), 0.0);
                for (piece, tokens) in ids.chunks(PIECE).enumerate() {
                    let logits = llama.forward(tokens, &mut cache, Wanted::All, &mut ())?;
                    let next = ids[(piece * PIECE + 1).min(ids.len())..].iter().take(tokens.len());
                    for (token, &next) in next.enumerate() {
                        let row: Vec<f64> = logits.row(token).iter().map(|&z| f64::from(z)).collect();
                        sum += negative_log_likelihood(&row, next as usize);
                    }
                }
                Ok(sum)
            }
            Self::Ternary(judge, _) => {
                let loss = judge.loss(ids)?;
                Ok(loss.nll * loss.predictions as f64)
            }
        }
    }
}
