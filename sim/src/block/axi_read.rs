//! `axi_read`: read master of P ports: hands segments to all ports, joins their beats to super-words.

use super::{
    axi_read_port::{ReadPort, Wires},
    fifo::Fifo,
    skid::Skid,
};
use crate::{
    axi::{ReadBeat, Segment, fields, flags, read_channels, vectors},
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{
    bits::{Bits, mask},
    block::{
        axi,
        axi_read::{Params, SEGMENTS},
    },
};

ports! {
    /// Inputs of `axi_read`.
    pub struct In {
        rst: bool,
        wseg_valid: bool, wseg_off: u32, wseg_beats: u32, wseg_dest: u8,
        dseg_valid: bool, dseg_off: u32, dseg_beats: u32, dseg_dest: u8,
        kseg_valid: bool, kseg_off: u32, kseg_beats: u32, kseg_dest: u8,
        base: Bits, stop: bool,
        m_arready: u32, m_rvalid: u32, m_rdata: Bits, m_rresp: u64, m_rlast: u32,
        w_ready: bool, a_ready: bool,
    }
    /// Outputs of `axi_read`.
    pub struct Out {
        wseg_ready: bool, dseg_ready: bool, kseg_ready: bool,
        m_arvalid: u32, m_araddr: Bits, m_arlen: Bits, m_arsize: Bits, m_arburst: u64, m_rready: u32,
        w_valid: bool, w_dest: u8, w_data: Bits, a_valid: bool, a_dest: u8, a_data: Bits,
        idle: bool, err: bool, err_port: u8, err_addr: u64, beats_inc: u32,
    }
}

read_channels!(In, Out);

/// A segment and the dest of its data.
type Job = (Segment, u8);

/// The segments of one stream that are handed to the ports, and how far the oldest is delivered.
#[derive(Clone, Debug, PartialEq)]
struct Delivery {
    /// Beats - 1 and dest.
    queue: Fifo<(u32, u8)>,
    index: u32,
}

impl Delivery {
    fn new() -> Self {
        Self { queue: Fifo::new(SEGMENTS), index: 0 }
    }

    /// The clock edge: `job` is handed to the ports, `moved` a super-word leaves.
    fn step(&mut self, rst: bool, job: Option<Job>, moved: bool) {
        let last = self.queue.peek().is_some_and(|q| q.0 == self.index);
        let job = job.filter(|(seg, _)| seg.beats != 0);
        self.queue.step(rst, job.is_some(), || job.map_or((0, 0), |(seg, dest)| (seg.beats - 1, dest)), moved && last);
        if moved {
            self.index = if last { 0 } else { self.index.wrapping_add(1) };
        }
        if rst {
            self.index = 0;
        }
    }
}

/// Cycle-exact to `axi_read.sv`.
#[derive(Clone, Debug, PartialEq)]
pub struct AxiRead {
    port_bits: usize,
    wseg: Skid<Job>,
    dseg: Skid<Job>,
    kseg: Skid<Job>,
    w: Delivery,
    a: Delivery,
    ports: Vec<ReadPort>,
    stop: bool,
    /// Port and address of the first beat that failed.
    err: Option<(u8, u64)>,
}

impl AxiRead {
    /// The super-word that stands at a joined output, if every port has its beat.
    fn word<'a>(&'a self, delivery: &Delivery, beat: impl Fn(&'a ReadPort) -> Option<&'a Bits>) -> Option<(u8, Bits)> {
        let (_, dest) = *delivery.queue.peek()?;
        let all = self.ports.iter().all(|p| beat(p).is_some());
        all.then(|| (dest, vectors(&self.ports, self.port_bits, beat)))
    }

    fn idle(&self) -> bool {
        let waiting = self.wseg.valid() || self.dseg.valid() || self.kseg.valid() || self.w.queue.valid() || self.a.queue.valid();
        self.ports.iter().all(ReadPort::quiet) && (self.stop || !waiting)
    }
}

impl Block for AxiRead {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, _power_up: PowerUp) -> Self {
        Self {
            port_bits: params.port.port_bits,
            wseg: Skid::new(),
            dseg: Skid::new(),
            kseg: Skid::new(),
            w: Delivery::new(),
            a: Delivery::new(),
            ports: vec![ReadPort::new(&params.port); params.ports],
            stop: false,
            err: None,
        }
    }

    fn out(&self) -> Out {
        let n = self.ports.len();
        let w = self.word(&self.w, ReadPort::w);
        let a = self.word(&self.a, ReadPort::x);
        let (err_port, err_addr) = self.err.unwrap_or_default();
        let (w_valid, a_valid) = (w.is_some(), a.is_some());
        let (w_dest, w_data) = w.unwrap_or_default();
        let (a_dest, a_data) = a.unwrap_or_default();
        Out {
            wseg_ready: self.wseg.ready(),
            dseg_ready: self.dseg.ready(),
            kseg_ready: self.kseg.ready(),
            m_arvalid: flags(&self.ports, |p| p.ar().is_some()),
            m_araddr: fields(&self.ports, 64, |p| p.ar().map_or(0, |b| b.addr)),
            m_arlen: fields(&self.ports, 8, |p| p.ar().map_or(0, |b| b.len as u64)),
            m_arsize: axi::repeat(n, 3, axi::size(self.port_bits)),
            m_arburst: axi::repeat(n, 2, axi::INCR).get(0, 64),
            m_rready: mask(n) as u32,
            w_valid,
            w_dest,
            w_data,
            a_valid,
            a_dest,
            a_data,
            idle: self.idle(),
            err: self.err.is_some(),
            err_port,
            err_addr,
            beats_inc: flags(&self.ports, ReadPort::beat),
        }
    }

    fn step(&mut self, i: &In) {
        let has = |d: &Delivery, beat: fn(&ReadPort) -> Option<&Bits>| d.queue.valid() && self.ports.iter().all(|p| beat(p).is_some());
        let w_move = has(&self.w, ReadPort::w) && i.w_ready;
        let a_move = has(&self.a, ReadPort::x) && i.a_ready;
        let w_can = self.ports.iter().all(ReadPort::wseg_ready) && self.w.queue.ready();
        let x_can = self.ports.iter().all(ReadPort::xseg_ready) && self.a.queue.ready();
        let w_job = self.wseg.peek().copied().filter(|_| w_can);
        let x_job = self.dseg.peek().or(self.kseg.peek()).copied().filter(|_| x_can);
        let k_can = x_can && !self.dseg.valid();

        let bad = self.ports.iter().enumerate().find_map(|(p, port)| port.bad().map(|addr| (p as u8, addr)));
        self.err = self.err.or(bad).filter(|_| !i.rst);
        for (p, port) in self.ports.iter_mut().enumerate() {
            let bit = |flags: u32| flags >> p & 1 != 0;
            let beat = || ReadBeat {
                data: i.m_rdata.slice(self.port_bits * p, self.port_bits),
                resp: (i.m_rresp >> (2 * p) & 3) as u8,
                last: bit(i.m_rlast),
            };
            port.step(&Wires {
                rst: i.rst,
                wseg: w_job.map(|(seg, _)| seg),
                xseg: x_job.map(|(seg, _)| seg),
                base: i.base.get(64 * p, 64),
                stop: i.stop,
                ar_ready: bit(i.m_arready),
                r: bit(i.m_rvalid).then(beat),
                w_ready: w_move,
                x_ready: a_move,
            });
        }
        self.w.step(i.rst, w_job, w_move);
        self.a.step(i.rst, x_job, a_move);
        self.wseg.step(i.rst, i.wseg_valid, || (Segment { off: i.wseg_off, beats: i.wseg_beats }, i.wseg_dest), w_can);
        self.dseg.step(i.rst, i.dseg_valid, || (Segment { off: i.dseg_off, beats: i.dseg_beats }, i.dseg_dest), x_can);
        self.kseg.step(i.rst, i.kseg_valid, || (Segment { off: i.kseg_off, beats: i.kseg_beats }, i.kseg_dest), k_can);
        self.stop = i.stop && !i.rst;
    }
}
