//! Where the cycles of a simulated run went: layers, stages, causes, bytes, and the bounds. In: the statistics of passes; out: a report as
//! text and JSON. All figures are `simulated`.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use tritforge_sim::memory::Timing;
use tritforge_sim::stats::{Account, PassStats};
use tritforge_spec::block::ctrl;
use tritforge_spec::hw::Hw;

/// Passes of one kind, prefill or decode.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Phase {
    /// Layer passes.
    pub passes: usize,
    pub cycles: u64,
    pub waits: Account,
    /// Least cycles in which the busiest port can move its read beats, summed over the passes.
    pub memory_bound: u64,
    pub read_beats: u64,
    pub write_beats: u64,
    /// Cycles in which the score/value engine took a KV word.
    pub attention_busy: u64,
}

/// One layer over all passes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LayerCycles {
    pub layer: usize,
    /// Doorbell to interrupt, summed over the passes.
    pub cycles: u64,
    /// Cycles of the decode passes among them.
    pub decode_cycles: u64,
    /// Cycles from the first to the last word of each stage, summed over the passes. Stages overlap.
    pub stages: BTreeMap<&'static str, u64>,
    /// Where the cycles went; adds up to `cycles`.
    pub waits: Account,
}

/// The hardware's counters and what the recorder of the model saw in the same cycles.
#[derive(Clone, Debug, Serialize)]
pub struct Counter {
    pub name: &'static str,
    /// Read over AXI4-Lite.
    pub hardware: u64,
    /// Absent where the recorder has no such figure.
    pub recorder: Option<u64>,
}

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct SimReport {
    pub kind: &'static str,
    /// The command that gives these numbers again.
    pub command: String,
    pub config: String,
    pub hw_hash: String,
    pub memory: String,
    pub clock_mhz: f64,
    /// Attention sub-layers of all simulated layers and passes.
    pub cycles: u64,
    pub prompt_tokens: usize,
    pub decoded_tokens: usize,
    pub layers: Vec<LayerCycles>,
    pub prefill: Phase,
    pub decode: Phase,
    /// Decoded tokens (prompt tokens where none was decoded) a second through the simulated attention sub-layers alone.
    pub tokens_per_second: f64,
    /// Least cycles for the read beats of the busiest port / cycles.
    pub bound_share: f64,
    /// Cycles in which the array consumed a word / cycles.
    pub array_share: f64,
    /// The same, counting only the trits that are weights.
    pub useful_share: f64,
    /// Share of the array's trits that pads rows to whole array words.
    pub padding_share: f64,
    pub bytes_read: u64,
    pub bytes_written: u64,
    /// Values compared with the integer reference, all equal.
    pub values_checked: u64,
    /// step, skip, or timing only.
    pub mode: &'static str,
    /// Skip mode: cycles of passes that are like one before.
    pub remembered: Option<u64>,
    /// Step mode only: skip mode has no registers.
    pub counters: Vec<Counter>,
}

/// Adds a pass to its layer and phase.
pub fn add(layer: &mut LayerCycles, phase: &mut Phase, stats: &PassStats, decode: bool, memory_bound: u64) {
    layer.cycles += stats.cycles;
    if decode {
        layer.decode_cycles += stats.cycles;
    }
    for span in &stats.spans {
        *layer.stages.entry(span.name).or_default() += span.last - span.first + 1;
    }
    layer.waits += stats.account;
    phase.passes += 1;
    phase.cycles += stats.cycles;
    phase.waits += stats.account;
    phase.memory_bound += memory_bound;
    phase.read_beats += stats.read_beats;
    phase.write_beats += stats.write_beats;
    phase.attention_busy += stats.attention_busy;
}

/// Least cycles in which the busiest port moves a pass's read beats at the memory's rate.
pub fn memory_bound(stats: &PassStats, timing: Timing) -> u64 {
    match timing {
        Timing::Ideal => stats.busiest_port,
        Timing::Fixed { beats, cycles, .. } => (stats.busiest_port * u64::from(cycles)).div_ceil(u64::from(beats)),
    }
}

/// Share of the array's trits that pads rows to whole array words.
pub fn padding(hw: &Hw) -> f64 {
    let p = ctrl::Params::from(hw);
    let (qkv, lanes) = (p.q_dim + 2 * p.kv_dim, hw.config.lanes);
    let all = (qkv * p.wpr_d + p.dim * p.wpr_q) * lanes;
    1.0 - (qkv * p.dim + p.dim * p.q_dim) as f64 / all as f64
}

/// `part` of `all` in per cent.
pub fn percent(part: u64, all: u64) -> String {
    if all == 0 { "-".into() } else { format!("{:.1} %", 100.0 * part as f64 / all as f64) }
}

/// Stage names in the order of the data flow with their cycles over all layers.
pub fn stages(r: &SimReport) -> Vec<(&'static str, u64)> {
    let sum = |name| r.layers.iter().filter_map(|l| l.stages.get(name)).sum::<u64>();
    tritforge_sim::stats::names().map(|n| (n, sum(n))).filter(|s| s.1 > 0).collect()
}

/// All passes of both phases.
pub fn all_waits(r: &SimReport) -> Account {
    let mut all = r.prefill.waits;
    all += r.decode.waits;
    all
}

/// The report as text.
pub fn text(r: &SimReport) -> String {
    let mut t = String::new();
    let _ = writeln!(t, "simulated: {}", r.command);
    let _ = writeln!(
        t,
        "attention sub-layers of {} layers, configuration {} (hw {}), memory {}, {} MHz\n{} prompt tokens, {} decoded: {} cycles; {}\n",
        r.layers.len(),
        r.config,
        r.hw_hash,
        r.memory,
        r.clock_mhz,
        r.prompt_tokens,
        r.decoded_tokens,
        r.cycles,
        match r.values_checked {
            0 => "timing only: no value was computed".to_owned(),
            n => format!("{n} values equal the integer reference bit for bit"),
        }
    );
    let _ = writeln!(t, "where every cycle went (rows add up)");
    let _ = write!(t, "{:<10}{:>11}", "", "cycles");
    for (name, _) in Account::default().list() {
        let _ = write!(t, "  {name:>13}");
    }
    t.push('\n');
    let mut row = |name: String, cycles: u64, waits: &Account| {
        let _ = write!(t, "{name:<10}{cycles:>11}");
        for (_, v) in waits.list() {
            let _ = write!(t, "  {:>13}", percent(v, cycles));
        }
        t.push('\n');
    };
    for l in &r.layers {
        row(format!("layer {}", l.layer), l.cycles, &l.waits);
    }
    for (name, p) in [("prefill", &r.prefill), ("decode", &r.decode)] {
        if p.passes > 0 {
            row(name.into(), p.cycles, &p.waits);
        }
    }
    row("all".into(), r.cycles, &all_waits(r));
    let _ = writeln!(t, "\nstage                  cycles  of all   (first to last word of every pass; stages overlap)");
    for (name, cycles) in stages(r) {
        let _ = writeln!(t, "{name:<18} {cycles:>10}  {:>7}", percent(cycles, r.cycles));
    }
    let _ = writeln!(
        t,
        "\nternary array: busy {:.1} % of the cycles, {:.1} % of its trits are padding, so {:.1} % of its peak is used",
        100.0 * r.array_share,
        100.0 * r.padding_share,
        100.0 * r.useful_share
    );
    let _ = writeln!(
        t,
        "memory: {} bytes read, {} written; {:.1} % of the memory bound (cycles that the busiest port's reads need at least)",
        r.bytes_read,
        r.bytes_written,
        100.0 * r.bound_share
    );
    for (name, p) in [("prefill", &r.prefill), ("decode", &r.decode)] {
        if p.passes > 0 {
            let _ = writeln!(
                t,
                "  {name}: {} layer passes, {:.0} cycles each, {} of the memory bound, score/value engine busy {}",
                p.passes,
                p.cycles as f64 / p.passes as f64,
                percent(p.memory_bound, p.cycles),
                percent(p.attention_busy, p.cycles)
            );
        }
    }
    match r.remembered {
        Some(n) => {
            let _ = writeln!(t, "{} mode: {} of the cycles are of passes like one before", r.mode, percent(n, r.cycles));
        }
        None => {
            let _ = writeln!(t, "hardware counters: {}", counters(r));
        }
    }
    let what = if r.decoded_tokens > 0 { "decoded" } else { "prompt" };
    let _ = writeln!(
        t,
        "{:.0} {what} tokens/s through these attention sub-layers alone (feed-forward and head are not in this hardware)",
        r.tokens_per_second
    );
    t
}

fn counters(r: &SimReport) -> String {
    let compared = r.counters.iter().filter(|c| c.recorder.is_some());
    let list: Vec<String> = r.counters.iter().map(|c| format!("{} {}", c.name, c.hardware)).collect();
    format!("{}; {} of them equal the recorder's", list.join(", "), compared.count())
}
