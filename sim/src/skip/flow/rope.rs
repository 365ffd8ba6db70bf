//! `rope`: sums become pairs, rotated.

use super::{
    headq::{HeadQ, Takers},
    net::Net,
    times::{Pipeline, Time},
};
use crate::skip::block::rope;
use tritforge_spec::block::rope as contract;

/// State.
#[derive(Clone)]
pub struct Rope {
    p: rope::Params,
    /// Of the pass: tokens, sums left.
    n: u8,
    left: u32,
    next: Time,
    token: u8,
    second: bool,
    pairs: Pipeline<()>,
}

impl Rope {
    pub fn new(p: rope::Params) -> Self {
        Self { p, n: 0, left: 0, next: 0, token: 0, second: false, pairs: Pipeline::new(contract::STAGES) }
    }

    #[inline(never)]
    pub fn advance(&mut self, after: &mut HeadQ, to: &mut Takers, net: &mut Net) {
        loop {
            let mut moved = false;
            if !net.pair.room() {
                after.advance(to, net);
            }
            while net.pair.room()
                && let Some((from, ())) = self.pairs.head()
            {
                self.pairs.leave(net.pair.offer(from, (), &mut net.wake));
                moved = true;
            }
            if self.left == 0
                && let Some((from, cmd)) = net.rope_cmd.head()
            {
                // A pass begins in the cycle in which the one before takes its last sum, or later.
                let at = from.max(self.next.saturating_sub(1));
                net.rope_cmd.take(at, &mut net.wake);
                (self.next, moved) = (at + 1, true);
                (self.n, self.left) = (cmd.n, u32::from(cmd.n) * 2 * u32::from(self.p.pairs) * u32::from(self.p.heads));
            }
            moved |= self.take(net);
            if !moved {
                return;
            }
        }
    }

    fn take(&mut self, net: &mut Net) -> bool {
        let mut moved = false;
        while self.left > 0
            && let Some((word, ())) = net.sum0.head()
            && let Some(at) = self.pairs.open(word.max(self.next))
        {
            net.sum0.take(at, &mut net.wake);
            self.took(at);
            moved = true;
        }
        moved
    }

    /// A sum was taken in cycle `at`.
    #[inline(always)]
    fn took(&mut self, at: Time) {
        if self.second {
            self.pairs.enter(at, ());
        }
        self.token += 1;
        if self.token == self.n {
            (self.token, self.second) = (0, !self.second);
        }
        self.next = at + 1;
        self.left -= 1;
    }

    /// A sum is offered from `valid` on and goes as far as it can at once; when it moved. `None`: it has to wait in the stream.
    #[inline(always)]
    pub fn sum(&mut self, valid: Time, after: &mut HeadQ, net: &mut Net) -> Option<Time> {
        if self.left == 0 || !net.sum0.is_empty() {
            return None;
        }
        let t = valid.max(net.sum0.open());
        let at = self.pairs.open((t + 1).max(self.next))?;
        net.sum0.pass_one(t, at);
        self.took(at);
        if let Some((from, ())) = self.pairs.head() {
            if let Some(t) = after.pair(from, net) {
                self.pairs.leave(t);
            } else if net.pair.room() {
                self.pairs.leave(net.pair.offer(from, (), &mut net.wake));
            }
        }
        Some(t)
    }

    /// Up to `count` sums that are offered from `first` on, one every `period` cycles: how many go all the way into `headq` without any wait.
    pub fn sums(&mut self, first: Time, period: Time, count: usize, after: &mut HeadQ, net: &mut Net) -> usize {
        // The first sum, the first pair: what comes after them waits for nothing else.
        let taken = first + 1;
        let pair = taken + period + contract::STAGES as Time;
        let pairs = (count.min(self.left as usize) / 2).min(after.takes(pair, net));
        let still = net.sum0.is_empty() && !self.second && self.pairs.is_still() && self.n == 1;
        let waits = net.sum0.open() > first || taken < self.next.max(net.sum0.after()).max(self.pairs.floor());
        if !still || waits || pairs == 0 {
            return 0;
        }
        let sums = 2 * pairs;
        let last = taken + (sums as Time - 1) * period;
        net.sum0.pass_run(sums, first, (last, [last + 1 - period, last + 1]));
        (self.left, self.next) = (self.left - sums as u32, last + 1);
        after.pairs(pair, 2 * period, pairs, net);
        sums
    }
}
