//! Where everything lies in memory, in super-words, and the descriptor that names a pass there.

use super::{ENTRY_BYTES, HEADER_BYTES, ImageError};
use crate::{
    block::ctrl,
    descriptor::{self, Descriptor, Opcode},
    hw::Hw,
};

/// Segments start at multiples of this many bytes a port, so that no burst of a segment starts across a 4 KiB border.
pub const SEGMENT_ALIGN: usize = 4096;

/// Where everything lies, in super-word offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// First super-word of every layer segment, and their length.
    pub layers: Vec<u32>,
    pub layer_words: u32,
    /// Descriptors: room for this many.
    pub descriptors: u32,
    pub descriptor_count: u32,
    pub descriptor_words: u32,
    /// Input and output vectors of one pass.
    pub x_in: u32,
    pub x_out: u32,
    pub vector_words: u32,
    /// KV pages: slot by slot, block by block.
    pub pages: u32,
    pub page_words: u32,
    pub pages_per_slot: u32,
    /// Super-words in all.
    pub total: u32,
}

impl Layout {
    /// Places everything for `hw`.
    ///
    /// # Errors
    /// `TooLarge` when an offset would not fit 32 bits.
    pub fn new(hw: &Hw) -> Result<Self, ImageError> {
        let p = ctrl::Params::from(hw);
        let align = SEGMENT_ALIGN * 8 / hw.port_bits();
        let header = (HEADER_BYTES + ENTRY_BYTES * hw.shape.layers).div_ceil(hw.word_bits() / 8);
        let mut at = 0usize;
        let mut take = |words: usize| {
            let here = at;
            at = (at + words).next_multiple_of(align);
            here
        };
        take(header);
        let layers: Vec<usize> = (0..hw.shape.layers).map(|_| take(p.layer_words())).collect();
        let descriptor_count = hw.shape.layers * 64;
        let descriptors = take(descriptor_count * p.desc_words());
        let x_in = take(hw.config.batch * p.x_words);
        let x_out = take(hw.config.batch * p.x_words);
        let pages_per_slot = hw.context() / crate::hw::KV_BLOCK;
        let page_words = hw.page_words();
        let pages = take(hw.config.slots * pages_per_slot * page_words);
        let total = take(0);
        if total > u32::MAX as usize {
            return Err(ImageError::TooLarge { words: total });
        }
        Ok(Layout {
            layers: layers.into_iter().map(|l| l as u32).collect(),
            layer_words: p.layer_words() as u32,
            descriptors: descriptors as u32,
            descriptor_count: descriptor_count as u32,
            descriptor_words: p.desc_words() as u32,
            x_in: x_in as u32,
            x_out: x_out as u32,
            vector_words: p.x_words as u32,
            pages: pages as u32,
            page_words: page_words as u32,
            pages_per_slot: pages_per_slot as u32,
            total: total as u32,
        })
    }

    /// The descriptor of one pass over `tokens` tokens; a layer that is not there gives weights that no hardware accepts.
    pub fn descriptor(&self, layer: usize, slot: usize, pos: usize, tokens: usize) -> Descriptor {
        Descriptor {
            opcode: Opcode::Attention as u8,
            version: descriptor::VERSION,
            layer: layer as u8,
            slot: slot as u8,
            pos: pos as u16,
            count: tokens as u8,
            weights: self.layers.get(layer).copied().unwrap_or(u32::MAX),
            x_in: self.x_in,
            x_out: self.x_out,
        }
    }

    /// The identity page table: entry `slot · pages_per_slot + block`.
    pub fn page_table(&self, slots: usize) -> Vec<u32> {
        (0..slots as u32 * self.pages_per_slot).map(|i| self.pages + i * self.page_words).collect()
    }
}

/// 32-bit words as super-words: padded with zeros to whole ones.
pub fn words_to_bytes(hw: &Hw, words: &[u32]) -> Vec<u8> {
    let mut bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    bytes.resize(bytes.len().next_multiple_of(hw.word_bits() / 8), 0);
    bytes
}
