//! `attn_out`: accumulators are divided by the sum of their head.

use super::{
    net::Net,
    norm::Norm,
    times::{History, Ring, Time, fifo_latency},
};
use std::collections::VecDeque;
use tritforge_spec::block::attn_out;

/// State.
#[derive(Clone)]
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
    /// What takes the outputs.
    pub norm: Norm,
}

impl AttnOut {
    pub fn new(p: attn_out::Params, norm: Norm) -> Self {
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
            norm,
        }
    }

    #[inline(never)]
    pub fn advance(&mut self, net: &mut Net) {
        loop {
            while let Some(from) = self.o.front() {
                // Most often the norm takes it at once.
                let t = match self.norm.output(from, net) {
                    Some(t) => t,
                    None if net.o.room() => net.o.offer(from, (), &mut net.wake),
                    None => break,
                };
                self.o.pop();
                self.o_moved.push(t);
            }
            self.divide(net);
            if !self.issue(net) {
                return;
            }
        }
    }

    fn divide(&mut self, net: &mut Net) {
        let depth = self.p.reciprocals();
        while let Some((from, ())) = net.sum.head()
            && let Some(room) = self.used.credit(self.begun, depth)
        {
            let start = from.max(self.divide_next).max(room);
            let made = start + attn_out::RECIPROCAL_CYCLES - 1;
            self.reciprocals.push_back(made + fifo_latency(depth));
            (self.divide_next, self.begun, self.head) = (made + 1, self.begun + 1, self.head + 1);
            if self.head == self.p.group {
                self.head = 0;
                net.sum.take(made, &mut net.wake);
            }
        }
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
