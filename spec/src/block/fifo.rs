//! `fifo`: a first-in first-out store of any depth, distributed RAM up to [`DISTRIBUTED_DEPTH`] words, block RAM above.
//! In: stream `in`; out: stream `out`, the same words in order, and `count`, the words held.

use super::{Contract, Port};
use crate::{bits::clog2, stream_names};

/// The deepest memory that is made of distributed RAM; deeper ones are block RAM (one constant for all blocks).
pub const DISTRIBUTED_DEPTH: usize = 64;

/// Parameters of `fifo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// Bits a word, at least 1.
    pub width: usize,
    /// Words it holds, at least 2, any number.
    pub depth: usize,
}

impl Params {
    /// Whether the words lie in block RAM.
    pub fn in_block_ram(&self) -> bool {
        self.depth > DISTRIBUTED_DEPTH
    }

    /// Cycles from an accepted word to `out_valid`, when empty: block RAM takes one more, for its registered read.
    pub fn latency(&self) -> u64 {
        if self.in_block_ram() { 2 } else { 1 }
    }

    /// Bits of `count`, which goes from 0 to `depth`.
    pub fn count_width(&self) -> usize {
        clog2(self.depth + 1)
    }
}

impl Contract for Params {
    const STEM: &'static str = "fifo";

    fn ports(&self) -> Vec<Port> {
        let mut ports = vec![Port::clk(), Port::rst()];
        ports.extend(Port::stream_in(stream_names!("in", "data"), &[self.width]));
        ports.extend(Port::stream_out(stream_names!("out", "data"), &[self.width]));
        ports.push(Port::level_out("count", self.count_width()));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        vec![("W", self.width as i64), ("DEPTH", self.depth as i64)]
    }

    fn examples() -> Vec<Self> {
        [(1, 2), (130, 5), (16, 64), (8, 65)].map(|(width, depth)| Self { width, depth }).into()
    }
}
