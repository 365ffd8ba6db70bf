//! How far two right executions may lie apart, by their arithmetics. In: both traces. Out: [`Tolerances`], which `--tolerance` replaces.

use serde::Serialize;

use crate::model::judge::{Place, Stage};
use crate::trace::{Number, Trace};

/// How exactly an execution computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Noise {
    F64,
    F32,
    /// f16 or bf16 between operations.
    Half,
    /// llama.cpp's: int8 blocks of activations, f16 cache.
    Blocks,
    /// The integer contract.
    Integer,
}

/// What counts as equal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tolerances {
    /// Of |a - b| / max(|a|, |b|, RMS of a), of whole runs, where errors add up over the layers.
    pub whole: f64,
    /// The same of one stage from equal inputs.
    pub stage: f64,
    /// What each position adds: an angle of RoPE grows with the position, and so does its rounding.
    pub a_position: f64,
    /// Least for kqv: llama.cpp's running softmax rounds its mix to f16 at every position, without it the mix is f32.
    pub mix: f64,
    /// Of a value before rounding, in int8 codes: nearer than this to a boundary is a tie.
    pub tie: f64,
    /// Equal stages give equal numbers up to the rounding of f32: what else a run carries on began at a tie.
    #[serde(skip)]
    pub exact: bool,
}

impl Tolerances {
    /// Of whole runs over `positions`.
    pub fn of_whole(&self, positions: usize) -> f64 {
        self.whole + positions as f64 * self.a_position
    }

    /// Of one stage.
    pub fn of_stage(&self, place: Place, positions: usize) -> f64 {
        let rotated = matches!(place.stage, Stage::QRope | Stage::KRope);
        let least = if place.stage == Stage::Kqv { self.mix } else { 0.0 };
        self.stage.max(least) + if rotated { positions as f64 * self.a_position } else { 0.0 }
    }
}

/// Two roundings of f32 to a radian, and two more of the frequency.
const F32_ANGLE: f64 = 5e-7;

/// Tolerances a class, two to ten times what was measured between right executions of the embedded model and stories260K in F32 and Q8_0.
const OF_CLASS: [Tolerances; 5] = [
    Tolerances { whole: 1e-9, stage: 1e-10, a_position: 1e-14, mix: 0.0, tie: 1e-9, exact: true },
    Tolerances { whole: 1e-4, stage: 2e-5, a_position: F32_ANGLE, mix: 0.0, tie: 2e-3, exact: true },
    Tolerances { whole: 0.1, stage: 0.03, a_position: F32_ANGLE, mix: 0.0, tie: 0.5, exact: false },
    Tolerances { whole: 0.5, stage: 0.1, a_position: F32_ANGLE, mix: 0.0, tie: 0.5, exact: false },
    Tolerances { whole: 0.5, stage: 0.1, a_position: F32_ANGLE, mix: 0.0, tie: 0.02, exact: false },
];
/// Between two executions in llama.cpp's own arithmetic: what order of sums leaves, and roundings that it turns.
const BLOCKS_BOTH: Tolerances = Tolerances { whole: 0.2, stage: 2e-3, a_position: F32_ANGLE, mix: 0.02, tie: 0.5, exact: false };
/// Between two of the integer contract: nothing.
const INTEGER_BOTH: Tolerances = Tolerances { whole: 1e-9, stage: 1e-9, a_position: 0.0, mix: 0.0, tie: 1e-9, exact: true };

fn noise(trace: &Trace) -> Noise {
    let text = trace.about.arithmetic.to_lowercase();
    let has = |names: &[&str]| names.iter().any(|name| text.contains(name));
    let narrowest = trace.iter().map(|(_, tensor)| tensor.number).max_by_key(|number| match number {
        Number::F64 | Number::I8 => 0,
        Number::F32 => 1,
        Number::F16 | Number::BF16 => 2,
    });
    let stored = match narrowest {
        Some(Number::F16 | Number::BF16) => Noise::Half,
        Some(Number::F32) => Noise::F32,
        _ => Noise::F64,
    };
    let said = if has(&["integer"]) {
        Noise::Integer
    } else if has(&["ggml", "wide"]) {
        Noise::Blocks
    } else if has(&["f16", "float16"]) {
        Noise::Half
    } else if has(&["f64", "float64"]) {
        Noise::F64
    } else {
        Noise::F32
    };
    said.max(stored)
}

/// Both in llama.cpp's arithmetic.
pub fn both_in_blocks(a: &Trace, b: &Trace) -> bool {
    noise(a) == Noise::Blocks && noise(b) == Noise::Blocks
}

/// The tolerances of a pair. One stage is computed in f64 from b's inputs and compared with b, so it is b's noise alone that shows there; but where
/// a's own execution was `fed` b's inputs, it is the pair's.
pub fn tolerances(a: &Trace, b: &Trace, fed: bool) -> Tolerances {
    match (noise(a), noise(b)) {
        (Noise::Blocks, Noise::Blocks) => BLOCKS_BOTH,
        (Noise::Integer, Noise::Integer) if fed => INTEGER_BOTH,
        (Noise::Integer, Noise::Integer) => Tolerances { stage: OF_CLASS[Noise::Integer as usize].stage, ..INTEGER_BOTH },
        (a, b) => Tolerances { stage: OF_CLASS[if fed { a.max(b) } else { b } as usize].stage, ..OF_CLASS[a.max(b) as usize] },
    }
}
