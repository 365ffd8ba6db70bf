//! `tritforge sim`: the attention sub-layers of a prompt on the cycle model, checked against the integer reference.

use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Context, bail};
use tritforge_sim::memory::{MemConfig, Timing};
use tritforge_sim::system::Mode;
use tritforge_spec::hw::Hw;

use super::output::JsonArgs;
use super::simulate::{Run, gantt_of, simulate, timeline_of};
use super::{Outcome, output};
use crate::compile::{Target, Workload};
use crate::report::wave::Wave;
use crate::report::{context, cycles};

/// Simulate the attention sub-layers of a model cycle by cycle.
///
/// In skip mode times are computed word by word, not cycle by cycle, and values pass by pass; step mode runs every block of the
/// accelerator in every cycle, as the Verilog does, and also compares the hardware's counters. Both give the same cycles and the
/// same values. The rest of the model (feed-forward, head) runs in the integer reference in between, which also gives the result
/// that every pass must match bit for bit: exit code 1 where one does not.
///
/// Example: tritforge sim --model models/stories3m.tq1_0.gguf --config configs/small.toml --prompt "Once upon a time" --decode 4
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: GGUF, a folder or safetensors file of Hugging Face, or llama2.c's.
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
    /// How the cycles are run; the passes that a wave shows are stepped in any case.
    #[arg(long, value_enum, value_name = "MODE", default_value_t = ModeArg::Skip)]
    mode: ModeArg,
    /// Cycles only, no values: the continuation is not known then, only its length. Skip mode.
    #[arg(long, conflicts_with = "wave")]
    timing_only: bool,
    /// Memory behind the AXI ports: ideal, or LATENCY[,BEATS/CYCLES[,OUTSTANDING]] in cycles, a port.
    #[arg(long, value_name = "SPEC", default_value = "40")]
    memory: String,
    /// Write the timeline (opens in Perfetto) to FILE.
    #[arg(long, value_name = "FILE")]
    timeline: Option<PathBuf>,
    /// Write the stage Gantt of the last token over all layers (SVG) to FILE.
    #[arg(long, value_name = "FILE")]
    gantt: Option<PathBuf>,
    /// Write the plot of a decode pass's cycles against the positions in the KV cache (layer 0, the same memory; SVG) to FILE.
    #[arg(long, value_name = "FILE")]
    context_plot: Option<PathBuf>,
    /// Write a wave (FST where FILE ends in .fst, else VCD) of all streams and levels between the blocks to FILE.
    #[arg(long, value_name = "FILE")]
    wave: Option<PathBuf>,
    /// Cycles of the wave, first..end, counted from reset; all without it.
    #[arg(long, value_name = "A..B", requires = "wave")]
    wave_cycles: Option<String>,
    #[command(flatten)]
    json: JsonArgs,
}

/// `--mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ModeArg {
    /// Times word by word, values pass by pass.
    Skip,
    /// Every block in every cycle.
    Step,
}

/// Positions of the context plot.
const PLOTTED: usize = 33;

/// Slower memories would look like a machine that stands still.
const MAX_LATENCY: u64 = 1_000_000;
const MAX_CYCLES_A_BEAT: u32 = 10_000;

/// Reads `ideal` or `LATENCY[,BEATS/CYCLES[,OUTSTANDING]]`.
pub fn memory_config(hw: &Hw, spec: &str) -> anyhow::Result<MemConfig> {
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
        if !(1..=MAX_LATENCY).contains(&latency) || cycles > MAX_CYCLES_A_BEAT {
            bail!(
                "--memory: expected a latency of 1 to {MAX_LATENCY} cycles and a rate in at most {MAX_CYCLES_A_BEAT} cycles, found '{spec}'"
            );
        }
        config.timing = Timing::Fixed { latency, beats, cycles, outstanding };
    }
    config.validate()?;
    Ok(config)
}

fn cycle_window(text: &str) -> anyhow::Result<Range<u64>> {
    let range = text.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    range.filter(|r| r.start < r.end).with_context(|| format!("--wave-cycles: expected A..B with A below B, found '{text}'"))
}

fn layer_range(text: Option<&str>, layers: usize) -> anyhow::Result<Range<usize>> {
    let Some(text) = text else { return Ok(0..layers) };
    let range = text.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    match range {
        Some(r) if r.start < r.end && r.end <= layers => Ok(r),
        _ => bail!("--layers: expected A..B within 0..{layers} (the model's layers), found '{text}'"),
    }
}

/// The command line again, for reports.
fn command(args: &Args) -> String {
    let mut c = format!("tritforge sim --model {} --config {}", args.model.display(), args.config.display());
    if let Some(ids) = &args.tokens {
        c += &format!(" --tokens {}", ids.iter().map(u32::to_string).collect::<Vec<_>>().join(","));
    } else if let Some(text) = &args.prompt {
        c += &format!(" --prompt {text:?}");
    }
    if let Some(layers) = &args.layers {
        c += &format!(" --layers {layers}");
    }
    if args.mode == ModeArg::Step {
        c += " --mode step";
    }
    if args.timing_only {
        c += " --timing-only";
    }
    format!("{c} --decode {} --memory {}", args.decode, args.memory)
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    let target = Target::open(&args.model, &args.config)?;
    let tokens = match (&args.tokens, &args.prompt) {
        (Some(ids), _) => ids.clone(),
        (None, Some(text)) => target.tokenizer()?.encode_with_bos(text)?,
        (None, None) => bail!("prompt: give --prompt or --tokens"),
    };
    [&args.wave, &args.timeline, &args.gantt, &args.context_plot].into_iter().flatten().try_for_each(|path| output::check(path))?;
    if args.timing_only && args.mode == ModeArg::Step {
        bail!("--timing-only: expected skip mode, found --mode step; leave one of the two out");
    }
    let layers = layer_range(args.layers.as_deref(), target.hw.shape.layers)?;
    memory_config(&target.hw, &args.memory)?;
    let window = args.wave_cycles.as_deref().map(cycle_window).transpose()?.unwrap_or(0..u64::MAX);
    let workload = if args.timing_only { Workload::shape_only } else { Workload::new };
    let work = workload(&target.int, &target.hw, &tokens, args.decode)?;
    let mode = if args.mode == ModeArg::Step { Mode::Step } else { Mode::Skip };
    let seen = if args.wave.is_some() { window.clone() } else { 0..0 };
    let run = Run { layers, memory: &args.memory, mode, window: seen, command: command(&args) };
    let mut wave = args.wave.as_ref().map(|path| Wave::new(path, window, target.hw.config.clock_mhz));
    let sim = simulate(&target, &work, &run, &mut |cycle, top| wave.as_mut().map_or(Ok(()), |w| w.see(cycle, top)))?;
    if let (Some(path), Some(wave)) = (&args.wave, wave) {
        output::write_file(path, &wave.finish()?)?;
    }
    let mut out = args.json.text();
    if let Some(mismatch) = &sim.mismatch {
        writeln!(out, "MISMATCH {mismatch}").context("cannot write to standard output")?;
        return Ok(Outcome::Failed);
    }
    write!(out, "{}", cycles::text(&sim.report)).context("cannot write to standard output")?;
    if !args.timing_only {
        let said = match target.tokenizer() {
            Ok(tokenizer) => format!("text (integer reference): {}", tokenizer.decode(&work.tokens)?),
            Err(_) => format!("ids (integer reference; the model has no tokenizer that can be used): {:?}", work.tokens),
        };
        writeln!(out, "{said}").context("cannot write to standard output")?;
    }
    if let Some(path) = &args.timeline {
        output::write_file(path, &serde_json::to_vec(&timeline_of(&sim))?)?;
    }
    if let Some(path) = &args.gantt {
        output::write_file(path, gantt_of(&sim)?.as_bytes())?;
    }
    if let Some(path) = &args.context_plot {
        let curve = context::measure(&target, memory_config(&target.hw, &args.memory)?, PLOTTED)?;
        let subtitle = context::subtitle(&args.model.display().to_string(), &args.memory);
        output::write_file(path, context::svg(&[curve], &subtitle)?.as_bytes())?;
    }
    args.json.write(&sim.report)?;
    Ok(Outcome::Held)
}
