//! `norm`: statistics of a vector, its codes, its scale.

use super::{
    net::{Net, process},
    times::{History, Ring, Time, fifo_latency},
    weights::Weights,
};
use crate::skip::{block::norm, signals::Command};
use tritforge_spec::block::norm::{ACT_CREDITS, SCALE_LATENCY};

/// State.
#[derive(Clone)]
pub struct Norm {
    p: norm::Params,
    latency: Time,
    /// Of the command: gains and their times, groups loaded and when the last one was, statistics.
    gains: Vec<Time>,
    gain_next: Time,
    load: (u8, u32),
    load_next: Time,
    stats: Vec<Time>,
    quant: (u8, u32),
    quant_next: Time,
    /// Scales made; from when on the next may be begun; the one that is offered.
    scaled: u8,
    scale_next: Time,
    scale: Option<(Time, bool)>,
    made: Time,
    /// Codes that have not moved: from when on they are at the FIFO's end; when the others moved; all that were begun.
    codes: Ring<Time, { ACT_CREDITS.next_power_of_two() }>,
    sent: History,
    begun: usize,
    /// First and last time that codes of each command moved, and how many.
    pub spans: Vec<(Time, Time, usize)>,
    /// Commands whose codes end at these counts.
    marks: Vec<usize>,
}

impl Norm {
    pub fn new(p: norm::Params) -> Self {
        Self {
            latency: fifo_latency(ACT_CREDITS),
            gains: Vec::with_capacity(p.groups[0].max(p.groups[1]) as usize),
            gain_next: 0,
            load: (0, 0),
            load_next: 0,
            stats: Vec::new(),
            quant: (0, 0),
            quant_next: 0,
            scaled: 0,
            scale_next: 0,
            scale: None,
            made: 0,
            codes: Ring::new(),
            sent: History::new(ACT_CREDITS),
            begun: 0,
            spans: Vec::new(),
            marks: Vec::new(),
            p,
        }
    }

    #[inline(never)]
    pub fn advance(&mut self, array: &mut Weights, net: &mut Net) {
        loop {
            self.codes_leave(array, net);
            self.scale_leaves(net);
            let Some((from, cmd)) = net.norm_cmd.head() else { return };
            self.take_gains(net, from, cmd);
            self.take_x(net, from, cmd);
            let moved = self.quantise(from, cmd) | self.make_scale(from, cmd);
            if self.quant.0 == cmd.n && self.scaled == cmd.n {
                let at = self.quant_next.max(self.made);
                net.norm_cmd.take(at, &mut net.wake);
                self.gains.clear();
                self.stats.clear();
                (self.load, self.quant, self.scaled) = ((0, 0), (0, 0), 0);
                self.marks.push(self.begun);
            } else if !moved {
                return;
            }
        }
    }

    /// All codes and scales have left.
    pub fn is_done(&self) -> bool {
        self.codes.is_empty() && self.scale.is_none()
    }

    fn take_gains(&mut self, net: &mut Net, from: Time, cmd: Command) {
        let groups = self.p.groups[cmd.second as usize];
        while (self.gains.len() as u32) < groups
            && let Some((word, ())) = net.gain.head()
        {
            let at = self.gain_word(word.max(from), groups);
            net.gain.take(at, &mut net.wake);
        }
    }

    /// A word of gains is there from `from` on: when its last one is taken.
    #[inline(always)]
    fn gain_word(&mut self, from: Time, groups: u32) -> Time {
        let mut at = from.max(self.gain_next);
        let n = self.p.gains_per_word.min(groups - self.gains.len() as u32);
        self.gains.extend((0..n).map(|i| at + Time::from(i)));
        at += Time::from(n) - 1;
        self.gain_next = at + 1;
        at
    }

    /// A word of gains is there from `from` on and is taken at once: when its last one is. `None`: it has to wait in the stream.
    pub fn gain(&mut self, from: Time, net: &mut Net) -> Option<Time> {
        let (command, cmd) = net.norm_cmd.head()?;
        let groups = self.p.groups[cmd.second as usize];
        if self.gains.len() as u32 == groups {
            return None;
        }
        net.wake |= process::NORM;
        Some(self.gain_word(from.max(command), groups))
    }

    /// Up to `count` words of one gain each are there from `from` on, one a cycle: how many are taken so, without any wait; one alone is not.
    pub fn gains(&mut self, from: Time, count: usize, net: &mut Net) -> usize {
        let Some((command, cmd)) = net.norm_cmd.head() else { return 0 };
        let n = count.min(self.p.groups[cmd.second as usize] as usize - self.gains.len());
        if self.p.gains_per_word != 1 || command.max(self.gain_next) > from || n < 2 {
            return 0;
        }
        self.gains.extend((0..n as Time).map(|i| from + i));
        self.gain_next = from + n as Time;
        net.wake |= process::NORM;
        n
    }

    fn take_x(&mut self, net: &mut Net, from: Time, cmd: Command) {
        let groups = self.p.groups[cmd.second as usize];
        while self.load.0 != cmd.n
            && let Some(&gain) = self.gains.get(self.load.1 as usize)
        {
            let link = if cmd.second { &mut net.o } else { &mut net.x0 };
            let Some((word, ())) = link.head() else { break };
            let at = from.max(word).max(self.load_next).max(gain + 1);
            link.take(at, &mut net.wake);
            self.took(at, groups);
        }
    }

    /// A group was taken in cycle `at`.
    #[inline(always)]
    fn took(&mut self, at: Time, groups: u32) {
        self.load_next = at + 1;
        self.load.1 += 1;
        if self.load.1 == groups {
            self.load = (self.load.0 + 1, 0);
            self.stats.push(at + self.p.stat_latency + 1);
        }
    }

    /// A group of x is there from `word` on and is taken at once; when. `None`: it has to wait in the stream.
    #[inline(always)]
    pub fn x(&mut self, second: bool, word: Time, net: &mut Net) -> Option<Time> {
        let (from, cmd) = net.norm_cmd.head()?;
        if cmd.second != second || self.load.0 == cmd.n {
            return None;
        }
        let gain = *self.gains.get(self.load.1 as usize)?;
        let at = from.max(word).max(self.load_next).max(gain + 1);
        self.took(at, self.p.groups[second as usize]);
        if self.load.1 == 0 {
            net.wake |= process::NORM;
        }
        Some(at)
    }

    /// An attention output is offered from `valid` on and is taken at once; when it moved. `None`: it has to wait in the stream.
    #[inline(always)]
    pub fn output(&mut self, valid: Time, net: &mut Net) -> Option<Time> {
        if !net.o.is_empty() {
            return None;
        }
        let t = valid.max(net.o.open());
        let taken = self.x(true, (t + 1).max(net.o.after()), net)?;
        net.o.pass_one(t, taken);
        Some(t)
    }

    fn quantise(&mut self, from: Time, cmd: Command) -> bool {
        let groups = self.p.groups[cmd.second as usize];
        let mut moved = false;
        while self.quant.0 != cmd.n
            && let Some(&stat) = self.stats.get(self.quant.0 as usize)
            && let Some(credit) = self.sent.credit(self.begun, ACT_CREDITS)
        {
            let at = from.max(stat).max(self.quant_next).max(credit);
            (self.quant_next, self.begun) = (at + 1, self.begun + 1);
            self.codes.push(at + self.p.code_latency + self.latency);
            self.quant.1 += 1;
            if self.quant.1 == groups {
                self.quant = (self.quant.0 + 1, 0);
            }
            moved = true;
        }
        moved
    }

    fn codes_leave(&mut self, array: &mut Weights, net: &mut Net) {
        while let Some(from) = self.codes.front() {
            // Most often the array takes it at once.
            let t = match array.act(from, net) {
                Some(t) => t,
                None if net.act.room() => net.act.offer(from, (), &mut net.wake),
                None => break,
            };
            self.codes.pop();
            self.sent.push(t);
            self.count(t);
        }
    }

    /// A code of the command under way, or of the first whose codes have not all moved.
    fn count(&mut self, t: Time) {
        if self.marks.get(self.spans.len().wrapping_sub(1)).is_some_and(|&end| end < self.sent.count) || self.spans.is_empty() {
            self.spans.push((t, t, 0));
        }
        if let Some(span) = self.spans.last_mut() {
            (span.1, span.2) = (t, span.2 + 1);
        }
    }

    fn make_scale(&mut self, from: Time, cmd: Command) -> bool {
        if self.scale.is_some() || self.scaled == cmd.n {
            return false;
        }
        let Some(&stat) = self.stats.get(self.scaled as usize) else { return false };
        let at = from.max(stat).max(self.scale_next);
        self.made = at + SCALE_LATENCY + 2;
        self.scale = Some((self.made, cmd.second));
        self.scaled += 1;
        true
    }

    fn scale_leaves(&mut self, net: &mut Net) {
        let Some((from, second)) = self.scale else { return };
        let link = if second { &mut net.s1 } else { &mut net.s0 };
        if !link.room() {
            return;
        }
        self.scale_next = link.offer(from, (), &mut net.wake);
        self.scale = None;
    }
}
