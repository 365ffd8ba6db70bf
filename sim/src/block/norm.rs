//! `norm`: RMSNorm and absmax int8 for the tokens of a pass. The partner of `rtl/verilog/norm.sv`.
//! Values are computed where a beat is issued and carried by delays of the pipelines' lengths.

use super::{fifo::Fifo, rhe_div::quantise, skid::Skid};
use crate::{
    clocked::{Block, PowerUp},
    delay::Delay,
    ports,
};
use tritforge_spec::{
    bits::{Bits, mask, sign_extend},
    block::{
        norm::{ACT_CREDITS, Params, SCALE_LATENCY, SCALE_TO_NORM},
        scale_norm,
    },
    numerics::{Scale, norm::reciprocal_root},
};

ports! {
    /// Inputs of `norm`.
    pub struct In {
        rst: bool,
        cmd_valid: bool, cmd_groups: usize, cmd_n: usize, cmd_src: usize, cmd_dest: usize, cmd_eps: u64, cmd_c: u32,
        gain_valid: bool, gain_data: Bits,
        x0_valid: bool, x0_data: Bits,
        x1_valid: bool, x1_data: Bits,
        act_ready: bool, s0_ready: bool, s1_ready: bool,
    }
    /// Outputs of `norm`.
    pub struct Out {
        cmd_ready: bool, gain_ready: bool, x0_ready: bool, x1_ready: bool,
        act_valid: bool, act_token: usize, act_index: usize, act_data: Bits,
        s0_valid: bool, s0_token: usize, s0_scale: u32,
        s1_valid: bool, s1_token: usize, s1_scale: u32,
        sat: bool, sat_inc: bool,
    }
}

#[derive(Clone, Debug, Default)]
struct Cmd {
    groups: usize,
    n: usize,
    src: usize,
    dest: usize,
    eps: u64,
    c: Scale,
}

/// max |u| and Σx² of a vector.
#[derive(Clone, Copy, Debug, Default)]
struct Stat {
    amax: u64,
    ss: u128,
}

/// Progress of the command; all zero between commands.
#[derive(Clone, Debug, Default)]
struct Progress {
    gains: usize,
    gain_sub: usize,
    load_token: usize,
    load_group: usize,
    stats: usize,
    quant_token: usize,
    quant_group: usize,
    scaled: usize,
}

#[derive(Clone, Debug, Default)]
struct Act {
    token: usize,
    index: usize,
    data: Bits,
}

#[derive(Clone, Debug)]
struct TokenScale {
    dest: usize,
    token: usize,
    scale: Scale,
}

/// A token's scale on its way: cycles since its start, the result, and which exponents saturate.
#[derive(Clone, Debug)]
struct Scaling {
    step: u64,
    scale: Scale,
    norm_sat: bool,
    mul_sat: bool,
}

/// State of `norm`.
pub struct Norm {
    params: Params,
    cmd: Skid<Cmd>,
    gain: Skid<Bits>,
    x: [Skid<Bits>; 2],
    at: Progress,
    /// Gain memory, one element a word here.
    gains: Vec<i64>,
    /// Vectors of the pass, token by token.
    vectors: Vec<i64>,
    running: Stat,
    /// Statistics of a vector that has passed, in the product and tree stages.
    stat_pipe: Delay<(usize, Stat)>,
    token_stats: Vec<Stat>,
    code_pipe: Delay<Act>,
    acts: Fifo<Act>,
    /// Beats of codes in the pipeline and the FIFO.
    held: usize,
    scale_fetched: bool,
    scaling: Option<Scaling>,
    scale_out: Option<TokenScale>,
    sat_inc: bool,
    sat: bool,
}

/// The Scale of a token's codes; step 2's T = 0, which eps ≥ 1 excludes, counts as 1. And the saturated exponents of norm and mul.
fn token_scale(stat: Stat, eps: u64, c: Scale) -> (Scale, bool, bool) {
    let (k, d) = reciprocal_root((stat.ss + u128::from(eps)).max(1));
    let a = Scale::norm(stat.amax.into(), 0);
    let (product, norm_sat) = Scale::norm_sat(u128::from(a.m) * u128::from(d), i32::from(a.e) - 34 - k);
    let (scale, mul_sat) = product.mul_sat(c);
    (scale, norm_sat, mul_sat)
}

impl Norm {
    /// Magnitude (47 bits) and sign of x · gain.
    fn product(x: i64, gain: i64) -> (u64, bool) {
        let u = x * gain;
        (u.unsigned_abs() & mask(47), u < 0)
    }

    fn store_gains(&mut self, word: &Bits) {
        let vec = self.params.vec;
        for i in 0..vec {
            let raw = word.get(32 * (self.at.gain_sub * vec + i), 17);
            self.gains[self.at.gains * vec + i] = sign_extend(raw, 17);
        }
    }

    /// Takes a group of a vector: to memory and into the running statistics.
    fn load(&mut self, group: &Bits, groups: usize) {
        let (vec, at) = (self.params.vec, &self.at);
        if at.load_group == 0 {
            self.running = Stat::default();
        }
        for i in 0..vec {
            let x = group.get_signed(32 * i, 32);
            self.vectors[(at.load_token * groups + at.load_group) * vec + i] = x;
            self.running.amax = self.running.amax.max(Self::product(x, self.gains[at.load_group * vec + i]).0);
            self.running.ss += u128::from(x.unsigned_abs()).pow(2);
        }
    }

    /// The codes of a group.
    fn codes(&self, groups: usize) -> Act {
        let (vec, at) = (self.params.vec, &self.at);
        let amax = self.token_stats[at.quant_token].amax;
        let code = |i: usize| {
            let x = self.vectors[(at.quant_token * groups + at.quant_group) * vec + i];
            let (mag, negative) = Self::product(x, self.gains[at.quant_group * vec + i]);
            quantise(mag, negative, amax, 127)
        };
        let codes: Vec<i64> = (0..vec).map(code).collect();
        Act { token: at.quant_token, index: at.quant_group, data: Bits::pack_signed(8, &codes) }
    }
}

impl Block for Norm {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, _power_up: PowerUp) -> Self {
        Self {
            cmd: Skid::new(),
            gain: Skid::new(),
            x: [Skid::new(), Skid::new()],
            at: Progress::default(),
            gains: vec![0; params.max_len],
            vectors: vec![0; params.batch * params.max_len],
            running: Stat::default(),
            stat_pipe: Delay::new(params.stat_latency()),
            token_stats: vec![Stat::default(); params.batch],
            code_pipe: Delay::new(params.code_latency()),
            acts: Fifo::new(ACT_CREDITS),
            held: 0,
            scale_fetched: false,
            scaling: None,
            scale_out: None,
            sat_inc: false,
            sat: false,
            params: params.clone(),
        }
    }

    fn out(&self) -> Out {
        let mut out = Out {
            cmd_ready: self.cmd.ready(),
            gain_ready: self.gain.ready(),
            x0_ready: self.x[0].ready(),
            x1_ready: self.x[1].ready(),
            sat: self.sat,
            sat_inc: self.sat_inc,
            ..Out::default()
        };
        if let Some(act) = self.acts.peek() {
            out.act_valid = true;
            (out.act_token, out.act_index, out.act_data) = (act.token, act.index, act.data.clone());
        }
        if let Some(s) = &self.scale_out {
            match s.dest {
                0 => (out.s0_valid, out.s0_token, out.s0_scale) = (true, s.token, s.scale.to_bits()),
                _ => (out.s1_valid, out.s1_token, out.s1_scale) = (true, s.token, s.scale.to_bits()),
            }
        }
        out
    }

    fn step(&mut self, i: &In) {
        let run = self.cmd.valid();
        let cmd = self.cmd.head().clone();
        let last_group = cmd.groups.wrapping_sub(1);
        let src = cmd.src & 1;

        // What happens in this cycle, from the state before the edge.
        let gain_take = run && self.gain.valid() && self.at.gains != cmd.groups;
        let words_last = self.params.word_bits / (32 * self.params.vec) - 1;
        let gain_last = self.at.gain_sub == words_last || self.at.gains == last_group;
        let load = run && self.at.load_token != cmd.n && self.x[src].valid() && self.at.load_group < self.at.gains;
        let load_last = self.at.load_group == last_group;
        let quant_done = self.at.quant_token == cmd.n;
        let quant = run && !quant_done && self.at.stats != self.at.quant_token && self.held != ACT_CREDITS;
        let done = run && quant_done && self.at.scaled == cmd.n;
        let s_free = match &self.scale_out {
            None => true,
            Some(s) if s.dest == 0 => i.s0_ready,
            Some(_) => i.s1_ready,
        };
        let scale_fetch = run && self.at.scaled != self.at.stats && !self.scale_fetched && self.scaling.is_none() && s_free;
        let scale_done = self.scaling.as_ref().is_some_and(|s| s.step == SCALE_LATENCY);

        // Scales. The word fetched in the last cycle starts the unit in this one, its step 0.
        if s_free {
            self.scale_out = None;
        }
        let mut sat_inc = false;
        if let Some(s) = &mut self.scaling {
            sat_inc = (s.step == SCALE_TO_NORM + scale_norm::LATENCY && s.norm_sat) || (s.step == SCALE_LATENCY && s.mul_sat);
            s.step += 1;
        }
        if scale_done && let Some(s) = self.scaling.take() {
            self.scale_out = Some(TokenScale { dest: cmd.dest & 1, token: self.at.scaled, scale: s.scale });
            self.at.scaled += 1;
        }
        if self.scale_fetched {
            let (scale, norm_sat, mul_sat) = token_scale(self.token_stats[self.at.scaled], cmd.eps, cmd.c);
            self.scaling = Some(Scaling { step: 1, scale, norm_sat, mul_sat });
        }
        self.scale_fetched = scale_fetch;
        self.sat |= self.sat_inc;
        self.sat_inc = sat_inc;

        // Codes.
        let act = quant.then(|| self.codes(cmd.groups));
        if quant {
            let last = self.at.quant_group == last_group;
            self.at.quant_group = if last { 0 } else { self.at.quant_group + 1 };
            self.at.quant_token += last as usize;
        }
        let code = self.code_pipe.step(i.rst, act);
        let code_valid = code.is_some();
        let taken = self.acts.step(i.rst, code_valid, || code.unwrap_or_default(), i.act_ready);
        self.held = self.held + quant as usize - taken.is_some() as usize;

        // Vectors, then gains: a group's gains are read before others are written.
        let mut vector_done = None;
        if load {
            let group = self.x[src].head().clone();
            self.load(&group, cmd.groups);
            vector_done = load_last.then_some((self.at.load_token, self.running));
            self.at.load_group = if load_last { 0 } else { self.at.load_group + 1 };
            self.at.load_token += load_last as usize;
        }
        if let Some((token, stat)) = self.stat_pipe.step(i.rst, vector_done) {
            self.token_stats[token] = stat;
            self.at.stats += 1;
        }
        if gain_take {
            let word = self.gain.head().clone();
            self.store_gains(&word);
            self.at.gains += 1;
            self.at.gain_sub = if gain_last { 0 } else { self.at.gain_sub + 1 };
        }

        if done || i.rst {
            self.at = Progress::default();
        }
        if i.rst {
            self.held = 0;
            self.scale_fetched = false;
            self.scaling = None;
            self.scale_out = None;
            self.sat_inc = false;
            self.sat = false;
        }
        let new =
            || Cmd { groups: i.cmd_groups, n: i.cmd_n, src: i.cmd_src, dest: i.cmd_dest, eps: i.cmd_eps, c: Scale::from_bits(i.cmd_c) };
        self.cmd.step(i.rst, i.cmd_valid, new, done);
        self.gain.step(i.rst, i.gain_valid, || i.gain_data.clone(), gain_take && gain_last);
        let valid = [i.x0_valid, i.x1_valid];
        let data = [&i.x0_data, &i.x1_data];
        for (s, skid) in self.x.iter_mut().enumerate() {
            skid.step(i.rst, valid[s], || data[s].clone(), load && s == src);
        }
    }
}
