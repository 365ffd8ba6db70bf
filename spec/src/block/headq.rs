//! `headq`: codes and scales of the K, V and Q heads of a pass from their rotated pairs (docs/numerics.md, 4).
//! In: `cmd` {tokens}, the tokens' scales `s`, pairs; the constant scales `cq`, `ck`, `cv`. Out: `kv` and `q`, HD/VEC beats a
//! head and token in natural order, the scale on the last one; levels `sat`, `sat_inc` (exponents that left their range).

use super::{Contract, Port};
use crate::{
    bits::clog2,
    block::rope::ROTATED_BITS,
    hw::Hw,
    numerics::{SCALE_BITS, headq::code_limit},
    stream_names,
};

/// Bits of a head number, of a beat's number within its vector.
pub const HEAD_BITS: usize = 8;
pub const INDEX_BITS: usize = 7;

/// Cycles from the start of a beat (memory read) to the output register: read, ten of the divider for Q = 127.
pub const STAGES: usize = 11;
/// Stages, from the start of a vector's first beat on, after which the products with the token's and the constant scale are there.
pub const TOKEN_SCALE_STAGE: usize = 8;
pub const SCALE_STAGE: usize = 12;
/// Cycles from the acceptance of a head's last pair to its first beat: skid, magnitude, absmax, full, stages.
pub const LATENCY: u64 = 1 + 3 + STAGES as u64;

/// Parameters of `headq`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// HD, a multiple of 16, at least 32.
    pub head_dim: usize,
    /// H, query heads.
    pub heads: usize,
    /// HK, KV heads.
    pub kv_heads: usize,
    /// Most tokens of a pass, 1..=16.
    pub batch: usize,
    /// Elements a beat: 1, 2, 4, 8, 16.
    pub vec: usize,
    /// Bits of a K or V code: 8, 6, 4.
    pub kv_bits: usize,
}

impl From<&Hw> for Params {
    fn from(hw: &Hw) -> Self {
        let (s, c) = (&hw.shape, &hw.config);
        Self { head_dim: s.head_dim, heads: s.heads, kv_heads: s.kv_heads, batch: c.batch, vec: c.vec, kv_bits: c.kv_bits }
    }
}

impl Params {
    /// TW: bits of a token index.
    pub fn token_bits(&self) -> usize {
        clog2(self.batch).max(1)
    }

    /// Beats of a vector.
    pub fn beats(&self) -> usize {
        self.head_dim / self.vec
    }

    /// Heads of a pass, in order: HK of K, HK of V, H of Q.
    pub fn all_heads(&self) -> usize {
        2 * self.kv_heads + self.heads
    }

    /// Largest code of the K and V heads; that of Q heads is 127.
    pub fn kv_limit(&self) -> u32 {
        code_limit(self.kv_bits)
    }
}

/// Field widths of a stream of head vectors {head, token, index, last, scale, data}, a group of `vec` codes a beat.
pub fn vector_fields(token_bits: usize, vec: usize) -> [usize; 6] {
    [HEAD_BITS, token_bits, INDEX_BITS, 1, SCALE_BITS, 8 * vec]
}

impl Contract for Params {
    const STEM: &'static str = "headq";

    fn ports(&self) -> Vec<Port> {
        let tw = self.token_bits();
        let mut ports = vec![Port::clk(), Port::rst()];
        ports.extend(Port::stream_in(stream_names!("cmd", "n"), &[tw + 1]));
        ports.extend(Port::stream_in(stream_names!("s", "token", "scale"), &[tw, SCALE_BITS]));
        ports.extend(Port::stream_in(stream_names!("pair", "token", "r0", "r1"), &[tw, ROTATED_BITS, ROTATED_BITS]));
        ports.extend(["cq", "ck", "cv"].map(|name| Port::level_in(name, SCALE_BITS)));
        let vector = vector_fields(tw, self.vec);
        let kv = stream_names!("kv", "kind", "head", "token", "index", "last", "scale", "data");
        ports.extend(Port::stream_out(kv, &[&[1], &vector[..]].concat()));
        ports.extend(Port::stream_out(stream_names!("q", "head", "token", "index", "last", "scale", "data"), &vector));
        ports.push(Port::level_out("sat", 1));
        ports.push(Port::level_out("sat_inc", 2));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        let all = [
            ("HD", self.head_dim),
            ("H", self.heads),
            ("HK", self.kv_heads),
            ("BATCH", self.batch),
            ("VEC", self.vec),
            ("KVB", self.kv_bits),
        ];
        all.map(|(name, value)| (name, value as i64)).into()
    }

    fn examples() -> Vec<Self> {
        [(64, 2, 1, 4, 4, 8), (48, 1, 1, 1, 16, 4), (32, 4, 2, 3, 16, 6), (32, 1, 1, 2, 1, 8), (80, 2, 2, 4, 8, 8)]
            .map(|(head_dim, heads, kv_heads, batch, vec, kv_bits)| Self { head_dim, heads, kv_heads, batch, vec, kv_bits })
            .into()
    }
}
