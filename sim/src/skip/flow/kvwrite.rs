//! `kvwrite`: the vectors of the pass go to the pass buffer and to memory.

use super::{net::Net, times::Time};
use crate::skip::{
    ask,
    block::kvwrite,
    outside::{Answer, Asked},
};

/// State.
#[derive(Clone)]
pub struct KvWrite {
    p: kvwrite::Params,
    /// Vectors left of the pass.
    left: Option<u32>,
    next: Time,
    group: u16,
    /// A scale is due from then on.
    scale_turn: Option<Time>,
    /// The full word: since when, whether it is a scale.
    full: Option<(Time, bool)>,
    /// The word at the outputs: from when on, for the pass buffer (a scale?) and for memory.
    pb: Option<(Time, bool)>,
    wd: Option<Time>,
    /// When the words before moved there.
    pb_moved: Time,
    wd_moved: Time,
    /// The vector's segments that have not moved, the next from when on.
    segments: Option<(Time, kvwrite::Place, bool)>,
    /// From when on a vector may begin, as far as its place decides.
    address: Option<Time>,
    /// From when on it is idle.
    pub idle: Option<Time>,
}

/// Cycles from the first beat of a vector to its segments.
const PLACE_LATENCY: Time = 5;

impl KvWrite {
    pub fn new(p: kvwrite::Params) -> Self {
        Self {
            p,
            left: None,
            next: 0,
            group: 0,
            scale_turn: None,
            full: None,
            pb: None,
            wd: None,
            pb_moved: 0,
            wd_moved: 0,
            segments: None,
            address: Some(0),
            idle: None,
        }
    }

    #[inline(never)]
    pub fn advance(&mut self, net: &mut Net, outside: &mut Asked) {
        if self.left.is_none()
            && let Some((from, cmd)) = net.kvwrite_cmd.head()
        {
            let at = from.max(self.next);
            net.kvwrite_cmd.take(at, &mut net.wake);
            (self.left, self.group, self.next) = (Some(2 * self.p.kv_heads * u32::from(cmd.n)), 0, at + 1);
        }
        loop {
            self.leave(net);
            if !self.take(net, outside) {
                break;
            }
        }
        if self.left == Some(0)
            && self.scale_turn.is_none()
            && self.full.is_none()
            && self.pb.is_none()
            && self.wd.is_none()
            && let Some(address) = self.address
        {
            let done = (self.pb_moved + 1).max(self.wd_moved + 1).max(address);
            (self.left, self.next, self.idle) = (None, done + 1, Some(done + 1));
        }
    }

    /// Words and segments leave.
    fn leave(&mut self, net: &mut Net) {
        loop {
            if net.pb.room()
                && let Some((from, scale)) = self.pb.take()
            {
                self.pb_moved = net.pb.offer(from, scale, &mut net.wake);
            }
            if net.ad.room()
                && let Some(from) = self.wd.take()
            {
                self.wd_moved = net.ad.offer(from, (), &mut net.wake);
            }
            if self.pb.is_some() || self.wd.is_some() {
                break;
            }
            let Some((since, scale)) = self.full.take() else { break };
            let at = since.max(self.pb_moved).max(self.wd_moved);
            (self.pb, self.wd) = (Some((at + 1, scale)), Some(at + 1));
            // The next beat may come in this cycle.
            self.next = self.next.max(at);
        }
        while net.aseg.room()
            && let Some((from, place, second)) = self.segments.take()
        {
            let t = net.aseg.offer(from, if second { place.scale } else { place.vector }, &mut net.wake);
            if second {
                self.address = Some(t + 1);
            } else {
                self.segments = Some((t + 1, place, true));
            }
        }
    }

    /// Beats are taken; whether any was.
    fn take(&mut self, net: &mut Net, outside: &mut Asked) -> bool {
        let mut moved = false;
        while self.full.is_none()
            && let Some(left) = self.left
        {
            if let Some(from) = self.scale_turn {
                let at = from.max(self.next);
                (self.full, self.scale_turn, self.next) = (Some((at + 1, true)), None, at + 1);
                return true;
            }
            if left == 0 {
                break;
            }
            let Some((word, (first, last))) = net.head_kv.head() else { break };
            let mut at = word.max(self.next);
            if first {
                let Some(free) = self.address else { break };
                at = at.max(free);
                self.address = None;
                if let Answer::Place(place) = outside.answer(ask::PLACE) {
                    self.segments = Some((at + PLACE_LATENCY, place, false));
                }
            }
            net.head_kv.take(at, &mut net.wake);
            (self.next, moved) = (at + 1, true);
            let complete = last || self.group + 1 == self.p.groups;
            self.group = if complete { 0 } else { self.group + 1 };
            if complete {
                self.full = Some((at + 1, false));
            }
            if last {
                (self.scale_turn, self.left) = (Some(at + 1), Some(left - 1));
            }
        }
        moved
    }
}
