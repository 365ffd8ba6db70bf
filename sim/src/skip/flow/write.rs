//! `axi_write` and the memory behind it: segments of two clients, one after another; which of them comes next depends on the order of times.

use super::{
    memory,
    net::{Net, process},
    read::Bursts,
    times::{History, Time, fifo_latency},
};
use crate::{memory::MemConfig, skip::block::axi_write};
use std::collections::VecDeque;

/// The write master and the memory behind it.
#[derive(Clone)]
pub struct Write {
    p: axi_write::Params,
    pub memory: memory::Write,
    bursts: Bursts,
    /// The segment under way: whether it is `xstore`'s, beats left; from when on its data may pass.
    busy: Option<(bool, u32)>,
    busy_from: Time,
    /// When the segment before ended.
    ended: Time,
    /// When beats came into the FIFO, and left it.
    pushed: History,
    left: History,
    fifo_latency: Time,
    /// Beats of all bursts that were announced.
    announced: usize,
    /// The burst on AW, from when on; when the one before was accepted.
    aw: Option<Time>,
    accepted: Time,
    /// Bursts that were announced and whose data have not all passed: from when on, beats.
    under_way: VecDeque<(Time, u32)>,
    /// Responses: when they passed; all bursts that were begun.
    answers: History,
    begun: usize,
    /// Beats of a port.
    pub beats: u32,
}

impl Write {
    pub fn new(p: axi_write::Params, memory: memory::Write) -> Self {
        Self {
            bursts: Bursts::new(p.burst.into(), process::WRITE),
            memory,
            busy: None,
            busy_from: 0,
            ended: 0,
            pushed: History::new(2 * p.depth),
            left: History::new(p.depth),
            fifo_latency: fifo_latency(p.depth),
            announced: 0,
            aw: None,
            accepted: 0,
            under_way: VecDeque::new(),
            answers: History::new(p.outstanding.into()),
            begun: 0,
            beats: 0,
            p,
        }
    }

    #[inline(never)]
    pub fn advance(&mut self, config: &MemConfig, net: &mut Net) {
        loop {
            let mut moved = self.data(net);
            self.bursts.refill(&mut net.wake);
            moved |= self.announce(net);
            moved |= self.send(config);
            if !moved {
                return;
            }
        }
    }

    /// From when on it is idle, as far as all that came is done.
    pub fn idle(&self) -> Option<Time> {
        let quiet = self.busy.is_none() && self.under_way.is_empty() && self.aw.is_none() && self.bursts.out.is_none();
        (quiet && self.begun > 0).then(|| self.answers.get(self.begun - 1) + 2)
    }

    /// Nothing is under way, and nothing of its past has an effect from cycle `by` on.
    pub fn is_past(&self, config: &MemConfig, by: Time) -> bool {
        let still = self.bursts.state(by) == Some([None; 3]) && self.idle().is_some_and(|idle| idle <= by);
        let past = self.busy_from <= by && self.ended <= by && self.accepted <= by && self.pushed.is_past(by) && self.left.is_past(by);
        still && past && self.memory.is_past(config, by)
    }

    /// When the next segment is chosen, and whether it is `xstore`'s, as far as is known.
    pub fn choice(&self, net: &Net) -> Option<(Time, bool)> {
        let none = net.aseg.is_empty() && net.bseg.is_empty();
        if none || self.busy.is_some() || !self.bursts.segments.room() {
            return None;
        }
        let can = self.ended.max(self.bursts.segments.open());
        let (a, b) = (net.aseg.head().map(|h| h.0), net.bseg.head().map(|h| h.0));
        let first = match (a, b) {
            (Some(a), Some(b)) => a.min(b),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return None,
        };
        let at = can.max(first);
        Some((at, a.is_none_or(|a| a > at)))
    }

    /// It is chosen.
    pub fn decide(&mut self, net: &mut Net, (at, b): (Time, bool)) {
        let link = if b { &mut net.bseg } else { &mut net.aseg };
        let Some((_, seg)) = link.head() else { return };
        link.take(at, &mut net.wake);
        self.bursts.segments.offer(at, seg, &mut net.wake);
        (self.busy, self.busy_from) = (Some((b, seg.beats)), at + 1);
        net.wake |= process::WRITE;
    }

    /// The client's words go into the FIFO.
    fn data(&mut self, net: &mut Net) -> bool {
        let mut moved = false;
        while let Some((b, left)) = self.busy {
            let link = if b { &mut net.bd } else { &mut net.ad };
            let (Some((from, ())), Some(room)) = (link.head(), self.left.credit(self.pushed.count, self.p.depth)) else { break };
            let at = from.max(self.busy_from).max(room);
            link.take(at, &mut net.wake);
            self.pushed.push(at);
            moved = true;
            self.busy = (left > 1).then_some((b, left - 1));
            if left == 1 {
                self.ended = at;
            }
        }
        moved
    }

    /// A burst whose data are all there goes to AW.
    fn announce(&mut self, net: &mut Net) -> bool {
        let mut moved = false;
        if let Some(from) = self.aw
            && let Some(at) = self.memory.accept(from)
        {
            (self.aw, self.accepted, moved) = (None, at, true);
        }
        if self.aw.is_none()
            && let Some((from, beats)) = self.bursts.out
            && self.announced + beats as usize <= self.pushed.count
            && let Some(flight) = self.answers.credit(self.begun, self.p.outstanding.into())
        {
            let filled = self.pushed.get(self.announced + beats as usize - 1) + 1;
            // A response is counted in the cycle after it passed.
            let flight = if self.begun >= self.p.outstanding.into() { flight + 1 } else { 0 };
            let at = from.max(filled).max(flight).max(self.accepted);
            self.bursts.take(at, &mut net.wake);
            self.announced += beats as usize;
            self.begun += 1;
            (self.aw, moved) = (Some(at + 1), true);
            self.under_way.push_back((at + 1, beats));
        }
        moved
    }

    /// Its beats pass.
    fn send(&mut self, config: &MemConfig) -> bool {
        let mut moved = false;
        while let Some((from, beats)) = self.under_way.front_mut()
            && self.memory.accepts_beats()
        {
            let pushed = self.pushed.get(self.left.count) + self.fifo_latency;
            let at = self.memory.beat(config, pushed.max(*from));
            self.left.push(at);
            (self.beats, *beats, moved) = (self.beats + 1, *beats - 1, true);
            if *beats == 0 {
                self.under_way.pop_front();
                self.answers.push(self.memory.answer(at));
            }
        }
        moved
    }
}
