//! Where the cycles of a pass went: when each stage was active, what the ternary array did in every cycle, what moved on the ports.

use crate::top::{Probe, Top};
use tritforge_spec::hw::Hw;

/// A stage of a pass: active from the first to the last word that moves on its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    pub name: &'static str,
    /// Producer and stream whose words mark it.
    stream: (&'static str, &'static str),
}

/// Stages in the order of the data flow.
pub const STAGES: &[Stage] = &[
    Stage { name: "descriptor", stream: ("route_a", "o0") },
    Stage { name: "constants", stream: ("route_w", "o0") },
    Stage { name: "load x", stream: ("xload", "xn") },
    Stage { name: "norm", stream: ("norm", "act") },
    Stage { name: "qkv projection", stream: ("tmac", "sum0") },
    Stage { name: "rope and quantise", stream: ("headq", "q") },
    Stage { name: "kv write", stream: ("kvwrite", "wd") },
    Stage { name: "attention", stream: ("kvread", "kv") },
    Stage { name: "attention output", stream: ("attn_out", "o") },
    Stage { name: "o projection", stream: ("tmac", "sum1") },
    Stage { name: "store y", stream: ("xstore", "wd") },
];

/// Index of the norm stage, whose stream is shared by both norms: the second begins with the first attention output.
const NORM: usize = 3;
const ATTENTION_OUTPUT: usize = 8;

/// One stage's activity within a pass, in cycles since reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub name: &'static str,
    pub first: u64,
    pub last: u64,
    /// Words that moved.
    pub words: u64,
}

/// What the ternary array did, a cycle each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArrayCycles {
    pub computing: u64,
    /// Activations were there, weights were not.
    pub waiting_weights: u64,
    pub waiting_activations: u64,
    pub back_pressure: u64,
    /// Between its commands.
    pub idle: u64,
}

/// One pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PassStats {
    /// Doorbell to interrupt.
    pub start: u64,
    pub cycles: u64,
    pub spans: Vec<Span>,
    pub array: ArrayCycles,
    /// Cycles in which the score/value engine took a KV word.
    pub attention_busy: u64,
    /// Read beats that arrived, all ports.
    pub read_beats: u64,
}

/// Watches a top.
pub struct Recorder {
    busy: Option<Probe>,
    waits: [Option<Probe>; 3],
    attn: Option<Probe>,
    beats: Option<Probe>,
    ports: usize,
    current: PassStats,
    active: [Option<Span>; STAGES.len()],
    second_norm: Option<Span>,
    /// The last cycle in which a word moved on any stream.
    pub last_move: u64,
}

impl Recorder {
    /// A recorder for `top`.
    pub fn new(top: &Top, hw: &Hw) -> Self {
        Recorder {
            busy: top.probe("tmac", "busy"),
            waits: ["wait_w", "wait_act", "wait_out"].map(|p| top.probe("tmac", p)),
            attn: top.probe("attn", "busy"),
            beats: top.probe("axi_read", "beats_inc"),
            ports: hw.ports(),
            current: PassStats::default(),
            active: [None; STAGES.len()],
            second_norm: None,
            last_move: 0,
        }
    }

    /// A pass begins.
    pub fn begin(&mut self, cycle: u64) {
        self.current = PassStats { start: cycle, ..PassStats::default() };
        self.active = [None; STAGES.len()];
        self.second_norm = None;
    }

    /// One cycle.
    pub fn see(&mut self, cycle: u64, top: &Top) {
        let on = |p: Option<Probe>| p.is_some_and(|p| top.read(p) != 0);
        let a = &mut self.current.array;
        let [w, act, out] = self.waits.map(on);
        let counter = match (on(self.busy), w, act, out) {
            (true, ..) => &mut a.computing,
            (_, true, ..) => &mut a.waiting_weights,
            (_, _, true, _) => &mut a.waiting_activations,
            (_, _, _, true) => &mut a.back_pressure,
            _ => &mut a.idle,
        };
        *counter += 1;
        self.current.attention_busy += u64::from(on(self.attn));
        let mask = (1u64 << self.ports) - 1;
        self.current.read_beats += u64::from(self.beats.map_or(0, |p| top.read(p) & mask).count_ones());
        for (producer, stream, valid, ready) in top.handshakes() {
            if !(valid && ready) {
                continue;
            }
            self.last_move = cycle;
            let Some(i) = STAGES.iter().position(|s| s.stream == (producer, stream)) else { continue };
            let second = i == NORM && self.active[ATTENTION_OUTPUT].is_some();
            let slot = if second { &mut self.second_norm } else { &mut self.active[i] };
            let name = if second { SUB_NORM } else { STAGES[i].name };
            let span = slot.get_or_insert(Span { name, first: cycle, last: cycle, words: 0 });
            (span.last, span.words) = (cycle, span.words + 1);
        }
    }

    /// The pass ended: doorbell at `start`, interrupt at `end`.
    pub fn end(&mut self, start: u64, end: u64) -> PassStats {
        let mut stats = std::mem::take(&mut self.current);
        (stats.start, stats.cycles) = (start, end.saturating_sub(start));
        for (i, span) in self.active.iter().enumerate() {
            stats.spans.extend(*span);
            if i == ATTENTION_OUTPUT {
                stats.spans.extend(self.second_norm);
            }
        }
        stats
    }
}

/// Name of the second norm's span.
const SUB_NORM: &str = "sub-norm";

/// Names of all spans in the order of the data flow, the second norm among them.
pub fn names() -> impl Iterator<Item = &'static str> {
    let (before, after) = STAGES.split_at(ATTENTION_OUTPUT + 1);
    before.iter().map(|s| s.name).chain([SUB_NORM]).chain(after.iter().map(|s| s.name))
}
