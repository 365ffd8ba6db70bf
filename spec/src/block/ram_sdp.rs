//! `ram_sdp`: a memory with one write port (an enable per slice of the word) and one synchronous read port with enable.
//! Read data stands from the cycle after `re` until the next `re`. A word must not be read in the cycle in
//! which it is written. No reset: a word read before it was written is undefined.

use super::{Contract, Port, fifo::DISTRIBUTED_DEPTH};
use crate::bits::clog2;

/// Cycles from `re` to `rdata`.
pub const LATENCY: u64 = 1;

/// Parameters of `ram_sdp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// Bits a word, a multiple of `slices`.
    pub width: usize,
    /// Words, at least 2.
    pub depth: usize,
    /// Equal parts of a word that are written separately, at least 1.
    pub slices: usize,
}

impl Params {
    /// Bits of an address.
    pub fn addr_width(&self) -> usize {
        clog2(self.depth)
    }

    /// Whether the words lie in block RAM.
    pub fn in_block_ram(&self) -> bool {
        self.depth > DISTRIBUTED_DEPTH
    }
}

impl Contract for Params {
    const STEM: &'static str = "ram_sdp";

    fn ports(&self) -> Vec<Port> {
        vec![
            Port::clk(),
            Port::level_in("we", self.slices),
            Port::level_in("waddr", self.addr_width()),
            Port::level_in("wdata", self.width),
            Port::level_in("re", 1),
            Port::level_in("raddr", self.addr_width()),
            Port::level_out("rdata", self.width),
        ]
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        vec![("W", self.width as i64), ("DEPTH", self.depth as i64), ("SLICES", self.slices as i64)]
    }

    fn examples() -> Vec<Self> {
        [(128, 22, 4), (32, 65, 1)].map(|(width, depth, slices)| Self { width, depth, slices }).into()
    }
}
