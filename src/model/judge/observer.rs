//! Looking at the judge from outside: every stage has a name and can be observed with its values.

use std::fmt;
use std::str::FromStr;

/// A stage of the model. Names and shapes (tokens first unless said otherwise):
/// q, k, v and their rotated forms are tokens x heads x head size; kq and kq_soft are heads x queries x keys, scaled
/// by 1/√(head size), -∞ (after softmax 0) where a key lies behind its query; all others are tokens x width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Stage {
    InpEmbd,
    AttnNorm,
    AttnNormQ8,
    Q,
    K,
    V,
    QRope,
    KRope,
    Kq,
    KqSoft,
    Kqv,
    AttnSubNorm,
    AttnSubNormQ8,
    AttnOut,
    AttnResid,
    FfnNorm,
    FfnNormQ8,
    FfnGate,
    FfnUp,
    FfnAct,
    FfnSubNorm,
    FfnSubNormQ8,
    FfnOut,
    LOut,
    ResultNorm,
    ResultOutput,
}

impl Stage {
    /// All stages in the order of computation.
    pub const ALL: [Self; 26] = [
        Self::InpEmbd,
        Self::AttnNorm,
        Self::AttnNormQ8,
        Self::Q,
        Self::K,
        Self::V,
        Self::QRope,
        Self::KRope,
        Self::Kq,
        Self::KqSoft,
        Self::Kqv,
        Self::AttnSubNorm,
        Self::AttnSubNormQ8,
        Self::AttnOut,
        Self::AttnResid,
        Self::FfnNorm,
        Self::FfnNormQ8,
        Self::FfnGate,
        Self::FfnUp,
        Self::FfnAct,
        Self::FfnSubNorm,
        Self::FfnSubNormQ8,
        Self::FfnOut,
        Self::LOut,
        Self::ResultNorm,
        Self::ResultOutput,
    ];

    /// Whether it belongs to a layer.
    pub fn in_layer(self) -> bool {
        !matches!(self, Self::InpEmbd | Self::ResultNorm | Self::ResultOutput)
    }

    /// The name without the layer.
    pub fn name(self) -> &'static str {
        match self {
            Self::InpEmbd => "inp_embd",
            Self::AttnNorm => "attn_norm",
            Self::AttnNormQ8 => "attn_norm_q8",
            Self::Q => "q",
            Self::K => "k",
            Self::V => "v",
            Self::QRope => "q_rope",
            Self::KRope => "k_rope",
            Self::Kq => "kq",
            Self::KqSoft => "kq_soft",
            Self::Kqv => "kqv",
            Self::AttnSubNorm => "attn_sub_norm",
            Self::AttnSubNormQ8 => "attn_sub_norm_q8",
            Self::AttnOut => "attn_out",
            Self::AttnResid => "attn_resid",
            Self::FfnNorm => "ffn_norm",
            Self::FfnNormQ8 => "ffn_norm_q8",
            Self::FfnGate => "ffn_gate",
            Self::FfnUp => "ffn_up",
            Self::FfnAct => "ffn_act",
            Self::FfnSubNorm => "ffn_sub_norm",
            Self::FfnSubNormQ8 => "ffn_sub_norm_q8",
            Self::FfnOut => "ffn_out",
            Self::LOut => "l_out",
            Self::ResultNorm => "result_norm",
            Self::ResultOutput => "result_output",
        }
    }
}

/// A stage and, inside the decoder, its layer. Prints as `blk.0.attn_norm`, `result_norm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Layer, `None` before the first and after the last.
    pub layer: Option<usize>,
    /// Stage.
    pub stage: Stage,
}

impl Place {
    /// A number that grows in the order of computation.
    pub fn rank(self) -> (usize, Stage) {
        let part = match (self.layer, self.stage) {
            (Some(layer), _) => layer + 1,
            (None, Stage::InpEmbd) => 0,
            (None, _) => usize::MAX,
        };
        (part, self.stage)
    }
}

impl FromStr for Place {
    type Err = ();

    /// Reads what [`Place`] prints; a layer's number has no leading zeros.
    fn from_str(name: &str) -> Result<Self, ()> {
        let (layer, name) = match name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
            Some((number, name)) => {
                let layer: u32 = number.parse().map_err(|_| ())?;
                if layer.to_string() != number {
                    return Err(());
                }
                (Some(layer as usize), name)
            }
            None => (None, name),
        };
        let stage = Stage::ALL.into_iter().find(|stage| stage.name() == name).ok_or(())?;
        if stage.in_layer() == layer.is_some() { Ok(Self { layer, stage }) } else { Err(()) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layer {
            Some(layer) => write!(f, "blk.{layer}.{}", self.stage.name()),
            None => f.write_str(self.stage.name()),
        }
    }
}

/// The values of a stage.
#[derive(Debug, Clone, Copy)]
pub enum Values<'v, F> {
    /// Floats.
    Float(&'v [F]),
    /// int8 codes, and the value of code 1 for each token.
    Int8 {
        /// tokens x width codes.
        codes: &'v [i8],
        /// One scale a token.
        scales: &'v [F],
    },
}

/// Receives the stages of a forward pass in the order of computation.
pub trait Observer<F> {
    /// Whether [`Observer::see`] is to be called for this stage; kq and kq_soft are only gathered when wanted.
    fn wants(&self, place: Place) -> bool {
        let _ = place;
        true
    }

    /// The values of one stage for all tokens of the pass; `shape` as [`Stage`] says.
    fn see(&mut self, place: Place, shape: &[usize], values: Values<'_, F>);
}

/// Observes nothing.
impl<F> Observer<F> for () {
    fn wants(&self, _: Place) -> bool {
        false
    }

    fn see(&mut self, _: Place, _: &[usize], _: Values<'_, F>) {}
}
