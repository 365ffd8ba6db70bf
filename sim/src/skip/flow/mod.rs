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
mod head;
mod headq;
mod kvread;
mod kvwrite;
mod link;
mod memory;
mod net;
mod norm;
mod paces;
mod read;
mod record;
mod report;
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

use super::{block::ctrl::Job, outside::Asked, params::Params};
use head::Heads;
use net::{Net, process};
pub use paces::Paces;
pub use record::{LONGEST_PASS, Record};
use std::rc::Rc;
use tail::{Key, Tail, Tails};
use times::Time;

/// What is remembered of passes: their first and last parts.
#[derive(Default)]
pub struct Known {
    heads: Heads,
    tails: Tails,
}

/// A pass.
#[derive(Clone)]
pub struct Flow {
    p: Rc<Params>,
    /// The cycle in which its doorbell reaches the control; all times count as it does.
    pub begin: Time,
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
    /// The head that was not known, until it ends.
    new_head: Option<head::Key>,
    /// Beats of a port read and written before it.
    before: (u32, u32),
}

impl Flow {
    /// One whose doorbell reaches the control in cycle `now` of the memory's count. Where nothing of the memory's rates is used up, its times count
    /// from its begin, and what is known of passes serves it.
    pub fn of(p: &Rc<Params>, now: Time, paces: Paces, descriptor: u16, asked: &mut Asked, known: &Known, mut record: Record) -> Self {
        if !paces.past(&p.memory, now) {
            return Self::new(p, now, paces, descriptor, asked.job(), record);
        }
        let key = head::Key { descriptor, job: asked.job() };
        known.heads.get(&key, &mut record).unwrap_or_else(|| {
            let flow = Self::new(p, 0, Paces::default(), descriptor, key.job, record);
            Self { new_head: Some(key), ..flow }
        })
    }

    /// One whose doorbell reaches the control in cycle `begin` of the memory's count, in which all else is idle; its descriptor, which says `job`,
    /// begins at `descriptor` modulo the burst length.
    #[inline(always)]
    pub fn new(p: &Rc<Params>, begin: Time, paces: Paces, descriptor: u16, job: Job, mut record: Record) -> Self {
        record.begin(begin);
        Self {
            begin,
            net: Net::new(record),
            ctrl: ctrl::Ctrl::new(begin, descriptor, job),
            read: read::Read::new(&p.axi_read.port, memory::Read::new(&p.memory, p.axi_read.port.outstanding, paces.read)),
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
            new_head: None,
            before: (0, 0),
            p: Rc::clone(p),
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
    pub fn run(&mut self, outside: &mut Asked, known: &mut Known) -> Option<Time> {
        loop {
            self.settle(outside);
            let (read, write) = (self.read.choice(), self.write.choice(&self.net));
            let choice = read.map_or(Time::MAX, |c| c.0).min(write.map_or(Time::MAX, |c| c.0));
            // What the KV reader will ask for is not known while it is held; it is read after x.
            let held = self.kvread.held(&self.net).filter(|_| self.net.dseg.is_empty() && self.read.aux.asks_no_more());
            let first = held.map_or(choice, |by| by.min(choice));
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
                if let Some(tail) = key.as_ref().and_then(|key| known.tails.get(key)) {
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
            if held.is_some_and(|by| choice > by) {
                self.end_head(outside, known);
                continue;
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

    /// All that does not depend on the position is known up to the KV reader's first question: it goes on from here.
    fn end_head(&mut self, outside: &Asked, known: &mut Known) {
        self.kvread.hold = false;
        self.net.wake |= process::KVREAD;
        // Where the array is fast and the memory slow, the KV writer may have asked for its place already.
        if let Some(key) = self.new_head.take().filter(|_| outside.answers.len() == 1) {
            known.heads.keep(key, self);
        }
    }

    /// Lets every process go on as far as it can.
    fn settle(&mut self, outside: &mut Asked) {
        let (p, net) = (&*self.p, &mut self.net);
        while net.wake != 0 {
            let one = net.wake & net.wake.wrapping_neg();
            match one {
                process::CTRL => self.ctrl.advance(&p.ctrl, p.burst, net),
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
}
