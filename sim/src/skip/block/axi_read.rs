//! Timing of `axi_read` and its ports.

use super::axi_burst::Bursts;
use crate::skip::{
    pieces::{Fifo, Segment, Skid},
    signals::{Signals, from, into},
};
use smallvec::SmallVec;
use tritforge_spec::block::{
    axi_read::{Params, SEGMENTS},
    axi_read_port,
};

const WSEG: u32 = into("axi_read", "wseg");
const DSEG: u32 = into("axi_read", "dseg");
const KSEG: u32 = into("axi_read", "kseg");
const W: u32 = from("axi_read", "w");
const A: u32 = from("axi_read", "a");

/// State of the read master of one port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Port {
    wburst: Bursts,
    xburst: Bursts,
    /// Beats of the burst on AR.
    ar: Option<u16>,
    flight: u16,
    w_space: u32,
    x_space: u32,
    /// Bursts in flight, oldest first: auxiliary, beats.
    order: SmallVec<[(bool, u16); 8]>,
    /// The registered R channel holds a beat.
    r: bool,
    r_index: u16,
    wfifo: Fifo,
    xfifo: Fifo,
}

/// What happens to a port in a cycle besides AXI.
struct Wires {
    wseg: Option<Segment>,
    xseg: Option<Segment>,
    w_ready: bool,
    x_ready: bool,
}

impl Port {
    fn new(p: &axi_read_port::Params) -> Self {
        Self { w_space: p.w_depth as u32, x_space: p.x_depth as u32, ..Self::default() }
    }
    /// Beats of the burst on AR.
    pub fn ar(&self) -> Option<u16> {
        self.ar
    }
    fn quiet(&self) -> bool {
        self.ar.is_none() && self.flight == 0
    }
    /// A beat arrived in the cycle before.
    pub fn beat(&self) -> bool {
        self.r
    }

    fn step(&mut self, p: &axi_read_port::Params, i: &Wires, ar_ready: bool, r: bool) {
        let fits = |b: Option<u16>, space: u32| b.is_none_or(|b| space >= u32::from(b));
        let slot = (self.ar.is_none() || ar_ready) && self.flight as usize != p.outstanding;
        let (wb, xb) = (self.wburst.peek(), self.xburst.peek());
        let take_x = xb.filter(|_| slot && fits(xb, self.x_space));
        let take_w = wb.filter(|_| slot && take_x.is_none() && fits(wb, self.w_space));
        let take = take_x.or(take_w);
        let (mut done, mut to_w, mut to_x) = (false, false, false);
        if std::mem::replace(&mut self.r, r)
            && let Some(&(aux, beats)) = self.order.first()
        {
            self.r_index += 1;
            done = self.r_index == beats;
            (to_w, to_x) = (!aux, aux);
        }
        let w_left = self.wfifo.step(p.w_depth, to_w, i.w_ready);
        let x_left = self.xfifo.step(p.x_depth, to_x, i.x_ready);
        self.w_space = self.w_space - u32::from(take_w.unwrap_or(0)) + w_left as u32;
        self.x_space = self.x_space - u32::from(take_x.unwrap_or(0)) + x_left as u32;
        self.flight = self.flight + take.is_some() as u16 - done as u16;
        if self.ar.is_none() || ar_ready {
            self.ar = take;
        }
        self.wburst.step(p.burst as u16, i.wseg, take_w.is_some());
        self.xburst.step(p.burst as u16, i.xseg, take_x.is_some());
        if done {
            self.order.remove(0);
            self.r_index = 0;
        }
        if let Some(beats) = take {
            self.order.push((take_x.is_some(), beats));
        }
    }
}

/// Segments of one stream that are handed to the ports: beats and dest, and how far the oldest is delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Delivery {
    queue: SmallVec<[(u32, u8); SEGMENTS]>,
    index: u32,
}

impl Delivery {
    fn ready(&self) -> bool {
        self.queue.len() < SEGMENTS
    }
    fn step(&mut self, job: Option<(Segment, u8)>, moved: bool) {
        let push = job.filter(|(seg, _)| seg.beats != 0 && self.ready());
        if moved {
            self.index += 1;
            if self.queue.first().is_some_and(|q| q.0 == self.index) {
                self.queue.remove(0);
                self.index = 0;
            }
        }
        if let Some((seg, dest)) = push {
            self.queue.push((seg.beats, dest));
        }
    }
}

/// State.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AxiRead {
    wseg: Skid<(Segment, u8)>,
    dseg: Skid<(Segment, u8)>,
    kseg: Skid<(Segment, u8)>,
    w: Delivery,
    a: Delivery,
    pub ports: SmallVec<[Port; 1]>,
}

impl AxiRead {
    /// `ports` may be less than the hardware's where all ports do the same.
    pub fn new(p: &Params, ports: usize) -> Self {
        Self {
            wseg: Skid::default(),
            dseg: Skid::default(),
            kseg: Skid::default(),
            w: Delivery::default(),
            a: Delivery::default(),
            ports: (0..ports).map(|_| Port::new(&p.port)).collect(),
        }
    }

    pub fn idle(&self) -> bool {
        let waiting = self.wseg.valid() || self.dseg.valid() || self.kseg.valid() || !self.w.queue.is_empty() || !self.a.queue.is_empty();
        self.ports.iter().all(Port::quiet) && !waiting
    }

    /// The clock edge; `axi(i)`: AR accepted, a beat of R passes.
    pub fn step(&mut self, p: &Params, s: &mut Signals, axi: impl Fn(usize) -> (bool, bool)) {
        let (w_move, a_move) = (s.moves(W), s.moves(A));
        let w_can = self.ports.iter().all(|p| p.wburst.ready()) && self.w.ready();
        let x_can = self.ports.iter().all(|p| p.xburst.ready()) && self.a.ready();
        let w_job = self.wseg.peek().filter(|_| w_can);
        let x_job = self.dseg.peek().or(self.kseg.peek()).filter(|_| x_can);
        let k_can = x_can && !self.dseg.valid();
        let wires = Wires { wseg: w_job.map(|j| j.0), xseg: x_job.map(|j| j.0), w_ready: w_move, x_ready: a_move };
        for (i, port) in self.ports.iter_mut().enumerate() {
            let (ar, r) = axi(i);
            port.step(&p.port, &wires, ar, r);
        }
        self.w.step(w_job, w_move);
        self.a.step(x_job, a_move);
        self.wseg.step(s.moves(WSEG).then_some(s.payload.wseg), w_can);
        self.dseg.step(s.moves(DSEG).then_some(s.payload.dseg), x_can);
        let dest = tritforge_spec::block::kvread::DEST;
        self.kseg.step(s.moves(KSEG).then_some((s.payload.kseg, dest)), k_can);
        self.outputs(p, s);
    }

    fn outputs(&self, p: &Params, s: &mut Signals) {
        s.accept(WSEG, self.wseg.ready());
        s.accept(DSEG, self.dseg.ready());
        s.accept(KSEG, self.kseg.ready());
        let w = self.w.queue.first().filter(|_| self.ports.iter().all(|q| q.wfifo.valid(p.port.w_depth)));
        let a = self.a.queue.first().filter(|_| self.ports.iter().all(|q| q.xfifo.valid(p.port.x_depth)));
        s.offer(W, w.is_some());
        s.offer(A, a.is_some());
        (s.payload.w_dest, s.payload.a_dest) = (w.map_or(0, |w| w.1), a.map_or(0, |a| a.1));
    }

    /// Drives the outputs after reset.
    pub fn begin(&self, p: &Params, s: &mut Signals) {
        self.outputs(p, s);
    }
}
