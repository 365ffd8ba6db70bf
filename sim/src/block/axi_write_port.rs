//! `axi_write_port`: the write master of one memory port. [`WritePort`] is the building block of `axi_write`,
//! [`AxiWritePort`] a block of its own.

use super::{axi_burst::Bursts, fifo::Fifo};
use crate::{
    axi::{Burst, Segment, WriteBeat},
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{
    bits::{Bits, clog2, mask},
    block::{axi_burst, axi_write_port::Params},
};

/// This cycle's wires into a [`WritePort`].
#[derive(Clone, Debug, Default)]
pub struct Wires {
    pub rst: bool,
    pub seg: Option<Segment>,
    /// Data and strobes.
    pub d: Option<(Bits, u64)>,
    pub base: u64,
    pub stop: bool,
    pub aw_ready: bool,
    pub w_ready: bool,
    /// Response.
    pub b: Option<u8>,
}

/// Cycle-exact to `axi_write_port.sv`.
#[derive(Clone, Debug, PartialEq)]
pub struct WritePort {
    byte_bits: usize,
    outstanding: usize,
    burst: Bursts,
    data: Fifo<(Bits, u64)>,
    stop: bool,
    aw: Option<Burst>,
    flight: usize,
    /// Beats in the data FIFO that belong to no announced burst.
    fill: usize,
    /// Lengths of announced bursts whose data are still here.
    len: Fifo<u8>,
    w_index: u8,
    /// Addresses of bursts that are not answered.
    addr: Fifo<u64>,
    /// The registered B channel.
    resp: Option<u8>,
    bad: Option<u64>,
}

impl WritePort {
    /// Empty.
    pub fn new(p: &Params) -> Self {
        Self {
            byte_bits: clog2(p.port_bits / 8),
            outstanding: p.outstanding,
            burst: Bursts::new(&axi_burst::Params { port_bits: p.port_bits, burst: p.burst }),
            data: Fifo::new(p.depth()),
            stop: false,
            aw: None,
            flight: 0,
            fill: 0,
            len: Fifo::new(p.outstanding),
            w_index: 0,
            addr: Fifo::new(p.outstanding),
            resp: None,
            bad: None,
        }
    }

    /// It takes a segment.
    pub fn seg_ready(&self) -> bool {
        self.burst.ready()
    }

    /// It takes a beat of data.
    pub fn d_ready(&self) -> bool {
        self.data.ready()
    }

    /// AW.
    pub fn aw(&self) -> Option<Burst> {
        self.aw
    }

    /// W.
    pub fn w(&self) -> Option<WriteBeat> {
        let (len, (data, strb)) = self.len.peek().zip(self.data.peek())?;
        Some(WriteBeat { data: data.clone(), strb: *strb, last: *len == self.w_index })
    }

    /// No announced burst is without its response.
    pub fn quiet(&self) -> bool {
        self.flight == 0 && self.aw.is_none() && !self.len.valid() && self.bad.is_none()
    }

    /// Nothing waits to be announced or sent.
    pub fn empty(&self) -> bool {
        self.burst.empty() && self.data.count() == 0
    }

    /// The address of a burst that was answered with an error; one cycle.
    pub fn bad(&self) -> Option<u64> {
        self.bad
    }

    /// The clock edge.
    pub fn step(&mut self, i: &Wires) {
        let free = (self.aw.is_none() || i.aw_ready) && !self.stop && self.flight != self.outstanding;
        let take = self.burst.peek().filter(|b| free && self.fill >= b.beats());

        let w_valid = self.data.valid() && self.len.valid();
        let last = self.len.peek() == Some(&self.w_index);
        let w_move = w_valid && i.w_ready;
        let data_ready = self.len.valid() && i.w_ready;

        let resp = self.resp.take();
        let answer = self.addr.peek().copied().zip(resp);
        self.bad = answer.filter(|(_, resp)| resp & 2 != 0).map(|(addr, _)| addr);

        let pushed = i.d.is_some() && self.data.ready();
        self.fill = self.fill - take.map_or(0, |b| b.beats()) + pushed as usize;
        self.flight = self.flight + take.is_some() as usize - answer.is_some() as usize;
        if w_move {
            self.w_index = if last { 0 } else { self.w_index.wrapping_add(1) };
        }
        if self.aw.is_none() || i.aw_ready {
            self.aw = take;
        }
        self.burst.step(i.rst, i.seg, i.base, take.is_some());
        self.data.step(i.rst, i.d.is_some(), || i.d.clone().unwrap_or_default(), data_ready);
        self.len.step(i.rst, take.is_some(), || take.unwrap_or_default().len, w_move && last);
        let addr = || take.unwrap_or_default().addr >> self.byte_bits << self.byte_bits;
        self.addr.step(i.rst, take.is_some(), addr, resp.is_some());
        self.resp = i.b;
        self.stop = i.stop;
        if i.rst {
            (self.aw, self.resp, self.bad) = (None, None, None);
            (self.flight, self.fill, self.w_index, self.stop) = (0, 0, 0, false);
        }
    }
}

ports! {
    /// Inputs of `axi_write_port`.
    pub struct In {
        rst: bool, seg_valid: bool, seg_off: u32, seg_beats: u32, d_valid: bool, d_data: Bits, d_strb: u64,
        base: u64, stop: bool, m_awready: bool, m_wready: bool, m_bvalid: bool, m_bresp: u8,
    }
    /// Outputs of `axi_write_port`.
    pub struct Out {
        seg_ready: bool, d_ready: bool, m_awvalid: bool, m_awaddr: u64, m_awlen: u8,
        m_wvalid: bool, m_wdata: Bits, m_wstrb: u64, m_wlast: bool, quiet: bool, empty: bool, bad: bool, bad_addr: u64,
    }
}

/// `axi_write_port` as a block.
pub struct AxiWritePort {
    port: WritePort,
    strb_bits: usize,
}

impl Block for AxiWritePort {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, _power_up: PowerUp) -> Self {
        Self { port: WritePort::new(params), strb_bits: params.port_bits / 8 }
    }

    fn out(&self) -> Out {
        let p = &self.port;
        let (aw, w) = (p.aw().unwrap_or_default(), p.w());
        let m_wvalid = w.is_some();
        let w = w.unwrap_or_default();
        Out {
            seg_ready: p.seg_ready(),
            d_ready: p.d_ready(),
            m_awvalid: p.aw().is_some(),
            m_awaddr: aw.addr,
            m_awlen: aw.len,
            m_wvalid,
            m_wdata: w.data,
            m_wstrb: w.strb,
            m_wlast: w.last,
            quiet: p.quiet(),
            empty: p.empty(),
            bad: p.bad().is_some(),
            bad_addr: p.bad().unwrap_or_default(),
        }
    }

    fn step(&mut self, i: &In) {
        self.port.step(&Wires {
            rst: i.rst,
            seg: i.seg_valid.then_some(Segment { off: i.seg_off, beats: i.seg_beats }),
            d: i.d_valid.then(|| (i.d_data.clone(), i.d_strb & mask(self.strb_bits))),
            base: i.base,
            stop: i.stop,
            aw_ready: i.m_awready,
            w_ready: i.m_wready,
            b: i.m_bvalid.then_some(i.m_bresp),
        });
    }
}
