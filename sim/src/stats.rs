//! Where the cycles of a pass went: when each stage was active, what the ternary array did in every cycle, what moved on the ports.

mod account;

pub use account::Account;

use crate::{
    skip::{
        signals::{Signals, equal, into, level},
        summary::Summary,
    },
    top::{Probe, Top},
};
use smallvec::SmallVec;
use tritforge_spec::top::STREAMS;

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
/// Input of the score/value engine, a stream's number.
const KV: u32 = into("attn", "kv");

/// The stage that a stream's words mark, by the stream's number; `u8::MAX` for none.
pub(crate) const STAGE_OF_STREAM: [u8; STREAMS.len()] = {
    let (mut all, mut i) = ([u8::MAX; STREAMS.len()], 0);
    while i < STREAMS.len() {
        let mut stage = 0;
        while stage < STAGES.len() {
            if equal(STREAMS[i].0, STAGES[stage].stream.0) && equal(STREAMS[i].1, STAGES[stage].stream.1) {
                all[i] = stage as u8;
            }
            stage += 1;
        }
        i += 1;
    }
    all
};

/// What the levels say in a cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cycle {
    /// The array took a word in the cycle before, or waited for weights, activations, room for its sums.
    pub busy: bool,
    pub weights: bool,
    pub activations: bool,
    pub back_pressure: bool,
    /// The score/value engine took a KV word in the cycle before.
    pub attn: bool,
    /// It is ready for one and there is none.
    pub kv: bool,
}

impl Cycle {
    /// Of the timing machine.
    pub(crate) fn of(s: &Signals) -> Self {
        Self {
            busy: s.high(level::ARRAY_BUSY),
            weights: s.high(level::WAIT_W),
            activations: s.high(level::WAIT_ACT),
            back_pressure: s.high(level::WAIT_OUT),
            attn: s.high(level::ATTN_BUSY),
            kv: s.is_ready(KV) && !s.is_valid(KV),
        }
    }
}

/// Words of a stage in a piece of a run, cycles counted from its begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    stage: u8,
    /// Of the norm: attention outputs came before in this piece.
    second: bool,
    count: u32,
    first: u32,
    last: u32,
}

impl Words {
    /// `count` words, the first and the last in these cycles.
    pub(crate) fn of(stage: u8, second: bool, count: u32, first: u32, last: u32) -> Self {
        Self { stage, second, count, first, last }
    }

    /// Their place among the words of a piece: by their first cycles, and by their streams within one.
    pub(crate) fn order(&self) -> (u32, usize) {
        (self.first, STAGE_OF_STREAM.iter().position(|&s| s == self.stage).unwrap_or(0))
    }

    /// A word of `stage` moved in `cycle`; the stages of one cycle come in the order of their streams.
    pub(crate) fn count(list: &mut SmallVec<[Self; 4]>, stage: u8, cycle: u32) {
        let second = stage as usize == NORM && list.iter().any(|w| w.stage as usize == ATTENTION_OUTPUT);
        match list.iter_mut().find(|w| (w.stage, w.second) == (stage, second)) {
            Some(w) => (w.count, w.last) = (w.count + 1, cycle),
            None => list.push(Self { stage, second, count: 1, first: cycle, last: cycle }),
        }
    }
}

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

/// What the recorder needs of a top.
pub struct Watch {
    levels: [Option<Probe>; 5],
    beats: Option<Probe>,
}

impl Watch {
    /// Of `top`.
    pub fn new(top: &Top) -> Self {
        let level = |(instance, port)| top.probe(instance, port);
        Self {
            levels: [("tmac", "busy"), ("tmac", "wait_w"), ("tmac", "wait_act"), ("tmac", "wait_out"), ("attn", "busy")].map(level),
            beats: top.probe("axi_read", "beats_inc"),
        }
    }

    /// This cycle: streams on which a word moves, levels, ports on which a read beat arrived.
    pub fn look(&self, top: &Top) -> (u64, Cycle, u64) {
        let (mut moved, mut kv) = (0u64, false);
        for (i, (_, _, valid, ready)) in top.handshakes().enumerate() {
            moved |= u64::from(valid && ready) << i;
            kv |= i as u32 == KV && ready && !valid;
        }
        let [busy, weights, activations, back_pressure, attn] = self.levels.map(|p| p.is_some_and(|p| top.read(p) != 0));
        (moved, Cycle { busy, weights, activations, back_pressure, attn, kv }, self.beats.map_or(0, |p| top.read(p)))
    }
}

/// Puts together what happened in a pass.
pub struct Recorder {
    current: PassStats,
    active: [Option<Span>; STAGES.len()],
    second_norm: Option<Span>,
    port_beats: Vec<u64>,
    /// Cycles since the array's last word whose account is open: drain, if no word follows.
    tail: Account,
    /// Among them the cycles since the last KV word in which the engine was ready for the next: waiting for KV, if one follows.
    gap: u64,
}

impl Recorder {
    /// A recorder for hardware with this number of ports.
    pub fn new(ports: usize) -> Self {
        Recorder {
            current: PassStats::default(),
            active: [None; STAGES.len()],
            second_norm: None,
            port_beats: vec![0; ports],
            tail: Account::default(),
            gap: 0,
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

    /// One cycle between doorbell and interrupt: what [`Watch::look`] saw, and the write beats that were accepted.
    pub fn see(&mut self, cycle: u64, seen: (u64, Cycle, u64), writes: u64) {
        let (moved, levels, beats) = seen;
        for (i, &stage) in STAGE_OF_STREAM.iter().enumerate() {
            if moved >> i & 1 != 0 && stage != u8::MAX {
                self.words(stage as usize, false, cycle, cycle, 1);
            }
        }
        self.levels(cycle, levels, 1);
        for (port, count) in self.port_beats.iter_mut().enumerate() {
            *count += beats >> port & 1;
        }
        self.current.write_beats += writes;
    }

    /// A piece that begins in `cycle`; where it has fewer ports than the hardware, all ports did the same.
    pub fn piece(&mut self, cycle: u64, piece: &Summary) {
        for w in &piece.words {
            self.words(w.stage as usize, w.second, cycle + u64::from(w.first), cycle + u64::from(w.last), w.count.into());
        }
        let mut at = cycle;
        for &(levels, n) in &piece.levels {
            self.levels(at, levels, n.into());
            at += u64::from(n);
        }
        let ports = self.port_beats.len();
        let of = |port: usize| piece.beats.get(port).or(piece.beats.first()).copied().unwrap_or(0);
        for (port, count) in self.port_beats.iter_mut().enumerate() {
            *count += u64::from(of(port));
        }
        let copies = ports / piece.beats.len().max(1);
        self.current.write_beats += u64::from(piece.writes) * copies as u64;
    }

    /// `n` cycles in which nothing is under way.
    pub fn idle(&mut self, cycle: u64, n: u64) {
        self.levels(cycle, Cycle { kv: true, ..Cycle::default() }, n);
    }

    /// `count` words of stage `i` moved, the first and the last in these cycles.
    fn words(&mut self, i: usize, second: bool, first: u64, last: u64, count: u64) {
        let second = second || i == NORM && self.active[ATTENTION_OUTPUT].is_some();
        let slot = if second { &mut self.second_norm } else { &mut self.active[i] };
        let name = if second { SUB_NORM } else { STAGES[i].name };
        let span = slot.get_or_insert(Span { name, first, last, words: 0 });
        (span.last, span.words) = (last, span.words + count);
    }

    /// The levels of `n` cycles from `cycle` on.
    fn levels(&mut self, cycle: u64, c: Cycle, n: u64) {
        let array = &mut self.current.array;
        *match (c.busy, c.weights, c.activations, c.back_pressure) {
            (true, ..) => &mut array.computing,
            (_, true, ..) => &mut array.waiting_weights,
            (_, _, true, _) => &mut array.waiting_activations,
            (_, _, _, true) => &mut array.back_pressure,
            _ => &mut array.idle,
        } += n;
        if c.attn {
            self.current.attention_busy += n;
            // The level tells of the cycle before.
            self.words(ATTENTION, false, cycle - 1, cycle + n - 2, n);
        }
        if c.busy {
            self.close_tail();
            self.current.account.computing += n;
        } else if c.weights {
            self.tail.weights += n;
        } else if c.back_pressure {
            self.tail.back_pressure += n;
        } else if c.attn {
            self.tail.kv += std::mem::take(&mut self.gap);
            self.tail.attention += n;
        } else if c.kv && self.current.attention_busy > 0 {
            self.gap += n;
        } else {
            self.tail.bubbles += n;
        }
    }

    /// The array goes on: what lay between its words gets its names.
    fn close_tail(&mut self) {
        let (mut tail, gap) = (std::mem::take(&mut self.tail), std::mem::take(&mut self.gap));
        tail.bubbles += gap;
        let a = &mut self.current.account;
        if a.computing == 0 {
            a.start += tail.total();
        } else {
            *a += tail;
        }
    }

    /// The pass ended: doorbell at `start`, interrupt at `end`.
    pub fn end(&mut self, start: u64, end: u64) -> PassStats {
        let mut stats = std::mem::take(&mut self.current);
        (stats.start, stats.cycles) = (start, end.saturating_sub(start));
        stats.account.drain += std::mem::take(&mut self.tail).total() + std::mem::take(&mut self.gap);
        stats.spans.reserve(STAGES.len() + 1);
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
