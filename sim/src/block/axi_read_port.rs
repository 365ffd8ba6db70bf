//! `axi_read_port`: the read master of one memory port. [`ReadPort`] is the building block of `axi_read`, [`AxiReadPort`] a
//! block of its own.

use super::{axi_burst::Bursts, fifo::Fifo};
use crate::{
    axi::{Burst, ReadBeat, Segment},
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{
    bits::{Bits, clog2},
    block::{axi_burst, axi_read_port::Params},
};

/// A burst in flight: the FIFO of its data, its length and address.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Flying {
    aux: bool,
    burst: Burst,
}

/// This cycle's wires into a [`ReadPort`].
#[derive(Clone, Debug, Default)]
pub struct Wires {
    pub rst: bool,
    pub wseg: Option<Segment>,
    pub xseg: Option<Segment>,
    pub base: u64,
    pub stop: bool,
    pub ar_ready: bool,
    pub r: Option<ReadBeat>,
    pub w_ready: bool,
    pub x_ready: bool,
}

/// Cycle-exact to `axi_read_port.sv`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadPort {
    port_bits: usize,
    outstanding: usize,
    depths: [usize; 2],
    wburst: Bursts,
    xburst: Bursts,
    stop: bool,
    ar: Option<Burst>,
    flight: usize,
    /// Beats of the FIFOs that are neither held nor reserved.
    w_space: usize,
    x_space: usize,
    order: Fifo<Flying>,
    /// The registered R channel.
    r: Option<ReadBeat>,
    /// Beat within its burst.
    r_index: u8,
    bad: Option<u64>,
    wfifo: Fifo<Bits>,
    xfifo: Fifo<Bits>,
}

impl ReadPort {
    /// Empty.
    pub fn new(p: &Params) -> Self {
        let bursts = Bursts::new(&axi_burst::Params { port_bits: p.port_bits, burst: p.burst });
        Self {
            port_bits: p.port_bits,
            outstanding: p.outstanding,
            depths: [p.w_depth, p.x_depth],
            wburst: bursts.clone(),
            xburst: bursts,
            stop: false,
            ar: None,
            flight: 0,
            w_space: p.w_depth,
            x_space: p.x_depth,
            order: Fifo::new(p.order_depth()),
            r: None,
            r_index: 0,
            bad: None,
            wfifo: Fifo::new(p.w_depth),
            xfifo: Fifo::new(p.x_depth),
        }
    }

    /// It takes a segment of weights.
    pub fn wseg_ready(&self) -> bool {
        self.wburst.ready()
    }

    /// It takes a segment of auxiliary data.
    pub fn xseg_ready(&self) -> bool {
        self.xburst.ready()
    }

    /// AR.
    pub fn ar(&self) -> Option<Burst> {
        self.ar
    }

    /// The beat of weights that it offers.
    pub fn w(&self) -> Option<&Bits> {
        self.wfifo.peek()
    }

    /// The beat of auxiliary data that it offers.
    pub fn x(&self) -> Option<&Bits> {
        self.xfifo.peek()
    }

    /// No burst waits or is in flight.
    pub fn quiet(&self) -> bool {
        self.ar.is_none() && self.flight == 0 && self.bad.is_none()
    }

    /// A beat arrived in the cycle before.
    pub fn beat(&self) -> bool {
        self.r.is_some()
    }

    /// The address of a beat that failed; one cycle.
    pub fn bad(&self) -> Option<u64> {
        self.bad
    }

    /// The clock edge.
    pub fn step(&mut self, i: &Wires) {
        let fits = |b: Option<Burst>, space: usize| b.is_none_or(|b| space >= b.beats());
        let slot = (self.ar.is_none() || i.ar_ready) && !self.stop && self.flight != self.outstanding;
        let (wb, xb) = (self.wburst.peek(), self.xburst.peek());
        let take_x = xb.filter(|_| slot && fits(xb, self.x_space));
        let take_w = wb.filter(|_| slot && take_x.is_none() && fits(wb, self.w_space));
        let take = take_x.or(take_w);

        let beat = self.r.take();
        let flying = self.order.peek().copied();
        let arrived = beat.zip(flying);
        let last = flying.is_some_and(|f| f.burst.len == self.r_index);
        let done = arrived.is_some() && last;
        let fail = arrived.as_ref().is_some_and(|(b, _)| b.resp & 2 != 0 || b.last != last);
        self.bad = arrived.as_ref().filter(|_| fail).map(|(_, f)| {
            let byte_bits = clog2(self.port_bits / 8);
            (f.burst.addr >> byte_bits).wrapping_add(self.r_index as u64) << byte_bits
        });
        if arrived.is_some() {
            self.r_index = if last { 0 } else { self.r_index.wrapping_add(1) };
        }

        self.w_space = self.w_space - take_w.map_or(0, |b| b.beats()) + (self.wfifo.valid() && i.w_ready) as usize;
        self.x_space = self.x_space - take_x.map_or(0, |b| b.beats()) + (self.xfifo.valid() && i.x_ready) as usize;
        self.flight = self.flight + take.is_some() as usize - done as usize;
        if self.ar.is_none() || i.ar_ready {
            self.ar = take;
        }
        self.wburst.step(i.rst, i.wseg, i.base, take_w.is_some());
        self.xburst.step(i.rst, i.xseg, i.base, take_x.is_some());
        let flying = || Flying { aux: take_x.is_some(), burst: take.unwrap_or_default() };
        self.order.step(i.rst, take.is_some(), flying, done);

        let (to_w, to_x) = match arrived {
            Some((b, f)) => {
                let data = if fail { Bits::zeros(self.port_bits) } else { b.data };
                if f.aux { (None, Some(data)) } else { (Some(data), None) }
            }
            None => (None, None),
        };
        self.wfifo.step(i.rst, to_w.is_some(), || to_w.unwrap_or_default(), i.w_ready);
        self.xfifo.step(i.rst, to_x.is_some(), || to_x.unwrap_or_default(), i.x_ready);
        self.r = i.r.clone();
        self.stop = i.stop;
        if i.rst {
            (self.ar, self.r, self.bad) = (None, None, None);
            (self.flight, self.r_index, self.stop) = (0, 0, false);
            [self.w_space, self.x_space] = self.depths;
        }
    }
}

ports! {
    /// Inputs of `axi_read_port`.
    pub struct In {
        rst: bool,
        wseg_valid: bool, wseg_off: u32, wseg_beats: u32, xseg_valid: bool, xseg_off: u32, xseg_beats: u32,
        base: u64, stop: bool,
        m_arready: bool, m_rvalid: bool, m_rdata: Bits, m_rresp: u8, m_rlast: bool,
        w_ready: bool, x_ready: bool,
    }
    /// Outputs of `axi_read_port`.
    pub struct Out {
        wseg_ready: bool, xseg_ready: bool, m_arvalid: bool, m_araddr: u64, m_arlen: u8,
        w_valid: bool, w_data: Bits, x_valid: bool, x_data: Bits, quiet: bool, beat: bool, bad: bool, bad_addr: u64,
    }
}

/// `axi_read_port` as a block.
pub struct AxiReadPort(ReadPort);

impl Block for AxiReadPort {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, _power_up: PowerUp) -> Self {
        Self(ReadPort::new(params))
    }

    fn out(&self) -> Out {
        let (p, ar) = (&self.0, self.0.ar().unwrap_or_default());
        Out {
            wseg_ready: p.wseg_ready(),
            xseg_ready: p.xseg_ready(),
            m_arvalid: p.ar().is_some(),
            m_araddr: ar.addr,
            m_arlen: ar.len,
            w_valid: p.w().is_some(),
            w_data: p.w().cloned().unwrap_or_default(),
            x_valid: p.x().is_some(),
            x_data: p.x().cloned().unwrap_or_default(),
            quiet: p.quiet(),
            beat: p.beat(),
            bad: p.bad().is_some(),
            bad_addr: p.bad().unwrap_or_default(),
        }
    }

    fn step(&mut self, i: &In) {
        self.0.step(&Wires {
            rst: i.rst,
            wseg: i.wseg_valid.then_some(Segment { off: i.wseg_off, beats: i.wseg_beats }),
            xseg: i.xseg_valid.then_some(Segment { off: i.xseg_off, beats: i.xseg_beats }),
            base: i.base,
            stop: i.stop,
            ar_ready: i.m_arready,
            r: i.m_rvalid.then(|| ReadBeat { data: i.m_rdata.clone(), resp: i.m_rresp, last: i.m_rlast }),
            w_ready: i.w_ready,
            x_ready: i.x_ready,
        });
    }
}
