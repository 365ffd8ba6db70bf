//! What a clocked block is: a Moore machine. Its outputs are a function of its state, so a cycle of any number of blocks is:
//! take all `out()`, wire them to inputs, `step` all. The order of blocks cannot matter.

use crate::ports::Ports;

/// Contents of registers and memories before the first reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerUp {
    Zero,
    /// Arbitrary, from this seed.
    Random(u64),
}

impl PowerUp {
    /// 64 bits for word `index` of the memory or register `name`.
    pub fn word(self, name: &str, index: u64) -> u64 {
        match self {
            Self::Zero => 0,
            Self::Random(seed) => tritforge_spec::stall::hash(seed, tritforge_spec::stall::port_id(name), index),
        }
    }
}

/// A block of hardware, cycle by cycle. The partner of the Verilog module of the same stem.
///
/// Control state is defined from the first cycle after a `step` with `rst` high; data registers and memories are never
/// reset, and no output that means something may depend on them before they were written.
pub trait Block {
    type Params: tritforge_spec::block::Contract;
    /// All inputs but the clock, field names as in the Verilog; the reset is the field `rst`.
    type In: Ports;
    /// All outputs.
    type Out: Ports;

    /// The block at power-up.
    fn new(params: &Self::Params, power_up: PowerUp) -> Self;
    /// The outputs of this cycle.
    fn out(&self) -> Self::Out;
    /// The clock edge that ends this cycle, with this cycle's inputs.
    fn step(&mut self, input: &Self::In);
}
