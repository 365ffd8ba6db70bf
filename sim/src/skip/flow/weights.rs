//! From the read master's stream of weights to the sums: `route_w`, `unpack`, `tmac`. One process, as a word is seldom further than a few cycles
//! from the next.

use super::{
    link::{History, Pipeline, Time},
    net::Net,
    read::Side,
    record::Which,
};
use crate::skip::{
    block::{tmac, unpack},
    signals::Command,
};
use std::collections::VecDeque;
use tritforge_spec::block::{ctrl::weight_dest, tmac::ROWS};

/// A phase of the array.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Waits for a command, from then on.
    Idle(Time),
    /// Waits for activations; the command was taken then.
    Acts(Time, Command),
    /// Takes weights, from then on.
    Run(Time, Command),
}

/// State.
pub struct Weights {
    unpack: unpack::Params,
    tmac: tmac::Params,
    /// Array words that are left of the section, and from when on they may be made; the step within the word.
    left: u32,
    open: Time,
    step: u32,
    words: Pipeline<()>,
    phase: Phase,
    /// Activations taken, and from when on the next one may be.
    acts: u32,
    act_next: Time,
    rows: u32,
    word: u16,
    /// From when on the array may take the next word, as far as the one before decides.
    next: Time,
    /// Rows whose sums have not all moved: from when on there are any, tokens, of the o-projection.
    sums: VecDeque<(Time, u8, bool)>,
    token: u8,
    sum_next: Time,
    /// When the last sums of rows moved; rows that ended.
    sent: History,
    ended: usize,
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
            acts: 0,
            act_next: 0,
            rows: 0,
            word: 0,
            next: 0,
            sums: VecDeque::new(),
            token: 0,
            sum_next: 0,
            sent: History::new(ROWS),
            ended: 0,
        }
    }

    /// Goes on as far as times are known.
    pub fn advance(&mut self, from: &mut Side, net: &mut Net) {
        loop {
            let mut moved = self.begin(net);
            while net.route_w.room()
                && let Some((offered, dest)) = from.word()
            {
                let t = net.route_w.offer(offered, dest, &mut net.wake);
                from.moved(t, &mut net.wake);
                moved = true;
            }
            moved |= route(net);
            moved |= self.unpack(net);
            moved |= self.fire(net);
            moved |= self.sums(net);
            if !moved {
                return;
            }
        }
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
            if self.acts == u32::from(cmd.n) * self.tmac.acts[i] {
                let start = (command + 1).max(self.act_next);
                net.record.high(Which::Activations, command + 2, start + 1);
                self.phase = Phase::Run(start + 1, cmd);
                (self.rows, self.word, self.next) = (self.tmac.rows[i], 0, start + 1);
                moved = true;
            }
        }
        moved
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
    fn fire(&mut self, net: &mut Net) -> bool {
        let Phase::Run(_, cmd) = self.phase else { return false };
        let i = cmd.second as usize;
        let mut moved = false;
        while let Some((offered, ())) = self.words.head() {
            let last = self.word == self.tmac.wpr[i] - 1;
            let room = if last { self.sent.credit(self.ended, ROWS) } else { Some(0) };
            let Some(room) = room else { return moved };
            let ready = self.next.max(room);
            let t = ready.max(offered);
            net.record.high(Which::BackPressure, self.next + 1, ready + 1);
            net.record.high(Which::Weights, ready + 1, t + 1);
            net.record.high(Which::Busy, t + 1, t + 2);
            self.words.leave(t);
            self.next = t + 1;
            self.word += 1;
            moved = true;
            if last {
                (self.word, self.rows, self.ended) = (0, self.rows - 1, self.ended + 1);
                self.sums.push_back((t + self.tmac.latency, cmd.n, cmd.second));
                if self.rows == 0 {
                    (self.phase, self.acts, self.act_next) = (Phase::Idle(t + 1), 0, self.act_next.max(t + 1));
                    return true;
                }
            }
        }
        moved
    }

    /// Sums leave, the tokens of a row one after another.
    fn sums(&mut self, net: &mut Net) -> bool {
        let mut moved = false;
        while let Some(&(from, tokens, second)) = self.sums.front() {
            let link = if second { &mut net.sum1 } else { &mut net.sum0 };
            if !link.room() {
                return moved;
            }
            let t = link.offer(from.max(self.sum_next), (), &mut net.wake);
            (self.sum_next, self.token, moved) = (t + 1, self.token + 1, true);
            if self.token == tokens {
                self.token = 0;
                self.sums.pop_front();
                self.sent.push(t);
            }
        }
        moved
    }
}

/// Words go where their segment's dest says.
fn route(net: &mut Net) -> bool {
    let mut moved = false;
    while let Some((from, dest)) = net.route_w.head() {
        let link = match dest {
            weight_dest::CONST => &mut net.consts,
            weight_dest::GAIN => &mut net.gain,
            _ => &mut net.packed,
        };
        if !link.room() {
            return moved;
        }
        let t = link.offer(from, (), &mut net.wake);
        net.route_w.take(t, &mut net.wake);
        moved = true;
    }
    moved
}
