//! The lockstep runner: model and Verilated RTL get the same inputs, and every output that means something is compared in every
//! cycle from the first one after reset. Also held: no output depends on an input within a cycle, and a valid that waits
//! keeps its payload.

use super::{
    build,
    case::Case,
    design::Design,
    dut::Library,
    pack::Pack,
    rig::Rig,
    streams::{Beat, Run, Slot, Stream, array_len, slots, streams},
};
use crate::builds;
use anyhow::Result;
use std::sync::Arc;
use tritforge_sim::clocked::{Block, PowerUp};
use tritforge_spec::{
    block::{Dir, Interface},
    stall::{go, hash, port_id},
};

/// Soft resets come within this many cycles of each other unless [`Bench::reset_spacing`] says otherwise.
const RESET_SPACING: u64 = 300;

/// A peer of the block that answers its outputs: a memory behind AXI, a bus master.
pub trait Environment<B: Block> {
    /// Called once a cycle after the streams have set their part of `input`; may set or overwrite any of it.
    /// `out` are the outputs of this same cycle. In the cycle of a reset `input.rst` is set and stays so.
    fn drive(&mut self, cycle: u64, out: &B::Out, input: &mut B::In);
    /// The block is being reset: forget transactions under way.
    fn reset(&mut self) {}
    /// Asked before `drive`: reset the block in this cycle, besides the soft resets of the case.
    fn wants_reset(&mut self, _cycle: u64, _out: &B::Out) -> bool {
        false
    }
}

impl<B: Block, F: FnMut(u64, &B::Out, &mut B::In)> Environment<B> for F {
    fn drive(&mut self, cycle: u64, out: &B::Out, input: &mut B::In) {
        self(cycle, out, input);
    }
}

/// A block with its Verilated RTL, ready to run any number of cases.
pub struct Lockstep<B: Block> {
    pub(super) design: Design,
    pub(super) params: B::Params,
    pub(super) library: Arc<Library>,
    pub(super) inputs: Vec<Slot>,
    pub(super) outputs: Vec<Slot>,
    pub(super) streams: Vec<Stream>,
    pub(super) model: fn(&B::Params, PowerUp) -> B,
    pub(super) wave: bool,
}

impl<B: Block> Lockstep<B>
where
    B::Params: Clone,
{
    /// The RTL of the block with `params`, one of those in [`builds`]: built with its pack. `None`, said aloud, without Verilator (a
    /// failure where CI=true). Panics with the tool's words when the RTL does not build or the Rust ports are not the contract's.
    pub fn new(params: &B::Params) -> Option<Self> {
        let made = builds::of_block(&Interface::of(params)).and_then(|(pack, member)| Self::in_pack(params, &pack, member));
        made.unwrap_or_else(|e| panic!("{e:#}"))
    }

    /// As [`Lockstep::new`], built alone and from other sources, such as a planted fault.
    pub fn with_design(params: &B::Params, design: Design) -> Option<Self> {
        Self::try_with_design(params, design).unwrap_or_else(|e| panic!("{e:#}"))
    }

    /// As [`Lockstep::with_design`], with an error instead of a panic.
    pub fn try_with_design(params: &B::Params, design: Design) -> Result<Option<Self>> {
        Self::in_pack(params, &Pack { members: vec![design] }, 0)
    }

    fn in_pack(params: &B::Params, pack: &Pack, member: usize) -> Result<Option<Self>> {
        let design = pack.members[member].clone();
        let inputs = slots::<B::In>(&design, Dir::In)?;
        let outputs = slots::<B::Out>(&design, Dir::Out)?;
        let streams = streams(&design.top, &inputs, &outputs)?;
        let Some(path) = build::library(pack, build::Flavor::Test)? else {
            return Ok(None);
        };
        let library = Library::load(&path, member, array_len(&inputs), array_len(&outputs))?;
        Ok(Some(Self { design, params: params.clone(), library, inputs, outputs, streams, model: B::new, wave: true }))
    }

    /// Reports of differences come without a wave: it needs a build of its own.
    pub fn without_wave(mut self) -> Self {
        self.wave = false;
        self
    }

    /// A run under `case`: add inputs, then [`Bench::run`].
    pub fn bench<'a>(&'a self, case: &Case) -> Bench<'a, B> {
        Bench {
            lockstep: self,
            case: *case,
            conditions: case.to_string(),
            sources: Vec::new(),
            environment: None,
            until: None,
            drain: 256,
            max_cycles: 1_000_000,
            levels_from: 0,
            reset_spacing: RESET_SPACING,
        }
    }
}

type Fill<'a, I> = Box<dyn Fn(&mut I, usize) + 'a>;
type Until<'a, O> = Box<dyn FnMut(u64, &O) -> bool + 'a>;

/// The queue of an input stream.
struct Source<'a, I> {
    stream: usize,
    count: usize,
    fill: Fill<'a, I>,
    next: usize,
    offered: bool,
}

/// One run being set up.
pub struct Bench<'a, B: Block> {
    lockstep: &'a Lockstep<B>,
    case: Case,
    /// In words.
    conditions: String,
    sources: Vec<Source<'a, B::In>>,
    environment: Option<Box<dyn Environment<B> + 'a>>,
    until: Option<Until<'a, B::Out>>,
    drain: u64,
    max_cycles: u64,
    levels_from: u64,
    reset_spacing: u64,
}

impl<'a, B: Block> Bench<'a, B>
where
    B::Params: Clone,
{
    /// Feeds `items` to the input stream `stream`, in order; `fill` writes the payload fields of one item.
    pub fn input<T>(mut self, stream: &str, items: &'a [T], fill: impl Fn(&mut B::In, &T) + 'a) -> Self {
        let index = self
            .lockstep
            .streams
            .iter()
            .position(|s| s.name == stream && s.dir == Dir::In)
            .unwrap_or_else(|| panic!("{} has no input stream {stream}", self.lockstep.design.top));
        self.sources.push(Source {
            stream: index,
            count: items.len(),
            fill: Box::new(move |input, i| fill(input, &items[i])),
            next: 0,
            offered: false,
        });
        self
    }

    /// Lets `environment` drive level inputs and all streams that it answers; a closure (cycle, outputs, inputs) will do.
    pub fn environment(mut self, environment: impl Environment<B> + 'a) -> Self {
        self.environment = Some(Box::new(environment));
        self
    }

    /// Ends the run after the first cycle for which `until(cycle, outputs)` holds, instead of when all is quiet.
    pub fn until(mut self, until: impl FnMut(u64, &B::Out) -> bool + 'a) -> Self {
        self.until = Some(Box::new(until));
        self
    }

    /// Without `until` the run ends when all inputs are consumed and no output was valid for this many cycles (256):
    /// more than the longest silence inside the block.
    pub fn drain(mut self, cycles: u64) -> Self {
        self.drain = cycles;
        self
    }

    /// A run longer than this (1,000,000) fails.
    pub fn max_cycles(mut self, cycles: u64) -> Self {
        self.max_cycles = cycles;
        self
    }

    /// Level outputs are compared from this cycle on (0): for outputs of a memory, defined once it was written.
    pub fn levels_from(mut self, cycle: u64) -> Self {
        self.levels_from = cycle;
        self
    }

    /// Says under which conditions it runs, where the case does not say all.
    pub fn under(mut self, conditions: impl Into<String>) -> Self {
        self.conditions = conditions.into();
        self
    }

    /// A case's soft resets come within this many cycles of each other (300): for blocks with longer work.
    pub fn reset_spacing(mut self, cycles: u64) -> Self {
        self.reset_spacing = cycles.max(1);
        self
    }

    /// Runs; panics with the report of the first mismatch.
    pub fn run(self) -> Run<B::Out> {
        self.try_run().unwrap_or_else(|e| panic!("{e}"))
    }

    /// Runs; the report of the first mismatch is the error.
    pub fn try_run(mut self) -> Result<Run<B::Out>, String> {
        let mut rig = Rig::new(self.lockstep, &self.case, std::mem::take(&mut self.conditions));
        eprintln!("{}: {}", self.lockstep.design.top, rig.conditions);
        rig.power_up_reset();
        let mut run = self.fresh_run();
        let mut resets = Resets::new(&self.case, self.reset_spacing);
        let (mut cycle, mut quiet) = (0u64, 0u64);
        for absolute in 0.. {
            if absolute >= self.max_cycles {
                return Err(rig.report(absolute, &format!("still running after {absolute} cycles; {}", self.progress())));
            }
            let out = rig.model.out();
            rig.compare(&out, cycle >= self.levels_from).map_err(|what| rig.report(absolute, &what))?;
            let reset = self.environment.as_mut().is_some_and(|e| e.wants_reset(cycle, &out)) | resets.at(absolute);
            let input = self.inputs(&rig, cycle, absolute, &out, reset)?;
            let moved = rig.transfers(&input);
            let busy = rig.streams().any(|(s, valid, _)| s.dir == Dir::Out && valid);
            rig.step(&input).map_err(|what| rig.report(absolute, &what))?;
            let done = self.until.as_mut().is_some_and(|until| until(cycle, &out));
            self.account(&mut run, &moved, cycle, &out);
            cycle += 1;
            quiet = if busy || !self.consumed() { 0 } else { quiet + 1 };
            run.cycles = cycle;
            if reset {
                (cycle, quiet) = (0, 0);
                run = self.fresh_run();
                rig.waiting.fill(None);
            } else if resets.done() && (done || self.until.is_none() && quiet >= self.drain) {
                break;
            }
        }
        Ok(run)
    }

    fn fresh_run(&mut self) -> Run<B::Out> {
        for source in &mut self.sources {
            (source.next, source.offered) = (0, false);
        }
        let named = |dir| self.lockstep.streams.iter().filter(move |s| s.dir == dir).map(|s| s.name);
        Run {
            outputs: named(Dir::Out).map(|n| (n, Vec::new())).collect(),
            inputs: named(Dir::In).map(|n| (n, Vec::new())).collect(),
            cycles: 0,
        }
    }

    fn consumed(&self) -> bool {
        self.sources.iter().all(|s| s.next == s.count)
    }

    fn progress(&self) -> String {
        let lines: Vec<String> = self
            .sources
            .iter()
            .map(|s| format!("stream {}: {} of {} words taken", self.lockstep.streams[s.stream].name, s.next, s.count))
            .collect();
        lines.join(", ")
    }

    /// This cycle's inputs: garbage in every payload, then streams, then the environment.
    fn inputs(&mut self, rig: &Rig<B>, cycle: u64, absolute: u64, out: &B::Out, reset: bool) -> Result<B::In, String> {
        let seed = self.case.seed;
        let mut input = rig.garbage(seed, absolute);
        for s in self.lockstep.streams.iter().filter(|s| s.dir == Dir::Out) {
            let ready = !self.case.stall.presses() || go(seed, port_id(s.name), absolute);
            rig.set_bit(&mut input, s.ready, ready);
        }
        for source in &mut self.sources {
            let s = &self.lockstep.streams[source.stream];
            let may = !self.case.stall.idles() || go(seed, port_id(s.name), absolute);
            source.offered = source.next < source.count && (source.offered || may);
            rig.set_bit(&mut input, s.valid, source.offered);
            if source.offered {
                (source.fill)(&mut input, source.next);
            }
        }
        rig.set_reset(&mut input, reset);
        if let Some(environment) = &mut self.environment {
            environment.drive(cycle, out, &mut input);
            rig.set_reset(&mut input, reset);
            if reset {
                environment.reset();
            }
        }
        Ok(input)
    }

    fn account(&mut self, run: &mut Run<B::Out>, moved: &[bool], cycle: u64, out: &B::Out) {
        let (mut i, mut o) = (0, 0);
        for (index, s) in self.lockstep.streams.iter().enumerate() {
            match s.dir {
                Dir::In => {
                    if moved[index] {
                        run.inputs[i].1.push(cycle);
                        if let Some(source) = self.sources.iter_mut().find(|x| x.stream == index) {
                            source.next += 1;
                            source.offered = false;
                        }
                    }
                    i += 1;
                }
                Dir::Out => {
                    if moved[index] {
                        run.outputs[o].1.push(Beat { cycle, out: out.clone() });
                    }
                    o += 1;
                }
            }
        }
    }
}

/// The cycles of the soft resets of a case.
struct Resets(Vec<u64>);

impl Resets {
    fn new(case: &Case, spacing: u64) -> Self {
        let mut at = 0;
        let mut cycles: Vec<u64> = (0..case.resets as u64)
            .map(|i| {
                at += 1 + hash(case.seed, port_id("rst"), i) % spacing;
                at
            })
            .collect();
        cycles.reverse();
        Self(cycles)
    }

    fn at(&mut self, cycle: u64) -> bool {
        let now = self.0.last() == Some(&cycle);
        if now {
            self.0.pop();
        }
        now
    }

    fn done(&self) -> bool {
        self.0.is_empty()
    }
}
