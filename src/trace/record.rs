//! Keeps what the judge or the Llama graph shows. In: an observer's calls of one pass. Out: a [`Trace`].

use super::{About, Number, Tensor, Trace};
use crate::model::judge::{Observer, Place, Real, Values};

/// An observer that keeps everything.
#[derive(Debug)]
pub struct Recorder {
    trace: Trace,
    number: Number,
}

impl Recorder {
    /// Of a pass over `tokens` from position 0 whose floats are of type `number`.
    pub fn new(about: About, tokens: &[u32], number: Number) -> Self {
        Self { trace: Trace::new(about, tokens), number }
    }

    /// What was seen.
    pub fn finish(self) -> Trace {
        self.trace
    }
}

impl<F: Real> Observer<F> for Recorder {
    fn see(&mut self, place: Place, shape: &[usize], values: Values<'_, F>) {
        // Every float here is an f32 or f64, which convert.
        let wide = |values: &[F]| values.iter().map(|v| v.to_f64().unwrap_or(f64::NAN)).collect();
        let tensor = match values {
            Values::Float(values) => Tensor::floats(shape.to_vec(), self.number, wide(values)),
            Values::Int8 { codes, scales } => Tensor::codes(shape.to_vec(), codes.to_vec(), wide(scales)),
        };
        self.trace.set(place, tensor);
    }
}
