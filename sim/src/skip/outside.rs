//! What the timing of a run depends on besides the machine: its passes (tokens, positions, places) and the page table. It answers
//! the machine's questions, in the order in which the machine comes to them.

use super::{
    ask,
    block::{
        ctrl::Job,
        kvread::{Block, Segments},
        kvwrite::Place,
    },
    pieces::Segment,
};
use tritforge_spec::{
    descriptor::Descriptor,
    hw::{Hw, KV_BLOCK},
    kv::KvShape,
};

/// An answer; equal ones have the same effect on timing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Job(Job),
    Block(Block),
    Segments(Option<Segments>),
    Segment(Segment),
    Delivery(u32),
    Positions(u8),
    Place(Place),
}

/// Where a reader of the passes stands: pass, and the nest of its counters.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    pass: usize,
    token: usize,
    head: usize,
    block: usize,
}

impl Cursor {
    /// The next place, where a head has `blocks` of them and a pass `heads` and `n` tokens; whether this was the pass's last.
    fn advance(&mut self, blocks: usize, heads: usize, n: usize) -> bool {
        self.block += 1;
        if self.block >= blocks {
            (self.block, self.head) = (0, self.head + 1);
        }
        if self.head == heads {
            (self.head, self.token) = (0, self.token + 1);
        }
        let end = self.token == n;
        if end {
            *self = Self { pass: self.pass + 1, ..Self::default() };
        }
        end
    }
}

/// How far the passes of a run were answered for.
#[derive(Clone, Copy, Debug, Default)]
struct At {
    jobs: usize,
    /// Of the KV reader, of the score/value engine.
    blocks: [Cursor; 2],
    segments: Cursor,
    /// Of the segments themselves, as bursts and as what is delivered; the next one is the second of its block.
    reads: [(Cursor, bool); 2],
    /// `block` counts kinds here: K, V.
    vectors: Cursor,
}

/// The passes of a run.
#[derive(Clone, Debug)]
pub struct Outside {
    kv: KvShape,
    burst: u32,
    pages: Vec<u32>,
    first: u32,
    list: Vec<Descriptor>,
    at: At,
}

impl Outside {
    /// Nothing to do, with this page table (as the host writes it).
    pub fn new(hw: &Hw, pages: Vec<u32>) -> Self {
        Self { kv: hw.kv(), burst: hw.config.burst as u32, pages, first: 0, list: Vec::new(), at: At::default() }
    }

    /// Sets entry `index` of the page table.
    pub fn set_page(&mut self, index: usize, entry: u32) {
        if let Some(page) = self.pages.get_mut(index) {
            *page = entry;
        }
    }

    /// Begins a run of descriptors that lie at super-word `first`.
    pub fn begin(&mut self, first: u32, list: Vec<Descriptor>) {
        (self.first, self.list, self.at) = (first, list, At::default());
    }

    /// These are the answers to these questions; if not, none is given.
    pub fn gives(&mut self, answers: &[(u32, Answer)]) -> bool {
        let at = self.at;
        let same = answers.iter().all(|(question, answer)| self.answer(*question) == *answer);
        if !same {
            self.at = at;
        }
        same
    }

    /// Offset of the first descriptor modulo the burst length.
    pub fn first_descriptor(&self) -> u16 {
        (self.first % self.burst) as u16
    }

    /// Position and tokens of the first pass, and where its descriptor begins: only passes that share them can be given the same answers and
    /// take the same time.
    pub fn pass_key(&self) -> (u16, u16, u16) {
        self.list.first().map_or((0, 0, 0), |d| (d.pos as _, d.count as _, self.first_descriptor()))
    }

    /// The answer to one question.
    pub fn answer(&mut self, question: u32) -> Answer {
        match question {
            ask::JOB => Answer::Job(self.job()),
            ask::BLOCK => Answer::Block(self.block(0)),
            ask::SEGMENTS => Answer::Segments(self.segments()),
            ask::SEGMENT => Answer::Segment(self.read(0)),
            ask::DELIVERY => Answer::Delivery(self.read(1).beats),
            ask::POSITIONS => Answer::Positions(self.block(1).positions),
            _ => Answer::Place(self.place()),
        }
    }

    fn job(&mut self) -> Job {
        let d = self.list.get(self.at.jobs).copied().unwrap_or_default();
        self.at.jobs += 1;
        let low = |off: u32| (off % self.burst) as u16;
        Job { n: d.count, weights: low(d.weights), x_in: low(d.x_in), x_out: low(d.x_out), more: self.at.jobs < self.list.len() }
    }

    fn pass(&self, at: &Cursor) -> (usize, usize, usize, usize) {
        let d = self.list.get(at.pass).copied().unwrap_or_default();
        (d.pos.into(), d.count.into(), d.layer.into(), d.slot.into())
    }

    /// A segment as its bursts see it: one that no burst border cuts is as good as one at a border.
    fn segment(&self, off: u32, beats: usize) -> Segment {
        let low = off % self.burst;
        let cut = low as usize + beats > self.burst as usize;
        Segment { off: if cut { low as u16 } else { 0 }, beats: beats as u32 }
    }

    fn block(&mut self, side: usize) -> Block {
        let at = self.at.blocks[side];
        let (pos, n, ..) = self.pass(&at);
        let blocks = pos.div_ceil(KV_BLOCK);
        let memory = at.block < blocks;
        let positions = if memory { (pos - at.block * KV_BLOCK).min(KV_BLOCK) } else { at.token + 1 };
        let end = self.at.blocks[side].advance(blocks + 1, self.kv.kv_heads, n);
        Block { positions: positions as u8, memory, end }
    }

    fn segments(&mut self) -> Option<Segments> {
        let at = self.at.segments;
        let (pos, n, ..) = self.pass(&at);
        if pos == 0 {
            self.at.segments = Cursor { pass: at.pass + 1, ..Cursor::default() };
            return None;
        }
        let second = pos - at.block * KV_BLOCK < KV_BLOCK;
        let end = self.at.segments.advance(pos.div_ceil(KV_BLOCK), self.kv.kv_heads, n);
        Some(Segments { second, end })
    }

    /// The next segment from the cache: a full block, or scales and K of the last one, or its V.
    fn read(&mut self, side: usize) -> Segment {
        let (mut at, second) = self.at.reads[side];
        while at.pass < self.list.len() && self.pass(&at).0 == 0 {
            at = Cursor { pass: at.pass + 1, ..Cursor::default() };
        }
        let (pos, n, layer, slot) = self.pass(&at);
        let k = &self.kv;
        let page = self.pages.get(slot * k.pages_per_slot() + at.block).copied().unwrap_or_default();
        let off = page.wrapping_add(k.block_at(layer, at.head) as u32);
        let positions = pos.saturating_sub(at.block * KV_BLOCK).min(KV_BLOCK);
        let words = positions * k.vector_words();
        let segment = match (positions == KV_BLOCK, second) {
            (true, _) => self.segment(off, k.block_words()),
            (_, false) => self.segment(off, k.scale_words() + words),
            (_, true) => self.segment(off.wrapping_add(k.vector_at(1, 0) as u32), words),
        };
        let second = positions < KV_BLOCK && !second;
        if !second {
            at.advance(pos.div_ceil(KV_BLOCK), k.kv_heads, n);
        }
        self.at.reads[side] = (at, second);
        segment
    }

    /// Vectors come kind by kind, head by head, token by token.
    fn place(&mut self) -> Place {
        let Cursor { pass, token, head, block: kind } = self.at.vectors;
        let (pos, n, layer, slot) = self.pass(&self.at.vectors);
        let k = &self.kv;
        let pos = pos + token;
        let page = self.pages.get(slot * k.pages_per_slot() + pos / KV_BLOCK).copied().unwrap_or_default();
        let off = page.wrapping_add(k.block_at(layer, head) as u32);
        let vector = self.segment(off.wrapping_add(k.vector_at(kind, pos % KV_BLOCK) as u32), k.vector_words());
        let scale = self.segment(off.wrapping_add(k.scale_at(kind, pos % KV_BLOCK).0 as u32), 1);
        let v = &mut self.at.vectors;
        v.token = token + 1;
        if v.token == n {
            (v.token, v.head) = (0, head + 1);
        }
        if v.head == k.kv_heads {
            (v.head, v.block) = (0, kind + 1);
        }
        if v.block == 2 {
            *v = Cursor { pass: pass + 1, ..Cursor::default() };
        }
        Place { vector, scale }
    }
}

/// The answers that were given to a pass.
#[derive(Debug)]
pub struct Asked<'a> {
    pub outside: &'a mut Outside,
    pub answers: Vec<(u32, Answer)>,
}

impl<'a> Asked<'a> {
    /// Of a pass that begins.
    pub fn new(outside: &'a mut Outside) -> Self {
        Self { outside, answers: Vec::with_capacity(64) }
    }

    /// What the pass's descriptor says: the first question.
    pub fn job(&mut self) -> Job {
        match self.answer(ask::JOB) {
            Answer::Job(job) => job,
            _ => Job::default(),
        }
    }

    /// The answer to one question.
    pub fn answer(&mut self, question: u32) -> Answer {
        let answer = self.outside.answer(question);
        self.answers.push((question, answer));
        answer
    }
}
