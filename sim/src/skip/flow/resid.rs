//! `resid`: sums are scaled and added to the residual.

use super::{
    net::{Net, process},
    times::{History, Ring, Runs, Time, fifo_latency},
};
use crate::skip::block::resid;
use tritforge_spec::block::{
    resid::{OUT_CREDITS, SUM_LATENCY},
    scale_mul,
};

/// State.
#[derive(Clone)]
pub struct Resid {
    p: resid::Params,
    latency: Time,
    load: (u8, u32),
    load_next: Time,
    scales: u8,
    scale_next: Time,
    token: u8,
    row: u32,
    sub: u32,
    sum_next: Time,
    /// From when on each group's sums are there.
    groups: Vec<Time>,
    emitted: (u8, u32),
    emit_next: Time,
    /// When sums were taken; those from this one on may be in the cycle of the next emission.
    sums: Runs,
    sum: usize,
    /// A group waits for it to be known whether a sum comes.
    open_groups: bool,
    ys: Ring<Time, { OUT_CREDITS.next_power_of_two() }>,
    sent: History,
    begun: usize,
}

impl Resid {
    pub fn new(p: resid::Params) -> Self {
        Self {
            latency: fifo_latency(OUT_CREDITS),
            load: (0, 0),
            load_next: 0,
            scales: 0,
            scale_next: 0,
            token: 0,
            row: 0,
            sub: 0,
            sum_next: 0,
            groups: Vec::with_capacity(p.groups as usize),
            emitted: (0, 0),
            emit_next: 0,
            sums: Runs::default(),
            sum: 0,
            open_groups: false,
            ys: Ring::new(),
            sent: History::new(OUT_CREDITS),
            begun: 0,
            p,
        }
    }

    /// `known`: no event that is not known yet comes up to this cycle.
    #[inline(never)]
    pub fn advance(&mut self, net: &mut Net, known: Time) {
        loop {
            let mut moved = false;
            while net.y.room()
                && let Some(from) = self.ys.pop()
            {
                self.sent.push(net.y.offer(from, (), &mut net.wake));
                moved = true;
            }
            if let Some((from, cmd)) = net.resid_cmd.head() {
                moved |= self.take(net, from, cmd.n);
                moved |= self.emit(from, cmd.n, known);
                if self.emitted.0 == cmd.n {
                    net.resid_cmd.take(self.emit_next, &mut net.wake);
                    (self.load, self.emitted, self.scales, self.row) = ((0, 0), (0, 0), 0, 0);
                    self.groups.clear();
                    moved = true;
                }
            }
            // Nothing else goes on by what it does itself.
            if self.ys.is_empty() || !net.y.room() || !moved {
                return;
            }
        }
    }

    fn take(&mut self, net: &mut Net, from: Time, n: u8) -> bool {
        let mut moved = false;
        while self.load.0 != n
            && let Some((word, ())) = net.xr.head()
        {
            let at = from.max(word).max(self.load_next);
            net.xr.take(at, &mut net.wake);
            self.loaded(at);
            moved = true;
        }
        while self.scales != n
            && let Some((word, ())) = net.s1.head()
        {
            let at = from.max(word).max(self.scale_next);
            net.s1.take(at, &mut net.wake);
            (self.scale_next, self.scales, moved) = (at + 1, self.scales + 1, true);
        }
        if self.load.0 != n || self.scales != n {
            return moved;
        }
        while self.row != self.p.dim
            && let Some((word, ())) = net.sum1.head()
        {
            let at = self.open(from).max(word);
            net.sum1.take(at, &mut net.wake);
            self.took(at, n);
            moved = true;
        }
        moved
    }

    /// A group of x was taken in cycle `at`.
    #[inline(always)]
    fn loaded(&mut self, at: Time) {
        self.load_next = at + 1;
        self.load.1 += 1;
        if self.load.1 == self.p.groups {
            self.load = (self.load.0 + 1, 0);
        }
    }

    /// A group of x is there from `word` on and is taken at once; when. `None`: it has to wait in the stream.
    #[inline(always)]
    pub fn x(&mut self, word: Time, net: &mut Net) -> Option<Time> {
        let (from, cmd) = net.resid_cmd.head()?;
        if self.load.0 == cmd.n {
            return None;
        }
        let at = from.max(word).max(self.load_next);
        self.loaded(at);
        if self.load.0 == cmd.n {
            net.wake |= process::RESID;
        }
        Some(at)
    }

    /// From when on a sum may be taken: of a command that may begin in cycle `from`.
    #[inline(always)]
    fn open(&self, from: Time) -> Time {
        from.max(self.load_next).max(self.scale_next + scale_mul::LATENCY).max(self.sum_next)
    }

    /// It waits for sums only: from when on it takes them.
    pub fn open_from(&self, net: &Net) -> Option<Time> {
        let (from, cmd) = net.resid_cmd.head()?;
        let fresh = self.row == 0 && self.token == 0 && self.sums.count == 0 && self.begun == 0;
        (fresh && self.load.0 == cmd.n && self.scales == cmd.n).then(|| self.open(from))
    }

    /// A sum was taken in cycle `at`.
    #[inline(always)]
    fn took(&mut self, at: Time, n: u8) {
        self.sum_next = at + 1;
        self.sums.push(at);
        self.token += 1;
        if self.token == n {
            self.token = 0;
            (self.row, self.sub) = (self.row + 1, self.sub + 1);
            if self.sub == self.p.vec {
                self.sub = 0;
                self.groups.push(at + SUM_LATENCY);
            }
        }
    }

    /// A sum is offered from `valid` on and is taken at once; when it moved. `None`: it has to wait in the stream.
    #[inline(always)]
    pub fn sum(&mut self, valid: Time, net: &mut Net) -> Option<Time> {
        let (from, cmd) = net.resid_cmd.head()?;
        if !net.sum1.is_empty() || self.load.0 != cmd.n || self.scales != cmd.n || self.row == self.p.dim {
            return None;
        }
        let t = valid.max(net.sum1.open());
        let at = self.open(from).max(t + 1);
        net.sum1.pass_one(t, at);
        self.took(at, cmd.n);
        net.wake |= process::RESID;
        Some(t)
    }

    /// Up to `count` sums that are offered from `first` on, one every `period` cycles: how many are taken so, without any wait.
    pub fn sums(&mut self, first: Time, period: Time, count: usize, net: &mut Net) -> usize {
        let Some((from, cmd)) = net.resid_cmd.head() else { return 0 };
        let ready = self.load.0 == cmd.n && self.scales == cmd.n && cmd.n == 1 && net.sum1.is_empty();
        let count = count.min((self.p.dim - self.row) as usize);
        let waits = net.sum1.open() > first || self.open(from).max(net.sum1.after()) > first + 1;
        if !ready || waits || count < 2 {
            return 0;
        }
        let last = first + (count as Time - 1) * period;
        net.sum1.pass_run(count, first, (last + 1, [last + 2 - period, last + 2]));
        if period == 1 {
            self.sums.push_run(first + 1, count);
        } else {
            (0..count as Time).for_each(|i| self.sums.push(first + 1 + i * period));
        }
        self.sum_next = last + 2;
        let mut group = (self.p.vec - self.sub) as usize;
        while group <= count {
            self.groups.push(first + 1 + (group as Time - 1) * period + SUM_LATENCY);
            group += self.p.vec as usize;
        }
        self.row += count as u32;
        self.sub = (self.sub + count as u32) % self.p.vec;
        net.wake |= process::RESID;
        count
    }

    /// It may be that only what is not known keeps a group back.
    #[inline(always)]
    pub fn waits(&self) -> bool {
        self.open_groups
    }

    fn emit(&mut self, from: Time, n: u8, known: Time) -> bool {
        let mut moved = false;
        while self.emitted.0 != n {
            let group = if self.emitted.0 == 0 { self.emitted.1 } else { self.p.groups - 1 };
            let (Some(&open), Some(credit)) = (self.groups.get(group as usize), self.sent.credit(self.begun, OUT_CREDITS)) else { break };
            let mut at = from.max(open).max(self.emit_next).max(credit);
            // The buffer's one port is the sums'.
            while self.sum < self.sums.count {
                let (sum, run) = self.sums.get(self.sum);
                if sum > at {
                    break;
                }
                let end = sum + run as Time;
                if at < end {
                    // All of the run from there on is in the way.
                    (at, self.sum) = (end, self.sum + run);
                } else {
                    self.sum += run;
                }
            }
            self.open_groups = self.sum == self.sums.count && self.row != self.p.dim && at > known;
            if self.open_groups {
                // Whether a sum comes in that cycle is not known; the next call begins from there.
                self.emit_next = at;
                break;
            }
            (self.emit_next, self.begun) = (at + 1, self.begun + 1);
            self.ys.push(at + 1 + self.latency);
            self.emitted.1 += 1;
            if self.emitted.1 == self.p.groups {
                self.emitted = (self.emitted.0 + 1, 0);
            }
            moved = true;
        }
        moved
    }
}
