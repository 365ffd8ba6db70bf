//! `axi_write`: write master of P ports: grants segments to two clients, hands segments and data to all ports.

use super::{
    axi_write_port::{Wires, WritePort},
    skid::Skid,
};
use crate::{
    axi::{Segment, WriteBeat, fields, flags, vectors, write_channels},
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{
    bits::{Bits, mask},
    block::{axi, axi_write::Params},
};

ports! {
    /// Inputs of `axi_write`.
    pub struct In {
        rst: bool,
        aseg_valid: bool, aseg_off: u32, aseg_beats: u32, ad_valid: bool, ad_data: Bits, ad_strb: Bits,
        bseg_valid: bool, bseg_off: u32, bseg_beats: u32, bd_valid: bool, bd_data: Bits, bd_strb: Bits,
        base: Bits, stop: bool,
        m_awready: u32, m_wready: u32, m_bvalid: u32, m_bresp: u64,
    }
    /// Outputs of `axi_write`.
    pub struct Out {
        aseg_ready: bool, ad_ready: bool, bseg_ready: bool, bd_ready: bool,
        m_awvalid: u32, m_awaddr: Bits, m_awlen: Bits, m_awsize: Bits, m_awburst: u64,
        m_wvalid: u32, m_wdata: Bits, m_wstrb: Bits, m_wlast: u32, m_bready: u32,
        idle: bool, err: bool, err_port: u8, err_addr: u64,
    }
}

write_channels!(In, Out);

/// A client's side: its segments and their data with strobes.
#[derive(Clone, Debug, Default, PartialEq)]
struct Client {
    seg: Skid<Segment>,
    d: Skid<(Bits, Bits)>,
}

/// Cycle-exact to `axi_write.sv`.
#[derive(Clone, Debug, PartialEq)]
pub struct AxiWrite {
    port_bits: usize,
    a: Client,
    b: Client,
    /// A segment is under way: whether it is client b's, and its beats that did not pass yet.
    busy: Option<(bool, u32)>,
    ports: Vec<WritePort>,
    stop: bool,
    /// Port and address of the first burst that failed.
    err: Option<(u8, u64)>,
}

impl AxiWrite {
    fn idle(&self) -> bool {
        let client = |c: &Client| c.seg.valid() || c.d.valid();
        let waiting = client(&self.a) || client(&self.b) || self.busy.is_some() || !self.ports.iter().all(WritePort::empty);
        self.ports.iter().all(WritePort::quiet) && (self.stop || !waiting)
    }
}

impl Block for AxiWrite {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, _power_up: PowerUp) -> Self {
        Self {
            port_bits: params.port.port_bits,
            a: Client::default(),
            b: Client::default(),
            busy: None,
            ports: vec![WritePort::new(&params.port); params.ports],
            stop: false,
            err: None,
        }
    }

    fn out(&self) -> Out {
        let n = self.ports.len();
        let w: Vec<Option<WriteBeat>> = self.ports.iter().map(WritePort::w).collect();
        let (err_port, err_addr) = self.err.unwrap_or_default();
        Out {
            aseg_ready: self.a.seg.ready(),
            ad_ready: self.a.d.ready(),
            bseg_ready: self.b.seg.ready(),
            bd_ready: self.b.d.ready(),
            m_awvalid: flags(&self.ports, |p| p.aw().is_some()),
            m_awaddr: fields(&self.ports, 64, |p| p.aw().map_or(0, |b| b.addr)),
            m_awlen: fields(&self.ports, 8, |p| p.aw().map_or(0, |b| b.len as u64)),
            m_awsize: axi::repeat(n, 3, axi::size(self.port_bits)),
            m_awburst: axi::repeat(n, 2, axi::INCR).get(0, 64),
            m_wvalid: flags(&w, Option::is_some),
            m_wdata: vectors(&w, self.port_bits, |w| w.as_ref().map(|w| &w.data)),
            m_wstrb: fields(&w, self.port_bits / 8, |w| w.as_ref().map_or(0, |w| w.strb)),
            m_wlast: flags(&w, |w| w.as_ref().is_some_and(|w| w.last)),
            m_bready: mask(n) as u32,
            idle: self.idle(),
            err: self.err.is_some(),
            err_port,
            err_addr,
        }
    }

    fn step(&mut self, i: &In) {
        let data_ready = self.ports.iter().all(WritePort::d_ready);
        let client_b = self.busy.is_some_and(|(b, _)| b);
        let data = if client_b { self.b.d.peek() } else { self.a.d.peek() };
        let moved = data.filter(|_| self.busy.is_some() && data_ready).cloned();
        let a_ready = self.busy.is_some() && !client_b && data_ready;
        let b_ready = client_b && data_ready;
        let ends = moved.is_some() && self.busy.is_some_and(|(_, left)| left == 1);
        let can = (self.busy.is_none() || ends) && self.ports.iter().all(WritePort::seg_ready);
        let from_b = !self.a.seg.valid();
        let grant = self.a.seg.peek().or(self.b.seg.peek()).copied().filter(|_| can);

        let bad = self.ports.iter().enumerate().find_map(|(p, port)| port.bad().map(|addr| (p as u8, addr)));
        self.err = self.err.or(bad).filter(|_| !i.rst);
        let pb = self.port_bits;
        for (p, port) in self.ports.iter_mut().enumerate() {
            let bit = |flags: u32| flags >> p & 1 != 0;
            port.step(&Wires {
                rst: i.rst,
                seg: grant,
                d: moved.as_ref().map(|(data, strb)| (data.slice(pb * p, pb), strb.get(pb / 8 * p, pb / 8))),
                base: i.base.get(64 * p, 64),
                stop: i.stop,
                aw_ready: bit(i.m_awready),
                w_ready: bit(i.m_wready),
                b: bit(i.m_bvalid).then_some((i.m_bresp >> (2 * p) & 3) as u8),
            });
        }
        if can {
            self.busy = grant.filter(|seg| seg.beats != 0).map(|seg| (from_b, seg.beats));
        } else if ends {
            self.busy = None;
        } else if moved.is_some()
            && let Some((_, left)) = &mut self.busy
        {
            *left -= 1;
        }
        self.a.seg.step(i.rst, i.aseg_valid, || Segment { off: i.aseg_off, beats: i.aseg_beats }, can);
        self.b.seg.step(i.rst, i.bseg_valid, || Segment { off: i.bseg_off, beats: i.bseg_beats }, can && from_b);
        self.a.d.step(i.rst, i.ad_valid, || (i.ad_data.clone(), i.ad_strb.clone()), a_ready);
        self.b.d.step(i.rst, i.bd_valid, || (i.bd_data.clone(), i.bd_strb.clone()), b_ready);
        self.stop = i.stop && !i.rst;
        if i.rst {
            self.busy = None;
        }
    }
}
