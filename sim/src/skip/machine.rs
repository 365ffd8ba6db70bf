//! All timing blocks and the memory's timing as one machine: [`State`] is everything that decides what happens next, a cycle is
//! [`Machine::cycle`]. What depends on positions and addresses is asked for (see [`ask`](super::ask)) and answered between cycles.

mod cycle;

use super::{
    block::{
        attn, attn_out, axi_read, axi_write, ctrl, headq, kvread, kvwrite, norm, resid, rope, route, softmax, tmac, unpack, xload, xstore,
    },
    outside::{Answer, Outside},
    params::Params,
    parts,
    signals::{Signals, from, into, level},
};
use crate::{
    axi::Burst,
    memory::{
        MemConfig, Memory,
        channels::{ReadChannel, WriteChannel},
    },
};
use smallvec::SmallVec;
use tritforge_spec::hw::Hw;

/// The doorbell's stream, driven from outside.
pub const GO: u32 = from("regs", "go");
const ROUTE_W: route::Streams = (into("route_w", "in"), [from("route_w", "o0"), from("route_w", "o1"), from("route_w", "o2")]);
const ROUTE_A: route::Streams = (into("route_a", "in"), [from("route_a", "o0"), from("route_a", "o1"), from("route_a", "o2")]);
/// Everything that decides what happens next.
#[derive(Clone, Debug)]
pub struct State {
    pub signals: Signals,
    /// The [`parts`] that may go on by themselves; each of the others stays as it is until a word moves on one of its streams.
    pub awake: u32,
    pub ctrl: ctrl::Ctrl,
    pub axi_read: axi_read::AxiRead,
    pub aux: axi_read::Aux,
    pub axi_write: axi_write::AxiWrite,
    pub route_w: route::Route,
    pub route_a: route::Route,
    pub xload: xload::Xload,
    pub norm: norm::Norm,
    pub unpack: unpack::Unpack,
    pub tmac: tmac::Tmac,
    pub rope: rope::Rope,
    pub headq: headq::HeadQ,
    pub kvwrite: kvwrite::KvWrite,
    pub kvread: kvread::KvRead,
    pub fill: kvread::Fill,
    pub attn: attn::Attn,
    pub softmax: softmax::Softmax,
    pub attn_out: attn_out::AttnOut,
    pub resid: resid::Resid,
    pub xstore: xstore::Xstore,
    /// The memory's channels, port by port.
    pub(crate) memory_read: SmallVec<[ReadChannel; 1]>,
    pub(crate) memory_write: SmallVec<[WriteChannel; 1]>,
    /// The memory's time.
    pub now: u64,
}

/// What happened on AXI in a cycle; bit p: port p of those that are simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bus {
    /// AR accepted, beats of R passed in the cycle before (as the hardware counts them).
    pub ar: u32,
    pub r: u32,
    /// AW and W accepted, B passed.
    pub aw: u32,
    pub w: u32,
    pub b: u32,
}

/// The machine itself.
#[derive(Clone, Debug)]
pub struct Machine {
    p: Params,
    /// Ports that are simulated: one where all ports do the same.
    ports: usize,
}

impl Machine {
    /// The machine of `hw` with this memory. Where no random pause tells the ports apart, one of them stands for all.
    pub fn new(hw: &Hw, memory: &MemConfig) -> Self {
        Self { p: Params::new(hw, memory), ports: if memory.stalls.is_some() { hw.ports() } else { 1 } }
    }

    /// Ports that are simulated.
    pub fn ports(&self) -> usize {
        self.ports
    }

    /// The machine after reset, with nothing to do.
    pub fn state(&self) -> State {
        let mut state = State {
            signals: Signals::default(),
            awake: parts::ALL,
            ctrl: Default::default(),
            axi_read: axi_read::AxiRead::new(&self.p.axi_read, self.ports),
            aux: axi_read::Aux::new(&self.p.axi_read, self.ports),
            axi_write: axi_write::AxiWrite::new(self.ports),
            route_w: Default::default(),
            route_a: Default::default(),
            xload: Default::default(),
            norm: Default::default(),
            unpack: Default::default(),
            tmac: Default::default(),
            rope: Default::default(),
            headq: Default::default(),
            kvwrite: Default::default(),
            kvread: Default::default(),
            fill: Default::default(),
            attn: Default::default(),
            softmax: Default::default(),
            attn_out: Default::default(),
            resid: Default::default(),
            xstore: Default::default(),
            memory_read: (0..self.ports).map(|p| ReadChannel::new(p, &self.p.memory)).collect(),
            memory_write: (0..self.ports).map(|p| WriteChannel::new(p, &self.p.memory)).collect(),
            now: 0,
        };
        self.drive(&mut state);
        state.signals.edge();
        state
    }

    /// Drives all outputs from state.
    fn drive(&self, st: &mut State) {
        let s = &mut st.signals;
        st.ctrl.outputs(&self.p.ctrl, s);
        st.axi_read.outputs(&self.p.axi_read, s);
        st.aux.outputs(&self.p.axi_read, s);
        st.axi_write.outputs(s);
        st.route_w.outputs(&ROUTE_W, s);
        st.route_a.outputs(&ROUTE_A, s);
        st.xload.outputs(s);
        st.norm.outputs(s);
        st.unpack.outputs(s);
        st.tmac.outputs(s);
        st.rope.outputs(s);
        st.headq.outputs(s);
        st.kvwrite.outputs(s);
        st.kvread.outputs(s);
        st.fill.outputs(s);
        st.attn.outputs(s);
        st.softmax.outputs(s);
        st.attn_out.outputs(s);
        st.resid.outputs(s);
        st.xstore.outputs(&self.p.xstore, s);
    }

    /// Rings the doorbell: `go` is valid from the next cycle on; the descriptors begin at offset `ptr`.
    pub fn go(&self, st: &mut State, outside: &Outside) {
        st.ctrl.begins_at(outside.first_descriptor());
        st.signals.offer(GO, true);
        st.signals.edge();
    }

    /// Puts an answer into the state.
    pub fn answer(&self, st: &mut State, answer: &Answer) {
        match *answer {
            Answer::Job(job) => st.ctrl.job_is(job),
            Answer::Block(block) => st.kvread.block_is(block),
            Answer::Segments(segments) => st.kvread.segments_are(segments),
            Answer::Segment(segment) => st.aux.segment_is(segment),
            Answer::Delivery(beats) => st.aux.delivery_is(beats),
            Answer::Positions(positions) => st.attn.positions_are(positions),
            Answer::Place(place) => st.kvwrite.place_is(place),
        }
    }

    /// Valid of AR, AW and W in this cycle, a bit a simulated port.
    pub fn offered(&self, st: &State) -> [u32; 3] {
        let bits = |on: &dyn Fn(usize) -> bool| (0..self.ports).fold(0, |all, p| all | (on(p) as u32) << p);
        let (r, w) = (&st.axi_read.ports, &st.axi_write.ports);
        [bits(&|p| r[p].ar().is_some()), bits(&|p| w[p].aw().is_some()), bits(&|p| w[p].w(&self.p.axi_write))]
    }

    /// Nothing is under way in the whole machine.
    pub fn idle(&self, st: &State) -> bool {
        st.ctrl.idle() && !st.signals.is_valid(GO)
    }

    /// Takes the memory's channels and time over.
    pub fn adopt(&self, st: &mut State, memory: &Memory) {
        for (p, (read, write)) in st.memory_read.iter_mut().zip(&mut st.memory_write).enumerate() {
            (*read, *write) = memory.channels(p);
        }
        st.awake |= parts::MEMORY_READ | parts::MEMORY_WRITE;
        st.now = memory.cycle();
    }

    /// Gives them back to the memory, whose time went on as the machine's did.
    pub fn hand_over(&self, st: &State, memory: &mut Memory) {
        for p in 0..self.p.memory.ports {
            // Ports beyond those that are simulated did what the first one did.
            let i = if p < st.memory_read.len() { p } else { 0 };
            memory.set_channels(p, st.memory_read[i].clone(), st.memory_write[i].clone());
        }
    }

    /// Lets `cycles` pass in which nothing happens.
    pub fn rest(&self, st: &mut State, cycles: u64) {
        st.now += cycles;
    }
}
