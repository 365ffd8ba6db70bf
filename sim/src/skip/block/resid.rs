//! Timing of `resid`.

use crate::skip::{
    pieces::{Count, Fifo, Pipe, Skid, word},
    signals::{Signals, from, into},
};
use tritforge_spec::block::{
    resid::{self, OUT_CREDITS, SUM_LATENCY},
    scale_mul,
};

const CMD: u32 = into("resid", "cmd");
const X: u32 = into("resid", "x");
const SC: u32 = into("resid", "s");
const SUM: u32 = into("resid", "sum");
const Y: u32 = from("resid", "y");

/// What does not change: rows a group, groups and rows of a vector.
#[derive(Clone, Debug)]
pub struct Params {
    pub(in crate::skip) vec: u32,
    pub(in crate::skip) groups: u32,
    pub(in crate::skip) dim: u32,
}

impl From<resid::Params> for Params {
    fn from(p: resid::Params) -> Self {
        Self { vec: p.vec as u32, groups: (p.dim / p.vec) as u32, dim: p.dim as u32 }
    }
}

/// Progress of the command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Progress {
    load_token: u8,
    load_group: u32,
    scales_taken: u8,
    scales_written: u8,
    token: u8,
    row: u32,
    /// Row within its group.
    sub: u32,
    groups_done: u32,
    emit_token: u8,
    emit_group: u32,
}

/// State.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Resid {
    cmd: Skid<u8>,
    x: Count,
    s: Count,
    sum: Count,
    at: Progress,
    scale_pipe: Pipe,
    /// Sums that end a group of VEC rows.
    group_pipe: Pipe,
    read: bool,
    y: Fifo,
    held: u8,
}

impl Resid {
    pub fn step(&mut self, p: &Params, s: &mut Signals) {
        let run = self.cmd.valid();
        let n = self.cmd.head();
        let Params { vec, groups, dim } = *p;
        let at = &mut self.at;
        let loaded = at.load_token == n;
        let load = run && self.x.valid() && !loaded;
        let scale_take = run && self.s.valid() && at.scales_taken != n;
        let sum_take = run && self.sum.valid() && loaded && at.scales_written == n && at.row != dim;
        let open = if at.emit_token == 0 { at.emit_group < at.groups_done } else { at.groups_done == groups };
        let emit = run && at.emit_token != n && open && !sum_take && self.held as usize != OUT_CREDITS;
        let done = run && at.emit_token == n;
        let group_last = sum_take && at.token + 1 == n && at.sub + 1 == vec;
        if load {
            let last = at.load_group + 1 == groups;
            at.load_group = if last { 0 } else { at.load_group + 1 };
            at.load_token += last as u8;
        }
        at.scales_taken += scale_take as u8;
        at.scales_written += self.scale_pipe.step(scale_mul::LATENCY, scale_take) as u8;
        if sum_take {
            let last = at.token + 1 == n;
            at.token = if last { 0 } else { at.token + 1 };
            at.row += last as u32;
            at.sub = if group_last { 0 } else { at.sub + last as u32 };
        }
        at.groups_done += self.group_pipe.step(SUM_LATENCY - 1, group_last) as u32;
        if emit {
            let last = at.emit_group + 1 == groups;
            at.emit_group = if last { 0 } else { at.emit_group + 1 };
            at.emit_token += last as u8;
        }
        let fetched = std::mem::replace(&mut self.read, emit);
        let taken = self.y.step(OUT_CREDITS, fetched, s.is_ready(Y));
        self.held = self.held + emit as u8 - taken as u8;
        if done {
            self.at = Progress::default();
        }
        self.cmd.step(s.moves(CMD).then_some(s.payload.command.n), done);
        self.x.step(word(s.moves(X)), load);
        self.s.step(word(s.moves(SC)), scale_take);
        self.sum.step(word(s.moves(SUM)), sum_take);
        self.outputs(s);
    }

    /// Drives the outputs.
    pub fn outputs(&self, s: &mut Signals) {
        s.accept(CMD, self.cmd.ready());
        s.accept(X, self.x.ready());
        s.accept(SC, self.s.ready());
        s.accept(SUM, self.sum.ready());
        s.offer(Y, self.y.valid(OUT_CREDITS));
    }
}
