//! `kvread`: the KV blocks of the passes before from memory, that of the pass from its own buffer, which it fills.

use super::{
    attn::Attn,
    net::{KvWord, Net, process},
    read::Side,
    record::Which,
    times::Time,
};
use crate::skip::{
    ask,
    block::kvread,
    outside::{Answer, Asked},
};
use tritforge_spec::block::attn::{KIND_HEADER, KIND_K, KIND_SCALES, KIND_V};

/// State.
#[derive(Clone)]
pub struct KvRead {
    p: kvread::Params,
    /// Scales of the pass that have not come into the pass buffer, and from when on a word may.
    missing: u32,
    fill_next: Time,
    /// From when on the pass buffer holds all of the pass.
    complete: Option<Time>,
    /// It does not take the command yet.
    pub hold: bool,
    pass: bool,
    /// The next segment: from when on it is offered, whether its block has a second, whether that is it, whether it is the pass's last block.
    segment: Option<(Time, bool, bool, bool)>,
    /// The block under way, its part and words left of it.
    block: Option<kvread::Block>,
    part: u8,
    left: u32,
    /// Words left of the vector, and words of the block's K.
    word: u32,
    vectors: u32,
    block_ended: bool,
    next: Time,
    /// The word at the output.
    output: Option<(Time, KvWord)>,
    /// What takes its words.
    pub attn: Attn,
}

/// Cycles from a command, or the segments before, to a block's segments.
const SEGMENT_LATENCY: Time = 3;
/// Cycles from the last word's being taken to the pass buffer's being complete.
const FILL_LATENCY: Time = 3;

impl KvRead {
    pub fn new(p: kvread::Params, attn: Attn) -> Self {
        Self {
            p,
            missing: 0,
            fill_next: 0,
            complete: None,
            hold: true,
            pass: false,
            segment: None,
            block: None,
            part: KIND_HEADER,
            left: 0,
            word: 1,
            vectors: 0,
            block_ended: false,
            next: 0,
            output: None,
            attn,
        }
    }

    /// The cycle in which the first segment could be asked for, if it holds a command: nothing that others do depends on it before.
    pub fn held(&self, net: &Net) -> Option<Time> {
        let (from, _) = net.kvread_cmd.head().filter(|_| self.hold)?;
        Some(from.max(self.next.saturating_sub(1)) + SEGMENT_LATENCY)
    }

    #[inline(never)]
    pub fn advance(&mut self, net: &mut Net, outside: &mut Asked) {
        if !self.pass
            && !self.hold
            && let Some((from, cmd)) = net.kvread_cmd.head()
        {
            let at = from.max(self.next.saturating_sub(1));
            net.kvread_cmd.take(at, &mut net.wake);
            (self.pass, self.next, self.fill_next, self.complete) = (true, at + 1, at + 1, None);
            self.missing = 2 * self.p.kv_heads * u32::from(cmd.n);
            self.begin_block(outside);
            self.begin_segments(at, outside);
        }
        self.fill(net);
        self.ask(net, outside);
        self.issue(net, outside);
    }

    /// Words of the pass come into the pass buffer.
    fn fill(&mut self, net: &mut Net) {
        while self.missing > 0
            && let Some((word, scale)) = net.pb.head()
        {
            let at = word.max(self.fill_next);
            net.pb.take(at, &mut net.wake);
            self.fill_next = at + 1;
            self.missing -= scale as u32;
            if self.missing == 0 {
                self.complete = Some(at + FILL_LATENCY);
            }
        }
    }

    /// The segments of the next block; those before were done with in `cycle`.
    fn begin_segments(&mut self, cycle: Time, outside: &mut Asked) {
        self.segment = match outside.answer(ask::SEGMENTS) {
            Answer::Segments(Some(s)) => Some((cycle + SEGMENT_LATENCY, s.second, false, s.end)),
            _ => None,
        };
    }

    /// Segments are asked for.
    fn ask(&mut self, net: &mut Net, outside: &mut Asked) {
        while net.kseg.room()
            && let Some((from, both, second, end)) = self.segment
            && let Answer::Segment(seg) = outside.answer(ask::SEGMENT)
        {
            let t = net.kseg.offer(from, seg, &mut net.wake);
            self.segment = None;
            if both && !second {
                self.segment = Some((t + 1, both, true, end));
            } else if !end {
                self.begin_segments(t, outside);
            }
        }
    }

    fn begin_block(&mut self, outside: &mut Asked) {
        if let Answer::Block(block) = outside.answer(ask::BLOCK) {
            (self.block, self.part, self.left, self.word) = (Some(block), KIND_HEADER, 1, 1);
            self.vectors = u32::from(block.positions) * self.p.vector_words;
        }
    }

    /// The word at the output leaves, if it is known when.
    #[inline(always)]
    fn leave(&mut self, net: &mut Net) {
        let Some((from, word)) = self.output else { return };
        if !net.kv.room() {
            return;
        }
        net.record.high(Which::Kv, net.kv.open(), from);
        // Most often the engine goes on with it at once.
        let t = match self.attn.word(from, word, net) {
            Some(t) => t,
            None => net.kv.offer(from, word, &mut net.wake),
        };
        (self.next, self.output) = (self.next.max(t), None);
    }

    /// The next word comes from memory and can be issued as soon as it is there.
    #[inline(always)]
    pub fn takes(&mut self, net: &mut Net, outside: &mut Asked) -> bool {
        if self.block_ended || self.part == KIND_HEADER || self.output.is_some() {
            self.issue(net, outside);
        }
        self.output.is_none() && self.part != KIND_HEADER && self.block.is_some_and(|b| b.memory)
    }

    /// Words from memory that have arrived go all the way into the score/value engine, one after another, up to the end of the block's scales, K
    /// or V. Nothing is on the way, and no word is at the output. Whether any moved.
    pub fn stream(&mut self, side: &mut Side, arrived: usize, offered: Time, net: &mut Net) -> bool {
        let words = arrived.min(self.left as usize);
        let (mut a_next, [mut a_free, mut a_free2]) = net.route_a.state();
        let (mut u_next, [mut u_free, mut u_free2]) = net.kv_in.state();
        a_next = a_next.max(offered);
        u_next = u_next.max(net.route_a.after());
        self.next = self.next.max(net.kv_in.after());
        let logged = net.kv_in.log.is_some();
        let (first, mut arrival, mut run) = (side.left.count, 0, 0);
        let mut left = (a_next, 0);
        let mut n = 0;
        while n < words && self.output.is_none() {
            if run == 0 {
                (arrival, run) = side.arrival_of(first + n);
            }
            let a = arrival.max(a_next).max(a_free);
            let many = run.min(words - n).min(if self.part == KIND_V { self.word as usize } else { usize::MAX });
            if many > 1 && !logged && self.put_many(a, u_next.max(u_free), many, net) {
                let k = many as Time;
                (a_free, u_free) = (a + k, a + k + 1);
                (a_next, a_free2, u_next, u_free2) = (a + k, a + k + 1, a + k + 1, a + k + 2);
                if a != left.0 + left.1 as Time {
                    side.left.push_run(left.0, left.1);
                    left = (a, 0);
                }
                left.1 += many;
                (n, arrival, run) = (n + many, arrival + k, run - many);
                continue;
            }
            let u = (a + 1).max(u_next).max(u_free);
            let at = self.next.max(u + 1);
            (a_next, a_free, a_free2) = (a + 1, a_free2, u + 1);
            (u_next, u_free, u_free2) = (u + 1, u_free2, at + 1);
            (n, arrival, run) = (n + 1, arrival + 1, run - 1);
            if a != left.0 + left.1 as Time {
                side.left.push_run(left.0, left.1);
                left = (a, 0);
            }
            left.1 += 1;
            if logged {
                net.route_a.log.iter_mut().for_each(|log| log.push(a));
                net.kv_in.log.iter_mut().for_each(|log| log.push(u));
            }
            self.block_ended = self.put(at, false);
            self.leave(net);
        }
        side.left.push_run(left.0, left.1);
        net.route_a.pass(n, (a_next, [a_free, a_free2]));
        net.kv_in.pass(n, (u_next, [u_free, u_free2]));
        side.passed(n, a_next - 1, &mut net.wake);
        if self.block_ended {
            net.wake |= process::KVREAD;
        }
        n > 0
    }

    /// `n` words move to `route_a` from cycle `a` on, one a cycle, and might from `open` on to it: whether they go on so into the engine.
    fn put_many(&mut self, a: Time, open: Time, n: usize, net: &mut Net) -> bool {
        let issued = a + 2;
        if open > a + 1 || self.next > issued {
            return false;
        }
        let from = net.kv.open();
        // Blocks in memory never end a head: the pass buffer's comes after them.
        if !self.attn.words(issued + 1, n, self.part, (self.word, self.p.vector_words), false, net) {
            return false;
        }
        net.record.high(Which::Kv, from, issued + 1);
        self.next = issued + n as Time;
        self.left -= n as u32;
        let words = self.p.vector_words;
        self.word = if self.part < KIND_K { words } else { (self.word + words - 1 - (n as u32 % words)) % words + 1 };
        if self.left == 0 {
            self.block_ended = self.end_part();
        }
        true
    }

    /// The block's scales, K or V end; whether the block does.
    #[inline(always)]
    fn end_part(&mut self) -> bool {
        self.word = self.p.vector_words;
        match self.part {
            KIND_HEADER => (self.part, self.left) = (KIND_SCALES, self.p.scale_words),
            KIND_SCALES => (self.part, self.left) = (KIND_K, self.vectors),
            KIND_K => (self.part, self.left) = (KIND_V, self.vectors),
            _ => self.part = KIND_HEADER,
        }
        self.part == KIND_HEADER
    }

    /// A word is issued in cycle `at`; whether it was the block's last. `own`: the block is the pass buffer's.
    #[inline(always)]
    fn put(&mut self, at: Time, own: bool) -> bool {
        let words = self.p.vector_words;
        self.left -= 1;
        self.word = if self.word == 1 { words } else { self.word - 1 };
        let end = self.left == 0;
        let vector_end = self.part >= KIND_K && self.word == words;
        let head_end = own && (self.part == KIND_HEADER || end);
        self.output = Some((at + 1, KvWord { kind: self.part, vector_end, head_end }));
        self.next = at + 1;
        if !end {
            return false;
        }
        self.end_part()
    }

    /// Words are issued.
    fn issue(&mut self, net: &mut Net, outside: &mut Asked) {
        loop {
            if std::mem::take(&mut self.block_ended) {
                match self.block {
                    Some(block) if block.end => (self.block, self.pass) = (None, false),
                    _ => self.begin_block(outside),
                }
            }
            self.leave(net);
            let (None, Some(block)) = (self.output, self.block) else { return };
            let mut at = self.next;
            if !block.memory {
                let Some(complete) = self.complete else { return };
                at = at.max(complete);
            } else if self.part != KIND_HEADER {
                let Some((word, ())) = net.kv_in.head() else { return };
                at = at.max(word);
                net.kv_in.take(at, &mut net.wake);
            }
            self.block_ended = self.put(at, !block.memory);
        }
    }
}
