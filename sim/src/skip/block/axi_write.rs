//! Timing of `axi_write` and its ports.

use super::axi_burst::Bursts;
use crate::skip::{
    pieces::{Count, Fifo, Segment, Skid, word},
    signals::{Signals, into, level},
};
use smallvec::SmallVec;
use tritforge_spec::block::axi_write;

const ASEG: u32 = into("axi_write", "aseg");
const AD: u32 = into("axi_write", "ad");
const BSEG: u32 = into("axi_write", "bseg");
const BD: u32 = into("axi_write", "bd");

/// What does not change.
#[derive(Clone, Debug)]
pub struct Params {
    pub(in crate::skip) burst: u16,
    pub(in crate::skip) outstanding: u16,
    /// Beats of a port's data FIFO.
    pub(in crate::skip) depth: usize,
}

impl From<&axi_write::Params> for Params {
    fn from(p: &axi_write::Params) -> Self {
        Self { burst: p.port.burst as u16, outstanding: p.port.outstanding as u16, depth: p.port.depth() }
    }
}

/// State of the write master of one port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Port {
    burst: Bursts,
    data: Fifo,
    aw: Option<u16>,
    flight: u16,
    fill: u32,
    /// Beats of announced bursts whose data are still here.
    len: SmallVec<[u16; 8]>,
    w_index: u16,
    /// The registered B channel holds a response.
    resp: bool,
}

impl Port {
    /// Beats of the burst on AW.
    pub fn aw(&self) -> Option<u16> {
        self.aw
    }
    /// WVALID.
    pub fn w(&self, p: &Params) -> bool {
        !self.len.is_empty() && self.data.valid(p.depth)
    }
    fn quiet(&self) -> bool {
        self.flight == 0 && self.aw.is_none() && self.len.is_empty()
    }
    fn empty(&self) -> bool {
        self.burst.empty() && self.data.count() == 0
    }

    /// `axi`: AW accepted, W accepted, B passes.
    fn step(&mut self, p: &Params, seg: Option<Segment>, d: bool, axi: (bool, bool, bool)) {
        let (aw_ready, w_move, b) = axi;
        let free = (self.aw.is_none() || aw_ready) && self.flight != p.outstanding;
        let take = self.burst.peek().filter(|&b| free && self.fill >= u32::from(b));
        let pushed = d && self.data.ready(p.depth);
        let answer = std::mem::replace(&mut self.resp, b);
        self.fill = self.fill - u32::from(take.unwrap_or(0)) + pushed as u32;
        self.flight = self.flight + take.is_some() as u16 - answer as u16;
        self.data.step(p.depth, d, w_move);
        if w_move {
            self.w_index += 1;
            if self.len.first() == Some(&self.w_index) {
                self.len.remove(0);
                self.w_index = 0;
            }
        }
        if self.aw.is_none() || aw_ready {
            self.aw = take;
        }
        self.burst.step(p.burst, seg, take.is_some());
        if let Some(beats) = take {
            self.len.push(beats);
        }
    }
}

/// State.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AxiWrite {
    aseg: Skid<Segment>,
    ad: Count,
    bseg: Skid<Segment>,
    bd: Count,
    /// A segment is under way: client b's, beats that did not pass.
    busy: Option<(bool, u32)>,
    pub ports: SmallVec<[Port; 1]>,
}

impl AxiWrite {
    pub fn new(ports: usize) -> Self {
        let (seg, count) = (Skid::default(), Count::default());
        Self { aseg: seg, ad: count, bseg: seg, bd: count, busy: None, ports: (0..ports).map(|_| Port::default()).collect() }
    }

    /// Nothing is here or under way.
    pub fn idle(&self) -> bool {
        let waiting = self.aseg.valid() || self.ad.valid() || self.bseg.valid() || self.bd.valid() || self.busy.is_some();
        !waiting && self.ports.iter().all(|p| p.quiet() && p.empty())
    }

    /// The clock edge; `axi(i)`: AW accepted, W accepted, B passes.
    pub fn step(&mut self, p: &Params, s: &mut Signals, axi: impl Fn(usize) -> (bool, bool, bool)) {
        let data_ready = self.ports.iter().all(|q| q.data.ready(p.depth));
        let client_b = self.busy.is_some_and(|(b, _)| b);
        let data = if client_b { self.bd.valid() } else { self.ad.valid() };
        let moved = data && self.busy.is_some() && data_ready;
        let a_ready = self.busy.is_some() && !client_b && data_ready;
        let ends = moved && self.busy.is_some_and(|(_, left)| left == 1);
        let can = (self.busy.is_none() || ends) && self.ports.iter().all(|q| q.burst.ready());
        let from_b = !self.aseg.valid();
        let grant = self.aseg.peek().or(self.bseg.peek()).filter(|_| can);
        for (i, port) in self.ports.iter_mut().enumerate() {
            port.step(p, grant, moved, axi(i));
        }
        if can {
            self.busy = grant.filter(|seg| seg.beats != 0).map(|seg| (from_b, seg.beats));
        } else if ends {
            self.busy = None;
        } else if moved && let Some((_, left)) = &mut self.busy {
            *left -= 1;
        }
        self.aseg.step(s.moves(ASEG).then_some(s.payload.aseg), can);
        self.bseg.step(s.moves(BSEG).then_some(s.payload.bseg), can && from_b);
        self.ad.step(word(s.moves(AD)), a_ready);
        self.bd.step(word(s.moves(BD)), client_b && data_ready);
        self.outputs(s);
    }

    /// Drives the outputs.
    pub fn outputs(&self, s: &mut Signals) {
        s.accept(ASEG, self.aseg.ready());
        s.accept(AD, self.ad.ready());
        s.accept(BSEG, self.bseg.ready());
        s.accept(BD, self.bd.ready());
        s.level(level::WRITE_IDLE, self.idle());
    }
}
