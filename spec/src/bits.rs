//! A bit vector of any width, little end first: the value of a wide port.
//! Fields are read and written as integers of up to 64 bits at a bit offset, as a Verilog `[lo +: width]` does.

/// A vector of `width` bits in 64-bit words, bit 0 lowest. Bits above `width` are always zero.
/// The default value has width 0 and equals any vector of zeros.
#[derive(Clone, Debug, Default)]
pub struct Bits {
    width: usize,
    words: Vec<u64>,
}

/// The lowest `width` bits set; `width` at most 64.
pub const fn mask(width: usize) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

/// `value`'s lowest `width` bits (1..=64) as a two's complement number.
pub const fn sign_extend(value: u64, width: usize) -> i64 {
    let unused = 64 - width;
    ((value << unused) as i64) >> unused
}

/// The number of bits that count from 0 to `n - 1`, as Verilog's `$clog2(n)`; 0 for n of 0 and 1.
pub const fn clog2(n: usize) -> usize {
    if n <= 1 { 0 } else { (usize::BITS - (n - 1).leading_zeros()) as usize }
}

impl Bits {
    /// `width` zeros.
    pub fn zeros(width: usize) -> Self {
        Self { width, words: vec![0; width.div_ceil(64)] }
    }

    /// The lowest `width` bits of `words`, missing words read as zero.
    pub fn from_words(width: usize, words: &[u64]) -> Self {
        let mut bits = Self::zeros(width);
        for (to, from) in bits.words.iter_mut().zip(words) {
            *to = *from;
        }
        bits.trim();
        bits
    }

    /// The lowest `width` bits (up to 64) of `value`.
    pub fn from_u64(width: usize, value: u64) -> Self {
        Self::from_words(width, &[value])
    }

    /// The elements of `fields`, each in `field_width` bits (1..=64, two's complement), element 0 lowest.
    pub fn pack_signed(field_width: usize, fields: &[i64]) -> Self {
        let mut bits = Self::zeros(field_width * fields.len());
        for (i, &v) in fields.iter().enumerate() {
            bits.set_signed(i * field_width, field_width, v);
        }
        bits
    }

    /// As [`Bits::pack_signed`] for unsigned elements.
    pub fn pack(field_width: usize, fields: &[u64]) -> Self {
        let mut bits = Self::zeros(field_width * fields.len());
        for (i, &v) in fields.iter().enumerate() {
            bits.set(i * field_width, field_width, v);
        }
        bits
    }

    fn trim(&mut self) {
        if !self.width.is_multiple_of(64)
            && let Some(top) = self.words.last_mut()
        {
            *top &= mask(self.width % 64);
        }
    }

    /// Number of bits.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The words, lowest first.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Bits `lo .. lo + width` (width 0..=64) as an unsigned number; bits above the vector read as zero.
    pub fn get(&self, lo: usize, width: usize) -> u64 {
        debug_assert!(width <= 64);
        let (word, shift) = (lo / 64, lo % 64);
        let at = |i: usize| self.words.get(i).copied().unwrap_or(0);
        let mut value = at(word) >> shift;
        if shift != 0 && shift + width > 64 {
            value |= at(word + 1) << (64 - shift);
        }
        value & mask(width)
    }

    /// Bits `lo .. lo + width` (width 1..=64) as a two's complement number.
    pub fn get_signed(&self, lo: usize, width: usize) -> i64 {
        sign_extend(self.get(lo, width), width)
    }

    /// Writes the lowest `width` bits (0..=64) of `value` at `lo`. Panics when they do not lie inside the vector.
    pub fn set(&mut self, lo: usize, width: usize, value: u64) {
        assert!(width <= 64 && lo + width <= self.width, "bits {lo} .. {} lie outside a vector of {} bits", lo + width, self.width);
        if width == 0 {
            return;
        }
        let value = value & mask(width);
        let (word, shift) = (lo / 64, lo % 64);
        self.words[word] = self.words[word] & !(mask(width) << shift) | value << shift;
        if shift + width > 64 {
            let low = 64 - shift;
            self.words[word + 1] = self.words[word + 1] & !mask(width - low) | value >> low;
        }
    }

    /// Writes `value` in two's complement of `width` bits at `lo`, as [`Bits::set`].
    pub fn set_signed(&mut self, lo: usize, width: usize, value: i64) {
        self.set(lo, width, value as u64);
    }

    /// Bit `i`.
    pub fn bit(&self, i: usize) -> bool {
        self.get(i, 1) != 0
    }

    /// Bits `lo .. lo + width` as a vector of their own; bits above the vector read as zero.
    pub fn slice(&self, lo: usize, width: usize) -> Self {
        let mut part = Self::zeros(width);
        for (i, word) in part.words.iter_mut().enumerate() {
            *word = self.get(lo + 64 * i, 64);
        }
        part.trim();
        part
    }

    /// Writes all of `part` at `lo`. Panics when it does not lie inside the vector.
    pub fn put(&mut self, lo: usize, part: &Bits) {
        for at in (0..part.width).step_by(64) {
            let n = (part.width - at).min(64);
            self.set(lo + at, n, part.get(at, n));
        }
    }
}

impl PartialEq for Bits {
    fn eq(&self, other: &Self) -> bool {
        let n = self.words.len().max(other.words.len());
        let at = |b: &Self, i: usize| b.words.get(i).copied().unwrap_or(0);
        (0..n).all(|i| at(self, i) == at(other, i))
    }
}

impl Eq for Bits {}

impl std::fmt::LowerHex for Bits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = self.width.div_ceil(4).max(1);
        for i in (0..digits).rev() {
            write!(f, "{:x}", self.get(4 * i, 4))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_reads_back_at_every_offset_and_leaves_its_neighbours() {
        for width in 1..=64 {
            for lo in 0..(200 - width) {
                let mut b = Bits::from_words(200, &[u64::MAX; 4]);
                let v = 0x5a5a_1234_8765_a5a5 & mask(width);
                b.set(lo, width, v);
                for i in 0..200 {
                    let expected = i < lo || i >= lo + width || v >> (i - lo) & 1 != 0;
                    assert_eq!(b.bit(i), expected, "bit {i}, field {lo} +: {width}");
                }
                assert_eq!(b.get(lo, width), v);
                assert_eq!(b.get_signed(lo, width), sign_extend(v, width));
            }
        }
    }

    #[test]
    fn slices_and_puts_are_inverse() {
        let whole = Bits::from_words(300, &[1, !0, 0x1234_5678_9abc_def0, 7, 0xfff]);
        for lo in [0, 1, 63, 64, 100] {
            for width in [0, 1, 64, 65, 130, 200] {
                let part = whole.slice(lo, width);
                assert_eq!(part.width(), width);
                for i in 0..width {
                    assert_eq!(part.bit(i), whole.bit(lo + i));
                }
                let mut copy = whole.clone();
                copy.put(lo, &part);
                assert_eq!(copy, whole);
            }
        }
    }

    #[test]
    fn a_default_vector_equals_zeros_of_any_width() {
        assert_eq!(Bits::default(), Bits::zeros(77));
        assert_ne!(Bits::default(), Bits::from_u64(3, 1));
        assert_eq!(format!("{:x}", Bits::from_u64(9, 0x1ab)), "1ab");
        assert_eq!([0, 1, 2, 3, 4, 5, 64, 65].map(clog2), [0, 0, 1, 2, 2, 3, 6, 7]);
    }
}
