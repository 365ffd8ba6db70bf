//! Looking at the integer reference from outside: named stages, and the count of what saturated.

use crate::numerics::Scale;
use crate::numerics::ffn::Element;

/// A stage; a token is an index within the pass. Stages of a head carry the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Int8 after attn_norm: codes of D and their scale.
    AttnNormQ8,
    /// Ternary sums of the query projection, H·HD.
    Q,
    /// Ternary sums of the key projection, HK·HD.
    K,
    /// Ternary sums of the value projection, HK·HD.
    V,
    /// Rotated sums of a query head (15 fraction bits of the ROM).
    QRope,
    /// Rotated sums of a KV head.
    KRope,
    /// Int8 query codes of a head and their scale (log2 e / √HD included).
    QCodes,
    /// Key codes of a KV head and their scale.
    KCodes,
    /// Value codes of a KV head and their scale (2^Fo included).
    VCodes,
    /// Scores z of a query head, one a position.
    Scores,
    /// Weights of V of a query head, one a position.
    Weights,
    /// Rounding shifts of the accumulators of a query head, one a position.
    Shifts,
    /// Value accumulators of a query head at the end.
    Accumulators,
    /// Attention output, all query heads, Fo fraction bits.
    AttnOutput,
    /// Int8 after attn_sub_norm: codes of H·HD and their scale.
    AttnSubNormQ8,
    /// Ternary sums of the output projection, D.
    OSums,
    /// Residual after attention, F fraction bits.
    AttnResidual,
    /// Int8 after ffn_norm.
    FfnNormQ8,
    /// Ternary sums of gate.
    Gate,
    /// Ternary sums of up.
    Up,
    /// Activations and their common scale.
    Activation,
    /// Int8 after ffn_sub_norm.
    FfnSubNormQ8,
    /// Ternary sums of down.
    DownSums,
    /// Residual after the layer, F fraction bits.
    LayerOutput,
    /// Int8 after output_norm.
    OutputNormQ8,
    /// Logits, 16 fraction bits.
    Logits,
}

/// Values of a stage.
#[derive(Clone, Copy, Debug)]
pub enum Values<'v> {
    /// Codes and the value of code 1.
    Codes(&'v [i8], Scale),
    /// Integers up to 32 bits.
    I32(&'v [i32]),
    /// Integers up to 48 bits.
    I64(&'v [i64]),
    /// Activations and the scale of their integers.
    Elements(&'v [Element], Scale),
}

/// Receives the stages of a pass in the order of computation.
pub trait Observer {
    /// One stage of one token, of one head where the stage has heads; `layer` is None in the head of the model.
    fn see(&mut self, layer: Option<usize>, stage: Stage, token: usize, head: Option<usize>, values: Values<'_>);
}

/// Observes nothing.
impl Observer for () {
    fn see(&mut self, _: Option<usize>, _: Stage, _: usize, _: Option<usize>, _: Values<'_>) {}
}

/// A closure observes.
impl<F: FnMut(Option<usize>, Stage, usize, Option<usize>, Values<'_>)> Observer for F {
    fn see(&mut self, layer: Option<usize>, stage: Stage, token: usize, head: Option<usize>, values: Values<'_>) {
        self(layer, stage, token, head, values);
    }
}

/// Elements that saturated, by place (docs/numerics.md, section 10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saturations {
    /// Scores z.
    pub scores: u64,
    /// Attention outputs o.
    pub outputs: u64,
    /// Residual adds (the scaled sum and the sum each count).
    pub residuals: u64,
    /// Logits.
    pub logits: u64,
    /// Exponents of scales.
    pub scales: u64,
}

impl Saturations {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.scores + self.outputs + self.residuals + self.logits + self.scales
    }

    /// Adds another count.
    pub fn add(&mut self, other: &Saturations) {
        self.scores += other.scores;
        self.outputs += other.outputs;
        self.residuals += other.residuals;
        self.logits += other.logits;
        self.scales += other.scales;
    }
}
