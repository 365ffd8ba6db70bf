//! The two directions of the memory's ports, as times; without random pauses all ports do the same.

use super::times::Time;
use crate::memory::{MemConfig, channels::Pace};
use std::collections::VecDeque;

/// Transactions that are accepted and not completed, where the memory limits them.
#[derive(Clone, Debug)]
struct Limit {
    most: usize,
    /// When those under way complete.
    ends: VecDeque<Time>,
    next: Time,
}

impl Limit {
    /// The master has at most `master` transactions under way.
    fn new(config: &MemConfig, master: usize) -> Self {
        let most = config.outstanding();
        Self { most: if most < master { most } else { usize::MAX }, ends: VecDeque::new(), next: 0 }
    }

    /// When an address that is offered from `from` on is accepted; `open` transactions, fewer than the limit, have no known end.
    fn accept(&mut self, from: Time, open: usize) -> Time {
        let mut at = from.max(self.next);
        if self.most == usize::MAX {
            self.next = at + 1;
            return at;
        }
        while self.ends.len() + open >= self.most
            && let Some(end) = self.ends.pop_front()
        {
            at = at.max(end + 1);
        }
        while self.ends.front().is_some_and(|&end| end < at) {
            self.ends.pop_front();
        }
        self.next = at + 1;
        at
    }
}

impl Limit {
    /// Nothing is under way that has an effect from cycle `by` on.
    fn is_past(&self, by: Time) -> bool {
        self.next <= by && self.ends.iter().all(|&end| end < by)
    }
}

/// AR and R.
#[derive(Clone, Debug)]
pub struct Read {
    limit: Limit,
    latency: Time,
    /// A beat a cycle needs no account of the pace.
    slow: bool,
    pub pace: Pace,
    next: Time,
}

impl Read {
    pub fn new(config: &MemConfig, master: usize, pace: Pace) -> Self {
        Self { limit: Limit::new(config, master), latency: config.latency().max(1), slow: config.rate() != (1, 1), pace, next: 0 }
    }

    /// Nothing of its past has an effect from cycle `by` on.
    pub fn is_past(&self, config: &MemConfig, by: Time) -> bool {
        self.limit.is_past(by) && self.next <= by && self.pace.past(config, by)
    }

    /// A burst is offered from `from` on: when it is accepted, and when its last beat passes. `pass` gets the cycles of its beats: the first, and
    /// how many follow a cycle after each other.
    #[inline(always)]
    pub fn burst(&mut self, config: &MemConfig, from: Time, beats: usize, mut pass: impl FnMut(Time, usize)) -> (Time, Time) {
        let accepted = self.limit.accept(from, 0);
        let mut at = self.next.max(accepted + self.latency);
        if self.slow {
            for i in 0..beats {
                at = (at + (i > 0) as Time).max(self.pace.from(config));
                self.pace.pass(config, at);
                pass(at, 1);
            }
        } else {
            pass(at, beats);
            at += beats as Time - 1;
        }
        self.next = at + 1;
        if self.limit.most != usize::MAX {
            self.limit.ends.push_back(at);
        }
        (accepted, at)
    }
}

/// AW, W and B.
#[derive(Clone, Debug)]
pub struct Write {
    limit: Limit,
    latency: Time,
    pub pace: Pace,
    next_beat: Time,
    next_answer: Time,
    /// When the bursts were accepted whose beats have not all passed.
    accepted: VecDeque<Time>,
}

impl Write {
    pub fn new(config: &MemConfig, master: usize, pace: Pace) -> Self {
        Self {
            limit: Limit::new(config, master),
            latency: config.latency().max(1),
            pace,
            next_beat: 0,
            next_answer: 0,
            accepted: VecDeque::new(),
        }
    }

    /// Nothing is under way, and nothing of its past has an effect from cycle `by` on.
    pub fn is_past(&self, config: &MemConfig, by: Time) -> bool {
        let beats = self.next_beat <= by && self.next_answer <= by && self.accepted.is_empty();
        self.limit.is_past(by) && beats && self.pace.past(config, by)
    }

    /// A burst is offered from `from` on: when it is accepted, where that is known.
    pub fn accept(&mut self, from: Time) -> Option<Time> {
        let open = self.accepted.len();
        if open >= self.limit.most {
            return None;
        }
        let at = self.limit.accept(from, open);
        self.accepted.push_back(at);
        Some(at)
    }

    /// There is a burst whose beats have not all passed.
    pub fn accepts_beats(&self) -> bool {
        !self.accepted.is_empty()
    }

    /// A beat of the oldest burst that is not complete is offered from `from` on: when it passes. There is such a burst.
    pub fn beat(&mut self, config: &MemConfig, from: Time) -> Time {
        let accepted = self.accepted.front().copied().unwrap_or(from);
        let at = from.max(self.next_beat).max(accepted + 1).max(self.pace.from(config));
        self.pace.pass(config, at);
        self.next_beat = at + 1;
        at
    }

    /// That was its last one: when the response passes.
    pub fn answer(&mut self, last: Time) -> Time {
        self.accepted.pop_front();
        let at = self.next_answer.max(last + self.latency);
        self.next_answer = at + 1;
        if self.limit.most != usize::MAX {
            self.limit.ends.push_back(at);
        }
        at
    }
}
