//! The memory image: header, layer segments, and the places of descriptors, vectors and KV pages, all in super-words.
//!
//! In: the hardware and the attention parameters of every layer. Out: bytes in super-word order (super-word `o` holds beat `o` of
//! every port, port 0 lowest), a segment table with CRC32, and the hashes that the hardware checks before the first read.

use crate::{
    block::ctrl::{self, CONST_WORDS, const_index},
    config::Packing,
    descriptor::{self, Descriptor, Opcode},
    hw::Hw,
    numerics::Scale,
    pack::{PackError, Section},
    reference::AttnParams,
    rom,
};
use sha2::{Digest, Sha256};

/// First eight bytes of an image.
pub const MAGIC: [u8; 8] = *b"TRITIMG1";
/// Version of the image format.
pub const VERSION: u32 = 1;
/// Version of docs/numerics.md; part of every numerics hash.
pub const NUMERICS_VERSION: u32 = 1;
/// Bytes of the header before the segment table.
pub const HEADER_BYTES: usize = 48;
/// Bytes of one entry of the segment table.
pub const ENTRY_BYTES: usize = 20;
/// Segments start at multiples of this many bytes a port, so that no burst of a segment starts across a 4 KiB border.
pub const SEGMENT_ALIGN: usize = 4096;

/// Why an image was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ImageError {
    #[error("image: {0}")]
    Pack(#[from] PackError),
    #[error("image: {item}: expected {expected}, found {found}; make the image with `tritforge emit` for this model and configuration")]
    Wrong { item: String, expected: String, found: String },
    #[error("image: needs {words} super-words, the hardware's offsets reach {limit}; use a smaller model or context", limit = u32::MAX)]
    TooLarge { words: usize },
}

fn short_hash(parts: &[&[u8]]) -> u64 {
    let mut h = Sha256::new();
    for part in parts {
        h.update((part.len() as u64).to_le_bytes());
        h.update(part);
    }
    u64::from_le_bytes(h.finalize()[..8].try_into().unwrap_or_default())
}

/// Hash of a file's bytes.
pub fn file_hash(bytes: &[u8]) -> u64 {
    short_hash(&[bytes])
}

/// Hash of everything that shapes the hardware: configuration (not its name, not its clock) and model shape.
pub fn hw_hash(hw: &Hw) -> u64 {
    let (c, s) = (&hw.config, &hw.shape);
    let packing = if c.packing == Packing::Base3 { 0 } else { 1 };
    let words = [
        c.lanes,
        c.batch,
        c.vec,
        c.ports,
        c.port_bits,
        packing,
        c.rom_log2 as usize,
        c.rom_bits as usize,
        c.kv_bits,
        c.weight_fifo,
        c.aux_fifo,
        c.burst,
        c.outstanding,
        c.slots,
        hw.context(),
        s.layers,
        s.dim,
        s.heads,
        s.kv_heads,
        s.head_dim,
    ];
    let bytes: Vec<u8> = words.iter().flat_map(|&w| (w as u64).to_le_bytes()).collect();
    short_hash(&[b"tritforge hw", &crate::regmap::INTERFACE_VERSION.to_le_bytes(), &bytes, &s.rope_theta.to_bits().to_le_bytes()])
}

/// Hash of the numerics contract and the ROMs that this hardware holds.
pub fn numerics_hash(hw: &Hw) -> u64 {
    let bytes = |words: Vec<u32>| words.into_iter().flat_map(u32::to_le_bytes).collect::<Vec<u8>>();
    short_hash(&[
        b"tritforge numerics",
        &NUMERICS_VERSION.to_le_bytes(),
        &bytes(rom::softmax_rom(hw.config.rom_log2, hw.config.rom_bits)),
        &bytes(rom::sine_rom()),
        &bytes(rom::rope_steps(hw.shape.rope_theta, hw.shape.head_dim)),
        &[hw.config.kv_bits as u8],
    ])
}

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

/// The 16 constants of a layer (see [`const_index`]).
pub fn constants(a: &AttnParams) -> [u32; CONST_WORDS] {
    let mut w = [0; CONST_WORDS];
    let scales: [(usize, Scale); 6] = [
        (const_index::C_NORM1, a.norm.c),
        (const_index::C_Q, a.c_q),
        (const_index::C_K, a.c_k),
        (const_index::C_V, a.c_v),
        (const_index::C_NORM2, a.sub_norm.c),
        (const_index::C_O, a.c_o),
    ];
    for (index, scale) in scales {
        w[index] = scale.to_bits();
    }
    for (index, eps) in [(const_index::EPS1, a.norm.eps), (const_index::EPS2, a.sub_norm.eps)] {
        w[index] = eps as u32;
        w[index + 1] = (eps >> 32) as u32;
    }
    w
}

/// The rows of the q, k and v projections in the order of consumption: K heads, V heads, Q heads, rows of a head in pairs
/// (0, HD/2, 1, HD/2 + 1, …).
pub fn qkv_rows<'a>(hw: &Hw, a: &'a AttnParams) -> Vec<&'a [i8]> {
    let hd = hw.shape.head_dim;
    let mut rows = Vec::with_capacity(hw.q_dim() + 2 * hw.kv_dim());
    for matrix in [&a.k, &a.v, &a.q] {
        for head in 0..matrix.rows / hd {
            for j in 0..hd / 2 {
                rows.push(matrix.row(head * hd + j));
                rows.push(matrix.row(head * hd + j + hd / 2));
            }
        }
    }
    rows
}

/// One layer segment: constants, gains, qkv rows, gains, o rows, in the order of consumption.
///
/// # Errors
/// A matrix or gain whose shape is not the hardware's, or a weight that is no trit.
pub fn layer_segment(hw: &Hw, a: &AttnParams) -> Result<Vec<u8>, ImageError> {
    let (d, q, k) = (hw.shape.dim, hw.q_dim(), hw.kv_dim());
    let shapes = [
        ("q", (a.q.rows, a.q.cols), (q, d)),
        ("k", (a.k.rows, a.k.cols), (k, d)),
        ("v", (a.v.rows, a.v.cols), (k, d)),
        ("o", (a.o.rows, a.o.cols), (d, q)),
        ("norm gain", (a.norm.gain.len(), 1), (d, 1)),
        ("sub-norm gain", (a.sub_norm.gain.len(), 1), (q, 1)),
    ];
    for (item, found, expected) in shapes {
        if found != expected {
            return Err(ImageError::Wrong { item: item.into(), expected: format!("{expected:?}"), found: format!("{found:?}") });
        }
    }
    let gains = |g: &[i32]| words_to_bytes(hw, &g.iter().map(|&v| v as u32).collect::<Vec<_>>());
    let mut bytes = words_to_bytes(hw, &constants(a));
    bytes.extend(gains(&a.norm.gain));
    bytes.extend(Section::of(&hw.config, q + 2 * k, d)?.pack(&qkv_rows(hw, a).concat())?);
    bytes.extend(gains(&a.sub_norm.gain));
    bytes.extend(Section::of(&hw.config, d, q)?.pack(&a.o.trits)?);
    let expected = ctrl::Params::from(hw).layer_words() * hw.word_bits() / 8;
    if bytes.len() != expected {
        return Err(ImageError::Wrong {
            item: "layer segment bytes".into(),
            expected: expected.to_string(),
            found: bytes.len().to_string(),
        });
    }
    Ok(bytes)
}

/// A segment of the image that holds data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Layer index.
    pub layer: u32,
    /// First super-word.
    pub off: u32,
    /// Super-words.
    pub words: u32,
    /// CRC32 (IEEE) of the bytes in super-word order.
    pub crc: u32,
}

/// A built image.
#[derive(Clone, Debug)]
pub struct Image {
    pub layout: Layout,
    pub hw_hash: u64,
    pub numerics_hash: u64,
    pub model_hash: u64,
    pub segments: Vec<Segment>,
    /// Super-words from 0 to the end of the last layer segment, in super-word order.
    pub bytes: Vec<u8>,
}

impl Image {
    /// Builds the image of `layers` for `hw`.
    ///
    /// # Errors
    /// As [`layer_segment`] and [`Layout::new`]; also when the number of layers is not the hardware's.
    pub fn build(hw: &Hw, layers: &[&AttnParams], model_hash: u64) -> Result<Self, ImageError> {
        if layers.len() != hw.shape.layers {
            return Err(ImageError::Wrong {
                item: "layers".into(),
                expected: hw.shape.layers.to_string(),
                found: layers.len().to_string(),
            });
        }
        let layout = Layout::new(hw)?;
        let word_bytes = hw.word_bits() / 8;
        let end = layout.descriptors as usize * word_bytes;
        let mut image = Image {
            hw_hash: hw_hash(hw),
            numerics_hash: numerics_hash(hw),
            model_hash,
            segments: Vec::with_capacity(layers.len()),
            bytes: vec![0; end],
            layout,
        };
        for (i, layer) in layers.iter().enumerate() {
            let data = layer_segment(hw, layer)?;
            let off = image.layout.layers[i];
            let at = off as usize * word_bytes;
            image.segments.push(Segment { layer: i as u32, off, words: image.layout.layer_words, crc: crc32fast::hash(&data) });
            image.bytes[at..at + data.len()].copy_from_slice(&data);
        }
        let header = image.header(hw);
        image.bytes[..header.len()].copy_from_slice(&header);
        Ok(image)
    }

    /// Header and segment table: magic, version, super-word bits, hardware, numerics and model hash, count, CRC of the table,
    /// then a line a segment (layer, offset, super-words, CRC, 0). Little-endian.
    fn header(&self, hw: &Hw) -> Vec<u8> {
        let table: Vec<u8> = self.segments.iter().flat_map(|s| [s.layer, s.off, s.words, s.crc, 0]).flat_map(u32::to_le_bytes).collect();
        let mut h = Vec::from(MAGIC);
        h.extend(VERSION.to_le_bytes());
        h.extend((hw.word_bits() as u32).to_le_bytes());
        for hash in [self.hw_hash, self.numerics_hash, self.model_hash] {
            h.extend(hash.to_le_bytes());
        }
        h.extend((self.segments.len() as u32).to_le_bytes());
        h.extend(crc32fast::hash(&table).to_le_bytes());
        h.extend(table);
        h
    }

    /// Reads and checks an image against the hardware it is to run on.
    ///
    /// # Errors
    /// The first of: too short, wrong magic or version, hashes of other hardware, a segment out of place, a CRC that differs.
    pub fn parse(hw: &Hw, bytes: &[u8]) -> Result<Self, ImageError> {
        let wrong = |item: &str, expected: String, found: String| ImageError::Wrong { item: item.into(), expected, found };
        let layout = Layout::new(hw)?;
        let word_bytes = hw.word_bits() / 8;
        if bytes.len() < HEADER_BYTES {
            return Err(wrong("bytes", format!("{HEADER_BYTES} of the header at least"), bytes.len().to_string()));
        }
        let u32_at = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if bytes[..8] != MAGIC {
            return Err(wrong("magic", "TRITIMG1".into(), bytes[..8].escape_ascii().to_string()));
        }
        let fields = [
            ("version", u64::from(VERSION), u64::from(u32_at(8))),
            ("super-word bits", hw.word_bits() as u64, u64::from(u32_at(12))),
            ("hw_hash", hw_hash(hw), u64_at(16)),
            ("numerics_hash", numerics_hash(hw), u64_at(24)),
            ("segments", hw.shape.layers as u64, u64::from(u32_at(40))),
        ];
        for (item, expected, found) in fields {
            if expected != found {
                return Err(wrong(item, format!("{expected:#x} (this hardware)"), format!("{found:#x}")));
            }
        }
        let need = layout.descriptors as usize * word_bytes;
        if bytes.len() != need {
            return Err(wrong("bytes", need.to_string(), bytes.len().to_string()));
        }
        let table_end = HEADER_BYTES + ENTRY_BYTES * hw.shape.layers;
        let crc = crc32fast::hash(&bytes[HEADER_BYTES..table_end]);
        if crc != u32_at(44) {
            return Err(wrong("segment table CRC32", format!("{:#010x}", u32_at(44)), format!("{crc:#010x}")));
        }
        let mut segments = Vec::with_capacity(hw.shape.layers);
        for (i, &off) in layout.layers.iter().enumerate() {
            let at = HEADER_BYTES + ENTRY_BYTES * i;
            let s = Segment { layer: u32_at(at), off: u32_at(at + 4), words: u32_at(at + 8), crc: u32_at(at + 12) };
            if (s.layer, s.off, s.words) != (i as u32, off, layout.layer_words) {
                return Err(wrong(&format!("segment {i}"), format!("layer {i} at {off}, {} words", layout.layer_words), format!("{s:?}")));
            }
            let from = off as usize * word_bytes;
            let found = crc32fast::hash(&bytes[from..from + s.words as usize * word_bytes]);
            if found != s.crc {
                return Err(wrong(&format!("CRC32 of segment {i}"), format!("{:#010x}", s.crc), format!("{found:#010x}")));
            }
            segments.push(s);
        }
        Ok(Image { hw_hash: u64_at(16), numerics_hash: u64_at(24), model_hash: u64_at(32), segments, bytes: bytes.to_vec(), layout })
    }

    /// The bytes of port `port`, beat by beat.
    pub fn port_bytes(&self, hw: &Hw, port: usize) -> Vec<u8> {
        let (word, beat) = (hw.word_bits() / 8, hw.port_bits() / 8);
        self.bytes.chunks_exact(word).flat_map(|w| w[port * beat..(port + 1) * beat].iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::AccelConfig, reference::random::RandomModel};

    fn hw(config: &str, model: &RandomModel) -> Hw {
        let config = AccelConfig::from_toml(config).unwrap();
        Hw::new(config, model.shape.clone()).unwrap()
    }

    fn configs() -> [&'static str; 3] {
        [include_str!("../../configs/small.toml"), include_str!("../../configs/two-bit.toml"), include_str!("../../configs/kv260.toml")]
    }

    #[test]
    fn an_image_reads_back_and_every_ports_bytes_are_its_beats() {
        for config in configs() {
            let model = RandomModel::small(96, 5, 1, 48);
            let (int, hw) = (model.build(3), hw(config, &model));
            let layers: Vec<&AttnParams> = int.layers.iter().map(|l| &l.attn).collect();
            let image = Image::build(&hw, &layers, 7).unwrap();
            let back = Image::parse(&hw, &image.bytes).unwrap();
            assert_eq!((back.model_hash, back.segments.clone()), (7, image.segments.clone()));
            let (word, beat) = (hw.word_bits() / 8, hw.port_bits() / 8);
            for port in 0..hw.ports() {
                let bytes = image.port_bytes(&hw, port);
                for (i, b) in bytes.iter().enumerate() {
                    assert_eq!(*b, image.bytes[i / beat * word + port * beat + i % beat]);
                }
            }
            // The constants and the first gain, where docs/architecture.md puts them.
            let at = image.layout.layers[0] as usize * word;
            let u32_at = |i: usize| u32::from_le_bytes(image.bytes[at + 4 * i..at + 4 * i + 4].try_into().unwrap());
            assert_eq!(u32_at(1), int.layers[0].attn.c_q.to_bits());
            let gain = 64usize.next_multiple_of(word) / 4;
            assert_eq!(u32_at(gain) as i32, int.layers[0].attn.norm.gain[0]);
        }
    }

    #[test]
    fn a_wrong_or_damaged_image_is_refused_by_name() {
        let model = RandomModel::small(64, 2, 1, 32);
        let (int, small) = (model.build(4), hw(configs()[0], &model));
        let layers: Vec<&AttnParams> = int.layers.iter().map(|l| &l.attn).collect();
        let image = Image::build(&small, &layers, 7).unwrap();
        let refused = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = image.bytes.clone();
            change(&mut bytes);
            Image::parse(&small, &bytes).unwrap_err().to_string()
        };
        assert!(refused(&|b| b.truncate(100)).contains("bytes: expected"));
        assert!(refused(&|b| b[0] = b'X').contains("magic"));
        assert!(refused(&|b| b[8] = 9).contains("version"));
        assert!(refused(&|b| b[50] ^= 1).contains("segment table CRC32"));
        let at = image.layout.layers[0] as usize * small.word_bits() / 8;
        assert!(refused(&|b| b[at + 70] ^= 4).contains("CRC32 of segment 0"));
        let other = hw(&configs()[0].replace("rom_bits = 15", "rom_bits = 12"), &model);
        assert!(Image::parse(&other, &image.bytes).unwrap_err().to_string().contains("hw_hash"));
    }

    #[test]
    fn qkv_rows_go_in_rope_pairs_k_first() {
        let model = RandomModel::small(64, 4, 2, 32);
        let (int, hw) = (model.build(5), hw(configs()[0], &model));
        let a = &int.layers[0].attn;
        let rows = qkv_rows(&hw, a);
        assert_eq!(rows.len(), 2 * 64 + 128);
        assert_eq!((rows[0], rows[1], rows[2]), (a.k.row(0), a.k.row(16), a.k.row(1)));
        assert_eq!((rows[32], rows[64], rows[128 + 33]), (a.k.row(32), a.v.row(0), a.q.row(32 + 16)));
    }
}
