//! `ctrl`: executes descriptors. In: stream `go` (doorbell), `desc` and `const` words, idle levels of the writers. Out: the
//! segments of the readers, the commands of every block, the constants of the layer, busy and error levels.

use super::{
    Contract, Port,
    axi::{OFFSET_BITS, READ_SEGMENT},
    kvwrite::command_fields,
    numbers,
};
use crate::{descriptor, hw::Hw, numerics::SCALE_BITS, stream_names};

/// Parameters of `ctrl`: everything a command needs that is known at elaboration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// W: super-word bits.
    pub word_bits: usize,
    /// TW: bits of a token index in the pass.
    pub token_bits: usize,
    pub batch: usize,
    pub layers: usize,
    pub slots: usize,
    /// Positions the hardware holds.
    pub context: usize,
    pub vec: usize,
    /// D, QD, KD.
    pub dim: usize,
    pub q_dim: usize,
    pub kv_dim: usize,
    /// Array words of a row of D and of QD weights.
    pub wpr_d: usize,
    pub wpr_q: usize,
    /// Super-words of one x vector.
    pub x_words: usize,
    /// Super-words of the sections of a layer segment.
    pub gain1_words: usize,
    pub qkv_words: usize,
    pub gain2_words: usize,
    pub o_words: usize,
}

/// 32-bit words of the constants section.
pub const CONST_WORDS: usize = 16;
numbers! {
    /// Index of each constant in that section; the epsilon terms take two words, low first.
    const_index: usize { C_NORM1 = 0, C_Q = 1, C_K = 2, C_V = 3, C_NORM2 = 4, C_O = 5, EPS1 = 6, EPS2 = 8 }
}
numbers! {
    /// Destinations of weight segments behind `route`.
    weight_dest: u8 { CONST = 0, GAIN = 1, PACKED = 2 }
}
numbers! {
    /// Destinations of auxiliary segments behind `route`.
    aux_dest: u8 { DESCRIPTOR = 0, X = 1, KV = 2 }
}
/// Bits of the number of descriptors of a doorbell.
pub const COUNT_BITS: usize = 16;
/// Bits of an epsilon term: two words.
pub const EPS_BITS: usize = 64;
/// Weight segments of a pass.
pub const SEGMENTS: u64 = 5;
/// Cycles that a pass spends on issuing its fifteen commands when every block is ready.
pub const ISSUE_CYCLES: u64 = 15;

impl Params {
    /// Super-words of a descriptor, and of the constants (64 bytes each).
    pub fn desc_words(&self) -> usize {
        (descriptor::BYTES * 8).div_ceil(self.word_bits)
    }
    /// Movements of a pass on `ctrl`'s streams: the request of its descriptor and its words, five segments, the words of its
    /// constants, the commands, and the end.
    pub fn moves_of_pass(&self) -> u64 {
        1 + self.desc_words() as u64 + SEGMENTS + self.desc_words() as u64 + ISSUE_CYCLES + 1
    }
    /// While `busy`, something moves at least once in this many cycles, when no peer lets `ctrl` wait for more than `wait` cycles on
    /// end: the wait, the movement, and what `ctrl` itself takes after the last segment (push, slot to job, and the constants that
    /// already stand in its skid: one word, two where a record has exactly two, as a third finds room only after the first has gone).
    /// Proven for any `wait` (docs/formal.md).
    pub fn progress_bound(&self, wait: u64) -> u64 {
        let held = if self.desc_words() == 2 { 2 } else { 1 };
        wait + 1 + 2 + held
    }
    /// Super-words of one layer segment.
    pub fn layer_words(&self) -> usize {
        self.desc_words() + self.gain1_words + self.qkv_words + self.gain2_words + self.o_words
    }
}

impl From<&Hw> for Params {
    fn from(hw: &Hw) -> Self {
        let (d, q, k) = (hw.shape.dim, hw.q_dim(), hw.kv_dim());
        Params {
            word_bits: hw.word_bits(),
            token_bits: hw.token_bits(),
            batch: hw.config.batch,
            layers: hw.shape.layers,
            slots: hw.config.slots,
            context: hw.context(),
            vec: hw.config.vec,
            dim: d,
            q_dim: q,
            kv_dim: k,
            wpr_d: hw.words_per_row(d),
            wpr_q: hw.words_per_row(q),
            x_words: hw.vector_words(d),
            gain1_words: hw.vector_words(d),
            qkv_words: hw.packed_words(q + 2 * k, d),
            gain2_words: hw.vector_words(q),
            o_words: hw.packed_words(d, q),
        }
    }
}

impl Contract for Params {
    const STEM: &'static str = "ctrl";

    fn ports(&self) -> Vec<Port> {
        let (w, n) = (self.word_bits, self.token_bits + 1);
        let mut p = vec![Port::clk(), Port::rst()];
        p.extend(Port::stream_in(stream_names!("go", "ptr", "count"), &[OFFSET_BITS, COUNT_BITS]));
        p.extend(Port::stream_in(stream_names!("desc", "data"), &[w]));
        p.extend(Port::stream_in(stream_names!("const", "data"), &[w]));
        p.extend(Port::stream_out(stream_names!("dseg", "off", "beats", "dest"), READ_SEGMENT));
        p.extend(Port::stream_out(stream_names!("wseg", "off", "beats", "dest"), READ_SEGMENT));
        p.extend(Port::stream_out(stream_names!("xload", "n"), &[n]));
        let norm = stream_names!("norm", "groups", "n", "src", "dest", "eps", "c");
        p.extend(Port::stream_out(norm, &[15, n, 1, 1, EPS_BITS, SCALE_BITS]));
        p.extend(Port::stream_out(stream_names!("resid", "n"), &[n]));
        p.extend(Port::stream_out(stream_names!("unpack", "words"), &[32]));
        p.extend(Port::stream_out(stream_names!("tmac", "acts", "wpr", "rows", "n", "dest"), &[20, 15, 20, n, 1]));
        p.extend(Port::stream_out(stream_names!("rope", "pos", "n"), &[descriptor::POS.width, n]));
        p.extend(Port::stream_out(stream_names!("headq", "n"), &[n]));
        let kv = command_fields(self.token_bits);
        p.extend(Port::stream_out(stream_names!("kvwrite", "layer", "slot", "pos", "n"), &kv));
        p.extend(Port::stream_out(stream_names!("kvread", "layer", "slot", "pos", "n"), &kv));
        p.extend(Port::stream_out(stream_names!("attn", "n"), &[n]));
        p.extend(Port::stream_out(stream_names!("xstore", "off", "n"), &[OFFSET_BITS, n]));
        p.extend(["xstore_idle", "kvwrite_idle", "write_idle"].map(|name| Port::level_in(name, 1)));
        p.extend(["cq", "ck", "cv", "co"].map(|name| Port::level_out(name, SCALE_BITS)));
        p.extend(["busy", "finished", "err", "err_field"].map(|name| Port::level_out(name, 1)));
        p.push(Port::level_out("err_off", OFFSET_BITS));
        p
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        [
            ("W", self.word_bits),
            ("TW", self.token_bits),
            ("BATCH", self.batch),
            ("LAYERS", self.layers),
            ("SLOTS", self.slots),
            ("CONTEXT", self.context),
            ("VEC", self.vec),
            ("D", self.dim),
            ("QD", self.q_dim),
            ("KD", self.kv_dim),
            ("WPR_D", self.wpr_d),
            ("WPR_Q", self.wpr_q),
            ("X_WORDS", self.x_words),
            ("G1_WORDS", self.gain1_words),
            ("QKV_WORDS", self.qkv_words),
            ("G2_WORDS", self.gain2_words),
            ("O_WORDS", self.o_words),
        ]
        .map(|(name, v)| (name, v as i64))
        .to_vec()
    }

    fn examples() -> Vec<Self> {
        let base = Params {
            word_bits: 128,
            token_bits: 2,
            batch: 4,
            layers: 4,
            slots: 1,
            context: 256,
            vec: 4,
            dim: 256,
            q_dim: 256,
            kv_dim: 128,
            wpr_d: 4,
            wpr_q: 4,
            x_words: 64,
            gain1_words: 64,
            qkv_words: 2048,
            gain2_words: 64,
            o_words: 1024,
        };
        let wide = Params { word_bits: 1024, token_bits: 1, batch: 1, slots: 3, x_words: 8, gain1_words: 8, ..base.clone() };
        vec![base.clone(), Params { word_bits: 512, x_words: 16, ..base }, wide]
    }
}
