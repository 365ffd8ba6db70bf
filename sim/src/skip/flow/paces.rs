//! What one pass leaves of the memory's rates to the next.

use super::times::Time;
use crate::memory::{
    MemConfig, Memory,
    channels::{Pace, ReadChannel, WriteChannel},
};

/// How far the rate of each direction's data has been used up: all that one pass leaves to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paces {
    pub read: Pace,
    pub write: Pace,
}

impl Paces {
    /// Those of a memory nothing of which is under way; without random pauses all ports' are the same.
    pub fn of(memory: &Memory) -> Self {
        let (read, write) = memory.channels(0);
        Self { read: read.pace(), write: write.pace() }
    }

    /// Makes them those of all ports of a memory nothing of which is under way.
    pub fn put(&self, memory: &mut Memory) {
        let config = memory.config().clone();
        for port in 0..config.ports {
            let read = ReadChannel::idle_at(port, &config, self.read.clone());
            let write = WriteChannel::idle_at(port, &config, self.write.clone());
            memory.set_channels(port, read, write);
        }
    }

    /// They have no effect from cycle `now` on.
    pub fn past(&self, config: &MemConfig, now: Time) -> bool {
        self.read.past(config, now) && self.write.past(config, now)
    }

    /// As they were in cycle `now`, in cycle `then`.
    pub fn moved(mut self, config: &MemConfig, now: Time, then: Time) -> Self {
        self.read.rebase(config, now, then);
        self.write.rebase(config, now, then);
        self
    }
}
