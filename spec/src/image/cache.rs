//! KV pages as the hardware would have written them, from a cache of the integer reference.

use super::Layout;
use crate::{
    hw::{Hw, KV_BLOCK},
    reference::LayerCache,
};

/// Bytes of a layer's cached positions in memory, by super-word, for one slot.
pub fn cache_contents(hw: &Hw, layout: &Layout, layer: usize, cache: &LayerCache) -> Vec<(u32, Vec<u8>)> {
    let kv = hw.kv();
    let (word, per_word) = (hw.word_bits() / 8, kv.codes_per_word());
    let mut loads = Vec::new();
    for block in 0..cache.positions().div_ceil(KV_BLOCK) {
        for head in 0..hw.shape.kv_heads {
            let mut bytes = vec![0u8; kv.block_words() * word];
            for i in 0..KV_BLOCK.min(cache.positions() - block * KV_BLOCK) {
                for kind in 0..2 {
                    let pos = block * KV_BLOCK + i;
                    let (codes, scale) = if kind == 0 { cache.key(pos, head) } else { cache.value(pos, head) };
                    let (at, lane) = kv.scale_at(kind, i);
                    bytes[at * word + 4 * lane..][..4].copy_from_slice(&scale.to_bits().to_le_bytes());
                    for (e, &code) in codes.iter().enumerate() {
                        let first = (kv.vector_at(kind, i) + e / per_word) * word * 8 + e % per_word * kv.kv_bits;
                        for bit in 0..kv.kv_bits {
                            bytes[(first + bit) / 8] |= ((code >> bit & 1) as u8) << ((first + bit) % 8);
                        }
                    }
                }
            }
            let page = layout.pages + block as u32 * layout.page_words;
            loads.push((page + kv.block_at(layer, head) as u32, bytes));
        }
    }
    loads
}
