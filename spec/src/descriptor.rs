//! Descriptors: the 64-byte commands in memory that the control executes, one after the other.

use crate::block::axi::OFFSET_BITS;

/// Bytes of one descriptor.
pub const BYTES: usize = 64;
/// 32-bit words of one descriptor.
pub const WORDS: usize = BYTES / 4;
/// Version that this hardware executes.
pub const VERSION: u8 = 1;

/// Operation codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// The attention sub-layer of one layer over the tokens of one pass.
    Attention = 1,
}

/// All operation codes with what they do, for Verilog, docs and C header.
pub const OPCODES: &[(Opcode, &str, &str)] =
    &[(Opcode::Attention, "ATTENTION", "the attention sub-layer of one layer over the tokens of one pass")];

/// Where a field lies: 32-bit word of the descriptor, low bit, width, meaning. A field lies within one word.
/// Generates Verilog, docs and C header.
pub struct Field {
    pub name: &'static str,
    pub word: usize,
    pub lsb: usize,
    pub width: usize,
    pub doc: &'static str,
}

impl Field {
    /// Low bit within the descriptor.
    pub const fn bit(&self) -> usize {
        32 * self.word + self.lsb
    }
    /// The bits of its word that the field owns.
    pub const fn mask(&self) -> u32 {
        (((1u64 << self.width) - 1) << self.lsb) as u32
    }
    /// The field's value in `words`.
    pub const fn get(&self, words: &[u32; WORDS]) -> u32 {
        (words[self.word] & self.mask()) >> self.lsb
    }
    /// Puts `value` into `words`, whose bits there are 0.
    const fn put(&self, words: &mut [u32; WORDS], value: u32) {
        words[self.word] |= value << self.lsb;
    }
}

const fn field(name: &'static str, word: usize, lsb: usize, width: usize, doc: &'static str) -> Field {
    Field { name, word, lsb, width, doc }
}

pub const OPCODE: Field = field("opcode", 0, 0, 8, "operation");
pub const FORMAT: Field = field("version", 0, 8, 8, "descriptor version, the one below");
pub const LAYER: Field = field("layer", 1, 0, 8, "layer index, selects the KV blocks");
pub const SLOT: Field = field("slot", 2, 0, 4, "sequence slot, selects the page table");
pub const POS: Field = field("pos", 3, 0, 14, "position of the pass's first token");
pub const COUNT: Field = field("count", 4, 0, 5, "tokens in the pass, 1 to BATCH");
pub const WEIGHTS: Field = field("weights", 5, 0, OFFSET_BITS, "super-word offset of the layer segment");
pub const X_IN: Field = field("x_in", 6, 0, OFFSET_BITS, "super-word offset of the input vectors");
pub const X_OUT: Field = field("x_out", 7, 0, OFFSET_BITS, "super-word offset of the output vectors");

/// All fields; every bit not listed must be 0.
pub const FIELDS: &[Field] = &[OPCODE, FORMAT, LAYER, SLOT, POS, COUNT, WEIGHTS, X_IN, X_OUT];

/// The bits of each word that no field owns.
pub const RESERVED: [u32; WORDS] = {
    let mut rest = [u32::MAX; WORDS];
    let mut i = 0;
    while i < FIELDS.len() {
        rest[FIELDS[i].word] &= !FIELDS[i].mask();
        i += 1;
    }
    rest
};

/// One attention pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    pub opcode: u8,
    pub version: u8,
    pub layer: u8,
    pub slot: u8,
    pub pos: u16,
    pub count: u8,
    pub weights: u32,
    pub x_in: u32,
    pub x_out: u32,
}

impl Descriptor {
    /// The 16 words as they lie in memory.
    pub fn words(&self) -> [u32; WORDS] {
        let mut w = [0; WORDS];
        for (field, value) in [
            (OPCODE, self.opcode.into()),
            (FORMAT, self.version.into()),
            (LAYER, self.layer.into()),
            (SLOT, self.slot.into()),
            (POS, self.pos.into()),
            (COUNT, self.count.into()),
            (WEIGHTS, self.weights),
            (X_IN, self.x_in),
            (X_OUT, self.x_out),
        ] {
            field.put(&mut w, value);
        }
        w
    }
}

/// Why the hardware stopped: the code in register ERR_CODE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ErrorCode {
    None = 0,
    /// The image's hashes differ from the hardware's; refused before the first read.
    WrongImage = 1,
    /// Unknown opcode or descriptor version; ERR_ADDR is the descriptor's super-word offset.
    BadOpcode = 2,
    /// A descriptor field out of range; ERR_ADDR as above.
    BadDescriptor = 3,
    /// A read beat came back with an error; ERR_ADDR is its byte address.
    ReadError = 4,
    /// A write was answered with an error; ERR_ADDR is its byte address.
    WriteError = 5,
    /// An illegal code in the packed weights; ERR_ADDR is the super-word's index in its section.
    BadWeight = 6,
}

/// All codes with what they mean, for the docs and the C header.
pub const ERROR_CODES: &[(ErrorCode, &str, &str)] = &[
    (ErrorCode::None, "NONE", "no error since the last soft reset"),
    (ErrorCode::WrongImage, "WRONG_IMAGE", "doorbell refused: IMG_HW_HASH or IMG_NUM_HASH differ from the hardware's; nothing was read"),
    (ErrorCode::BadOpcode, "BAD_OPCODE", "unknown opcode or descriptor version; ERR_ADDR = super-word offset of the descriptor"),
    (
        ErrorCode::BadDescriptor,
        "BAD_DESCRIPTOR",
        "layer, slot, pos, count or a reserved bit out of range; ERR_ADDR = super-word offset of the descriptor",
    ),
    (
        ErrorCode::ReadError,
        "READ_ERROR",
        "a read beat answered with an error counted as zero data; ERR_ADDR = byte address, ERR_CODE.PORT = port",
    ),
    (ErrorCode::WriteError, "WRITE_ERROR", "a write answered with an error; ERR_ADDR = byte address, ERR_CODE.PORT = port"),
    (
        ErrorCode::BadWeight,
        "BAD_WEIGHT",
        "illegal code in packed weights counted as zero trits; ERR_ADDR = index of the super-word in its section",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_overlap_and_every_other_bit_is_reserved() {
        let mut owned = [0u32; WORDS];
        for f in FIELDS {
            assert!(f.lsb + f.width <= 32, "{} leaves its word", f.name);
            assert_eq!(owned[f.word] & f.mask(), 0, "{} overlaps", f.name);
            owned[f.word] |= f.mask();
        }
        assert_eq!(owned.map(|w| !w), RESERVED);
    }

    #[test]
    fn a_descriptor_lies_in_memory_as_the_docs_table_says() {
        let d = Descriptor { opcode: 1, version: 1, layer: 0x12, slot: 3, pos: 0x1234, count: 4, weights: 5, x_in: 6, x_out: 7 };
        assert_eq!(d.words(), [0x0101, 0x12, 3, 0x1234, 4, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(FIELDS.iter().map(|f| f.get(&d.words())).collect::<Vec<_>>(), [1, 1, 0x12, 3, 0x1234, 4, 5, 6, 7]);
    }
}
