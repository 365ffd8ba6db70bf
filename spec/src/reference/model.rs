//! The integer model: what the compiler makes of a float model, and all that the integer pipeline needs (docs/numerics.md).

use crate::hw::AttnShape;
use crate::numerics::Scale;
use crate::numerics::head::PLANES;

/// A ternary matrix, one i8 (−1, 0, 1) a weight, row by row: outputs x inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TernaryRows {
    /// Outputs.
    pub rows: usize,
    /// Inputs, at most 16384.
    pub cols: usize,
    /// rows · cols trits.
    pub trits: Vec<i8>,
}

impl TernaryRows {
    /// One row of trits.
    pub fn row(&self, r: usize) -> &[i8] {
        &self.trits[r * self.cols..(r + 1) * self.cols]
    }

    /// `acc_r = Σ q_k · w_rk` for every row: signed 22 bits.
    pub fn sums(&self, q: &[i8]) -> Vec<i32> {
        debug_assert_eq!(q.len(), self.cols);
        self.trits.chunks_exact(self.cols).map(|row| dot(row, q)).collect()
    }
}

/// Exact dot product of int8 vectors.
#[inline]
pub fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}

/// An RMS norm over fixed-point elements (section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Norm {
    /// Gains, signed 17 bits.
    pub gain: Vec<i32>,
    /// Their common exponent (already in `c`; kept for reports).
    pub gain_exponent: i32,
    /// C = max(1, round(K · eps · 2^(2F))).
    pub eps: u64,
    /// of(√K · 2^e_g / 127).
    pub c: Scale,
}

/// An RMS norm over elements with an exponent each (section 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FloatNorm {
    /// Gains, signed 17 bits.
    pub gain: Vec<i32>,
    /// Their common exponent (already in `c`; kept for reports).
    pub gain_exponent: i32,
    /// of(K · eps).
    pub c_eps: Scale,
    /// of(√K · 2^e_g / 127).
    pub c: Scale,
}

/// The attention sub-layer of one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttnParams {
    /// Norm before the projections, K = D, F fraction bits.
    pub norm: Norm,
    /// Query projection, H·HD x D.
    pub q: TernaryRows,
    /// Key projection, HK·HD x D.
    pub k: TernaryRows,
    /// Value projection, HK·HD x D.
    pub v: TernaryRows,
    /// of(s_wq · 2^−15 · log2(e) / √HD / 127).
    pub c_q: Scale,
    /// of(s_wk · 2^−15 / Q).
    pub c_k: Scale,
    /// of(s_wv · 2^−15 / Q · 2^Fo).
    pub c_v: Scale,
    /// Norm of the attention output, K = H·HD, Fo fraction bits.
    pub sub_norm: Norm,
    /// Output projection, D x H·HD.
    pub o: TernaryRows,
    /// of(s_wo · 2^F).
    pub c_o: Scale,
}

/// The feed-forward sub-layer of one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FfnParams {
    /// Norm before gate and up, K = D, F fraction bits.
    pub norm: Norm,
    /// Gate, ffn x D.
    pub gate: TernaryRows,
    /// Up, ffn x D.
    pub up: TernaryRows,
    /// of(s_w) of gate.
    pub c_gate: Scale,
    /// of(s_w) of up.
    pub c_up: Scale,
    /// Norm of the activations, K = ffn.
    pub sub_norm: FloatNorm,
    /// Down, D x ffn.
    pub down: TernaryRows,
    /// of(s_w · 2^F) of down.
    pub c_down: Scale,
}

/// One decoder layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntLayer {
    /// Attention.
    pub attn: AttnParams,
    /// Feed-forward.
    pub ffn: FfnParams,
}

/// The output head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadParams {
    /// Norm before the head, K = D, F fraction bits.
    pub norm: Norm,
    /// Ternary planes, vocabulary x D each, most significant first.
    pub planes: [TernaryRows; PLANES],
    /// of(absmax_r / 121), one a row.
    pub row_scales: Vec<Scale>,
}

/// Activation between gate and up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// max(x, 0)².
    Relu2,
    /// x / (1 + e^−x).
    Silu,
}

/// A whole model in integers, for one KV width.
#[derive(Clone, Debug, PartialEq)]
pub struct IntModel {
    /// Dimensions of the attention sub-layer; `context` at most 8192.
    pub shape: AttnShape,
    /// Width of the feed-forward network.
    pub ffn: usize,
    /// Rows of the vocabulary.
    pub vocab: usize,
    /// Activation of the feed-forward network.
    pub activation: Activation,
    /// Bits of a K or V code: 4, 6 or 8 (in c_k and c_v).
    pub kv_bits: usize,
    /// F: fraction bits of the residual, 12..=24.
    pub res_frac: u32,
    /// Fo: fraction bits of the attention output, 8..=28.
    pub attn_frac: u32,
    /// Phase steps of RoPE, HD/2.
    pub rope_steps: Vec<u32>,
    /// Residual rows of the vocabulary, vocabulary x D, F fraction bits.
    pub embedding: Vec<i32>,
    /// Layers, first to last.
    pub layers: Vec<IntLayer>,
    /// Head.
    pub head: HeadParams,
}

impl IntModel {
    /// The residual row of a token.
    pub fn embedding_row(&self, token: usize) -> &[i32] {
        &self.embedding[token * self.shape.dim..(token + 1) * self.shape.dim]
    }

    /// G: query heads a KV head.
    pub fn group(&self) -> usize {
        self.shape.heads / self.shape.kv_heads
    }

    /// H·HD.
    pub fn q_dim(&self) -> usize {
        self.shape.heads * self.shape.head_dim
    }

    /// HK·HD.
    pub fn kv_dim(&self) -> usize {
        self.shape.kv_heads * self.shape.head_dim
    }
}
