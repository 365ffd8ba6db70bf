//! Weights that go through the array many at once.

use super::{
    net::Net,
    read::Side,
    record::Which,
    times::Time,
    weights::{After, Phase, Weights},
};
use tritforge_spec::block::{ctrl::weight_dest, tmac::ROWS};

impl Weights {
    /// Words that have arrived go all the way into the array, one after another: what `route`, `unpack` and `fire` do to each, without a look at
    /// anything else between. Nothing is on the way.
    pub(super) fn stream(&mut self, from: &mut Side, after: &mut After, net: &mut Net) -> bool {
        let Phase::Run(cmd) = self.phase else { return false };
        if self.hold {
            return false;
        }
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
        // The last of them waits for the latest of those rows; most often even that one has left before the first ends.
        let room = |j: usize, by: Time| self.sent.credit(self.ended + j, ROWS).is_some_and(|from| from <= by);
        let checked = rows.min(ROWS);
        if !room(checked - 1, ended(0)) && !(0..checked).all(|j| room(j, ended(j))) {
            return 0;
        }
        let rows =
            if second { after.resid.sums(first, period, rows, net) } else { after.rope.sums(first, period, rows, &mut after.headq, net) };
        if rows > 0 {
            (0..rows).for_each(|j| self.sent.push(first + j as Time * period));
            self.sum_next = first + (rows as Time - 1) * period + 1;
            (self.rows, self.ended) = (self.rows - rows as u32, self.ended + rows);
        }
        rows
    }
}
