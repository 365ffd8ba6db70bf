//! How a stage is computed: the model's own way, or with one thing done otherwise. A suspect is a changed [`Recipe`].

use super::activation::Function;
use crate::model::llama::Pairs;

/// Matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Part {
    TokenEmbd,
    Q,
    K,
    V,
    O,
    Gate,
    Up,
    Down,
    Output,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 9] = [Self::TokenEmbd, Self::Q, Self::K, Self::V, Self::O, Self::Gate, Self::Up, Self::Down, Self::Output];

    /// The tensor's name without layer and `.weight`.
    pub fn name(self) -> &'static str {
        ["token_embd", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down", "output"][self as usize]
    }
}

/// Norms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Norm {
    Attn,
    AttnSub,
    Ffn,
    FfnSub,
    Output,
}

impl Norm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Attn, Self::AttnSub, Self::Ffn, Self::FfnSub, Self::Output];

    /// The tensor's name without layer and `.weight`.
    pub fn name(self) -> &'static str {
        ["attn_norm", "attn_sub_norm", "ffn_norm", "ffn_sub_norm", "output_norm"][self as usize]
    }
}

/// How a matrix is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Use {
    /// Which matrix stands there.
    pub source: Part,
    /// Read with rows and columns exchanged: element (row, column) is taken from `column · rows + row` of what is stored.
    pub transposed: bool,
    /// The order of each head's rows in the matrix that was read so; its outputs are put back into the stored one.
    pub transposed_in: HeadOrder,
    /// Rows of each head in another order.
    pub order: HeadOrder,
    /// Its scale is multiplied this often: 1 as it must be, 0 forgotten, 2 twice.
    pub scale_power: i32,
    /// Its bias is added.
    pub bias: bool,
}

/// Order of the rows of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadOrder {
    /// As stored.
    Stored,
    /// Row j + half of the stored is row 2j + 1: as if pairs that stand half a head apart were put side by side.
    Interleaved,
    /// The other way.
    Halved,
}

/// How a norm is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gain {
    /// Weights multiplied this often; 1 as it must be.
    Power(i32),
    /// No norm at all.
    LeftOut,
}

/// Which key/value head a query head uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvMap {
    /// `head / group`.
    Grouped,
    /// `head % kv_heads`.
    Modulo,
}

/// Everything that stages depend on beside weights and inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// A matrix's use, by [`Part`].
    pub parts: [Use; 9],
    /// A norm's, by [`Norm`].
    pub gains: [Gain; 5],
    /// Added to the mean square.
    pub epsilon: f64,
    /// Activations are rounded to int8 before ternary products.
    pub quantised: bool,
    /// Activations are rounded before products as llama.cpp rounds them, and sums are its.
    pub blocks: bool,
    /// Heads are rotated at all.
    pub rotated: bool,
    /// Base of the frequencies.
    pub theta: f64,
    /// Added to positions.
    pub shift: f64,
    /// Which elements turn together.
    pub pairs: Pairs,
    /// The order of each head's elements in which they do; afterwards they are put back into the stored one.
    pub turned_in: HeadOrder,
    /// The file's scaling of positions is obeyed.
    pub rope_scaling: bool,
    /// Which keys and values a head uses.
    pub kv_map: KvMap,
    /// Keys behind the query are masked.
    pub causal: bool,
    /// Factor of the scores.
    pub attention_scale: f64,
    /// Between gate and up.
    pub activation: Function,
    /// Gate and up have changed places in the activation.
    pub gate_is_up: bool,
    /// The sub-layer's input is added to its output.
    pub residual: bool,
    /// Factor of the embedding.
    pub embedding_scale: f64,
}

impl HeadOrder {
    /// The order that undoes it.
    pub fn inverse(self) -> Self {
        match self {
            Self::Stored => Self::Stored,
            Self::Interleaved => Self::Halved,
            Self::Halved => Self::Interleaved,
        }
    }

    /// Which stored row of a head of `2 · half` rows stands at `i`.
    pub fn stored_row(self, i: usize, half: usize) -> usize {
        match self {
            Self::Stored => i,
            Self::Interleaved => i / 2 + i % 2 * half,
            Self::Halved => i % half * 2 + i / half,
        }
    }
}

impl Recipe {
    /// The use of a matrix, to be changed.
    pub fn part(&mut self, part: Part) -> &mut Use {
        &mut self.parts[part as usize]
    }

    /// Exchanges two matrices.
    pub fn exchange(mut self, a: Part, b: Part) -> Self {
        self.part(a).source = b;
        self.part(b).source = a;
        self
    }
}
