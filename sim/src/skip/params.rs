//! What does not change while passes run.

use super::block::{attn, axi_write, headq, kvread, kvwrite, norm, resid, rope, tmac, unpack, xload, xstore};
use crate::memory::MemConfig;
use tritforge_spec::{block, hw::Hw};

/// What does not change: parameters of the blocks and of the memory.
#[derive(Clone, Debug)]
pub struct Params {
    pub ctrl: block::ctrl::Params,
    pub axi_read: block::axi_read::Params,
    pub axi_write: axi_write::Params,
    pub xload: xload::Params,
    pub norm: norm::Params,
    pub unpack: unpack::Params,
    pub tmac: tmac::Params,
    pub rope: rope::Params,
    pub headq: headq::Params,
    pub kvread: kvread::Params,
    pub kvwrite: kvwrite::Params,
    pub attn: attn::Params,
    pub attn_out: block::attn_out::Params,
    pub resid: resid::Params,
    pub xstore: xstore::Params,
    pub burst: u16,
    pub memory: MemConfig,
}

impl Params {
    /// Of `hw` with this memory.
    pub fn new(hw: &Hw, memory: &MemConfig) -> Self {
        let ctrl = block::ctrl::Params::from(hw);
        let burst = hw.config.burst as u16;
        Self {
            axi_read: hw.into(),
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
