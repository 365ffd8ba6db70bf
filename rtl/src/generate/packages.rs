//! SystemVerilog packages of the contract's facts, for the leaf modules: register map, descriptors, streams.
//! In: the tables of `spec`; out: text in the subset that Verilator, Icarus, yosys and Vivado take (`localparam`s only).

use super::NOTE;
use std::fmt::Write;
use tritforge_spec::{
    block::{
        attn,
        axi::{DEST_BITS, OFFSET_BITS, READ_BEATS_BITS, WRITE_BEATS_BITS},
        ctrl::{CONST_WORDS, EPS_BITS, aux_dest, const_index, weight_dest},
        kvwrite, regs,
    },
    descriptor::{self, ERROR_CODES, FIELDS, FORMAT, OPCODE, OPCODES, RESERVED},
    hw::KV_BLOCK,
    numerics::{MAX_CONTEXT, SCALE_BITS},
    regmap::{self, Access, COUNTER_BASE, COUNTERS, REGISTERS, State},
};

/// A package under construction.
struct Package(String);

impl Package {
    fn new(name: &str, what: &str) -> Self {
        Package(format!("// {what} {NOTE}\npackage {name};\n"))
    }

    fn line(&mut self, text: std::fmt::Arguments) {
        let _ = writeln!(self.0, "    {text}");
    }

    /// A comment that heads what follows.
    fn heading(&mut self, text: &str) {
        self.line(format_args!("// {text}"));
    }

    /// A number of the elaboration: a width, a place, a count.
    fn int(&mut self, name: &str, value: usize) {
        self.line(format_args!("localparam int {name} = {value};"));
    }

    /// A value of `width` bits, decimal.
    fn value(&mut self, name: &str, width: usize, value: u64) {
        self.line(format_args!("localparam logic [{}:0] {name} = {width}'d{value};", width - 1));
    }

    /// A value of `width` bits, hexadecimal.
    fn hex(&mut self, name: &str, width: usize, value: u64) {
        let digits = width.div_ceil(4);
        self.line(format_args!("localparam logic [{}:0] {name} = {width}'h{value:0digits$x};", width - 1));
    }

    fn end(mut self) -> String {
        self.0.push_str("endpackage\n");
        self.0
    }
}

/// `regmap_pkg.sv`: addresses, fields, access rights, counters, error codes.
pub fn regmap() -> String {
    let mut p = Package::new("regmap_pkg", "Register addresses, fields, access rights and error codes.");
    for r in REGISTERS {
        p.hex(r.name, regmap::ADDR_BITS, r.offset.into());
    }
    p.heading("Low bit of each field.");
    for (r, f) in REGISTERS.iter().flat_map(|r| r.fields.iter().map(move |f| (r, f))) {
        p.int(&format!("{}_{}", r.name, f.name), f.lsb);
    }
    p.heading("Counters, and values that stand.");
    p.hex("COUNTER_BASE", regmap::ADDR_BITS, COUNTER_BASE.into());
    p.hex("MAGIC_VALUE", 32, regmap::MAGIC.into());
    p.value("VERSION_VALUE", 32, regmap::INTERFACE_VERSION.into());
    p.heading("One bit a 32-bit word below COUNTER_BASE.");
    p.int("WORDS", regmap::WORDS);
    p.hex("WRITABLE", regmap::WORDS, regmap::words(|r| r.access != Access::ReadOnly));
    p.heading("Writes refused while busy, and in a soft reset.");
    p.hex("REFUSED_BUSY", regmap::WORDS, regmap::words(|r| r.refused.contains(&State::Busy)));
    p.hex("REFUSED_SOFT_RESET", regmap::WORDS, regmap::words(|r| r.refused.contains(&State::SoftReset)));
    p.heading("Index of each counter.");
    p.int("COUNTERS", COUNTERS.len());
    for (i, (name, _)) in COUNTERS.iter().enumerate() {
        p.int(&format!("COUNT_{name}"), i);
    }
    p.heading("Codes of ERR_CODE.");
    for (code, name, _) in ERROR_CODES {
        p.value(&format!("ERR_{name}"), 8, *code as u64);
    }
    p.heading("Cycles of core reset after the masters have drained.");
    p.int("RESET_CYCLES", regs::RESET_CYCLES as usize);
    p.end()
}

/// `descriptor_pkg.sv`: place and width of every field, operation codes, version.
pub fn descriptor() -> String {
    let mut p = Package::new("descriptor_pkg", "Descriptors: operation codes, and low bit and width of every field.");
    let bits = 8 * descriptor::BYTES;
    p.int("BITS", bits);
    p.value("VERSION_VALUE", FORMAT.width, descriptor::VERSION.into());
    for (code, name, _) in OPCODES {
        p.value(&format!("OP_{name}"), OPCODE.width, *code as u64);
    }
    for f in FIELDS {
        let name = f.name.to_uppercase();
        p.int(&format!("{name}_LSB"), f.bit());
        p.int(&format!("{name}_WIDTH"), f.width);
    }
    p.heading("Bits that no field owns: they must be 0.");
    let reserved: String = RESERVED.iter().rev().map(|w| format!("{w:08x}")).collect();
    p.line(format_args!("localparam logic [{}:0] RESERVED = {bits}'h{reserved};", bits - 1));
    p.end()
}

/// `stream_pkg.sv`: what the streams between the blocks carry.
pub fn stream() -> String {
    let mut p = Package::new("stream_pkg", "What the streams between the blocks carry.");
    // Each block takes what it needs. The other packages have one user: there the lint finds a fact that the block forgot.
    p.heading("verilator lint_off UNUSEDPARAM");
    p.heading("Segments {off, beats, dest} to read, {off, beats} to write, in super-words.");
    p.int("OFFSET_BITS", OFFSET_BITS);
    p.int("READ_BEATS_BITS", READ_BEATS_BITS);
    p.int("WRITE_BEATS_BITS", WRITE_BEATS_BITS);
    p.int("DEST_BITS", DEST_BITS);
    p.heading("Destinations of weight segments, of auxiliary segments.");
    for (name, dest) in weight_dest::ALL {
        p.value(&format!("WEIGHT_{name}"), DEST_BITS, (*dest).into());
    }
    for (name, dest) in aux_dest::ALL {
        p.value(&format!("AUX_{name}"), DEST_BITS, (*dest).into());
    }
    p.heading("The constants of a layer: 32-bit words, and the word of each (a Scale, or the low word of an epsilon term).");
    p.int("CONST_WORDS", CONST_WORDS);
    for (name, index) in const_index::ALL {
        p.int(&format!("CONST_{name}"), *index);
    }
    p.int("SCALE_BITS", SCALE_BITS);
    p.int("EPS_BITS", EPS_BITS);
    p.heading("KV blocks: positions, and log2 of the most positions of all blocks; kinds of words; flags of the header, above the positions; the word of pb that is a scale.");
    p.int("KV_BLOCK", KV_BLOCK);
    p.int("CONTEXT_BITS", MAX_CONTEXT.ilog2() as usize);
    for (name, kind) in [("HEADER", attn::KIND_HEADER), ("SCALES", attn::KIND_SCALES), ("K", attn::KIND_K), ("V", attn::KIND_V)] {
        p.value(&format!("KIND_{name}"), attn::KIND_BITS, kind.into());
    }
    p.int("HEADER_FIRST_BIT", attn::HEADER_FIRST.trailing_zeros() as usize);
    p.int("HEADER_LAST_BIT", attn::HEADER_LAST.trailing_zeros() as usize);
    p.value("SCALE_WORD", kvwrite::WORD_BITS, kvwrite::SCALE_WORD.into());
    p.heading("verilator lint_on UNUSEDPARAM");
    p.end()
}
