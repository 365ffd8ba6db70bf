//! `rope`: the sums of the QKV rows of a pass become pairs (r_j, r_j+HD/2) of each head and token (docs/numerics.md, 4).
//! In: `cmd` {position of token 0, tokens}, `sum` in the order of the rows, token by token. Out: `pair`. K and Q heads are
//! rotated, V heads only scaled by 2^15, in the same time.

use super::{Contract, Port, RomFile};
use crate::{bits::clog2, descriptor::POS, hw::Hw, rom, stream_names};

/// Bits of a sum, of a rotated element.
pub const SUM_BITS: usize = 22;
pub const ROTATED_BITS: usize = 38;

/// Pipeline registers: operands and step, two partial products of the phase, phase, ROM, sine and cosine, products, sums.
pub const STAGES: usize = 7;
/// Cycles from an accepted sum of a pair's second row to `pair_valid`: skid, stages.
pub const LATENCY: u64 = 1 + STAGES as u64;

/// Parameters of `rope`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// HD, even, at least 4.
    pub head_dim: usize,
    /// H, query heads.
    pub heads: usize,
    /// HK, KV heads.
    pub kv_heads: usize,
    /// Most tokens of a pass, 1..=16.
    pub batch: usize,
    /// Phase step of each pair, HD/2 words (`rom::rope_steps`).
    pub steps: Vec<u32>,
}

impl From<&Hw> for Params {
    fn from(hw: &Hw) -> Self {
        let s = &hw.shape;
        Self {
            head_dim: s.head_dim,
            heads: s.heads,
            kv_heads: s.kv_heads,
            batch: hw.config.batch,
            steps: rom::rope_steps(s.rope_theta, s.head_dim),
        }
    }
}

impl Params {
    /// TW: bits of a token index.
    pub fn token_bits(&self) -> usize {
        clog2(self.batch).max(1)
    }

    /// Heads of a pass, in order: HK of K, HK of V, H of Q.
    pub fn all_heads(&self) -> usize {
        2 * self.kv_heads + self.heads
    }

    /// Whether the `head`-th head of the pass is rotated (K and Q) and not only scaled (V).
    pub fn rotates(&self, head: usize) -> bool {
        !(self.kv_heads..2 * self.kv_heads).contains(&head)
    }
}

impl Contract for Params {
    const STEM: &'static str = "rope";

    fn ports(&self) -> Vec<Port> {
        let tw = self.token_bits();
        let mut ports = vec![Port::clk(), Port::rst()];
        ports.extend(Port::stream_in(stream_names!("cmd", "pos", "n"), &[POS.width, tw + 1]));
        ports.extend(Port::stream_in(stream_names!("sum", "token", "data"), &[tw, SUM_BITS]));
        ports.extend(Port::stream_out(stream_names!("pair", "token", "r0", "r1"), &[tw, ROTATED_BITS, ROTATED_BITS]));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        vec![("HD", self.head_dim as i64), ("H", self.heads as i64), ("HK", self.kv_heads as i64), ("BATCH", self.batch as i64)]
    }

    fn roms(&self) -> Vec<RomFile> {
        // FNV-1a of the steps: equal names have equal contents.
        let id = self.steps.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, &s| (h ^ u64::from(s)).wrapping_mul(0x0100_0000_01b3));
        let steps = format!("rope_step_{}_{:08x}.hex", self.steps.len(), id as u32);
        vec![RomFile::of("SINE_HEX", "sine.hex".to_owned(), &rom::sine_rom()), RomFile::of("STEP_HEX", steps, &self.steps)]
    }

    fn examples() -> Vec<Self> {
        [(64, 2, 1, 4, 10_000.0), (32, 4, 2, 1, 500_000.0), (48, 1, 1, 3, 10_000.0), (128, 2, 2, 16, 500_000.0)]
            .map(|(head_dim, heads, kv_heads, batch, theta)| Self {
                head_dim,
                heads,
                kv_heads,
                batch,
                steps: rom::rope_steps(theta, head_dim),
            })
            .into()
    }
}
