//! `ram_sdp`: one write port with an enable per slice, one synchronous read port. [`RamSdp`] is the building block for other
//! models and the block itself.

use crate::{
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{bits::Bits, block::ram_sdp::Params};

/// The memory and its read register. Addresses at and beyond the depth are a fault of the caller.
#[derive(Clone, Debug)]
pub struct RamSdp {
    slice_width: usize,
    slices: usize,
    words: Vec<Bits>,
    rdata: Bits,
}

impl RamSdp {
    /// `depth` words of `width` bits with the contents that `power_up` gives.
    pub fn new(params: &Params, power_up: PowerUp) -> Self {
        let arbitrary = |i: usize| {
            let n = params.width.div_ceil(64);
            let raw: Vec<u64> = (0..n).map(|w| power_up.word("mem", (i * n + w) as u64)).collect();
            Bits::from_words(params.width, &raw)
        };
        Self {
            slice_width: params.width / params.slices,
            slices: params.slices,
            words: (0..params.depth).map(arbitrary).collect(),
            rdata: arbitrary(params.depth),
        }
    }

    /// The word that the last read fetched.
    pub fn rdata(&self) -> &Bits {
        &self.rdata
    }

    /// The clock edge: `write` is (enable per slice, address, data), `read` the address when read enable is high.
    /// A word must not be read in the cycle in which it is written: as in the Verilog, the slices written then read inverted.
    pub fn step(&mut self, write: Option<(u64, usize, &Bits)>, read: Option<usize>) {
        let width = self.slice_width;
        let (enable, address) = write.map_or((0, 0), |(enable, address, _)| (enable, address));
        if let Some(from) = read {
            self.rdata.clone_from(&self.words[from]);
            for s in self.enabled(if from == address { enable } else { 0 }) {
                for lo in (s * width..(s + 1) * width).step_by(64) {
                    let n = (s * width + width - lo).min(64);
                    self.rdata.set(lo, n, !self.rdata.get(lo, n));
                }
            }
        }
        if let Some((_, _, data)) = write {
            for s in self.enabled(enable) {
                self.words[address].put(s * width, &data.slice(s * width, width));
            }
        }
    }

    fn enabled(&self, enable: u64) -> impl Iterator<Item = usize> + use<> {
        (0..self.slices).filter(move |s| enable >> s & 1 != 0)
    }
}

ports! {
    /// Inputs of `ram_sdp`.
    pub struct In { we: u64, waddr: usize, wdata: Bits, re: bool, raddr: usize }
    /// Outputs of `ram_sdp`.
    pub struct Out { rdata: Bits }
}

impl Block for RamSdp {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, power_up: PowerUp) -> Self {
        RamSdp::new(params, power_up)
    }

    fn out(&self) -> Out {
        Out { rdata: self.rdata.clone() }
    }

    fn step(&mut self, i: &In) {
        self.step((i.we != 0).then_some((i.we, i.waddr, &i.wdata)), i.re.then_some(i.raddr));
    }
}
