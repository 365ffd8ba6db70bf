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

/// A number that the machine only compares and moves by steps. It keeps by how much it could have been less or more since
/// [`Counter::watch`] with every comparison coming out the same: what followed holds for all those values, moved by as much.
#[derive(Clone, Copy, Debug)]
pub struct Counter {
    value: u32,
    less: u32,
    more: u32,
    /// It became a number whatever it was before; comparisons tell nothing of that any more.
    fixed: bool,
}

impl Default for Counter {
    fn default() -> Self {
        Self::new(0)
    }
}

impl PartialEq for Counter {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Counter {}

impl std::hash::Hash for Counter {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

impl Counter {
    pub fn new(value: u32) -> Self {
        Self { value, less: u32::MAX, more: u32::MAX, fixed: false }
    }
    /// The number, for those who keep it beside the room that [`Counter::room`] tells of.
    #[inline(always)]
    pub fn raw(&self) -> u32 {
        self.value
    }
    /// Forgets all comparisons.
    #[inline(always)]
    pub fn watch(&mut self) {
        (self.less, self.more, self.fixed) = (u32::MAX, u32::MAX, false);
    }
    /// By how much it could have been less, and more, when the comparisons were made.
    #[inline(always)]
    pub fn room(&self) -> (u32, u32) {
        (self.less, self.more)
    }
    /// It is `n` or more.
    #[inline(always)]
    pub fn at_least(&mut self, n: u32) -> bool {
        let yes = self.value >= n;
        if self.fixed {
            return yes;
        }
        if yes {
            self.less = self.less.min(self.value - n);
        } else {
            self.more = self.more.min(n - 1 - self.value);
        }
        yes
    }
    /// It is `n`.
    #[inline(always)]
    pub fn is(&mut self, n: u32) -> bool {
        self.at_least(n) && !self.at_least(n + 1)
    }
    /// The number itself, so no other would do.
    #[inline(always)]
    pub fn exact(&mut self) -> u32 {
        if !self.fixed {
            (self.less, self.more) = (0, 0);
        }
        self.value
    }
    /// Becomes `n` whatever it was, so from here on it does not move with what it was. Within a cycle `n` must come from hashed state or
    /// [`Counter::exact`], never from another counter's [`Counter::raw`]: that is for answers.
    #[inline(always)]
    pub fn set(&mut self, n: u32) {
        (self.value, self.fixed) = (n, true);
    }
    /// It was set since [`Counter::watch`].
    #[inline(always)]
    pub fn is_fixed(&self) -> bool {
        self.fixed
    }
    /// Moves it.
    #[inline(always)]
    pub fn step(&mut self, up: u32, down: u32) {
        self.value = self.value + up - down;
    }
    /// Puts in a number that was taken out.
    #[inline(always)]
    pub fn put(&mut self, value: u32) {
        self.value = value;
    }
}

/// [`Fifo`] whose level is a [`Counter`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeepFifo {
    pub memory: Counter,
    fetched: bool,
}

impl DeepFifo {
    /// It offers a word in this cycle.
    #[inline(always)]
    pub fn valid(&mut self, depth: usize) -> bool {
        if depth > DISTRIBUTED_DEPTH { self.fetched } else { self.memory.at_least(1) }
    }
    /// Nothing changes as long as no word moves in or out.
    #[inline(always)]
    pub fn settled(&mut self, depth: usize) -> bool {
        depth <= DISTRIBUTED_DEPTH || self.fetched || !self.memory.at_least(1)
    }
    /// The clock edge; whether a word left.
    #[inline(always)]
    pub fn step(&mut self, depth: usize, in_valid: bool, out_ready: bool) -> bool {
        let push = in_valid && !self.memory.at_least(depth as u32 - self.fetched as u32);
        let left = out_ready && self.valid(depth);
        let mut down = left;
        if depth > DISTRIBUTED_DEPTH {
            self.fetched &= !left;
            down = !self.fetched && self.memory.at_least(1);
            self.fetched |= down;
        }
        self.memory.step(push as u32, down as u32);
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
