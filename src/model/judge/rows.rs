//! What flows between stages: one row of numbers a token, as floats or as int8 with a scale a row.

use std::fmt::Debug;

use num_traits::{Float, FromPrimitive};

/// The number type the judge computes in: f64 to judge, f32 to see what f32 costs.
pub trait Real: Float + FromPrimitive + Debug + Send + Sync + 'static {
    /// A constant or a weight in this type.
    fn of(x: f64) -> Self;

    /// Nearest integer, ties to even.
    fn round_ties_even(self) -> Self;
}

impl Real for f32 {
    fn of(x: f64) -> Self {
        x as f32
    }

    fn round_ties_even(self) -> Self {
        f32::round_ties_even(self)
    }
}

impl Real for f64 {
    fn of(x: f64) -> Self {
        x
    }

    fn round_ties_even(self) -> Self {
        f64::round_ties_even(self)
    }
}

/// `tokens` rows of `width` floats.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows<F> {
    /// Number of rows.
    pub tokens: usize,
    /// Elements of a row.
    pub width: usize,
    /// `tokens · width` values, row by row.
    pub values: Vec<F>,
}

impl<F: Real> Rows<F> {
    /// Row of token `token`.
    pub fn row(&self, token: usize) -> &[F] {
        &self.values[token * self.width..(token + 1) * self.width]
    }

    /// The rows, first to last.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[F]> {
        self.values.chunks_exact(self.width)
    }

    /// Applies `stage` to each row; every result has `width` elements.
    pub fn map(&self, width: usize, mut stage: impl FnMut(usize, &[F]) -> Vec<F>) -> Self {
        let mut values = Vec::with_capacity(self.tokens * width);
        for (token, row) in self.iter().enumerate() {
            values.extend(stage(token, row));
        }
        Self { tokens: self.tokens, width, values }
    }

    /// Element by element with an equally shaped `other`.
    pub fn zip(&self, other: &Self, stage: impl Fn(F, F) -> F) -> Self {
        let values = self.values.iter().zip(&other.values).map(|(&a, &b)| stage(a, b)).collect();
        Self { tokens: self.tokens, width: self.width, values }
    }
}

/// `tokens` rows of `width` int8 codes: a value is `code · scale` of its row.
#[derive(Debug, Clone, PartialEq)]
pub struct Int8Rows<F> {
    /// Number of rows.
    pub tokens: usize,
    /// Elements of a row.
    pub width: usize,
    /// `tokens · width` codes, row by row.
    pub codes: Vec<i8>,
    /// One scale a row: the value of code 1.
    pub scales: Vec<F>,
}

impl<F: Real> Int8Rows<F> {
    /// Codes of token `token`.
    pub fn row(&self, token: usize) -> &[i8] {
        &self.codes[token * self.width..(token + 1) * self.width]
    }
}
