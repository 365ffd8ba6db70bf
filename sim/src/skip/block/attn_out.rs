//! Timing of `attn_out`.

use crate::skip::{
    pieces::{Count, Fifo, Pipe, word},
    signals::{Signals, from, into},
};
use tritforge_spec::block::attn_out::{FIFO_DEPTH, Params, RECIPROCAL_CYCLES, STAGES};

const SUM: u32 = into("attn_out", "sum");
const ACC: u32 = into("attn_out", "acc");
const O: u32 = from("attn_out", "o");

/// State.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AttnOut {
    sum: Count,
    acc: Count,
    step: u8,
    head: u8,
    reciprocals: Fifo,
    beat: u32,
    stages: Pipe,
    o: Fifo,
    inside: u8,
}

impl AttnOut {
    pub fn step(&mut self, p: &Params, s: &mut Signals) {
        let depth = p.reciprocals();
        let issue = self.acc.valid() && self.reciprocals.valid(depth) && (self.inside as usize) < FIFO_DEPTH;
        let head_end = issue && (self.beat as usize + 1) * p.vec == p.head_dim;
        self.inside = self.inside + issue as u8 - s.moves(O) as u8;
        self.beat = if head_end { 0 } else { self.beat + issue as u32 };
        let made = u64::from(self.step) == RECIPROCAL_CYCLES - 1;
        let sum_take = made && self.head as usize + 1 == p.group;
        let room = self.reciprocals.ready(depth);
        self.reciprocals.step(depth, made, head_end);
        self.step = match self.step {
            0 => (self.sum.valid() && room) as u8,
            _ if made => 0,
            n => n + 1,
        };
        if made {
            self.head = if sum_take { 0 } else { self.head + 1 };
        }
        let leaving = self.stages.step(STAGES as u64, issue);
        self.o.step(FIFO_DEPTH, leaving, s.is_ready(O));
        self.sum.step(word(s.moves(SUM)), sum_take);
        self.acc.step(word(s.moves(ACC)), issue);
        self.outputs(s);
    }

    /// Drives the outputs.
    pub fn outputs(&self, s: &mut Signals) {
        s.accept(SUM, self.sum.ready());
        s.accept(ACC, self.acc.ready());
        s.offer(O, self.o.valid(FIFO_DEPTH));
    }
}
