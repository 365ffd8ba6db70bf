//! The time of a pass without going through its cycles: when each word of each stream moves follows from when the words before it moved, block
//! by block. A stream's word moves when it is offered, the one before has moved and there is room; a block offers a word so many cycles after
//! it took those that it is made of. So the times of a pass are maxima and sums, computed once a word ([`link`]), in any order in which what
//! they depend on is known: each block is a process that goes on until it needs a time that nobody knows yet.
//!
//! Three choices depend on the order of times: which stream a read port serves next, which client writes next, and whether the residual's
//! buffer is free of sums in a cycle. They are made when no process can go on: what is not known then follows from a choice that
//! has not been made, so it comes later than the earliest of them ([`Flow::run`]). The method is that of conservative parallel
//! simulation (Chandy and Misra, "Distributed simulation", IEEE TSE 1979).
//!
//! Without random pauses, where all ports do the same.

mod attn;
mod attn_out;
mod ctrl;
mod headq;
mod kvread;
mod kvwrite;
mod link;
mod memory;
mod net;
mod norm;
mod params;
mod read;
mod record;
mod resid;
mod rope;
mod route;
mod softmax;
mod stream;
mod tail;
mod times;
mod weights;
mod write;
mod xload;
mod xstore;

use super::{outside::Asked, summary::Summary};
use crate::stats::Words;
use link::Link;
use net::{Net, process};
pub use params::{Paces, Params};
use record::Which;
pub use record::{LONGEST_PASS, Record};
use std::rc::Rc;
pub use tail::Tails;
use tail::{Key, Tail};
use times::Time;

/// A pass.
pub struct Flow<'a> {
    p: &'a Params,
    begin: Time,
    net: Net,
    ctrl: ctrl::Ctrl,
    read: read::Read,
    /// When the first of the weights comes that were read and not looked at.
    arrival: Option<Time>,
    weights: weights::Weights,
    xload: xload::Xload,
    after: weights::After,
    kvwrite: kvwrite::KvWrite,
    kvread: kvread::KvRead,
    xstore: xstore::Xstore,
    write: write::Write,
    /// The tail that was taken over and its begin; or the one that was not known.
    tail: Option<(Time, Rc<Tail>)>,
    new_tail: Option<(Time, Key)>,
    /// Beats of a port read and written before it.
    before: (u32, u32),
}

impl<'a> Flow<'a> {
    /// One whose doorbell reaches the control in cycle `begin` of the memory's count, in which all else is idle.
    #[inline(always)]
    pub fn new(p: &'a Params, begin: Time, paces: Paces, descriptor: u16, mut record: Record) -> Self {
        record.begin(begin);
        Self {
            begin,
            net: Net::new(record),
            ctrl: ctrl::Ctrl::new(begin, descriptor),
            read: read::Read::new(&p.axi_read, memory::Read::new(&p.memory, p.axi_read.outstanding, paces.read)),
            arrival: None,
            weights: weights::Weights::new(p.unpack.clone(), p.tmac.clone()),
            xload: xload::Xload::new(p.xload.clone()),
            after: weights::After {
                rope: rope::Rope::new(p.rope.clone()),
                headq: headq::HeadQ::new(p.headq.clone()),
                resid: resid::Resid::new(p.resid.clone()),
            },
            kvwrite: kvwrite::KvWrite::new(p.kvwrite.clone()),
            kvread: kvread::KvRead::new(
                p.kvread.clone(),
                attn::Attn::new(p.attn.clone(), attn_out::AttnOut::new(p.attn_out.clone(), norm::Norm::new(p.norm.clone()))),
            ),
            xstore: xstore::Xstore::new(p.xstore.clone()),
            write: write::Write::new(p.axi_write.clone(), memory::Write::new(&p.memory, p.axi_write.outstanding.into(), paces.write)),
            tail: None,
            new_tail: None,
            before: (0, 0),
            p,
        }
    }

    /// Keeps the times of all words.
    pub fn watch(&mut self) {
        self.net.watch();
    }

    /// The times of all words, by stream, counted from the begin.
    pub fn times(&self) -> Vec<(usize, Vec<Time>)> {
        let mut all = self.net.times();
        all.iter_mut().flat_map(|(_, times)| times).for_each(|t| *t -= self.begin);
        all
    }

    /// Computes all times; the first cycle after the pass, if it ends.
    pub fn run(&mut self, outside: &mut Asked, tails: &mut Tails) -> Option<Time> {
        loop {
            self.settle(outside);
            let (read, write) = (self.read.choice(), self.write.choice(&self.net));
            let first = read.map_or(Time::MAX, |c| c.0).min(write.map_or(Time::MAX, |c| c.0));
            // Weights that were read are not looked at before they come: so there are more of them.
            if let Some(arrival) = self.arrival
                && arrival < first
            {
                self.net.wake |= process::WEIGHTS;
                continue;
            }
            // All that comes before the o-projection is known.
            if let Some(begin) = self.weights.held()
                && first > begin
            {
                self.weights.hold = false;
                self.net.wake |= process::WEIGHTS;
                let key = if self.net.sum1.log.is_some() { None } else { self.tail_key(begin) };
                self.before = (self.read.beats, self.write.beats);
                if let Some(tail) = key.as_ref().and_then(|key| tails.get(key)) {
                    let end = begin + tail.cycles;
                    self.tail = Some((begin, tail));
                    return Some(end);
                }
                self.new_tail = key.map(|key| (begin, key));
                continue;
            }
            // Nothing that is not known comes up to that cycle.
            if self.after.resid.waits() {
                self.after.resid.advance(&mut self.net, first);
                if self.net.wake != 0 {
                    continue;
                }
            }
            match (read, write) {
                (Some(choice), _) if choice.0 == first => {
                    let arrival = self.read.decide(&self.p.memory, choice, &mut self.net.wake);
                    if choice.1 {
                        self.net.wake |= process::AUX;
                    } else {
                        self.arrival = self.arrival.or(Some(arrival));
                    }
                }
                (_, Some(choice)) => self.write.decide(&mut self.net, choice),
                _ => break,
            }
        }
        let ends = [self.ctrl.waits()?, self.xstore.idle?, self.kvwrite.idle?, self.write.idle()?];
        ends.into_iter().max().map(|t| t + 1)
    }

    /// Lets every process go on as far as it can.
    fn settle(&mut self, outside: &mut Asked) {
        let (p, net) = (self.p, &mut self.net);
        while net.wake != 0 {
            let one = net.wake & net.wake.wrapping_neg();
            match one {
                process::CTRL => self.ctrl.advance(&p.ctrl, p.burst, net, outside),
                process::READ => self.read.advance(net),
                process::AUX => route::aux(&mut self.read.aux, &mut self.kvread, (&mut self.xload, &mut self.after.resid), net, outside),
                process::WRITE => self.write.advance(&p.memory, net),
                process::XLOAD => self.xload.advance(&mut self.kvread.attn.attn_out.norm, &mut self.after.resid, net),
                process::NORM => self.kvread.attn.attn_out.norm.advance(&mut self.weights, net),
                process::ROPE | process::HEADQ => {
                    let mut to = headq::Takers { attn: &mut self.kvread.attn, kvwrite: &mut self.kvwrite, outside };
                    if one == process::ROPE {
                        self.after.rope.advance(&mut self.after.headq, &mut to, net);
                    } else {
                        self.after.headq.advance(&mut to, net);
                    }
                }
                process::KVWRITE => self.kvwrite.advance(net, outside),
                process::KVREAD => self.kvread.advance(net, outside),
                process::ATTN => self.kvread.attn.advance(net),
                process::SOFTMAX => self.kvread.attn.softmax.advance(net),
                process::ATTN_OUT => self.kvread.attn.attn_out.advance(net),
                process::RESID => self.after.resid.advance(net, 0),
                process::XSTORE => self.xstore.advance(net),
                _ => {
                    self.arrival = None;
                    if self.weights.advance(&mut self.read.w, &mut self.kvread.attn.attn_out.norm, &mut self.after, net) {
                        continue;
                    }
                }
            }
            net.wake &= !one;
        }
    }

    /// The record, for the next pass: its memory is used again.
    pub fn record(&mut self) -> Record {
        std::mem::take(&mut self.net.record)
    }

    /// How far the memory's rates are used up.
    pub fn paces(&self) -> Paces {
        if let Some((begin, tail)) = &self.tail {
            return tail.paces.clone().moved(&self.p.memory, tail.end, begin + tail.cycles);
        }
        Paces { read: self.read.memory.pace.clone(), write: self.write.memory.pace.clone() }
    }

    /// What reports need of the pass, which ended in cycle `end`.
    pub fn summary(&mut self, end: Time) -> Summary {
        let cycles = (end - self.begin) as u32;
        if self.net.kv.room() {
            self.net.record.high(Which::Kv, self.net.kv.open(), end);
        }
        let mut summary = Summary { cycles, moved: true, writes: self.write.beats, ..Summary::default() };
        summary.beats.push(self.read.beats);
        summary.levels.reserve(LEVELS);
        let net = &self.net;
        let stages =
            [span(&net.desc), span(&net.consts), span(&net.x0), None, span(&net.sum0), span(&net.q), span(&net.ad), None, span(&net.o)];
        let mut later = [span(&net.sum1), span(&net.bd)];
        match &self.tail {
            Some((begin, tail)) => {
                net.record.levels((begin - self.begin) as usize, &mut summary);
                tail.levels.iter().for_each(|&(level, n)| summary.high(level, n));
                later = tail.spans.map(|s| s.map(|(first, last, n)| (begin + first, begin + last, n)));
                (summary.beats[0], summary.writes) = (summary.beats[0] + tail.beats, summary.writes + tail.writes);
            }
            None => net.record.levels(cycles as usize, &mut summary),
        }
        let norms = self.kvread.attn.attn_out.norm.spans.iter().enumerate().map(|(i, &s)| (3, i > 0, s));
        let others = stages.into_iter().chain(later).enumerate().filter_map(|(i, s)| Some((i, false, s?)));
        let at = |t: Time| (t - self.begin) as u32;
        let mut words: Vec<Words> = others
            .chain(norms)
            .map(|(stage, second, (first, last, count))| Words::of(stage as u8, second, count as u32, at(first), at(last)))
            .collect();
        words.sort_by_key(Words::order);
        summary.words.extend(words);
        summary
    }

    /// Remembers the tail, if it was not known; `summary` is the pass's, which ended in cycle `end`.
    pub fn keep_tail(&mut self, summary: &Summary, end: Time, tails: &mut Tails) {
        let Some((begin, key)) = self.new_tail.take() else { return };
        let mut skip = (begin - self.begin) as u32;
        let mut levels = Vec::new();
        for &(level, n) in &summary.levels {
            if n > skip {
                levels.push((level, n - skip));
            }
            skip = skip.saturating_sub(n);
        }
        let spans = [span(&self.net.sum1), span(&self.net.bd)].map(|s| s.map(|(first, last, n)| (first - begin, last - begin, n)));
        let (beats, writes) = (self.read.beats - self.before.0, self.write.beats - self.before.1);
        tails.keep(key, Tail { cycles: end - begin, levels, spans, beats, writes, paces: self.paces(), end });
    }
}

/// Changes of levels for which there is room from the begin.
const LEVELS: usize = 1 << 6;

/// First and last time of a stream's words, and how many.
fn span<T: Copy + Default>(link: &Link<T>) -> Option<(Time, Time, usize)> {
    let (count, last) = link.moved();
    (count > 0).then_some((link.first, last, count))
}
