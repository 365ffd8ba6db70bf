//! Building blocks of timing blocks: stores that keep how many words they hold, and of the words only what timing depends on.

use tritforge_spec::block::{fifo::DISTRIBUTED_DEPTH, skid::ENTRIES};

/// Super-words of a segment, and its offset modulo the burst length: what decides where its bursts end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Segment {
    pub off: u16,
    pub beats: u32,
}

impl Segment {
    /// One that nobody has asked for yet.
    pub const LATER: Self = Self { off: 0, beats: u32::MAX };

    /// Nobody has asked for it yet.
    pub fn later(&self) -> bool {
        *self == Self::LATER
    }
}

/// The timing of `skid.sv`. Empty slots hold the default, so that equal contents are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Skid<T> {
    slots: [T; ENTRIES],
    count: u8,
}

impl<T: Copy + Default> Skid<T> {
    /// It takes a word in this cycle.
    #[inline(always)]
    pub fn ready(&self) -> bool {
        (self.count as usize) < ENTRIES
    }
    /// It offers a word in this cycle.
    #[inline(always)]
    pub fn valid(&self) -> bool {
        self.count > 0
    }
    /// The oldest word.
    #[inline(always)]
    pub fn peek(&self) -> Option<T> {
        self.valid().then_some(self.slots[0])
    }
    /// The oldest word, or the default.
    #[inline(always)]
    pub fn head(&self) -> T {
        self.slots[0]
    }
    /// The words held, oldest first.
    pub fn words(&mut self) -> &mut [T] {
        &mut self.slots[..self.count as usize]
    }
    /// The clock edge: `push` moved in, `pop` takes the head if there is one.
    #[inline(always)]
    pub fn step(&mut self, push: Option<T>, pop: bool) {
        if pop && self.count > 0 {
            self.slots.swap(0, 1);
            self.slots[1] = T::default();
            self.count -= 1;
        }
        if let Some(word) = push {
            self.slots[self.count as usize % ENTRIES] = word;
            self.count += 1;
        }
    }
}

/// [`Skid`] of words that say nothing.
pub type Count = Skid<()>;

/// `Some(())` where a word moved.
pub fn word(moved: bool) -> Option<()> {
    moved.then_some(())
}

/// The timing of `fifo.sv` whose words say nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fifo {
    memory: u32,
    fetched: bool,
}

impl Fifo {
    /// Words held.
    #[inline(always)]
    pub fn count(&self) -> usize {
        self.memory as usize + self.fetched as usize
    }
    /// It takes a word in this cycle.
    #[inline(always)]
    pub fn ready(&self, depth: usize) -> bool {
        self.count() < depth
    }
    /// It offers a word in this cycle.
    #[inline(always)]
    pub fn valid(&self, depth: usize) -> bool {
        if depth > DISTRIBUTED_DEPTH { self.fetched } else { self.memory > 0 }
    }
    /// Nothing changes as long as no word moves in or out.
    #[inline(always)]
    pub fn settled(&self, depth: usize) -> bool {
        depth <= DISTRIBUTED_DEPTH || self.fetched || self.memory == 0
    }
    /// The clock edge; whether a word left.
    #[inline(always)]
    pub fn step(&mut self, depth: usize, in_valid: bool, out_ready: bool) -> bool {
        let push = in_valid && self.ready(depth);
        let left = out_ready && self.valid(depth);
        if depth > DISTRIBUTED_DEPTH {
            self.fetched &= !left;
            if !self.fetched && self.memory > 0 {
                (self.fetched, self.memory) = (true, self.memory - 1);
            }
        } else {
            self.memory -= left as u32;
        }
        self.memory += push as u32;
        left
    }
}

/// A pipeline of up to 64 registers that never waits: bit i is the register i + 1 of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pipe(u64);

impl Pipe {
    /// The clock edge of `latency` registers; whether a word left.
    #[inline(always)]
    pub fn step(&mut self, latency: u64, input: bool) -> bool {
        let left = self.0 >> (latency - 1) & 1 != 0;
        self.0 = (self.0 << 1 | input as u64) & (u64::MAX >> (64 - latency));
        left
    }
    /// Puts a word into the first register, which is empty.
    #[inline(always)]
    pub fn set(&mut self, input: bool) {
        self.0 |= input as u64;
    }
    /// No register holds a word.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }
}
