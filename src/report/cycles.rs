//! Where the cycles of a simulated run went: a line a layer, a line a stage, and the shares of the array. All figures are `simulated`.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use tritforge_sim::stats::PassStats;
use tritforge_spec::block::ctrl;
use tritforge_spec::hw::Hw;

/// Array cycles by cause.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Waits {
    pub computing: u64,
    pub weights: u64,
    pub activations: u64,
    pub back_pressure: u64,
    pub idle: u64,
}

/// One layer over all passes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LayerCycles {
    /// Doorbell to interrupt, summed over the passes.
    pub cycles: u64,
    /// Cycles from the first to the last word of each stage, summed over the passes. Stages overlap.
    pub stages: BTreeMap<&'static str, u64>,
    /// What the ternary array did in each cycle.
    pub waits: Waits,
    /// Cycles of decode passes alone.
    pub decode_cycles: u64,
    /// Read beats of all ports.
    pub read_beats: u64,
    /// Cycles in which the score/value engine took a KV word.
    pub attention_busy: u64,
}

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct SimReport {
    pub kind: &'static str,
    pub config: String,
    pub hw_hash: String,
    pub memory: String,
    pub clock_mhz: f64,
    /// Attention sub-layers of all layers and passes.
    pub cycles: u64,
    pub prompt_tokens: usize,
    pub decoded_tokens: usize,
    pub passes: usize,
    pub layers: Vec<LayerCycles>,
    /// Decoded tokens (or prompt tokens where none was decoded) a second through the attention sub-layers alone.
    pub tokens_per_second: f64,
    /// Share of the cycles that memory (beats a port) or array (words), whichever is more, needs at the least.
    pub bound_share: f64,
    /// Values compared with the integer reference, all equal.
    pub values_checked: u64,
    /// Share of the array's trits that is padding.
    pub padding_share: f64,
}

/// Adds a pass to its layer.
pub fn add(layer: &mut LayerCycles, stats: &PassStats, decode: bool) {
    layer.cycles += stats.cycles;
    if decode {
        layer.decode_cycles += stats.cycles;
    }
    for span in &stats.spans {
        *layer.stages.entry(span.name).or_default() += span.last - span.first + 1;
    }
    let (w, a) = (&mut layer.waits, &stats.array);
    w.computing += a.computing;
    w.weights += a.waiting_weights;
    w.activations += a.waiting_activations;
    w.back_pressure += a.back_pressure;
    w.idle += a.idle;
    layer.read_beats += stats.read_beats;
    layer.attention_busy += stats.attention_busy;
}

/// Cycles that one pass needs at the least: the busier of memory ports and array.
pub fn bound(hw: &Hw, stats: &PassStats) -> u64 {
    let p = ctrl::Params::from(hw);
    let array = (p.q_dim + 2 * p.kv_dim) * p.wpr_d + p.dim * p.wpr_q;
    (stats.read_beats / hw.ports() as u64).max(array as u64)
}

/// Share of the array's trits that pad rows to whole array words.
pub fn padding(hw: &Hw) -> f64 {
    let p = ctrl::Params::from(hw);
    let (qkv, lanes) = (p.q_dim + 2 * p.kv_dim, hw.config.lanes);
    let all = (qkv * p.wpr_d + p.dim * p.wpr_q) * lanes;
    1.0 - (qkv * p.dim + p.dim * p.q_dim) as f64 / all as f64
}

fn percent(part: u64, all: u64) -> String {
    if all == 0 { "-".into() } else { format!("{:.1} %", 100.0 * part as f64 / all as f64) }
}

/// The report as text.
pub fn text(r: &SimReport) -> String {
    let mut t = String::new();
    let _ = writeln!(t, "simulated: attention sub-layers, configuration {} (hw {}), memory {}", r.config, r.hw_hash, r.memory);
    let _ = writeln!(
        t,
        "{} prompt tokens, {} decoded, {} passes, {} layers: {} cycles; {} values equal the integer reference bit for bit\n",
        r.prompt_tokens,
        r.decoded_tokens,
        r.passes,
        r.layers.len(),
        r.cycles,
        r.values_checked
    );
    let _ = writeln!(t, "layer      cycles  decode/token  array busy  wait weights  wait act  back-pr.      idle");
    for (i, l) in r.layers.iter().enumerate() {
        let decode = if r.decoded_tokens == 0 { "-".into() } else { (l.decode_cycles / r.decoded_tokens as u64).to_string() };
        let w = &l.waits;
        let p = |v| percent(v, l.cycles);
        let _ = writeln!(
            t,
            "{i:>5} {:>11}  {decode:>12}  {:>10}  {:>12}  {:>8}  {:>8}  {:>8}",
            l.cycles,
            p(w.computing),
            p(w.weights),
            p(w.activations),
            p(w.back_pressure),
            p(w.idle)
        );
    }
    let _ = writeln!(t, "\nstage                cycles (first to last word, all passes; stages overlap)");
    let mut stages: BTreeMap<&str, u64> = BTreeMap::new();
    for l in &r.layers {
        for (name, cycles) in &l.stages {
            *stages.entry(name).or_default() += cycles;
        }
    }
    for name in tritforge_sim::stats::names() {
        if let Some(cycles) = stages.get(name) {
            let _ = writeln!(t, "{name:<20} {cycles:>11}  {}", percent(*cycles, r.cycles));
        }
    }
    let beats: u64 = r.layers.iter().map(|l| l.read_beats).sum();
    let _ = writeln!(
        t,
        "\nread beats {beats}; padding {:.1} % of the array's trits; {:.1} % of the bound (memory or array)",
        100.0 * r.padding_share,
        100.0 * r.bound_share
    );
    let what = if r.decoded_tokens > 0 { "decoded" } else { "prompt" };
    let _ = writeln!(
        t,
        "{:.1} {what} tokens/s through the attention sub-layers alone at {} MHz (feed-forward and head are not in this hardware)",
        r.tokens_per_second, r.clock_mhz
    );
    t
}
