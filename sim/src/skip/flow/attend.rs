//! Attention of a query-head group: `attn` (scores and values), `softmax`, `attn_out`.

use super::{
    link::{History, Link, Ring, Time, fifo_latency},
    net::{KvWord, Net, process},
    record::Which,
};
use crate::skip::block::attn;
use std::collections::VecDeque;
use tritforge_spec::block::{
    attn::{KIND_HEADER, KIND_K, KIND_SCALES, PRODUCT_STAGE, SCORE_DEPTH},
    attn_out, softmax,
};

/// `attn`.
pub struct Attn {
    p: attn::Params,
    latency: Time,
    /// Query vectors left, and heads left of the pass, tokens apart.
    vectors: u32,
    heads: u32,
    fill: bool,
    run: bool,
    q_next: Time,
    next: Time,
    /// Scores that have not moved, from when on and whether they are their head's last; when the last one moved.
    scores: Ring<(Time, bool), { SCORE_DEPTH.next_power_of_two() }>,
    score_moved: Time,
    /// Accumulators that leave: beats left, from when on the next may.
    leave: Option<(u32, Time)>,
    /// From when on V may be taken, as far as they decide.
    v_next: Time,
    out: Link<()>,
}

impl Attn {
    pub fn new(p: attn::Params) -> Self {
        Self {
            p,
            latency: fifo_latency(SCORE_DEPTH),
            vectors: 0,
            heads: 0,
            fill: false,
            run: false,
            q_next: 0,
            next: 0,
            scores: Ring::new(),
            score_moved: 0,
            leave: None,
            v_next: 0,
            out: Link::new(process::ATTN, process::ATTN),
        }
    }

    #[inline(never)]
    pub fn advance(&mut self, net: &mut Net) {
        loop {
            let mut moved = self.queries(net);
            moved |= self.leave(net);
            moved |= self.take(net);
            if !moved {
                return;
            }
        }
    }

    fn queries(&mut self, net: &mut Net) -> bool {
        let mut moved = false;
        if !self.fill
            && !self.run
            && let Some((from, cmd)) = net.attn_cmd.head()
        {
            let at = from.max(self.next);
            net.attn_cmd.take(at, &mut net.wake);
            self.heads = u32::from(cmd.n) * u32::from(self.p.kv_heads);
            self.vectors = self.heads * u32::from(self.p.group);
            (self.fill, self.q_next, moved) = (true, at + 1, true);
        }
        while self.fill
            && let Some((from, last)) = net.q.head()
        {
            let at = from.max(self.q_next);
            net.q.take(at, &mut net.wake);
            self.took_query(at, last);
            moved = true;
        }
        moved
    }

    /// A beat of a query was taken in cycle `at`.
    #[inline(always)]
    fn took_query(&mut self, at: Time, last: bool) {
        self.q_next = at + 1;
        self.vectors -= last as u32;
        if self.vectors == 0 {
            (self.fill, self.run) = (false, true);
            self.next = self.next.max(at + 1);
        }
    }

    /// A beat of a query is offered from `valid` on and is taken at once; when it moved. `None`: it has to wait in the stream.
    #[inline(always)]
    pub fn query(&mut self, valid: Time, last: bool, net: &mut Net) -> Option<Time> {
        if !self.fill || !net.q.is_empty() {
            return None;
        }
        let t = valid.max(net.q.open());
        let at = (t + 1).max(self.q_next).max(net.q.after());
        net.q.pass_one(t, at);
        self.took_query(at, last);
        if self.run {
            net.wake |= process::ATTN;
        }
        Some(t)
    }

    /// `n` words of the block's scales or K, or of one vector of V, are offered from `first` on, one a cycle: whether they are taken so, without any
    /// wait. `left`: words left of the first one's vector, of `words`; `head_end`: the last of them ends its head.
    pub fn words(&mut self, first: Time, n: usize, kind: u8, (left, words): (u32, u32), head_end: bool, net: &mut Net) -> bool {
        if !self.run || !net.kv.is_empty() || net.kv.open() > first || self.next.max(net.kv.after()) > first + 1 {
            return false;
        }
        let word = KvWord { kind, ..KvWord::default() };
        if kind > KIND_K && self.open(first + 1, word, net) != Some(first + 1) {
            return false;
        }
        let last = first + n as Time - 1;
        if n == 1 {
            net.kv.pass_one(first, first + 1);
        } else {
            net.kv.pass_run(n, first, (last + 1, [last + 1, last + 2]));
        }
        self.next = last + 2;
        if kind < KIND_K {
            return true;
        }
        net.record.high(Which::Attn, first + 2, last + 3);
        let mut end = left as usize;
        while end <= n {
            let at = first + end as Time;
            self.end_vector(at, KvWord { kind, vector_end: true, head_end: head_end && end == n }, net);
            self.leave(net);
            end += words as usize;
        }
        true
    }

    /// A vector's last word was taken in cycle `at`.
    #[inline(always)]
    fn end_vector(&mut self, at: Time, word: KvWord, net: &mut Net) {
        if word.kind == KIND_K {
            self.scores.push((at + self.p.score_stage + self.latency, word.head_end));
            return;
        }
        net.p.take(at, &mut net.wake);
        if word.head_end {
            let first = at + PRODUCT_STAGE as Time + 1 + (self.p.kv_words != 1) as Time;
            self.leave = Some((self.p.beats, first));
            self.heads -= 1;
            self.run = self.heads > 0;
            // Accumulators go on when the process gets its turn.
            net.wake |= process::ATTN;
        }
    }

    /// Scores and accumulators leave.
    fn leave(&mut self, net: &mut Net) -> bool {
        let mut moved = false;
        while net.score.room()
            && let Some((from, last)) = self.scores.pop()
        {
            self.score_moved = net.score.offer(from, last, &mut net.wake);
            moved = true;
        }
        while net.acc.room()
            && let Some((from, ())) = self.out.head()
        {
            let t = net.acc.offer(from, (), &mut net.wake);
            self.out.take(t, &mut net.wake);
            moved = true;
        }
        while let Some((left, from)) = self.leave
            && self.out.room()
        {
            let t = self.out.offer(from, (), &mut net.wake);
            self.leave = (left > 1).then_some((left - 1, t + 1));
            if left == 1 {
                self.v_next = t + 1;
            }
            moved = true;
        }
        moved
    }

    fn take(&mut self, net: &mut Net) -> bool {
        let mut moved = false;
        while self.run
            && let Some((from, word)) = net.kv.head()
            && let Some(at) = self.open(from, word, net)
        {
            net.kv.take(at, &mut net.wake);
            self.took(at, word, net);
            moved = true;
            moved |= self.leave(net);
        }
        moved
    }

    /// When a word is taken that is there from `from` on.
    #[inline(always)]
    fn open(&self, from: Time, word: KvWord, net: &Net) -> Option<Time> {
        let at = from.max(self.next);
        match word.kind {
            // All scores of the block before have moved.
            KIND_HEADER => self.scores.is_empty().then(|| at.max(self.score_moved + 1)),
            KIND_SCALES | KIND_K => Some(at),
            _ if self.leave.is_some() => None,
            _ => Some(at.max(net.p.head()?.0).max(self.v_next)),
        }
    }

    /// A word was taken in cycle `at`.
    #[inline(always)]
    fn took(&mut self, at: Time, word: KvWord, net: &mut Net) {
        self.next = at + 1;
        if word.kind < KIND_K {
            return;
        }
        net.record.high(Which::Attn, at + 1, at + 2);
        if word.vector_end {
            self.end_vector(at, word, net);
        }
    }

    /// A KV word is offered from `valid` on and is taken at once; when it moved. `None`: it has to wait in the stream.
    #[inline(always)]
    pub fn word(&mut self, valid: Time, word: KvWord, net: &mut Net) -> Option<Time> {
        if !self.run || !net.kv.is_empty() {
            return None;
        }
        let t = valid.max(net.kv.open());
        let at = self.open((t + 1).max(net.kv.after()), word, net)?;
        net.kv.pass_one(t, at);
        self.took(at, word, net);
        if word.vector_end {
            self.leave(net);
        }
        Some(t)
    }
}

/// `softmax`.
pub struct Softmax {
    next: Time,
    /// Weights and sums that have not moved, from when on; when the others moved, and how many were begun.
    p: Ring<Time, { softmax::FIFO_DEPTH.next_power_of_two() }>,
    sum: Ring<Time, { softmax::SUM_DEPTH.next_power_of_two() }>,
    p_moved: History,
    sum_moved: History,
    begun: usize,
    ending: usize,
}

impl Softmax {
    pub fn new() -> Self {
        Self {
            next: 0,
            p: Ring::new(),
            sum: Ring::new(),
            p_moved: History::new(softmax::FIFO_DEPTH),
            sum_moved: History::new(softmax::SUM_DEPTH),
            begun: 0,
            ending: 0,
        }
    }

    #[inline(never)]
    pub fn advance(&mut self, net: &mut Net) {
        loop {
            let mut moved = false;
            while net.p.room()
                && let Some(from) = self.p.pop()
            {
                self.p_moved.push(net.p.offer(from, (), &mut net.wake));
                moved = true;
            }
            while net.sum.room()
                && let Some(from) = self.sum.pop()
            {
                self.sum_moved.push(net.sum.offer(from, (), &mut net.wake));
                moved = true;
            }
            if let Some((from, last)) = net.score.head()
                && let Some(credit) = self.p_moved.credit(self.begun, softmax::FIFO_DEPTH)
                && let Some(room) = if last { self.sum_moved.credit(self.ending, softmax::SUM_DEPTH) } else { Some(0) }
            {
                let at = from.max(self.next).max(credit).max(room);
                net.score.take(at, &mut net.wake);
                (self.next, self.begun, moved) = (at + 1, self.begun + 1, true);
                self.p.push(at + softmax::STAGES as Time + fifo_latency(softmax::FIFO_DEPTH));
                if last {
                    self.ending += 1;
                    self.sum.push(at + softmax::SUM_STAGE as Time + fifo_latency(softmax::SUM_DEPTH));
                }
            }
            if !moved {
                return;
            }
        }
    }
}

/// `attn_out`.
pub struct AttnOut {
    p: attn_out::Params,
    head: usize,
    divide_next: Time,
    /// Reciprocals: from when on, of those that no accumulator's last beat has used; when the others were used, and how many were begun.
    reciprocals: VecDeque<Time>,
    used: History,
    begun: usize,
    beat: usize,
    next: Time,
    o: Ring<Time, { attn_out::FIFO_DEPTH.next_power_of_two() }>,
    o_moved: History,
    issued: usize,
}

impl AttnOut {
    pub fn new(p: attn_out::Params) -> Self {
        Self {
            used: History::new(p.reciprocals()),
            p,
            head: 0,
            divide_next: 0,
            reciprocals: VecDeque::new(),
            begun: 0,
            beat: 0,
            next: 0,
            o: Ring::new(),
            o_moved: History::new(attn_out::FIFO_DEPTH),
            issued: 0,
        }
    }

    #[inline(never)]
    pub fn advance(&mut self, net: &mut Net) {
        loop {
            let mut moved = false;
            while net.o.room()
                && let Some(from) = self.o.pop()
            {
                self.o_moved.push(net.o.offer(from, (), &mut net.wake));
                moved = true;
            }
            moved |= self.divide(net);
            moved |= self.issue(net);
            if !moved {
                return;
            }
        }
    }

    fn divide(&mut self, net: &mut Net) -> bool {
        let depth = self.p.reciprocals();
        let mut moved = false;
        while let Some((from, ())) = net.sum.head()
            && let Some(room) = self.used.credit(self.begun, depth)
        {
            let start = from.max(self.divide_next).max(room);
            let made = start + attn_out::RECIPROCAL_CYCLES - 1;
            self.reciprocals.push_back(made + fifo_latency(depth));
            (self.divide_next, self.begun, self.head, moved) = (made + 1, self.begun + 1, self.head + 1, true);
            if self.head == self.p.group {
                self.head = 0;
                net.sum.take(made, &mut net.wake);
            }
        }
        moved
    }

    fn issue(&mut self, net: &mut Net) -> bool {
        let mut moved = false;
        while let Some((from, ())) = net.acc.head()
            && let Some(&reciprocal) = self.reciprocals.front()
            && let Some(credit) = self.o_moved.credit(self.issued, attn_out::FIFO_DEPTH)
        {
            let at = from.max(reciprocal).max(self.next).max(credit);
            net.acc.take(at, &mut net.wake);
            (self.next, self.issued, self.beat, moved) = (at + 1, self.issued + 1, self.beat + 1, true);
            self.o.push(at + attn_out::STAGES as Time + fifo_latency(attn_out::FIFO_DEPTH));
            if self.beat * self.p.vec == self.p.head_dim {
                self.beat = 0;
                self.reciprocals.pop_front();
                self.used.push(at);
            }
        }
        moved
    }
}
