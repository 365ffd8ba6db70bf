//! The steps of a pass on its buffers, in the order of the data flow: x in, norm and int8, heads, attention, residual, y out.

use super::{
    attend::Attend,
    kv::HeadCache,
    layer::NormConstants,
    wide::{Kernel, wide},
    words::Words,
};
use crate::memory::Storage;
use tritforge_spec::{
    numerics::{Quantiser, RopeRom, Scale, SoftmaxRom, head_scale, headq::code_limit, norm::norm_scale, residual, rope},
    reference::Saturations,
};

/// The numbers of the hardware that a pass needs.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub layers: usize,
    pub batch: usize,
    pub dim: usize,
    pub group: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub q_dim: usize,
    pub x_words: usize,
    pub layer_words: usize,
    pub page_words: usize,
}

/// Buffers of a pass.
#[derive(Clone, Debug, Default)]
pub struct Work {
    pub bytes: Vec<u8>,
    pub x: Vec<i32>,
    /// Codes of a norm, a padded vector a token, and their scales.
    pub codes: Vec<i8>,
    pub scales: Vec<Scale>,
    pub sums: Vec<i32>,
    /// Sine and cosine of a token's position, a pair each.
    pub turns: Vec<(i32, i32)>,
    /// Elements of a vector before their quantisation.
    pub wide: Vec<i64>,
    /// Codes and scales of all heads: `(head · tokens + token)`, K heads, V heads, Q heads.
    pub heads: Vec<i8>,
    pub head_scales: Vec<Scale>,
    pub cache: HeadCache,
    pub attend: Attend,
    /// tokens x QD.
    pub o: Vec<i32>,
}

impl Work {
    /// `x`: n vectors from super-word `off` on.
    pub fn load_x(&mut self, s: &Shape, words: &Words, storage: &Storage, off: u32, n: usize) {
        self.bytes.resize(n * s.x_words * words.bytes(), 0);
        words.read(storage, off, &mut self.bytes);
        self.x.clear();
        for vector in self.bytes.chunks_exact(s.x_words * words.bytes()) {
            self.x.extend(vector.chunks_exact(4).take(s.dim).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        }
    }

    /// `x` to super-word `off` on; what pads the last super-word of a vector is 0.
    pub fn store_x(&mut self, s: &Shape, words: &Words, storage: &mut Storage, off: u32) {
        let vector = s.x_words * words.bytes();
        self.bytes.clear();
        for (t, x) in self.x.chunks_exact(s.dim).enumerate() {
            self.bytes.extend(x.iter().flat_map(|x| x.to_le_bytes()));
            self.bytes.resize((t + 1) * vector, 0);
        }
        words.write(storage, off, &self.bytes);
    }

    /// Norm and int8 of the vectors `x` of `k` elements: `codes` in rows of `stride`, `scales`.
    pub fn norm(&mut self, x: &[i32], k: usize, stride: usize, norm: &NormConstants, saturations: &mut Saturations) {
        self.codes.clear();
        self.scales.clear();
        for (t, x) in x.chunks_exact(k).enumerate() {
            let (mut a, mut squares) = (0, 0u128);
            self.wide.clear();
            for (&x, &g) in x.iter().zip(&norm.gain) {
                let u = i64::from(x) * i64::from(g);
                a = a.max(u.unsigned_abs());
                squares += u128::from(i64::from(x).unsigned_abs().pow(2));
                self.wide.push(u);
            }
            self.codes.resize((t + 1) * stride, 0);
            wide(Codes { quantiser: Quantiser::new(a, 127), u: &self.wide, codes: &mut self.codes[t * stride..][..k] });
            let (scale, saturated) = norm_scale(a.into(), (squares + u128::from(norm.eps)).max(1), norm.c, 0);
            self.scales.push(scale);
            saturations.scales += u64::from(saturated);
        }
    }

    /// RoPE (Q and K) and quantisation of all heads of all tokens. `constants`: scale and bits of a code of K, V, Q.
    #[allow(clippy::too_many_arguments)]
    pub fn quantise_heads(
        &mut self,
        s: &Shape,
        pos: usize,
        n: usize,
        constants: [(Scale, usize); 3],
        rom: &RopeRom,
        steps: &[u32],
        saturations: &mut Saturations,
    ) {
        let (hd, half, rows) = (s.head_dim, s.head_dim / 2, self.sums.len() / n);
        let heads = rows / hd;
        self.heads.resize(n * rows, 0);
        self.head_scales.resize(n * heads, Scale::ZERO);
        self.wide.resize(hd, 0);
        for (t, sums) in self.sums.chunks_exact(rows).enumerate() {
            self.turns.clear();
            self.turns.extend(steps.iter().map(|&step| rom.sin_cos(rope::phase((pos + t) as u32, step))));
            for (head, sums) in sums.chunks_exact(hd).enumerate() {
                let kind = (head / s.kv_heads).min(2);
                let (low, high) = self.wide.split_at_mut(half);
                for (j, pair) in sums.chunks_exact(2).enumerate() {
                    (low[j], high[j]) = if kind == 1 {
                        (rope::unrotated(pair[0]), rope::unrotated(pair[1]))
                    } else {
                        let (sin, cos) = self.turns[j];
                        rope::rotate(pair[0], pair[1], sin, cos)
                    };
                }
                let a = self.wide.iter().map(|r| r.unsigned_abs()).max().unwrap_or(0);
                let (c, bits) = constants[kind];
                let quantiser = Quantiser::new(a, code_limit(bits));
                let at = head * n + t;
                wide(Codes { quantiser, u: &self.wide, codes: &mut self.heads[at * hd..][..hd] });
                let (scale, saturated) = head_scale(a, self.scales[t], c);
                self.head_scales[at] = scale;
                saturations.scales += u64::from(saturated);
            }
        }
    }

    /// Attention of the query heads of KV head `head`, whose positions before the pass are in `cache`.
    pub fn attend_group(&mut self, s: &Shape, head: usize, pos: usize, n: usize, rom: &SoftmaxRom) {
        let hd = s.head_dim;
        for kind in 0..2 {
            for t in 0..n {
                let at = (kind * s.kv_heads + head) * n + t;
                self.cache.push(kind, &self.heads[at * hd..][..hd], self.head_scales[at]);
            }
        }
        for query in head * s.group..(head + 1) * s.group {
            for t in 0..n {
                let at = (2 * s.kv_heads + query) * n + t;
                let o = &mut self.o[t * s.q_dim + query * hd..][..hd];
                self.attend.head(rom, &self.heads[at * hd..][..hd], self.head_scales[at], &self.cache, pos + t + 1, o);
            }
        }
    }

    /// `x += sums · scale`, token by token.
    pub fn add_residual(&mut self, s: &Shape, c_o: Scale, saturations: &mut Saturations) {
        for ((x, sums), scale) in self.x.chunks_exact_mut(s.dim).zip(self.sums.chunks_exact(s.dim)).zip(&self.scales) {
            let (scale, saturated) = scale.mul_sat(c_o);
            saturations.scales += u64::from(saturated);
            for (x, &sum) in x.iter_mut().zip(sums) {
                let (y, saturated) = residual(*x, sum, scale);
                *x = y;
                saturations.residuals += u64::from(saturated);
            }
        }
    }
}

/// [`Quantiser::codes`] on wide vectors.
struct Codes<'a> {
    quantiser: Quantiser,
    u: &'a [i64],
    codes: &'a mut [i8],
}

impl Kernel for Codes<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.quantiser.codes(self.u, self.codes);
    }
}
