//! `headq`: codes and scales of the heads of q, k and v.

use super::{
    attn::Attn,
    kvwrite::KvWrite,
    net::{Net, process},
    times::{Pipeline, Time},
};
use crate::skip::{block::headq, outside::Asked};
use tritforge_spec::block::headq::STAGES;

/// What takes the beats: queries, and vectors of K and V.
pub struct Takers<'a, 'b> {
    pub attn: &'a mut Attn,
    pub kvwrite: &'a mut KvWrite,
    pub outside: &'a mut Asked<'b>,
}

/// A beat of `headq`.
#[derive(Clone, Copy, Debug, Default)]
struct Beat {
    q: bool,
    first: bool,
    last: bool,
}

/// State.
#[derive(Clone)]
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
    pub fn advance(&mut self, to: &mut Takers, net: &mut Net) {
        if self.n.is_none()
            && let Some((from, cmd)) = net.headq_cmd.head()
        {
            net.headq_cmd.take(from, &mut net.wake);
            self.n = Some(cmd.n);
            (self.scale_next, self.input_next, self.output_next) = (from + 1, from + 1, from + 1);
            (self.scales, self.input, self.output) = (0, (0, 0, 0), (0, 0, 0));
        }
        let Some(n) = self.n else { return };
        loop {
            self.leave(to, net);
            self.take(net, n);
            if !self.start(n) {
                return;
            }
        }
    }

    /// Beats leave.
    fn leave(&mut self, to: &mut Takers, net: &mut Net) {
        while let Some((from, beat)) = self.beats.head() {
            let t = if beat.q {
                // Most often the engine takes it at once.
                match to.attn.query(from, beat.last, net) {
                    Some(t) => t,
                    None if net.q.room() => net.q.offer(from, beat.last, &mut net.wake),
                    None => break,
                }
            } else {
                if !net.head_kv.room() {
                    to.kvwrite.advance(net, to.outside);
                }
                if !net.head_kv.room() {
                    break;
                }
                net.head_kv.offer(from, (beat.first, beat.last), &mut net.wake)
            };
            self.beats.leave(t);
        }
    }

    /// Scales of tokens, pairs of heads.
    fn take(&mut self, net: &mut Net, n: u8) {
        while self.scales != n
            && let Some((word, ())) = net.s0.head()
        {
            let at = word.max(self.scale_next);
            net.s0.take(at, &mut net.wake);
            (self.scale_next, self.scales) = (at + 1, self.scales + 1);
        }
        while self.input.2 != self.p.heads
            && let Some(free) = self.free[self.fill]
            && let Some((word, ())) = net.pair.head()
        {
            let at = word.max(self.input_next).max(free);
            net.pair.take(at, &mut net.wake);
            self.took(at, n);
        }
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
    pub fn pair(&mut self, valid: Time, net: &mut Net) -> Option<Time> {
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

    /// Pairs of the head that it takes without any wait if they are offered from `pair` on.
    pub fn takes(&self, pair: Time, net: &Net) -> usize {
        let Some(free) = self.free[self.fill] else { return 0 };
        let waits = net.pair.open() > pair || pair + 1 < self.input_next.max(free).max(net.pair.after());
        let open = self.n == Some(1) && net.pair.is_empty() && !waits && self.input.2 != self.p.heads;
        if open { (self.p.pairs - self.input.1).into() } else { 0 }
    }

    /// It takes `count` of them, offered from `first` on, one every `period` cycles.
    pub fn pairs(&mut self, first: Time, period: Time, count: usize, net: &mut Net) {
        let last = first + (count as Time - 1) * period;
        if count == 1 {
            net.pair.pass_one(first, first + 1);
        } else {
            net.pair.pass_run(count, first, (last + 1, [last + 2 - period, last + 2]));
        }
        self.input.1 += count as u16 - 1;
        if self.took(last + 1, 1) {
            net.wake |= process::HEADQ;
        }
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
