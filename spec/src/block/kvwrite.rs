//! `kvwrite`: K and V vectors of a pass to the KV cache in memory and to the reader's pass buffer.
//! In: `cmd` {layer, slot, position of token 0, tokens}, `kv` beats of `headq`, `pt` page table writes. Out: `pb` words to the
//! pass buffer, `wseg`/`wd` segments and words to memory, level `idle`. The layout is that of [`crate::kv`].

use super::{
    Contract, Port,
    axi::{OFFSET_BITS, WRITE_SEGMENT},
    headq::{HEAD_BITS, vector_fields},
};
use crate::{
    descriptor::{LAYER, POS, SLOT},
    hw::Hw,
    kv::KvShape,
    stream_names,
};

/// Bits of a page table index.
pub const PAGE_BITS: usize = 16;
/// Bits of the word number on `pb`, and the number that says: a scale.
pub const WORD_BITS: usize = 7;
pub const SCALE_WORD: u32 = 127;

/// Cycles from the acceptance of a word's last beat to `pb_valid` and `wd_valid`: skid, assembly, output register.
pub const LATENCY: u64 = 3;
/// Cycles from the acceptance of a vector's first beat to its first segment: skid, place, page read, sum, offsets.
pub const SEGMENT_LATENCY: u64 = 6;

/// Fields of the commands {layer, slot, position of token 0, tokens} of `kvwrite` and `kvread`.
pub fn command_fields(token_bits: usize) -> [usize; 4] {
    [LAYER.width, SLOT.width, POS.width, token_bits + 1]
}

/// Fields of the stream `pb` {kind, head, token, word, data} between them.
pub fn pass_fields(token_bits: usize, word_bits: usize) -> [usize; 5] {
    [1, HEAD_BITS, token_bits, WORD_BITS, word_bits]
}

/// Parameters of `kvwrite`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    pub kv: KvShape,
}

impl Params {
    /// While a command is here, something moves at least once in this many cycles, when no peer lets `kvwrite` wait for more than `wait`
    /// cycles on end: the wait, the movement, and what `kvwrite` itself takes after a pass's last word or segment: the pass's end, the next
    /// command, and the two beats that already stand in its skid. Proven for any `wait` (docs/formal.md).
    pub const fn progress_bound(wait: u64) -> u64 {
        wait + 1 + 4
    }
}

impl From<&Hw> for Params {
    fn from(hw: &Hw) -> Self {
        Self { kv: hw.kv() }
    }
}

impl Contract for Params {
    const STEM: &'static str = "kvwrite";

    fn ports(&self) -> Vec<Port> {
        let (tw, w) = (self.kv.token_bits(), self.kv.word_bits);
        let mut ports = vec![Port::clk(), Port::rst()];
        let cmd = stream_names!("cmd", "layer", "slot", "pos", "n");
        ports.extend(Port::stream_in(cmd, &command_fields(tw)));
        let kv = stream_names!("kv", "kind", "head", "token", "index", "last", "scale", "data");
        ports.extend(Port::stream_in(kv, &[&[1], &vector_fields(tw, self.kv.vec)[..]].concat()));
        ports.extend(Port::stream_in(stream_names!("pt", "index", "entry"), &[PAGE_BITS, OFFSET_BITS]));
        let pb = stream_names!("pb", "kind", "head", "token", "word", "data");
        ports.extend(Port::stream_out(pb, &pass_fields(tw, w)));
        ports.extend(Port::stream_out(stream_names!("wseg", "off", "beats"), WRITE_SEGMENT));
        ports.extend(Port::stream_out(stream_names!("wd", "data", "strb"), &[w, w / 8]));
        ports.push(Port::level_out("idle", 1));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        let mut params = vec![("VEC", self.kv.vec as i64), ("KVB", self.kv.kv_bits as i64)];
        params.extend(self.kv.verilog_params());
        params
    }

    fn examples() -> Vec<Self> {
        KvShape::examples().into_iter().map(|kv| Self { kv }).collect()
    }
}
