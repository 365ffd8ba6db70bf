//! K and V of one KV head: from the blocks in memory and from the pass to rows of int8, and the pass's vectors back to memory with the
//! bits that `kvwrite` writes.

use super::words::Words;
use crate::memory::Storage;
use tritforge_spec::{hw::KV_BLOCK, kv::KvShape, numerics::Scale};

/// The keys and values of one KV head, position by position.
#[derive(Clone, Debug, Default)]
pub struct HeadCache {
    /// `codes[kind][position · HD + i]`; `kind` 0 K, 1 V.
    pub codes: [Vec<i8>; 2],
    pub scales: [Vec<Scale>; 2],
    /// A block as it lies in memory.
    block: Vec<u8>,
}

/// Where the blocks of a layer, sequence and KV head lie.
#[derive(Clone, Copy, Debug)]
pub struct Place<'p> {
    /// Page table of the sequence.
    pub pages: &'p [u32],
    /// Super-words from a page's start to the block.
    pub block_at: u32,
}

impl Place<'_> {
    fn block(&self, number: usize) -> u32 {
        self.pages.get(number).copied().unwrap_or_default().wrapping_add(self.block_at)
    }
}

impl HeadCache {
    /// Takes positions 0..`positions` from memory in place of what was there.
    pub fn load(&mut self, kv: &KvShape, words: &Words, storage: &Storage, place: Place, positions: usize) {
        for kind in 0..2 {
            self.codes[kind].clear();
            self.scales[kind].clear();
        }
        let word = words.bytes();
        // Two spare bytes: a code is read with the byte behind it.
        self.block.resize(kv.block_words() * word + 2, 0);
        for number in 0..positions.div_ceil(KV_BLOCK) {
            let (off, n) = (place.block(number), (positions - number * KV_BLOCK).min(KV_BLOCK));
            let vectors = n * kv.vector_words();
            // As the hardware does: scales and K in one run, then V; a full block in one.
            let first = if n == KV_BLOCK { kv.block_words() } else { kv.scale_words() + vectors };
            words.read(storage, off, &mut self.block[..first * word]);
            if n < KV_BLOCK {
                let at = kv.vector_at(1, 0);
                words.read(storage, off.wrapping_add(at as u32), &mut self.block[at * word..][..vectors * word]);
            }
            for kind in 0..2 {
                for i in 0..n {
                    let (at, lane) = kv.scale_at(kind, i);
                    let b = &self.block[at * word + 4 * lane..][..4];
                    self.scales[kind].push(Scale::from_bits(u32::from_le_bytes([b[0], b[1], b[2], b[3]])));
                    decode(kv, word, &self.block[kv.vector_at(kind, i) * word..], &mut self.codes[kind]);
                }
            }
        }
    }

    /// Adds a position of the pass.
    pub fn push(&mut self, kind: usize, codes: &[i8], scale: Scale) {
        self.codes[kind].extend_from_slice(codes);
        self.scales[kind].push(scale);
    }
}

/// Appends the HD codes of the vector that begins at `bytes[0]`.
fn decode(kv: &KvShape, word: usize, bytes: &[u8], codes: &mut Vec<i8>) {
    let per_word = kv.codes_per_word();
    for (w, first) in (0..kv.head_dim).step_by(per_word).enumerate() {
        let (n, bytes) = (per_word.min(kv.head_dim - first), &bytes[w * word..]);
        match kv.kv_bits {
            8 => codes.extend(bytes[..n].iter().map(|&b| b as i8)),
            4 => codes.extend((0..n).map(|i| ((bytes[i / 2] >> (i % 2 * 4)) << 4) as i8 >> 4)),
            bits => codes.extend((0..n).map(|i| {
                let at = i * bits;
                let pair = u16::from_le_bytes([bytes[at / 8], bytes[at / 8 + 1]]);
                ((pair >> (at % 8)) << (16 - bits)) as i16 >> (16 - bits)
            } as i8)),
        }
    }
}

/// Writes one vector of position `pos` and its scale.
#[allow(clippy::too_many_arguments)]
pub fn store(
    kv: &KvShape,
    words: &Words,
    storage: &mut Storage,
    place: Place,
    pos: usize,
    kind: usize,
    codes: &[i8],
    scale: Scale,
    packed: &mut Vec<u8>,
) {
    let word = words.bytes();
    packed.clear();
    packed.resize(kv.vector_words() * word, 0);
    for (codes, bytes) in codes.chunks(kv.codes_per_word()).zip(packed.chunks_exact_mut(word)) {
        for (i, &code) in codes.iter().enumerate() {
            let at = i * kv.kv_bits;
            let bits = u16::from(code as u8 & (0xff >> (8 - kv.kv_bits))) << (at % 8);
            bytes[at / 8] |= bits as u8;
            if at % 8 + kv.kv_bits > 8 {
                bytes[at / 8 + 1] |= (bits >> 8) as u8;
            }
        }
    }
    let (block, i) = (place.block(pos / KV_BLOCK), pos % KV_BLOCK);
    words.write(storage, block.wrapping_add(kv.vector_at(kind, i) as u32), packed);
    let (at, lane) = kv.scale_at(kind, i);
    words.write_lane(storage, block.wrapping_add(at as u32), lane, scale.to_bits());
}
