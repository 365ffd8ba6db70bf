//! `fifo`: a first-in first-out store. [`Fifo`] is the building block for other models, [`FifoBlock`] a block of its own.
//! Up to 64 words a word is offered one cycle after it was taken; deeper ones read block RAM into its output register first.

use crate::{
    clocked::{Block, PowerUp},
    ports,
};
use std::collections::VecDeque;
use tritforge_spec::{
    bits::Bits,
    block::fifo::{DISTRIBUTED_DEPTH, Params},
};

/// `depth` entries of `T`, cycle-exact to `fifo.sv`. All methods but [`Fifo::step`] read this cycle's state.
#[derive(Clone, Debug, PartialEq)]
pub struct Fifo<T> {
    depth: usize,
    /// Words in the memory, oldest first.
    memory: VecDeque<T>,
    /// The block RAM's output register; unused in distributed RAM.
    fetched: Option<T>,
}

impl<T> Fifo<T> {
    /// Empty; `depth` at least 2.
    pub fn new(depth: usize) -> Self {
        assert!(depth >= 2, "a fifo of {depth} words: at least 2 expected");
        Self { depth, memory: VecDeque::new(), fetched: None }
    }

    fn in_block_ram(&self) -> bool {
        self.depth > DISTRIBUTED_DEPTH
    }

    /// Words held, those in the output register included.
    pub fn count(&self) -> usize {
        self.memory.len() + self.fetched.is_some() as usize
    }

    /// It takes a word in this cycle.
    pub fn ready(&self) -> bool {
        self.count() < self.depth
    }

    /// The word it offers in this cycle.
    pub fn peek(&self) -> Option<&T> {
        match self.in_block_ram() {
            true => self.fetched.as_ref(),
            false => self.memory.front(),
        }
    }

    /// It offers a word in this cycle.
    pub fn valid(&self) -> bool {
        self.peek().is_some()
    }

    /// The clock edge. `in_valid` and `out_ready` are the wires: a word moves where ready and valid are both high.
    /// `data` is called only when a word is taken. Returns the word that left.
    pub fn step(&mut self, rst: bool, in_valid: bool, data: impl FnOnce() -> T, out_ready: bool) -> Option<T> {
        let push = in_valid && self.ready();
        let left = match (self.in_block_ram(), out_ready) {
            (true, true) => self.fetched.take(),
            (false, true) => self.memory.pop_front(),
            (_, false) => None,
        };
        // The register is refilled in the cycle in which its word leaves, from what was in memory before this edge.
        if self.in_block_ram() && self.fetched.is_none() {
            self.fetched = self.memory.pop_front();
        }
        if push {
            self.memory.push_back(data());
        }
        if rst {
            self.memory.clear();
            self.fetched = None;
        }
        left
    }
}

ports! {
    /// Inputs of `fifo`.
    pub struct In { rst: bool, in_valid: bool, in_data: Bits, out_ready: bool }
    /// Outputs of `fifo`.
    pub struct Out { in_ready: bool, out_valid: bool, out_data: Bits, count: u64 }
}

/// `fifo` as a block.
pub struct FifoBlock(Fifo<Bits>);

impl Block for FifoBlock {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, _power_up: PowerUp) -> Self {
        Self(Fifo::new(params.depth))
    }

    fn out(&self) -> Out {
        Out {
            in_ready: self.0.ready(),
            out_valid: self.0.valid(),
            out_data: self.0.peek().cloned().unwrap_or_default(),
            count: self.0.count() as u64,
        }
    }

    fn step(&mut self, i: &In) {
        self.0.step(i.rst, i.in_valid, || i.in_data.clone(), i.out_ready);
    }
}
