//! All timing blocks and the memory's timing as one machine: [`State`] is everything that decides what happens next, a cycle is
//! [`Machine::cycle`]. What depends on positions and addresses is asked for (see [`ask`](super::ask)) and answered between cycles.

use super::{
    ask,
    block::{
        attn, attn_out, axi_read, axi_write, ctrl, headq, kvread, kvwrite, norm, resid, rope, route, softmax, tmac, unpack, xload, xstore,
    },
    outside::{Answer, Outside},
    signals::{Signals, from, into},
};
use crate::{
    axi::Burst,
    memory::{
        MemConfig,
        channels::{ReadChannel, WriteChannel},
    },
};
use smallvec::SmallVec;
use tritforge_spec::{block, hw::Hw, kv::KvShape};

/// The doorbell's stream, driven from outside.
pub const GO: u32 = from("regs", "go");
const ROUTE_W: route::Streams = (into("route_w", "in"), [from("route_w", "o0"), from("route_w", "o1"), from("route_w", "o2")]);
const ROUTE_A: route::Streams = (into("route_a", "in"), [from("route_a", "o0"), from("route_a", "o1"), from("route_a", "o2")]);
/// The cycle at which a canonical state stands: above 0, so that times before it stay positive.
const EPOCH: u64 = 1;

/// One port of the memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct MemoryPort {
    read: ReadChannel,
    write: WriteChannel,
}

/// Everything that decides what happens next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub signals: Signals,
    pub ctrl: ctrl::Ctrl,
    pub axi_read: axi_read::AxiRead,
    pub axi_write: axi_write::AxiWrite,
    route_w: route::Route,
    route_a: route::Route,
    xload: xload::Xload,
    norm: norm::Norm,
    unpack: unpack::Unpack,
    tmac: tmac::Tmac,
    rope: rope::Rope,
    headq: headq::HeadQ,
    pub kvwrite: kvwrite::KvWrite,
    pub kvread: kvread::KvRead,
    attn: attn::Attn,
    softmax: softmax::Softmax,
    attn_out: attn_out::AttnOut,
    resid: resid::Resid,
    xstore: xstore::Xstore,
    memory: SmallVec<[MemoryPort; 1]>,
    /// The memory's time.
    now: u64,
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

/// What does not change: parameters of the blocks and of the memory.
#[derive(Clone, Debug)]
pub struct Machine {
    ctrl: block::ctrl::Params,
    axi_read: block::axi_read::Params,
    axi_write: block::axi_write::Params,
    xload: block::xload::Params,
    norm: norm::Params,
    unpack: unpack::Params,
    tmac: tmac::Params,
    rope: block::rope::Params,
    headq: block::headq::Params,
    kv: KvShape,
    attn: attn::Params,
    attn_out: block::attn_out::Params,
    resid: block::resid::Params,
    xstore: xstore::Params,
    burst: u16,
    memory: MemConfig,
    /// Ports that are simulated: one where all ports do the same.
    ports: usize,
}

impl Machine {
    /// The machine of `hw` with this memory. Where no random pause tells the ports apart, one of them stands for all.
    pub fn new(hw: &Hw, memory: &MemConfig) -> Self {
        let ctrl = block::ctrl::Params::from(hw);
        let axi_write = block::axi_write::Params::from(hw);
        let burst = hw.config.burst as u16;
        Self {
            axi_read: hw.into(),
            axi_write,
            xload: hw.into(),
            norm: norm::Params::new(&hw.into(), &ctrl),
            unpack: unpack::Params::new(&hw.into(), &ctrl),
            tmac: tmac::Params::new(&hw.into(), &ctrl),
            rope: hw.into(),
            headq: hw.into(),
            kv: hw.kv(),
            attn: attn::Params::from(&block::attn::Params::from(hw)),
            attn_out: hw.into(),
            resid: hw.into(),
            xstore: xstore::Params { shape: hw.into(), burst },
            burst,
            memory: memory.clone(),
            ports: if memory.stalls.is_some() { hw.ports() } else { 1 },
            ctrl,
        }
    }

    /// Ports that are simulated.
    pub fn ports(&self) -> usize {
        self.ports
    }

    /// Equal states go on equally, so what followed one may be taken for the other: without random pauses.
    pub fn repeats(&self) -> bool {
        self.memory.stalls.is_none()
    }

    /// The machine after reset, with nothing to do.
    pub fn state(&self) -> State {
        let port = |p| MemoryPort { read: ReadChannel::new(p, &self.memory), write: WriteChannel::new(p, &self.memory) };
        let mut state = State {
            signals: Signals::default(),
            ctrl: Default::default(),
            axi_read: axi_read::AxiRead::new(&self.axi_read, self.ports),
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
            attn: Default::default(),
            softmax: Default::default(),
            attn_out: Default::default(),
            resid: Default::default(),
            xstore: Default::default(),
            memory: (0..self.ports).map(port).collect(),
            now: 0,
        };
        self.drive(&mut state);
        state.signals.edge();
        state
    }

    /// Drives all outputs from state.
    fn drive(&self, st: &mut State) {
        let s = &mut st.signals;
        st.ctrl.outputs(&self.ctrl, s);
        st.axi_read.begin(&self.axi_read, s);
        st.axi_write.begin(s);
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
        st.attn.outputs(s);
        st.softmax.outputs(s);
        st.attn_out.outputs(s);
        st.resid.outputs(s);
        st.xstore.outputs(&self.xstore, s);
    }

    /// One cycle; what happened on AXI, and what must be answered before the next.
    ///
    /// Valid, ready and levels are of the cycle before wherever they are read; payloads are written in place, so each block comes
    /// before those whose payloads it reads.
    pub fn cycle(&self, st: &mut State) -> (Bus, u32) {
        let (s, mut asks) = (&mut st.signals, 0);
        let (bus, axi) = memory_cycle(&self.memory, self.axi_write.port.clone(), &mut st.memory, &st.axi_read, &st.axi_write, st.now);
        st.now += 1;
        let bit = |mask: u32, p: usize| mask >> p & 1 != 0;
        st.route_w.step(&ROUTE_W, s.payload.w_dest, s);
        st.route_a.step(&ROUTE_A, s.payload.a_dest, s);
        st.axi_read.step(&self.axi_read, s, |p| (bit(axi.ar, p), bit(axi.r, p)));
        st.axi_write.step(&self.axi_write, s, |p| (bit(axi.aw, p), bit(axi.w, p), bit(axi.b, p)));
        st.softmax.step(s);
        st.attn_out.step(&self.attn_out, s);
        st.attn.step(&self.attn, s);
        st.kvread.step(&self.kv, s, &mut asks);
        st.kvwrite.step(&self.kv, s, &mut asks);
        st.headq.step(&self.headq, s);
        st.rope.step(&self.rope, s);
        st.tmac.step(&self.tmac, s);
        st.unpack.step(&self.unpack, s);
        st.norm.step(&self.norm, s);
        st.xload.step(&self.xload, s);
        st.resid.step(&self.resid, s);
        st.xstore.step(&self.xstore, s);
        st.ctrl.step(&self.ctrl, self.burst, s, &mut asks);
        if s.moves(GO) {
            s.offer(GO, false);
        }
        s.edge();
        (bus, asks)
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
            Answer::Place(place) => st.kvwrite.place_is(place),
        }
    }

    /// Nothing is under way in the whole machine.
    pub fn idle(&self, st: &State) -> bool {
        st.ctrl.idle() && !st.signals.is_valid(GO)
    }

    /// Makes states equal that go on equally: moves the memory's time to one epoch, clears what means nothing.
    pub fn canonical(&self, st: &mut State) {
        st.signals.canonical();
        for port in &mut st.memory {
            port.read.rebase(&self.memory, st.now, EPOCH);
            port.write.rebase(&self.memory, st.now, EPOCH);
        }
        st.now = EPOCH;
    }

    /// Lets `cycles` pass in which nothing happens.
    pub fn rest(&self, st: &mut State, cycles: u64) {
        st.now += cycles;
    }
}

/// The memory's cycle: what passes on its channels, for the report (R as the hardware counts it) and for the masters.
fn memory_cycle(
    config: &MemConfig,
    write: block::axi_write_port::Params,
    memory: &mut [MemoryPort],
    r: &axi_read::AxiRead,
    w: &axi_write::AxiWrite,
    now: u64,
) -> (Bus, Bus) {
    let (mut seen, mut axi) = (Bus::default(), Bus::default());
    for (p, (port, (rp, wp))) in memory.iter_mut().zip(r.ports.iter().zip(&w.ports)).enumerate() {
        let burst = |beats: u16| Burst { addr: 0, len: (beats - 1) as u8 };
        let ar = rp.ar().filter(|_| port.read.ready(config, now)).map(burst);
        let taken = port.read.offer(now).is_some();
        let aw = wp.aw().filter(|_| port.write.ready(config, now)).map(burst);
        let beat = (port.write.wanted(now).is_some() && wp.w(&write)).then_some(0);
        let answered = port.write.answer(now).is_some();
        port.read.step(config, now, ar, taken);
        port.write.step(config, now, aw, beat, answered);
        let bit = |on: bool| (on as u32) << p;
        seen.r |= bit(rp.beat());
        axi.r |= bit(taken);
        axi.ar |= bit(ar.is_some());
        axi.aw |= bit(aw.is_some());
        axi.w |= bit(beat.is_some());
        axi.b |= bit(answered);
    }
    (seen.ar, seen.aw, seen.w, seen.b) = (axi.ar, axi.aw, axi.w, axi.b);
    (seen, axi)
}

const _: () = assert!(ask::ALL < 16);
