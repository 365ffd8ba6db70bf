//! The AXI4-Lite register map: one table from which the Verilog package, the C header and the docs page are generated.

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
    /// STATUS[0]: descriptors run, or a doorbell waits to be heard.
    Busy,
    /// STATUS[2]: from the write of CONTROL until the core has left its reset.
    SoftReset,
}
use State::{Busy, SoftReset};

/// One 32-bit register.
pub struct Register {
    pub name: &'static str,
    pub offset: u32,
    pub access: Access,
    /// States in which a write answers SLVERR and does nothing.
    pub refused: &'static [State],
    pub doc: &'static str,
}

impl Register {
    const fn refused_in(self, states: &'static [State]) -> Self {
        Register { refused: states, ..self }
    }
}

const fn reg(name: &'static str, offset: u32, access: Access, doc: &'static str) -> Register {
    Register { name, offset, access, refused: &[], doc }
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
    reg("CAPS0", 0x018, Access::ReadOnly, "[15:0] lanes, [20:16] batch, [25:21] vec, [29:26] KV bits, [30] 1 = two-bit weights"),
    reg("CAPS1", 0x01c, Access::ReadOnly, "[5:0] ports, [15:6] port bits, [31:16] context"),
    reg("CONTROL", 0x020, Access::WriteOnly, "[0] soft reset: stops the masters, drains them, resets the core; clears the error"),
    reg("STATUS", 0x024, Access::ReadOnly, "[0] busy, [1] error, [2] soft reset in progress"),
    reg("ERR_CODE", 0x028, Access::ReadOnly, "first error: [7:0] code, [12:8] port"),
    reg("ERR_ADDR_LO", 0x02c, Access::ReadOnly, "first error: address or offset, bits 31:0"),
    reg("ERR_ADDR_HI", 0x030, Access::ReadOnly, "bits 63:32"),
    reg("IRQ_STATUS", 0x034, Access::WriteOneClear, "[0] the control became idle, [1] an error was recorded"),
    reg("IRQ_MASK", 0x038, Access::ReadWrite, "interrupt = any IRQ_STATUS bit whose mask bit is 1"),
    reg("DESC_PTR", 0x03c, Access::ReadWrite, "super-word offset of the first descriptor").refused_in(&[Busy]),
    reg("DOORBELL", 0x040, Access::WriteOnly, "[15:0] number of descriptors to run from DESC_PTR; 0 is refused")
        .refused_in(&[Busy, SoftReset]),
    reg("IMG_HW_HASH_LO", 0x044, Access::ReadWrite, "hw_hash of the loaded image, bits 31:0"),
    reg("IMG_HW_HASH_HI", 0x048, Access::ReadWrite, "bits 63:32"),
    reg("IMG_NUM_HASH_LO", 0x04c, Access::ReadWrite, "numerics_hash of the loaded image, bits 31:0"),
    reg("IMG_NUM_HASH_HI", 0x050, Access::ReadWrite, "bits 63:32"),
    reg("SNAPSHOT", 0x054, Access::WriteOnly, "any write copies all counters at once into the readable copies"),
    reg("PT_INDEX", 0x058, Access::ReadWrite, "page table index: slot x CTX/16 + block"),
    reg("PT_ENTRY", 0x05c, Access::WriteOnly, "writes super-word offset of that page").refused_in(&[SoftReset]),
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
