//! Timing of `headq`.

use crate::skip::{
    pieces::{Count, Skid, word},
    signals::{Signals, from, into},
};
use tritforge_spec::block::headq::{self, STAGES};

const CMD: u32 = into("headq", "cmd");
const SC: u32 = into("headq", "s");
const PAIR: u32 = into("headq", "pair");
const KV: u32 = from("headq", "kv");
const Q: u32 = from("headq", "q");

/// What does not change.
#[derive(Clone, Debug)]
pub struct Params {
    /// Pairs and beats of a vector.
    pub(in crate::skip) pairs: u16,
    pub(in crate::skip) beats: u16,
    /// Heads of a pass; those of K and V come first.
    pub(in crate::skip) heads: u16,
    pub(in crate::skip) kv_heads: u16,
}

impl From<headq::Params> for Params {
    fn from(p: headq::Params) -> Self {
        let [pairs, beats, heads, kv_heads] = [p.head_dim / 2, p.beats(), p.all_heads(), 2 * p.kv_heads].map(|n| n as u16);
        Self { pairs, beats, heads, kv_heads }
    }
}

/// What is left of a pass on one side of the buffers: pairs of the head going in, or beats of the vector going out, and heads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Side {
    open: bool,
    token: u8,
    left: u32,
    heads: u32,
}

impl Side {
    fn begin(&mut self, p: &Params, words: u16) {
        (self.open, self.token) = (true, 0);
        self.left = words.into();
        self.heads = p.heads.into();
    }

    /// The next head, if there is one.
    fn next_head(&mut self) {
        self.heads -= 1;
        self.open = self.heads >= 1;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pass {
    n: u8,
    scales: u8,
}

/// A beat in a stage: what it is.
mod beat {
    pub const PRESENT: u8 = 1;
    pub const Q: u8 = 2;
    pub const FIRST: u8 = 4;
    pub const LAST: u8 = 8;
    pub const END: u8 = 16;
}

/// State.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HeadQ {
    cmd: Skid<u8>,
    s: Count,
    pair: Count,
    pass: Option<Pass>,
    input: Side,
    output: Side,
    full: [bool; 2],
    fill: bool,
    drain: bool,
    /// Pairs between the skid and the buffer: buffer, last of its head.
    arrivals: [Option<(bool, bool)>; 2],
    /// The last entry is the output.
    stages: [u8; STAGES],
}

impl HeadQ {
    /// The beat that leaves the full buffer; whether it is the buffer's last.
    fn start(&mut self, p: &Params, n: u8) -> (u8, bool) {
        let o = &mut self.output;
        let (first, last) = ((o.left == p.beats.into()), (o.left < 2));
        let q = o.heads < u32::from(p.heads - p.kv_heads) + 1;
        let head_end = last && o.token + 1 == n;
        let end = head_end && (o.heads < 2);
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        let beat = beat::PRESENT | flag(q, beat::Q) | flag(first, beat::FIRST) | flag(last, beat::LAST) | flag(end, beat::END);
        if last {
            o.left = p.beats.into();
            o.token = if head_end { 0 } else { o.token + 1 };
        } else {
            o.left -= 1;
        }
        if head_end {
            o.next_head();
        }
        (beat, head_end)
    }

    /// Counts a pair that goes into the buffer; whether it is the buffer's last.
    fn arrive(&mut self, p: &Params, n: u8) -> bool {
        let i = &mut self.input;
        i.token += 1;
        if i.token < n {
            return false;
        }
        i.token = 0;
        if i.left >= 2 {
            i.left -= 1;
            return false;
        }
        i.left = p.pairs.into();
        i.next_head();
        true
    }

    pub fn step(&mut self, p: &Params, s: &mut Signals) {
        let pass = self.pass;
        let mut next = pass;
        let out = self.stages[STAGES - 1];
        let ready = out == 0 || s.is_ready(if out & beat::Q != 0 { Q } else { KV });
        let done = ready && out & beat::END != 0;
        let (full, fill, drain) = (self.full, self.fill, self.drain);
        let mut released = None;
        if ready {
            self.stages.copy_within(0..STAGES - 1, 1);
            self.stages[0] = 0;
            if let Some(pass) = pass
                && pass.scales == pass.n
                && full[drain as usize]
                && self.output.open
            {
                let (beat, last) = self.start(p, pass.n);
                self.stages[0] = beat;
                if last {
                    released = Some(drain);
                    self.drain = !drain;
                }
            }
        }
        let input = pass.filter(|_| !full[fill as usize] && self.input.open);
        let mut arrival = None;
        if let Some(pass) = input
            && self.pair.valid()
        {
            let last = self.arrive(p, pass.n);
            arrival = Some((fill, last));
            self.fill ^= last;
        }
        let [first, second] = self.arrivals;
        if let Some((buffer, last)) = second {
            self.full[buffer as usize] |= last;
        }
        self.arrivals = [arrival, first];
        if let Some(buffer) = released {
            self.full[buffer as usize] = false;
        }
        let take_scale = self.pass.is_some_and(|p| p.scales != p.n);
        if take_scale
            && self.s.valid()
            && let Some(next) = &mut next
        {
            next.scales += 1;
        }
        let take_cmd = self.pass.is_none() || done;
        if take_cmd {
            next = self.cmd.peek().map(|n| Pass { n, scales: 0 });
            if next.is_some() {
                self.input.begin(p, p.pairs);
                self.output.begin(p, p.beats);
            }
        }
        self.pass = next;
        self.cmd.step(s.moves(CMD).then_some(s.payload.command.n), take_cmd);
        self.s.step(word(s.moves(SC)), take_scale);
        self.pair.step(word(s.moves(PAIR)), input.is_some());
        self.outputs(s);
    }

    /// Drives the outputs.
    pub fn outputs(&self, s: &mut Signals) {
        s.accept(CMD, self.cmd.ready());
        s.accept(SC, self.s.ready());
        s.accept(PAIR, self.pair.ready());
        let out = self.stages[STAGES - 1];
        s.offer(KV, out != 0 && out & beat::Q == 0);
        s.offer(Q, out & beat::Q != 0);
        (s.payload.head_first, s.payload.head_last) = (out & beat::FIRST != 0, out & beat::LAST != 0);
    }
}
