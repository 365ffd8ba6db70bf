//! `route`: demultiplexer of super-words by their dest.
//! In: stream `in` {dest, data}; out: streams `o0`, `o1`, `o2` {data}. A word with dest 3 is dropped.

use super::{Contract, Port, axi::DEST_BITS};
use crate::{hw::Hw, stream_names};

/// Cycles from an accepted word to the valid of its output.
pub const LATENCY: u64 = 1;
/// Outputs.
pub const OUTPUTS: usize = 3;

/// Parameters of `route`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// W: bits of a word.
    pub width: usize,
}

impl Params {
    /// While it holds a word, one moves at least once in this many cycles, when no sink lets its word wait for more than `wait` cycles.
    /// Proven for any `wait` (docs/formal.md).
    pub const fn progress_bound(wait: u64) -> u64 {
        wait + 1
    }
}

impl From<&Hw> for Params {
    fn from(hw: &Hw) -> Self {
        Self { width: hw.word_bits() }
    }
}

impl Contract for Params {
    const STEM: &'static str = "route";

    fn ports(&self) -> Vec<Port> {
        let mut ports = vec![Port::clk(), Port::rst()];
        ports.extend(Port::stream_in(stream_names!("in", "dest", "data"), &[DEST_BITS, self.width]));
        ports.extend(Port::stream_out(stream_names!("o0", "data"), &[self.width]));
        ports.extend(Port::stream_out(stream_names!("o1", "data"), &[self.width]));
        ports.extend(Port::stream_out(stream_names!("o2", "data"), &[self.width]));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        vec![("W", self.width as i64)]
    }

    fn examples() -> Vec<Self> {
        [128, 65].map(|width| Self { width }).into()
    }
}
