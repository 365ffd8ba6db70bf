//! Heads of q, k and v: `rope` pairs and rotates sums, `headq` makes codes and scales of them.

use super::{
    attend::Attn,
    link::{Pipeline, Time},
    net::{Net, process},
};
use crate::skip::block::{headq, rope};
use tritforge_spec::block::{headq::STAGES, rope as contract};

/// `rope`.
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
    pub fn advance(&mut self, after: &mut HeadQ, attn: &mut Attn, net: &mut Net) {
        loop {
            let mut moved = false;
            if !net.pair.room() {
                after.advance(attn, net);
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
        let (Some(n), Some(free)) = (after.n, after.free[after.fill]) else { return 0 };
        let still = net.sum0.is_empty() && net.pair.is_empty() && !self.second && self.pairs.is_still();
        let pairs = (count.min(self.left as usize) / 2).min((after.p.pairs - after.input.1) as usize);
        if !still || self.n != 1 || pairs == 0 || after.input.2 == after.p.heads {
            return 0;
        }
        // The first sum, the first pair: what comes after them waits for nothing else.
        let taken = first + 1;
        let pair = taken + period + contract::STAGES as Time;
        let into = pair + 1;
        let sum_waits = net.sum0.open() > first || taken < self.next.max(net.sum0.after()).max(self.pairs.floor());
        if sum_waits || net.pair.open() > pair || into < after.input_next.max(free).max(net.pair.after()) {
            return 0;
        }
        let (sums, steps) = (2 * pairs, 2 * (pairs as Time - 1) * period);
        let last = taken + steps + period;
        net.sum0.pass_run(sums, first, (last, [last + 1 - period, last + 1]));
        (self.left, self.next) = (self.left - sums as u32, last + 1);
        if pairs == 1 {
            net.pair.pass_one(pair, into);
        } else {
            net.pair.pass_run(pairs, pair, (pair + steps + 1, [into + steps + 1 - 2 * period, into + steps + 1]));
        }
        after.input.1 += pairs as u16 - 1;
        if after.took(into + steps, n) {
            net.wake |= process::HEADQ;
        }
        sums
    }
}

/// A beat of `headq`.
#[derive(Clone, Copy, Debug, Default)]
struct Beat {
    q: bool,
    first: bool,
    last: bool,
}

/// `headq`.
pub struct HeadQ {
    p: headq::Params,
    /// Tokens of the pass.
    n: Option<u8>,
    scales: u8,
    scale_next: Time,
    /// Of the head that comes in: token, pair; heads left.
    input: (u8, u16, u16),
    input_next: Time,
    fill: usize,
    /// From when on each buffer is free, and full: one of the two is known.
    free: [Option<Time>; 2],
    full: [Option<Time>; 2],
    /// Of the head that goes out: token, beat, head.
    output: (u8, u16, u16),
    output_next: Time,
    drain: usize,
    beats: Pipeline<Beat>,
}

/// Cycles from the last pair of a head to its buffer being full.
const ARRIVAL: Time = 3;

impl HeadQ {
    pub fn new(p: headq::Params) -> Self {
        Self {
            p,
            n: None,
            scales: 0,
            scale_next: 0,
            input: (0, 0, 0),
            input_next: 0,
            fill: 0,
            free: [Some(0); 2],
            full: [None; 2],
            output: (0, 0, 0),
            output_next: 0,
            drain: 0,
            beats: Pipeline::new(STAGES),
        }
    }

    #[inline(never)]
    pub fn advance(&mut self, attn: &mut Attn, net: &mut Net) {
        loop {
            let mut moved = self.leave(attn, net);
            if self.n.is_none()
                && let Some((from, cmd)) = net.headq_cmd.head()
            {
                net.headq_cmd.take(from, &mut net.wake);
                self.n = Some(cmd.n);
                (self.scale_next, self.input_next, self.output_next) = (from + 1, from + 1, from + 1);
                (self.scales, self.input, self.output) = (0, (0, 0, 0), (0, 0, 0));
                moved = true;
            }
            if let Some(n) = self.n {
                moved |= self.take(net, n);
                moved |= self.start(n);
            }
            if !moved {
                return;
            }
        }
    }

    fn leave(&mut self, attn: &mut Attn, net: &mut Net) -> bool {
        let mut moved = false;
        while let Some((from, beat)) = self.beats.head() {
            let t = if beat.q {
                // Most often the engine takes it at once.
                match attn.query(from, beat.last, net) {
                    Some(t) => t,
                    None if net.q.room() => net.q.offer(from, beat.last, &mut net.wake),
                    None => break,
                }
            } else {
                if !net.head_kv.room() {
                    break;
                }
                net.head_kv.offer(from, (beat.first, beat.last), &mut net.wake)
            };
            self.beats.leave(t);
            moved = true;
        }
        moved
    }

    /// Scales of tokens, pairs of heads.
    fn take(&mut self, net: &mut Net, n: u8) -> bool {
        let mut moved = false;
        while self.scales != n
            && let Some((word, ())) = net.s0.head()
        {
            let at = word.max(self.scale_next);
            net.s0.take(at, &mut net.wake);
            (self.scale_next, self.scales, moved) = (at + 1, self.scales + 1, true);
        }
        while self.input.2 != self.p.heads
            && let Some(free) = self.free[self.fill]
            && let Some((word, ())) = net.pair.head()
        {
            let at = word.max(self.input_next).max(free);
            net.pair.take(at, &mut net.wake);
            self.took(at, n);
            moved = true;
        }
        moved
    }

    /// A pair was taken in cycle `at`; whether it was its head's last.
    #[inline(always)]
    fn took(&mut self, at: Time, n: u8) -> bool {
        self.input_next = at + 1;
        let i = &mut self.input;
        i.0 += 1;
        if i.0 == n {
            (i.0, i.1) = (0, i.1 + 1);
        }
        let last = i.1 == self.p.pairs;
        if last {
            (i.1, i.2) = (0, i.2 + 1);
            (self.full[self.fill], self.free[self.fill]) = (Some(at + ARRIVAL), None);
            self.fill ^= 1;
        }
        last
    }

    /// A pair is offered from `valid` on and is taken at once; when it moved. `None`: it has to wait in the stream.
    #[inline(always)]
    fn pair(&mut self, valid: Time, net: &mut Net) -> Option<Time> {
        let (n, free) = (self.n?, self.free[self.fill]?);
        if !net.pair.is_empty() || self.input.2 == self.p.heads {
            return None;
        }
        let t = valid.max(net.pair.open());
        let at = (t + 1).max(self.input_next).max(free);
        net.pair.pass_one(t, at);
        if self.took(at, n) {
            net.wake |= process::HEADQ;
        }
        Some(t)
    }

    /// Beats of the head in the full buffer.
    fn start(&mut self, n: u8) -> bool {
        let mut moved = false;
        while self.output.2 != self.p.heads
            && self.scales == n
            && let Some(full) = self.full[self.drain]
            && let Some(at) = self.beats.open(full.max(self.scale_next).max(self.output_next))
        {
            let o = &mut self.output;
            let last = o.1 + 1 == self.p.beats;
            self.beats.enter(at, Beat { q: o.2 >= self.p.kv_heads, first: o.1 == 0, last });
            (self.output_next, moved) = (at + 1, true);
            o.1 += 1;
            if last {
                (o.0, o.1) = (o.0 + 1, 0);
            }
            if o.0 == n {
                (o.0, o.2) = (0, o.2 + 1);
                (self.full[self.drain], self.free[self.drain]) = (None, Some(at + 1));
                self.drain ^= 1;
            }
        }
        moved
    }
}
