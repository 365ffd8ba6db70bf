//! `tritforge bench sim`: how fast the cycle model is beside Verilator, in one run.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use serde::Serialize;
use tritforge_sim::clocked::{Block, PowerUp};
use tritforge_sim::host::{self, Bench, Outcome};
use tritforge_sim::memory::{MemConfig, Memory, Timing};
use tritforge_sim::top::{In, Out, Top};
use tritforge_spec::config::AccelConfig;
use tritforge_spec::descriptor::{self, Descriptor};
use tritforge_spec::hw::Hw;
use tritforge_spec::image::Image;
use tritforge_spec::top::Params;
use tritforge_testbench::harness::{Flavor, Solo, verilator};
use tritforge_testbench::machine;

use super::Outcome as Exit;
use super::output::JsonArgs;
use crate::compile::{Job, Target, Workload};

/// Measure speed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The cycle model against Verilator (-O3, native, no trace): one layer, prefill of 32 tokens and 8 decoded, batch 1, memory of 40
    /// cycles latency, one thread; medians of interleaved runs; the cycle counts of both must be identical.
    Sim(SimArgs),
}

#[derive(Debug, clap::Args)]
struct SimArgs {
    /// The model, GGUF.
    #[arg(long, value_name = "FILE", default_value = "models/stories3m.tq1_0.gguf")]
    model: PathBuf,
    /// Lanes to measure; 80 are fed by one 128-bit port, 320 by four.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = [80, 320])]
    lanes: Vec<usize>,
    /// Interleaved runs of each.
    #[arg(long, value_name = "N", default_value_t = 5)]
    repeats: usize,
    #[command(flatten)]
    json: JsonArgs,
}

#[derive(Debug, Serialize)]
struct Run {
    lanes: usize,
    verilator: String,
    /// Cycles of one run, equal in both.
    cycles: u64,
    verilator_hz: f64,
    /// Step mode, all values.
    model_hz: f64,
    ratio: f64,
    /// Timing-only skip mode: not built yet.
    timing_hz: Option<f64>,
    timing_ratio: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Report {
    kind: &'static str,
    mode: &'static str,
    runs: Vec<Run>,
}

const PREFILL: usize = 32;
const DECODE: usize = 8;
const LATENCY: u64 = 40;

/// What both machines have in common.
trait Machine {
    fn out(&self) -> Out;
    fn step(&mut self, input: &In);
}

impl Machine for Top {
    fn out(&self) -> Out {
        Block::out(self)
    }
    fn step(&mut self, input: &In) {
        Block::step(self, input);
    }
}

impl Machine for Solo<Top> {
    fn out(&self) -> Out {
        Solo::out(self)
    }
    fn step(&mut self, input: &In) {
        Solo::step(self, input);
    }
}

/// Runs all jobs; gives the cycles and the seconds, and holds that the results are the reference's.
fn timed(machine: &mut dyn Machine, hw: &Hw, image: &Image, jobs: &[&Job]) -> anyhow::Result<(u64, f64)> {
    let timing = Timing::Fixed { latency: LATENCY, beats: 1, cycles: 1, outstanding: 64 };
    let memory = Memory::new(MemConfig { timing, ..MemConfig::ideal(hw.ports(), hw.port_bits()) })?;
    let mut bench = Bench::new(hw, image, memory);
    bench.push(host::setup(hw, &image.layout));
    for job in jobs {
        let tokens = job.pass.x.len() / hw.shape.dim;
        let descriptor = Descriptor {
            opcode: descriptor::Opcode::Attention as u8,
            version: descriptor::VERSION,
            layer: job.pass.layer as u8,
            slot: 0,
            pos: job.pass.pos as u16,
            count: tokens as u8,
            weights: image.layout.layers[job.pass.layer],
            x_in: image.layout.x_in,
            x_out: image.layout.x_out,
        };
        bench.push(host::run_pass(&image.layout, vec![descriptor], job.pass.x.clone(), tokens));
    }
    for _ in 0..2 {
        machine.step(&In { rst: true, ..In::default() });
    }
    let begun = Instant::now();
    let mut cycle = 0;
    while !bench.done() {
        let out = machine.out();
        let mut input = In::default();
        bench.drive(cycle, &out, &mut input);
        machine.step(&input);
        cycle += 1;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let results: Vec<&Vec<i32>> = bench.results.iter().filter_map(|o| if let Outcome::X(x) = o { Some(x) } else { None }).collect();
    anyhow::ensure!(
        results.len() == jobs.len() && results.iter().zip(jobs).all(|(y, j)| **y == j.expected),
        "results differ from the integer reference: run `tritforge verify` with this configuration"
    );
    Ok((cycle, seconds))
}

fn median(mut v: Vec<f64>) -> f64 {
    v.sort_by(f64::total_cmp);
    v[v.len() / 2]
}

fn measure(args: &SimArgs, lanes: usize) -> anyhow::Result<Run> {
    let name = if lanes > 80 { include_str!("../../configs/kv260.toml") } else { include_str!("../../configs/small.toml") };
    let config = AccelConfig { lanes, batch: 1, ..AccelConfig::from_toml(name)? };
    let target = Target::with_config(&args.model, config)?;
    let hw = &target.hw;
    let image = target.image()?;
    let vocab = target.int.vocab as u32;
    let prompt: Vec<u32> = (0..PREFILL as u32).map(|i| (1 + 97 * i) % vocab).collect();
    let work = Workload::new(&target.int, hw, &prompt, DECODE)?;
    let jobs: Vec<&Job> = work.jobs.iter().filter(|j| j.pass.layer == 0).collect();
    let params = Params::from(hw);
    eprintln!("building {lanes} lanes with Verilator -O3 -march=native");
    let design = machine::design(&params)?;
    let (mut rtl_hz, mut model_hz, mut cycles) = (Vec::new(), Vec::new(), 0);
    for repeat in 0..args.repeats.max(1) {
        let mut rtl = Solo::<Top>::new(&design, Flavor::Fast)?.context("Verilator: expected on PATH or in .tools/; run `make tools`")?;
        let (rtl_cycles, rtl_seconds) = timed(&mut rtl, hw, &image, &jobs)?;
        let (model_cycles, model_seconds) = timed(&mut Top::new(&params, PowerUp::Zero), hw, &image, &jobs)?;
        anyhow::ensure!(rtl_cycles == model_cycles, "cycle counts differ: RTL {rtl_cycles}, model {model_cycles}; run `tritforge verify`");
        cycles = rtl_cycles;
        rtl_hz.push(rtl_cycles as f64 / rtl_seconds);
        model_hz.push(model_cycles as f64 / model_seconds);
        eprintln!("  run {}: Verilator {:.0} Hz, step {:.0} Hz", repeat + 1, rtl_hz[repeat], model_hz[repeat]);
    }
    let (verilator_hz, model_hz) = (median(rtl_hz), median(model_hz));
    Ok(Run {
        lanes,
        verilator: verilator().map_or_else(String::new, |v| v.version.clone()),
        cycles,
        verilator_hz,
        model_hz,
        ratio: model_hz / verilator_hz,
        timing_hz: None,
        timing_ratio: None,
    })
}

pub(super) fn run(args: Args) -> anyhow::Result<Exit> {
    let What::Sim(args) = args.what;
    let runs = args.lanes.iter().map(|&l| measure(&args, l)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut out = args.json.text();
    writeln!(out, "measured: step mode (every block, every cycle), medians of {} interleaved runs, one thread", args.repeats.max(1))?;
    writeln!(out, "lanes    cycles  Verilator Hz   step Hz   step/Verilator")?;
    for r in &runs {
        writeln!(out, "{:>5} {:>9}  {:>12.0} {:>9.0}   {:.3}", r.lanes, r.cycles, r.verilator_hz, r.model_hz, r.ratio)?;
    }
    writeln!(out, "Skip mode (bars: 50x with values, 500x timing only) is not built yet: no figure.")?;
    args.json.write(&Report { kind: "measured", mode: "step", runs })?;
    Ok(Exit::Held)
}
