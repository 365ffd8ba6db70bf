//! The transactions of one port. Times are cycles of the memory's own count; every pause is computed once, when the event
//! before it happens, so nothing needs to be evaluated in the cycles between.

use super::config::{Channel, MemConfig};
use crate::axi::Burst;
use std::collections::VecDeque;

/// Limits a data channel to a rate. In ticks: a cycle has `beats` ticks, a beat takes `cycles` ticks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Pace {
    free: u64,
}

impl Pace {
    /// The first cycle in which a beat may pass.
    fn from(&self, config: &MemConfig) -> u64 {
        // The common rate of a beat a cycle needs no division.
        match config.rate().0 {
            1 => self.free,
            beats => self.free.div_ceil(beats),
        }
    }

    /// A beat passed in `cycle`.
    fn pass(&mut self, config: &MemConfig, cycle: u64) {
        let (beats, cycles) = config.rate();
        // What is left of a started cycle may be used by the next beat, but idle time is not saved up.
        let start = self.free.max((cycle * beats).saturating_sub(beats - 1));
        self.free = start + cycles;
    }

    /// The rate limits nothing from `now` on.
    fn past(&self, config: &MemConfig, now: u64) -> bool {
        let beats = config.rate().0;
        self.free <= (now * beats).saturating_sub(beats - 1)
    }

    /// Moves all times from `now` to `then`; what has no effect from `now` on becomes one value.
    fn rebase(&mut self, config: &MemConfig, now: u64, then: u64) {
        let beats = config.rate().0;
        self.free = rebased(self.free.max((now * beats).saturating_sub(beats - 1)), now * beats, then * beats);
    }
}

/// `time` seen from `now`, seen from `then`.
fn rebased(time: u64, now: u64, then: u64) -> u64 {
    (time + then) - now
}

/// A read burst that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Reading {
    burst: Burst,
    txn: u64,
    due: u64,
}

/// AR and R of a port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ReadChannel {
    port: usize,
    /// Bursts accepted so far.
    count: u64,
    ready_from: u64,
    queue: VecDeque<Reading>,
    /// Of the oldest burst: the beat that is next, and the cycle from which it is offered.
    beat: u64,
    beat_from: u64,
    pace: Pace,
}

impl ReadChannel {
    pub fn new(port: usize, config: &MemConfig) -> Self {
        Self { port, ready_from: config.stall(port, Channel::Ar, 0, 0), ..Self::default() }
    }

    pub fn ready(&self, config: &MemConfig, now: u64) -> bool {
        now >= self.ready_from && self.queue.len() < config.outstanding()
    }

    /// The beat that is offered: burst and beat index.
    pub fn offer(&self, now: u64) -> Option<(Burst, u64)> {
        let head = self.queue.front()?;
        (now >= self.beat_from).then_some((head.burst, self.beat))
    }

    pub fn idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Idle, and no time that lies in the past matters any more: as long as nothing is accepted, all later cycles are the same.
    pub fn settled(&self, config: &MemConfig, now: u64) -> bool {
        self.idle() && self.ready_from <= now && self.pace.past(config, now)
    }

    /// Becomes the channel of this port.
    pub fn of_port(&mut self, port: usize) {
        self.port = port;
    }

    /// Moves all times from `now` to `then` (at least a cycle after 0), so that channels which do the same from now on are equal.
    /// Without random pauses only: they depend on the number of the transaction.
    pub fn rebase(&mut self, config: &MemConfig, now: u64, then: u64) {
        let to = |t: u64| rebased(t.max(now), now, then);
        self.ready_from = to(self.ready_from);
        self.beat_from = if self.queue.is_empty() { then } else { to(self.beat_from) };
        for (txn, reading) in self.queue.iter_mut().enumerate() {
            (reading.due, reading.txn) = (to(reading.due), txn as u64);
        }
        self.count = self.queue.len() as u64;
        self.pace.rebase(config, now, then);
    }

    fn schedule(&mut self, config: &MemConfig, not_before: u64) {
        if let Some(head) = self.queue.front() {
            let pause = config.stall(self.port, Channel::R, head.txn, self.beat);
            self.beat_from = not_before.max(head.due).max(self.pace.from(config)) + pause;
        }
    }

    /// The clock edge of cycle `now`: `accepted` on AR, `taken` on R.
    pub fn step(&mut self, config: &MemConfig, now: u64, accepted: Option<Burst>, taken: bool) {
        let was_empty = self.queue.is_empty();
        if let Some(burst) = accepted {
            self.queue.push_back(Reading { burst, txn: self.count, due: now + config.latency() });
            self.count += 1;
            self.ready_from = now + 1 + config.stall(self.port, Channel::Ar, self.count, 0);
        }
        if taken && let Some(head) = self.queue.front() {
            self.pace.pass(config, now);
            self.beat += 1;
            if self.beat == head.burst.beats() as u64 {
                self.queue.pop_front();
                self.beat = 0;
            }
        }
        if taken || was_empty {
            self.schedule(config, now + 1);
        }
    }
}

/// A write burst whose data are not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Writing {
    burst: Burst,
    txn: u64,
}

/// A response under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Answer {
    resp: u8,
    txn: u64,
    due: u64,
}

/// AW, W and B of a port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct WriteChannel {
    port: usize,
    count: u64,
    ready_from: u64,
    queue: VecDeque<Writing>,
    beat: u64,
    beat_from: u64,
    /// A beat of the oldest burst failed.
    failed: bool,
    pace: Pace,
    answers: VecDeque<Answer>,
    answer_from: u64,
}

impl WriteChannel {
    pub fn new(port: usize, config: &MemConfig) -> Self {
        Self { port, ready_from: config.stall(port, Channel::Aw, 0, 0), ..Self::default() }
    }

    pub fn ready(&self, config: &MemConfig, now: u64) -> bool {
        now >= self.ready_from && self.queue.len() + self.answers.len() < config.outstanding()
    }

    /// The beat that would be taken: burst and beat index. W waits for its AW.
    pub fn wanted(&self, now: u64) -> Option<(Burst, u64)> {
        let head = self.queue.front()?;
        (now >= self.beat_from).then_some((head.burst, self.beat))
    }

    pub fn answer(&self, now: u64) -> Option<u8> {
        let head = self.answers.front()?;
        (now >= self.answer_from).then_some(head.resp)
    }

    pub fn idle(&self) -> bool {
        self.queue.is_empty() && self.answers.is_empty()
    }

    /// As [`ReadChannel::settled`].
    pub fn settled(&self, config: &MemConfig, now: u64) -> bool {
        self.idle() && self.ready_from <= now && self.pace.past(config, now)
    }

    /// As [`ReadChannel::of_port`].
    pub fn of_port(&mut self, port: usize) {
        self.port = port;
    }

    /// As [`ReadChannel::rebase`].
    pub fn rebase(&mut self, config: &MemConfig, now: u64, then: u64) {
        let to = |t: u64| rebased(t.max(now), now, then);
        self.ready_from = to(self.ready_from);
        self.beat_from = if self.queue.is_empty() { then } else { to(self.beat_from) };
        self.answer_from = if self.answers.is_empty() { then } else { to(self.answer_from) };
        for (txn, writing) in self.queue.iter_mut().enumerate() {
            writing.txn = txn as u64;
        }
        for answer in &mut self.answers {
            (answer.due, answer.txn) = (to(answer.due), 0);
        }
        self.count = self.queue.len() as u64;
        self.pace.rebase(config, now, then);
    }

    fn schedule_beat(&mut self, config: &MemConfig, not_before: u64) {
        if let Some(head) = self.queue.front() {
            let pause = config.stall(self.port, Channel::W, head.txn, self.beat);
            self.beat_from = not_before.max(self.pace.from(config)) + pause;
        }
    }

    fn schedule_answer(&mut self, config: &MemConfig, not_before: u64) {
        if let Some(head) = self.answers.front() {
            self.answer_from = not_before.max(head.due) + config.stall(self.port, Channel::B, head.txn, 0);
        }
    }

    /// The clock edge of cycle `now`: `accepted` on AW, `beat` passed on W (its response), `answered` on B.
    pub fn step(&mut self, config: &MemConfig, now: u64, accepted: Option<Burst>, beat: Option<u8>, answered: bool) {
        let (no_burst, no_answer) = (self.queue.is_empty(), self.answers.is_empty());
        if let Some(burst) = accepted {
            self.queue.push_back(Writing { burst, txn: self.count });
            self.count += 1;
            self.ready_from = now + 1 + config.stall(self.port, Channel::Aw, self.count, 0);
        }
        if answered {
            self.answers.pop_front();
        }
        if let Some(resp) = beat
            && let Some(&head) = self.queue.front()
        {
            self.pace.pass(config, now);
            self.failed |= resp != 0;
            self.beat += 1;
            if self.beat == head.burst.beats() as u64 {
                let resp = if self.failed { tritforge_spec::block::axi::SLVERR } else { 0 };
                self.answers.push_back(Answer { resp, txn: head.txn, due: now + config.latency() });
                self.queue.pop_front();
                (self.beat, self.failed) = (0, false);
            }
        }
        if beat.is_some() || no_burst {
            self.schedule_beat(config, now + 1);
        }
        if answered || no_answer {
            self.schedule_answer(config, now + 1);
        }
    }
}
