//! Timing of `kvread`, as two parts: [`KvRead`], and [`Fill`] that takes the pass's own vectors. Which blocks there are depends on the position of the pass: the machine asks for each block and each
//! segment when it comes to it.

use crate::skip::{
    ask,
    pieces::{Count, Skid, word},
    signals::{KvWord, Signals, from, into, level},
};
use tritforge_spec::{
    block::attn::{KIND_HEADER, KIND_K, KIND_SCALES, KIND_V},
    kv::KvShape,
};

const CMD: u32 = into("kvread", "cmd");
const PB: u32 = into("kvread", "pb");
const IN: u32 = into("kvread", "in");
const KSEG: u32 = from("kvread", "kseg");
const KV: u32 = from("kvread", "kv");

/// What does not change: KV heads, super-words of a vector and of a block's scales.
#[derive(Clone, Debug)]
pub struct Params {
    pub(in crate::skip) kv_heads: u32,
    pub(in crate::skip) vector_words: u32,
    pub(in crate::skip) scale_words: u32,
}

impl From<&KvShape> for Params {
    fn from(k: &KvShape) -> Self {
        Self { kv_heads: k.kv_heads as u32, vector_words: k.vector_words() as u32, scale_words: k.scale_words() as u32 }
    }
}

/// A block as the output side sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Block {
    pub positions: u8,
    /// It comes from memory, not from the pass buffer; the latter is the last of its head.
    pub memory: bool,
    /// The last of the pass.
    pub end: bool,
}

/// The segments of a block in memory. What they are is asked for when the read master begins them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Segments {
    /// There is a second one, as the block is not full.
    pub second: bool,
    /// The last of the pass.
    pub end: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Page,
    Sum,
    First,
    Second,
}

/// The command under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pass {
    segments: Option<(Stage, Segments)>,
    /// Of the block under way.
    memory: bool,
    end: bool,
    part: u8,
    /// Words issued of its scales.
    word: u32,
}

/// State.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KvRead {
    cmd: Skid<u8>,
    input: Count,
    pass: Option<Pass>,
    /// Of the block under way: its positions, and words left of its K or V.
    positions: u32,
    left: u32,
    output: Option<KvWord>,
}

/// The side that fills the pass buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fill {
    pb: Skid<bool>,
    /// Scales of the pass that have not come.
    missing: u32,
    /// Words on their way into the pass buffer.
    writes: [bool; 2],
}

impl Fill {
    /// The clock edge; `scales`: those of a pass that begins.
    pub fn step(&mut self, scales: Option<u32>, s: &mut Signals) {
        let take = self.missing >= 1;
        let arrived = self.pb.peek().filter(|_| take);
        self.missing -= (arrived == Some(true)) as u32;
        self.writes = [arrived.is_some(), self.writes[0]];
        if let Some(scales) = scales {
            self.missing = scales;
        }
        self.pb.step(s.moves(PB).then_some(s.payload.pb_scale), take);
        self.outputs(s);
    }

    /// Drives the outputs.
    pub fn outputs(&mut self, s: &mut Signals) {
        s.accept(PB, self.pb.ready());
        s.level(level::KV_COMPLETE, self.writes == [false; 2] && (self.missing < 1));
    }
}

impl KvRead {
    /// The block that was asked for.
    pub fn block_is(&mut self, block: Block) {
        if let Some(pass) = &mut self.pass {
            (pass.memory, pass.end) = (block.memory, block.end);
            self.positions = block.positions.into();
        }
    }

    /// The segments that were asked for.
    pub fn segments_are(&mut self, segments: Option<Segments>) {
        if let Some(pass) = &mut self.pass {
            pass.segments = segments.map(|s| (Stage::Page, s));
        }
    }

    /// The word that is issued next, if its data are there; whether it comes from `in`.
    fn issue(&self, pass: &Pass, complete: bool) -> Option<bool> {
        if !pass.memory && !complete {
            return None;
        }
        if pass.part == KIND_HEADER || !pass.memory {
            return Some(false);
        }
        self.input.valid().then_some(true)
    }

    /// Counts one issued word; whether it was the last of its block.
    #[inline(always)]
    fn advance(&mut self, k: &Params) -> bool {
        let Some(pass) = &mut self.pass else { return false };
        match pass.part {
            KIND_HEADER => pass.part = KIND_SCALES,
            KIND_SCALES => {
                pass.word += 1;
                if pass.word == k.scale_words {
                    (pass.word, pass.part) = (0, KIND_K);
                    self.left = self.positions * k.vector_words;
                }
            }
            _ if (self.left >= 2) => self.left -= 1,
            KIND_K => {
                pass.part = KIND_V;
                self.left = self.positions * k.vector_words;
            }
            _ => {
                pass.part = KIND_HEADER;
                self.left = 0;
                self.positions = 0;
                return true;
            }
        }
        false
    }

    /// A command waits.
    pub fn begins(&self) -> bool {
        self.cmd.valid()
    }

    /// The clock edge; what is asked for goes to `asks`. The scales of a pass that begins.
    pub fn step(&mut self, k: &Params, s: &mut Signals, asks: &mut u32) -> Option<u32> {
        let enable = self.output.is_none() || s.moves(KV);
        let issued = self.pass.filter(|_| enable).and_then(|p| Some((p, self.issue(&p, s.high(level::KV_COMPLETE))?)));
        let mut finished = false;
        if let Some(pass) = &mut self.pass {
            let kseg = s.moves(KSEG);
            pass.segments = match pass.segments {
                Some((Stage::Page, b)) => Some((Stage::Sum, b)),
                Some((Stage::Sum, b)) => Some((Stage::First, b)),
                Some((Stage::First, b)) if kseg && b.second => Some((Stage::Second, b)),
                Some((Stage::First | Stage::Second, b)) if kseg => {
                    if !b.end {
                        *asks |= ask::SEGMENTS;
                    }
                    None
                }
                other => other,
            };
        }
        let take_input = issued.is_some_and(|(_, from_input)| from_input);
        if let Some((pass, _)) = issued {
            let header = pass.part == KIND_HEADER;
            self.output = Some(KvWord { kind: pass.part, last: header && !pass.memory });
            if self.advance(k) {
                finished = pass.end;
                if !finished {
                    *asks |= ask::BLOCK;
                }
            }
        } else if enable {
            self.output = None;
        }
        let mut scales = None;
        let take_cmd = self.pass.is_none() || finished;
        if take_cmd {
            self.pass = self.cmd.peek().map(|n| {
                *asks |= ask::BLOCK | ask::SEGMENTS;
                scales = Some(2 * k.kv_heads * u32::from(n));
                Pass { segments: None, memory: false, end: false, part: KIND_HEADER, word: 0 }
            });
        }
        self.cmd.step(s.moves(CMD).then_some(s.payload.command.n), take_cmd);
        self.input.step(word(s.moves(IN)), take_input);
        self.outputs(s);
        scales
    }

    /// Drives the outputs.
    pub fn outputs(&self, s: &mut Signals) {
        s.accept(CMD, self.cmd.ready());
        s.accept(IN, self.input.ready());
        let offered = matches!(self.pass, Some(Pass { segments: Some((Stage::First | Stage::Second, _)), .. }));
        s.offer(KSEG, offered);
        s.offer(KV, self.output.is_some());
        s.payload.kv = self.output.unwrap_or_default();
    }
}
