//! Streams between blocks.

use super::times::Time;
use tritforge_spec::block::skid::ENTRIES;

/// A stream and the skid buffer (`skid.sv`) at its end. A word moves in the first cycle in which it is offered, the word before has moved, and
/// there is room; from the next cycle on it can be taken.
#[derive(Clone, Debug)]
pub struct Link<T> {
    /// The processes at its two ends, a bit each.
    from: u32,
    to: u32,
    sent: usize,
    taken: usize,
    /// The first cycles in which the next word may move, and in which it finds room in each slot.
    next: Time,
    free: [Time; ENTRIES],
    /// The first cycle in which the next word may be taken, as far as the one before decides.
    after: Time,
    /// From when each slot's word may be taken, and the word.
    words: [(Time, T); ENTRIES],
    /// When the first word moved.
    pub first: Time,
    /// All times in which a word moved, where they are wanted.
    pub log: Option<Vec<Time>>,
}

impl<T: Copy + Default> Link<T> {
    /// An empty one between two processes.
    pub fn new(from: u32, to: u32) -> Self {
        let words = [(0, T::default()); ENTRIES];
        Self { from, to, sent: 0, taken: 0, next: 0, free: [0; ENTRIES], after: 0, words, first: 0, log: None }
    }

    /// It is known when the next word finds room.
    #[inline(always)]
    pub fn room(&self) -> bool {
        self.sent - self.taken < ENTRIES
    }

    /// The first cycle in which the next word may move, whenever it is offered. There is [`Link::room`].
    #[inline(always)]
    pub fn open(&self) -> Time {
        self.next.max(self.free[self.sent % ENTRIES])
    }

    /// Offers a word from `valid` on; when it moves. There is [`Link::room`].
    #[inline(always)]
    pub fn offer(&mut self, valid: Time, word: T, wake: &mut u32) -> Time {
        debug_assert!(self.room());
        let t = valid.max(self.open());
        if self.sent == self.taken {
            *wake |= self.to;
        }
        if self.sent == 0 {
            self.first = t;
        }
        self.words[self.sent % ENTRIES] = (t + 1, word);
        self.next = t + 1;
        self.sent += 1;
        if let Some(log) = &mut self.log {
            log.push(t);
        }
        t
    }

    /// The oldest word, and from when on it can be taken.
    #[inline(always)]
    pub fn head(&self) -> Option<(Time, T)> {
        let (at, word) = self.words[self.taken % ENTRIES];
        (self.taken < self.sent).then_some((at.max(self.after), word))
    }

    /// The oldest word is taken in `cycle`.
    #[inline(always)]
    pub fn take(&mut self, cycle: Time, wake: &mut u32) {
        debug_assert!(self.head().is_some_and(|(from, _)| from <= cycle));
        if !self.room() {
            *wake |= self.from;
        }
        self.free[self.taken % ENTRIES] = cycle + 1;
        self.after = cycle + 1;
        self.taken += 1;
    }

    /// No word is in the buffer.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.sent == self.taken
    }

    /// Words in the buffer.
    pub fn len(&self) -> usize {
        self.sent - self.taken
    }

    /// Nothing of its past has an effect from cycle `by` on, but for the words in it.
    pub fn is_past(&self, by: Time) -> bool {
        let words = (self.taken..self.sent).all(|i| self.words[i % ENTRIES].0 <= by);
        words && self.free.iter().chain([&self.next, &self.after]).all(|&t| t <= by)
    }

    /// The first cycle in which the next word may be taken, as far as the one before decides.
    pub fn after(&self) -> Time {
        self.after
    }

    /// The first cycles in which the next word may move as far as the word before decides, and in which the next two words find room. It is empty.
    #[inline(always)]
    pub fn state(&self) -> (Time, [Time; ENTRIES]) {
        (self.next, [self.free[self.sent % ENTRIES], self.free[(self.sent + 1) % ENTRIES]])
    }

    /// `n` words moved and were taken; what [`Link::state`] is then. It is empty.
    #[inline(always)]
    pub fn pass(&mut self, n: usize, (next, free): (Time, [Time; ENTRIES])) {
        self.sent += n;
        self.taken = self.sent;
        (self.free[self.sent % ENTRIES], self.free[(self.sent + 1) % ENTRIES]) = (free[0], free[1]);
        (self.next, self.after) = (next, free[1]);
    }

    /// As [`Link::pass`]; the first of the words moved in cycle `first`.
    #[inline(always)]
    pub fn pass_run(&mut self, n: usize, first: Time, state: (Time, [Time; ENTRIES])) {
        if self.sent == 0 {
            self.first = first;
        }
        self.pass(n, state);
    }

    /// A word moved in cycle `t` and was taken in cycle `taken`. It is empty.
    #[inline(always)]
    pub fn pass_one(&mut self, t: Time, taken: Time) {
        if self.sent == 0 {
            self.first = t;
        }
        self.free[self.sent % ENTRIES] = taken + 1;
        self.sent += 1;
        self.taken = self.sent;
        (self.next, self.after) = (t + 1, taken + 1);
        if let Some(log) = &mut self.log {
            log.push(t);
        }
    }

    /// Words that moved, and when the last one did.
    pub fn moved(&self) -> (usize, Time) {
        (self.sent, self.next.saturating_sub(1))
    }
}
