//! Timing of `tmac`.

use crate::skip::{
    pieces::{Count, Pipe, Skid, word},
    signals::{Command, Signals, from, into, level},
};
use tritforge_spec::block::{
    ctrl,
    tmac::{self, ROWS},
};

const CMD: u32 = into("tmac", "cmd");
const ACT: u32 = into("tmac", "act");
const T: u32 = into("tmac", "t");
const SUM: [u32; 2] = [from("tmac", "sum0"), from("tmac", "sum1")];

/// What does not change.
#[derive(Clone, Debug)]
pub struct Params {
    pub(in crate::skip) latency: u64,
    /// Act beats a token, array words a row, rows; of the two phases.
    pub(in crate::skip) acts: [u32; 2],
    pub(in crate::skip) wpr: [u16; 2],
    pub(in crate::skip) rows: [u32; 2],
}

impl Params {
    pub fn new(p: &tmac::Params, c: &ctrl::Params) -> Self {
        Self {
            latency: p.latency(),
            acts: [(c.dim / c.vec) as u32, (c.q_dim / c.vec) as u32],
            wpr: [c.wpr_d as u16, c.wpr_q as u16],
            rows: [(c.q_dim + 2 * c.kv_dim) as u32, c.dim as u32],
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Phase {
    #[default]
    Idle,
    Acts,
    Run,
}

/// State.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tmac {
    cmd: Skid<Command>,
    act: Count,
    phase: Phase,
    need: u32,
    acts: u32,
    last_word: u16,
    /// Rows left of the phase.
    rows: u32,
    last_token: u8,
    dest: bool,
    word: u16,
    /// Rows whose last array word was taken; the first `arrived` of them are in the buffer.
    taken: u8,
    arrived: u8,
    under_way: Pipe,
    /// Of the rows taken, oldest lowest: destination, and last token in four bits.
    dests: u16,
    tokens: u64,
    token: u8,
}

impl Tmac {
    fn t_ready(&self) -> bool {
        self.phase == Phase::Run && (self.word != self.last_word || (self.taken as usize) < ROWS)
    }

    pub fn step(&mut self, p: &Params, s: &mut Signals) {
        let t_ready = self.t_ready();
        let fire = s.moves(T);
        let row_end = fire && self.word == self.last_word;
        let phase_end = row_end && (self.rows == 1);
        let start = self.phase == Phase::Acts && self.acts == self.need;
        let act_take = self.phase != Phase::Run && self.act.valid();
        let cmd_take = self.phase == Phase::Idle && self.cmd.valid();
        let sent = s.moved & (1 << SUM[0] | 1 << SUM[1]) != 0;
        let row_out = sent && u64::from(self.token) == self.tokens & 15;
        self.levels(s, fire, t_ready && !fire, self.phase == Phase::Acts && !start, self.phase == Phase::Run && !t_ready);
        if row_out {
            self.dests >>= 1;
            self.tokens >>= 4;
            self.taken -= 1;
            self.arrived -= 1;
            self.token = 0;
        } else if sent {
            self.token += 1;
        }
        self.arrived += self.under_way.step(p.latency - 1, row_end) as u8;
        // A row that arrives in this cycle was pushed at least `latency` cycles ago, so the queue's order is the rows' order.
        if row_end {
            self.dests |= (self.dest as u16) << self.taken;
            self.tokens |= u64::from(self.last_token) << (4 * self.taken);
            self.taken += 1;
            self.rows -= 1;
        }
        if fire {
            self.word = if row_end { 0 } else { self.word + 1 };
        }
        if act_take {
            self.acts += 1;
        }
        if cmd_take {
            let c = self.cmd.head();
            let i = c.second as usize;
            (self.need, self.last_word) = (u32::from(c.n) * p.acts[i], p.wpr[i] - 1);
            self.rows = p.rows[i];
            (self.last_token, self.dest) = (c.n - 1, c.second);
            self.phase = Phase::Acts;
        }
        if start {
            self.phase = Phase::Run;
        }
        if phase_end {
            (self.phase, self.acts) = (Phase::Idle, 0);
        }
        self.cmd.step(s.moves(CMD).then_some(s.payload.command), cmd_take);
        self.act.step(word(s.moves(ACT)), act_take);
        self.outputs(s);
    }

    fn levels(&self, s: &mut Signals, busy: bool, w: bool, act: bool, out: bool) {
        s.level(level::ARRAY_BUSY, busy);
        s.level(level::WAIT_W, w);
        s.level(level::WAIT_ACT, act);
        s.level(level::WAIT_OUT, out);
    }

    /// Drives the outputs.
    pub fn outputs(&self, s: &mut Signals) {
        s.accept(CMD, self.cmd.ready());
        s.accept(ACT, self.act.ready());
        s.accept(T, self.t_ready());
        let head = self.arrived > 0;
        s.offer(SUM[0], head && self.dests & 1 == 0);
        s.offer(SUM[1], head && self.dests & 1 == 1);
    }
}
