//! Timing of `unpack`.

use crate::skip::{
    pieces::{Count, Skid, word},
    signals::{Signals, from, into},
};
use tritforge_spec::block::{ctrl, unpack};

const CMD: u32 = into("unpack", "cmd");
const IN: u32 = into("unpack", "in");
const T: u32 = from("unpack", "t");

/// What does not change.
#[derive(Clone, Debug)]
pub struct Params {
    pub(in crate::skip) slices: u32,
    pub(in crate::skip) parts: u32,
    /// Array words of the two sections.
    pub(in crate::skip) words: [u32; 2],
}

impl Params {
    pub fn new(p: &unpack::Params, c: &ctrl::Params) -> Self {
        let qkv = (c.q_dim + 2 * c.kv_dim) * c.wpr_d;
        Self { slices: p.slices() as u32, parts: p.parts() as u32, words: [qkv as u32, (c.dim * c.wpr_q) as u32] }
    }
}

/// State.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Unpack {
    cmd: Skid<bool>,
    input: Count,
    /// Array words left of the section.
    left: u32,
    step: u32,
    /// Stage 1 ends an array word with its chunk.
    word: bool,
    valid: bool,
}

impl Unpack {
    pub fn step(&mut self, p: &Params, s: &mut Signals) {
        let t_moves = s.moves(T);
        let free = !self.valid || t_moves;
        let take = free && self.input.valid() && (self.left >= 1);
        let last_step = self.step == p.slices.max(p.parts) - 1;
        let word_done = take && (p.parts == 1 || last_step);
        let super_done = take && (p.slices == 1 || last_step || (self.left == 1));
        let cmd_take = (self.left < 1) || (word_done && (self.left == 1));
        if free {
            self.valid = self.word;
            self.word = word_done;
        }
        match self.cmd.peek() {
            Some(second) if cmd_take => self.left = p.words[second as usize],
            _ => self.left -= word_done as u32,
        }
        if take {
            let ended = if p.parts > 1 { word_done } else { super_done };
            self.step = if ended { 0 } else { self.step + 1 };
        }
        self.cmd.step(s.moves(CMD).then_some(s.payload.command.second), cmd_take);
        self.input.step(word(s.moves(IN)), super_done);
        self.outputs(s);
    }

    /// Drives the outputs.
    pub fn outputs(&self, s: &mut Signals) {
        s.accept(CMD, self.cmd.ready());
        s.accept(IN, self.input.ready());
        s.offer(T, self.valid);
    }
}
