//! Timing of `rope`.

use crate::skip::{
    pieces::{Count, Skid, word},
    signals::{Signals, from, into},
};
use tritforge_spec::block::rope::{self, STAGES};

const CMD: u32 = into("rope", "cmd");
const SUM: u32 = into("rope", "sum");
const PAIR: u32 = from("rope", "pair");

/// What does not change: pairs of a head, heads of a pass.
#[derive(Clone, Debug)]
pub struct Params {
    pub(in crate::skip) pairs: u16,
    pub(in crate::skip) heads: u16,
}

impl From<rope::Params> for Params {
    fn from(p: rope::Params) -> Self {
        Self { pairs: (p.head_dim / 2) as u16, heads: p.all_heads() as u16 }
    }
}

/// The next sum of the pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pass {
    n: u8,
    token: u8,
    second: bool,
}

/// State.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rope {
    cmd: Skid<u8>,
    sum: Count,
    pass: Option<Pass>,
    /// Pairs left of the head, heads left of the pass.
    pairs: u32,
    heads: u32,
    /// Bit i: stage i + 1 holds a pair.
    stages: u16,
}

const LAST: u16 = 1 << (STAGES - 1);

impl Rope {
    fn advance(&mut self, p: &Params, mut pass: Pass) -> Option<Pass> {
        pass.token += 1;
        if pass.token < pass.n {
            return Some(pass);
        }
        pass.token = 0;
        pass.second = !pass.second;
        if pass.second {
            return Some(pass);
        }
        if self.pairs >= 2 {
            self.pairs -= 1;
            return Some(pass);
        }
        self.pairs = p.pairs.into();
        self.heads -= 1;
        (self.heads >= 1).then_some(pass)
    }

    pub fn step(&mut self, p: &Params, s: &mut Signals) {
        let enable = self.stages & LAST == 0 || s.is_ready(PAIR);
        let take = self.pass.filter(|_| enable && self.sum.valid());
        let mut next = self.pass;
        let mut done = false;
        if let Some(pass) = take {
            done = pass.second;
            next = self.advance(p, pass);
        }
        if enable {
            self.stages = self.stages << 1 & (2 * LAST - 1) | done as u16;
        }
        let start = next.is_none();
        if start {
            next = self.cmd.peek().map(|n| Pass { n, token: 0, second: false });
            if next.is_some() {
                self.pairs = p.pairs.into();
                self.heads = p.heads.into();
            }
        }
        self.pass = next;
        self.cmd.step(s.moves(CMD).then_some(s.payload.command.n), start);
        self.sum.step(word(s.moves(SUM)), take.is_some());
        self.outputs(s);
    }

    /// Drives the outputs.
    pub fn outputs(&self, s: &mut Signals) {
        s.accept(CMD, self.cmd.ready());
        s.accept(SUM, self.sum.ready());
        s.offer(PAIR, self.stages & LAST != 0);
    }
}
