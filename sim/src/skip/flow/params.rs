//! What does not change while passes run, and what one of them leaves to the next.

use super::times::Time;
use crate::{
    memory::{
        MemConfig, Memory,
        channels::{Pace, ReadChannel, WriteChannel},
    },
    skip::block::{attn, axi_write, headq, kvread, kvwrite, norm, resid, rope, tmac, unpack, xload, xstore},
};
use tritforge_spec::{block, hw::Hw};

/// What does not change: parameters of the blocks and of the memory.
#[derive(Clone, Debug)]
pub struct Params {
    pub(super) ctrl: block::ctrl::Params,
    pub(super) axi_read: block::axi_read_port::Params,
    pub(super) axi_write: axi_write::Params,
    pub(super) xload: xload::Params,
    pub(super) norm: norm::Params,
    pub(super) unpack: unpack::Params,
    pub(super) tmac: tmac::Params,
    pub(super) rope: rope::Params,
    pub(super) headq: headq::Params,
    pub(super) kvread: kvread::Params,
    pub(super) kvwrite: kvwrite::Params,
    pub(super) attn: attn::Params,
    pub(super) attn_out: block::attn_out::Params,
    pub(super) resid: resid::Params,
    pub(super) xstore: xstore::Params,
    pub(super) burst: u16,
    pub(super) memory: MemConfig,
}

impl Params {
    /// Of `hw` with this memory.
    pub fn new(hw: &Hw, memory: &MemConfig) -> Self {
        let ctrl = block::ctrl::Params::from(hw);
        let burst = hw.config.burst as u16;
        Self {
            axi_read: block::axi_read::Params::from(hw).port,
            axi_write: (&block::axi_write::Params::from(hw)).into(),
            xload: block::xload::Params::from(hw).into(),
            norm: norm::Params::new(&hw.into(), &ctrl),
            unpack: unpack::Params::new(&hw.into(), &ctrl),
            tmac: tmac::Params::new(&hw.into(), &ctrl),
            rope: block::rope::Params::from(hw).into(),
            headq: block::headq::Params::from(hw).into(),
            kvread: (&hw.kv()).into(),
            kvwrite: (&hw.kv()).into(),
            attn: attn::Params::from(&block::attn::Params::from(hw)),
            attn_out: hw.into(),
            resid: block::resid::Params::from(hw).into(),
            xstore: xstore::Params::new(&hw.into(), burst),
            burst,
            memory: memory.clone(),
            ctrl,
        }
    }
}

impl Params {
    /// The memory's.
    pub fn memory(&self) -> &MemConfig {
        &self.memory
    }
}

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
