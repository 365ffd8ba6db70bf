//! From the read master's stream of weights to the sums: `route_w`, `unpack`, `tmac`. One process, as a word is seldom further than a few cycles
//! from the next.

use super::{
    headq::HeadQ,
    net::{Net, process},
    norm::Norm,
    read::Side,
    record::Which,
    resid::Resid,
    rope::Rope,
    route,
    times::{History, Pipeline, Ring, Time},
};
use crate::skip::{
    block::{tmac, unpack},
    signals::Command,
};
use tritforge_spec::block::tmac::ROWS;

/// What takes the sums.
#[derive(Clone)]
pub struct After {
    pub rope: Rope,
    pub headq: HeadQ,
    pub resid: Resid,
}

/// A phase of the array.
#[derive(Clone, Copy, Debug)]
pub enum Phase {
    /// Waits for a command, from then on.
    Idle(Time),
    /// Waits for activations; the command was taken then.
    Acts(Time, Command),
    /// Takes weights.
    Run(Command),
}

/// State.
#[derive(Clone)]
pub struct Weights {
    pub(super) unpack: unpack::Params,
    pub(super) tmac: tmac::Params,
    /// Array words that are left of the section, and from when on they may be made; the step within the word.
    pub(super) left: u32,
    pub(super) open: Time,
    pub(super) step: u32,
    pub(super) words: Pipeline<()>,
    pub(super) phase: Phase,
    /// It does not begin with the words of the o-projection yet.
    pub hold: bool,
    /// Activations taken, and from when on the next one may be.
    pub(super) acts: u32,
    pub(super) act_next: Time,
    pub(super) rows: u32,
    pub(super) word: u16,
    /// From when on the array may take the next word, as far as the one before decides.
    pub(super) next: Time,
    /// When the last word was offered to it, and taken.
    pub(super) last: (Time, Time),
    /// Rows whose sums have not all moved: from when on there are any, tokens, of the o-projection.
    pub(super) sums: Ring<(Time, u8, bool), { ROWS.next_power_of_two() }>,
    pub(super) token: u8,
    pub(super) sum_next: Time,
    /// When the last sums of rows moved; rows that ended.
    pub(super) sent: History,
    pub(super) ended: usize,
}

impl Weights {
    pub fn new(unpack: unpack::Params, tmac: tmac::Params) -> Self {
        Self {
            unpack,
            tmac,
            left: 0,
            open: 0,
            step: 0,
            words: Pipeline::new(2),
            phase: Phase::Idle(0),
            hold: false,
            acts: 0,
            act_next: 0,
            rows: 0,
            word: 0,
            next: 0,
            last: (0, 0),
            sums: Ring::new(),
            token: 0,
            sum_next: 0,
            sent: History::new(ROWS),
            ended: 0,
        }
    }

    /// Goes on as far as times are known; whether it has to come back when other processes have gone on.
    #[inline(never)]
    pub fn advance(&mut self, from: &mut Side, norm: &mut Norm, after: &mut After, net: &mut Net) -> bool {
        // Most often words have come and nothing is on the way.
        if self.is_clear(net) {
            self.stream(from, after, net);
            if self.left > 0 && from.word().is_none() && self.is_clear(net) && matches!(self.phase, Phase::Run(_)) {
                return false;
            }
        }
        route::gains(from, norm, net);
        if net.wake & !process::WEIGHTS != 0 {
            return true;
        }
        // The way is full up to an array that waits.
        let full = !net.route_w.room() && !net.packed.room() && self.left > 0 && !matches!(self.phase, Phase::Run(_));
        if full
            && net.act.is_empty()
            && net.tmac_cmd.is_empty()
            && !matches!(self.phase, Phase::Acts(_, cmd) if self.acts == self.need(cmd))
        {
            return false;
        }
        loop {
            let mut moved = self.begin(net);
            while route::weights(net) | self.unpack(net) | self.fire(after, net) | self.sums(after, net) {
                moved = true;
            }
            if self.is_clear(net) {
                moved |= self.stream(from, after, net);
            }
            while net.route_w.room()
                && let Some((offered, dest)) = from.word()
            {
                let t = net.route_w.offer(offered, dest, &mut net.wake);
                from.moved(t, &mut net.wake);
                moved = true;
            }
            if !moved {
                return false;
            }
        }
    }

    /// The cycle in which it begins with the words of the o-projection, if it holds them.
    pub fn held(&self) -> Option<Time> {
        self.hold.then_some(self.next)
    }

    /// Tokens, words on the way and left of the section, if nothing else has an effect from cycle `by` on.
    pub fn state(&self, net: &Net, by: Time) -> Option<(u8, [u32; 4], Vec<Time>)> {
        let Phase::Run(cmd) = self.phase else { return None };
        let links = net.route_w.is_past(by) && net.packed.is_past(by) && net.sum1.moved().0 == 0;
        let past = links && self.open <= by && self.sum_next <= by && self.sent.is_past(by) && self.sums.is_empty();
        let behind = self.words.behind(by)?;
        past.then(|| (cmd.n, [net.route_w.len() as u32, net.packed.len() as u32, self.left, self.step], behind))
    }

    /// Nothing is on the way to the array, or leaves it.
    fn is_clear(&self, net: &Net) -> bool {
        net.route_w.is_empty() && net.packed.is_empty() && self.words.is_empty() && self.sums.is_empty()
    }

    /// The array takes a word that is offered from `offered` on, where there is room for its row's sum from `room` on.
    #[inline(always)]
    fn take(&mut self, net: &mut Net, offered: Time, room: Time) {
        let ready = self.next.max(room);
        let t = ready.max(offered);
        if t > self.next {
            net.record.high(Which::BackPressure, self.next + 1, ready + 1);
            net.record.high(Which::Weights, ready + 1, t + 1);
        }
        net.record.high(Which::Busy, t + 1, t + 2);
        (self.last, self.next) = ((offered, t), t + 1);
        self.word += 1;
    }

    /// A row's last word was taken in cycle `t`; whether it was the phase's last row.
    #[inline(always)]
    pub(super) fn end_row(&mut self, t: Time, cmd: Command, after: &mut After, net: &mut Net) -> bool {
        (self.word, self.rows, self.ended) = (0, self.rows - 1, self.ended + 1);
        let from = t + self.tmac.latency;
        let at_once = if self.sums.is_empty() && cmd.n == 1 { self.sum(from, cmd.second, after, net) } else { None };
        match at_once {
            Some(t) => {
                self.sum_next = t + 1;
                self.sent.push(t);
            }
            None => {
                self.sums.push((from, cmd.n, cmd.second));
                self.sums(after, net);
            }
        }
        if self.rows == 0 {
            (self.phase, self.acts, self.act_next) = (Phase::Idle(t + 1), 0, self.act_next.max(t + 1));
        }
        self.rows == 0
    }

    /// Commands and activations.
    fn begin(&mut self, net: &mut Net) -> bool {
        let mut moved = false;
        if let Phase::Idle(from) = self.phase
            && let Some((at, cmd)) = net.tmac_cmd.head()
        {
            let at = at.max(from);
            net.tmac_cmd.take(at, &mut net.wake);
            self.phase = Phase::Acts(at, cmd);
            moved = true;
        }
        if matches!(self.phase, Phase::Run(..)) {
            return moved;
        }
        while let Some((at, ())) = net.act.head() {
            let at = at.max(self.act_next);
            net.act.take(at, &mut net.wake);
            (self.acts, self.act_next) = (self.acts + 1, at + 1);
            moved = true;
        }
        if let Phase::Acts(command, cmd) = self.phase {
            let i = cmd.second as usize;
            if self.acts == self.need(cmd) {
                let start = (command + 1).max(self.act_next);
                net.record.high(Which::Activations, command + 2, start + 1);
                self.phase = Phase::Run(cmd);
                self.hold = cmd.second;
                (self.rows, self.word, self.next) = (self.tmac.rows[i], 0, start + 1);
                moved = true;
            }
        }
        moved
    }

    /// An activation is offered from `valid` on and is taken at once; when it moved. `None`: it has to wait in the stream.
    #[inline(always)]
    pub fn act(&mut self, valid: Time, net: &mut Net) -> Option<Time> {
        if matches!(self.phase, Phase::Run(_)) || !net.act.is_empty() {
            return None;
        }
        let t = valid.max(net.act.open());
        let at = (t + 1).max(self.act_next).max(net.act.after());
        net.act.pass_one(t, at);
        (self.acts, self.act_next) = (self.acts + 1, at + 1);
        if let Phase::Acts(_, cmd) = self.phase
            && self.acts == self.need(cmd)
        {
            net.wake |= process::WEIGHTS;
        }
        Some(t)
    }

    /// Activations that a command waits for.
    fn need(&self, cmd: Command) -> u32 {
        u32::from(cmd.n) * self.tmac.acts[cmd.second as usize]
    }

    /// Super-words become array words.
    fn unpack(&mut self, net: &mut Net) -> bool {
        let mut moved = false;
        loop {
            if self.left == 0 {
                let Some((at, cmd)) = net.unpack_cmd.head() else { return moved };
                let at = at.max(self.open.saturating_sub(1));
                net.unpack_cmd.take(at, &mut net.wake);
                (self.left, self.open, moved) = (self.unpack.words[cmd.second as usize], at + 1, true);
            }
            let Some((at, ())) = net.packed.head() else { return moved };
            let Some(at) = self.words.open(at.max(self.open)) else { return moved };
            let p = &self.unpack;
            let last_step = self.step == p.slices.max(p.parts) - 1;
            let word_done = p.parts == 1 || last_step;
            let super_done = p.slices == 1 || last_step || self.left == 1;
            self.step = if if p.parts > 1 { word_done } else { super_done } { 0 } else { self.step + 1 };
            self.open = at + 1;
            if word_done {
                self.words.enter(at, ());
                self.left -= 1;
            }
            if super_done {
                net.packed.take(at, &mut net.wake);
            }
            moved = true;
        }
    }

    /// The array takes words.
    fn fire(&mut self, after: &mut After, net: &mut Net) -> bool {
        let Phase::Run(cmd) = self.phase else { return false };
        if self.hold {
            return false;
        }
        let i = cmd.second as usize;
        let mut moved = false;
        while let Some((offered, ())) = self.words.head() {
            let row_end = self.word == self.tmac.wpr[i] - 1;
            let room = if row_end { self.sent.credit(self.ended, ROWS) } else { Some(0) };
            let Some(room) = room else { return moved };
            self.take(net, offered, room);
            self.words.leave(self.last.1);
            moved = true;
            if row_end && self.end_row(self.last.1, cmd, after, net) {
                return true;
            }
        }
        moved
    }

    /// A sum that is there from `from` on leaves, if what takes it goes on at once: so many rows are done in one go.
    #[inline(always)]
    fn sum(&self, from: Time, second: bool, after: &mut After, net: &mut Net) -> Option<Time> {
        let valid = from.max(self.sum_next);
        if second { after.resid.sum(valid, net) } else { after.rope.sum(valid, &mut after.headq, net) }
    }

    /// Sums leave, the tokens of a row one after another.
    fn sums(&mut self, after: &mut After, net: &mut Net) -> bool {
        let mut moved = false;
        while let Some((from, tokens, second)) = self.sums.front() {
            let t = match self.sum(from, second, after, net) {
                Some(t) => t,
                None => {
                    let valid = from.max(self.sum_next);
                    let link = if second { &mut net.sum1 } else { &mut net.sum0 };
                    if !link.room() {
                        return moved;
                    }
                    link.offer(valid, (), &mut net.wake)
                }
            };
            (self.sum_next, self.token, moved) = (t + 1, self.token + 1, true);
            if self.token == tokens {
                self.token = 0;
                self.sums.pop();
                self.sent.push(t);
            }
        }
        moved
    }
}
