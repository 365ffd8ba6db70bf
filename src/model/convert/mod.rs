//! A model's file with its weights in another type. In: a parsed file, the type. Out: a GGUF file with the same metadata and tensors, written front
//! to back; of the weights only some rows are in memory at a time.
//!
//! [`Conversion::plan`] decides everything that can be decided before a byte is written, so that nearly every refusal comes before the output
//! is touched; [`Conversion::write`] makes the bytes.

mod plan;
mod role;
mod ternarise;

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::error::{ModelError, Refusal, shown};
use super::gguf::{Gguf, GgufPlan, TensorInfo, TensorType};
use super::quant::Matrix;
use super::quant::encode::{Unstored, trailer, write_rows};

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Type of the weights.
    pub kind: TensorType,
    /// Whether linear weights that are not ternary are rounded to -s, 0, s; only for the ternary types.
    pub ternarise: bool,
}

/// How a tensor's bytes come about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Work {
    /// As they stand in the input.
    Copy,
    /// Value by value.
    Encode,
    /// As [`Work::Encode`], of a tensor whose elements are -s, 0, s with this s.
    Ternary(f32),
    /// Rounded to -s, 0, s with this s, the mean magnitude.
    Ternarise(f64),
}

/// One tensor's way.
#[derive(Debug, Clone, Copy)]
pub struct Step<'f, 'a> {
    /// The tensor as it is.
    pub tensor: &'f TensorInfo<'a>,
    /// The type that it gets.
    pub kind: TensorType,
    /// The type that was wanted for it: another one if its rows fit no block of that.
    pub wanted: TensorType,
    /// How.
    pub work: Work,
}

/// Why a file was not converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The model or a weight of it.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// What took the bytes.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// A conversion that is decided, and not yet done.
#[derive(Debug)]
pub struct Conversion<'f, 'a> {
    file: &'f Gguf<'a>,
    steps: Vec<Step<'f, 'a>>,
    plan: GgufPlan,
}

impl<'f, 'a> Conversion<'f, 'a> {
    /// Decides what becomes of every tensor of `file`. For a ternary type this reads all linear weights; `done` is then called with the number of
    /// tensors that were read since.
    ///
    /// # Errors
    /// [`Refusal::NotTernary`] with tensor, row and column for a weight that is not ternary, if the type is and nothing is to be rounded;
    /// [`Refusal::Bounds`] for weights that are no numbers, or so small that their scale has no place in the type.
    pub fn plan(file: &'f Gguf<'a>, options: Options, done: &(dyn Fn(u64) + Sync)) -> Result<Self, ModelError> {
        let steps = plan::steps(file, options, done)?;
        Ok(Self { plan: plan::directory(file, &steps, options), steps, file })
    }

    /// What becomes of each tensor, in the order of the file.
    pub fn steps(&self) -> &[Step<'f, 'a>] {
        &self.steps
    }

    /// Bytes that will be written.
    pub fn total_bytes(&self) -> u64 {
        self.plan.total_bytes()
    }

    /// Rows of all tensors.
    pub fn rows(&self) -> u64 {
        self.steps.iter().map(|step| step.rows()).sum()
    }

    /// Writes the file; `done` is called with the number of rows that were written since. Returns how many weights became -1, 0 and 1 by
    /// rounding ([`Work::Ternarise`]).
    ///
    /// # Errors
    /// [`Refusal::Bounds`] for a weight that is no number, or beyond what its type can hold; and the errors of `out`.
    pub fn write(&self, out: impl Write, done: &(dyn Fn(u64) + Sync)) -> Result<[u64; 3], ConvertError> {
        let counts = [const { AtomicU64::new(0) }; 3];
        let mut stream = self.plan.stream(out)?;
        for step in &self.steps {
            let stored = self.file.tensor_bytes(step.tensor);
            if step.work == Work::Copy {
                stream.write(stored)?;
                done(step.rows());
                continue;
            }
            let matrix = Matrix::new(self.file, step.tensor)?;
            let values_of = |row: usize, values: &mut Vec<f32>| {
                matrix.row_values(row, values);
                if let Work::Ternarise(scale) = step.work {
                    let found = ternarise::round(values, scale);
                    counts.iter().zip(found).for_each(|(count, n)| {
                        count.fetch_add(n, Relaxed);
                    });
                }
            };
            let written = write_rows(step.kind, matrix.rows, matrix.cols, values_of, &mut |bytes| stream.write(bytes), done);
            written.map_err(|error| step.refusal(error))?;
            stream.write(&trailer(step.kind, step.scale().unwrap_or(1.0)))?;
        }
        stream.finish()?;
        Ok(counts.map(AtomicU64::into_inner))
    }
}

impl Step<'_, '_> {
    /// The scale of a ternary tensor before it is rounded to the type's, if it is one.
    pub fn scale(&self) -> Option<f32> {
        match self.work {
            Work::Ternary(scale) => Some(scale),
            Work::Ternarise(scale) => Some(scale as f32),
            Work::Copy | Work::Encode => None,
        }
    }

    /// By what share of itself the scale of a ternary tensor changes, as its type keeps it in f16; 0 for exact ones.
    pub fn scale_change(&self) -> f64 {
        match self.scale() {
            Some(scale) => (f64::from(plan::kept_scale(self.kind, scale)) / f64::from(scale) - 1.0).abs(),
            None => 0.0,
        }
    }

    fn rows(&self) -> u64 {
        self.tensor.elements() / self.tensor.columns()
    }

    fn refusal(&self, error: Unstored) -> ConvertError {
        let (row, col, value) = match error {
            Unstored::Write(error) => return error.into(),
            Unstored::Value { row, col, value } => (row, col, value),
        };
        let item = format!("tensor '{}' ({}), row {row}, column {col}", shown(self.tensor.name), self.tensor.kind.name());
        let (expected, remedy) = if value.is_finite() {
            (format!("a weight within the range of {}", self.kind.name()), "choose f32 or bf16, which have the range of any weight")
        } else {
            ("a finite number".into(), "the weights are damaged: fetch or convert the model again")
        };
        ModelError::refused(Refusal::Bounds, item, expected, value.to_string(), remedy).into()
    }
}
