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
mod work;

use crate::memory::Storage;
use kv::Place;
use layer::Layers;
use std::ops::Range;
use tritforge_spec::{
    descriptor::{self, Descriptor},
    hw::{Hw, KV_BLOCK},
    kv::KvShape,
    numerics::{RopeRom, SoftmaxRom},
    pack::PackError,
    reference::Saturations,
    rom,
};
use words::Words;
use work::{Shape, Work};

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
