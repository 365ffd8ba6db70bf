//! The readers of files from outside, for the fuzz targets: the sources of `src` that they need are included here, so that only they are
//! instrumented and built, once for all targets.
#![allow(dead_code, unused_imports)]

#[path = "../../src/inputs.rs"]
pub mod inputs;

#[path = "../../src/model"]
pub mod model {
    pub mod chat;
    pub mod config;
    pub mod convert;
    pub mod error;
    pub mod file;
    pub mod gguf;
    pub mod import;
    pub mod judge;
    pub mod llama;
    mod metadata;
    pub mod quant;
    pub mod ternary;
    pub mod tokenizer;
    mod tokens;
    mod trits;
    pub mod weights;
}

#[path = "../../src/trace"]
pub mod trace {
    pub mod file;
    mod types;
    pub use types::{About, Number, Tensor, Trace};
}
