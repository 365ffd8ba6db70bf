//! `softmax`: scores become weights of V and the sum of a head.

use super::{
    net::Net,
    times::{History, Ring, Time, fifo_latency},
};
use tritforge_spec::block::softmax;

/// State.
#[derive(Clone)]
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
            while net.p.room()
                && let Some(from) = self.p.pop()
            {
                self.p_moved.push(net.p.offer(from, (), &mut net.wake));
            }
            while net.sum.room()
                && let Some(from) = self.sum.pop()
            {
                self.sum_moved.push(net.sum.offer(from, (), &mut net.wake));
            }
            let (Some((from, last)), Some(credit)) = (net.score.head(), self.p_moved.credit(self.begun, softmax::FIFO_DEPTH)) else {
                return;
            };
            let Some(room) = (if last { self.sum_moved.credit(self.ending, softmax::SUM_DEPTH) } else { Some(0) }) else { return };
            let at = from.max(self.next).max(credit).max(room);
            net.score.take(at, &mut net.wake);
            (self.next, self.begun) = (at + 1, self.begun + 1);
            self.p.push(at + softmax::STAGES as Time + fifo_latency(softmax::FIFO_DEPTH));
            if last {
                self.ending += 1;
                self.sum.push(at + softmax::SUM_STAGE as Time + fifo_latency(softmax::SUM_DEPTH));
            }
        }
    }
}
