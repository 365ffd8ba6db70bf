//! `attn`: scores and values of a query-head group.

use super::{
    attn_out::AttnOut,
    link::Link,
    net::{KvWord, Net, process},
    record::Which,
    softmax::Softmax,
    times::{Ring, Time, fifo_latency},
};
use crate::skip::block::attn;
use tritforge_spec::block::attn::{KIND_HEADER, KIND_K, KIND_SCALES, PRODUCT_STAGE, SCORE_DEPTH};

/// State.
#[derive(Clone)]
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
    /// What takes the scores and gives the weights of V, and what takes the accumulators.
    pub softmax: Softmax,
    pub attn_out: AttnOut,
}

impl Attn {
    pub fn new(p: attn::Params, attn_out: AttnOut) -> Self {
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
            softmax: Softmax::new(),
            attn_out,
        }
    }

    #[inline(never)]
    pub fn advance(&mut self, net: &mut Net) {
        self.queries(net);
        self.leave(net);
        self.take(net);
    }

    fn queries(&mut self, net: &mut Net) {
        if !self.fill
            && !self.run
            && let Some((from, cmd)) = net.attn_cmd.head()
        {
            let at = from.max(self.next);
            net.attn_cmd.take(at, &mut net.wake);
            self.heads = u32::from(cmd.n) * u32::from(self.p.kv_heads);
            self.vectors = self.heads * u32::from(self.p.group);
            (self.fill, self.q_next) = (true, at + 1);
        }
        while self.fill
            && let Some((from, last)) = net.q.head()
        {
            let at = from.max(self.q_next);
            net.q.take(at, &mut net.wake);
            self.took_query(at, last);
        }
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
    fn leave(&mut self, net: &mut Net) {
        while !self.scores.is_empty() {
            if !net.score.room() {
                self.softmax.advance(net);
            }
            if !net.score.room() {
                break;
            }
            if let Some((from, last)) = self.scores.pop() {
                self.score_moved = net.score.offer(from, last, &mut net.wake);
            }
        }
        loop {
            while let Some((from, ())) = self.out.head() {
                if !net.acc.room() {
                    self.attn_out.advance(net);
                }
                if !net.acc.room() {
                    break;
                }
                let t = net.acc.offer(from, (), &mut net.wake);
                self.out.take(t, &mut net.wake);
            }
            let (Some((left, from)), true) = (self.leave, self.out.room()) else { return };
            let t = self.out.offer(from, (), &mut net.wake);
            self.leave = (left > 1).then_some((left - 1, t + 1));
            if left == 1 {
                self.v_next = t + 1;
            }
        }
    }

    fn take(&mut self, net: &mut Net) {
        while self.run
            && let Some((from, word)) = net.kv.head()
            && let Some(at) = self.open(from, word, net)
        {
            net.kv.take(at, &mut net.wake);
            self.took(at, word, net);
            self.leave(net);
        }
    }

    /// When a word is taken that is there from `from` on.
    #[inline(always)]
    fn open(&mut self, from: Time, word: KvWord, net: &mut Net) -> Option<Time> {
        let at = from.max(self.next);
        match word.kind {
            // All scores of the block before have moved.
            KIND_HEADER => self.scores.is_empty().then(|| at.max(self.score_moved + 1)),
            KIND_SCALES | KIND_K => Some(at),
            _ if self.leave.is_some() => None,
            _ => {
                if net.p.is_empty() {
                    self.softmax.advance(net);
                }
                Some(at.max(net.p.head()?.0).max(self.v_next))
            }
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
