//! The AXI4-Lite register map: one table of registers and their fields, from which the Verilog package, the C header and the docs
//! page are generated; the model and the host take the fields from here.

use crate::block::ctrl::COUNT_BITS;

/// Access of a register as software sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
    /// Writing triggers; reads as 0.
    WriteOnly,
    /// Bits written as 1 are cleared.
    WriteOneClear,
}

/// A state in which a write is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// STATUS_BUSY: descriptors run, or a doorbell waits to be heard.
    Busy,
    /// STATUS_SOFT_RESET: from the write of CONTROL until the core has left its reset.
    SoftReset,
}
use State::{Busy, SoftReset};

/// Where a field of a register lies: low bit, width, meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: &'static str,
    pub lsb: usize,
    pub width: usize,
    pub doc: &'static str,
}

impl Field {
    /// The field's bits.
    pub const fn mask(self) -> u32 {
        (((1u64 << self.width) - 1) << self.lsb) as u32
    }
    /// The field's value in a register.
    pub const fn get(self, register: u32) -> u32 {
        (register & self.mask()) >> self.lsb
    }
    /// A register that holds `value` in this field and 0 elsewhere; bits that do not fit are dropped.
    pub const fn put(self, value: u32) -> u32 {
        (value << self.lsb) & self.mask()
    }
}

const fn field(name: &'static str, lsb: usize, width: usize, doc: &'static str) -> Field {
    Field { name, lsb, width, doc }
}

pub const CAPS0_LANES: Field = field("LANES", 0, 16, "lanes");
pub const CAPS0_BATCH: Field = field("BATCH", 16, 5, "batch");
pub const CAPS0_VEC: Field = field("VEC", 21, 5, "vec");
pub const CAPS0_KV_BITS: Field = field("KV_BITS", 26, 4, "KV bits");
pub const CAPS0_TWO_BIT: Field = field("TWO_BIT", 30, 1, "1 = two-bit weights");
pub const CAPS1_PORTS: Field = field("PORTS", 0, 6, "ports");
pub const CAPS1_PORT_BITS: Field = field("PORT_BITS", 6, 10, "port bits");
pub const CAPS1_CONTEXT: Field = field("CONTEXT", 16, 16, "context");
pub const CONTROL_SOFT_RESET: Field =
    field("SOFT_RESET", 0, 1, "soft reset: stops the masters, drains them, resets the core; clears the error");
pub const STATUS_BUSY: Field = field("BUSY", 0, 1, "busy");
pub const STATUS_ERROR: Field = field("ERROR", 1, 1, "error");
pub const STATUS_SOFT_RESET: Field = field("SOFT_RESET", 2, 1, "soft reset in progress");
pub const ERR_CODE_CODE: Field = field("CODE", 0, 8, "code");
pub const ERR_CODE_PORT: Field = field("PORT", 8, 5, "port");
pub const IRQ_STATUS_IDLE: Field = field("IDLE", 0, 1, "the control became idle");
pub const IRQ_STATUS_ERROR: Field = field("ERROR", 1, 1, "an error was recorded");
pub const DOORBELL_COUNT: Field = field("COUNT", 0, COUNT_BITS, "number of descriptors to run from DESC_PTR; 0 is refused");

/// All bits of IRQ_STATUS, and of IRQ_MASK.
pub const IRQ_ALL: u32 = IRQ_STATUS_IDLE.mask() | IRQ_STATUS_ERROR.mask();

/// One 32-bit register.
pub struct Register {
    pub name: &'static str,
    pub offset: u32,
    pub access: Access,
    /// States in which a write answers SLVERR and does nothing.
    pub refused: &'static [State],
    /// Its fields from bit 0 on; none where the whole register is one value.
    pub fields: &'static [Field],
    pub doc: &'static str,
}

impl Register {
    const fn refused_in(self, states: &'static [State]) -> Self {
        Register { refused: states, ..self }
    }

    const fn of(self, fields: &'static [Field]) -> Self {
        Register { fields, ..self }
    }

    /// Its meaning and its fields, for people.
    pub fn text(&self) -> String {
        let fields = self.fields.iter().map(|f| match f.width {
            1 => format!("[{}] {}", f.lsb, f.doc),
            _ => format!("[{}:{}] {}", f.lsb + f.width - 1, f.lsb, f.doc),
        });
        let fields = fields.collect::<Vec<_>>().join(", ");
        if self.doc.is_empty() || fields.is_empty() { format!("{}{fields}", self.doc) } else { format!("{}: {fields}", self.doc) }
    }
}

const fn reg(name: &'static str, offset: u32, access: Access, doc: &'static str) -> Register {
    Register { name, offset, access, refused: &[], fields: &[], doc }
}

/// "TRIT", read at offset 0.
pub const MAGIC: u32 = 0x5452_4954;
/// Version of this map and of the descriptors.
pub const INTERFACE_VERSION: u32 = 1;
/// Bits of a register address.
pub const ADDR_BITS: usize = 12;

/// 64-bit counters, frozen together by SNAPSHOT; low word at `COUNTER_BASE + 8·index`, high word 4 above.
pub const COUNTERS: &[(&str, &str)] = &[
    ("CYCLES", "cycles in which the control was busy"),
    ("ARRAY_BUSY", "cycles in which the ternary array consumed a word"),
    ("WAIT_WEIGHTS", "cycles in which the array had activations but no weights"),
    ("WAIT_ACT", "cycles in which the array waited for activations"),
    ("WAIT_OUT", "cycles in which the array was stopped by back-pressure"),
    ("ATTN_BUSY", "cycles in which the score/value engine consumed a KV word"),
    ("SATURATIONS", "elements that saturated anywhere (see numerics)"),
    ("DESCRIPTORS", "descriptors finished"),
];
/// Offset of the first counter.
pub const COUNTER_BASE: u32 = 0x080;

/// 32-bit words below the counters: all [`REGISTERS`] lie there.
pub const WORDS: usize = COUNTER_BASE as usize / 4;

/// One bit a word below the counters: the registers for which `holds`.
pub fn words(holds: impl Fn(&Register) -> bool) -> u64 {
    REGISTERS.iter().filter(|r| holds(r)).fold(0, |mask, r| mask | 1 << (r.offset / 4))
}

/// All registers but the counters.
pub const REGISTERS: &[Register] = &[
    reg("MAGIC", 0x000, Access::ReadOnly, "0x54524954, \"TRIT\""),
    reg("VERSION", 0x004, Access::ReadOnly, "interface version of this map and of the descriptors"),
    reg("HW_HASH_LO", 0x008, Access::ReadOnly, "hash of configuration and model shape, bits 31:0"),
    reg("HW_HASH_HI", 0x00c, Access::ReadOnly, "bits 63:32"),
    reg("NUM_HASH_LO", 0x010, Access::ReadOnly, "hash of the numerics contract and its ROMs, bits 31:0"),
    reg("NUM_HASH_HI", 0x014, Access::ReadOnly, "bits 63:32"),
    reg("CAPS0", 0x018, Access::ReadOnly, "").of(&[CAPS0_LANES, CAPS0_BATCH, CAPS0_VEC, CAPS0_KV_BITS, CAPS0_TWO_BIT]),
    reg("CAPS1", 0x01c, Access::ReadOnly, "").of(&[CAPS1_PORTS, CAPS1_PORT_BITS, CAPS1_CONTEXT]),
    reg("CONTROL", 0x020, Access::WriteOnly, "").of(&[CONTROL_SOFT_RESET]),
    reg("STATUS", 0x024, Access::ReadOnly, "").of(&[STATUS_BUSY, STATUS_ERROR, STATUS_SOFT_RESET]),
    reg("ERR_CODE", 0x028, Access::ReadOnly, "first error").of(&[ERR_CODE_CODE, ERR_CODE_PORT]),
    reg("ERR_ADDR_LO", 0x02c, Access::ReadOnly, "first error: address or offset, bits 31:0"),
    reg("ERR_ADDR_HI", 0x030, Access::ReadOnly, "bits 63:32"),
    reg("IRQ_STATUS", 0x034, Access::WriteOneClear, "").of(&[IRQ_STATUS_IDLE, IRQ_STATUS_ERROR]),
    reg("IRQ_MASK", 0x038, Access::ReadWrite, "interrupt = any IRQ_STATUS bit whose mask bit is 1"),
    reg("DESC_PTR", 0x03c, Access::ReadWrite, "super-word offset of the first descriptor").refused_in(&[Busy]),
    reg("DOORBELL", 0x040, Access::WriteOnly, "").of(&[DOORBELL_COUNT]).refused_in(&[Busy, SoftReset]),
    reg("IMG_HW_HASH_LO", 0x044, Access::ReadWrite, "hw_hash of the loaded image, bits 31:0"),
    reg("IMG_HW_HASH_HI", 0x048, Access::ReadWrite, "bits 63:32"),
    reg("IMG_NUM_HASH_LO", 0x04c, Access::ReadWrite, "numerics_hash of the loaded image, bits 31:0"),
    reg("IMG_NUM_HASH_HI", 0x050, Access::ReadWrite, "bits 63:32"),
    reg("SNAPSHOT", 0x054, Access::WriteOnly, "any write copies all counters at once into the readable copies"),
    reg("PT_INDEX", 0x058, Access::ReadWrite, "page table index: slot x CTX/16 + block"),
    reg("PT_ENTRY", 0x05c, Access::WriteOnly, "writes super-word offset of page PT_INDEX; refused where that is beyond the table")
        .refused_in(&[SoftReset]),
    reg(
        "PORT_SEL",
        0x060,
        Access::ReadWrite,
        "memory port that PORT_BASE and PORT_BEATS address; beyond the last port they read 0 and writes are refused",
    ),
    reg("PORT_BASE_LO", 0x064, Access::ReadWrite, "base byte address of the selected port, bits 31:0; a multiple of 4096")
        .refused_in(&[Busy, SoftReset]),
    reg("PORT_BASE_HI", 0x068, Access::ReadWrite, "bits 63:32").refused_in(&[Busy, SoftReset]),
    reg("PORT_BEATS_LO", 0x06c, Access::ReadOnly, "read beats accepted by the selected port at the snapshot, bits 31:0"),
    reg("PORT_BEATS_HI", 0x070, Access::ReadOnly, "bits 63:32"),
];
