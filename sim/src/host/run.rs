//! Runs the host's operations on anything that has the top's ports: the cycle model, the Verilated RTL. In: a machine and a
//! [`Bench`]; out: the bench's results, or what went against the rules.

use super::Bench;
use crate::{
    clocked::Block,
    memory::Violation,
    top::{In, Out, Top},
};
use tritforge_spec::regmap::{REGISTERS, STATUS_ERROR};

/// Anything with the ports of the top.
pub trait Machine {
    /// The outputs of this cycle.
    fn out(&self) -> Out;
    /// The clock edge that ends this cycle.
    fn step(&mut self, input: &In);

    /// Two cycles of reset.
    fn reset(&mut self) {
        for _ in 0..2 {
            self.step(&In { rst: true, ..In::default() });
        }
    }
}

impl Machine for Top {
    fn out(&self) -> Out {
        Block::out(self)
    }
    fn step(&mut self, input: &In) {
        Block::step(self, input);
    }
}

/// What neither right hardware nor a right host does.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    #[error("AXI rule broken by the hardware: {0}")]
    Axi(Violation),
    #[error("cycle {cycle}: the {} register {}: expected response 0 (OKAY), found {resp}; docs/registers.md says what is refused when",
        if *write { "write of" } else { "read of" }, name(*offset))]
    Refused { cycle: u64, write: bool, offset: u16, resp: u8 },
}

fn name(offset: u16) -> String {
    let register = REGISTERS.iter().find(|r| r.offset == u32::from(offset));
    register.map_or_else(|| format!("{offset:#05x}"), |r| r.name.to_owned())
}

/// What one run of descriptors gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ran {
    /// Cycle of the doorbell's write, cycle of the interrupt.
    pub start: u64,
    pub end: u64,
    /// STATUS after the interrupt.
    pub status: u32,
    /// tokens x D; nothing where no vectors were taken.
    pub y: Vec<i32>,
}

impl Ran {
    /// The hardware reported an error.
    pub fn failed(&self) -> bool {
        STATUS_ERROR.get(self.status) != 0
    }
}

/// A cycle before its clock edge.
pub struct Cycle<'a, M> {
    pub index: u64,
    pub machine: &'a M,
    pub out: &'a Out,
    pub input: &'a In,
    pub bench: &'a Bench,
}

/// Runs what `bench` has to do to its end, from cycle `cycle` on; `see` looks at every cycle and may end the run.
///
/// # Errors
/// What `see` gave, or a rule that was broken.
pub fn run<M: Machine, E: From<Fault>>(
    machine: &mut M,
    bench: &mut Bench,
    cycle: &mut u64,
    mut see: impl FnMut(Cycle<'_, M>) -> Result<(), E>,
) -> Result<(), E> {
    // What comes after a refused access may wait for something that never happens.
    while !bench.done() && !bench.faulty() {
        let out = machine.out();
        let mut input = In::default();
        bench.drive(*cycle, &out, &mut input);
        see(Cycle { index: *cycle, machine, out: &out, input: &input, bench })?;
        machine.step(&input);
        *cycle += 1;
    }
    bench.fault().map_or(Ok(()), |fault| Err(fault.into()))
}
