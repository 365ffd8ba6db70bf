//! Blocks that work on vectors, a group of elements at a time: `xload`, `norm`, `resid`, `xstore`.

use super::{
    link::{History, Link, Ring, Runs, Time, fifo_latency},
    net::{Net, process},
    weights::{After, Weights},
};
use crate::skip::{
    block::{norm, resid, xload, xstore},
    pieces::Segment,
    signals::Command,
};
use tritforge_spec::block::{
    norm::{ACT_CREDITS, SCALE_LATENCY},
    resid::{OUT_CREDITS, SUM_LATENCY},
    scale_mul,
};

/// `xload`: super-words become groups, each for the norm and for the residual.
pub struct Xload {
    p: xload::Params,
    token: u8,
    group: u32,
    sub: u32,
    next: Time,
    /// Its own two buffers at its outputs.
    outputs: [Link<()>; 2],
}

impl Xload {
    pub fn new(p: xload::Params) -> Self {
        let link = || Link::new(process::XLOAD, process::XLOAD);
        Self { p, token: 0, group: 0, sub: 0, next: 0, outputs: [link(), link()] }
    }

    #[inline(never)]
    pub fn advance(&mut self, after: &mut After, net: &mut Net) {
        loop {
            let mut moved = false;
            for (own, out) in self.outputs.iter_mut().zip([&mut net.x0, &mut net.xr]) {
                while out.room()
                    && let Some((from, ())) = own.head()
                {
                    let t = out.offer(from, (), &mut net.wake);
                    own.take(t, &mut net.wake);
                    moved = true;
                }
            }
            moved |= self.take(after, net);
            if !moved {
                return;
            }
        }
    }

    fn take(&mut self, after: &mut After, net: &mut Net) -> bool {
        let (Some((command, cmd)), Some((word, ()))) = (net.xload_cmd.head(), net.x.head()) else { return false };
        let [a, b] = &mut self.outputs;
        if !a.room() || !b.room() {
            return false;
        }
        let at = command.max(word).max(self.next).max(a.open()).max(b.open());
        // Most often both consumers take it at once.
        let [norm, resid] = [hand(a, &net.x0, at), hand(b, &net.xr, at)];
        match norm.and_then(|(t, from)| Some((t, after.norm.x(from, net)?))) {
            Some((t, taken)) => {
                a.pass_one(at, t);
                net.x0.pass_one(t, taken);
            }
            None => _ = a.offer(at, (), &mut net.wake),
        }
        match resid.and_then(|(t, from)| Some((t, after.resid.x(from, net)?))) {
            Some((t, taken)) => {
                b.pass_one(at, t);
                net.xr.pass_one(t, taken);
            }
            None => _ = b.offer(at, (), &mut net.wake),
        }
        self.next = at + 1;
        let vector_last = self.group + 1 == self.p.groups;
        let word_last = vector_last || self.sub + 1 == self.p.per_word;
        self.sub = if word_last { 0 } else { self.sub + 1 };
        self.group = if vector_last { 0 } else { self.group + 1 };
        self.token += vector_last as u8;
        if word_last {
            net.x.take(at, &mut net.wake);
        }
        if self.token == cmd.n {
            self.token = 0;
            net.xload_cmd.take(at, &mut net.wake);
        }
        true
    }
}

/// When a word that comes into an empty buffer in cycle `at` moves on into another, empty too, and from when on it is there.
fn hand(own: &Link<()>, out: &Link<()>, at: Time) -> Option<(Time, Time)> {
    let t = (at + 1).max(own.after()).max(out.open());
    (own.is_empty() && out.is_empty()).then(|| (t, (t + 1).max(out.after())))
}

/// `norm`: statistics of a vector, its codes, its scale.
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
            let mut moved = self.codes_leave(array, net);
            moved |= self.scale_leaves(net);
            if let Some((from, cmd)) = net.norm_cmd.head() {
                moved |= self.take_gains(net, from, cmd);
                moved |= self.take_x(net, from, cmd);
                moved |= self.quantise(from, cmd);
                moved |= self.make_scale(from, cmd);
                if self.quant.0 == cmd.n && self.scaled == cmd.n {
                    let at = self.quant_next.max(self.made);
                    net.norm_cmd.take(at, &mut net.wake);
                    (self.gains.clear(), self.stats.clear());
                    (self.load, self.quant, self.scaled) = ((0, 0), (0, 0), 0);
                    self.marks.push(self.begun);
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn take_gains(&mut self, net: &mut Net, from: Time, cmd: Command) -> bool {
        let groups = self.p.groups[cmd.second as usize];
        let mut moved = false;
        while (self.gains.len() as u32) < groups
            && let Some((word, ())) = net.gain.head()
        {
            let at = self.gain_word(word.max(from), groups);
            net.gain.take(at, &mut net.wake);
            moved = true;
        }
        moved
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

    fn take_x(&mut self, net: &mut Net, from: Time, cmd: Command) -> bool {
        let groups = self.p.groups[cmd.second as usize];
        let mut moved = false;
        while self.load.0 != cmd.n
            && let Some(&gain) = self.gains.get(self.load.1 as usize)
        {
            let link = if cmd.second { &mut net.o } else { &mut net.x0 };
            let Some((word, ())) = link.head() else { break };
            let at = from.max(word).max(self.load_next).max(gain + 1);
            link.take(at, &mut net.wake);
            self.took(at, groups);
            moved = true;
        }
        moved
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
    fn x(&mut self, word: Time, net: &mut Net) -> Option<Time> {
        let (from, cmd) = net.norm_cmd.head()?;
        if cmd.second || self.load.0 == cmd.n {
            return None;
        }
        let gain = *self.gains.get(self.load.1 as usize)?;
        let at = from.max(word).max(self.load_next).max(gain + 1);
        self.took(at, self.p.groups[0]);
        if self.load.1 == 0 {
            net.wake |= process::NORM;
        }
        Some(at)
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

    fn codes_leave(&mut self, array: &mut Weights, net: &mut Net) -> bool {
        let mut moved = false;
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
            moved = true;
        }
        moved
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

    fn scale_leaves(&mut self, net: &mut Net) -> bool {
        let Some((from, second)) = self.scale else { return false };
        let link = if second { &mut net.s1 } else { &mut net.s0 };
        if !link.room() {
            return false;
        }
        self.scale_next = link.offer(from, (), &mut net.wake);
        self.scale = None;
        true
    }
}

/// `resid`: sums are scaled and added to the residual.
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
    fn x(&mut self, word: Time, net: &mut Net) -> Option<Time> {
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

/// `xstore`: groups become super-words and go to memory.
pub struct Xstore {
    p: xstore::Params,
    segments: u8,
    offset: u16,
    segment_next: Time,
    /// From when on the first group of each vector is there.
    begins: Vec<Time>,
    pending: Option<(Time, Segment)>,
    token: u8,
    group: u32,
    sub: u32,
    next: Time,
    word: Option<Time>,
    /// When the last segment and word moved.
    last: Time,
    /// From when on it is idle.
    pub idle: Option<Time>,
}

impl Xstore {
    pub fn new(p: xstore::Params) -> Self {
        Self {
            p,
            segments: 0,
            offset: 0,
            segment_next: 0,
            begins: Vec::new(),
            pending: None,
            token: 0,
            group: 0,
            sub: 0,
            next: 0,
            word: None,
            last: 0,
            idle: None,
        }
    }

    #[inline(never)]
    pub fn advance(&mut self, net: &mut Net) {
        loop {
            let mut moved = false;
            if net.bseg.room()
                && let Some((from, seg)) = self.pending.take()
            {
                self.segment_next = net.bseg.offer(from, seg, &mut net.wake);
                self.last = self.last.max(self.segment_next);
                moved = true;
            }
            if net.bd.room()
                && let Some(from) = self.word.take()
            {
                let t = net.bd.offer(from, (), &mut net.wake);
                (self.last, self.next, moved) = (self.last.max(t), self.next.max(t), true);
            }
            if let Some((from, (x_out, n))) = net.xstore_cmd.head() {
                moved |= self.take(net, from, n);
                moved |= self.push(from, x_out, n);
                if self.segments == n && self.token == n && self.pending.is_none() && self.word.is_none() {
                    // The command goes when all is taken and all segments are offered; idle when they have moved too.
                    let at = self.next.max(self.segment_next);
                    net.xstore_cmd.take(at, &mut net.wake);
                    (self.segments, self.token) = (0, 0);
                    self.begins.clear();
                    self.idle = Some((at + 1).max(self.last + 1));
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn take(&mut self, net: &mut Net, from: Time, n: u8) -> bool {
        let mut moved = false;
        while self.token != n
            && let Some((word, ())) = net.y.head()
        {
            if self.begins.len() == self.token as usize {
                self.begins.push(word);
                moved = true;
            }
            if self.word.is_some() {
                break;
            }
            let at = from.max(word).max(self.next);
            net.y.take(at, &mut net.wake);
            (self.next, moved) = (at + 1, true);
            let vector_last = self.group + 1 == self.p.groups;
            let word_last = vector_last || self.sub + 1 == self.p.per_word;
            self.word = word_last.then_some(at + 1);
            self.sub = if word_last { 0 } else { self.sub + 1 };
            self.group = if vector_last { 0 } else { self.group + 1 };
            self.token += vector_last as u8;
        }
        moved
    }

    fn push(&mut self, from: Time, x_out: u16, n: u8) -> bool {
        if self.segments == n || self.pending.is_some() {
            return false;
        }
        let Some(&due) = self.begins.get(self.segments as usize) else { return false };
        let at = from.max(due).max(self.segment_next);
        let off = if self.segments == 0 { x_out } else { self.offset };
        self.offset = ((u32::from(off) + u32::from(self.p.words)) % u32::from(self.p.burst)) as u16;
        self.pending = Some((at + 1, Segment { off, beats: self.p.words.into() }));
        self.segments += 1;
        true
    }
}
