//! Timing of `xload`.

use crate::skip::{
    pieces::{Count, Skid, word},
    signals::{Signals, from, into},
};
use tritforge_spec::block::xload::Params;

const CMD: u32 = into("xload", "cmd");
const IN: u32 = into("xload", "in");
const XN: u32 = from("xload", "xn");
const XR: u32 = from("xload", "xr");

/// State.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Xload {
    cmd: Skid<u8>,
    input: Count,
    xn: Count,
    xr: Count,
    token: u8,
    group: u32,
    sub: u32,
}

impl Xload {
    pub fn step(&mut self, p: &Params, s: &mut Signals) {
        const TOUCH: u64 = 1 << CMD | 1 << IN | 1 << XN | 1 << XR;
        let take = self.cmd.valid() && self.input.valid() && self.xn.ready() && self.xr.ready();
        if !take && s.moved & TOUCH == 0 {
            return;
        }
        let vector_last = self.group as usize + 1 == p.groups();
        let word_last = vector_last || self.sub as usize + 1 == p.groups_per_word();
        let done = take && vector_last && self.token + 1 == self.cmd.head();
        self.xn.step(word(take), s.moves(XN));
        self.xr.step(word(take), s.moves(XR));
        if take {
            self.sub = if word_last { 0 } else { self.sub + 1 };
            self.group = if vector_last { 0 } else { self.group + 1 };
            self.token = if done { 0 } else { self.token + vector_last as u8 };
        }
        self.cmd.step(s.moves(CMD).then_some(s.payload.command.n), done);
        self.input.step(word(s.moves(IN)), take && word_last);
        self.outputs(s);
    }

    /// Drives the outputs.
    pub fn outputs(&self, s: &mut Signals) {
        s.accept(CMD, self.cmd.ready());
        s.accept(IN, self.input.ready());
        s.offer(XN, self.xn.valid());
        s.offer(XR, self.xr.valid());
    }
}
