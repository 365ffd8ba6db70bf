//! A layer segment decoded from the memory: constants, gains, trits; kept as long as its bytes stand.
//!
//! Whether they stand is seen from the memory's pages, not told: a decoded layer holds the pages that it came from, and a page that
//! is held is never written in place (`Storage` makes a new one). So a write by anyone (host, step mode, this executor) is noticed at
//! the price of comparing one pointer a page, 4 KiB of weights.

use super::{
    ValueError,
    ternary::Rows,
    words::{Pins, Words},
};
use crate::memory::Storage;
use std::collections::HashMap;
use tritforge_spec::{
    bits::sign_extend,
    block::ctrl::{self, CONST_WORDS, const_index},
    hw::Hw,
    numerics::Scale,
    pack::Section,
};

/// The one value of 17 bits that no image holds: its product with -2^31 would leave the 47 bits of a magnitude.
const LEAST_GAIN: i32 = -(1 << 16);

/// What a layer's segment says.
#[derive(Clone, Debug)]
pub struct Layer {
    pub norm1: NormConstants,
    pub norm2: NormConstants,
    /// Constant scales of K, V and Q heads and of the o-projection.
    pub c_k: Scale,
    pub c_v: Scale,
    pub c_q: Scale,
    pub c_o: Scale,
    /// Rows of K, V and Q heads, as they are consumed: in pairs (j, j + HD/2).
    pub qkv: Rows,
    pub o: Rows,
}

/// Gains and constants of a norm.
#[derive(Clone, Debug)]
pub struct NormConstants {
    pub gain: Vec<i32>,
    pub eps: u64,
    pub c: Scale,
}

/// Decoded segments by their super-word offset.
#[derive(Clone, Debug)]
pub struct Layers {
    params: ctrl::Params,
    /// Sections of the qkv and o rows.
    qkv: Section,
    o: Section,
    words: Words,
    known: HashMap<u32, (Layer, Pins)>,
}

impl Layers {
    /// None decoded yet.
    ///
    /// # Errors
    /// `Weights` when the sections do not fit this machine's addresses.
    pub fn new(hw: &Hw) -> Result<Self, ValueError> {
        let params = ctrl::Params::from(hw);
        let section =
            |rows, k, name| Section::of(&hw.config, rows, k).map_err(|error| ValueError::Weights { offset: 0, section: name, error });
        Ok(Layers {
            qkv: section(params.q_dim + 2 * params.kv_dim, params.dim, "qkv")?,
            o: section(params.dim, params.q_dim, "o")?,
            words: Words::new(hw),
            known: HashMap::new(),
            params,
        })
    }

    /// The layer whose segment lies at super-word `offset`.
    ///
    /// # Errors
    /// `Weights` for rows that hold an illegal byte or padding that is not zero, `Gain` for one out of range.
    pub fn get(&mut self, storage: &Storage, offset: u32) -> Result<&Layer, ValueError> {
        let total = self.params.layer_words();
        let stands = self.known.get_mut(&offset).is_some_and(|(_, pins)| pins.stand(&self.words, storage));
        if !stands {
            // A model has as many segments as layers; offsets of other hosts' making must not pile up.
            if self.known.len() > 2 * self.params.layers {
                self.known.clear();
            }
            let layer = self.decode(storage, offset)?;
            self.known.insert(offset, (layer, Pins::new(&self.words, storage, offset, total)));
        }
        // Inserted or found above.
        self.known.get(&offset).map(|(layer, _)| layer).ok_or(ValueError::Descriptor {
            field: "weights",
            expected: "a decoded segment".into(),
            found: offset.into(),
        })
    }

    fn decode(&self, storage: &Storage, offset: u32) -> Result<Layer, ValueError> {
        let p = &self.params;
        let mut bytes = vec![0; p.layer_words() * self.words.bytes()];
        self.words.read(storage, offset, &mut bytes);
        let mut rest = &bytes[..];
        let mut section = |words: usize| {
            let (section, after) = rest.split_at(words * self.words.bytes());
            rest = after;
            section
        };
        let constants: Vec<u32> = words32(section(p.desc_words())).take(CONST_WORDS).collect();
        let scale = |i: usize| Scale::from_bits(constants[i]);
        let eps = |i: usize| u64::from(constants[i]) | u64::from(constants[i + 1]) << 32;
        let gains = |bytes: &[u8], k: usize| {
            let gain: Vec<i32> = words32(bytes).take(k).map(|w| sign_extend(w.into(), 17) as i32).collect();
            match gain.iter().position(|&g| g == LEAST_GAIN) {
                Some(index) => Err(ValueError::Gain { offset, index }),
                None => Ok(gain),
            }
        };
        let rows = |packed: &Section, name, bytes: &[u8], k: usize| match packed.unpack(bytes) {
            Ok(trits) => Ok(Rows::new(&trits, k)),
            Err(error) => Err(ValueError::Weights { offset, section: name, error }),
        };
        let gain1 = gains(section(p.gain1_words), p.dim)?;
        let qkv = rows(&self.qkv, "qkv", section(p.qkv_words), p.dim)?;
        let gain2 = gains(section(p.gain2_words), p.q_dim)?;
        let o = rows(&self.o, "o", section(p.o_words), p.q_dim)?;
        Ok(Layer {
            norm1: NormConstants { gain: gain1, eps: eps(const_index::EPS1), c: scale(const_index::C_NORM1) },
            norm2: NormConstants { gain: gain2, eps: eps(const_index::EPS2), c: scale(const_index::C_NORM2) },
            c_k: scale(const_index::C_K),
            c_v: scale(const_index::C_V),
            c_q: scale(const_index::C_Q),
            c_o: scale(const_index::C_O),
            qkv,
            o,
        })
    }
}

/// Little-endian words of 32 bits.
fn words32(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}
