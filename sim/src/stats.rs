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
    // Marked by the engine's level: the first words of K wait in front of it for the queries.
    Stage { name: "attention", stream: ("attn", "busy") },
    Stage { name: "attention output", stream: ("attn_out", "o") },
    Stage { name: "o projection", stream: ("tmac", "sum1") },
    Stage { name: "store y", stream: ("xstore", "wd") },
];

/// Index of the norm stage, whose stream is shared by both norms: the second begins with the first attention output.
const NORM: usize = 3;
const ATTENTION: usize = 7;
const ATTENTION_OUTPUT: usize = 8;
/// Input of the score/value engine.
const KV: (&str, &str) = ("kvread", "kv");

/// One stage's activity within a pass, in cycles since reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub name: &'static str,
    pub first: u64,
    pub last: u64,
    /// Words that moved.
    pub words: u64,
}

/// What the ternary array did, a cycle each, by the levels that also drive the hardware's counters.
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

/// Where every cycle of a pass went: each is in exactly one of these, the first that applies, so they add up to the pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The ternary array consumed a word.
    pub computing: u64,
    /// The array had activations but no weights.
    pub weights: u64,
    /// The array could not deliver its sums.
    pub back_pressure: u64,
    /// The array had nothing to do, the score/value engine consumed a KV word.
    pub attention: u64,
    /// Neither computed: the score/value engine was ready between two KV words, and none was there.
    pub kv: u64,
    /// Before the array's first word: doorbell, descriptor, constants, x, first norm.
    pub start: u64,
    /// After the array's last word: residual, store, write responses, interrupt.
    pub drain: u64,
    /// All other cycles: latencies of quantiser, RoPE, softmax, division and sub-norm that nothing overlaps.
    pub bubbles: u64,
}

impl Account {
    /// The cycles of the pass.
    pub fn total(&self) -> u64 {
        self.computing + self.weights + self.back_pressure + self.attention + self.kv + self.start + self.drain + self.bubbles
    }
}

/// One pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PassStats {
    /// Cycle of the doorbell.
    pub start: u64,
    /// Doorbell to interrupt.
    pub cycles: u64,
    pub spans: Vec<Span>,
    pub array: ArrayCycles,
    pub account: Account,
    /// Cycles in which the score/value engine took a KV word, whatever the array did.
    pub attention_busy: u64,
    /// Read beats that arrived, all ports.
    pub read_beats: u64,
    /// The same of the port that moved most.
    pub busiest_port: u64,
    /// Write beats that were accepted, all ports.
    pub write_beats: u64,
}

/// Watches a top.
pub struct Recorder {
    busy: Option<Probe>,
    waits: [Option<Probe>; 3],
    attn: Option<Probe>,
    beats: Option<Probe>,
    current: PassStats,
    active: [Option<Span>; STAGES.len()],
    second_norm: Option<Span>,
    port_beats: Vec<u64>,
    /// Cycles since the array's last word whose account is open: drain, if no word follows.
    tail: Account,
    /// Among them the cycles since the last KV word in which the engine was ready for the next: waiting for KV, if one follows.
    gap: u64,
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
            current: PassStats::default(),
            active: [None; STAGES.len()],
            second_norm: None,
            port_beats: vec![0; hw.ports()],
            tail: Account::default(),
            gap: 0,
            last_move: 0,
        }
    }

    /// A pass begins.
    pub fn begin(&mut self, cycle: u64) {
        self.current = PassStats { start: cycle, ..PassStats::default() };
        self.active = [None; STAGES.len()];
        self.second_norm = None;
        self.port_beats.fill(0);
        (self.tail, self.gap) = (Account::default(), 0);
    }

    /// One cycle. `in_pass`: between doorbell and interrupt; only those cycles are counted. `writes`: write beats accepted.
    pub fn see(&mut self, cycle: u64, top: &Top, in_pass: bool, writes: u64) {
        let mut kv = (false, false);
        for (producer, stream, valid, ready) in top.handshakes() {
            if (producer, stream) == KV {
                kv = (valid, ready);
            }
            if !(valid && ready) {
                continue;
            }
            self.last_move = cycle;
            if in_pass && let Some(i) = STAGES.iter().position(|s| s.stream == (producer, stream)) {
                self.word(cycle, i);
            }
        }
        if in_pass {
            self.levels(cycle, top, kv);
            self.current.write_beats += writes;
        }
    }

    /// A word of stage `i` moved.
    fn word(&mut self, cycle: u64, i: usize) {
        let second = i == NORM && self.active[ATTENTION_OUTPUT].is_some();
        let slot = if second { &mut self.second_norm } else { &mut self.active[i] };
        let name = if second { SUB_NORM } else { STAGES[i].name };
        let span = slot.get_or_insert(Span { name, first: cycle, last: cycle, words: 0 });
        (span.last, span.words) = (cycle, span.words + 1);
    }

    /// The levels of a cycle; `kv`: valid and ready of the score/value engine's input.
    fn levels(&mut self, cycle: u64, top: &Top, kv: (bool, bool)) {
        let on = |p: Option<Probe>| p.is_some_and(|p| top.read(p) != 0);
        let [w, act, out] = self.waits.map(on);
        let (busy, attn) = (on(self.busy), on(self.attn));
        let array = &mut self.current.array;
        *match (busy, w, act, out) {
            (true, ..) => &mut array.computing,
            (_, true, ..) => &mut array.waiting_weights,
            (_, _, true, _) => &mut array.waiting_activations,
            (_, _, _, true) => &mut array.back_pressure,
            _ => &mut array.idle,
        } += 1;
        if attn {
            self.current.attention_busy += 1;
            // The level tells of the cycle before.
            self.word(cycle - 1, ATTENTION);
        }
        let mask = self.beats.map_or(0, |p| top.read(p));
        for (port, beats) in self.port_beats.iter_mut().enumerate() {
            *beats += mask >> port & 1;
        }

        if busy {
            self.close_tail();
            self.current.account.computing += 1;
        } else if w {
            self.tail.weights += 1;
        } else if out {
            self.tail.back_pressure += 1;
        } else if attn {
            self.tail.kv += std::mem::take(&mut self.gap);
            self.tail.attention += 1;
        } else if kv == (false, true) && self.current.attention_busy > 0 {
            self.gap += 1;
        } else {
            self.tail.bubbles += 1;
        }
    }

    /// The array goes on: what lay between its words gets its names.
    fn close_tail(&mut self) {
        let (mut tail, gap) = (std::mem::take(&mut self.tail), std::mem::take(&mut self.gap));
        tail.bubbles += gap;
        let a = &mut self.current.account;
        if a.computing == 0 {
            a.start += tail.total();
            return;
        }
        a.weights += tail.weights;
        a.back_pressure += tail.back_pressure;
        a.attention += tail.attention;
        a.kv += tail.kv;
        a.bubbles += tail.bubbles;
    }

    /// The pass ended: doorbell at `start`, interrupt at `end`.
    pub fn end(&mut self, start: u64, end: u64) -> PassStats {
        let mut stats = std::mem::take(&mut self.current);
        (stats.start, stats.cycles) = (start, end.saturating_sub(start));
        stats.account.drain += std::mem::take(&mut self.tail).total() + std::mem::take(&mut self.gap);
        stats.read_beats = self.port_beats.iter().sum();
        stats.busiest_port = self.port_beats.iter().copied().max().unwrap_or(0);
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
