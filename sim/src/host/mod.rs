//! The host beside the top: the operations that it works through ([`Op`]), what they give ([`Outcome`]), and the lists that make a
//! pass. [`Bench`] carries them out; [`run`] does so on anything that has the top's ports.

mod bench;
mod run;

pub use bench::Bench;
pub use run::{Cycle, Fault, Machine, Ran, run};

use tritforge_spec::{
    descriptor::Descriptor,
    hw::Hw,
    image::{self, Layout},
    regmap::{COUNTER_BASE, COUNTERS, IRQ_ALL, REGISTERS},
};

/// Offset of a register by its name in the map.
pub fn offset(name: &str) -> u16 {
    REGISTERS.iter().find(|r| r.name == name).map_or(0xffc, |r| r.offset as u16)
}

/// One operation of the host.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Writes a register.
    Write(&'static str, u32),
    /// Reads a register; the value goes to the results.
    Read(u16),
    /// Waits for the interrupt.
    WaitIrq,
    /// Waits until the soft reset is over and nothing runs.
    WaitIdle,
    /// Puts vectors (tokens x D) at x_in.
    LoadX(Vec<i32>),
    /// Puts descriptors at their place.
    LoadDescriptors(Vec<Descriptor>),
    /// Takes `tokens` vectors from x_out to the results.
    TakeX(usize),
    /// Fills x_out with a pattern, so that a pass which writes nothing is noticed.
    SpoilX,
    /// Notes the cycle in the results.
    Mark,
    /// Puts bytes in super-word order at a super-word.
    Load(u32, Vec<u8>),
    /// Does nothing for this many cycles.
    Wait(u64),
}

/// What an operation gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Value(u32),
    X(Vec<i32>),
    Cycle(u64),
}

impl Outcome {
    /// What a register held.
    pub fn value(&self) -> Option<u32> {
        if let Self::Value(v) = self { Some(*v) } else { None }
    }

    /// Vectors that were taken.
    pub fn x(&self) -> Option<&Vec<i32>> {
        if let Self::X(x) = self { Some(x) } else { None }
    }
}

/// Where the accelerator's memory lies: port p's bytes start at `p << PORT_SHIFT`.
pub const PORT_SHIFT: u32 = 36;

/// Operations that prepare the hardware for an image: bases, hashes, page table, interrupt.
pub fn setup(hw: &Hw, layout: &Layout) -> Vec<Op> {
    let mut ops = Vec::new();
    let wide = |ops: &mut Vec<Op>, low, high, value: u64| {
        ops.push(Op::Write(low, value as u32));
        ops.push(Op::Write(high, (value >> 32) as u32));
    };
    for port in 0..hw.ports() {
        ops.push(Op::Write("PORT_SEL", port as u32));
        wide(&mut ops, "PORT_BASE_LO", "PORT_BASE_HI", (port as u64) << PORT_SHIFT);
    }
    wide(&mut ops, "IMG_HW_HASH_LO", "IMG_HW_HASH_HI", image::hw_hash(hw));
    wide(&mut ops, "IMG_NUM_HASH_LO", "IMG_NUM_HASH_HI", image::numerics_hash(hw));
    for (index, entry) in layout.page_table(hw.config.slots).into_iter().enumerate() {
        ops.push(Op::Write("PT_INDEX", index as u32));
        ops.push(Op::Write("PT_ENTRY", entry));
    }
    ops.push(Op::Write("IRQ_MASK", IRQ_ALL));
    ops
}

/// Cycles of [`run_pass`] around the work, as the register file answers: operations before the first mark, from the mark at the
/// doorbell's write to the doorbell's arrival at the control, from the control's last busy cycle to the second mark, and operations
/// after it.
pub const PASS_BEFORE_MARK: u64 = 3;
/// See [`PASS_BEFORE_MARK`].
pub const DOORBELL_TO_GO: u64 = 2;
/// See [`PASS_BEFORE_MARK`].
pub const IDLE_TO_MARK: u64 = 2;
/// See [`PASS_BEFORE_MARK`].
pub const PASS_AFTER_MARK: u64 = 6;

/// Operations of one run of descriptors over vectors `x` (tokens x D), `tokens` results.
pub fn run_pass(layout: &Layout, descriptors: Vec<Descriptor>, x: Vec<i32>, tokens: usize) -> Vec<Op> {
    let list = run_list(layout.descriptors, descriptors.len() as u32);
    [Op::SpoilX, Op::LoadX(x), Op::LoadDescriptors(descriptors)].into_iter().chain(list).chain([Op::TakeX(tokens)]).collect()
}

/// Operations of one run of `count` descriptors that lie in memory from super-word `first` on.
pub fn run_list(first: u32, count: u32) -> [Op; 7] {
    [
        Op::Write("DESC_PTR", first),
        Op::Mark,
        Op::Write("DOORBELL", count),
        Op::WaitIrq,
        Op::Mark,
        Op::Write("IRQ_STATUS", IRQ_ALL),
        Op::Read(offset("STATUS")),
    ]
}

/// Snapshot and reads of all counters, low words first word of each pair.
pub fn read_counters() -> Vec<Op> {
    let mut ops = vec![Op::Write("SNAPSHOT", 1)];
    for i in 0..COUNTERS.len() as u16 {
        let at = COUNTER_BASE as u16 + 8 * i;
        ops.extend([Op::Read(at), Op::Read(at + 4)]);
    }
    ops
}
