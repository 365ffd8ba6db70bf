//! `softmax`: scores to weights of V for the G heads of a group. A position is computed when it leaves the skid and travels
//! through a delay line as long as the Verilog's pipeline: nothing in there ever waits or depends on a later position.

use super::{fifo::Fifo, skid::Skid};
use crate::{
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{
    bits::Bits,
    block::softmax::{
        DOT_BITS, FIFO_DEPTH, Params, SAT_STAGE, SCALE_BITS, SHIFT_BITS, STAGES, SUM_BITS, SUM_DEPTH, SUM_STAGE, WEIGHT_BITS,
    },
    numerics::{self, Scale, Softmax as State, SoftmaxRom},
};

ports! {
    /// Inputs of `softmax`.
    pub struct In {
        rst: bool,
        score_valid: bool, score_dot: Bits, score_sq: Bits, score_sk: u32, score_sv: u32, score_first: bool, score_last: bool,
        p_ready: bool, sum_ready: bool,
    }
    /// Outputs of `softmax`.
    pub struct Out {
        score_ready: bool,
        p_valid: bool, p_w: Bits, p_sh: Bits,
        sum_valid: bool, sum_s: Bits, sum_e: i8,
        sat: bool, sat_inc: usize,
    }
}

/// A position of all heads, as `score` brings it.
#[derive(Clone, Debug, Default)]
struct Score {
    dot: Bits,
    sq: Bits,
    sk: u32,
    sv: u32,
    first: bool,
    last: bool,
}

/// What a position gives.
#[derive(Clone, Debug)]
struct Position {
    w: Bits,
    sh: Bits,
    sum: Option<(Bits, i8)>,
    saturated: usize,
}

/// The block.
pub struct Softmax {
    group: usize,
    rom: SoftmaxRom,
    score: Skid<Score>,
    heads: Vec<State>,
    /// Entry n is stage n + 1.
    stages: [Option<Position>; STAGES],
    p: Fifo<(Bits, Bits)>,
    sum: Fifo<(Bits, i8)>,
    /// Positions between the skid and the taken p.
    inside: usize,
    /// Heads whose last position is inside or whose sum waits.
    ending: usize,
    sat: bool,
    sat_inc: usize,
}

impl Softmax {
    /// Whether the head of the skid goes on in this cycle: there is room for what it gives.
    fn issues(&self) -> bool {
        let room = |s: &Score| self.inside < FIFO_DEPTH && !(s.last && self.ending == SUM_DEPTH);
        self.score.peek().is_some_and(room)
    }

    fn compute(&mut self, score: &Score) -> Position {
        let g = self.group;
        let (sk, sv) = (Scale::from_bits(score.sk), Scale::from_bits(score.sv));
        let mut position = Position { w: Bits::zeros(WEIGHT_BITS * g), sh: Bits::zeros(SHIFT_BITS * g), sum: None, saturated: 0 };
        let mut sums = Bits::zeros(SUM_BITS * g);
        for (i, head) in self.heads.iter_mut().enumerate() {
            if score.first {
                *head = State::default();
            }
            let sq = Scale::from_bits(score.sq.get(SCALE_BITS * i, SCALE_BITS) as u32);
            let z = numerics::score(score.dot.get_signed(DOT_BITS * i, DOT_BITS) as i32, sk, sq);
            let weight = head.step(&self.rom, z.z, sv);
            position.saturated += z.saturated as usize;
            position.w.set(WEIGHT_BITS * i, WEIGHT_BITS, weight.w.into());
            position.sh.set(SHIFT_BITS * i, SHIFT_BITS, weight.sh.into());
            sums.set(SUM_BITS * i, SUM_BITS, head.sum);
        }
        if score.last {
            position.sum = Some((sums, self.heads[0].exp as i8));
        }
        position
    }
}

impl Block for Softmax {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, _power_up: PowerUp) -> Self {
        Self {
            group: params.group,
            rom: SoftmaxRom::new(params.rom_log2, params.rom_bits),
            score: Skid::new(),
            heads: vec![State::default(); params.group],
            stages: [const { None }; STAGES],
            p: Fifo::new(FIFO_DEPTH),
            sum: Fifo::new(SUM_DEPTH),
            inside: 0,
            ending: 0,
            sat: false,
            sat_inc: 0,
        }
    }

    fn out(&self) -> Out {
        let (p_w, p_sh) = self.p.peek().cloned().unwrap_or_default();
        let (sum_s, sum_e) = self.sum.peek().cloned().unwrap_or_default();
        Out {
            score_ready: self.score.ready(),
            p_valid: self.p.valid(),
            p_w,
            p_sh,
            sum_valid: self.sum.valid(),
            sum_s,
            sum_e,
            sat: self.sat,
            sat_inc: self.sat_inc,
        }
    }

    fn step(&mut self, i: &In) {
        let issue = self.issues();
        let entering = issue.then(|| self.score.head().clone());
        self.inside = self.inside + issue as usize - (self.p.valid() && i.p_ready) as usize;
        let ends = entering.as_ref().is_some_and(|s| s.last);
        self.ending = self.ending + ends as usize - (self.sum.valid() && i.sum_ready) as usize;

        self.sat_inc = self.stages[SAT_STAGE - 1].as_ref().map_or(0, |p| p.saturated);
        self.sat |= self.sat_inc > 0;
        let sum = self.stages[SUM_STAGE - 1].as_mut().and_then(|p| p.sum.take());
        self.sum.step(i.rst, sum.is_some(), || sum.unwrap_or_default(), i.sum_ready);
        let p = self.stages[STAGES - 1].take();
        self.p.step(i.rst, p.is_some(), || p.map(|p| (p.w, p.sh)).unwrap_or_default(), i.p_ready);

        self.stages.rotate_right(1);
        self.stages[0] = entering.map(|s| self.compute(&s));
        let score = || Score {
            dot: i.score_dot.clone(),
            sq: i.score_sq.clone(),
            sk: i.score_sk,
            sv: i.score_sv,
            first: i.score_first,
            last: i.score_last,
        };
        self.score.step(i.rst, i.score_valid, score, issue);
        if i.rst {
            self.stages = [const { None }; STAGES];
            (self.inside, self.ending, self.sat, self.sat_inc) = (0, 0, false, 0);
        }
    }
}
