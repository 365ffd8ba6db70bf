//! Runs a workload's passes on the cycle model and compares what comes out with the integer reference. In: [`Target`], [`Workload`],
//! [`Run`]; out: [`Simulation`], its timeline and its Gantt.

use std::ops::Range;

use anyhow::bail;
use tritforge_sim::clocked::PowerUp;
use tritforge_sim::memory::{MemConfig, Memory};
use tritforge_sim::stats::PassStats;
use tritforge_sim::system::{Mode, Pass, RunError, System};
use tritforge_sim::top::Top;
use tritforge_spec::hw::Hw;
use tritforge_spec::image::Image;

use super::progress::Progress;
use super::sim::memory_config;
use crate::compile::{Job, Target, Workload};
use crate::report::cycles::{self, Counter, LayerCycles, Phase, SimReport};
use crate::report::gantt::{self, Bar};
use crate::report::timeline;

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
    /// Every block in every cycle, or times of words.
    pub mode: Mode,
    /// Cycles that `see` must see: the passes that they touch run in step mode.
    pub window: Range<u64>,
    /// The command that the report names.
    pub command: String,
}

/// Runs a workload's passes of the chosen layers on the cycle model; `see` looks at every cycle.
///
/// # Errors
/// The image does not fit, a pass is too long, or `see` failed. A pass that the hardware does not finish, or reports an error of, is a mismatch in every
/// mode.
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
        let stats = match one(&mut system, hw, job, see)? {
            Ok(stats) => stats,
            Err(difference) => {
                mismatch = Some(difference);
                break;
            }
        };
        values += job.expected.len() as u64;
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
        remembered: (run.mode == Mode::Skip).then(|| system.effort().repeated),
        counters,
    };
    Ok(Simulation { report, passes, mismatch })
}

/// Runs one pass, or takes its time alone where no values are expected: its statistics, or what is wrong with it.
fn one(
    system: &mut System,
    hw: &Hw,
    job: &Job,
    see: &mut dyn FnMut(u64, &Top) -> anyhow::Result<()>,
) -> anyhow::Result<Result<PassStats, String>> {
    let Pass { layer, slot, pos, .. } = job.pass;
    let failed = |error| match error {
        RunError::TooLong { .. } => Err(anyhow::Error::new(error)),
        error => Ok(Err(format!("layer {layer}, position {pos}: {error}"))),
    };
    if job.expected.is_empty() {
        return system.time(layer, slot, pos, job.count).map_or_else(failed, |stats| Ok(Ok(stats)));
    }
    let mut seen = Ok(());
    let result = system.pass(&job.pass, &mut |cycle, top| {
        if seen.is_ok() {
            seen = see(cycle, top);
        }
    });
    seen?;
    let result = match result {
        Ok(result) => result,
        Err(error) => return failed(error),
    };
    let wrong = (0..job.expected.len()).find(|&i| result.y.get(i) != Some(&job.expected[i])).map(|i| {
        let (t, d) = (i / hw.shape.dim, i % hw.shape.dim);
        let (expected, found) = (job.expected[i], result.y.get(i));
        format!("layer {layer}, position {}, element {d}: expected {expected} (integer reference), found {found:?} (cycle model)", pos + t)
    });
    Ok(wrong.map_or(Ok(result.stats), Err))
}

/// The mode of every pass. Skip mode knows when each begins and ends before any is run, so only what the window touches is stepped.
fn modes(hw: &Hw, image: &Image, memory: &MemConfig, jobs: &[&Job], run: &Run<'_>) -> anyhow::Result<Vec<Mode>> {
    if run.mode == Mode::Step || run.window.is_empty() {
        return Ok(vec![run.mode; jobs.len()]);
    }
    let mut system = System::new(hw, image, Memory::new(memory.clone())?, PowerUp::Zero)?;
    Ok(jobs
        .iter()
        .map(|job| {
            let first = system.cycle();
            // A pass that fails here fails again in its turn, and is reported then.
            let _ = system.time(job.pass.layer, job.pass.slot, job.pass.pos, job.count);
            let touched = run.window.start < system.cycle() && first < run.window.end;
            if touched { Mode::Step } else { Mode::Skip }
        })
        .collect())
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// A pass that the hardware refuses is a failed check (exit code 1), in the same words, however it is run.
    #[test]
    fn an_error_of_the_hardware_is_the_same_mismatch_in_every_mode() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let target = Target::open(&root.join("models/stories3m.tq1_0.gguf"), &root.join("configs/small.toml")).unwrap();
        let mut work = Workload::new(&target.int, &target.hw, &[1], 0).unwrap();
        work.jobs.truncate(2);
        work.jobs[1].pass.pos = target.hw.context();
        let mut timing = work.clone();
        timing.jobs.iter_mut().for_each(|job| job.expected.clear());
        let layers = 0..target.hw.shape.layers;
        let nothing_seen = || Run { layers: layers.clone(), memory: "ideal", mode: Mode::Skip, window: 0..0, command: String::new() };
        for (work, run) in [
            (&work, Run { mode: Mode::Step, ..nothing_seen() }),
            (&work, nothing_seen()),
            (&work, Run { window: 0..u64::MAX, ..nothing_seen() }),
            (&timing, nothing_seen()),
        ] {
            let sim = simulate(&target, work, &run, &mut |_, _| Ok(())).unwrap();
            let said = sim.mismatch.unwrap_or_default();
            assert!(said.starts_with("layer 1, position 256: the hardware reported error 3 (port 0, address "), "{said}");
            assert_eq!(sim.passes.len(), 1, "the pass before it is reported");
        }
    }
}
