//! Descriptors: the 64-byte commands in memory that the control executes, one after the other.

/// Bytes of one descriptor.
pub const BYTES: usize = 64;
/// Version that this hardware executes.
pub const VERSION: u8 = 1;

/// Operation codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// The attention sub-layer of one layer over the tokens of one pass.
    Attention = 1,
}

/// Where a field lies: 32-bit word of the descriptor, low bit, width, meaning. Generates the docs and the C header.
pub struct Field {
    pub name: &'static str,
    pub word: usize,
    pub lsb: usize,
    pub width: usize,
    pub doc: &'static str,
}

const fn field(name: &'static str, word: usize, lsb: usize, width: usize, doc: &'static str) -> Field {
    Field { name, word, lsb, width, doc }
}

/// All fields; every bit not listed must be 0.
pub const FIELDS: &[Field] = &[
    field("opcode", 0, 0, 8, "operation: 1 = attention sub-layer"),
    field("version", 0, 8, 8, "descriptor version, 1"),
    field("layer", 1, 0, 8, "layer index, selects the KV blocks"),
    field("slot", 2, 0, 4, "sequence slot, selects the page table"),
    field("pos", 3, 0, 14, "position of the pass's first token"),
    field("count", 4, 0, 5, "tokens in the pass, 1 to BATCH"),
    field("weights", 5, 0, 32, "super-word offset of the layer segment"),
    field("x_in", 6, 0, 32, "super-word offset of the input vectors"),
    field("x_out", 7, 0, 32, "super-word offset of the output vectors"),
];

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
    pub fn words(&self) -> [u32; BYTES / 4] {
        let mut w = [0; BYTES / 4];
        w[0] = u32::from(self.opcode) | u32::from(self.version) << 8;
        w[1] = u32::from(self.layer);
        w[2] = u32::from(self.slot);
        w[3] = u32::from(self.pos);
        w[4] = u32::from(self.count);
        w[5] = self.weights;
        w[6] = self.x_in;
        w[7] = self.x_out;
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
        "a read beat answered with an error counted as zero data; ERR_ADDR = byte address, ERR_CODE[12:8] = port",
    ),
    (ErrorCode::WriteError, "WRITE_ERROR", "a write answered with an error; ERR_ADDR = byte address, ERR_CODE[12:8] = port"),
    (
        ErrorCode::BadWeight,
        "BAD_WEIGHT",
        "illegal code in packed weights counted as zero trits; ERR_ADDR = index of the super-word in its section",
    ),
];
