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
        let (word, hd, per_word, vector) = (words.bytes(), kv.head_dim, kv.codes_per_word(), kv.vector_words() * words.bytes());
        // No padding within words nor behind vectors: the codes of all vectors follow each other.
        let dense = vector * 8 == hd * kv.kv_bits && per_word * kv.kv_bits == word * 8;
        self.codes.iter_mut().for_each(|codes| codes.resize(positions * hd, 0));
        self.scales.iter_mut().for_each(|scales| scales.clear());
        self.block.resize(kv.block_words() * word, 0);
        for number in 0..positions.div_ceil(KV_BLOCK) {
            let (off, first) = (place.block(number), number * KV_BLOCK);
            let n = (positions - first).min(KV_BLOCK);
            // As the hardware does: scales and K in one run, then V; a full block in one.
            let run = if n == KV_BLOCK { kv.block_words() * word } else { kv.vector_at(0, n) * word };
            words.read(storage, off, &mut self.block[..run]);
            if n < KV_BLOCK {
                let at = kv.vector_at(1, 0);
                words.read(storage, off.wrapping_add(at as u32), &mut self.block[at * word..][..n * vector]);
            }
            for kind in 0..2 {
                // The lanes of a super-word are its words of 32 bits, so scale by scale is word by word.
                let (at, lane) = kv.scale_at(kind, 0);
                let scales = self.block[at * word + 4 * lane..].chunks_exact(4).take(n);
                self.scales[kind].extend(scales.map(|b| Scale::from_bits(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))));
                let codes = &mut self.codes[kind][first * hd..(first + n) * hd];
                let bytes = &self.block[kv.vector_at(kind, 0) * word..];
                if dense {
                    decode(kv.kv_bits, bytes, codes);
                    continue;
                }
                for (codes, bytes) in codes.chunks_exact_mut(hd).zip(bytes.chunks(vector)) {
                    for (codes, bytes) in codes.chunks_mut(per_word).zip(bytes.chunks(word)) {
                        decode(kv.kv_bits, bytes, codes);
                    }
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

/// The codes, `bits` each, that begin at `bytes[0]`.
fn decode(bits: usize, bytes: &[u8], codes: &mut [i8]) {
    match bits {
        8 => codes.iter_mut().zip(bytes).for_each(|(code, &b)| *code = b as i8),
        4 => {
            for (pair, &b) in codes.chunks_mut(2).zip(bytes) {
                // The low one's bits go up first, so that the shift down brings the sign.
                let halves = [(b << 4) as i8 >> 4, b as i8 >> 4];
                pair.iter_mut().zip(halves).for_each(|(code, half)| *code = half);
            }
        }
        _ => {
            // Four codes in three bytes; the last ones of a word may end earlier.
            for (four, bytes) in codes.chunks_mut(4).zip(bytes.chunks(3)) {
                let b = |i: usize| u32::from(bytes.get(i).copied().unwrap_or_default());
                let all = b(0) | b(1) << 8 | b(2) << 16;
                four.iter_mut().enumerate().for_each(|(i, code)| *code = ((all >> (6 * i)) << 2) as i8 >> 2);
            }
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
