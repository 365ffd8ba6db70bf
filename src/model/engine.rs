//! A model that runs in software, whatever its architecture. In: ids, one pass after the other. Out: logits in f64.
//! `llama` and `bitnet` files run in llama.cpp's arithmetic (or wider), `bitnet-b1.58` files in the f64 judge, whose ternary
//! sums are exact, or where their weights are not ternary as the others do; what the compiler made of a ternary model runs in the contract's integers.

use tritforge_spec::reference::{self as int, IntModel, Reference, Saturations};

use super::config::{ARCHITECTURE, ARCHITECTURE_SILU};
use super::error::{ModelError, Refusal};
use super::gguf::Gguf;
use super::judge::{Judge, KvCache, Options, negative_log_likelihood};
use super::llama::{Llama, LlamaCache, LlamaModel, Wanted};
use super::metadata;
use super::quant::Arithmetic;
use super::weights::Model;

/// The weights of a model of any supported architecture.
#[derive(Debug)]
pub enum AnyModel<'a> {
    /// Llama, a mixture of experts, or llama.cpp's `bitnet`; `bitnet-b1.58` whose weights are not ternary.
    Llama(LlamaModel<'a>),
    /// BitNet b1.58 as in 2B4T.
    Ternary(Model),
    /// A ternary model as the accelerator computes it.
    Integer {
        /// Its integers.
        model: Box<IntModel>,
        /// Softmax ROM: log2 of its entries, bits of one.
        rom: (u32, u32),
    },
}

impl<'a> AnyModel<'a> {
    /// Reads the model of a parsed file.
    ///
    /// # Errors
    /// [`ModelError`]: another architecture (the nearest supported one is named), or as the architecture's reader says;
    /// [`Refusal::NotTernary`] where a weight that is stored as trits is damaged.
    pub fn from_gguf(file: &Gguf<'a>) -> Result<Self, ModelError> {
        match Self::architecture(file)? {
            ARCHITECTURE => match Model::from_gguf(file) {
                Err(why) if why.refusal() == Some(Refusal::NotTernary) && !holds_trits(file) => {
                    Ok(Self::Llama(LlamaModel::from_gguf(file)?))
                }
                model => Ok(Self::Ternary(model?)),
            },
            _ => Ok(Self::Llama(LlamaModel::from_gguf(file)?)),
        }
    }

    /// The architecture that the file names.
    ///
    /// # Errors
    /// [`Refusal::Contradiction`]: none that is supported; the nearest one is named.
    pub fn architecture(file: &Gguf<'a>) -> Result<&'a str, ModelError> {
        metadata::architecture(file, &["llama", ARCHITECTURE_SILU, ARCHITECTURE])
    }

    /// Most positions of a sequence.
    pub fn context(&self) -> usize {
        match self {
            Self::Llama(model) => model.shape.context,
            Self::Ternary(model) => model.shape.context,
            Self::Integer { model, .. } => model.shape.context,
        }
    }

    /// Entries of the vocabulary.
    pub fn vocab(&self) -> usize {
        match self {
            Self::Llama(model) => model.shape.vocab,
            Self::Ternary(model) => model.shape.vocab,
            Self::Integer { model, .. } => model.vocab,
        }
    }
}

/// Whether a weight of a layer is stored as trits.
fn holds_trits(file: &Gguf<'_>) -> bool {
    file.tensors().iter().any(|tensor| tensor.kind.is_ternary())
}

/// A sequence that grows: a model, its arithmetic, and the keys and values so far.
#[derive(Debug)]
pub enum Engine<'m, 'a> {
    /// See [`AnyModel::Llama`].
    Llama(Llama<'m, 'a>, LlamaCache),
    /// See [`AnyModel::Ternary`].
    Ternary(Judge<'m, f64>, KvCache<f64>),
    /// See [`AnyModel::Integer`].
    Integer(Reference<'m>, int::KvCache),
}

impl<'m, 'a> Engine<'m, 'a> {
    /// An empty sequence; `arithmetic` is that of [`AnyModel::Llama`]; the others have one.
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
            AnyModel::Integer { model, rom } => Self::Integer(Reference::new(model, rom.0, rom.1), int::KvCache::new(model)),
        }
    }

    /// Logits behind the last of `tokens`, which follow the sequence so far; all are numbers.
    ///
    /// # Errors
    /// [`Refusal::Vocabulary`](super::Refusal) for an unknown id or no id, `Refusal::Bounds` beyond the context or where a logit is no
    /// number.
    pub fn forward(&mut self, tokens: &[u32]) -> Result<Vec<f64>, ModelError> {
        let logits = match self {
            Self::Llama(llama, cache) => {
                let logits = llama.forward(tokens, cache, Wanted::Last, &mut ())?;
                logits.values.into_iter().map(f64::from).collect()
            }
            Self::Ternary(judge, cache) => judge.last(tokens, cache, &mut ())?,
            Self::Integer(reference, cache) => {
                let x = integer_body(reference, tokens, cache)?;
                integer_head(reference, &x[x.len() - reference.model.shape.dim..])
            }
        };
        match logits.iter().position(|z| !z.is_finite()) {
            None => Ok(logits),
            Some(id) => Err(no_number(format!("logit of id {id}"), logits[id])),
        }
    }

    /// Sum of the negative log-likelihoods of `ids` but the first, nats, on a sequence of their own.
    ///
    /// # Errors
    /// As [`Engine::forward`].
    pub fn loss(&self, ids: &[u32]) -> Result<f64, ModelError> {
        let sum = self.sum_of_losses(ids)?;
        if sum.is_finite() { Ok(sum) } else { Err(no_number("loss of the text".into(), sum)) }
    }

    fn sum_of_losses(&self, ids: &[u32]) -> Result<f64, ModelError> {
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
            Self::Integer(reference, _) => {
                let x = integer_body(reference, ids, &mut int::KvCache::new(reference.model))?;
                let rows = x.chunks_exact(reference.model.shape.dim).zip(&ids[1..]);
                Ok(rows.map(|(x, &next)| negative_log_likelihood(&integer_head(reference, x), next as usize)).sum())
            }
        }
    }
}

fn no_number(item: String, found: f64) -> ModelError {
    let remedy = "weights are damaged or too large for this arithmetic: fetch the model again; `tritforge diff float f64` shows the first such value";
    ModelError::refused(Refusal::Bounds, item, "a finite number", found.to_string(), remedy)
}

/// The residual rows behind the last layer.
fn integer_body(reference: &Reference<'_>, tokens: &[u32], cache: &mut int::KvCache) -> Result<Vec<i32>, ModelError> {
    let model = reference.model;
    super::tokens::check(tokens, cache.positions(), model.vocab, model.shape.context)?;
    reference.body(tokens, cache, &mut (), &mut Saturations::default()).map_err(|refused| {
        ModelError::refused(Refusal::Bounds, "token ids", "a pass that the integer model can run", refused.to_string(), "give other ids")
    })
}

/// Logits of one residual row, from 16 fraction bits.
fn integer_head(reference: &Reference<'_>, x: &[i32]) -> Vec<f64> {
    const UNIT: f64 = 65536.0;
    reference.head_full(0, x, &mut (), &mut Saturations::default()).into_iter().map(|z| f64::from(z) / UNIT).collect()
}
