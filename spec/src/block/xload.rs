//! `xload`: vectors of D 32-bit elements from super-words to groups of VEC elements, each group to both outputs.
//! In: streams `cmd`, `in` (super-words); out: `xn` (to `norm`), `xr` (to `resid`).

use super::{Contract, Port};
use crate::{hw::Hw, stream_names};

/// Cycles from an accepted super-word to its first group: input skid, output skid.
pub const LATENCY: u64 = 2;

/// Parameters of `xload` and, with the same meaning, of `xstore`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// W: bits of a super-word, a multiple of 32·vec.
    pub word_bits: usize,
    /// VEC: elements of a group, a power of two.
    pub vec: usize,
    /// TW: bits of a token index.
    pub token_bits: usize,
    /// D: elements of a vector, a multiple of `vec`.
    pub dim: usize,
}

impl Params {
    /// With a command or a group offered, something moves at least once in this many cycles, when no peer lets the block wait for more than
    /// `wait` cycles on end: the wait, the movement, and a word from the skid to the outputs. Proven for any `wait` (docs/formal.md).
    pub const fn progress_bound(wait: u64) -> u64 {
        wait + 1 + 1
    }

    /// Groups of a vector.
    pub fn groups(&self) -> usize {
        self.dim / self.vec
    }

    /// Groups of a super-word.
    pub fn groups_per_word(&self) -> usize {
        self.word_bits / (32 * self.vec)
    }

    /// Super-words of a vector.
    pub fn vector_words(&self) -> usize {
        (32 * self.dim).div_ceil(self.word_bits)
    }

    pub(super) fn verilog(&self) -> Vec<(&'static str, i64)> {
        vec![("W", self.word_bits as i64), ("VEC", self.vec as i64), ("TW", self.token_bits as i64), ("D", self.dim as i64)]
    }

    /// Parameter sets of the tests: one group a word, one element a group, a last word with padding, wide words.
    pub(super) fn shapes() -> [Self; 5] {
        [(32, 1, 1, 48), (128, 4, 2, 16), (192, 2, 3, 64), (512, 4, 1, 80), (512, 16, 4, 16)]
            .map(|(word_bits, vec, token_bits, dim)| Self { word_bits, vec, token_bits, dim })
    }
}

impl From<&Hw> for Params {
    fn from(hw: &Hw) -> Self {
        Self { word_bits: hw.word_bits(), vec: hw.config.vec, token_bits: hw.token_bits(), dim: hw.shape.dim }
    }
}

impl Contract for Params {
    const STEM: &'static str = "xload";

    fn ports(&self) -> Vec<Port> {
        let group = 32 * self.vec;
        let mut ports = vec![Port::clk(), Port::rst()];
        ports.extend(Port::stream_in(stream_names!("cmd", "n"), &[self.token_bits + 1]));
        ports.extend(Port::stream_in(stream_names!("in", "data"), &[self.word_bits]));
        ports.extend(Port::stream_out(stream_names!("xn", "data"), &[group]));
        ports.extend(Port::stream_out(stream_names!("xr", "data"), &[group]));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        self.verilog()
    }

    fn examples() -> Vec<Self> {
        Self::shapes().into()
    }
}
