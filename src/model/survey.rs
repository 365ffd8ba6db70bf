//! What the matrices of a file hold: how many of their elements are -s, 0 and s, or why they are not ternary. In: a parsed file.
//! Out: a [`Tensor`] for each, in the order of the file. Nothing is kept of the weights but counts.

use rayon::prelude::*;

use super::gguf::{Gguf, TensorInfo};
pub use super::trits::Trits;
use super::trits::trits;

/// One tensor.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Tensor {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The form in the file, where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<&'static str>,
    /// Sizes, fastest first.
    pub sizes: Vec<u64>,
    /// Bytes in this type.
    pub bytes: u64,
    /// Of a ternary matrix.
    pub trits: Option<Trits>,
    /// Of another matrix: the first element that is none of -s, 0, s.
    pub not_ternary: Option<String>,
}

impl Tensor {
    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.sizes.iter().product()
    }
}

/// Looks at every tensor; `done` is called with the bytes of each when it is through.
pub fn survey(file: &Gguf<'_>, done: &(dyn Fn(u64) + Sync)) -> Vec<Tensor> {
    let look = |tensor: &TensorInfo<'_>| {
        let sizes = tensor.sizes[..tensor.dimensions as usize].to_vec();
        let found = (sizes.len() > 1).then(|| trits(file, tensor));
        done(tensor.stored_bytes);
        let (trits, not_ternary) = match found {
            Some(Ok(trits)) => (Some(trits), None),
            Some(Err(refusal)) => (None, Some(refusal.to_string())),
            None => (None, None),
        };
        let (name, kind, bytes, origin) = (tensor.name.to_owned(), tensor.kind.name(), tensor.stored_bytes, tensor.origin);
        Tensor { name, kind, origin, sizes, bytes, trits, not_ternary }
    };
    file.tensors().par_iter().map(look).collect()
}
