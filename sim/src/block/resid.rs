//! `resid`: the scaled residual add for the tokens of a pass. The partner of `rtl/verilog/resid.sv`.
//! An element's result is computed where its sum is taken, and written to memory when the pipeline would.

use super::{fifo::Fifo, skid::Skid};
use crate::{
    clocked::{Block, PowerUp},
    delay::Delay,
    ports,
};
use tritforge_spec::{
    bits::Bits,
    block::{
        resid::{OUT_CREDITS, Params, SUM_LATENCY},
        scale_mul,
    },
    numerics::{Scale, resid::residual},
};

ports! {
    /// Inputs of `resid`.
    pub struct In {
        rst: bool,
        cmd_valid: bool, cmd_n: usize,
        x_valid: bool, x_data: Bits,
        s_valid: bool, s_token: usize, s_scale: u32,
        sum_valid: bool, sum_token: usize, sum_data: i32,
        y_ready: bool,
        co: u32,
    }
    /// Outputs of `resid`.
    pub struct Out {
        cmd_ready: bool, x_ready: bool, s_ready: bool, sum_ready: bool,
        y_valid: bool, y_data: Bits,
        sat: bool, sat_inc: u8,
    }
}

/// Progress of the command; all zero between commands.
#[derive(Clone, Debug, Default)]
struct Progress {
    load_token: usize,
    load_group: usize,
    scales_taken: usize,
    scales_written: usize,
    token: usize,
    row: usize,
    /// Groups whose rows are written for all tokens.
    groups_done: usize,
    emit_token: usize,
    emit_group: usize,
}

/// A result on its way to memory.
#[derive(Clone, Debug)]
struct Sum {
    address: usize,
    y: i32,
    saturations: u8,
    group_last: bool,
}

/// State of `resid`.
pub struct Resid {
    params: Params,
    cmd: Skid<usize>,
    x: Skid<Bits>,
    s: Skid<(usize, Scale)>,
    sum: Skid<(usize, i32)>,
    at: Progress,
    /// Vectors of the pass, token by token.
    memory: Vec<i32>,
    scales: Vec<Scale>,
    /// Products on their way: token, scale, saturated.
    scale_pipe: Delay<(usize, Scale, bool)>,
    /// The last stage writes.
    sum_pipe: Delay<Sum>,
    read: Delay<Bits>,
    y: Fifo<Bits>,
    /// Groups in the read register and the FIFO.
    held: usize,
    sat: bool,
}

impl Resid {
    fn sat_inc(&self) -> u8 {
        let sum = self.sum_pipe.out().map_or(0, |s| s.saturations);
        sum + self.scale_pipe.out().is_some_and(|s| s.2) as u8
    }
}

impl Block for Resid {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, _power_up: PowerUp) -> Self {
        Self {
            cmd: Skid::new(),
            x: Skid::new(),
            s: Skid::new(),
            sum: Skid::new(),
            at: Progress::default(),
            memory: vec![0; params.batch * params.dim],
            scales: vec![Scale::ZERO; params.batch.next_power_of_two().max(2)],
            scale_pipe: Delay::new(scale_mul::LATENCY),
            sum_pipe: Delay::new(SUM_LATENCY - 1),
            read: Delay::new(1),
            y: Fifo::new(OUT_CREDITS),
            held: 0,
            sat: false,
            params: params.clone(),
        }
    }

    fn out(&self) -> Out {
        Out {
            cmd_ready: self.cmd.ready(),
            x_ready: self.x.ready(),
            s_ready: self.s.ready(),
            sum_ready: self.sum.ready(),
            y_valid: self.y.valid(),
            y_data: self.y.peek().cloned().unwrap_or_default(),
            sat: self.sat,
            sat_inc: self.sat_inc(),
        }
    }

    fn step(&mut self, i: &In) {
        let (run, n) = (self.cmd.valid(), *self.cmd.head());
        let (vec, dim) = (self.params.vec, self.params.dim);
        let groups = dim / vec;
        let sat_inc = self.sat_inc();

        // What happens in this cycle, from the state before the edge.
        let at = &self.at;
        let loaded = at.load_token == n;
        let load = run && self.x.valid() && !loaded;
        let scale_take = run && self.s.valid() && at.scales_taken != n;
        let sum_take = run && self.sum.valid() && loaded && at.scales_written == n && at.row != dim;
        let open = if at.emit_token == 0 { at.emit_group < at.groups_done } else { at.groups_done == groups };
        let emit = run && at.emit_token != n && open && !sum_take && self.held != OUT_CREDITS;
        let done = run && at.emit_token == n;

        // Reads come before the writes of the same edge.
        let read = emit.then(|| {
            let first = at.emit_token * dim + at.emit_group * vec;
            let group: Vec<i64> = self.memory[first..first + vec].iter().map(|&x| x.into()).collect();
            Bits::pack_signed(32, &group)
        });
        let sum = sum_take.then(|| {
            let (token, acc) = *self.sum.head();
            let address = at.token * dim + at.row;
            let (y, saturations) = residual(self.memory[address], acc, self.scales[token]);
            let group_last = at.token + 1 == n && (at.row + 1).is_multiple_of(vec);
            Sum { address, y, saturations: saturations as u8, group_last }
        });

        if load {
            let first = at.load_token * dim + at.load_group * vec;
            for l in 0..vec {
                self.memory[first + l] = self.x.head().get_signed(32 * l, 32) as i32;
            }
        }
        let at = &mut self.at;
        if load {
            let last = at.load_group + 1 == groups;
            at.load_group = if last { 0 } else { at.load_group + 1 };
            at.load_token += last as usize;
        }
        let product = scale_take.then(|| {
            let (token, scale) = *self.s.head();
            let (product, sat) = scale.mul_sat(Scale::from_bits(i.co));
            (token, product, sat)
        });
        at.scales_taken += scale_take as usize;
        if let Some((token, scale, _)) = self.scale_pipe.step(i.rst, product) {
            self.scales[token] = scale;
            at.scales_written += 1;
        }
        if sum_take {
            let last = at.token + 1 == n;
            at.token = if last { 0 } else { at.token + 1 };
            at.row += last as usize;
        }
        if let Some(s) = self.sum_pipe.step(i.rst, sum) {
            self.memory[s.address] = s.y;
            at.groups_done += s.group_last as usize;
        }
        if emit {
            let last = at.emit_group + 1 == groups;
            at.emit_group = if last { 0 } else { at.emit_group + 1 };
            at.emit_token += last as usize;
        }
        let fetched = self.read.step(i.rst, read);
        let y_valid = fetched.is_some();
        let taken = self.y.step(i.rst, y_valid, || fetched.unwrap_or_default(), i.y_ready);
        self.held = self.held + emit as usize - taken.is_some() as usize;
        self.sat |= sat_inc != 0;

        if done || i.rst {
            self.at = Progress::default();
        }
        if i.rst {
            (self.held, self.sat) = (0, false);
        }
        self.cmd.step(i.rst, i.cmd_valid, || i.cmd_n, done);
        self.x.step(i.rst, i.x_valid, || i.x_data.clone(), load);
        self.s.step(i.rst, i.s_valid, || (i.s_token, Scale::from_bits(i.s_scale)), scale_take);
        self.sum.step(i.rst, i.sum_valid, || (i.sum_token, i.sum_data), sum_take);
    }
}
