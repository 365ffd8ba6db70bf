//! `axi_read`: segments become bursts, bursts beats in a FIFO, beats words of a stream. The two streams share the ports; which of them a port
//! serves next is the one thing that depends on the order of times ([`Read::decide`]).

use super::{
    link::Link,
    memory,
    net::{Net, process},
    times::{History, Runs, Time, fifo_latency},
};
use crate::{memory::MemConfig, skip::pieces::Segment};
use std::collections::VecDeque;
use tritforge_spec::block::{axi_read::SEGMENTS, axi_read_port::Params};

/// `axi_burst`: a segment becomes bursts that end at multiples of the burst length.
#[derive(Clone)]
pub struct Bursts {
    burst: u32,
    pub segments: Link<Segment>,
    /// The segment under way: from when on, offset modulo the burst length, beats that are in no burst yet.
    act: Option<(Time, u32, u32)>,
    /// When the one before ended, and when the burst before was taken.
    ended: Time,
    taken: Time,
    /// The burst that is offered: from when on, beats.
    pub out: Option<(Time, u32)>,
}

impl Bursts {
    /// `process`: the one that both gives and takes segments.
    pub fn new(burst: usize, process: u32) -> Self {
        let segments = Link::new(process, process);
        Self { burst: burst as u32, segments, act: None, ended: 0, taken: 0, out: None }
    }

    /// Begins the next segment, if none is under way and there is one.
    fn begin(&mut self, wake: &mut u32) {
        if self.act.is_none()
            && let Some((from, seg)) = self.segments.head()
        {
            let at = from.max(self.ended);
            self.segments.take(at, wake);
            self.act = Some((at + 1, seg.off.into(), seg.beats));
        }
    }

    /// Goes on as far as it can.
    pub fn refill(&mut self, wake: &mut u32) {
        self.begin(wake);
        if self.out.is_none()
            && let Some((from, off, left)) = self.act
        {
            let at = from.max(self.taken);
            let beats = left.min(self.burst - off);
            self.out = Some((at + 1, beats));
            if beats < left {
                self.act = Some((at + 1, 0, left - beats));
            } else {
                (self.act, self.ended) = (None, at);
                self.begin(wake);
            }
        }
    }

    /// What is left of the segment under way, and the beats of the burst that is offered, if nothing else has an effect from cycle `by` on.
    pub fn state(&self, by: Time) -> Option<[Option<u32>; 3]> {
        let past = self.segments.is_empty() && self.segments.is_past(by) && self.ended <= by && self.taken <= by;
        let past = past && self.act.is_none_or(|a| a.0 <= by) && self.out.is_none_or(|o| o.0 <= by);
        past.then_some([self.act.map(|a| a.1), self.act.map(|a| a.2), self.out.map(|o| o.1)])
    }

    /// The burst is taken in `cycle`.
    pub fn take(&mut self, cycle: Time, wake: &mut u32) {
        (self.out, self.taken) = (None, cycle);
        self.refill(wake);
    }
}

/// A stream of words from memory: of weights, or auxiliary.
#[derive(Clone)]
pub struct Side {
    bursts: Bursts,
    /// Segments whose words have not all moved: from when on, beats left, dest.
    segments: VecDeque<(Time, u32, u8)>,
    /// When the last words of segments moved.
    ends: History,
    depth: usize,
    fifo_latency: Time,
    /// Beats that were asked for.
    reserved: usize,
    /// From when on each beat stands at the FIFO's end if it is the first there, and when it left.
    arrived: Runs,
    pub left: Runs,
}

impl Side {
    fn new(p: &Params, depth: usize) -> Self {
        Self {
            bursts: Bursts::new(p.burst, process::READ),
            segments: VecDeque::new(),
            ends: History::new(SEGMENTS),
            depth,
            fifo_latency: fifo_latency(depth),
            reserved: 0,
            arrived: Runs::default(),
            left: Runs::default(),
        }
    }

    /// Words left of its only segment, of those that arrived, of those that were asked for, if nothing else has an effect from cycle `by` on.
    fn state(&self, by: Time) -> Option<[u32; 3]> {
        let past = self.arrived.is_past(by + 1) && self.left.is_past(by) && self.ends.is_past(by);
        let (&(from, left, _), 1) = (self.segments.front()?, self.segments.len()) else { return None };
        (past && from <= by).then(|| [left, (self.arrived.count - self.left.count) as u32, (self.reserved - self.left.count) as u32])
    }

    /// All bursts of the segments that it took have been chosen.
    pub fn asks_no_more(&self) -> bool {
        self.bursts.out.is_none() && self.bursts.act.is_none() && self.bursts.segments.is_empty()
    }

    /// Takes a segment that can be taken from `from` on; when, if that is known.
    fn begin(&mut self, from: Time, seg: Segment, dest: u8, wake: &mut u32) -> Option<Time> {
        let before = self.ends.credit(self.ends.count + self.segments.len(), SEGMENTS)?;
        if !self.bursts.segments.room() {
            return None;
        }
        let at = self.bursts.segments.offer(from.max(before), seg, wake);
        self.segments.push_back((at + 1, seg.beats, dest));
        self.bursts.refill(wake);
        Some(at)
    }

    /// From when on the next word is offered, and its dest.
    #[inline(always)]
    pub fn word(&mut self) -> Option<(Time, u8)> {
        let &(from, _, dest) = self.segments.front()?;
        (self.left.count < self.arrived.count).then(|| (from.max(self.arrival().0), dest))
    }

    /// The next word moves in `cycle`.
    #[inline(always)]
    pub fn moved(&mut self, cycle: Time, wake: &mut u32) {
        self.left.push(cycle);
        self.passed(1, cycle, wake);
    }

    /// Words of the segment under way that have arrived, and from when on they are offered as far as the segment decides, and its dest.
    #[inline(always)]
    pub fn run(&self) -> Option<(usize, Time, u8)> {
        let &(from, left, dest) = self.segments.front()?;
        Some((left.min((self.arrived.count - self.left.count) as u32) as usize, from, dest))
    }

    /// From when on the next word is offered as far as its arrival decides, and how many words from it on come a cycle after each other.
    #[inline(always)]
    pub fn arrival(&mut self) -> (Time, usize) {
        self.arrived.get(self.left.count)
    }

    /// As [`Side::arrival`], of word `index`, one of those that follow.
    #[inline(always)]
    pub fn arrival_of(&mut self, index: usize) -> (Time, usize) {
        self.arrived.get(index)
    }

    /// `n` words of the segment under way moved, as was noted in `left`; the last one in `cycle`.
    pub fn passed(&mut self, n: usize, cycle: Time, wake: &mut u32) {
        if let Some((_, left, _)) = self.segments.front_mut() {
            *left -= n as u32;
            if *left == 0 {
                self.end(cycle, wake);
            }
        }
    }

    /// The segment under way ends.
    fn end(&mut self, cycle: Time, wake: &mut u32) {
        self.segments.pop_front();
        self.ends.push(cycle);
        if let Some((from, ..)) = self.segments.front_mut() {
            *from = (*from).max(cycle + 1);
        }
        *wake |= process::READ;
    }

    /// From when on it asks for a burst, if that is known, and its beats.
    #[inline(always)]
    fn wants(&mut self) -> Option<Time> {
        let (from, beats) = self.bursts.out?;
        // All of it has room when the word has left that came so many before its last.
        let Some(word) = (self.reserved + beats as usize - 1).checked_sub(self.depth) else { return Some(from) };
        (word < self.left.count).then(|| from.max(self.left.get(word).0 + 1))
    }
}

/// The read master and the memory behind it.
#[derive(Clone)]
pub struct Read {
    outstanding: usize,
    pub w: Side,
    pub aux: Side,
    pub memory: memory::Read,
    /// When AR took the burst before, and when the bursts' last beats passed.
    accepted: Time,
    ends: History,
    /// Beats of a port.
    pub beats: u32,
}

impl Read {
    pub fn new(p: &Params, memory: memory::Read) -> Self {
        Self {
            outstanding: p.outstanding,
            w: Side::new(p, p.w_depth),
            aux: Side::new(p, p.x_depth),
            memory,
            accepted: 0,
            ends: History::new(p.outstanding),
            beats: 0,
        }
    }

    /// What decides what comes from cycle `by` on, where only weights are left to be read and nothing is under way: see [`Side::state`] and
    /// [`Bursts::state`].
    pub fn state(&self, config: &MemConfig, by: Time) -> Option<([u32; 3], [Option<u32>; 3])> {
        let aux = self.aux.segments.is_empty() && self.aux.bursts.state(by) == Some([None; 3]);
        // A burst is in flight up to the cycle after that in which its last beat was put into the FIFO.
        let past = aux && self.accepted <= by && self.ends.is_past(by - 1) && self.memory.is_past(config, by);
        if past { Some((self.w.state(by)?, self.w.bursts.state(by)?)) } else { None }
    }

    /// Takes segments.
    #[inline(never)]
    pub fn advance(&mut self, net: &mut Net) {
        while let Some((from, (seg, dest))) = net.wseg.head() {
            let Some(at) = self.w.begin(from, seg, dest, &mut net.wake) else { break };
            net.wseg.take(at, &mut net.wake);
        }
        while let Some((from, (seg, dest))) = net.dseg.head() {
            let Some(at) = self.aux.begin(from, seg, dest, &mut net.wake) else { return };
            net.dseg.take(at, &mut net.wake);
        }
        // Descriptors and x come before KV: in a pass the command for these is given when the segment of x has long moved.
        while let Some((from, seg)) = net.kseg.head() {
            let dest = tritforge_spec::block::ctrl::aux_dest::KV;
            let Some(at) = self.aux.begin(from, seg, dest, &mut net.wake) else { break };
            net.kseg.take(at, &mut net.wake);
        }
    }

    /// The cycle in which the next burst is chosen, and whether it is the auxiliary stream's, as far as is known.
    #[inline(always)]
    pub fn choice(&mut self) -> Option<(Time, bool)> {
        // A burst is in flight up to the cycle after that in which its last beat was put into the FIFO.
        let flight = self.ends.credit(self.ends.count, self.outstanding).map_or(0, |t| if t == 0 { 0 } else { t + 1 });
        let slot = self.accepted.max(flight);
        let (aux, w) = (self.aux.wants(), self.w.wants());
        let first = match (aux, w) {
            (Some(a), Some(w)) => a.min(w),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return None,
        };
        let at = slot.max(first);
        Some((at, aux.is_some_and(|a| a <= at)))
    }

    /// The next burst is chosen: no event that nothing is known of can come before. From when on its first beat is a word.
    pub fn decide(&mut self, config: &MemConfig, (at, is_aux): (Time, bool), wake: &mut u32) -> Time {
        let side = if is_aux { &mut self.aux } else { &mut self.w };
        let Some((_, beats)) = side.bursts.out else { return at };
        side.reserved += beats as usize;
        // A register between R and the FIFO.
        let delay = 1 + side.fifo_latency;
        let arrived = &mut side.arrived;
        let mut first = Time::MAX;
        let (accepted, end) = self.memory.burst(config, at + 1, beats as usize, |t, n| {
            first = first.min(t + delay);
            arrived.push_run(t + delay, n);
        });
        (self.accepted, self.beats) = (accepted, self.beats + beats);
        self.ends.push(end);
        side.bursts.take(at, wake);
        first
    }
}
