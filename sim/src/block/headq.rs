//! `headq`: cycle model. A beat is computed when its read starts and travels through the stages as a finished value.

use crate::{
    block::skid::Skid,
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{
    bits::Bits,
    block::headq::{Params, SCALE_STAGE, STAGES, TOKEN_SCALE_STAGE},
    numerics::{Scale, norm::quantise},
};

ports! {
    /// Inputs of `headq`.
    pub struct In {
        rst: bool, cmd_valid: bool, cmd_n: u32, s_valid: bool, s_token: u32, s_scale: u32,
        pair_valid: bool, pair_token: u32, pair_r0: i64, pair_r1: i64,
        cq: u32, ck: u32, cv: u32, kv_ready: bool, q_ready: bool,
    }
    /// Outputs of `headq`.
    pub struct Out {
        cmd_ready: bool, s_ready: bool, pair_ready: bool,
        kv_valid: bool, kv_kind: bool, kv_head: u32, kv_token: u32, kv_index: u32, kv_last: bool, kv_scale: u32, kv_data: Bits,
        q_valid: bool, q_head: u32, q_token: u32, q_index: u32, q_last: bool, q_scale: u32, q_data: Bits,
        sat: bool, sat_inc: u32,
    }
}

/// What a head is; also the index of its constant scale.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Which {
    #[default]
    K,
    V,
    Q,
}

/// A place in the pass, as a nest of counters.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Of pairs (in) or beats (out).
    index: usize,
    token: u32,
    head: usize,
}

/// The command under way.
#[derive(Clone, Copy, Debug)]
struct Pass {
    n: u32,
    /// Constant scales of K, V, Q.
    constants: [Scale; 3],
    /// Token scales received.
    scales: u32,
    /// Next pair; `None` after the last.
    input: Option<Place>,
    /// Next beat; `None` after the last.
    output: Option<Place>,
}

/// Elements and absmax of one head, by token.
#[derive(Clone, Debug)]
struct Buffer {
    elements: Vec<Vec<i64>>,
    amax: Vec<u64>,
    full: bool,
}

/// A pair between the skid and the buffer.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    buffer: usize,
    token: usize,
    pair: usize,
    r: [i64; 2],
    /// The last pair of its head.
    last: bool,
}

#[derive(Clone, Debug, Default)]
struct Beat {
    which: Which,
    head: u32,
    token: u32,
    index: u32,
    last: bool,
    /// The last beat of the pass.
    end: bool,
    scale: u32,
    codes: Bits,
}

/// Quantiser of heads.
pub struct HeadQ {
    params: Params,
    cmd: Skid<u32>,
    s: Skid<(u32, Scale)>,
    pair: Skid<(u32, i64, i64)>,
    pass: Option<Pass>,
    token_scales: Vec<Scale>,
    buffers: [Buffer; 2],
    fill: usize,
    drain: usize,
    arrivals: [Option<Arrival>; 2],
    /// The last entry is the output.
    stages: [Option<Beat>; STAGES],
    /// Whether the two products of a vector's scale left their range, from its first beat on.
    overflows: [(bool, bool); SCALE_STAGE],
    sat_inc: u32,
    sat: bool,
}

impl HeadQ {
    fn which(&self, head: usize) -> (Which, u32) {
        let hk = self.params.kv_heads;
        match head {
            h if h < hk => (Which::K, h as u32),
            h if h < 2 * hk => (Which::V, (h - hk) as u32),
            h => (Which::Q, (h - 2 * hk) as u32),
        }
    }

    /// Scale of a vector, and which of its two products left the range.
    fn scale(&self, pass: &Pass, place: &Place) -> (Scale, (bool, bool)) {
        let a = self.buffers[self.drain].amax[place.token as usize];
        let (x, x_sat) = Scale::norm(a.into(), 0).mul_sat(self.token_scales[place.token as usize]);
        let (z, z_sat) = x.mul_sat(pass.constants[self.which(place.head).0 as usize]);
        (z, (x_sat, z_sat))
    }

    fn beat(&self, pass: &Pass, place: &Place) -> Beat {
        let p = &self.params;
        let buffer = &self.buffers[self.drain];
        let (which, head) = self.which(place.head);
        let limit = if which == Which::Q { 127 } else { p.kv_limit() };
        let token = place.token as usize;
        let elements = &buffer.elements[token][place.index * p.vec..][..p.vec];
        let codes: Vec<i64> = elements.iter().map(|&r| quantise(r.into(), buffer.amax[token].into(), limit).into()).collect();
        let last = place.index + 1 == p.beats();
        let scale = if last { self.scale(pass, place).0.to_bits() } else { 0 };
        let end = last && place.token + 1 == pass.n && place.head + 1 == p.all_heads();
        Beat { which, head, token: place.token, index: place.index as u32, last, end, scale, codes: Bits::pack_signed(8, &codes) }
    }

    /// An arrival leaves the second register: elements of a pair and their token's absmax are written.
    fn store(&mut self, a: &Arrival) {
        let half = self.params.head_dim / 2;
        let buffer = &mut self.buffers[a.buffer];
        (buffer.elements[a.token][a.pair], buffer.elements[a.token][a.pair + half]) = (a.r[0], a.r[1]);
        let m = a.r[0].unsigned_abs().max(a.r[1].unsigned_abs());
        let amax = &mut buffer.amax[a.token];
        *amax = if a.pair == 0 { m } else { m.max(*amax) };
        buffer.full |= a.last;
    }
}

/// The place after `p` when tokens count fastest (pairs) within `rows` and `heads`.
fn next_pair(mut p: Place, n: u32, rows: usize, heads: usize) -> Option<Place> {
    p.token += 1;
    if p.token == n {
        (p.token, p.index) = (0, p.index + 1);
    }
    if p.index == rows {
        (p.index, p.head) = (0, p.head + 1);
    }
    (p.head < heads).then_some(p)
}

/// The place after `p` when beats count fastest.
fn next_beat(mut p: Place, n: u32, beats: usize, heads: usize) -> Option<Place> {
    p.index += 1;
    if p.index == beats {
        (p.index, p.token) = (0, p.token + 1);
    }
    if p.token == n {
        (p.token, p.head) = (0, p.head + 1);
    }
    (p.head < heads).then_some(p)
}

impl Block for HeadQ {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, _power_up: PowerUp) -> Self {
        let tokens = 1 << params.token_bits();
        let buffer = Buffer { elements: vec![vec![0; params.head_dim]; tokens], amax: vec![0; tokens], full: false };
        Self {
            params: params.clone(),
            cmd: Skid::new(),
            s: Skid::new(),
            pair: Skid::new(),
            pass: None,
            token_scales: vec![Scale::ZERO; tokens],
            buffers: [buffer.clone(), buffer],
            fill: 0,
            drain: 0,
            arrivals: [None; 2],
            stages: Default::default(),
            overflows: Default::default(),
            sat_inc: 0,
            sat: false,
        }
    }

    fn out(&self) -> Out {
        let beat = self.stages[STAGES - 1].clone();
        let (kv, q) = match beat {
            Some(b) if b.which == Which::Q => (None, Some(b)),
            other => (other, None),
        };
        let (kv_valid, q_valid) = (kv.is_some(), q.is_some());
        let (kv, q) = (kv.unwrap_or_default(), q.unwrap_or_default());
        Out {
            cmd_ready: self.cmd.ready(),
            s_ready: self.s.ready(),
            pair_ready: self.pair.ready(),
            kv_valid,
            kv_kind: kv.which == Which::V,
            kv_head: kv.head,
            kv_token: kv.token,
            kv_index: kv.index,
            kv_last: kv.last,
            kv_scale: kv.scale,
            kv_data: kv.codes,
            q_valid,
            q_head: q.head,
            q_token: q.token,
            q_index: q.index,
            q_last: q.last,
            q_scale: q.scale,
            q_data: q.codes,
            sat: self.sat,
            sat_inc: self.sat_inc,
        }
    }

    fn step(&mut self, i: &In) {
        let (pairs, beats, heads) = (self.params.head_dim / 2, self.params.beats(), self.params.all_heads());
        let mut next = self.pass;
        // Beats out: decided on the state before this edge.
        let output = &self.stages[STAGES - 1];
        let ready = output.as_ref().is_none_or(|b| if b.which == Which::Q { i.q_ready } else { i.kv_ready });
        let done = ready && output.as_ref().is_some_and(|b| b.end);
        let start = self.pass.filter(|p| p.scales == p.n && self.buffers[self.drain].full).and_then(|p| Some((p, p.output?)));
        let mut released = None;
        self.sat |= self.sat_inc != 0;
        self.sat_inc = 0;
        if ready {
            let (x, z) = (self.overflows[TOKEN_SCALE_STAGE - 1].0, self.overflows[SCALE_STAGE - 1].1);
            self.sat_inc = x as u32 + z as u32;
            let first = start.filter(|(_, place)| place.index == 0);
            let overflow = first.map(|(pass, place)| self.scale(&pass, &place).1);
            let beat = start.map(|(pass, place)| self.beat(&pass, &place));
            self.stages.rotate_right(1);
            self.stages[0] = beat;
            self.overflows.rotate_right(1);
            self.overflows[0] = overflow.unwrap_or_default();
            if let (Some((_, place)), Some(pass)) = (start, &mut next) {
                pass.output = next_beat(place, pass.n, beats, heads);
                if pass.output.is_none_or(|o| o.head != place.head) {
                    released = Some(self.drain);
                    self.drain ^= 1;
                }
            }
        }
        // Pairs in.
        let input = self.pass.filter(|_| !self.buffers[self.fill].full).and_then(|p| Some((p, p.input?)));
        let arrival = input.zip(self.pair.peek().copied()).map(|((pass, place), (token, r0, r1))| {
            let last = place.token + 1 == pass.n && place.index + 1 == pairs;
            Arrival { buffer: self.fill, token: token as usize, pair: place.index, r: [r0, r1], last }
        });
        if let (Some(a), Some((_, place)), Some(pass)) = (&arrival, input, &mut next) {
            pass.input = next_pair(place, pass.n, pairs, heads);
            self.fill ^= a.last as usize;
        }
        let [first, second] = self.arrivals;
        if let Some(a) = second {
            self.store(&a);
        }
        self.arrivals = [arrival, first];
        if let Some(buffer) = released {
            self.buffers[buffer].full = false;
        }
        // Token scales, command.
        let take_scale = self.pass.is_some_and(|p| p.scales != p.n);
        if let (true, Some(&(token, scale)), Some(pass)) = (take_scale, self.s.peek(), &mut next) {
            self.token_scales[token as usize] = scale;
            pass.scales += 1;
        }
        let take_cmd = self.pass.is_none() || done;
        if take_cmd {
            let begin = Some(Place::default());
            let constants = [i.ck, i.cv, i.cq].map(Scale::from_bits);
            next = self.cmd.peek().map(|&n| Pass { n, constants, scales: 0, input: begin, output: begin });
        }
        self.pass = next;
        self.cmd.step(i.rst, i.cmd_valid, || i.cmd_n, take_cmd);
        self.s.step(i.rst, i.s_valid, || (i.s_token, Scale::from_bits(i.s_scale)), take_scale);
        self.pair.step(i.rst, i.pair_valid, || (i.pair_token, i.pair_r0, i.pair_r1), input.is_some());
        if i.rst {
            self.reset();
        }
    }
}

impl HeadQ {
    fn reset(&mut self) {
        self.pass = None;
        self.buffers.iter_mut().for_each(|b| b.full = false);
        (self.fill, self.drain) = (0, 0);
        self.arrivals = [None; 2];
        self.stages = Default::default();
        self.overflows = Default::default();
        (self.sat, self.sat_inc) = (false, 0);
    }
}
