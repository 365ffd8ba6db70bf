//! What times are kept in: queues, histories, pipelines.

use tritforge_spec::block::fifo::DISTRIBUTED_DEPTH;

/// A cycle, in the count of the pass (see `Flow::begin`).
pub type Time = u64;

/// Cycles from the push of a word into an empty `fifo.sv` to its valid.
pub fn fifo_latency(depth: usize) -> Time {
    if depth > DISTRIBUTED_DEPTH { 2 } else { 1 }
}

/// A short queue. Its capacity is what the hardware holds at most; it is a power of two.
#[derive(Clone, Debug)]
pub struct Ring<T, const N: usize> {
    slots: [T; N],
    first: usize,
    end: usize,
}

impl<T: Copy + Default, const N: usize> Ring<T, N> {
    pub fn new() -> Self {
        const { assert!(N.is_power_of_two()) };
        Self { slots: [T::default(); N], first: 0, end: 0 }
    }

    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.first == self.end
    }

    #[inline(always)]
    pub fn front(&self) -> Option<T> {
        (self.first != self.end).then_some(self.slots[self.first % N])
    }

    #[inline(always)]
    pub fn push(&mut self, word: T) {
        debug_assert!(self.end - self.first < N);
        self.slots[self.end % N] = word;
        self.end += 1;
    }

    #[inline(always)]
    pub fn pop(&mut self) -> Option<T> {
        let front = self.front();
        self.first += front.is_some() as usize;
        front
    }

    pub fn clear(&mut self) {
        self.first = self.end;
    }

    pub fn iter(&self) -> impl Iterator<Item = T> {
        (self.first..self.end).map(|i| self.slots[i % N])
    }
}

/// The times of words by their index, as runs of words a cycle after each other. Times are read in the order of the words.
#[derive(Clone, Debug)]
pub struct Runs {
    /// Index and time of each run's first word; those before `first` are over.
    runs: Vec<(usize, Time)>,
    first: usize,
    pub count: usize,
    /// The time that would continue the last run.
    next: Time,
}

/// Runs that are over and still kept.
const OVER: usize = 1 << 10;

impl Default for Runs {
    fn default() -> Self {
        Self { runs: Vec::with_capacity(MANY), first: 0, count: 0, next: 0 }
    }
}

/// Runs for which there is room from the begin.
const MANY: usize = 1 << 8;

impl Runs {
    #[inline(always)]
    pub fn push(&mut self, t: Time) {
        self.push_run(t, 1);
    }

    /// `n` words, the first in cycle `t`.
    #[inline(always)]
    pub fn push_run(&mut self, t: Time, n: usize) {
        if n == 0 {
            return;
        }
        if t != self.next || self.runs.is_empty() {
            if self.first >= OVER {
                self.runs.drain(..self.first);
                self.first = 0;
            }
            self.runs.push((self.count, t));
        }
        self.count += n;
        self.next = t + n as Time;
    }

    /// All words were before cycle `by`.
    pub fn is_past(&self, by: Time) -> bool {
        self.next <= by
    }

    /// Of word `index`, at or after the one that was asked for before, and how many words from it on follow a cycle after each other.
    #[inline(always)]
    pub fn get(&mut self, index: usize) -> (Time, usize) {
        let mut end = self.count;
        while let Some(&(second, _)) = self.runs.get(self.first + 1) {
            if second > index {
                end = second;
                break;
            }
            self.first += 1;
        }
        let (first, t) = self.runs.get(self.first).copied().unwrap_or_default();
        (t + (index - first) as Time, end - index)
    }
}

/// The times of the last `N` words of a stream, by their index.
#[derive(Clone, Debug)]
pub struct History {
    times: Vec<Time>,
    pub count: usize,
}

impl History {
    /// All words were before cycle `by`.
    pub fn is_past(&self, by: Time) -> bool {
        self.count == 0 || self.get(self.count - 1) < by
    }

    /// At least the last `n` words are kept.
    pub fn new(n: usize) -> Self {
        Self { times: vec![0; n.next_power_of_two()], count: 0 }
    }

    #[inline(always)]
    pub fn push(&mut self, t: Time) {
        let at = self.count & (self.times.len() - 1);
        self.times[at] = t;
        self.count += 1;
    }

    /// Of word `index`, one of the last.
    #[inline(always)]
    pub fn get(&self, index: usize) -> Time {
        self.times[index & (self.times.len() - 1)]
    }

    /// The cycle after that of the word `back` words before the next: from when on a credit is there of which there are `back`.
    #[inline(always)]
    pub fn credit(&self, index: usize, back: usize) -> Option<Time> {
        match index.checked_sub(back) {
            None => Some(0),
            Some(i) if i < self.count => Some(self.get(i) + 1),
            Some(_) => None,
        }
    }
}

/// A pipeline all of whose registers wait while the last one holds a word that does not move.
#[derive(Clone, Debug)]
pub struct Pipeline<T> {
    latency: Time,
    /// Words on their way, each with the cycle in which it would be offered if nothing had ever waited.
    words: Ring<(Time, T), LONGEST>,
    /// Cycles that words waited at the end, and those of them before the next word that enters.
    waited: Time,
    passed: Time,
    /// Waits that the next word that enters has not passed: first cycle, cycles.
    waits: Ring<(Time, Time), LONGEST>,
    floor: Time,
}

/// More registers than any pipeline has.
const LONGEST: usize = 16;

impl<T: Copy + Default> Pipeline<T> {
    pub fn new(latency: usize) -> Self {
        debug_assert!(latency < LONGEST);
        Self { latency: latency as Time, words: Ring::new(), waited: 0, passed: 0, waits: Ring::new(), floor: 0 }
    }

    /// The word that leaves next, and from when on it is offered.
    #[inline(always)]
    pub fn head(&self) -> Option<(Time, T)> {
        self.words.front().map(|(t, word)| (t + self.waited, word))
    }

    /// It moves in `cycle`.
    #[inline(always)]
    pub fn leave(&mut self, cycle: Time) {
        if let Some((t, _)) = self.words.pop() {
            let offered = t + self.waited;
            if cycle > offered {
                self.waits.push((offered, cycle - offered));
                self.waited += cycle - offered;
            }
        }
    }

    /// The first cycle from `from` on in which a word may enter, where that is known.
    #[inline(always)]
    pub fn open(&mut self, from: Time) -> Option<Time> {
        let mut from = from.max(self.floor);
        while let Some((first, cycles)) = self.waits.front() {
            if first > from {
                break;
            }
            self.floor = first + cycles;
            from = from.max(self.floor);
            self.passed += cycles;
            self.waits.pop();
        }
        match self.words.front() {
            Some((t, _)) if t + self.waited <= from => None,
            _ => Some(from),
        }
    }

    /// No word is on its way.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// By how much each word on its way is behind the first, if nothing else has an effect from cycle `by` on.
    pub fn behind(&self, by: Time) -> Option<Vec<Time>> {
        let first = self.words.front().map_or(0, |w| w.0);
        let waits = self.waits.iter().all(|w| w.0 + w.1 <= by) && self.floor <= by && first + self.waited <= by;
        waits.then(|| self.words.iter().map(|w| w.0 - first).collect())
    }

    /// No word is on its way, and none that left waited in a cycle that the next one has not passed.
    #[inline(always)]
    pub fn is_still(&self) -> bool {
        self.words.is_empty() && self.waits.is_empty()
    }

    /// The first cycle in which a word may enter, as far as is known.
    pub fn floor(&self) -> Time {
        self.floor
    }

    /// Words passed, the last of which was offered and left in these cycles. It is empty.
    pub fn pass(&mut self, offered: Time, left: Time) {
        // The cycle before that of the last word's offer did not wait; waits before it are over.
        self.floor = self.floor.max(offered.saturating_sub(1));
        self.waits.clear();
        self.waited = self.passed + (left - offered);
        if left > offered {
            self.waits.push((offered, left - offered));
        }
    }

    /// A word enters in a cycle that [`Pipeline::open`] gave.
    #[inline(always)]
    pub fn enter(&mut self, cycle: Time, word: T) {
        self.words.push((cycle - self.passed + self.latency, word));
    }
}
