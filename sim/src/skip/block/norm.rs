//! Timing of `norm`.

use crate::skip::{
    pieces::{Count, Fifo, Pipe, Skid, word},
    signals::{Command, Signals, from, into},
};
use tritforge_spec::block::{
    ctrl,
    norm::{self, ACT_CREDITS, SCALE_LATENCY},
};

const CMD: u32 = into("norm", "cmd");
const GAIN: u32 = into("norm", "gain");
const X: [u32; 2] = [into("norm", "x0"), into("norm", "x1")];
const ACT: u32 = from("norm", "act");
const S: [u32; 2] = [from("norm", "s0"), from("norm", "s1")];

/// What does not change.
#[derive(Clone, Debug)]
pub struct Params {
    /// Groups of a vector of the two phases.
    pub(in crate::skip) groups: [u32; 2],
    pub(in crate::skip) gains_per_word: u32,
    pub(in crate::skip) stat_latency: u64,
    pub(in crate::skip) code_latency: u64,
}

impl Params {
    pub fn new(p: &norm::Params, c: &ctrl::Params) -> Self {
        Self {
            groups: [(c.dim / c.vec) as u32, (c.q_dim / c.vec) as u32],
            gains_per_word: (p.word_bits / (32 * p.vec)) as u32,
            stat_latency: p.stat_latency(),
            code_latency: p.code_latency(),
        }
    }
}

/// Progress of the command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Progress {
    gains: u32,
    gain_sub: u32,
    load_token: u8,
    load_group: u32,
    stats: u8,
    quant_token: u8,
    quant_group: u32,
    scaled: u8,
}

/// State.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Norm {
    cmd: Skid<Command>,
    gain: Count,
    x: [Count; 2],
    at: Progress,
    stat_pipe: Pipe,
    code_pipe: Pipe,
    acts: Fifo,
    held: u8,
    scale_fetched: bool,
    /// Cycles of the scale under way.
    scaling: Option<u8>,
    scale_out: Option<bool>,
}

impl Norm {
    pub fn step(&mut self, p: &Params, s: &mut Signals) {
        let run = self.cmd.valid();
        let cmd = self.cmd.head();
        let src = cmd.second as usize;
        let groups = p.groups[src];
        let last_group = groups - 1;
        let gain_take = run && self.gain.valid() && self.at.gains != groups;
        let gain_last = self.at.gain_sub == p.gains_per_word - 1 || self.at.gains == last_group;
        let load = run && self.at.load_token != cmd.n && self.x[src].valid() && self.at.load_group < self.at.gains;
        let load_last = self.at.load_group == last_group;
        let quant_done = self.at.quant_token == cmd.n;
        let quant = run && !quant_done && self.at.stats != self.at.quant_token && self.held as usize != ACT_CREDITS;
        let done = run && quant_done && self.at.scaled == cmd.n;
        let s_free = self.scale_out.is_none_or(|d| s.is_ready(S[d as usize]));
        let scale_fetch = run && self.at.scaled != self.at.stats && !self.scale_fetched && self.scaling.is_none() && s_free;
        if s_free {
            self.scale_out = None;
        }
        if let Some(step) = &mut self.scaling {
            if u64::from(*step) == SCALE_LATENCY {
                self.scaling = None;
                self.scale_out = Some(cmd.second);
                self.at.scaled += 1;
            } else {
                *step += 1;
            }
        }
        if self.scale_fetched {
            self.scaling = Some(1);
        }
        self.scale_fetched = scale_fetch;
        if quant {
            let last = self.at.quant_group == last_group;
            self.at.quant_group = if last { 0 } else { self.at.quant_group + 1 };
            self.at.quant_token += last as u8;
        }
        let code = self.code_pipe.step(p.code_latency, quant);
        let taken = self.acts.step(ACT_CREDITS, code, s.is_ready(ACT));
        self.held = self.held + quant as u8 - taken as u8;
        if load {
            self.at.load_group = if load_last { 0 } else { self.at.load_group + 1 };
            self.at.load_token += load_last as u8;
        }
        self.at.stats += self.stat_pipe.step(p.stat_latency, load && load_last) as u8;
        if gain_take {
            self.at.gains += 1;
            self.at.gain_sub = if gain_last { 0 } else { self.at.gain_sub + 1 };
        }
        if done {
            self.at = Progress::default();
        }
        self.cmd.step(s.moves(CMD).then_some(s.payload.command), done);
        self.gain.step(word(s.moves(GAIN)), gain_take && gain_last);
        for (i, x) in self.x.iter_mut().enumerate() {
            x.step(word(s.moves(X[i])), load && i == src);
        }
        self.outputs(s);
    }

    /// Drives the outputs.
    pub fn outputs(&self, s: &mut Signals) {
        s.accept(CMD, self.cmd.ready());
        s.accept(GAIN, self.gain.ready());
        s.accept(X[0], self.x[0].ready());
        s.accept(X[1], self.x[1].ready());
        s.offer(ACT, self.acts.valid(ACT_CREDITS));
        s.offer(S[0], self.scale_out == Some(false));
        s.offer(S[1], self.scale_out == Some(true));
    }
}
