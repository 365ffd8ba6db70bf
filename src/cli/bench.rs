//! `tritforge bench sim`: how fast the cycle model is beside Verilator, in one run.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use serde::Serialize;
use tritforge_sim::clocked::{Block, PowerUp};
use tritforge_sim::host::{self, Bench, Machine};
use tritforge_sim::memory::{MemConfig, Memory, Timing};
use tritforge_sim::system::{Mode, System};
use tritforge_sim::top::Top;
use tritforge_spec::config::AccelConfig;
use tritforge_spec::hw::Hw;
use tritforge_spec::image::Image;
use tritforge_spec::top::Params;
use tritforge_testbench::harness::{Flavor, Solo, verilator};
use tritforge_testbench::machine;

use super::output::JsonArgs;
use super::{Outcome as Exit, output};
use crate::CheckFailed;
use crate::compile::{Job, Target, Workload};
use crate::configs;

/// Measure speed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The cycle model against Verilator (-O3, native, no trace): one layer, prefill of 32 tokens and 8 decoded, batch 1, memory of 40
    /// cycles latency, one thread; medians of interleaved runs. Every result must be the integer reference's, the cycles of every
    /// pass must be the same in the RTL, in step mode and in skip mode. Bars: skip mode 50 times Verilator, timing only 500 times.
    ///
    /// Example: tritforge bench sim --lanes 80 --repeats 5 --json bench.json
    Sim(SimArgs),
}

#[derive(Debug, clap::Args)]
struct SimArgs {
    /// The model: GGUF, a folder or safetensors file of Hugging Face, or llama2.c's.
    #[arg(long, value_name = "FILE", default_value = "models/stories3m.tq1_0.gguf")]
    model: PathBuf,
    /// Lanes to measure; 80 are fed by one 128-bit port, 320 by four.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = [80, 320])]
    lanes: Vec<usize>,
    /// Interleaved runs of each.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    repeats: u32,
    #[command(flatten)]
    json: JsonArgs,
}

#[derive(Debug, Serialize)]
struct Run {
    lanes: usize,
    hw_hash: String,
    verilator: String,
    /// Cycles of one run, equal in all.
    cycles: u64,
    verilator_hz: f64,
    /// Skip mode, all values.
    model_hz: f64,
    ratio: f64,
    /// Skip mode, timing only.
    timing_hz: f64,
    timing_ratio: f64,
    /// Step mode, all values.
    step_hz: f64,
    step_ratio: f64,
    /// Timing only, all layers of the model: those at one position repeat each other.
    layers: usize,
    layers_timing_hz: f64,
    layers_timing_ratio: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    kind: &'static str,
    command: String,
    runs: Vec<Run>,
}

impl Run {
    fn values(&self) -> f64 {
        self.ratio
    }
    fn timing(&self) -> f64 {
        self.timing_ratio
    }
}

/// Bars of skip mode against Verilator: with all values, timing only.
const BARS: [f64; 2] = [50.0, 500.0];
const PREFILL: usize = 32;
const DECODE: usize = 8;
const LATENCY: u64 = 40;

/// Cycles of every pass, of the whole run, and seconds.
#[derive(Debug)]
struct Timed {
    passes: Vec<u64>,
    cycles: u64,
    seconds: f64,
}

impl Timed {
    fn hz(&self) -> f64 {
        self.cycles as f64 / self.seconds
    }
}

fn memory(hw: &Hw) -> anyhow::Result<Memory> {
    let timing = Timing::Fixed { latency: LATENCY, beats: 1, cycles: 1, outstanding: 64 };
    Ok(Memory::new(MemConfig { timing, ..MemConfig::ideal(hw.ports(), hw.port_bits()) })?)
}

/// Runs all jobs, cycle by cycle; holds that the results are the reference's.
fn timed(machine: &mut impl Machine, hw: &Hw, image: &Image, jobs: &[&Job]) -> anyhow::Result<Timed> {
    let mut bench = Bench::new(hw, image, memory(hw)?);
    let mut cycle = 0;
    bench.push(host::setup(hw, &image.layout));
    machine.reset();
    host::run(machine, &mut bench, &mut cycle, |_| anyhow::Ok(()))?;
    let (mut passes, mut results) = (Vec::with_capacity(jobs.len()), Vec::with_capacity(jobs.len()));
    let (first, begun) = (cycle, Instant::now());
    for job in jobs {
        let p = &job.pass;
        let descriptor = image.layout.descriptor(p.layer, p.slot, p.pos, job.count);
        bench.push(host::run_pass(&image.layout, vec![descriptor], p.x.clone(), job.count));
        host::run(machine, &mut bench, &mut cycle, |_| anyhow::Ok(()))?;
        let ran = bench.ran();
        passes.push(ran.end - ran.start);
        results.push(ran.y);
    }
    let seconds = begun.elapsed().as_secs_f64();
    check(&results, jobs)?;
    Ok(Timed { passes, cycles: cycle - first, seconds })
}

/// Runs all jobs in skip mode, with values or timing only.
fn skipped(hw: &Hw, image: &Image, jobs: &[&Job], values: bool) -> anyhow::Result<Timed> {
    let mut system = System::new(hw, image, memory(hw)?, PowerUp::Zero)?;
    system.set_mode(Mode::Skip);
    let (mut passes, mut results) = (Vec::with_capacity(jobs.len()), Vec::with_capacity(jobs.len()));
    let (first, begun) = (system.cycle(), Instant::now());
    for job in jobs {
        let p = &job.pass;
        if values {
            let result = system.pass(p, &mut |_, _| {})?;
            passes.push(result.stats.cycles);
            results.push(result.y);
        } else {
            passes.push(system.time(p.layer, p.slot, p.pos, job.count)?.cycles);
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    if values {
        check(&results, jobs)?;
    }
    Ok(Timed { passes, cycles: system.cycle() - first, seconds })
}

fn check(results: &[Vec<i32>], jobs: &[&Job]) -> anyhow::Result<()> {
    let right = results.len() == jobs.len() && results.iter().zip(jobs).all(|(y, j)| *y == j.expected);
    hold(right, || "results differ from the integer reference: run `tritforge verify` with this configuration".into())
}

/// A check that failed unless it is right.
fn hold(right: bool, what: impl FnOnce() -> String) -> anyhow::Result<()> {
    if right { Ok(()) } else { Err(CheckFailed(what()).into()) }
}

fn median(mut v: Vec<f64>) -> f64 {
    v.sort_by(f64::total_cmp);
    v[v.len() / 2]
}

fn measure(args: &SimArgs, lanes: usize) -> anyhow::Result<Run> {
    let name = if lanes > 80 { configs::KV260 } else { configs::SMALL };
    let config = AccelConfig { lanes, batch: 1, ..AccelConfig::from_toml(name)? };
    let target = Target::with_config(&args.model, config)?;
    let hw = &target.hw;
    let image = target.image()?;
    let vocab = target.int.vocab as u32;
    let prompt: Vec<u32> = (0..PREFILL as u32).map(|i| (1 + 97 * i) % vocab).collect();
    let work = Workload::new(&target.int, hw, &prompt, DECODE)?;
    let jobs: Vec<&Job> = work.jobs.iter().filter(|j| j.pass.layer == 0).collect();
    let params = Params::from(hw);
    output::note(format_args!("building {lanes} lanes with Verilator -O3 -march=native"));
    let design = machine::design(&params)?;
    let all: Vec<&Job> = work.jobs.iter().collect();
    let (mut hz, mut cycles) = ([const { Vec::new() }; 5], 0);
    for repeat in 0..args.repeats {
        let mut rtl = Solo::<Top>::new(&design, Flavor::Fast)?.context("Verilator: expected on PATH or in .tools/; run `make tools`")?;
        let rtl = timed(&mut rtl, hw, &image, &jobs)?;
        let step = timed(&mut Top::new(&params, PowerUp::Zero), hw, &image, &jobs)?;
        let skip = skipped(hw, &image, &jobs, true)?;
        let timing = skipped(hw, &image, &jobs, false)?;
        let layers = skipped(hw, &image, &all, false)?;
        for (name, other) in [("step mode", &step), ("skip mode", &skip), ("timing only", &timing)] {
            if let Some(i) = (0..jobs.len()).find(|&i| rtl.passes.get(i) != other.passes.get(i)) {
                let (r, o) = (rtl.passes.get(i), other.passes.get(i));
                hold(false, || format!("cycles of pass {i} differ: RTL {r:?}, {name} {o:?}; run `tritforge verify`"))?;
            }
            hold(rtl.cycles == other.cycles, || format!("cycles of the run differ: RTL {}, {name} {}", rtl.cycles, other.cycles))?;
        }
        cycles = rtl.cycles;
        for (list, run) in hz.iter_mut().zip([&rtl, &step, &skip, &timing, &layers]) {
            list.push(run.hz());
        }
        let [r, s, k, t, l] = [&rtl, &step, &skip, &timing, &layers].map(Timed::hz);
        output::note(format_args!(
            "  run {}: Verilator {r:.0} Hz, step {s:.0} Hz, skip {k:.0} Hz, timing only {t:.0} Hz, all layers {l:.0} Hz",
            repeat + 1
        ));
    }
    let [verilator_hz, step_hz, model_hz, timing_hz, layers_timing_hz] = hz.map(median);
    Ok(Run {
        lanes,
        hw_hash: format!("{:016x}", image.hw_hash),
        verilator: verilator().map_or_else(String::new, |v| v.version.clone()),
        cycles,
        verilator_hz,
        model_hz,
        ratio: model_hz / verilator_hz,
        timing_hz,
        timing_ratio: timing_hz / verilator_hz,
        step_hz,
        step_ratio: step_hz / verilator_hz,
        layers: target.int.layers.len(),
        layers_timing_hz,
        layers_timing_ratio: layers_timing_hz / verilator_hz,
    })
}

pub(super) fn run(args: Args) -> anyhow::Result<Exit> {
    let What::Sim(args) = args.what;
    let runs = args.lanes.iter().map(|&l| measure(&args, l)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut out = args.json.text();
    let report = Report { kind: "measured", command: output::command(), runs };
    let runs = &report.runs;
    let version = runs.first().map_or("", |r| r.verilator.as_str());
    writeln!(out, "{}: {}", report.kind, report.command)?;
    writeln!(out, "medians of {} interleaved runs, one thread; {version}, -O3 -march=native, no trace", args.repeats)?;
    writeln!(out, "lanes    cycles  Verilator Hz    step Hz   ratio     skip Hz   ratio   timing Hz   ratio")?;
    for r in runs {
        writeln!(
            out,
            "{:>5} {:>9}  {:>12.0} {:>10.0}  {:>6.2}  {:>10.0}  {:>6.1}  {:>10.0}  {:>6.1}",
            r.lanes, r.cycles, r.verilator_hz, r.step_hz, r.step_ratio, r.model_hz, r.ratio, r.timing_hz, r.timing_ratio
        )?;
    }
    for r in runs {
        let (l, hz, ratio) = (r.layers, r.layers_timing_hz, r.layers_timing_ratio);
        writeln!(out, "{:>5} lanes, all {l} layers of the model, timing only: {hz:.0} Hz, {ratio:.1} times Verilator", r.lanes)?;
    }
    for (what, bar, of) in [("with all values", BARS[0], Run::values as fn(&Run) -> f64), ("timing only", BARS[1], Run::timing)] {
        let worst = runs.iter().map(of).fold(f64::INFINITY, f64::min);
        let verdict = if worst >= bar { "reached" } else { "not reached" };
        writeln!(out, "skip mode {what}: at least {worst:.1} times Verilator; the bar of {bar:.0} is {verdict}")?;
    }
    args.json.write(&report)?;
    Ok(Exit::Held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_keys_that_scripts_rely_on() {
        let run = Run {
            lanes: 80,
            hw_hash: String::new(),
            verilator: "Verilator".into(),
            cycles: 1,
            verilator_hz: 1.0,
            model_hz: 1.0,
            ratio: 1.0,
            timing_hz: 1.0,
            timing_ratio: 1.0,
            step_hz: 1.0,
            step_ratio: 1.0,
            layers: 1,
            layers_timing_hz: 1.0,
            layers_timing_ratio: 1.0,
        };
        let json = serde_json::to_value(Report { kind: "measured", command: String::new(), runs: vec![run] }).unwrap();
        let keys = |v: &serde_json::Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        insta::assert_debug_snapshot!([keys(&json), keys(&json["runs"][0])]);
    }
}
