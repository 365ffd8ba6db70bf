//! The memory image: header, layer segments, and the places of descriptors, vectors and KV pages, all in super-words.
//!
//! In: the hardware and the attention parameters of every layer. Out: bytes in super-word order (super-word `o` holds beat `o` of
//! every port, port 0 lowest), a segment table with CRC32, and the hashes that the hardware checks before the first read.

mod cache;
mod hash;
mod layout;
mod segment;

pub use cache::cache_contents;
pub use hash::{NUMERICS_VERSION, hw_hash, model_hash, numerics_hash};
pub use layout::{Layout, SEGMENT_ALIGN, words_to_bytes};
pub use segment::{constants, layer_segment, qkv_rows};

use crate::{hw::Hw, pack::PackError, reference::AttnParams};

/// First eight bytes of an image.
pub const MAGIC: [u8; 8] = *b"TRITIMG1";
/// Version of the image format.
pub const VERSION: u32 = 1;
/// Bytes of the header before the segment table.
pub const HEADER_BYTES: usize = 48;
/// Bytes of one entry of the segment table.
pub const ENTRY_BYTES: usize = 20;

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
        [
            include_str!("../../../configs/small.toml"),
            include_str!("../../../configs/two-bit.toml"),
            include_str!("../../../configs/kv260.toml"),
        ]
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
}
