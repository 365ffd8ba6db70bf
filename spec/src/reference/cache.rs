//! KV cache of the integer reference: codes and one Scale a position and head.

use super::model::IntModel;
use crate::numerics::Scale;

/// One layer's keys (rotated) and values; `codes[(pos·HK + head)·HD + i]`, `scales[pos·HK + head]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerCache {
    /// HK.
    pub kv_heads: usize,
    /// HD.
    pub head_dim: usize,
    /// Codes of the keys.
    pub k_codes: Vec<i8>,
    /// Scales of the keys.
    pub k_scales: Vec<Scale>,
    /// Codes of the values.
    pub v_codes: Vec<i8>,
    /// Scales of the values.
    pub v_scales: Vec<Scale>,
}

impl LayerCache {
    /// An empty cache.
    pub fn new(kv_heads: usize, head_dim: usize) -> Self {
        LayerCache { kv_heads, head_dim, k_codes: vec![], k_scales: vec![], v_codes: vec![], v_scales: vec![] }
    }

    /// Positions held.
    pub fn positions(&self) -> usize {
        self.k_scales.len() / self.kv_heads
    }

    /// Codes and scale of one key.
    pub fn key(&self, pos: usize, head: usize) -> (&[i8], Scale) {
        let at = pos * self.kv_heads + head;
        (&self.k_codes[at * self.head_dim..][..self.head_dim], self.k_scales[at])
    }

    /// Codes and scale of one value.
    pub fn value(&self, pos: usize, head: usize) -> (&[i8], Scale) {
        let at = pos * self.kv_heads + head;
        (&self.v_codes[at * self.head_dim..][..self.head_dim], self.v_scales[at])
    }
}

/// The cache of a sequence, all layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvCache {
    /// One a layer.
    pub layers: Vec<LayerCache>,
}

impl KvCache {
    /// An empty cache for a model.
    pub fn new(model: &IntModel) -> Self {
        KvCache { layers: vec![LayerCache::new(model.shape.kv_heads, model.shape.head_dim); model.layers.len()] }
    }

    /// Positions held.
    pub fn positions(&self) -> usize {
        self.layers.first().map_or(0, LayerCache::positions)
    }
}
