//! `skid`: a two-entry FIFO of registers. [`Skid`] is the building block for the stream inputs of other models,
//! [`SkidBlock`] the same as a block of its own.

use crate::{
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{
    bits::Bits,
    block::skid::{ENTRIES, Params},
};

/// Two entries of `T`, cycle-exact to `skid.sv`. All methods but [`Skid::step`] read this cycle's state.
#[derive(Clone, Debug, PartialEq)]
pub struct Skid<T> {
    /// Entry 0 is the head.
    slots: [T; ENTRIES],
    count: usize,
}

impl<T: Clone + Default> Default for Skid<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Clone + Default> Skid<T> {
    /// Empty.
    pub fn new() -> Self {
        Self::holding([T::default(), T::default()])
    }

    /// Empty, with these words in its registers.
    pub fn holding(slots: [T; ENTRIES]) -> Self {
        Self { slots, count: 0 }
    }

    /// It takes a word in this cycle.
    pub fn ready(&self) -> bool {
        self.count < ENTRIES
    }

    /// It offers [`Skid::head`] in this cycle.
    pub fn valid(&self) -> bool {
        self.count > 0
    }

    /// Words held.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The oldest word; means something only while valid.
    pub fn head(&self) -> &T {
        &self.slots[0]
    }

    /// The oldest word, if there is one.
    pub fn peek(&self) -> Option<&T> {
        self.valid().then_some(&self.slots[0])
    }

    /// The clock edge. `in_valid` and `out_ready` are the wires: a word moves where ready and valid are both high.
    /// `data` is called only when a word is taken.
    pub fn step(&mut self, rst: bool, in_valid: bool, data: impl FnOnce() -> T, out_ready: bool) {
        let push = in_valid && self.ready();
        let pop = out_ready && self.valid();
        if pop {
            self.slots.swap(0, 1);
        }
        if push {
            self.slots[self.count - pop as usize] = data();
        }
        self.count = match rst {
            true => 0,
            false => self.count + push as usize - pop as usize,
        };
    }
}

ports! {
    /// Inputs of `skid`.
    pub struct In { rst: bool, in_valid: bool, in_data: Bits, out_ready: bool }
    /// Outputs of `skid`.
    pub struct Out { in_ready: bool, out_valid: bool, out_data: Bits }
}

/// `skid` as a block.
pub struct SkidBlock(Skid<Bits>);

impl Block for SkidBlock {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, power_up: PowerUp) -> Self {
        let word = |i| Bits::from_u64(params.width, power_up.word("slots", i));
        Self(Skid::holding([word(0), word(1)]))
    }

    fn out(&self) -> Out {
        Out { in_ready: self.0.ready(), out_valid: self.0.valid(), out_data: self.0.head().clone() }
    }

    fn step(&mut self, i: &In) {
        self.0.step(i.rst, i.in_valid, || i.in_data.clone(), i.out_ready);
    }
}
