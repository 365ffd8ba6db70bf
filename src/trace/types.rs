//! A trace in memory: tensors of stages in the order of computation, in f64 whatever they were stored in.

use std::collections::BTreeMap;

use crate::model::judge::{Place, Stage};

/// The number type that a tensor came in, or is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Number {
    /// 64-bit float.
    F64,
    /// 32-bit float.
    F32,
    /// 16-bit float.
    F16,
    /// bfloat16.
    BF16,
    /// int8 codes with a scale a token.
    I8,
}

/// int8 codes of a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Codes {
    /// tokens x width.
    pub codes: Vec<i8>,
    /// The value of code 1, one a token.
    pub scales: Vec<f64>,
}

/// One stage's values.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// As [`Stage`] says, slowest first.
    pub shape: Vec<usize>,
    /// What the numbers were.
    pub number: Number,
    /// Row by row; of int8 stages code times scale.
    pub values: Vec<f64>,
    /// Of int8 stages.
    pub int8: Option<Codes>,
}

impl Tensor {
    /// A tensor of floats.
    pub fn floats(shape: Vec<usize>, number: Number, values: Vec<f64>) -> Self {
        Self { shape, number, values, int8: None }
    }

    /// A tensor of codes.
    pub fn codes(shape: Vec<usize>, codes: Vec<i8>, scales: Vec<f64>) -> Self {
        let width = (codes.len() / scales.len().max(1)).max(1);
        let rows = codes.chunks(width).zip(&scales);
        let values = rows.flat_map(|(row, &scale)| row.iter().map(move |&code| f64::from(code) * scale)).collect();
        Self { shape, number: Number::I8, values, int8: Some(Codes { codes, scales }) }
    }

    /// Elements of one of the `tokens` rows of a stage whose first axis is the token.
    pub fn width(&self) -> usize {
        self.shape[1..].iter().product()
    }

    /// The row of a token.
    pub fn row(&self, token: usize) -> &[f64] {
        let width = self.width();
        &self.values[token * width..(token + 1) * width]
    }

    /// The rows, first to last.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks_exact(self.width().max(1))
    }
}

/// Where a trace comes from; texts of the file's metadata.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct About {
    /// The program, e.g. `tritforge` or `transformers 5.23`.
    pub runtime: String,
    /// Its arithmetic: `f64`, `f32`, `f16`, `bf16`, `ggml`, `wide`, `integer`, …
    pub arithmetic: String,
    /// Name of the model.
    pub model: String,
    /// First 8 bytes of the SHA-256 of the model's file, 16 hexadecimal digits, or nothing where that is not known.
    pub model_hash: String,
}

/// One execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Where it comes from.
    pub about: About,
    /// The ids of the pass.
    pub tokens: Vec<u32>,
    /// Position of the first of them.
    pub first_position: usize,
    /// Names in the file that mean nothing here.
    pub unknown: Vec<String>,
    tensors: BTreeMap<(usize, Stage), (Place, Tensor)>,
}

impl Trace {
    /// A trace without tensors, from position 0.
    pub fn new(about: About, tokens: &[u32]) -> Self {
        Self { about, tokens: tokens.to_vec(), first_position: 0, unknown: Vec::new(), tensors: BTreeMap::new() }
    }

    /// Puts a stage's values.
    pub fn set(&mut self, place: Place, tensor: Tensor) {
        self.tensors.insert(place.rank(), (place, tensor));
    }

    /// Takes a stage's values away.
    pub fn remove(&mut self, place: Place) -> Option<Tensor> {
        self.tensors.remove(&place.rank()).map(|(_, tensor)| tensor)
    }

    /// A stage's values.
    pub fn get(&self, place: Place) -> Option<&Tensor> {
        self.tensors.get(&place.rank()).map(|(_, tensor)| tensor)
    }

    /// A stage's values, to be changed.
    pub fn get_mut(&mut self, place: Place) -> Option<&mut Tensor> {
        self.tensors.get_mut(&place.rank()).map(|(_, tensor)| tensor)
    }

    /// All stages in the order of computation.
    pub fn iter(&self) -> impl Iterator<Item = (Place, &Tensor)> {
        self.tensors.values().map(|(place, tensor)| (*place, tensor))
    }

    /// Layers that some stage names: the last one's number + 1.
    pub fn layers(&self) -> usize {
        self.iter().filter_map(|(place, _)| place.layer).max().map_or(0, |last| last + 1)
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }
}
