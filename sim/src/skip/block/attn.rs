//! Timing of `attn`.

use crate::skip::{
    ask,
    pieces::{Count, Fifo, Pipe, Skid, word},
    signals::{KvWord, Signals, from, into, level},
};
use tritforge_spec::block::attn::{self, KIND_HEADER, KIND_K, KIND_SCALES, KIND_V, PRODUCT_STAGE, SCORE_DEPTH};

const CMD: u32 = into("attn", "cmd");
const Q: u32 = into("attn", "q");
const KV: u32 = into("attn", "kv");
const P: u32 = into("attn", "p");
const SCORE: u32 = from("attn", "score");
const ACC: u32 = from("attn", "acc");

/// What does not change.
#[derive(Clone, Debug)]
pub struct Params {
    pub(in crate::skip) kv_words: u16,
    pub(in crate::skip) group: u16,
    pub(in crate::skip) kv_heads: u16,
    pub(in crate::skip) score_stage: u64,
    /// Beats of a head's accumulators.
    pub(in crate::skip) beats: u32,
}

impl From<&attn::Params> for Params {
    fn from(p: &attn::Params) -> Self {
        Self {
            kv_words: p.kv_words() as u16,
            group: p.group as u16,
            kv_heads: p.kv_heads as u16,
            score_stage: p.score_stage() as u64,
            beats: (p.group * p.head_dim / p.vec) as u32,
        }
    }
}

/// State.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attn {
    cmd: Skid<u8>,
    q: Skid<bool>,
    kv: Skid<KvWord>,
    p: Count,
    fill: bool,
    run: bool,
    tokens: u8,
    vectors: u32,
    /// Positions of the block, and those left of its K or V.
    positions: u32,
    left: u32,
    last: bool,
    word: u16,
    head: u16,
    token: u8,
    scores: u8,
    /// Scores in the tree; those that are the last of their head.
    stages: Pipe,
    lasts: Pipe,
    ends: Pipe,
    score: Fifo,
    /// Of the scores in the fifo, oldest lowest: the last of its head.
    score_lasts: u32,
    leaving: bool,
    /// Beats moved of the accumulators that leave, and whether the word is read.
    leave: Option<(u32, bool)>,
    out: Count,
}

impl Attn {
    /// Positions of the block that begins.
    pub fn positions_are(&mut self, positions: u8) {
        self.positions = positions.into();
        self.left = positions.into();
    }

    fn takes(&self) -> bool {
        self.run
            && self.kv.peek().is_some_and(|w| match w.kind {
                KIND_HEADER => self.scores == 0,
                KIND_SCALES | KIND_K => true,
                _ => self.p.valid() && !self.leaving,
            })
    }

    /// Counts a K or V word; whether it was the last of the block's phase.
    fn advance(&mut self, p: &Params) -> bool {
        self.word += 1;
        if self.word < p.kv_words {
            return false;
        }
        self.word = 0;
        if self.left >= 2 {
            self.left -= 1;
            return false;
        }
        self.left = self.positions;
        true
    }

    /// One cycle of the accumulators' leaving; whether a beat moves into the output register.
    fn step_leave(&mut self, p: &Params) -> bool {
        let Some((beat, have)) = self.leave else { return false };
        if !have {
            self.leave = Some((beat, true));
            return false;
        }
        if !self.out.ready() {
            return false;
        }
        let end = beat + 1 == p.beats;
        self.leave = (!end).then_some((beat + 1, true));
        self.leaving &= !end;
        true
    }

    /// The clock edge; what is asked for goes to `asks`.
    pub fn step(&mut self, p: &Params, s: &mut Signals, asks: &mut u32) {
        let take_kv = self.takes();
        let take_cmd = self.cmd.valid() && !self.fill && !self.run;
        let take_q = self.fill;
        let word_in = self.kv.head();
        s.level(level::ATTN_BUSY, take_kv && matches!(word_in.kind, KIND_K | KIND_V));

        let taken = s.moves(SCORE);
        if taken {
            self.score_lasts >>= 1;
        }
        let moved = self.step_leave(p);
        let end = self.ends.step(PRODUCT_STAGE as u64, false);
        if end {
            self.leave = Some((0, p.kv_words == 1));
        }

        let (mut score, mut score_last, mut head_end, mut take_p) = (false, false, false, false);
        if take_kv {
            match word_in.kind {
                KIND_HEADER => {
                    *asks |= ask::POSITIONS;
                    (self.last, self.word) = (word_in.last, 0);
                }
                KIND_SCALES => {}
                KIND_K => {
                    score = self.word + 1 == p.kv_words;
                    score_last = score && self.last && (self.left == 1);
                    self.advance(p);
                }
                KIND_V.. => {
                    take_p = self.word + 1 == p.kv_words;
                    head_end = self.advance(p) && self.last;
                }
            }
        }
        let pushed_last = self.lasts.step(p.score_stage, score_last);
        let pushed = self.stages.step(p.score_stage, score);
        // The pop comes first in the word of flags, as in the count.
        let held = self.score.count() - taken as usize;
        self.score.step(SCORE_DEPTH, pushed, s.is_ready(SCORE));
        self.score_lasts |= ((pushed && pushed_last) as u32) << held;
        self.scores = self.scores + score as u8 - taken as u8;
        self.ends.set(head_end);
        if head_end {
            self.leaving = true;
            self.head += 1;
            if self.head == p.kv_heads {
                self.head = 0;
                self.token += 1;
                self.run = self.token < self.tokens;
            }
        }
        if take_q
            && let Some(last) = self.q.peek()
            && last
        {
            self.vectors -= 1;
            self.run = self.vectors == 0;
            self.fill = !self.run;
        }
        if take_cmd {
            self.tokens = self.cmd.head();
            self.vectors = u32::from(self.tokens) * u32::from(p.group) * u32::from(p.kv_heads);
            (self.fill, self.head, self.token) = (true, 0, 0);
        }
        self.out.step(word(moved), s.moves(ACC));
        self.cmd.step(s.moves(CMD).then_some(s.payload.command.n), take_cmd);
        self.q.step(s.moves(Q).then_some(s.payload.head_last), take_q);
        self.kv.step(s.moves(KV).then_some(s.payload.kv), take_kv);
        self.p.step(word(s.moves(P)), take_p);
        self.outputs(s);
    }

    /// Drives the outputs.
    pub fn outputs(&self, s: &mut Signals) {
        s.accept(CMD, self.cmd.ready());
        s.accept(Q, self.q.ready());
        s.accept(KV, self.kv.ready());
        s.accept(P, self.p.ready());
        s.offer(SCORE, self.score.valid(SCORE_DEPTH));
        s.payload.score_last = self.score_lasts & 1 != 0;
        s.offer(ACC, self.out.valid());
    }
}
