//! The model comes in: its file, its shape, its weights, its tokenizer; and the judge, the float software
//! transformer that everything else is compared with.

pub mod chat;
pub mod config;
pub mod convert;
pub mod engine;
pub mod error;
pub mod file;
pub mod gguf;
pub mod import;
pub mod judge;
pub mod llama;
mod metadata;
pub mod quant;
pub mod sampler;
pub mod survey;
pub mod synth;
pub mod ternary;
pub mod text;
pub mod tokenizer;
pub(crate) mod tokens;
mod trits;
pub mod weights;

pub use config::{Activation, ModelShape};
pub use convert::Conversion;
pub use engine::{AnyModel, Engine};
pub use error::{ModelError, Refusal};
pub use file::ModelFile;
pub use judge::Judge;
pub use llama::{Llama, LlamaModel};
pub use ternary::TernaryTensor;
pub use tokenizer::Tokenizer;
pub use weights::{Layer, Model};
