//! From the read master's stream of weights to the sums: `route_w`, `unpack`, `tmac`. One process, as a word is seldom further than a few cycles
//! from the next.

use super::{
    heads::{HeadQ, Rope},
    link::{History, Pipeline, Ring, Time},
    net::{Net, process},
    read::Side,
    record::Which,
    vectors::{Norm, Resid},
};
use crate::skip::{
    block::{tmac, unpack},
    signals::Command,
};
use tritforge_spec::block::{ctrl::weight_dest, tmac::ROWS};

/// What takes gains and sums.
pub struct After {
    pub norm: Norm,
    pub rope: Rope,
    pub headq: HeadQ,
    pub resid: Resid,
}

/// A phase of the array.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Waits for a command, from then on.
    Idle(Time),
    /// Waits for activations; the command was taken then.
    Acts(Time, Command),
    /// Takes weights.
    Run(Command),
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
    /// When the last word was offered to it, and taken.
    last: (Time, Time),
    /// Rows whose sums have not all moved: from when on there are any, tokens, of the o-projection.
    sums: Ring<(Time, u8, bool), { ROWS.next_power_of_two() }>,
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
    pub fn advance(&mut self, from: &mut Side, after: &mut After, net: &mut Net) -> bool {
        // Most often words have come and nothing is on the way.
        if self.is_clear(net) {
            self.stream(from, after, net);
            if self.left > 0 && from.word().is_none() && self.is_clear(net) && matches!(self.phase, Phase::Run(_)) {
                return false;
            }
        }
        gains(from, &mut after.norm, net);
        if net.wake & !process::WEIGHTS != 0 {
            return true;
        }
        loop {
            let mut moved = self.begin(net);
            while route(net) | self.unpack(net) | self.fire(after, net) | self.sums(after, net) {
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

    /// Nothing is on the way to the array, or leaves it.
    fn is_clear(&self, net: &Net) -> bool {
        net.route_w.is_empty() && net.packed.is_empty() && self.words.is_empty() && self.sums.is_empty()
    }

    /// Words that have arrived go all the way into the array, one after another: what `route`, `unpack` and `fire` do to each, without a look at
    /// anything else between. Nothing is on the way.
    fn stream(&mut self, from: &mut Side, after: &mut After, net: &mut Net) -> bool {
        let Phase::Run(cmd) = self.phase else { return false };
        let p = &self.unpack;
        let Some((arrived, offered, weight_dest::PACKED)) = from.run() else { return false };
        if p.parts != 1 || p.slices != 1 {
            return false;
        }
        let logged = net.route_w.log.is_some();
        let words = arrived.min(self.left as usize);
        let row = self.tmac.wpr[cmd.second as usize];
        let (mut w_next, [mut w_free, mut w_free2]) = net.route_w.state();
        let (mut u_next, [mut u_free, mut u_free2]) = net.packed.state();
        // The word before may have gone elsewhere.
        u_next = u_next.max(net.route_w.after());
        w_next = w_next.max(offered);
        let (mut open, (mut valid, mut last), mut next) = (self.open, self.last, self.next);
        // Cycles from here on in which the array took a word in each.
        let mut busy = next;
        let (mut steady, mut steady_words) = (false, 0);
        // When the next word arrived and how many follow it a cycle after each other; words that left since a cycle, one in each.
        let (first, mut arrival, mut run) = (from.left.count, 0, 0);
        let mut left = (w_next, 0);
        let mut n = 0;
        while n < words {
            if run == 0 {
                (arrival, run) = from.arrival_of(first + n);
            }
            // Where nothing waited on its way, nothing will: all times follow from the word's. And where every step of the last word came a cycle
            // after that of the word before, and would come so again and again, it goes on so as long as words are there.
            let still = (u_next, open, valid, last, next) == (w_next + 1, w_next + 2, w_next + 3, valid, valid + 1);
            // A word that ends a row and has to wait may wait for room too.
            let waits = arrival > w_next && self.word + 1 == row && self.sent.credit(self.ended, ROWS).is_none_or(|room| room > next);
            if !logged && (still && !waits || steady && arrival <= w_next) {
                let wait = arrival.saturating_sub(w_next);
                let (before, open_words) = (n, run.min(words - n));
                let mut end = last + wait;
                let mut over = false;
                while n - before < open_words && !over {
                    if self.word == 0 && cmd.n == 1 && self.sums.is_empty() {
                        let rows = ((open_words - (n - before)) / row as usize).min(self.rows as usize - 1);
                        let done = self.rows(end, cmd.second, row, rows, after, net);
                        (n, end) = (n + done * row as usize, end + (done * row as usize) as Time);
                    }
                    if n - before == open_words {
                        break;
                    }
                    let k = ((row - self.word) as usize).min(open_words - (n - before));
                    if self.word as usize + k == row as usize {
                        let Some(room) = self.sent.credit(self.ended, ROWS) else { break };
                        if room > end + k as Time {
                            break;
                        }
                        (n, end) = (n + k, end + k as Time);
                        over = self.end_row(end, cmd, after, net);
                    } else {
                        self.word += k as u16;
                        end += k as Time;
                        n += k;
                    }
                }
                let k = n - before;
                if k > 0 {
                    if wait > 0 {
                        net.record.high(Which::Busy, busy + 1, next + 1);
                        net.record.high(Which::Weights, next + 1, next + wait + 1);
                        busy = next + wait;
                        from.left.push_run(left.0, left.1);
                        left = (w_next + wait, 0);
                        (w_next, u_next, open, valid, last, next) =
                            (w_next + wait, u_next + wait, open + wait, valid + wait, last + wait, next + wait);
                    }
                    (left.1, run) = (left.1 + k, run - k);
                    (w_free, u_free) = if k == 1 { (w_free2, u_free2) } else { (u_next + k as Time - 1, open + k as Time - 1) };
                    let k = k as Time;
                    (arrival, w_next, u_next, open, valid, last, next) =
                        (arrival + k, w_next + k, u_next + k, open + k, valid + k, last + k, next + k);
                    (w_free2, u_free2) = (u_next, open);
                    if over {
                        break;
                    }
                    continue;
                }
            }
            let row_end = self.word + 1 == row;
            let room = if row_end { self.sent.credit(self.ended, ROWS) } else { Some(0) };
            let Some(room) = room else { break };
            // Into `route_w`, into `unpack`, into its first register, to its output, into the array.
            let w = arrival.max(w_next).max(w_free);
            let u = (w + 1).max(u_next).max(u_free);
            let mut taken = (u + 1).max(open).max(valid.saturating_sub(1));
            if taken >= valid {
                taken = taken.max(last);
            }
            let offered = (taken + 1).max(last) + 1;
            let ready = next.max(room);
            let t = ready.max(offered);
            // Each buffer on the way holds two words: what two words in a row did is all that decides.
            let alike = (w, u, taken, offered, t) == (w_next, u_next, open, valid + 1, next);
            steady = alike && steady_words >= 2;
            steady_words = if alike { steady_words + 1 } else { 0 };
            (w_next, w_free, w_free2) = (w + 1, w_free2, u + 1);
            (u_next, u_free, u_free2) = (u + 1, u_free2, taken + 1);
            (open, valid, last) = (taken + 1, offered, t);
            if w != left.0 + left.1 as Time {
                from.left.push_run(left.0, left.1);
                left = (w, 0);
            }
            left.1 += 1;
            if logged {
                net.route_w.log.iter_mut().for_each(|log| log.push(w));
                net.packed.log.iter_mut().for_each(|log| log.push(u));
            }
            if t > next {
                net.record.high(Which::Busy, busy + 1, next + 1);
                net.record.high(Which::BackPressure, next + 1, ready + 1);
                net.record.high(Which::Weights, ready + 1, t + 1);
                busy = t;
            }
            next = t + 1;
            (n, arrival, run) = (n + 1, arrival + 1, run - 1);
            self.word += 1;
            if row_end && self.end_row(t, cmd, after, net) {
                break;
            }
        }
        if n > 0 {
            from.left.push_run(left.0, left.1);
            net.record.high(Which::Busy, busy + 1, next + 1);
            (self.open, self.last, self.next) = (open, (valid, last), next);
            self.left -= n as u32;
            net.route_w.pass(n, (w_next, [w_free, w_free2]));
            net.packed.pass(n, (u_next, [u_free, u_free2]));
            self.words.pass(valid, last);
            from.passed(n, w_next - 1, &mut net.wake);
        }
        n > 0
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

    /// Up to `rows` rows one after another, a word a cycle from `end` on, of one token: how many go on without any wait.
    #[inline(always)]
    fn rows(&mut self, end: Time, second: bool, row: u16, rows: usize, after: &mut After, net: &mut Net) -> usize {
        let period = Time::from(row);
        let ended = |j: usize| end + (j as Time + 1) * period;
        let first = ended(0) + self.tmac.latency;
        // From row ROWS on it is the rows before that must have left.
        if rows < 2 || first < self.sum_next || (ROWS as Time) * period <= self.tmac.latency {
            return 0;
        }
        let room = |j: usize| self.sent.credit(self.ended + j, ROWS).is_some_and(|from| from <= ended(j));
        if !(0..rows.min(ROWS)).all(room) {
            return 0;
        }
        let rows = if second {
            after.resid.sums(first, period, rows, net)
        } else {
            after.rope.sums(first, period, rows, &mut after.headq, net)
        };
        if rows > 0 {
            (0..rows).for_each(|j| self.sent.push(first + j as Time * period));
            self.sum_next = first + (rows as Time - 1) * period + 1;
            (self.rows, self.ended) = (self.rows - rows as u32, self.ended + rows);
        }
        rows
    }

    /// A row's last word was taken in cycle `t`; whether it was the phase's last row.
    #[inline(always)]
    fn end_row(&mut self, t: Time, cmd: Command, after: &mut After, net: &mut Net) -> bool {
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

/// Gains go all the way into the norm, where it takes them at once.
fn gains(from: &mut Side, norm: &mut Norm, net: &mut Net) {
    while net.route_w.is_empty()
        && net.gain.is_empty()
        && let Some((offered, weight_dest::GAIN)) = from.word()
    {
        let t = offered.max(net.route_w.open());
        let moved = (t + 1).max(net.route_w.after()).max(net.gain.open());
        let Some(taken) = norm.gain((moved + 1).max(net.gain.after()), net) else { return };
        net.route_w.pass_one(t, moved);
        net.gain.pass_one(moved, taken);
        from.moved(t, &mut net.wake);
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
