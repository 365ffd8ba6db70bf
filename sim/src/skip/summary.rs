//! What happened in a piece of a run, as far as reports need it: words of every stage, levels run by run, beats on the ports.

use super::{machine::Bus, signals::Signals};
use crate::stats::{Cycle, STAGE_OF_STREAM, Words};
use smallvec::SmallVec;

/// A piece of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub cycles: u32,
    /// Words by stage, in the order of their first cycles.
    pub words: SmallVec<[Words; 4]>,
    /// What the levels said, and for how many cycles.
    pub levels: SmallVec<[(Cycle, u32); 4]>,
    /// Read beats of every simulated port, write beats of all.
    pub beats: SmallVec<[u32; 1]>,
    pub writes: u32,
    /// A word moved somewhere.
    pub moved: bool,
}

impl Summary {
    /// Of no cycle, for this number of simulated ports.
    pub fn new(ports: usize) -> Self {
        Self { beats: SmallVec::from_elem(0, ports), ..Self::default() }
    }

    /// The levels say this for `n` more cycles.
    #[inline(always)]
    pub fn high(&mut self, cycle: Cycle, n: u32) {
        match self.levels.last_mut() {
            Some((last, m)) if *last == cycle => *m += n,
            _ => self.levels.push((cycle, n)),
        }
    }

    /// One more cycle.
    pub fn add(&mut self, s: &Signals, bus: Bus) {
        self.begin(s);
        self.end(bus);
    }

    /// What the signals say in one more cycle; [`Summary::end`] follows.
    #[inline(always)]
    pub fn begin(&mut self, s: &Signals) {
        self.moved |= s.moved != 0;
        let mut stages = s.moved & STAGE_STREAMS;
        while stages != 0 {
            let stream = stages.trailing_zeros();
            stages &= stages - 1;
            Words::count(&mut self.words, STAGE_OF_STREAM[stream as usize], self.cycles);
        }
        self.high(Cycle::of(s), 1);
    }

    /// What happened on AXI in that cycle.
    #[inline(always)]
    pub fn end(&mut self, bus: Bus) {
        self.cycles += 1;
        if bus == Bus::default() {
            return;
        }
        self.moved = true;
        for (p, beats) in self.beats.iter_mut().enumerate() {
            *beats += bus.r >> p & 1;
        }
        self.writes += bus.w.count_ones();
    }

    /// Nothing more is added.
    pub fn finish(&mut self) {
        self.words.shrink_to_fit();
        self.levels.shrink_to_fit();
    }
}

/// Streams whose words mark a stage.
const STAGE_STREAMS: u64 = {
    let (mut all, mut i) = (0, 0);
    while i < STAGE_OF_STREAM.len() {
        if STAGE_OF_STREAM[i] != u8::MAX {
            all |= 1 << i;
        }
        i += 1;
    }
    all
};
