//! `tritforge verify`: cycle model and Verilated RTL of the whole accelerator in lockstep.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Serialize;
use tritforge_sim::top::Top;
use tritforge_spec::hw::Hw;
use tritforge_spec::image::Image;
use tritforge_spec::random::Rng;
use tritforge_spec::random_hw;
use tritforge_spec::reference::random::residual_rows;
use tritforge_spec::reference::{AttnParams, IntModel, KvCache, Reference, Saturations};
use tritforge_testbench::harness::{Lockstep, verilator};
use tritforge_testbench::machine;

use super::output::JsonArgs;
use super::{Outcome, output};
use crate::compile::{Target, Workload};

/// Prove cycle model and RTL equal: every cycle, every bit, under random memories, stalls, power-up state and resets.
///
/// The Verilated top of the given model and configuration runs beside the cycle model; every ready, valid, AXI handshake and level is compared in
/// every cycle, every payload while its valid is high, and every result with the integer reference. A difference prints cycle, port, expected, found,
/// seed, the command to repeat it, and leaves a wave of the cycles before it. Exit code 1 on any difference.
///
/// Example: tritforge verify --model models/stories3m.tq1_0.gguf --config configs/small.toml --seconds 60 --random-configs 2 --seed 7
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: GGUF, a folder or safetensors file of Hugging Face, or llama2.c's.
    #[arg(long, value_name = "FILE", requires = "config")]
    model: Option<PathBuf>,
    /// The accelerator configuration, TOML.
    #[arg(long, value_name = "FILE", requires = "model")]
    config: Option<PathBuf>,
    /// Simulate for this long after the builds.
    #[arg(long, value_name = "S", default_value_t = 30)]
    seconds: u64,
    /// Stop after this many runs, even if time is left.
    #[arg(long, value_name = "N")]
    runs: Option<u64>,
    /// Seed of conditions and drawn configurations.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Draw and build this many random configurations with random models beside the given one.
    #[arg(long, value_name = "K", default_value_t = 0)]
    random_configs: u64,
    #[command(flatten)]
    json: JsonArgs,
}

#[derive(Debug, Serialize)]
struct Report {
    kind: &'static str,
    command: String,
    configurations: usize,
    /// Of each configuration.
    hw_hashes: Vec<String>,
    seed: u64,
    runs: u64,
    cycles_compared: u64,
    values_compared: u64,
    mismatches: u64,
    seconds: f64,
}

struct Candidate {
    name: String,
    hw: Hw,
    rtl: Lockstep<Top>,
    job: machine::Job,
}

/// Tokens of the prefill and decoded tokens that a run of a real model has: several passes over all its layers.
const PROMPT_TOKENS: usize = 6;
const DECODE_TOKENS: usize = 2;

fn of_model(target: &Target) -> anyhow::Result<machine::Job> {
    let vocab = target.int.vocab as u32;
    let prompt: Vec<u32> = (0..PROMPT_TOKENS as u32).map(|i| (1 + 97 * i) % vocab).collect();
    let work = Workload::new(&target.int, &target.hw, &prompt, DECODE_TOKENS)?;
    let pass = |j: crate::compile::Job| machine::Pass { layer: j.pass.layer, pos: j.pass.pos, x: j.pass.x, y: j.expected };
    Ok(machine::Job { image: target.image()?, passes: work.jobs.into_iter().map(pass).collect(), preload: Vec::new() })
}

fn of_random(hw: &Hw, int: &IntModel, seed: u64) -> anyhow::Result<machine::Job> {
    let layers: Vec<&AttnParams> = int.layers.iter().map(|l| &l.attn).collect();
    let reference = Reference::new(int, hw.config.rom_log2, hw.config.rom_bits);
    let (mut cache, mut rng) = (KvCache::new(int), Rng::new(seed));
    let (mut passes, mut pos) = (Vec::new(), 0);
    while passes.len() < 8 {
        let n = 1 + rng.below(hw.config.batch as u64) as usize;
        let x = residual_rows(&mut rng, n * hw.shape.dim);
        let y = reference.attention(0, &x, pos, &mut cache.layers[0], &mut (), &mut Saturations::default());
        passes.push(machine::Pass { layer: 0, pos, x, y });
        pos += n;
    }
    Ok(machine::Job { image: Image::build(hw, &layers, 0)?, passes, preload: Vec::new() })
}

fn build(name: String, hw: Hw, job: machine::Job) -> anyhow::Result<Candidate> {
    output::note(format_args!(
        "building {name}: {} lanes, {} x {} bits, batch {}, vec {}",
        hw.config.lanes,
        hw.ports(),
        hw.port_bits(),
        hw.config.batch,
        hw.config.vec
    ));
    let rtl = machine::build(&hw)?.context("Verilator is gone: it was there when the command began")?;
    Ok(Candidate { name, hw, rtl, job })
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    if verilator().is_none() {
        bail!("Verilator: expected in .tools/bin or on PATH, found in neither; run `make tools`");
    }
    let mut candidates = Vec::new();
    if let (Some(model), Some(config)) = (&args.model, &args.config) {
        let target = Target::open(model, config)?;
        let job = of_model(&target)?;
        candidates.push(build(format!("{} with {}", model.display(), config.display()), target.hw.clone(), job)?);
    }
    for k in 0..args.random_configs {
        let seed = args.seed.wrapping_add(k);
        let (hw, model) = random_hw::hardware(seed);
        let job = of_random(&hw, &model.build(seed), seed)?;
        candidates.push(build(format!("drawn configuration {seed}"), hw, job)?);
    }
    if candidates.is_empty() {
        bail!("nothing to verify: give --model and --config, or --random-configs K, or both");
    }
    let begun = Instant::now();
    let (mut runs, mut cycles, mut values, mut mismatches) = (0u64, 0, 0, 0);
    let mut out = args.json.text();
    // Every configuration runs at least once.
    while runs < candidates.len() as u64 || begun.elapsed() < Duration::from_secs(args.seconds) {
        if args.runs.is_some_and(|n| runs >= n) {
            break;
        }
        let c = &candidates[runs as usize % candidates.len()];
        let conditions = machine::Conditions::of(args.seed.wrapping_add(runs));
        match machine::run(&c.rtl, &c.hw, &c.job, &conditions) {
            Ok(compared) => {
                cycles += compared.cycles;
                values += compared.values;
            }
            Err(error) => {
                mismatches += 1;
                writeln!(out, "MISMATCH in {}: {error:#}", c.name)?;
            }
        }
        runs += 1;
    }
    let report = Report {
        kind: "simulated",
        command: output::command(),
        configurations: candidates.len(),
        hw_hashes: candidates.iter().map(|c| format!("{:016x}", c.job.image.hw_hash)).collect(),
        seed: args.seed,
        runs,
        cycles_compared: cycles,
        values_compared: values,
        mismatches,
        seconds: begun.elapsed().as_secs_f64(),
    };
    writeln!(
        out,
        "{}: {}\n{} runs over {} configuration(s) (hw {}), seed {}: {cycles} cycles compared in every port, {values} results equal to the integer reference, {mismatches} mismatches ({:.1} s, measured)",
        report.kind,
        report.command,
        report.runs,
        report.configurations,
        report.hw_hashes.join(", "),
        report.seed,
        report.seconds
    )?;
    args.json.write(&report)?;
    Ok(if mismatches == 0 { Outcome::Held } else { Outcome::Failed })
}
