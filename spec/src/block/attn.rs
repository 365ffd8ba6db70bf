//! `attn`: score and value engine of a group of G query heads over a stream of KV blocks (docs/numerics.md, 5).
//! In: `cmd` {tokens}, `q` codes and scales of all heads and tokens of the pass, `kv` blocks, `p` weight and shift a position.
//! Out: `score` a position, `acc` the accumulators of a finished head: query head of the group, dimension.

use super::{
    Contract, Port, headq,
    softmax::{DOT_BITS, SCALE_BITS, SHIFT_BITS, WEIGHT_BITS},
};
use crate::{
    bits::clog2,
    hw::{Hw, KV_BLOCK},
    stream_names,
};

/// Bits of an accumulator.
pub const ACC_BITS: usize = 48;
/// Bits of `kv_kind`, and its values.
pub const KIND_BITS: usize = 2;
pub const KIND_HEADER: u8 = 0;
pub const KIND_SCALES: u8 = 1;
pub const KIND_K: u8 = 2;
pub const KIND_V: u8 = 3;
/// Header: positions of the block in bits 4..0, then the two flags.
pub const HEADER_FIRST: u64 = 1 << 5;
pub const HEADER_LAST: u64 = 1 << 6;

/// Places of the score fifo: the positions of a block.
pub const SCORE_DEPTH: usize = KV_BLOCK;
/// Stage of the product, which is also that of the accumulators.
pub const PRODUCT_STAGE: usize = 3;

/// Parameters of `attn`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// G: query heads of a KV head.
    pub group: usize,
    /// HK: KV heads.
    pub kv_heads: usize,
    /// HD: a multiple of 16.
    pub head_dim: usize,
    /// Most tokens of a pass.
    pub batch: usize,
    /// Elements a beat of `q` and `acc`.
    pub vec: usize,
    /// Bits of a K or V code.
    pub kv_bits: usize,
    /// W: bits of a super-word, a multiple of 32.
    pub word_bits: usize,
    /// CPW: codes in a super-word, a multiple of `vec`.
    pub codes_per_word: usize,
}

impl From<&Hw> for Params {
    fn from(hw: &Hw) -> Self {
        Self {
            group: hw.group(),
            kv_heads: hw.shape.kv_heads,
            head_dim: hw.shape.head_dim,
            batch: hw.config.batch,
            vec: hw.config.vec,
            kv_bits: hw.config.kv_bits,
            word_bits: hw.word_bits(),
            codes_per_word: hw.codes_per_word(),
        }
    }
}

impl Params {
    /// A shape from its widths alone; `codes_per_word` as the memory layout has it.
    pub fn from_widths(group: usize, kv_heads: usize, head_dim: usize, batch: usize, vec: usize, kv_bits: usize, word_bits: usize) -> Self {
        let codes_per_word = word_bits / kv_bits / vec * vec;
        Self { group, kv_heads, head_dim, batch, vec, kv_bits, word_bits, codes_per_word }
    }
    /// NW: super-words of a vector.
    pub fn kv_words(&self) -> usize {
        self.head_dim.div_ceil(self.codes_per_word)
    }
    /// SW: super-words of a block's scales.
    pub fn scale_words(&self) -> usize {
        (2 * KV_BLOCK * 32).div_ceil(self.word_bits)
    }
    /// Multipliers a head: codes of a full word.
    pub fn lanes(&self) -> usize {
        self.codes_per_word.min(self.head_dim)
    }
    /// Stages of the adder tree, four operands each.
    pub fn tree_stages(&self) -> usize {
        clog2(self.lanes()).div_ceil(2).max(1)
    }
    /// Stage at which the dot product of a word is complete and a position's score enters the fifo.
    pub fn score_stage(&self) -> usize {
        PRODUCT_STAGE + self.tree_stages()
    }
    /// TW: bits of a token index.
    pub fn token_bits(&self) -> usize {
        clog2(self.batch).max(1)
    }
    /// Cycles from the acceptance of a position's last K word to its `score_valid`: skid, stages, fifo.
    pub fn score_latency(&self) -> u64 {
        1 + self.score_stage() as u64 + 1
    }
    /// Cycles from the issue of a head's last V word to its first `acc_valid`: stages, read of the first word, output register.
    pub fn acc_latency(&self) -> u64 {
        PRODUCT_STAGE as u64 + 1 + (self.kv_words() > 1) as u64 + 1
    }
    /// Cycles from the issue of a head's last V word to the earliest issue of the next head's first one: the beats of `acc`, one a
    /// cycle when none waits, after what comes before the first.
    pub fn leaving_cycles(&self) -> u64 {
        self.acc_latency() - 1 + (self.group * self.head_dim / self.vec) as u64
    }
    /// Cycles of a block of `n` positions in the skid's order: header, scales, K, V; without waiting for `p`.
    pub fn block_cycles(&self, n: usize) -> u64 {
        (1 + self.scale_words() + 2 * n * self.kv_words()) as u64
    }
}

impl Contract for Params {
    const STEM: &'static str = "attn";

    fn ports(&self) -> Vec<Port> {
        let (g, tw) = (self.group, self.token_bits());
        let mut ports = vec![Port::clk(), Port::rst()];
        ports.extend(Port::stream_in(stream_names!("cmd", "n"), &[tw + 1]));
        let q = stream_names!("q", "head", "token", "index", "last", "scale", "data");
        ports.extend(Port::stream_in(q, &headq::vector_fields(tw, self.vec)));
        ports.extend(Port::stream_in(stream_names!("kv", "kind", "data"), &[KIND_BITS, self.word_bits]));
        ports.extend(Port::stream_in(stream_names!("p", "w", "sh"), &[WEIGHT_BITS * g, SHIFT_BITS * g]));
        let score = stream_names!("score", "dot", "sq", "sk", "sv", "first", "last");
        ports.extend(Port::stream_out(score, &[DOT_BITS * g, SCALE_BITS * g, SCALE_BITS, SCALE_BITS, 1, 1]));
        ports.extend(Port::stream_out(stream_names!("acc", "data"), &[ACC_BITS * self.vec]));
        ports.push(Port::level_out("busy", 1));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        let all = [
            ("G", self.group),
            ("HK", self.kv_heads),
            ("HD", self.head_dim),
            ("BATCH", self.batch),
            ("VEC", self.vec),
            ("KVB", self.kv_bits),
            ("W", self.word_bits),
            ("CPW", self.codes_per_word),
            ("TREE", self.tree_stages()),
            ("TW", self.token_bits()),
        ];
        all.map(|(name, value)| (name, value as i64)).into()
    }

    fn examples() -> Vec<Self> {
        // G, HK, HD, batch, vec, bits of a code, W.
        [(2, 2, 32, 2, 4, 8, 128), (4, 1, 64, 1, 4, 8, 512), (1, 1, 80, 3, 1, 6, 128), (5, 2, 128, 4, 4, 4, 384)]
            .map(|(g, hk, hd, batch, vec, kvb, w)| Self::from_widths(g, hk, hd, batch, vec, kvb, w))
            .into()
    }
}
