//! Timing of `xload`.

use crate::skip::{
    pieces::{Count, Skid, word},
    signals::{Signals, from, into},
};
use tritforge_spec::block::xload;

const CMD: u32 = into("xload", "cmd");
const IN: u32 = into("xload", "in");
const XN: u32 = from("xload", "xn");
const XR: u32 = from("xload", "xr");

/// What does not change: groups of a vector and of a super-word.
#[derive(Clone, Debug)]
pub struct Params {
    pub(in crate::skip) groups: u32,
    pub(in crate::skip) per_word: u32,
}

impl From<xload::Params> for Params {
    fn from(p: xload::Params) -> Self {
        Self { groups: p.groups() as u32, per_word: p.groups_per_word() as u32 }
    }
}

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
        let take = self.cmd.valid() && self.input.valid() && self.xn.ready() && self.xr.ready();
        let vector_last = self.group + 1 == p.groups;
        let word_last = vector_last || self.sub + 1 == p.per_word;
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
