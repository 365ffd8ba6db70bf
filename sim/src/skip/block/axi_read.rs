//! Timing of `axi_read` and its ports, as two parts: [`AxiRead`] is the weights' side with all that both sides share, [`Aux`] the
//! side of descriptors, x and KV. Between the projections one of them often waits for long while the other works.

use super::axi_burst::Bursts;
use crate::skip::{
    ask,
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

/// What the ports share between their two streams, and the weights' side: state of the read master of one port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Port {
    wburst: Bursts,
    /// Beats of the burst on AR.
    ar: Option<u16>,
    flight: u16,
    w_space: u32,
    /// Bursts in flight, oldest first: auxiliary, beats.
    order: SmallVec<[(bool, u16); 8]>,
    /// The registered R channel holds a beat.
    r: bool,
    r_index: u16,
    wfifo: Fifo,
}

/// The auxiliary side of one port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct AuxPort {
    burst: Bursts,
    space: u32,
    fifo: Fifo,
}

impl AuxPort {
    /// Beats of the burst that it asks AR for.
    #[inline(always)]
    fn wants(&mut self) -> Option<u16> {
        self.burst.peek().filter(|&b| self.space >= b.into())
    }
}

impl Port {
    /// Beats of the burst on AR.
    pub fn ar(&self) -> Option<u16> {
        self.ar
    }
    /// A beat arrived in the cycle before.
    pub fn beat(&self) -> bool {
        self.r
    }
    /// A beat arrived in the cycle before, for the auxiliary side.
    fn aux_beat(&self) -> bool {
        self.r && self.order.first().is_some_and(|o| o.0)
    }
    #[inline(always)]
    fn w_wants(&mut self) -> Option<u16> {
        self.wburst.peek().filter(|&b| self.w_space >= b.into())
    }
    /// It may go on although no stream moves.
    fn awake(&mut self, p: &axi_read_port::Params) -> bool {
        let under_way = self.ar.is_some() || self.flight != 0 || self.r;
        under_way || self.wburst.pending() || self.w_wants().is_some() || !self.wfifo.settled(p.w_depth)
    }

    /// `aux`: what the auxiliary side asks AR for; whether that was taken.
    #[inline(always)]
    fn step(
        &mut self,
        p: &axi_read_port::Params,
        wseg: Option<Segment>,
        w_ready: bool,
        aux: Option<u16>,
        (ar_ready, r): (bool, bool),
    ) -> bool {
        let slot = (self.ar.is_none() || ar_ready) && self.flight as usize != p.outstanding;
        let take_x = aux.filter(|_| slot);
        let take_w = if slot && take_x.is_none() { self.w_wants() } else { None };
        let take = take_x.or(take_w);
        let (mut done, mut to_w) = (false, false);
        if std::mem::replace(&mut self.r, r)
            && let Some(&(aux, beats)) = self.order.first()
        {
            self.r_index += 1;
            done = self.r_index == beats;
            to_w = !aux;
        }
        let w_left = self.wfifo.step(p.w_depth, to_w, w_ready);
        self.w_space = self.w_space + w_left as u32 - u32::from(take_w.unwrap_or(0));
        self.flight = self.flight + take.is_some() as u16 - done as u16;
        if self.ar.is_none() || ar_ready {
            self.ar = take;
        }
        self.wburst.step(p.burst as u16, wseg, take_w.is_some());
        if done {
            self.order.remove(0);
            self.r_index = 0;
        }
        if let Some(beats) = take {
            self.order.push((take_x.is_some(), beats));
        }
        take_x.is_some()
    }
}

/// Segments of one stream that are handed to the ports: beats and dest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Delivery {
    /// Beats that are left of the oldest, and its dest.
    left: u32,
    oldest: Option<u8>,
    /// Those behind it.
    queue: SmallVec<[(u32, u8); SEGMENTS]>,
}

impl Delivery {
    fn ready(&self) -> bool {
        self.queue.len() + (self.oldest.is_some() as usize) < SEGMENTS
    }
    /// It has come to a segment whose length nobody has asked for.
    fn asks(&self) -> bool {
        self.oldest.is_some() && self.left == Segment::LATER.beats
    }
    #[inline(always)]
    fn step(&mut self, job: Option<(Segment, u8)>, moved: bool) {
        let push = job.filter(|(seg, _)| seg.beats != 0 && self.ready());
        if moved && self.oldest.is_some() {
            if self.left >= 2 {
                self.left -= 1;
            } else {
                let next = if self.queue.is_empty() { None } else { Some(self.queue.remove(0)) };
                self.left = next.map_or(0, |n| n.0);
                self.oldest = next.map(|n| n.1);
            }
        }
        if let Some((seg, dest)) = push {
            if self.oldest.is_none() {
                self.left = seg.beats;
                self.oldest = Some(dest);
            } else {
                self.queue.push((seg.beats, dest));
            }
        }
    }
}

/// The weights' side, and what both sides share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AxiRead {
    wseg: Skid<(Segment, u8)>,
    w: Delivery,
    pub ports: SmallVec<[Port; 1]>,
}

/// The auxiliary side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Aux {
    dseg: Skid<(Segment, u8)>,
    kseg: Skid<(Segment, u8)>,
    a: Delivery,
    ports: SmallVec<[AuxPort; 1]>,
}

/// What the two sides tell each other in a cycle, a bit a port: bursts taken from the auxiliary side, beats for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Crossing {
    taken: u32,
    beats: u32,
}

impl AxiRead {
    /// `ports` may be less than the hardware's where all ports do the same.
    pub fn new(p: &Params, ports: usize) -> Self {
        let port = Port { w_space: p.port.w_depth as u32, ..Port::default() };
        Self { wseg: Skid::default(), w: Delivery::default(), ports: SmallVec::from_elem(port, ports) }
    }

    /// A beat of this cycle is for the auxiliary side.
    #[inline(always)]
    pub fn aux_beat(&self) -> bool {
        self.ports.iter().any(Port::aux_beat)
    }

    /// It may go on although no stream moves and the auxiliary side asks for nothing.
    pub fn awake(&mut self, p: &Params) -> bool {
        self.w_can() && self.wseg.valid() || self.ports.iter_mut().any(|q| q.awake(&p.port))
    }

    fn w_can(&self) -> bool {
        self.ports.iter().all(|p| p.wburst.ready()) && self.w.ready()
    }

    /// The clock edge; `axi(i)`: AR accepted, a beat of R passes.
    #[inline(always)]
    pub fn step(&mut self, p: &Params, aux: &mut Aux, s: &mut Signals, axi: impl Fn(usize) -> (bool, bool)) -> Crossing {
        let w_move = s.moves(W);
        let w_can = self.w_can();
        let job = self.wseg.peek().filter(|_| w_can);
        let mut crossing = Crossing::default();
        for (i, (port, aux)) in self.ports.iter_mut().zip(&mut aux.ports).enumerate() {
            crossing.beats |= (port.aux_beat() as u32) << i;
            crossing.taken |= (port.step(&p.port, job.map(|j| j.0), w_move, aux.wants(), axi(i)) as u32) << i;
        }
        self.w.step(job, w_move);
        self.wseg.step(s.moves(WSEG).then_some(s.payload.wseg), w_can);
        self.outputs(p, s);
        crossing
    }

    /// Drives the outputs.
    #[inline(always)]
    pub fn outputs(&mut self, p: &Params, s: &mut Signals) {
        s.accept(WSEG, self.wseg.ready());
        let w = self.w.oldest.filter(|_| self.ports.iter_mut().all(|q| q.wfifo.valid(p.port.w_depth)));
        s.offer(W, w.is_some());
        s.payload.w_dest = w.unwrap_or(0);
    }
}

impl Aux {
    /// `ports` may be less than the hardware's where all ports do the same.
    pub fn new(p: &Params, ports: usize) -> Self {
        let port = AuxPort { space: p.port.x_depth as u32, ..AuxPort::default() };
        let seg = Skid::default();
        Self { dseg: seg, kseg: seg, a: Delivery::default(), ports: SmallVec::from_elem(port, ports) }
    }

    /// It may go on although no stream moves and no beat comes.
    pub fn awake(&mut self, p: &Params) -> bool {
        let port = |q: &mut AuxPort| q.burst.pending() || q.wants().is_some() || !q.fifo.settled(p.port.x_depth);
        self.can() && (self.dseg.valid() || self.kseg.valid()) || self.ports.iter_mut().any(port)
    }

    fn can(&self) -> bool {
        self.ports.iter().all(|p| p.burst.ready()) && self.a.ready()
    }

    /// The segment that was asked for: the oldest that nobody had asked for.
    pub fn segment_is(&mut self, segment: Segment) {
        for port in &mut self.ports {
            port.burst.segment_is(segment);
        }
    }

    /// The length that was asked for.
    pub fn delivery_is(&mut self, beats: u32) {
        self.a.left = beats;
    }

    /// The clock edge; what is asked for goes to `asks`.
    #[inline(always)]
    pub fn step(&mut self, p: &Params, crossing: Crossing, s: &mut Signals, asks: &mut u32) {
        let moved = s.moves(A);
        let can = self.can();
        let job = self.dseg.peek().or(self.kseg.peek()).filter(|_| can);
        let k_can = can && !self.dseg.valid();
        for (i, port) in self.ports.iter_mut().enumerate() {
            let taken = crossing.taken >> i & 1 != 0;
            let beats = if taken { port.burst.peek().unwrap_or(0) } else { 0 };
            let left = port.fifo.step(p.port.x_depth, crossing.beats >> i & 1 != 0, moved);
            port.space = port.space + left as u32 - u32::from(beats);
            port.burst.step(p.port.burst as u16, job.map(|j| j.0), taken);
            if port.burst.asks() {
                *asks |= ask::SEGMENT;
            }
        }
        self.a.step(job, moved);
        if self.a.asks() {
            *asks |= ask::DELIVERY;
        }
        self.dseg.step(s.moves(DSEG).then_some(s.payload.dseg), can);
        let dest = tritforge_spec::block::ctrl::aux_dest::KV;
        self.kseg.step(s.moves(KSEG).then_some((Segment::LATER, dest)), k_can);
        self.outputs(p, s);
    }

    /// Drives the outputs.
    #[inline(always)]
    pub fn outputs(&mut self, p: &Params, s: &mut Signals) {
        s.accept(DSEG, self.dseg.ready());
        s.accept(KSEG, self.kseg.ready());
        let a = self.a.oldest.filter(|_| self.ports.iter_mut().all(|q| q.fifo.valid(p.port.x_depth)));
        s.offer(A, a.is_some());
        s.payload.a_dest = a.unwrap_or(0);
    }
}
