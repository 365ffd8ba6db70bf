//! The hardware that is built: an accelerator configuration together with the shape of the model it runs.

use crate::config::{AccelConfig, ConfigError, Packing};
use crate::kv::KvShape;
use crate::numerics::MAX_K;
use serde::{Deserialize, Serialize};

/// Dimensions of the attention sub-layer that the hardware is elaborated for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttnShape {
    /// Layers that share the KV cache.
    pub layers: usize,
    /// Model dimension D.
    pub dim: usize,
    /// Query heads H.
    pub heads: usize,
    /// KV heads HK; divides H.
    pub kv_heads: usize,
    /// Head dimension HD; a multiple of 16, 32..=128.
    pub head_dim: usize,
    /// Longest context of the model.
    pub context: usize,
    /// RoPE base.
    pub rope_theta: f64,
}

/// Everything the blocks need, derived once.
#[derive(Clone, Debug, PartialEq)]
pub struct Hw {
    pub config: AccelConfig,
    pub shape: AttnShape,
}

/// Positions in one KV block.
pub const KV_BLOCK: usize = 16;

fn bad(item: &'static str, expected: impl Into<String>, found: impl ToString) -> ConfigError {
    ConfigError::Model { item, expected: expected.into(), found: found.to_string() }
}

impl Hw {
    /// Checks the shape against the contract and against the configuration.
    ///
    /// # Errors
    /// The first dimension that the contract or the configuration does not cover.
    pub fn new(config: AccelConfig, shape: AttnShape) -> Result<Self, ConfigError> {
        config.validate()?;
        let s = &shape;
        if s.layers == 0 || s.layers > 256 {
            return Err(bad("model layers", "1 to 256", s.layers));
        }
        if s.dim == 0 || s.dim > MAX_K || !s.dim.is_multiple_of(16) {
            return Err(bad("model dim", "a multiple of 16 up to 16384", s.dim));
        }
        if !(32..=128).contains(&s.head_dim) || !s.head_dim.is_multiple_of(16) {
            return Err(bad("model head_dim", "a multiple of 16, 32 to 128", s.head_dim));
        }
        if s.kv_heads == 0 || s.heads == 0 || !s.heads.is_multiple_of(s.kv_heads) || s.heads > 255 {
            return Err(bad("model heads / kv_heads", "kv_heads >= 1 dividing heads <= 255", format!("{} / {}", s.heads, s.kv_heads)));
        }
        if s.heads.saturating_mul(s.head_dim) > MAX_K {
            return Err(bad("model heads x head_dim", "at most 16384", s.heads * s.head_dim));
        }
        if !(s.rope_theta.is_finite() && s.rope_theta > 1.0) {
            return Err(bad("model rope theta", "finite and above 1", s.rope_theta));
        }
        if s.context == 0 {
            return Err(bad("model context", "at least 1", s.context));
        }
        Ok(Hw { config, shape })
    }

    /// Every number that shapes the hardware beside the RoPE base, by name, in the order in which the hash takes them.
    pub fn numbers(&self) -> [(&'static str, usize); 20] {
        let (c, s) = (&self.config, &self.shape);
        [
            ("lanes", c.lanes),
            ("batch", c.batch),
            ("vec", c.vec),
            ("ports", c.ports),
            ("port_bits", c.port_bits),
            ("two_bit", (c.packing == Packing::TwoBit) as usize),
            ("rom_log2", c.rom_log2 as usize),
            ("rom_bits", c.rom_bits as usize),
            ("kv_bits", c.kv_bits),
            ("weight_fifo", c.weight_fifo),
            ("aux_fifo", c.aux_fifo),
            ("burst", c.burst),
            ("outstanding", c.outstanding),
            ("slots", c.slots),
            ("context", self.context()),
            ("layers", s.layers),
            ("dim", s.dim),
            ("heads", s.heads),
            ("kv_heads", s.kv_heads),
            ("head_dim", s.head_dim),
        ]
    }

    /// P: memory ports.
    pub fn ports(&self) -> usize {
        self.config.ports
    }
    /// PW: bits of a port.
    pub fn port_bits(&self) -> usize {
        self.config.port_bits
    }
    /// W: bits of a super-word, one beat of every port.
    pub fn word_bits(&self) -> usize {
        self.config.word_bits()
    }
    /// 32-bit elements in a super-word.
    pub fn elems_per_word(&self) -> usize {
        self.word_bits() / 32
    }
    /// G: query heads that share a KV head.
    pub fn group(&self) -> usize {
        self.shape.heads / self.shape.kv_heads
    }
    /// QD = H·HD: input length of the o-projection.
    pub fn q_dim(&self) -> usize {
        self.shape.heads * self.shape.head_dim
    }
    /// KD = HK·HD.
    pub fn kv_dim(&self) -> usize {
        self.shape.kv_heads * self.shape.head_dim
    }
    /// TW: bits of a token index within a pass.
    pub fn token_bits(&self) -> usize {
        clog2(self.config.batch).max(1)
    }
    /// The layout of the KV cache.
    pub fn kv(&self) -> KvShape {
        let (c, s) = (&self.config, &self.shape);
        KvShape {
            word_bits: c.word_bits(),
            vec: c.vec,
            kv_bits: c.kv_bits,
            head_dim: s.head_dim,
            kv_heads: s.kv_heads,
            batch: c.batch,
            slots: c.slots,
            context: self.context(),
        }
    }
    /// CPW: K or V codes in one super-word.
    pub fn codes_per_word(&self) -> usize {
        self.kv().codes_per_word()
    }
    /// NW: super-words of one K or V vector.
    pub fn kv_words(&self) -> usize {
        self.kv().vector_words()
    }
    /// SW: super-words of the 32 scales of a KV block.
    pub fn scale_words(&self) -> usize {
        self.kv().scale_words()
    }
    /// Super-words of one KV block: scales, 16 K, 16 V.
    pub fn block_words(&self) -> usize {
        self.kv().block_words()
    }
    /// Super-words of one page: the blocks of all layers and KV heads for 16 positions.
    pub fn page_words(&self) -> usize {
        self.shape.layers * self.shape.kv_heads * self.block_words()
    }
    /// Positions the hardware holds: the smaller of the configuration's and the model's context, rounded up to blocks.
    pub fn context(&self) -> usize {
        self.config.context.min(self.shape.context).next_multiple_of(KV_BLOCK)
    }
    /// Array words of one row of `k` weights.
    pub fn words_per_row(&self, k: usize) -> usize {
        k.div_ceil(self.config.lanes)
    }
    /// Super-words of a vector of `k` 32-bit elements.
    pub fn vector_words(&self, k: usize) -> usize {
        k.div_ceil(self.elems_per_word())
    }
    /// Super-words of `rows` packed rows of `k` trits.
    pub fn packed_words(&self, rows: usize, k: usize) -> usize {
        let array_words = rows * self.words_per_row(k);
        let (lanes, full) = (self.config.lanes, self.config.trits_per_word());
        (array_words * lanes).div_ceil(full)
    }
}

/// Bits needed to count `n` things: ceil(log2(n)); 0 for n ≤ 1.
pub fn clog2(n: usize) -> usize {
    if n <= 1 { 0 } else { (usize::BITS - (n - 1).leading_zeros()) as usize }
}
