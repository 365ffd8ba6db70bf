//! `tritforge sim`: the attention sub-layers of a prompt on the cycle model, checked against the integer reference.

use std::path::PathBuf;

use anyhow::{Context, bail};
use tritforge_sim::clocked::PowerUp;
use tritforge_sim::memory::{MemConfig, Memory, Timing};
use tritforge_sim::stats::PassStats;
use tritforge_sim::system::System;
use tritforge_spec::hw::Hw;

use super::output::JsonArgs;
use super::progress::Progress;
use super::{Outcome, output};
use crate::compile::{Job, Target, Workload};
use crate::report::cycles::{self, LayerCycles, SimReport};
use crate::report::timeline;

/// Simulate the attention sub-layers of a model cycle by cycle.
///
/// The cycle model runs every block of the accelerator in every cycle (step mode). The rest of the model (feed-forward, head) runs in the
/// integer reference in between, which also gives the result that every pass must match bit for bit: exit code 1 where one does not.
///
/// Example: tritforge sim --model models/stories3m.tq1_0.gguf --config configs/small.toml --prompt "Once upon a time" --decode 4
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model, GGUF.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// The accelerator configuration, TOML (configs/*.toml).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Text of the prompt; BOS is put before it.
    #[arg(long, value_name = "TEXT", conflicts_with = "tokens", required_unless_present = "tokens")]
    prompt: Option<String>,
    /// Token ids of the prompt, as they are: 1,403,407.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    tokens: Option<Vec<u32>>,
    /// Layers to simulate, first..end; all without it.
    #[arg(long, value_name = "A..B")]
    layers: Option<String>,
    /// Greedy tokens to decode after the prompt.
    #[arg(long, value_name = "N", default_value_t = 0)]
    decode: usize,
    /// Memory behind the AXI ports: ideal, or LATENCY[,BEATS/CYCLES[,OUTSTANDING]] in cycles, a port.
    #[arg(long, value_name = "SPEC", default_value = "40")]
    memory: String,
    /// Write the timeline (opens in Perfetto) to FILE.
    #[arg(long, value_name = "FILE")]
    timeline: Option<PathBuf>,
    #[command(flatten)]
    json: JsonArgs,
}

/// Reads `ideal` or `LATENCY[,BEATS/CYCLES[,OUTSTANDING]]`.
pub(super) fn memory_config(hw: &Hw, spec: &str) -> anyhow::Result<MemConfig> {
    let mut config = MemConfig::ideal(hw.ports(), hw.port_bits());
    let refused = || format!("--memory: expected ideal or LATENCY[,BEATS/CYCLES[,OUTSTANDING]] as 40,3/4,8, found '{spec}'");
    if spec != "ideal" {
        let parts: Vec<&str> = spec.split(',').collect();
        if parts.len() > 3 {
            bail!(refused());
        }
        let latency = parts[0].parse().ok().with_context(refused)?;
        let (beats, cycles) = match parts.get(1) {
            None => (1, 1),
            Some(rate) => {
                let (b, c) = rate.split_once('/').with_context(refused)?;
                (b.parse().ok().with_context(refused)?, c.parse().ok().with_context(refused)?)
            }
        };
        let outstanding = parts.get(2).map_or(Ok(64), |n| n.parse()).ok().with_context(refused)?;
        config.timing = Timing::Fixed { latency, beats, cycles, outstanding };
    }
    config.validate()?;
    Ok(config)
}

fn layer_range(text: Option<&str>, layers: usize) -> anyhow::Result<std::ops::Range<usize>> {
    let Some(text) = text else { return Ok(0..layers) };
    let range = text.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    match range {
        Some(r) if r.start < r.end && r.end <= layers => Ok(r),
        _ => bail!("--layers: expected A..B within 0..{layers} (the model's layers), found '{text}'"),
    }
}

/// One simulated pass.
pub struct Simulated {
    pub layer: usize,
    pub pos: usize,
    pub decode: bool,
    pub stats: PassStats,
}

/// What a simulation gave.
pub struct Simulation {
    pub report: SimReport,
    pub passes: Vec<Simulated>,
    /// The first value that differs from the reference.
    pub mismatch: Option<String>,
    pub counters: Vec<(&'static str, u64)>,
}

/// Runs a workload's passes of the layers in `layers` on the cycle model.
///
/// # Errors
/// The hardware reported an error or the image does not fit.
pub fn simulate(target: &Target, work: &Workload, layers: std::ops::Range<usize>, memory: &str) -> anyhow::Result<Simulation> {
    let hw = &target.hw;
    let image = target.image()?;
    let mut system = System::new(hw, &image, Memory::new(memory_config(hw, memory)?)?, PowerUp::Zero)?;
    let jobs: Vec<&Job> = work.jobs.iter().filter(|j| layers.contains(&j.pass.layer)).collect();
    let progress = Progress::new(jobs.len() as u64, "simulating");
    let mut by_layer = vec![LayerCycles::default(); layers.len()];
    let (mut passes, mut mismatch) = (Vec::new(), None);
    let (mut bound, mut values) = (0, 0u64);
    for job in jobs {
        let result = system.pass(&job.pass, &mut |_, _| {})?;
        if let Some(i) = (0..job.expected.len()).find(|&i| result.y.get(i) != Some(&job.expected[i])) {
            let (t, d) = (i / hw.shape.dim, i % hw.shape.dim);
            mismatch = Some(format!(
                "layer {}, position {}, element {d}: expected {} (integer reference), found {:?} (cycle model)",
                job.pass.layer,
                job.pass.pos + t,
                job.expected[i],
                result.y.get(i)
            ));
            break;
        }
        values += job.expected.len() as u64;
        bound += cycles::bound(hw, &result.stats);
        cycles::add(&mut by_layer[job.pass.layer - layers.start], &result.stats, job.decode.is_some());
        passes.push(Simulated { layer: job.pass.layer, pos: job.pass.pos, decode: job.decode.is_some(), stats: result.stats });
        progress.tick();
    }
    progress.finish();
    let total: u64 = by_layer.iter().map(|l| l.cycles).sum();
    let decoded = work.tokens.len() - work.prompt;
    let (tokens, token_cycles) = if decoded > 0 { (decoded, by_layer.iter().map(|l| l.decode_cycles).sum()) } else { (work.prompt, total) };
    let report = SimReport {
        kind: "simulated",
        config: hw.config.name.clone(),
        hw_hash: format!("{:016x}", image.hw_hash),
        memory: memory.to_owned(),
        clock_mhz: hw.config.clock_mhz,
        cycles: total,
        prompt_tokens: work.prompt,
        decoded_tokens: decoded,
        passes: work.passes,
        layers: by_layer,
        tokens_per_second: tokens as f64 * hw.config.clock_mhz * 1e6 / (token_cycles as f64).max(1.0),
        bound_share: bound as f64 / (total as f64).max(1.0),
        values_checked: values,
        padding_share: cycles::padding(hw),
    };
    let counters = system.counters()?;
    Ok(Simulation { report, passes, mismatch, counters })
}

/// The timeline of a simulation.
pub fn timeline_of(sim: &Simulation) -> serde_json::Value {
    let entries: Vec<_> = sim.passes.iter().map(|p| timeline::Entry { layer: p.layer, pos: p.pos, stats: &p.stats }).collect();
    timeline::trace(&entries, sim.report.clock_mhz)
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    let target = Target::open(&args.model, &args.config)?;
    let tokens = match (&args.tokens, &args.prompt) {
        (Some(ids), _) => ids.clone(),
        (None, Some(text)) => target.tokenizer.encode_with_bos(text)?,
        (None, None) => bail!("prompt: give --prompt or --tokens"),
    };
    let layers = layer_range(args.layers.as_deref(), target.hw.shape.layers)?;
    let work = Workload::new(&target.int, &target.hw, &tokens, args.decode)?;
    let sim = simulate(&target, &work, layers, &args.memory)?;
    let mut out = args.json.text();
    if let Some(mismatch) = &sim.mismatch {
        writeln!(out, "MISMATCH {mismatch}").context("cannot write to standard output")?;
        return Ok(Outcome::Failed);
    }
    write!(out, "{}", cycles::text(&sim.report)).context("cannot write to standard output")?;
    let text = target.tokenizer.decode(&work.tokens)?;
    writeln!(out, "text: {text}").context("cannot write to standard output")?;
    if let Some(path) = &args.timeline {
        output::write_file(path, &serde_json::to_vec(&timeline_of(&sim))?)?;
    }
    args.json.write(&sim.report)?;
    Ok(Outcome::Held)
}
