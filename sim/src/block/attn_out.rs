//! `attn_out`: accumulators to attention outputs. A beat is computed when it leaves the skid and travels through a delay line as
//! long as the Verilog's pipeline; a reciprocal is computed when its last cycle comes.

use super::{fifo::Fifo, skid::Skid};
use crate::{
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{
    bits::Bits,
    block::{
        attn::ACC_BITS,
        attn_out::{FIFO_DEPTH, OUT_BITS, Params, RECIPROCAL_CYCLES, STAGES},
        softmax::SUM_BITS,
    },
    numerics::softmax::{Reciprocal, Softmax, output},
};

ports! {
    /// Inputs of `attn_out`.
    pub struct In { rst: bool, sum_valid: bool, sum_s: Bits, sum_e: i8, acc_valid: bool, acc_data: Bits, o_ready: bool }
    /// Outputs of `attn_out`.
    pub struct Out { sum_ready: bool, acc_ready: bool, o_valid: bool, o_data: Bits, sat: bool, sat_inc: usize }
}

/// The block.
pub struct AttnOut {
    params: Params,
    sum: Skid<(Bits, i8)>,
    acc: Skid<Bits>,
    /// Cycle of the reciprocal under way, and its head.
    step: u64,
    head: usize,
    reciprocals: Fifo<Reciprocal>,
    /// Beat of the head that leaves.
    beat: usize,
    /// Entry n is stage n + 1: outputs, and how many of them saturated.
    stages: [Option<(Bits, usize)>; STAGES],
    o: Fifo<Bits>,
    /// Beats between the skid and the taken `o`.
    inside: usize,
    sat: bool,
    sat_inc: usize,
}

impl AttnOut {
    fn reciprocal(&self) -> Reciprocal {
        let (s, e) = self.sum.head();
        Softmax { max: 0, sum: s.get(SUM_BITS * self.head, SUM_BITS), exp: (*e).into(), empty: false }.finish()
    }

    fn outputs(&self, r: Reciprocal) -> (Bits, usize) {
        let acc = self.acc.head();
        let mut o = Bits::zeros(OUT_BITS * self.params.vec);
        let mut saturated = 0;
        for j in 0..self.params.vec {
            let (value, sat) = output(acc.get_signed(ACC_BITS * j, ACC_BITS), r);
            o.set_signed(OUT_BITS * j, OUT_BITS, value.into());
            saturated += sat as usize;
        }
        (o, saturated)
    }
}

impl Block for AttnOut {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, _power_up: PowerUp) -> Self {
        Self {
            params: params.clone(),
            sum: Skid::new(),
            acc: Skid::new(),
            step: 0,
            head: 0,
            reciprocals: Fifo::new(params.reciprocals()),
            beat: 0,
            stages: [const { None }; STAGES],
            o: Fifo::new(FIFO_DEPTH),
            inside: 0,
            sat: false,
            sat_inc: 0,
        }
    }

    fn out(&self) -> Out {
        Out {
            sum_ready: self.sum.ready(),
            acc_ready: self.acc.ready(),
            o_valid: self.o.valid(),
            o_data: self.o.peek().cloned().unwrap_or_default(),
            sat: self.sat,
            sat_inc: self.sat_inc,
        }
    }

    fn step(&mut self, i: &In) {
        // A beat is issued with the oldest reciprocal.
        let issue = self.acc.valid() && self.reciprocals.valid() && self.inside < FIFO_DEPTH;
        let head_end = issue && (self.beat + 1) * self.params.vec == self.params.head_dim;
        let entering = match self.reciprocals.peek() {
            Some(&r) if issue => Some(self.outputs(r)),
            _ => None,
        };
        self.inside = self.inside + issue as usize - (self.o.valid() && i.o_ready) as usize;
        self.beat = if head_end { 0 } else { self.beat + issue as usize };

        // The reciprocal under way.
        let made = self.step == RECIPROCAL_CYCLES - 1;
        let sum_take = made && self.head + 1 == self.params.group;
        let room = self.reciprocals.ready();
        let reciprocal = made.then(|| self.reciprocal());
        self.reciprocals.step(i.rst, made, || reciprocal.unwrap_or(Reciprocal { r: 0, shift: 0 }), head_end);
        self.step = match self.step {
            0 => (self.sum.valid() && room) as u64,
            _ if made => 0,
            n => n + 1,
        };
        if made {
            self.head = if sum_take { 0 } else { self.head + 1 };
        }

        // The stages.
        let leaving = self.stages[STAGES - 1].take();
        self.sat_inc = leaving.as_ref().map_or(0, |l| l.1);
        self.sat |= self.sat_inc > 0;
        self.o.step(i.rst, leaving.is_some(), || leaving.map(|l| l.0).unwrap_or_default(), i.o_ready);
        self.stages.rotate_right(1);
        self.stages[0] = entering;

        self.sum.step(i.rst, i.sum_valid, || (i.sum_s.clone(), i.sum_e), sum_take);
        self.acc.step(i.rst, i.acc_valid, || i.acc_data.clone(), issue);
        if i.rst {
            (self.step, self.head, self.beat, self.inside) = (0, 0, 0, 0);
            (self.sat, self.sat_inc) = (false, 0);
            self.stages = [const { None }; STAGES];
        }
    }
}
