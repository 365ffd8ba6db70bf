//! The last part of a pass, from the array's begin with the o-projection on. Where nothing of what was before has an effect any more, it is the
//! same whatever the position was: what came of it is remembered.

use super::{Flow, Paces, net::Net, times::Time};
use crate::stats::Cycle;
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// All that decides a tail.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Of the weights' way: tokens, words on it.
    weights: (u8, [u32; 4], Vec<Time>),
    /// Of the read master: words left, bursts under way.
    read: ([u32; 3], [Option<u32>; 3]),
    /// Cycles after the begin from which on the residual takes sums.
    sums: Time,
    x_out: u16,
}

/// What came of a tail; times count from its begin.
#[derive(Debug)]
pub struct Tail {
    pub cycles: Time,
    /// What the levels said, and for how many cycles.
    pub levels: Vec<(Cycle, u32)>,
    /// Of the streams that mark its stages: first and last word, and how many.
    pub spans: [Option<(Time, Time, usize)>; 2],
    /// Beats read and written by a port.
    pub beats: u32,
    pub writes: u32,
    /// The memory's rates as they were at its end.
    pub paces: Paces,
    pub end: Time,
}

/// Tails that are kept; beyond them all are forgotten.
const KEPT: usize = 1 << 12;

/// All tails of one hardware with one memory.
#[derive(Debug, Default)]
pub struct Tails(FxHashMap<Key, Rc<Tail>>);

impl Tails {
    pub fn get(&self, key: &Key) -> Option<Rc<Tail>> {
        self.0.get(key).cloned()
    }

    pub fn keep(&mut self, key: Key, tail: Tail) {
        if self.0.len() >= KEPT {
            self.0.clear();
        }
        self.0.insert(key, Rc::new(tail));
    }
}

impl Flow {
    /// What decides all that comes from cycle `by` on, in which the array begins with the o-projection; `None` where something else than its words
    /// is under way.
    pub(super) fn tail_key(&self, by: Time) -> Option<Key> {
        let net = &self.net;
        let idle = [self.ctrl.waits()?, self.kvwrite.idle?, net.xstore_cmd.head()?.0, net.kv.room().then(|| net.kv.open())?];
        let fresh = self.xstore.is_fresh() && self.kvread.attn.attn_out.norm.is_done() && unused(net);
        let past = idle.into_iter().all(|t| t <= by) && self.write.is_past(&self.p.memory, by);
        let known = self.arrival.is_none() && fresh && past && net.route_a.is_empty();
        if !known {
            return None;
        }
        Some(Key {
            weights: self.weights.state(net, by)?,
            read: self.read.state(&self.p.memory, by)?,
            sums: self.after.resid.open_from(net)?.saturating_sub(by),
            x_out: self.ctrl.x_out(),
        })
    }
}

/// No word has moved on the streams of the tail.
fn unused(net: &Net) -> bool {
    net.sum1.moved().0 == 0 && net.y.moved().0 == 0 && net.bseg.moved().0 == 0 && net.bd.moved().0 == 0
}
