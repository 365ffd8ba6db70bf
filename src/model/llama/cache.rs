//! Keys and values of the positions so far, in f16 as llama.cpp keeps them by default, or in f32 for the judge.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Rows of one width, one a position.
#[derive(Debug, Clone)]
pub enum Plane {
    /// Rounded to f16.
    F16(Vec<f16>),
    /// As they are.
    F32(Vec<f32>),
}

impl Plane {
    /// Appends values.
    pub fn extend(&mut self, values: &[f32]) {
        match self {
            Self::F16(stored) => stored.extend(values.iter().map(|&v| f16::from_f32(v))),
            Self::F32(stored) => stored.extend(values),
        }
    }

    /// Copies the values from `first` on to `out`.
    pub fn read(&self, first: usize, out: &mut [f32]) {
        match self {
            Self::F16(stored) => stored[first..first + out.len()].convert_to_f32_slice(out),
            Self::F32(stored) => out.copy_from_slice(&stored[first..first + out.len()]),
        }
    }

    /// Values in it.
    pub fn len(&self) -> usize {
        match self {
            Self::F16(stored) => stored.len(),
            Self::F32(stored) => stored.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One layer's keys (rotated) and values, rows of `kv_dim`.
#[derive(Debug, Clone)]
pub struct LayerCache {
    /// Keys, position by position.
    pub keys: Plane,
    /// Values, position by position.
    pub values: Plane,
}

/// The cache of all layers.
#[derive(Debug, Clone)]
pub struct LlamaCache {
    /// First to last.
    pub layers: Vec<LayerCache>,
    /// Positions that every layer holds.
    pub positions: usize,
}

impl LlamaCache {
    /// An empty cache; `half`: in f16.
    pub(super) fn new(layers: usize, half: bool) -> Self {
        let plane = || if half { Plane::F16(Vec::new()) } else { Plane::F32(Vec::new()) };
        Self { layers: (0..layers).map(|_| LayerCache { keys: plane(), values: plane() }).collect(), positions: 0 }
    }
}
