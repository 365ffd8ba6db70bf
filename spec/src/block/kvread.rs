//! `kvread`: the KV blocks of a pass in the order of attention, from memory and from the pass buffer.
//! In: `cmd` {layer, slot, position of token 0, tokens}, `pb` words of `kvwrite`, `in` super-words from memory, `pt` page table
//! writes. Out: `kseg` segments to read, `kv` blocks: header, scales, K, V. The layout is that of [`crate::kv`].

use super::{
    Contract, Port,
    attn::KIND_BITS,
    axi::{OFFSET_BITS, READ_SEGMENT},
    kvwrite::{PAGE_BITS, command_fields, pass_fields},
};
use crate::{hw::Hw, kv::KvShape, stream_names};

/// Cycles from an accepted command to its first segment: skid, page read, sum, offer; and between the segment that ends a block
/// and the next block's: page read, sum, offer.
pub const SEGMENT_LATENCY: u64 = 4;
pub const SEGMENT_PERIOD: u64 = 3;
/// Cycles from a word accepted on `in` to `kv_valid`: skid, output register.
pub const LATENCY: u64 = 2;
/// Cycles from the acceptance of the pass's last scale on `pb` to the header of the first block from the pass buffer: skid, two
/// stages of the write, the write itself, output register.
pub const PASS_LATENCY: u64 = 5;

/// Parameters of `kvread`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    pub kv: KvShape,
}

impl Params {
    /// While a command is here or a word stands at `kv`, something moves at least once in this many cycles, when no peer lets `kvread` wait
    /// for more than `wait` cycles on end: the wait, and the longest way inside, that of a pass's last scale. Proven for any `wait`
    /// (docs/formal.md).
    pub const fn progress_bound(wait: u64) -> u64 {
        wait + PASS_LATENCY
    }
}

impl From<&Hw> for Params {
    fn from(hw: &Hw) -> Self {
        Self { kv: hw.kv() }
    }
}

impl Contract for Params {
    const STEM: &'static str = "kvread";

    fn ports(&self) -> Vec<Port> {
        let (tw, w) = (self.kv.token_bits(), self.kv.word_bits);
        let mut ports = vec![Port::clk(), Port::rst()];
        let cmd = stream_names!("cmd", "layer", "slot", "pos", "n");
        ports.extend(Port::stream_in(cmd, &command_fields(tw)));
        let pb = stream_names!("pb", "kind", "head", "token", "word", "data");
        ports.extend(Port::stream_in(pb, &pass_fields(tw, w)));
        ports.extend(Port::stream_in(stream_names!("in", "data"), &[w]));
        ports.extend(Port::stream_in(stream_names!("pt", "index", "entry"), &[PAGE_BITS, OFFSET_BITS]));
        ports.extend(Port::stream_out(stream_names!("kseg", "off", "beats", "dest"), READ_SEGMENT));
        ports.extend(Port::stream_out(stream_names!("kv", "kind", "data"), &[KIND_BITS, w]));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        self.kv.verilog_params()
    }

    fn examples() -> Vec<Self> {
        KvShape::examples().into_iter().map(|kv| Self { kv }).collect()
    }
}
