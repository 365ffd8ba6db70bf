//! The transactions of one port. Times are cycles of the memory's own count; every pause is computed once, when the event
//! before it happens, so nothing needs to be evaluated in the cycles between.

use super::config::{Channel, MemConfig};
use crate::axi::Burst;
use std::collections::VecDeque;
use tritforge_spec::block::axi::{OKAY, SLVERR};

/// Limits a data channel to a rate. In ticks: a cycle has `beats` ticks, a beat takes `cycles` ticks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pace {
    free: u64,
}

impl Pace {
    /// The first cycle in which a beat may pass.
    pub fn from(&self, config: &MemConfig) -> u64 {
        // The common rate of a beat a cycle needs no division.
        match config.rate().0 {
            1 => self.free,
            beats => self.free.div_ceil(beats),
        }
    }

    /// A beat passed in `cycle`.
    pub fn pass(&mut self, config: &MemConfig, cycle: u64) {
        let (beats, cycles) = config.rate();
        // What is left of a started cycle may be used by the next beat, but idle time is not saved up.
        let start = self.free.max((cycle * beats).saturating_sub(beats - 1));
        self.free = start + cycles;
    }

    /// The rate limits nothing from `now` on.
    pub fn past(&self, config: &MemConfig, now: u64) -> bool {
        let beats = config.rate().0;
        self.free <= (now * beats).saturating_sub(beats - 1)
    }

    /// Moves all times from `now` to `then`; what has no effect from `now` on becomes one value.
    pub fn rebase(&mut self, config: &MemConfig, now: u64, then: u64) {
        let beats = config.rate().0;
        self.free = rebased(self.free.max((now * beats).saturating_sub(beats - 1)), now * beats, then * beats);
    }
}

/// `time` seen from `now`, seen from `then`.
fn rebased(time: u64, now: u64, then: u64) -> u64 {
    (time + then) - now
}

/// A burst that was accepted; none of its data passes before `due`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Accepted {
    burst: Burst,
    txn: u64,
    due: u64,
}

/// One direction of a port: an address channel that accepts bursts, a data channel that works them off in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Direction {
    port: usize,
    /// Bursts accepted so far.
    count: u64,
    ready_from: u64,
    queue: VecDeque<Accepted>,
    /// Of the oldest burst: the beat that is next, and the cycle from which it may pass.
    beat: u64,
    beat_from: u64,
    pace: Pace,
}

impl Direction {
    fn new(port: usize, config: &MemConfig, address: Channel) -> Self {
        Self { port, ready_from: config.stall(port, address, 0, 0), ..Self::default() }
    }

    /// The beat that may pass: burst and beat index.
    fn next(&self, now: u64) -> Option<(Burst, u64)> {
        let head = self.queue.front()?;
        (now >= self.beat_from).then_some((head.burst, self.beat))
    }

    fn settled(&self, config: &MemConfig, now: u64) -> bool {
        self.ready_from <= now && self.pace.past(config, now)
    }

    /// The clock edge of cycle `now` on both channels: `accepted` is due after `latency`, `passed` a beat. The burst that ended.
    fn step(
        &mut self,
        config: &MemConfig,
        [address, data]: [Channel; 2],
        now: u64,
        accepted: Option<(Burst, u64)>,
        passed: bool,
    ) -> Option<Accepted> {
        let was_empty = self.queue.is_empty();
        if let Some((burst, latency)) = accepted {
            self.queue.push_back(Accepted { burst, txn: self.count, due: now + latency });
            self.count += 1;
            self.ready_from = now + 1 + config.stall(self.port, address, self.count, 0);
        }
        let mut ended = None;
        if passed && let Some(head) = self.queue.front() {
            self.pace.pass(config, now);
            self.beat += 1;
            if self.beat == head.burst.beats() as u64 {
                ended = self.queue.pop_front();
                self.beat = 0;
            }
        }
        if (passed || was_empty)
            && let Some(head) = self.queue.front()
        {
            let pause = config.stall(self.port, data, head.txn, self.beat);
            self.beat_from = (now + 1).max(head.due).max(self.pace.from(config)) + pause;
        }
        ended
    }
}

/// AR and R of a port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ReadChannel(Direction);

impl ReadChannel {
    pub fn new(port: usize, config: &MemConfig) -> Self {
        Self(Direction::new(port, config, Channel::Ar))
    }

    /// One that is idle, whose rate is used up so far.
    pub fn idle_at(port: usize, config: &MemConfig, pace: Pace) -> Self {
        Self(Direction { pace, ..Direction::new(port, config, Channel::Ar) })
    }

    /// How far its rate is used up.
    pub fn pace(&self) -> Pace {
        self.0.pace.clone()
    }

    pub fn ready(&self, config: &MemConfig, now: u64) -> bool {
        now >= self.0.ready_from && self.0.queue.len() < config.outstanding()
    }

    /// The beat that is offered: burst and beat index.
    pub fn offer(&self, now: u64) -> Option<(Burst, u64)> {
        self.0.next(now)
    }

    pub fn idle(&self) -> bool {
        self.0.queue.is_empty()
    }

    /// Idle, and no time that lies in the past matters any more: as long as nothing is accepted, all later cycles are the same.
    pub fn settled(&self, config: &MemConfig, now: u64) -> bool {
        self.idle() && self.0.settled(config, now)
    }

    /// Becomes the channel of this port.
    pub fn of_port(&mut self, port: usize) {
        self.0.port = port;
    }

    /// The clock edge of cycle `now`: `accepted` on AR, `taken` on R.
    pub fn step(&mut self, config: &MemConfig, now: u64, accepted: Option<Burst>, taken: bool) {
        let accepted = accepted.map(|burst| (burst, config.latency()));
        self.0.step(config, [Channel::Ar, Channel::R], now, accepted, taken);
    }
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
    data: Direction,
    /// A beat of the oldest burst failed.
    failed: bool,
    answers: VecDeque<Answer>,
    answer_from: u64,
}

impl WriteChannel {
    pub fn new(port: usize, config: &MemConfig) -> Self {
        Self { data: Direction::new(port, config, Channel::Aw), ..Self::default() }
    }

    /// One that is idle, whose rate is used up so far.
    pub fn idle_at(port: usize, config: &MemConfig, pace: Pace) -> Self {
        Self { data: Direction { pace, ..Direction::new(port, config, Channel::Aw) }, ..Self::default() }
    }

    /// How far its rate is used up.
    pub fn pace(&self) -> Pace {
        self.data.pace.clone()
    }

    pub fn ready(&self, config: &MemConfig, now: u64) -> bool {
        now >= self.data.ready_from && self.data.queue.len() + self.answers.len() < config.outstanding()
    }

    /// The beat that would be taken: burst and beat index. W waits for its AW.
    pub fn wanted(&self, now: u64) -> Option<(Burst, u64)> {
        self.data.next(now)
    }

    pub fn answer(&self, now: u64) -> Option<u8> {
        let head = self.answers.front()?;
        (now >= self.answer_from).then_some(head.resp)
    }

    pub fn idle(&self) -> bool {
        self.data.queue.is_empty() && self.answers.is_empty()
    }

    /// As [`ReadChannel::settled`].
    pub fn settled(&self, config: &MemConfig, now: u64) -> bool {
        self.idle() && self.data.settled(config, now)
    }

    /// As [`ReadChannel::of_port`].
    pub fn of_port(&mut self, port: usize) {
        self.data.port = port;
    }

    /// The clock edge of cycle `now`: `accepted` on AW, `beat` passed on W (its response), `answered` on B.
    pub fn step(&mut self, config: &MemConfig, now: u64, accepted: Option<Burst>, beat: Option<u8>, answered: bool) {
        let no_answer = self.answers.is_empty();
        if answered {
            self.answers.pop_front();
        }
        self.failed |= beat.is_some_and(|resp| resp != OKAY);
        let accepted = accepted.map(|burst| (burst, 0));
        if let Some(burst) = self.data.step(config, [Channel::Aw, Channel::W], now, accepted, beat.is_some()) {
            let resp = if std::mem::take(&mut self.failed) { SLVERR } else { OKAY };
            self.answers.push_back(Answer { resp, txn: burst.txn, due: now + config.latency() });
        }
        if (answered || no_answer)
            && let Some(head) = self.answers.front()
        {
            self.answer_from = (now + 1).max(head.due) + config.stall(self.data.port, Channel::B, head.txn, 0);
        }
    }
}
