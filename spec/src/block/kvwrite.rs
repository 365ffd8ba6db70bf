//! `kvwrite`: K and V vectors of a pass to the KV cache in memory and to the reader's pass buffer.
//! In: `cmd` {layer, slot, position of token 0, tokens}, `kv` beats of `headq`, `pt` page table writes. Out: `pb` words to the
//! pass buffer, `wseg`/`wd` segments and words to memory, level `idle`. The layout is that of [`crate::kv`].

use super::{
    Contract, Port,
    headq::{HEAD_BITS, INDEX_BITS, SCALE_BITS},
    rope::POSITION_BITS,
};
use crate::{hw::Hw, kv::KvShape, stream_names};

/// Bits of a layer, of a slot, of a page table index, of an offset or page table entry, of a segment's length.
pub const LAYER_BITS: usize = 8;
pub const SLOT_BITS: usize = 4;
pub const PAGE_BITS: usize = 16;
pub const OFFSET_BITS: usize = 32;
pub const WRITE_BEATS_BITS: usize = 16;
/// Bits of the word number on `pb`, and the number that says: a scale.
pub const WORD_BITS: usize = 7;
pub const SCALE_WORD: u32 = 127;

/// Cycles from the acceptance of a word's last beat to `pb_valid` and `wd_valid`: skid, assembly, output register.
pub const LATENCY: u64 = 3;
/// Cycles from the acceptance of a vector's first beat to its first segment: skid, place, page read, sum, offsets.
pub const SEGMENT_LATENCY: u64 = 6;

/// Parameters of `kvwrite`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    pub kv: KvShape,
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
        ports.extend(Port::stream_in(cmd, &[LAYER_BITS, SLOT_BITS, POSITION_BITS, tw + 1]));
        let kv = stream_names!("kv", "kind", "head", "token", "index", "last", "scale", "data");
        ports.extend(Port::stream_in(kv, &[1, HEAD_BITS, tw, INDEX_BITS, 1, SCALE_BITS, 8 * self.kv.vec]));
        ports.extend(Port::stream_in(stream_names!("pt", "index", "entry"), &[PAGE_BITS, OFFSET_BITS]));
        let pb = stream_names!("pb", "kind", "head", "token", "word", "data");
        ports.extend(Port::stream_out(pb, &[1, HEAD_BITS, tw, WORD_BITS, w]));
        ports.extend(Port::stream_out(stream_names!("wseg", "off", "beats"), &[OFFSET_BITS, WRITE_BEATS_BITS]));
        ports.extend(Port::stream_out(stream_names!("wd", "data", "strb"), &[w, w / 8]));
        ports.push(Port::level_out("idle", 1));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        self.kv.verilog_params()
    }

    fn examples() -> Vec<Self> {
        KvShape::examples().into_iter().map(|kv| Self { kv }).collect()
    }
}
