//! One block's integer codes and scales, and the values they stand for. In: a block's bytes. Out: [`Codes`]. Blocks of 32
//! are read here, those of 256 in `k_codes` and `ternary_codes`.

use half::f16;

use super::{k_codes, ternary_codes};
use crate::model::gguf::TensorType;

/// Elements of the longest block.
pub const BLOCK_MOST: usize = 256;
/// Elements that share an integer scale and minimum (in Q4_K and Q5_K two such groups share them).
pub const GROUP: usize = 16;
pub const GROUPS: usize = BLOCK_MOST / GROUP;

/// A block, decoded: element `i` is `(scale · scales[i / 16]) · codes[i] - (min · mins[i / 16])`.
#[derive(Debug, Clone)]
pub struct Codes {
    /// Codes, in the order of elements; those beyond the block's length mean nothing.
    pub codes: [i8; BLOCK_MOST],
    /// The block's scale.
    pub scale: f32,
    /// The block's minimum, what one of `mins` counts.
    pub min: f32,
    /// Integer scale of each group.
    pub scales: [i8; GROUPS],
    /// Integer minimum of each group.
    pub mins: [u8; GROUPS],
}

impl Codes {
    /// A block to be read into.
    pub fn new() -> Self {
        Self { codes: [0; BLOCK_MOST], scale: 0.0, min: 0.0, scales: [1; GROUPS], mins: [0; GROUPS] }
    }

    /// Reads one block of `kind`, which is no float type. `self` was made by [`Codes::new`] and has read no other type.
    #[inline(always)]
    pub fn read(&mut self, kind: TensorType, block: &[u8]) {
        match kind {
            TensorType::Q4_0 => self.q4_0(block),
            TensorType::Q4_1 => self.q4_1(block),
            TensorType::Q5_0 => self.q5_0(block),
            TensorType::Q5_1 => self.q5_1(block),
            TensorType::Q8_0 => self.q8_0(block),
            TensorType::Q2K => k_codes::q2_k(block, self),
            TensorType::Q3K => k_codes::q3_k(block, self),
            TensorType::Q4K => k_codes::q4_k(block, self),
            TensorType::Q5K => k_codes::q5_k(block, self),
            TensorType::Q6K => k_codes::q6_k(block, self),
            TensorType::Tq1_0 => ternary_codes::tq1_0(block, self),
            TensorType::Tq2_0 => ternary_codes::tq2_0(block, self),
            TensorType::I2S => ternary_codes::i2_s(block, self),
            TensorType::F32 | TensorType::F16 | TensorType::Bf16 => {}
        }
    }

    /// Appends the values of the block's first `elements`.
    pub fn values(&self, elements: usize, out: &mut Vec<f32>) {
        for (group, codes) in self.codes[..elements].chunks(GROUP).enumerate() {
            let scale = self.scale * f32::from(self.scales[group]);
            let min = self.min * f32::from(self.mins[group]);
            out.extend(codes.iter().map(|&code| scale * f32::from(code) - min));
        }
    }

    /// f16 scale, then 16 bytes: element i in the low, element 16 + i in the high half of byte i; code = 4 bits - 8.
    #[inline(always)]
    fn q4_0(&mut self, block: &[u8]) {
        self.scale = read_f16(block, 0);
        self.nibbles(&block[2..]);
        self.codes[..32].iter_mut().for_each(|code| *code -= 8);
    }

    /// f16 scale, f16 offset, then as Q4_0 with code = 4 bits. The offset is a minimum with its sign changed.
    #[inline(always)]
    fn q4_1(&mut self, block: &[u8]) {
        self.scale = read_f16(block, 0);
        self.offset(read_f16(block, 2));
        self.nibbles(&block[4..]);
    }

    /// f16 scale, 32 fifth bits (bit i of element i), then as Q4_0; code = 5 bits - 16.
    #[inline(always)]
    fn q5_0(&mut self, block: &[u8]) {
        self.scale = read_f16(block, 0);
        self.nibbles(&block[6..]);
        self.fifth_bits(&block[2..6]);
        self.codes[..32].iter_mut().for_each(|code| *code -= 16);
    }

    /// f16 scale, f16 offset, 32 fifth bits, then as Q4_0; code = 5 bits.
    #[inline(always)]
    fn q5_1(&mut self, block: &[u8]) {
        self.scale = read_f16(block, 0);
        self.offset(read_f16(block, 2));
        self.nibbles(&block[8..]);
        self.fifth_bits(&block[4..8]);
    }

    /// f16 scale, then 32 signed bytes.
    #[inline(always)]
    fn q8_0(&mut self, block: &[u8]) {
        self.scale = read_f16(block, 0);
        for (code, &byte) in self.codes.iter_mut().zip(&block[2..34]) {
            *code = byte as i8;
        }
    }

    #[inline(always)]
    fn offset(&mut self, offset: f32) {
        self.min = -offset;
        self.mins = [1; GROUPS];
    }

    #[inline(always)]
    fn nibbles(&mut self, bytes: &[u8]) {
        let (low, high) = self.codes[..32].split_at_mut(16);
        for ((low, high), &byte) in low.iter_mut().zip(high).zip(bytes) {
            (*low, *high) = ((byte & 15) as i8, (byte >> 4) as i8);
        }
    }

    #[inline(always)]
    fn fifth_bits(&mut self, bytes: &[u8]) {
        let bits = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        self.codes[..32].iter_mut().enumerate().for_each(|(i, code)| *code |= ((bits >> i & 1) << 4) as i8);
    }
}

impl Default for Codes {
    fn default() -> Self {
        Self::new()
    }
}

/// The little-endian f16 at byte `at`.
#[inline(always)]
pub(super) fn read_f16(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}
