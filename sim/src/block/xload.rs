//! `xload`: super-words to groups, each to both outputs. The partner of `rtl/verilog/xload.sv`.

use super::skid::Skid;
use crate::{
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{bits::Bits, block::xload::Params};

ports! {
    /// Inputs of `xload`.
    pub struct In { rst: bool, cmd_valid: bool, cmd_n: usize, in_valid: bool, in_data: Bits, xn_ready: bool, xr_ready: bool }
    /// Outputs of `xload`.
    pub struct Out { cmd_ready: bool, in_ready: bool, xn_valid: bool, xn_data: Bits, xr_valid: bool, xr_data: Bits }
}

/// State of `xload`.
pub struct Xload {
    params: Params,
    cmd: Skid<usize>,
    input: Skid<Bits>,
    /// Output skids, to `xn` and `xr`.
    outputs: [Skid<Bits>; 2],
    token: usize,
    group: usize,
    sub: usize,
}

impl Block for Xload {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, _power_up: PowerUp) -> Self {
        Self {
            params: params.clone(),
            cmd: Skid::new(),
            input: Skid::new(),
            outputs: [Skid::new(), Skid::new()],
            token: 0,
            group: 0,
            sub: 0,
        }
    }

    fn out(&self) -> Out {
        let [xn, xr] = &self.outputs;
        Out {
            cmd_ready: self.cmd.ready(),
            in_ready: self.input.ready(),
            xn_valid: xn.valid(),
            xn_data: xn.head().clone(),
            xr_valid: xr.valid(),
            xr_data: xr.head().clone(),
        }
    }

    fn step(&mut self, i: &In) {
        let p = &self.params;
        let take = self.cmd.valid() && self.input.valid() && self.outputs.iter().all(Skid::ready);
        let vector_last = self.group + 1 == p.groups();
        let word_last = vector_last || self.sub + 1 == p.groups_per_word();
        let done = take && vector_last && self.token + 1 == *self.cmd.head();
        let bits = 32 * p.vec;
        let at = bits * self.sub;
        let group = if take { self.input.head().slice(at, bits) } else { Bits::default() };
        for (output, ready) in self.outputs.iter_mut().zip([i.xn_ready, i.xr_ready]) {
            output.step(i.rst, take, || group.clone(), ready);
        }
        if i.rst {
            (self.token, self.group, self.sub) = (0, 0, 0);
        } else if take {
            self.sub = if word_last { 0 } else { self.sub + 1 };
            self.group = if vector_last { 0 } else { self.group + 1 };
            self.token = if done { 0 } else { self.token + vector_last as usize };
        }
        self.cmd.step(i.rst, i.cmd_valid, || i.cmd_n, done);
        self.input.step(i.rst, i.in_valid, || i.in_data.clone(), take && word_last);
    }
}
