//! Where each port lies in the port arrays, which ports make a stream, and what passed on it.

use super::design::Design;
use anyhow::{Context, Result, ensure};
use tritforge_sim::ports::Ports;
use tritforge_spec::block::{Dir, Port, Role};

/// A port's place: its field of the Rust struct and its words of the port array.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub port: Port,
    pub field: usize,
    pub at: usize,
    pub words: usize,
}

impl Slot {
    pub fn of<'a>(&self, words: &'a [u64]) -> &'a [u64] {
        &words[self.at..self.at + self.words]
    }
}

/// The slots of `dir` for the fields of `P`, whose names must be exactly the contract's port names.
pub(super) fn slots<P: Ports>(design: &Design, dir: Dir) -> Result<Vec<Slot>> {
    let mut slots = Vec::new();
    let mut at = 0;
    for port in design.ports_of(dir) {
        let field = P::NAMES
            .iter()
            .position(|n| *n == port.name)
            .with_context(|| format!("{}: port {} has no field in {}", design.top, port.name, std::any::type_name::<P>()))?;
        let words = port.width.div_ceil(64);
        slots.push(Slot { port: port.clone(), field, at, words });
        at += words;
    }
    for name in P::NAMES {
        ensure!(
            slots.iter().any(|s| s.port.name == *name),
            "{}: field {name} of {} is no port of the contract",
            design.top,
            std::any::type_name::<P>()
        );
    }
    Ok(slots)
}

/// Length of the port array of these slots.
pub(super) fn array_len(slots: &[Slot]) -> usize {
    slots.last().map_or(0, |s| s.at + s.words)
}

/// A stream: indices of its slots. Valid and payload lie on the side of `dir`, ready on the other.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub name: &'static str,
    pub dir: Dir,
    pub valid: usize,
    pub ready: usize,
    pub payload: Vec<usize>,
}

/// All streams of a design, in contract order.
pub(super) fn streams(top: &str, inputs: &[Slot], outputs: &[Slot]) -> Result<Vec<Stream>> {
    let mut all = Vec::new();
    for (dir, same, other) in [(Dir::In, inputs, outputs), (Dir::Out, outputs, inputs)] {
        for (valid, slot) in same.iter().enumerate() {
            let Role::Valid(name) = slot.port.role else {
                continue;
            };
            let ready = other
                .iter()
                .position(|s| s.port.role == Role::Ready(name))
                .with_context(|| format!("{top}: stream {name} has no ready"))?;
            let payload = (0..same.len()).filter(|&i| same[i].port.role == Role::Payload(name)).collect();
            all.push(Stream { name, dir, valid, ready, payload });
        }
    }
    Ok(all)
}

/// One word that left on an output stream: all outputs of the cycle in which it was taken.
#[derive(Clone, Debug)]
pub struct Beat<O> {
    /// Cycle 0 is the first one after reset.
    pub cycle: u64,
    pub out: O,
}

/// What a run gave, since its last reset. Model and RTL agreed on all of it.
pub struct Run<O> {
    pub(super) outputs: Vec<(&'static str, Vec<Beat<O>>)>,
    pub(super) inputs: Vec<(&'static str, Vec<u64>)>,
    /// Cycles since the last reset.
    pub cycles: u64,
}

impl<O> Run<O> {
    /// The words that left on `stream`. Panics for a name that is no output stream.
    pub fn beats(&self, stream: &str) -> &[Beat<O>] {
        let found = self.outputs.iter().find(|(n, _)| *n == stream);
        &found.unwrap_or_else(|| panic!("{stream} is no output stream")).1
    }

    /// One value of every word that left on `stream`.
    pub fn values<T>(&self, stream: &str, value: impl Fn(&O) -> T) -> Vec<T> {
        self.beats(stream).iter().map(|b| value(&b.out)).collect()
    }

    /// The cycles in which words left on `stream`.
    pub fn cycles_out(&self, stream: &str) -> Vec<u64> {
        self.beats(stream).iter().map(|b| b.cycle).collect()
    }

    /// The cycles in which words were taken on `stream`. Panics for a name that is no input stream.
    pub fn cycles_in(&self, stream: &str) -> &[u64] {
        let found = self.inputs.iter().find(|(n, _)| *n == stream);
        &found.unwrap_or_else(|| panic!("{stream} is no input stream")).1
    }
}
