//! `tritforge sim`: the attention sub-layers of a prompt on the cycle model, checked against the integer reference.

use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Context, bail};
use tritforge_sim::clocked::PowerUp;
use tritforge_sim::memory::{MemConfig, Memory, Timing};
use tritforge_sim::stats::PassStats;
use tritforge_sim::system::{Mode, System};
use tritforge_sim::top::Top;
use tritforge_spec::hw::Hw;
use tritforge_spec::image::Image;

use super::output::JsonArgs;
use super::progress::Progress;
use super::{Outcome, output};
use crate::compile::{Job, Target, Workload};
use crate::report::cycles::{self, Counter, LayerCycles, Phase, SimReport};
use crate::report::gantt::{self, Bar};
use crate::report::timeline;
use crate::report::wave::Wave;

/// Simulate the attention sub-layers of a model cycle by cycle.
///
/// In skip mode cycles that repeat are not evaluated again, and values are computed pass by pass; step mode runs every block of the
/// accelerator in every cycle, as the Verilog does, and also compares the hardware's counters. Both give the same cycles and the
/// same values. The rest of the model (feed-forward, head) runs in the integer reference in between, which also gives the result
/// that every pass must match bit for bit: exit code 1 where one does not.
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
    /// How the cycles are run; the passes that a wave shows are stepped in any case.
    #[arg(long, value_enum, value_name = "MODE", default_value_t = ModeArg::Skip)]
    mode: ModeArg,
    /// Cycles only, no values: the continuation is not known then, only its length. Skip mode.
    #[arg(long, conflicts_with_all = ["wave", "mode"])]
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
    /// Jump over what repeats.
    Skip,
    /// Every block in every cycle.
    Step,
}

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
        if latency > MAX_LATENCY || cycles > MAX_CYCLES_A_BEAT {
            bail!(
                "--memory: expected a latency up to {MAX_LATENCY} cycles and a rate of at most {MAX_CYCLES_A_BEAT} cycles, found '{spec}'"
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
    /// The first value, or counter of the hardware, that differs from what must be.
    pub mismatch: Option<String>,
}

/// What to simulate of a workload.
pub struct Run<'a> {
    pub layers: Range<usize>,
    /// As `--memory`.
    pub memory: &'a str,
    /// Every block in every cycle, or skipping what repeats.
    pub mode: Mode,
    /// Cycles that `see` must see: the passes that they touch run in step mode.
    pub window: Range<u64>,
    /// The command that the report names.
    pub command: String,
}

/// Runs a workload's passes of the chosen layers on the cycle model; `see` looks at every cycle.
///
/// # Errors
/// The image does not fit, or `see` failed. An error that the hardware reports is a mismatch.
pub fn simulate(
    target: &Target,
    work: &Workload,
    run: &Run<'_>,
    see: &mut dyn FnMut(u64, &Top) -> anyhow::Result<()>,
) -> anyhow::Result<Simulation> {
    let hw = &target.hw;
    let image = target.image()?;
    let config = memory_config(hw, run.memory)?;
    let timing = config.timing;
    let mut system = System::new(hw, &image, Memory::new(config.clone())?, PowerUp::Zero)?;
    let jobs: Vec<&Job> = work.jobs.iter().filter(|j| run.layers.contains(&j.pass.layer)).collect();
    let modes = modes(hw, &image, &config, &jobs, run)?;
    let progress = Progress::new(jobs.len() as u64, "simulating");
    let mut layers: Vec<LayerCycles> = run.layers.clone().map(|layer| LayerCycles { layer, ..Default::default() }).collect();
    let (mut prefill, mut decode) = (Phase::default(), Phase::default());
    let (mut passes, mut mismatch, mut values) = (Vec::new(), None, 0u64);
    for (job, &mode) in jobs.iter().zip(&modes) {
        system.set_mode(mode);
        let stats = if job.expected.is_empty() {
            system.time(job.pass.layer, job.pass.slot, job.pass.pos, job.count)?
        } else {
            let mut seen = Ok(());
            let result = system.pass(&job.pass, &mut |cycle, top| {
                if seen.is_ok() {
                    seen = see(cycle, top);
                }
            });
            seen?;
            let result = match result {
                Ok(result) => result,
                Err(error) => {
                    mismatch = Some(format!("layer {}, position {}: {error}", job.pass.layer, job.pass.pos));
                    break;
                }
            };
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
            result.stats
        };
        let phase = if job.decode.is_some() { &mut decode } else { &mut prefill };
        let bound = cycles::memory_bound(&stats, timing);
        cycles::add(&mut layers[job.pass.layer - run.layers.start], phase, &stats, job.decode.is_some(), bound);
        passes.push(Simulated { layer: job.pass.layer, pos: job.pass.pos, decode: job.decode.is_some(), stats });
        progress.tick();
    }
    progress.finish();
    // The registers counted what ran in step mode alone, and say nothing of a run that broke off.
    let whole = mismatch.is_none() && modes.iter().all(|&m| m == Mode::Step);
    let counters = if whole { compare_counters(system.counters()?, &passes) } else { Vec::new() };
    if let Some(c) = counters.iter().find(|c| c.recorder.is_some_and(|r| r != c.hardware)) {
        let found =
            format!("counter {}: expected {:?} (recorder of the model), found {} (hardware register)", c.name, c.recorder, c.hardware);
        mismatch.get_or_insert(found);
    }
    let total: u64 = layers.iter().map(|l| l.cycles).sum();
    let share = |part: u64| part as f64 / (total as f64).max(1.0);
    let decoded = work.decoded();
    let (tokens, token_cycles) = if decoded > 0 { (decoded, decode.cycles) } else { (work.prompt, total) };
    let computing = prefill.waits.computing + decode.waits.computing;
    let beat_bytes = hw.port_bits() as u64 / 8;
    let padding_share = cycles::padding(hw);
    let report = SimReport {
        kind: "simulated",
        command: run.command.clone(),
        config: hw.config.name.clone(),
        hw_hash: format!("{:016x}", image.hw_hash),
        memory: run.memory.to_owned(),
        clock_mhz: hw.config.clock_mhz,
        cycles: total,
        prompt_tokens: work.prompt,
        decoded_tokens: decoded,
        layers,
        tokens_per_second: tokens as f64 * hw.config.clock_mhz * 1e6 / (token_cycles as f64).max(1.0),
        bound_share: share(prefill.memory_bound + decode.memory_bound),
        array_share: share(computing),
        useful_share: share(computing) * (1.0 - padding_share),
        padding_share,
        bytes_read: (prefill.read_beats + decode.read_beats) * beat_bytes,
        bytes_written: (prefill.write_beats + decode.write_beats) * beat_bytes,
        prefill,
        decode,
        values_checked: values,
        mode: if values == 0 {
            "timing only"
        } else if run.mode == Mode::Step {
            "step"
        } else {
            "skip"
        },
        evaluated: (run.mode == Mode::Skip).then(|| system.effort().evaluated),
        counters,
    };
    Ok(Simulation { report, passes, mismatch })
}

/// The mode of every pass. Skip mode knows when each begins and ends before any is run, so only what the window touches is stepped.
fn modes(hw: &Hw, image: &Image, memory: &MemConfig, jobs: &[&Job], run: &Run<'_>) -> anyhow::Result<Vec<Mode>> {
    if run.mode == Mode::Step || run.window.is_empty() {
        return Ok(vec![run.mode; jobs.len()]);
    }
    let mut system = System::new(hw, image, Memory::new(memory.clone())?, PowerUp::Zero)?;
    jobs.iter()
        .map(|job| {
            let first = system.cycle();
            system.time(job.pass.layer, job.pass.slot, job.pass.pos, job.count)?;
            let touched = run.window.start < system.cycle() && first < run.window.end;
            Ok(if touched { Mode::Step } else { Mode::Skip })
        })
        .collect()
}

/// The hardware's counters beside what the recorder saw.
fn compare_counters(hardware: Vec<(&'static str, u64)>, passes: &[Simulated]) -> Vec<Counter> {
    let sum = |f: fn(&PassStats) -> u64| Some(passes.iter().map(|p| f(&p.stats)).sum());
    let recorder = |name| match name {
        "ARRAY_BUSY" => sum(|s| s.array.computing),
        "WAIT_WEIGHTS" => sum(|s| s.array.waiting_weights),
        "WAIT_ACT" => sum(|s| s.array.waiting_activations),
        "WAIT_OUT" => sum(|s| s.array.back_pressure),
        "ATTN_BUSY" => sum(|s| s.attention_busy),
        "DESCRIPTORS" => Some(passes.len() as u64),
        _ => None,
    };
    hardware.into_iter().map(|(name, hardware)| Counter { name, hardware, recorder: recorder(name) }).collect()
}

/// The timeline of a simulation.
pub fn timeline_of(sim: &Simulation) -> serde_json::Value {
    let entries: Vec<_> = sim.passes.iter().map(|p| timeline::Entry { layer: p.layer, pos: p.pos, stats: &p.stats }).collect();
    timeline::trace(&entries, sim.report.clock_mhz)
}

/// The stage Gantt of the last pass over the layers, SVG.
///
/// # Errors
/// What the drawing library reports.
pub fn gantt_of(sim: &Simulation) -> anyhow::Result<String> {
    let Some(last) = sim.passes.last() else { bail!("gantt: no pass was simulated") };
    let passes: Vec<&Simulated> = sim.passes.iter().filter(|p| p.pos == last.pos).collect();
    let mut begun = 0;
    let mut bars = Vec::new();
    let mut layers = Vec::new();
    for p in passes {
        for s in &p.stats.spans {
            bars.push(Bar { stage: s.name, first: begun + s.first - p.stats.start, end: begun + s.last + 1 - p.stats.start });
        }
        layers.push((p.layer, begun, begun + p.stats.cycles));
        begun += p.stats.cycles;
    }
    let what = if last.decode { "One decoded token" } else { "The last prefill pass" };
    let title = format!("{what} at position {} through the attention sub-layers", last.pos);
    let r = &sim.report;
    let subtitle = format!(
        "simulated; configuration {} (hw {}), memory {}, {} MHz; host time between layers left out",
        r.config, r.hw_hash, r.memory, r.clock_mhz
    );
    gantt::svg(&title, &subtitle, &bars, &layers, r.clock_mhz)
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
        (None, Some(text)) => target.tokenizer.encode_with_bos(text)?,
        (None, None) => bail!("prompt: give --prompt or --tokens"),
    };
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
        let text = target.tokenizer.decode(&work.tokens)?;
        writeln!(out, "text (integer reference): {text}").context("cannot write to standard output")?;
    }
    if let Some(path) = &args.timeline {
        output::write_file(path, &serde_json::to_vec(&timeline_of(&sim))?)?;
    }
    if let Some(path) = &args.gantt {
        output::write_file(path, gantt_of(&sim)?.as_bytes())?;
    }
    args.json.write(&sim.report)?;
    Ok(Outcome::Held)
}
