//! The whole accelerator in lockstep: the top of the cycle model and the Verilated top beside each other, behind the same memory and
//! the same host, on passes whose results the integer reference has computed.

use crate::harness::{Case, Design, Environment, Lockstep, Stall};
use anyhow::{Result, ensure};
use std::{
    cell::{Cell, RefCell},
    ops::Range,
    rc::Rc,
};
use tritforge_rtl::bundle;
use tritforge_sim::{
    clocked::PowerUp,
    host::{self, Bench, Op, Outcome},
    memory::{MemConfig, Memory, Timing},
    top::{In, Out, Top},
};
use tritforge_spec::{
    block::Contract,
    descriptor::Descriptor,
    hw::Hw,
    image::{Image, Layout},
    regmap::{CONTROL_SOFT_RESET, IRQ_ALL},
    stall::hash,
    top::Params,
};

/// One pass: what goes in, what must come out.
#[derive(Clone, Debug)]
pub struct Pass {
    pub layer: usize,
    pub pos: usize,
    /// tokens x D.
    pub x: Vec<i32>,
    /// tokens x D, from the integer reference.
    pub y: Vec<i32>,
}

/// What is run: passes in order on an image; memory contents put there before the first.
#[derive(Clone)]
pub struct Job {
    pub image: Image,
    pub passes: Vec<Pass>,
    pub preload: Vec<(u32, Vec<u8>)>,
}

/// Under which conditions.
#[derive(Clone, Debug)]
pub struct Conditions {
    pub seed: u64,
    pub timing: Timing,
    /// Random pauses on every AXI channel.
    pub stalls: bool,
    pub power_up: PowerUp,
    /// Hard resets at random cycles, memory ports reset too.
    pub hard_resets: u32,
    /// Soft resets through the register, in the middle of passes, the memory running on.
    pub soft_resets: u32,
}

impl Conditions {
    /// Conditions of a seed: every kind of memory, stalls and resets occurs.
    pub fn of(seed: u64) -> Self {
        let r = |what: u64, n: u64| hash(seed, what, 0) % n;
        let timing = match r(1, 4) {
            0 => Timing::Ideal,
            k => Timing::Fixed {
                latency: 1 + r(2, 60),
                beats: 1 + r(3, 3) as u32,
                cycles: 3 + (k as u32 - 1) % 2,
                outstanding: 1 + r(4, 8) as usize,
            },
        };
        Conditions {
            seed,
            timing,
            stalls: r(5, 2) == 1,
            power_up: if r(6, 3) == 0 { PowerUp::Zero } else { PowerUp::Random(seed) },
            hard_resets: (r(7, 4) == 0) as u32,
            soft_resets: (r(8, 3) == 0) as u32,
        }
    }
}

impl std::fmt::Display for Conditions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.timing {
            Timing::Ideal => write!(f, "ideal memory")?,
            Timing::Fixed { latency, beats, cycles, outstanding } => {
                write!(f, "memory of latency {latency}, {beats} beats in {cycles} cycles, {outstanding} bursts in flight")?;
            }
        }
        let pauses = if self.stalls { "random pauses" } else { "no pauses" };
        let power = if self.power_up == PowerUp::Zero { "zero" } else { "random" };
        let Self { seed, hard_resets, soft_resets, .. } = self;
        write!(f, ", {pauses}, power-up {power}, seed {seed:#x}, hard resets {hard_resets}, soft resets {soft_resets}")
    }
}

/// What a run compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    pub cycles: u64,
    pub values: u64,
}

/// The top's design: leaves, emitted top, ROM files.
///
/// # Errors
/// The wiring does not fit.
pub fn design(params: &Params) -> Result<Design> {
    Ok(Design {
        top: tritforge_spec::top::STEM.to_owned(),
        sources: bundle::sources(params)?,
        params: Vec::new(),
        roms: params.roms(),
        ports: params.ports(),
        note: hardware(&params.hw),
    })
}

/// A hardware in one line.
fn hardware(hw: &Hw) -> String {
    let numbers = hw.numbers().map(|(name, value)| format!("{name}={value}"));
    format!(" {} theta={}", numbers.join(" "), hw.shape.rope_theta)
}

/// Model and Verilated top of `hw`, built once. `None`, said aloud, without Verilator.
///
/// # Errors
/// As [`design`].
pub fn build(hw: &Hw) -> Result<Option<Lockstep<Top>>> {
    let params = Params::from(hw);
    Ok(Lockstep::with_design(&params, design(&params)?))
}

struct Peer {
    bench: Rc<RefCell<Bench>>,
    reads: Rc<Cell<u64>>,
}

impl Environment<Top> for Peer {
    fn drive(&mut self, cycle: u64, out: &Out, input: &mut In) {
        self.bench.borrow_mut().drive(cycle, out, input);
        self.reads.set(self.reads.get() + u64::from((out.m_arvalid & input.m_arready).count_ones()));
    }
    fn reset(&mut self) {
        self.bench.borrow_mut().restart();
        self.reads.set(0);
    }
}

/// The descriptor of a pass.
pub fn descriptor(hw: &Hw, layout: &Layout, pass: &Pass) -> Descriptor {
    layout.descriptor(pass.layer, 0, pass.pos, pass.x.len() / hw.shape.dim)
}

fn operations(hw: &Hw, job: &Job, conditions: &Conditions) -> Vec<Op> {
    let layout = &job.image.layout;
    let mut ops: Vec<Op> = job.preload.iter().map(|(off, bytes)| Op::Load(*off, bytes.clone())).collect();
    ops.extend(host::setup(hw, layout));
    for (i, pass) in job.passes.iter().enumerate() {
        let tokens = pass.x.len() / hw.shape.dim;
        let descriptor = descriptor(hw, layout, pass);
        let run = host::run_pass(layout, vec![descriptor], pass.x.clone(), tokens);
        if (i as u32) < conditions.soft_resets {
            // The pass is begun, broken off at a random cycle, and then run from its start.
            let cycles = 1 + hash(conditions.seed, 9, i as u64) % 4000;
            ops.extend(run.iter().take_while(|op| **op != Op::WaitIrq).filter(|op| **op != Op::Mark).cloned());
            ops.extend([Op::Wait(cycles), Op::Write("CONTROL", CONTROL_SOFT_RESET.mask()), Op::WaitIdle, Op::Write("IRQ_STATUS", IRQ_ALL)]);
        }
        ops.extend(run);
    }
    ops
}

/// What the host saw of a run.
#[derive(Clone, Debug)]
pub struct Observed {
    pub cycles: u64,
    /// Results of the host's operations, in order.
    pub outcomes: Vec<Outcome>,
    /// Read bursts that the accelerator asked for, all ports.
    pub reads: u64,
}

/// Runs the host's operations `ops` on `image` under `conditions`, addresses in `errors` answering SLVERR: every output of every cycle
/// compared.
///
/// # Errors
/// The report of the first difference, or an AXI rule broken.
pub fn observe(
    rtl: &Lockstep<Top>,
    hw: &Hw,
    image: &Image,
    ops: Vec<Op>,
    conditions: &Conditions,
    errors: Vec<Range<u64>>,
) -> Result<Observed> {
    let memory = MemConfig {
        timing: conditions.timing,
        stalls: conditions.stalls.then_some(conditions.seed),
        max_burst: hw.config.burst,
        errors,
        ..MemConfig::ideal(hw.ports(), hw.port_bits())
    };
    let mut bench = Bench::new(hw, image, Memory::new(memory)?);
    bench.push(ops);
    let (bench, reads) = (Rc::new(RefCell::new(bench)), Rc::new(Cell::new(0)));
    let done = Rc::clone(&bench);
    let case = Case { stall: Stall::None, power_up: conditions.power_up, seed: conditions.seed, resets: conditions.hard_resets };
    let result = rtl
        .bench(&case)
        .under(conditions.to_string())
        .environment(Peer { bench: Rc::clone(&bench), reads: Rc::clone(&reads) })
        .until(move |_, _| done.borrow().done())
        .max_cycles(50_000_000)
        .try_run()
        .map_err(anyhow::Error::msg)?;
    let mut bench = bench.borrow_mut();
    if let Some(fault) = bench.fault() {
        anyhow::bail!("{fault}; seed {:#x}", conditions.seed);
    }
    Ok(Observed { cycles: result.cycles, outcomes: std::mem::take(&mut bench.results), reads: reads.get() })
}

/// Runs `job` under `conditions`: every output of every cycle compared, and every result with the reference's.
///
/// # Errors
/// The report of the first difference: cycle, port, expected, found, seed, command, wave; or the first wrong result.
pub fn run(rtl: &Lockstep<Top>, hw: &Hw, job: &Job, conditions: &Conditions) -> Result<Compared> {
    let seen = observe(rtl, hw, &job.image, operations(hw, job, conditions), conditions, Vec::new())?;
    let found: Vec<&Vec<i32>> = seen.outcomes.iter().filter_map(Outcome::x).collect();
    ensure!(found.len() == job.passes.len(), "{} passes ended, expected {}", found.len(), job.passes.len());
    let mut values = 0;
    for (i, (pass, y)) in job.passes.iter().zip(found).enumerate() {
        if let Some(e) = (0..pass.y.len()).find(|&e| y.get(e) != Some(&pass.y[e])) {
            let (token, element) = (e / hw.shape.dim, e % hw.shape.dim);
            anyhow::bail!(
                "pass {i} (layer {}, position {}): token {token}, element {element}: the integer reference gives {}, hardware and cycle model give {:?}; seed {:#x}",
                pass.layer,
                pass.pos,
                pass.y[e],
                y.get(e),
                conditions.seed
            );
        }
        values += pass.y.len() as u64;
    }
    Ok(Compared { cycles: seen.cycles, values })
}
