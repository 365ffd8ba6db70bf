//! `rope`: cycle model. A pair is computed when its second sum is taken and travels through the stages as a finished value.

use crate::{
    block::skid::Skid,
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{
    block::rope::{Params, STAGES},
    numerics::{
        RopeRom,
        rope::{phase, rotate, unrotated},
    },
};

ports! {
    /// Inputs of `rope`.
    pub struct In {
        rst: bool, cmd_valid: bool, cmd_pos: u32, cmd_n: u32,
        sum_valid: bool, sum_token: u32, sum_data: i32, pair_ready: bool,
    }
    /// Outputs of `rope`.
    pub struct Out { cmd_ready: bool, sum_ready: bool, pair_valid: bool, pair_token: u32, pair_r0: i64, pair_r1: i64 }
}

/// The pass under way: the next sum is that of `token` in row `second` of `pair` of `head`.
#[derive(Clone, Copy, Debug)]
struct Pass {
    pos: u32,
    n: u32,
    token: u32,
    second: bool,
    pair: usize,
    head: usize,
}

/// Rotation of the heads of a pass.
pub struct Rope {
    params: Params,
    sine: RopeRom,
    cmd: Skid<(u32, u32)>,
    sum: Skid<(u32, i32)>,
    pass: Option<Pass>,
    /// Sums of the pair's first row, by token.
    first: Vec<i32>,
    /// Token, r0, r1; the last entry is the output.
    stages: [Option<(u32, i64, i64)>; STAGES],
}

impl Rope {
    /// The pair that the second sum `b` of `token` completes.
    fn pair(&self, pass: &Pass, token: u32, b: i32) -> (u32, i64, i64) {
        let a = self.first[token as usize];
        let (r0, r1) = match self.params.rotates(pass.head) {
            true => {
                let (sin, cos) = self.sine.sin_cos(phase(pass.pos + token, self.params.steps[pass.pair]));
                rotate(a, b, sin, cos)
            }
            false => (unrotated(a), unrotated(b)),
        };
        (token, r0, r1)
    }

    /// The pass after one more sum; `None` after the last.
    fn advance(&self, mut pass: Pass) -> Option<Pass> {
        pass.token += 1;
        if pass.token < pass.n {
            return Some(pass);
        }
        pass.token = 0;
        pass.second = !pass.second;
        if !pass.second {
            pass.pair += 1;
        }
        if pass.pair == self.params.head_dim / 2 {
            pass.pair = 0;
            pass.head += 1;
        }
        (pass.head < self.params.all_heads()).then_some(pass)
    }
}

impl Block for Rope {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, _power_up: PowerUp) -> Self {
        Self {
            params: params.clone(),
            sine: RopeRom::new(),
            cmd: Skid::new(),
            sum: Skid::new(),
            pass: None,
            first: vec![0; 1 << params.token_bits()],
            stages: [None; STAGES],
        }
    }

    fn out(&self) -> Out {
        let (pair_token, pair_r0, pair_r1) = self.stages[STAGES - 1].unwrap_or_default();
        Out {
            cmd_ready: self.cmd.ready(),
            sum_ready: self.sum.ready(),
            pair_valid: self.stages[STAGES - 1].is_some(),
            pair_token,
            pair_r0,
            pair_r1,
        }
    }

    fn step(&mut self, i: &In) {
        let enable = self.stages[STAGES - 1].is_none() || i.pair_ready;
        let take = self.pass.filter(|_| enable).zip(self.sum.peek().copied());
        let mut next = self.pass;
        let mut done = None;
        if let Some((pass, (token, data))) = take {
            match pass.second {
                false => self.first[token as usize] = data,
                true => done = Some(self.pair(&pass, token, data)),
            }
            next = self.advance(pass);
        }
        if enable {
            self.stages.rotate_right(1);
            self.stages[0] = done;
        }
        let start = next.is_none();
        if start {
            next = self.cmd.peek().map(|&(pos, n)| Pass { pos, n, token: 0, second: false, pair: 0, head: 0 });
        }
        self.pass = next;
        self.cmd.step(i.rst, i.cmd_valid, || (i.cmd_pos, i.cmd_n), start);
        self.sum.step(i.rst, i.sum_valid, || (i.sum_token, i.sum_data), take.is_some());
        if i.rst {
            self.pass = None;
            self.stages = [None; STAGES];
        }
    }
}
