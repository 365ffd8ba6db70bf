//! `attn`: dot products and value accumulation of a group over a stream of KV blocks. A word takes effect on dot products and
//! accumulators when it leaves the skid; what becomes visible later (a score, the end of a head) goes through a delay line as long
//! as the Verilog's pipeline. No word that is issued meanwhile can see the difference.

use super::{fifo::Fifo, skid::Skid};
use crate::{
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{
    bits::Bits,
    block::{
        attn::{ACC_BITS, HEADER_FIRST, HEADER_LAST, KIND_HEADER, KIND_K, KIND_SCALES, KIND_V, PRODUCT_STAGE, Params, SCORE_DEPTH},
        softmax::{DOT_BITS, SCALE_BITS, SHIFT_BITS, WEIGHT_BITS},
    },
    hw::KV_BLOCK,
    numerics::softmax::{Weight, accumulate},
};

ports! {
    /// Inputs of `attn`.
    pub struct In {
        rst: bool,
        cmd_valid: bool, cmd_n: usize,
        q_valid: bool, q_head: usize, q_token: usize, q_index: usize, q_last: bool, q_scale: u32, q_data: Bits,
        kv_valid: bool, kv_kind: u8, kv_data: Bits,
        p_valid: bool, p_w: Bits, p_sh: Bits,
        score_ready: bool, acc_ready: bool,
    }
    /// Outputs of `attn`.
    pub struct Out {
        cmd_ready: bool, q_ready: bool, kv_ready: bool, p_ready: bool,
        score_valid: bool, score_dot: Bits, score_sq: Bits, score_sk: u32, score_sv: u32, score_first: bool, score_last: bool,
        acc_valid: bool, acc_data: Bits,
        busy: bool,
    }
}

/// A beat of `q`.
#[derive(Clone, Debug, Default)]
struct Q {
    head: usize,
    token: usize,
    last: bool,
    scale: u32,
    data: Bits,
}

/// A position's score.
#[derive(Clone, Debug, Default)]
struct Score {
    dot: Bits,
    sq: Bits,
    sk: u32,
    sv: u32,
    first: bool,
    last: bool,
}

/// Where a finished head's accumulators stand that leave.
#[derive(Clone, Debug, Default)]
struct Leave {
    /// Beats moved.
    beat: usize,
    /// The word is read.
    have: bool,
}

/// The block.
pub struct Attn {
    params: Params,
    cmd: Skid<usize>,
    q: Skid<Q>,
    kv: Skid<(u8, Bits)>,
    p: Skid<(Bits, Bits)>,
    fill: bool,
    run: bool,
    tokens: usize,
    /// Vectors of q still to come.
    vectors: usize,
    fill_beat: usize,
    /// Code of (token·HK + KV head, head of the group, dimension), and scale.
    codes: Vec<i8>,
    scales: Vec<u32>,
    // The block under way.
    positions: usize,
    first: bool,
    last: bool,
    scale_word: usize,
    kv_scales: [u32; 2 * KV_BLOCK],
    pos: usize,
    word: usize,
    head: usize,
    token: usize,
    /// A K or V word was taken in the cycle before.
    busy: bool,
    dot: Vec<i32>,
    /// Accumulator of (head of the group, dimension).
    acc: Vec<i64>,
    /// Scores between the issue of their last K word and the taken score.
    scores: usize,
    /// Entry n is stage n + 1.
    score_stages: Vec<Option<Score>>,
    end_stages: [bool; PRODUCT_STAGE],
    score: Fifo<Score>,
    leaving: bool,
    leave: Option<Leave>,
    out: Skid<Bits>,
}

impl Attn {
    /// The row of the q memory that the current token and KV head use.
    fn row(&self) -> usize {
        self.token * self.params.kv_heads + self.head
    }

    /// The word at the head of `kv` is consumed in this cycle.
    fn takes(&self) -> bool {
        self.run
            && self.kv.peek().is_some_and(|(kind, _)| match *kind {
                KIND_HEADER => self.scores == 0,
                KIND_SCALES | KIND_K => true,
                _ => self.p.valid() && !self.leaving,
            })
    }

    fn write_q(&mut self, beat: &Q) {
        let p = &self.params;
        let row = (beat.token * p.kv_heads + beat.head / p.group) * p.group + beat.head % p.group;
        let at = row * p.head_dim + self.fill_beat * p.vec;
        // An index outside is a fault of the source, which the Verilog's memory ignores.
        if let Some(to) = self.codes.get_mut(at..at + p.vec) {
            for (j, code) in to.iter_mut().enumerate() {
                *code = beat.data.get_signed(8 * j, 8) as i8;
            }
        }
        if beat.last
            && let Some(scale) = self.scales.get_mut(row)
        {
            *scale = beat.scale;
        }
        self.fill_beat = if beat.last { 0 } else { self.fill_beat + 1 };
    }

    fn take_scales(&mut self, data: &Bits) {
        let w = self.params.word_bits;
        for (s, scale) in self.kv_scales.iter_mut().enumerate().filter(|(s, _)| s * 32 / w == self.scale_word) {
            *scale = data.get(s * 32 % w, SCALE_BITS) as u32;
        }
        self.scale_word += 1;
    }

    /// The dimensions that the current word holds, and its codes.
    fn word_codes(&self, data: &Bits) -> (usize, Vec<i8>) {
        let p = &self.params;
        let base = self.word * p.codes_per_word;
        let n = p.codes_per_word.min(p.head_dim - base.min(p.head_dim));
        (base, (0..n).map(|l| data.get_signed(p.kv_bits * l, p.kv_bits) as i8).collect())
    }

    /// A K word; the score when it is the last of its position.
    fn take_k(&mut self, data: &Bits) -> Option<Score> {
        let (base, codes) = self.word_codes(data);
        let (g, hd, row) = (self.params.group, self.params.head_dim, self.row());
        for h in 0..g {
            let q = &self.codes[(row * g + h) * hd + base..][..codes.len()];
            let word: i32 = q.iter().zip(&codes).map(|(&q, &k)| i32::from(q) * i32::from(k)).sum();
            self.dot[h] = if self.word == 0 { word } else { self.dot[h] + word };
        }
        if self.word + 1 < self.params.kv_words() {
            return None;
        }
        let dot: Vec<i64> = self.dot.iter().map(|&d| d.into()).collect();
        let sq: Vec<u64> = self.scales[row * g..][..g].iter().map(|&s| s.into()).collect();
        Some(Score {
            dot: Bits::pack_signed(DOT_BITS, &dot),
            sq: Bits::pack(SCALE_BITS, &sq),
            sk: self.kv_scales[self.pos],
            sv: self.kv_scales[KV_BLOCK + self.pos],
            first: self.first && self.pos == 0,
            last: self.last && self.pos + 1 == self.positions,
        })
    }

    fn take_v(&mut self, data: &Bits) {
        let (base, codes) = self.word_codes(data);
        let hd = self.params.head_dim;
        let (w, sh) = self.p.head();
        let fresh = self.first && self.pos == 0;
        for h in 0..self.params.group {
            let weight = Weight { w: w.get(WEIGHT_BITS * h, WEIGHT_BITS) as u32, sh: sh.get(SHIFT_BITS * h, SHIFT_BITS) as u32 };
            for (acc, &v) in self.acc[h * hd + base..][..codes.len()].iter_mut().zip(&codes) {
                *acc = accumulate(if fresh { 0 } else { *acc }, weight, v);
            }
        }
    }

    /// Counts a K or V word; whether it was the last of the block's phase.
    fn advance(&mut self) -> bool {
        self.word += 1;
        if self.word < self.params.kv_words() {
            return false;
        }
        self.word = 0;
        self.pos += 1;
        let end = self.pos == self.positions;
        if end {
            self.pos = 0;
        }
        end
    }

    /// The last V word of a head was taken.
    fn end_head(&mut self) {
        self.leaving = true;
        self.head += 1;
        if self.head == self.params.kv_heads {
            self.head = 0;
            self.token += 1;
            self.run = self.token < self.tokens;
        }
    }

    /// One cycle of the accumulators' leaving; the beat that moves into the output register.
    fn step_leave(&mut self) -> Option<Bits> {
        let p = &self.params;
        let leave = self.leave.as_mut()?;
        if !leave.have {
            leave.have = true;
            return None;
        }
        if !self.out.ready() {
            return None;
        }
        let beat: Vec<i64> = self.acc[leave.beat * p.vec..][..p.vec].to_vec();
        leave.beat += 1;
        if leave.beat * p.vec == self.acc.len() {
            self.leave = None;
            self.leaving = false;
        }
        Some(Bits::pack_signed(ACC_BITS, &beat))
    }

    fn reset(&mut self) {
        (self.fill, self.run, self.leaving, self.leave) = (false, false, false, None);
        self.scores = 0;
        self.score_stages.fill(None);
        self.end_stages = [false; PRODUCT_STAGE];
    }
}

impl Block for Attn {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, power_up: PowerUp) -> Self {
        let p = params;
        let rows = p.batch * p.kv_heads * p.group;
        Self {
            params: p.clone(),
            cmd: Skid::new(),
            q: Skid::new(),
            kv: Skid::new(),
            p: Skid::new(),
            fill: false,
            run: false,
            tokens: 0,
            vectors: 0,
            fill_beat: 0,
            codes: (0..rows * p.head_dim).map(|i| power_up.word("codes", i as u64) as i8).collect(),
            scales: vec![0; rows],
            positions: 1,
            first: false,
            last: false,
            scale_word: 0,
            kv_scales: [0; 2 * KV_BLOCK],
            pos: 0,
            word: 0,
            head: 0,
            token: 0,
            busy: false,
            dot: vec![0; p.group],
            acc: vec![0; p.group * p.head_dim],
            scores: 0,
            score_stages: vec![None; p.score_stage()],
            end_stages: [false; PRODUCT_STAGE],
            score: Fifo::new(SCORE_DEPTH),
            leaving: false,
            leave: None,
            out: Skid::new(),
        }
    }

    fn out(&self) -> Out {
        let score = self.score.peek().cloned().unwrap_or_default();
        Out {
            cmd_ready: self.cmd.ready(),
            q_ready: self.q.ready(),
            kv_ready: self.kv.ready(),
            p_ready: self.p.ready(),
            score_valid: self.score.valid(),
            score_dot: score.dot,
            score_sq: score.sq,
            score_sk: score.sk,
            score_sv: score.sv,
            score_first: score.first,
            score_last: score.last,
            acc_valid: self.out.valid(),
            acc_data: self.out.peek().cloned().unwrap_or_default(),
            busy: self.busy,
        }
    }

    fn step(&mut self, i: &In) {
        let take_cmd = self.cmd.valid() && !self.fill && !self.run;
        let take_q = self.fill;
        let take_kv = self.takes();
        self.busy = take_kv && !i.rst && matches!(self.kv.head().0, KIND_K | KIND_V);

        // The ends of the pipelines, from the state before this edge.
        let pushed = self.score_stages.pop().flatten();
        let taken = self.score.valid() && i.score_ready;
        self.score.step(i.rst, pushed.is_some(), || pushed.unwrap_or_default(), i.score_ready);
        let moved = self.step_leave();
        self.out.step(i.rst, moved.is_some(), || moved.unwrap_or_default(), i.acc_ready);
        if self.end_stages[PRODUCT_STAGE - 1] {
            self.leave = Some(Leave { beat: 0, have: self.params.kv_words() == 1 });
        }

        // The word that is issued.
        let (mut score, mut head_end, mut take_p) = (None, false, false);
        if take_kv {
            let (kind, data) = self.kv.head().clone();
            match kind {
                KIND_HEADER => {
                    (self.positions, self.first, self.last) =
                        (((data.get(0, 4) + 15) % 16 + 1) as usize, data.get(0, 7) & HEADER_FIRST != 0, data.get(0, 7) & HEADER_LAST != 0);
                    (self.scale_word, self.pos, self.word) = (0, 0, 0);
                }
                KIND_SCALES => self.take_scales(&data),
                KIND_K => {
                    score = self.take_k(&data);
                    self.advance();
                }
                _ => {
                    self.take_v(&data);
                    take_p = self.word + 1 == self.params.kv_words();
                    head_end = self.advance() && self.last;
                }
            }
        }
        self.scores = self.scores + score.is_some() as usize - taken as usize;
        self.score_stages.insert(0, score);
        self.end_stages.rotate_right(1);
        self.end_stages[0] = head_end;
        if head_end {
            self.end_head();
        }

        // q and the command.
        if take_q && self.q.valid() {
            let beat = self.q.head().clone();
            self.write_q(&beat);
            if beat.last {
                self.vectors = self.vectors.saturating_sub(1);
                self.run = self.vectors == 0;
                self.fill = !self.run;
            }
        }
        if take_cmd {
            self.tokens = *self.cmd.head();
            self.vectors = self.tokens * self.params.group * self.params.kv_heads;
            (self.fill, self.fill_beat, self.head, self.token) = (true, 0, 0, 0);
        }

        self.cmd.step(i.rst, i.cmd_valid, || i.cmd_n, take_cmd);
        let beat = || Q { head: i.q_head, token: i.q_token, last: i.q_last, scale: i.q_scale, data: i.q_data.clone() };
        self.q.step(i.rst, i.q_valid, beat, take_q);
        self.kv.step(i.rst, i.kv_valid, || (i.kv_kind, i.kv_data.clone()), take_kv);
        self.p.step(i.rst, i.p_valid, || (i.p_w.clone(), i.p_sh.clone()), take_p);
        if i.rst {
            self.reset();
        }
    }
}
