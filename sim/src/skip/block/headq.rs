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
    pairs: u16,
    beats: u16,
    /// Heads of a pass; those of K and V come first.
    heads: u16,
    kv_heads: u16,
}

impl From<headq::Params> for Params {
    fn from(p: headq::Params) -> Self {
        let [pairs, beats, heads, kv_heads] = [p.head_dim / 2, p.beats(), p.all_heads(), 2 * p.kv_heads].map(|n| n as u16);
        Self { pairs, beats, heads, kv_heads }
    }
}

/// A place in the pass, as a nest of counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Place {
    index: u16,
    token: u8,
    head: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pass {
    n: u8,
    scales: u8,
    input: Option<Place>,
    output: Option<Place>,
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
    full: [bool; 2],
    fill: bool,
    drain: bool,
    /// Pairs between the skid and the buffer: buffer, last of its head.
    arrivals: [Option<(bool, bool)>; 2],
    /// The last entry is the output.
    stages: [u8; STAGES],
}

fn next_pair(mut p: Place, n: u8, rows: u16, heads: u16) -> Option<Place> {
    p.token += 1;
    if p.token == n {
        (p.token, p.index) = (0, p.index + 1);
    }
    if p.index == rows {
        (p.index, p.head) = (0, p.head + 1);
    }
    (p.head < heads).then_some(p)
}

fn next_beat(mut p: Place, n: u8, beats: u16, heads: u16) -> Option<Place> {
    p.index += 1;
    if p.index == beats {
        (p.index, p.token) = (0, p.token + 1);
    }
    if p.token == n {
        (p.token, p.head) = (0, p.head + 1);
    }
    (p.head < heads).then_some(p)
}

impl HeadQ {
    pub fn step(&mut self, p: &Params, s: &mut Signals) {
        let Params { pairs, beats, heads, .. } = *p;
        let mut next = self.pass;
        let out = self.stages[STAGES - 1];
        let ready = out == 0 || s.is_ready(if out & beat::Q != 0 { Q } else { KV });
        let done = ready && out & beat::END != 0;
        let mut released = None;
        if ready {
            let drain_full = self.full[self.drain as usize];
            let start = self.pass.filter(|p| p.scales == p.n && drain_full).and_then(|p| Some((p, p.output?)));
            self.stages.copy_within(0..STAGES - 1, 1);
            self.stages[0] = 0;
            if let (Some((pass, place)), Some(next)) = (start, &mut next) {
                let last = place.index + 1 == beats;
                let end = last && place.token + 1 == pass.n && place.head + 1 == heads;
                let q = place.head >= p.kv_heads;
                let flag = |on: bool, bit: u8| if on { bit } else { 0 };
                self.stages[0] =
                    beat::PRESENT | flag(q, beat::Q) | flag(place.index == 0, beat::FIRST) | flag(last, beat::LAST) | flag(end, beat::END);
                next.output = next_beat(place, pass.n, beats, heads);
                if next.output.is_none_or(|o| o.head != place.head) {
                    released = Some(self.drain);
                    self.drain = !self.drain;
                }
            }
        }
        let input = self.pass.filter(|_| !self.full[self.fill as usize]).and_then(|p| Some((p, p.input?)));
        let arrival =
            input.filter(|_| self.pair.valid()).map(|(pass, place)| (self.fill, place.token + 1 == pass.n && place.index + 1 == pairs));
        if let (Some((_, last)), Some((_, place)), Some(next)) = (arrival, input, &mut next) {
            next.input = next_pair(place, next.n, pairs, heads);
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
            let begin = Some(Place::default());
            next = self.cmd.peek().map(|n| Pass { n, scales: 0, input: begin, output: begin });
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
