//! The KV cache: how the vectors of one layer and KV head lie in super-words, blocks and pages (docs/architecture.md, Memory).
//! The writer, the reader and the host take it from here.

use crate::{bits::clog2, hw::KV_BLOCK};

/// What decides the layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvShape {
    /// W: bits of a super-word, a multiple of 32.
    pub word_bits: usize,
    /// VEC: elements a beat; at most W/32.
    pub vec: usize,
    /// KVB: bits of a code, 4, 6 or 8.
    pub kv_bits: usize,
    /// HD: a multiple of 16, at least 32.
    pub head_dim: usize,
    /// HK: KV heads.
    pub kv_heads: usize,
    /// Most tokens of a pass, 1..=16.
    pub batch: usize,
    /// Sequences, 1..=16.
    pub slots: usize,
    /// CTX: positions a sequence, a multiple of 16.
    pub context: usize,
}

impl KvShape {
    /// TW: bits of a token index.
    pub fn token_bits(&self) -> usize {
        clog2(self.batch).max(1)
    }
    /// CPW: codes in one super-word, whole groups of VEC; neither a code nor a group straddles two words, so no block needs a
    /// gearbox. (VEC ≤ W/32 makes it at least 4 groups.)
    pub fn codes_per_word(&self) -> usize {
        self.word_bits / self.kv_bits / self.vec * self.vec
    }
    /// NW: super-words of one K or V vector.
    pub fn vector_words(&self) -> usize {
        self.head_dim.div_ceil(self.codes_per_word())
    }
    /// Scales in one super-word.
    pub fn scales_per_word(&self) -> usize {
        self.word_bits / 32
    }
    /// SW: super-words of the 32 scales of a block.
    pub fn scale_words(&self) -> usize {
        (2 * KV_BLOCK).div_ceil(self.scales_per_word())
    }
    /// Super-words of one block: scales, 16 K, 16 V.
    pub fn block_words(&self) -> usize {
        self.scale_words() + 2 * KV_BLOCK * self.vector_words()
    }
    /// Entries of the page table of one sequence.
    pub fn pages_per_slot(&self) -> usize {
        self.context / KV_BLOCK
    }
    /// Entries of the page table.
    pub fn pages(&self) -> usize {
        self.slots * self.pages_per_slot()
    }
    /// Super-words from a block's start to the scale of position `i` (0..16), and the scale's lane of 32 bits there.
    /// `kind`: 0 K, 1 V.
    pub fn scale_at(&self, kind: usize, i: usize) -> (usize, usize) {
        let number = kind * KV_BLOCK + i;
        (number / self.scales_per_word(), number % self.scales_per_word())
    }
    /// Super-words from a block's start to the K (`kind` 0) or V (1) vector of position `i` (0..16).
    pub fn vector_at(&self, kind: usize, i: usize) -> usize {
        self.scale_words() + (kind * KV_BLOCK + i) * self.vector_words()
    }
    /// Super-words from a page's start to the block of `layer` and KV head `head`.
    pub fn block_at(&self, layer: usize, head: usize) -> usize {
        (layer * self.kv_heads + head) * self.block_words()
    }

    /// The Verilog parameters of the blocks that know the layout.
    pub fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        let all = [
            ("W", self.word_bits),
            ("HK", self.kv_heads),
            ("BATCH", self.batch),
            ("SLOTS", self.slots),
            ("CTX", self.context),
            ("NW", self.vector_words()),
            ("SW", self.scale_words()),
            ("BLOCK", self.block_words()),
        ];
        all.map(|(name, value)| (name, value as i64)).into()
    }

    /// Shapes with one and several words a vector, padding, widths that are no power of two, all code widths.
    pub fn examples() -> Vec<Self> {
        [
            (128, 4, 8, 64, 2, 4, 1, 256),
            (96, 2, 6, 48, 1, 1, 3, 64),
            (512, 16, 8, 32, 3, 16, 2, 48),
            (32, 1, 4, 32, 2, 3, 1, 16),
            (640, 4, 4, 80, 1, 2, 1, 128),
        ]
        .map(|(word_bits, vec, kv_bits, head_dim, kv_heads, batch, slots, context)| Self {
            word_bits,
            vec,
            kv_bits,
            head_dim,
            kv_heads,
            batch,
            slots,
            context,
        })
        .into()
    }
}
