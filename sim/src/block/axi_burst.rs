//! `axi_burst`: a segment becomes bursts that end at multiples of the burst length. [`Bursts`] is the building block of the
//! masters, [`AxiBurst`] a block of its own.

use super::skid::Skid;
use crate::{
    axi::{Burst, Segment},
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{bits::clog2, block::axi_burst::Params};

/// Cycle-exact to `axi_burst.sv`.
#[derive(Clone, Debug, PartialEq)]
pub struct Bursts {
    byte_bits: usize,
    burst: u64,
    seg: Skid<Segment>,
    /// Address in beats of the next burst, and beats that are in no burst yet (at least 1).
    act: Option<(u64, u64)>,
    out: Option<Burst>,
}

impl Bursts {
    /// Empty.
    pub fn new(p: &Params) -> Self {
        Self { byte_bits: clog2(p.port_bits / 8), burst: p.burst as u64, seg: Skid::new(), act: None, out: None }
    }

    /// It takes a segment in this cycle.
    pub fn ready(&self) -> bool {
        self.seg.ready()
    }

    /// The burst it offers in this cycle.
    pub fn peek(&self) -> Option<Burst> {
        self.out
    }

    /// No segment or burst waits here.
    pub fn empty(&self) -> bool {
        !self.seg.valid() && self.act.is_none() && self.out.is_none()
    }

    /// The clock edge; the wires as named in the Verilog.
    pub fn step(&mut self, rst: bool, seg: Option<Segment>, base: u64, burst_ready: bool) {
        let advance = self.out.is_none() || burst_ready;
        // Beats of the burst that `act` makes, and whether it is the segment's last.
        let cut = self.act.map(|(beat, left)| {
            let room = self.burst - beat % self.burst;
            (room.min(left), left <= room)
        });
        let take = cut.is_none_or(|(_, last)| advance && last);
        if advance {
            self.out = self.act.zip(cut).map(|((beat, _), (beats, _))| Burst { addr: beat << self.byte_bits, len: (beats - 1) as u8 });
        }
        if take {
            let beat_mask = u64::MAX >> self.byte_bits;
            let first = |s: &Segment| ((base >> self.byte_bits).wrapping_add(s.off as u64) & beat_mask, s.beats as u64);
            self.act = self.seg.peek().filter(|s| s.beats != 0).map(first);
        } else if advance && let (Some((beat, left)), Some((beats, _))) = (self.act, cut) {
            self.act = Some((beat.wrapping_add(beats) & (u64::MAX >> self.byte_bits), left - beats));
        }
        self.seg.step(rst, seg.is_some(), || seg.unwrap_or_default(), take);
        if rst {
            (self.act, self.out) = (None, None);
        }
    }
}

ports! {
    /// Inputs of `axi_burst`.
    pub struct In { rst: bool, seg_valid: bool, seg_off: u32, seg_beats: u32, base: u64, burst_ready: bool }
    /// Outputs of `axi_burst`.
    pub struct Out { seg_ready: bool, burst_valid: bool, burst_addr: u64, burst_len: u8, empty: bool }
}

/// `axi_burst` as a block.
pub struct AxiBurst(Bursts);

impl Block for AxiBurst {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, _power_up: PowerUp) -> Self {
        Self(Bursts::new(params))
    }

    fn out(&self) -> Out {
        let burst = self.0.peek().unwrap_or_default();
        Out {
            seg_ready: self.0.ready(),
            burst_valid: self.0.peek().is_some(),
            burst_addr: burst.addr,
            burst_len: burst.len,
            empty: self.0.empty(),
        }
    }

    fn step(&mut self, i: &In) {
        let seg = i.seg_valid.then_some(Segment { off: i.seg_off, beats: i.seg_beats });
        self.0.step(i.rst, seg, i.base, i.burst_ready);
    }
}
