//! Timing of `xstore`.

use crate::skip::{
    pieces::{Count, Segment, Skid, word},
    signals::{Signals, from, into, level},
};
use tritforge_spec::block::xload;

const CMD: u32 = into("xstore", "cmd");
const Y: u32 = into("xstore", "y");
const WSEG: u32 = from("xstore", "wseg");
const WD: u32 = from("xstore", "wd");

/// What does not change.
#[derive(Clone, Debug)]
pub struct Params {
    pub(in crate::skip) groups: u32,
    pub(in crate::skip) per_word: u32,
    /// Super-words of a vector.
    pub(in crate::skip) words: u16,
    pub(in crate::skip) burst: u16,
}

impl Params {
    pub fn new(p: &xload::Params, burst: u16) -> Self {
        Self { groups: p.groups() as u32, per_word: p.groups_per_word() as u32, words: p.vector_words() as u16, burst }
    }
}

/// State.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Xstore {
    cmd: Skid<(u16, u8)>,
    y: Count,
    segments: u8,
    segment: Option<u16>,
    next_off: u16,
    token: u8,
    group: u32,
    sub: u32,
    word_valid: bool,
}

impl Xstore {
    pub fn step(&mut self, p: &Params, s: &mut Signals) {
        let run = self.cmd.valid();
        let (off, n) = self.cmd.head();
        let due = self.segments < self.token || self.segments == self.token && self.y.valid();
        let push = run && self.segments != n && (self.segment.is_none() || s.is_ready(WSEG)) && due;
        let take = run && self.token != n && self.y.valid() && (!self.word_valid || s.is_ready(WD));
        let vector_last = self.group + 1 == p.groups;
        let word_last = vector_last || self.sub + 1 == p.per_word;
        let done = run && self.segments == n && self.token == n;
        if s.is_ready(WSEG) {
            self.segment = None;
        }
        if push {
            let off = if self.segments == 0 { off } else { self.next_off };
            self.segment = Some(off);
            self.next_off = ((u32::from(off) + u32::from(p.words)) % u32::from(p.burst)) as u16;
            self.segments += 1;
        }
        if s.is_ready(WD) {
            self.word_valid = false;
        }
        if take {
            self.word_valid = word_last;
            self.sub = if word_last { 0 } else { self.sub + 1 };
            self.group = if vector_last { 0 } else { self.group + 1 };
            self.token += vector_last as u8;
        }
        if done {
            (self.segments, self.token, self.next_off) = (0, 0, 0);
        }
        self.cmd.step(s.moves(CMD).then_some((s.payload.x_out, s.payload.command.n)), done);
        self.y.step(word(s.moves(Y)), take);
        self.outputs(p, s);
    }

    /// Drives the outputs.
    pub fn outputs(&self, p: &Params, s: &mut Signals) {
        s.accept(CMD, self.cmd.ready());
        s.accept(Y, self.y.ready());
        s.offer(WSEG, self.segment.is_some());
        s.offer(WD, self.word_valid);
        s.payload.bseg = Segment { off: self.segment.unwrap_or_default(), beats: p.words.into() };
        s.level(level::XSTORE_IDLE, !self.cmd.valid() && self.segment.is_none() && !self.word_valid);
    }
}
