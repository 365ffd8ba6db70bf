//! Ternary rows to the bytes of a packed section and back: base-3 or two-bit bytes, rows padded with zero trits to whole array
//! words of `lanes` trits, array words one after the other low byte first, the section padded to whole super-words.
//! In: trits -1, 0, +1 row by row. Out: the bytes as they lie in memory (super-word after super-word), or the first illegal place.

use crate::config::{AccelConfig, Packing};

/// Trits of one base-3 byte.
const BASE3_TRITS: usize = 5;
/// Largest legal base-3 byte: 3^5 - 1.
pub const BASE3_MAX: u8 = 242;

/// Why a section was refused, with the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    #[error(
        "packed section: lanes = {lanes} is not a multiple of the {per_byte} trits of a byte, or the {word_bits}-bit super-word is not whole bytes"
    )]
    Shape { lanes: usize, per_byte: usize, word_bits: usize },
    #[error("packed section of {rows} rows x {k} trits does not fit in this machine's addresses")]
    TooLarge { rows: usize, k: usize },
    #[error("row {row}, column {column}: expected a weight of -1, 0 or +1, found {found}")]
    Trit { row: usize, column: usize, found: i8 },
    #[error("packed section: expected {expected} {what}, found {found}; give whole rows of this section's shape")]
    Length { what: &'static str, expected: usize, found: usize },
    #[error(
        "packed section: super-word {super_word}, byte {byte} (row {row}, column {column} on): expected a byte that codes trits (base 3: up to 242; two-bit: no code 2), found {found}; the image is damaged: make it again with `tritforge emit`"
    )]
    Byte { super_word: usize, byte: usize, row: usize, column: usize, found: u8 },
    #[error(
        "packed section: super-word {super_word}, byte {byte}: expected padding of zero trits, found 0x{found:02x}; the image is damaged: make it again with `tritforge emit`"
    )]
    Padding { super_word: usize, byte: usize, found: u8 },
}

/// The byte that codes `trits` (at most [`Packing::trits_per_byte`] of them, each -1, 0 or +1; missing ones are zero).
pub fn encode_byte(packing: Packing, trits: &[i8]) -> u8 {
    match packing {
        Packing::Base3 => (0..BASE3_TRITS).rev().fold(0, |byte, j| 3 * byte + (trits.get(j).copied().unwrap_or(0) + 1) as u8),
        Packing::TwoBit => trits.iter().take(4).enumerate().fold(0, |byte, (j, &t)| byte | (trit_code(t) << (2 * j)) as u8),
    }
}

/// The trits of a byte in the first [`Packing::trits_per_byte`] places (the rest 0), or `None` for an illegal byte.
pub fn decode_byte(packing: Packing, byte: u8) -> Option<[i8; BASE3_TRITS]> {
    let mut trits = [0; BASE3_TRITS];
    match packing {
        Packing::Base3 => {
            let mut rest = byte;
            for t in &mut trits {
                *t = (rest % 3) as i8 - 1;
                rest /= 3;
            }
            (byte <= BASE3_MAX).then_some(trits)
        }
        Packing::TwoBit => {
            for (j, t) in trits.iter_mut().take(4).enumerate() {
                *t = code_trit((byte >> (2 * j)) as u16)?;
            }
            Some(trits)
        }
    }
}

/// The two bits of a trit inside the core: 0 = 0, 1 = +1, 3 = -1 (bit 0: not zero, bit 1: negative).
pub const fn trit_code(trit: i8) -> u16 {
    (trit & 3) as u16
}

/// The trit of the lowest two bits, `None` for the illegal code 2.
pub const fn code_trit(code: u16) -> Option<i8> {
    match code & 3 {
        0 => Some(0),
        1 => Some(1),
        3 => Some(-1),
        _ => None,
    }
}

/// The bit of a [`code_table`] entry that marks an illegal byte.
pub const ILLEGAL: u16 = 1 << 15;

/// For every byte the two-bit codes of its trits, first trit lowest; an illegal byte is all zero trits and [`ILLEGAL`].
pub fn code_table(packing: Packing) -> [u16; 256] {
    std::array::from_fn(|byte| match decode_byte(packing, byte as u8) {
        Some(trits) => trits.iter().rev().fold(0, |codes, &t| codes << 2 | trit_code(t)),
        None => ILLEGAL,
    })
}

/// A packed section: `rows` rows of `k` trits under one coding, array-word and super-word width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    packing: Packing,
    lanes: usize,
    word_bits: usize,
    rows: usize,
    k: usize,
    bytes: usize,
}

impl Section {
    /// A section of `rows` x `k` trits for arrays of `lanes` trits and super-words of `word_bits` bits.
    ///
    /// # Errors
    /// `Shape` when an array word or a super-word is not whole bytes, `TooLarge` when the section's size overflows.
    pub fn new(packing: Packing, lanes: usize, word_bits: usize, rows: usize, k: usize) -> Result<Self, PackError> {
        let per_byte = packing.trits_per_byte();
        if lanes == 0 || !lanes.is_multiple_of(per_byte) || word_bits == 0 || !word_bits.is_multiple_of(8) {
            return Err(PackError::Shape { lanes, per_byte, word_bits });
        }
        let packed = k.div_ceil(lanes).checked_mul(rows).and_then(|words| words.checked_mul(lanes / per_byte));
        let bytes = packed.and_then(|n| n.checked_next_multiple_of(word_bits / 8)).filter(|&n| n <= isize::MAX as usize);
        let fits = rows.checked_mul(k).is_some_and(|n| n <= isize::MAX as usize);
        match bytes {
            Some(bytes) if fits => Ok(Section { packing, lanes, word_bits, rows, k, bytes }),
            _ => Err(PackError::TooLarge { rows, k }),
        }
    }

    /// As [`Section::new`] with the coding and widths of a configuration.
    ///
    /// # Errors
    /// As [`Section::new`].
    pub fn of(config: &AccelConfig, rows: usize, k: usize) -> Result<Self, PackError> {
        Self::new(config.packing, config.lanes, config.word_bits(), rows, k)
    }

    /// Array words of one row.
    pub fn words_per_row(&self) -> usize {
        self.k.div_ceil(self.lanes)
    }

    /// Array words of the section: `unpack`'s `cmd.words`.
    pub fn array_words(&self) -> usize {
        self.rows * self.words_per_row()
    }

    /// Super-words of the section in memory.
    pub fn super_words(&self) -> usize {
        self.bytes / (self.word_bits / 8)
    }

    /// Bytes of the section in memory, all ports together.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Share of the section's trits that is padding, 0..1.
    pub fn padding(&self) -> f64 {
        let stored = self.bytes * self.packing.trits_per_byte();
        if stored == 0 { 0.0 } else { 1.0 - (self.rows * self.k) as f64 / stored as f64 }
    }

    fn row_bytes(&self) -> usize {
        self.words_per_row() * (self.lanes / self.packing.trits_per_byte())
    }

    /// Packs `trits[row · k + column]`.
    ///
    /// # Errors
    /// `Length` when there are not rows·k of them, `Trit` at the first that is none.
    pub fn pack(&self, trits: &[i8]) -> Result<Vec<u8>, PackError> {
        let expected = self.rows * self.k;
        if trits.len() != expected {
            return Err(PackError::Length { what: "weights", expected, found: trits.len() });
        }
        if let Some(i) = trits.iter().position(|t| !(-1..=1).contains(t)) {
            return Err(PackError::Trit { row: i / self.k, column: i % self.k, found: trits[i] });
        }
        let zero = encode_byte(self.packing, &[]);
        let mut bytes = vec![zero; self.bytes];
        if self.k > 0 {
            for (row, out) in trits.chunks_exact(self.k).zip(bytes.chunks_exact_mut(self.row_bytes())) {
                for (group, byte) in row.chunks(self.packing.trits_per_byte()).zip(out) {
                    *byte = encode_byte(self.packing, group);
                }
            }
        }
        Ok(bytes)
    }

    /// The trits of a packed section, `[row · k + column]`. Every byte is checked, the padding too.
    ///
    /// # Errors
    /// `Length` for a wrong number of bytes, `Byte` or `Padding` at the first place that [`Section::pack`] cannot have written.
    pub fn unpack(&self, bytes: &[u8]) -> Result<Vec<i8>, PackError> {
        if bytes.len() != self.bytes {
            return Err(PackError::Length { what: "bytes", expected: self.bytes, found: bytes.len() });
        }
        let (per_byte, row_bytes) = (self.packing.trits_per_byte(), self.row_bytes().max(1));
        let mut trits = Vec::with_capacity(self.rows * self.k);
        for (i, &found) in bytes.iter().enumerate() {
            let (super_word, byte) = (i / (self.word_bits / 8), i % (self.word_bits / 8));
            let (row, column) = (i / row_bytes, i % row_bytes * per_byte);
            let Some(codes) = decode_byte(self.packing, found) else {
                return Err(PackError::Byte { super_word, byte, row, column, found });
            };
            let used = if row < self.rows { self.k.saturating_sub(column).min(per_byte) } else { 0 };
            if codes[used..].iter().any(|&t| t != 0) {
                return Err(PackError::Padding { super_word, byte, found });
            }
            trits.extend_from_slice(&codes[..used]);
        }
        Ok(trits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_legal_byte_reads_back_and_every_other_is_refused() {
        for byte in 0..=255u8 {
            let mut digits = byte as u32;
            let legal = (0..4).all(|j| byte >> (2 * j) & 3 != 2);
            let two_bit = decode_byte(Packing::TwoBit, byte);
            assert_eq!(two_bit.is_some(), legal, "two-bit {byte:#x}");
            if let Some(t) = two_bit {
                assert_eq!(encode_byte(Packing::TwoBit, &t[..4]), byte);
            }
            let base3 = decode_byte(Packing::Base3, byte);
            assert_eq!(base3.is_some(), byte <= 242, "base-3 {byte}");
            if let Some(t) = base3 {
                for (j, &trit) in t.iter().enumerate() {
                    assert_eq!(trit as i32, (digits % 3) as i32 - 1, "byte {byte}, trit {j}");
                    digits /= 3;
                }
                assert_eq!(encode_byte(Packing::Base3, &t), byte);
            }
        }
        assert_eq!(encode_byte(Packing::Base3, &[]), 121);
        assert_eq!(encode_byte(Packing::TwoBit, &[]), 0);
    }

    #[test]
    fn the_code_table_holds_the_two_bit_codes_first_trit_lowest() {
        // 121 + 1 - 3 + 81: first trit +1, second -1, fifth +1.
        let codes = code_table(Packing::Base3);
        assert_eq!(codes[200], 0b01_00_00_11_01);
        assert_eq!((codes[121], codes[242], codes[243]), (0, 0b01_01_01_01_01, ILLEGAL));
        let codes = code_table(Packing::TwoBit);
        assert_eq!((codes[0b11_01_00_11], codes[0b00_10_00_01]), (0b11_01_00_11, ILLEGAL));
    }

    #[test]
    fn a_damaged_byte_is_reported_with_its_place() {
        // Two rows of 12 trits in array words of 10: 4 bytes a row; super-words of 4 bytes.
        let s = Section::new(Packing::Base3, 10, 32, 2, 12).unwrap();
        let bytes = s.pack(&[1; 24]).unwrap();
        assert_eq!((s.words_per_row(), s.super_words(), bytes.len()), (2, 2, 8));
        let damage = |at: usize, value| {
            let mut b = bytes.clone();
            b[at] = value;
            s.unpack(&b).unwrap_err()
        };
        assert_eq!(damage(5, 250), PackError::Byte { super_word: 1, byte: 1, row: 1, column: 5, found: 250 });
        assert_eq!(damage(3, 120), PackError::Padding { super_word: 0, byte: 3, found: 120 });
        assert_eq!(s.unpack(&bytes[1..]).unwrap_err(), PackError::Length { what: "bytes", expected: 8, found: 7 });
        let mut t = [0i8; 24];
        t[13] = -2;
        assert_eq!(s.pack(&t).unwrap_err(), PackError::Trit { row: 1, column: 1, found: -2 });
        assert!(matches!(Section::new(Packing::Base3, 8, 32, 1, 1), Err(PackError::Shape { .. })));
        assert!(matches!(Section::new(Packing::Base3, 10, 32, usize::MAX, 9), Err(PackError::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn trits_lie_where_the_architecture_says_and_read_back(
            base3: bool, lanes_log in 0u32..7, word_log in 2u32..7, rows in 0usize..9, k in 1usize..90, seed: u64,
        ) {
            let packing = if base3 { Packing::Base3 } else { Packing::TwoBit };
            let per_byte = packing.trits_per_byte();
            let (lanes, word_bytes) = (per_byte << lanes_log, 1usize << word_log);
            let s = Section::new(packing, lanes, 8 * word_bytes, rows, k).unwrap();
            let trits: Vec<i8> = (0..rows * k).map(|i| (crate::stall::hash(seed, 0, i as u64) % 3) as i8 - 1).collect();
            let bytes = s.pack(&trits).unwrap();
            prop_assert_eq!(s.unpack(&bytes).unwrap(), trits.clone());
            prop_assert_eq!(bytes.len() % word_bytes, 0);
            let wpr = k.div_ceil(lanes);
            prop_assert!(bytes.len() * per_byte < rows * wpr * lanes + word_bytes * per_byte);
            // The oracle: trit (row, column) of a padded row, by plain arithmetic on the place of its byte.
            let mut seen = 0;
            for (i, &byte) in bytes.iter().enumerate() {
                for j in 0..per_byte {
                    let code = if base3 { byte as usize / 3usize.pow(j as u32) % 3 } else { byte as usize >> (2 * j) & 3 };
                    let found = if base3 { code as i8 - 1 } else { [0, 1, 9, -1][code] };
                    let at = i * per_byte + j;
                    let (row, column) = (at / (wpr * lanes), at % (wpr * lanes));
                    let expected = if row < rows && column < k { seen += 1; trits[row * k + column] } else { 0 };
                    prop_assert_eq!(found, expected, "row {} column {}", row, column);
                }
            }
            prop_assert_eq!(seen, rows * k);
        }
    }
}
