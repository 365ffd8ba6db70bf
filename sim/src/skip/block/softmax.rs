//! Timing of `softmax`.

use crate::skip::{
    pieces::{Fifo, Skid},
    signals::{Signals, from, into},
};
use tritforge_spec::block::softmax::{FIFO_DEPTH, STAGES, SUM_DEPTH, SUM_STAGE};

const SCORE: u32 = into("softmax", "score");
const P: u32 = from("softmax", "p");
const SUM: u32 = from("softmax", "sum");

/// State.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Softmax {
    score: Skid<bool>,
    /// Bit i: stage i + 1 holds a position; the last of its head.
    stages: u32,
    lasts: u32,
    p: Fifo,
    sum: Fifo,
    inside: u8,
    ending: u8,
}

impl Softmax {
    pub fn step(&mut self, s: &mut Signals) {
        let head = self.score.peek();
        let issue = head.is_some_and(|last| (self.inside as usize) < FIFO_DEPTH && !(last && self.ending as usize == SUM_DEPTH));
        let last = issue && head == Some(true);
        self.inside = self.inside + issue as u8 - s.moves(P) as u8;
        self.ending = self.ending + last as u8 - s.moves(SUM) as u8;
        let sum = self.lasts >> (SUM_STAGE - 1) & 1 != 0;
        self.sum.step(SUM_DEPTH, sum, s.is_ready(SUM));
        let p = self.stages >> (STAGES - 1) & 1 != 0;
        self.p.step(FIFO_DEPTH, p, s.is_ready(P));
        self.stages = (self.stages << 1 | issue as u32) & ((1 << STAGES) - 1);
        self.lasts = (self.lasts << 1 | last as u32) & ((1 << SUM_STAGE) - 1);
        self.score.step(s.moves(SCORE).then_some(s.payload.score_last), issue);
        self.outputs(s);
    }

    /// Drives the outputs.
    pub fn outputs(&self, s: &mut Signals) {
        s.accept(SCORE, self.score.ready());
        s.offer(P, self.p.valid(FIFO_DEPTH));
        s.offer(SUM, self.sum.valid(SUM_DEPTH));
    }
}
