//! What a pass of the accelerator does to memory, bit for bit, without its cycles.
//!
//! In: the hardware, the page table, the memory behind the ports with an image in it, a descriptor. Effects: `y` at `x_out`, the K and
//! V of the pass's positions in their blocks, as `xstore` and `kvwrite` write them. Out: what saturated. Every number comes from
//! `spec::numerics`; weights, gains and constants are decoded from the memory's bytes, once a segment ([`layer`]).

mod attend;
mod kv;
mod layer;
mod ternary;
mod wide;
mod words;

use crate::memory::Storage;
use attend::Attend;
use kv::{HeadCache, Place};
use layer::{Layers, NormConstants};
use std::ops::Range;
use tritforge_spec::{
    descriptor::{self, Descriptor},
    hw::{Hw, KV_BLOCK},
    kv::KvShape,
    numerics::{Quantiser, RopeRom, Scale, SoftmaxRom, head_scale, headq::code_limit, norm::norm_scale, residual, rope},
    pack::PackError,
    reference::Saturations,
    rom,
};
use wide::{Kernel, wide};
use words::Words;

/// Why a pass was refused; nothing was written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ValueError {
    #[error("descriptor field {field}: expected {expected}, found {found}")]
    Descriptor { field: &'static str, expected: String, found: u64 },
    #[error("weights at super-word {offset}, {section} rows: {error}; the hardware counts such a byte as zero trits and reports it")]
    Weights { offset: u32, section: &'static str, error: PackError },
    #[error("weights at super-word {offset}, gain {index} of a norm: expected -65535 to 65535, found -65536; build the image anew")]
    Gain { offset: u32, index: usize },
    #[error(
        "{written} (super-words {at:?}) overlaps {other} (super-words {there:?}), which the same pass uses: what is read then depends on cycles; move one of them"
    )]
    Overlap { written: &'static str, at: Range<u64>, other: &'static str, there: Range<u64> },
}

/// The opcode of an attention pass.
const OPCODE: u8 = descriptor::Opcode::Attention as u8;

/// Executes passes on a memory.
#[derive(Clone, Debug)]
pub struct Executor {
    shape: Shape,
    words: Words,
    kv: KvShape,
    pages: Vec<u32>,
    layers: Layers,
    softmax_rom: SoftmaxRom,
    rope_rom: RopeRom,
    rope_steps: Vec<u32>,
    work: Work,
}

/// The numbers of the hardware that a pass needs.
#[derive(Clone, Copy, Debug)]
struct Shape {
    layers: usize,
    batch: usize,
    dim: usize,
    group: usize,
    kv_heads: usize,
    head_dim: usize,
    q_dim: usize,
    x_words: usize,
    layer_words: usize,
    page_words: usize,
}

/// Buffers of a pass.
#[derive(Clone, Debug, Default)]
struct Work {
    bytes: Vec<u8>,
    x: Vec<i32>,
    /// Codes of a norm, a padded vector a token, and their scales.
    codes: Vec<i8>,
    scales: Vec<Scale>,
    sums: Vec<i32>,
    /// Sine and cosine of a token's position, a pair each.
    turns: Vec<(i32, i32)>,
    /// Elements of a vector before their quantisation.
    wide: Vec<i64>,
    /// Codes and scales of all heads: `(head · tokens + token)`, K heads, V heads, Q heads.
    heads: Vec<i8>,
    head_scales: Vec<Scale>,
    cache: HeadCache,
    attend: Attend,
    /// tokens x QD.
    o: Vec<i32>,
}

impl Executor {
    /// For this hardware, with a page table of zeros.
    ///
    /// # Errors
    /// `Weights` when the sections of a layer do not fit this machine's addresses.
    pub fn new(hw: &Hw) -> Result<Self, ValueError> {
        let s = &hw.shape;
        let shape = Shape {
            layers: s.layers,
            batch: hw.config.batch,
            dim: s.dim,
            group: hw.group(),
            kv_heads: s.kv_heads,
            head_dim: s.head_dim,
            q_dim: hw.q_dim(),
            x_words: hw.vector_words(s.dim),
            layer_words: tritforge_spec::block::ctrl::Params::from(hw).layer_words(),
            page_words: hw.page_words(),
        };
        Ok(Executor {
            shape,
            words: Words::new(hw),
            kv: hw.kv(),
            pages: vec![0; hw.kv().pages()],
            layers: Layers::new(hw)?,
            softmax_rom: SoftmaxRom::new(hw.config.rom_log2, hw.config.rom_bits),
            rope_rom: RopeRom::new(),
            rope_steps: rom::rope_steps(s.rope_theta, s.head_dim),
            work: Work::default(),
        })
    }

    /// Writes page table entries from index 0 on; those that the table does not have are ignored, as the hardware does.
    pub fn set_pages(&mut self, pages: &[u32]) {
        self.pages.iter_mut().zip(pages).for_each(|(to, from)| *to = *from);
    }

    /// Executes one pass on `storage`.
    ///
    /// # Errors
    /// A descriptor that the hardware refuses, weights that it reports, or a pass that overwrites what it reads.
    pub fn run(&mut self, storage: &mut Storage, d: &Descriptor) -> Result<Saturations, ValueError> {
        self.check_fields(d)?;
        self.check_overlaps(d)?;
        let Self { shape, words, kv, layers, work, pages, .. } = self;
        let layer = layers.get(storage, d.weights)?;
        let (n, pos) = (usize::from(d.count), usize::from(d.pos));
        let mut saturations = Saturations::default();

        work.load_x(shape, words, storage, d.x_in, n);
        let x = std::mem::take(&mut work.x);
        work.norm(&x, shape.dim, layer.qkv.stride(), &layer.norm1, &mut saturations);
        work.sums.resize(n * layer.qkv.rows(), 0);
        layer.qkv.sums(&work.codes, &mut work.sums);
        let constants = [(layer.c_k, kv.kv_bits), (layer.c_v, kv.kv_bits), (layer.c_q, 8)];
        work.quantise_heads(shape, pos, n, constants, &self.rope_rom, &self.rope_steps, &mut saturations);

        let pages = &pages[usize::from(d.slot) * kv.pages_per_slot()..][..kv.pages_per_slot()];
        let place = |head: usize| Place { pages, block_at: kv.block_at(d.layer.into(), head) as u32 };
        work.o.resize(n * shape.q_dim, 0);
        for head in 0..shape.kv_heads {
            work.cache.load(kv, words, storage, place(head), pos);
            work.attend_group(shape, head, pos, n, &self.softmax_rom);
        }
        saturations.scores += std::mem::take(&mut work.attend.saturated_scores);
        saturations.outputs += std::mem::take(&mut work.attend.saturated_outputs);

        let o = std::mem::take(&mut work.o);
        work.norm(&o, shape.q_dim, layer.o.stride(), &layer.norm2, &mut saturations);
        work.o = o;
        work.sums.resize(n * layer.o.rows(), 0);
        layer.o.sums(&work.codes, &mut work.sums);
        work.x = x;
        work.add_residual(shape, layer.c_o, &mut saturations);

        work.store_x(shape, words, storage, d.x_out);
        for (vector, codes) in work.heads.chunks_exact(shape.head_dim).take(2 * shape.kv_heads * n).enumerate() {
            let (head, token) = (vector / n, vector % n);
            let (kind, head) = (head / shape.kv_heads, head % shape.kv_heads);
            let scale = work.head_scales[vector];
            kv::store(kv, words, storage, place(head), pos + token, kind, codes, scale, &mut work.bytes);
        }
        Ok(saturations)
    }

    /// The checks of the control block.
    fn check_fields(&self, d: &Descriptor) -> Result<(), ValueError> {
        let s = &self.shape;
        let (count, context) = (usize::from(d.count), self.kv.context);
        // (holds, field, expected, found); the texts are made only for an error.
        let checks: [(bool, &'static str, &dyn Fn() -> String, u64); 6] = [
            (d.opcode == OPCODE, "opcode", &|| OPCODE.to_string(), d.opcode.into()),
            (d.version == descriptor::VERSION, "version", &|| descriptor::VERSION.to_string(), d.version.into()),
            (usize::from(d.layer) < s.layers, "layer", &|| format!("below {}", s.layers), d.layer.into()),
            (usize::from(d.slot) < self.kv.slots, "slot", &|| format!("below {}", self.kv.slots), d.slot.into()),
            ((1..=s.batch).contains(&count), "count", &|| format!("1 to {}", s.batch), d.count.into()),
            (usize::from(d.pos) + count <= context, "pos", &|| format!("pos + count at most {context}"), d.pos.into()),
        ];
        match checks.iter().find(|check| !check.0) {
            Some(&(_, field, expected, found)) => Err(ValueError::Descriptor { field, expected: expected(), found }),
            None => Ok(()),
        }
    }

    /// A pass reads its vectors before it writes any; everything else that it writes must lie apart from all that it uses.
    fn check_overlaps(&self, d: &Descriptor) -> Result<(), ValueError> {
        let s = &self.shape;
        let range = |off: u32, words: usize| u64::from(off)..u64::from(off) + words as u64;
        let x_words = usize::from(d.count) * s.x_words;
        let (x_in, x_out, weights) = (range(d.x_in, x_words), range(d.x_out, x_words), range(d.weights, s.layer_words));
        let apart = |written, at: &Range<u64>, other, there: &Range<u64>| {
            if at.start < there.end && there.start < at.end {
                return Err(ValueError::Overlap { written, at: at.clone(), other, there: there.clone() });
            }
            Ok(())
        };
        apart("the output", &x_out, "the weights", &weights)?;
        let first = usize::from(d.slot) * self.kv.pages_per_slot();
        let page = |number: usize| range(self.pages.get(first + number).copied().unwrap_or_default(), s.page_words);
        let pos = usize::from(d.pos);
        let last = (pos + usize::from(d.count) - 1) / KV_BLOCK;
        for number in 0..=last {
            apart("the output", &x_out, "a KV page", &page(number))?;
        }
        for written in pos / KV_BLOCK..=last {
            let at = page(written);
            apart("a KV page", &at, "the weights", &weights)?;
            apart("a KV page", &at, "the input", &x_in)?;
            for other in (0..=last).filter(|&other| other != written) {
                apart("a KV page", &at, "another KV page", &page(other))?;
            }
        }
        Ok(())
    }
}

impl Work {
    fn load_x(&mut self, s: &Shape, words: &Words, storage: &Storage, off: u32, n: usize) {
        self.bytes.resize(n * s.x_words * words.bytes(), 0);
        words.read(storage, off, &mut self.bytes);
        self.x.clear();
        for vector in self.bytes.chunks_exact(s.x_words * words.bytes()) {
            self.x.extend(vector.chunks_exact(4).take(s.dim).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        }
    }

    fn store_x(&mut self, s: &Shape, words: &Words, storage: &mut Storage, off: u32) {
        let vector = s.x_words * words.bytes();
        self.bytes.clear();
        for (t, x) in self.x.chunks_exact(s.dim).enumerate() {
            self.bytes.extend(x.iter().flat_map(|x| x.to_le_bytes()));
            self.bytes.resize((t + 1) * vector, 0);
        }
        words.write(storage, off, &self.bytes);
    }

    /// Norm and int8 of the vectors `x` of `k` elements: `codes` in rows of `stride`, `scales`.
    fn norm(&mut self, x: &[i32], k: usize, stride: usize, norm: &NormConstants, saturations: &mut Saturations) {
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
    fn quantise_heads(
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
    fn attend_group(&mut self, s: &Shape, head: usize, pos: usize, n: usize, rom: &SoftmaxRom) {
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
    fn add_residual(&mut self, s: &Shape, c_o: Scale, saturations: &mut Saturations) {
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
