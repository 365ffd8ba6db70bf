//! A memory behind a block's AXI ports during a lockstep run, and what every test of the masters holds it to.

use std::{cell::RefCell, rc::Rc};
use tritforge_sim::{
    axi::{Burst, ReadBeat, WriteBeat},
    block::{axi_read, axi_read_port, axi_write, axi_write_port},
    clocked::Block,
    memory::{MemConfig, MemIn, MemOut, Memory, Timing},
};
use tritforge_spec::{
    bits::Bits,
    stall::{hash, mix},
};

use crate::harness::Environment;

/// A block whose AXI ports [`Behind`] can wire to a memory.
pub trait AxiMaster: Block {
    /// The memory's answers, the base addresses and `stop` into the block.
    fn answer(input: &mut Self::In, mem: &MemOut, port_bits: usize, base: &[u64], stop: bool);
    /// What the block asks of the memory.
    fn request(out: &Self::Out, mem: &mut MemIn, port_bits: usize);
    /// The block says that it may be reset.
    fn idle(out: &Self::Out) -> bool;
}

impl AxiMaster for axi_read::AxiRead {
    fn answer(input: &mut axi_read::In, mem: &MemOut, port_bits: usize, base: &[u64], stop: bool) {
        input.answer_reads(mem, port_bits);
        (input.base, input.stop) = (Bits::pack(64, base), stop);
    }
    fn request(out: &axi_read::Out, mem: &mut MemIn, _port_bits: usize) {
        out.request_reads(mem);
    }
    fn idle(out: &axi_read::Out) -> bool {
        out.idle
    }
}

impl AxiMaster for axi_write::AxiWrite {
    fn answer(input: &mut axi_write::In, mem: &MemOut, _port_bits: usize, base: &[u64], stop: bool) {
        input.answer_writes(mem);
        (input.base, input.stop) = (Bits::pack(64, base), stop);
    }
    fn request(out: &axi_write::Out, mem: &mut MemIn, port_bits: usize) {
        out.request_writes(mem, port_bits);
    }
    fn idle(out: &axi_write::Out) -> bool {
        out.idle
    }
}

impl AxiMaster for axi_read_port::AxiReadPort {
    fn answer(i: &mut axi_read_port::In, mem: &MemOut, _port_bits: usize, base: &[u64], stop: bool) {
        let port = &mem.ports[0];
        (i.base, i.stop, i.m_arready, i.m_rvalid) = (base[0], stop, port.ar_ready, port.r.is_some());
        if let Some(ReadBeat { data, resp, last }) = &port.r {
            (i.m_rdata, i.m_rresp, i.m_rlast) = (data.clone(), *resp, *last);
        }
    }
    fn request(out: &axi_read_port::Out, mem: &mut MemIn, _port_bits: usize) {
        mem.ports[0].ar = out.m_arvalid.then_some(Burst { addr: out.m_araddr, len: out.m_arlen });
        mem.ports[0].r_ready = true;
    }
    fn idle(out: &axi_read_port::Out) -> bool {
        out.quiet
    }
}

impl AxiMaster for axi_write_port::AxiWritePort {
    fn answer(i: &mut axi_write_port::In, mem: &MemOut, _port_bits: usize, base: &[u64], stop: bool) {
        let port = &mem.ports[0];
        (i.base, i.stop, i.m_awready, i.m_wready) = (base[0], stop, port.aw_ready, port.w_ready);
        (i.m_bvalid, i.m_bresp) = (port.b.is_some(), port.b.unwrap_or_default());
    }
    fn request(out: &axi_write_port::Out, mem: &mut MemIn, _port_bits: usize) {
        let port = &mut mem.ports[0];
        port.aw = out.m_awvalid.then_some(Burst { addr: out.m_awaddr, len: out.m_awlen });
        port.w = out.m_wvalid.then(|| WriteBeat { data: out.m_wdata.clone(), strb: out.m_wstrb, last: out.m_wlast });
        port.b_ready = true;
    }
    fn idle(out: &axi_write_port::Out) -> bool {
        out.quiet
    }
}

/// The memory behind a block, shared with the test.
#[derive(Clone)]
pub struct Behind {
    pub memory: Rc<RefCell<Memory>>,
    base: Vec<u64>,
    /// At this cycle of the first life of the block `stop` goes up; after idle the block alone is reset.
    stop_at: Option<u64>,
    stopping: bool,
    /// Transactions that were under way when the block was reset after idle.
    pub lost: Rc<RefCell<Option<bool>>>,
}

impl Behind {
    /// A memory of `config` for masters at these base addresses, with arbitrary contents from each base on for `bytes` bytes.
    /// Panics for a configuration that is refused.
    pub fn new(config: MemConfig, base: Vec<u64>, bytes: usize) -> Self {
        let mut memory = Memory::new(config).unwrap_or_else(|e| panic!("{e}"));
        for &b in &base {
            let text: Vec<u8> = (0..bytes as u64).map(|i| byte_at(b.wrapping_add(i))).collect();
            memory.storage_mut().write(b, &text);
        }
        let memory = Rc::new(RefCell::new(memory));
        Self { memory, base, stop_at: None, stopping: false, lost: Rc::default() }
    }

    /// Raises `stop` at `cycle`, once, and resets the block, but not the memory, when it is idle.
    pub fn stop_at(mut self, cycle: u64) -> Self {
        self.stop_at = Some(cycle);
        self
    }

    /// Panics when the masters broke a rule of AXI.
    pub fn assert_rules_held(&self) {
        let memory = self.memory.borrow();
        let lines: Vec<String> = memory.violations().iter().map(|v| v.to_string()).collect();
        assert_eq!(memory.violation_count(), 0, "{lines:#?}");
    }
}

/// What [`Behind::new`] puts at `addr`.
pub fn byte_at(addr: u64) -> u8 {
    mix(addr) as u8
}

/// `bytes` bytes from `addr` on as a vector.
pub fn word_at(addr: u64, bytes: usize) -> Bits {
    let mut word = Bits::zeros(8 * bytes);
    for i in 0..bytes {
        word.set(8 * i, 8, byte_at(addr.wrapping_add(i as u64)) as u64);
    }
    word
}

/// Memories of every kind for `ports` ports: ideal, slow in each way, and with random pauses on every channel.
pub fn memories(ports: usize, port_bits: usize, seed: u64) -> Vec<MemConfig> {
    let timings = [
        (Timing::Ideal, false),
        (Timing::Fixed { latency: 40, beats: 3, cycles: 4, outstanding: 2 }, false),
        (Timing::Ideal, true),
        (Timing::Fixed { latency: 17, beats: 1, cycles: 1, outstanding: 3 }, true),
    ];
    let config = |(i, (timing, stalls)): (usize, (Timing, bool))| {
        let stalls = stalls.then(|| hash(seed, 7, i as u64));
        MemConfig { timing, stalls, ..MemConfig::ideal(ports, port_bits) }
    };
    timings.into_iter().enumerate().map(config).collect()
}

/// A base address of each port: far apart, no multiple of 4 KiB, one of them above 2^32.
pub fn bases(ports: usize, port_bits: usize) -> Vec<u64> {
    (0..ports as u64).map(|p| (p << 33) + 0x1_0000 * p + 5 * (port_bits as u64 / 8)).collect()
}

impl<B: AxiMaster> Environment<B> for Behind {
    fn drive(&mut self, cycle: u64, out: &B::Out, input: &mut B::In) {
        self.stopping |= self.stop_at.is_some_and(|at| cycle >= at);
        let mut memory = self.memory.borrow_mut();
        let port_bits = memory.config().port_bits;
        B::answer(input, &memory.out(), port_bits, &self.base, self.stopping);
        let mut request = MemIn::idle(self.base.len());
        B::request(out, &mut request, port_bits);
        memory.step(&request);
    }

    fn reset(&mut self) {
        if self.stopping {
            *self.lost.borrow_mut() = Some(!self.memory.borrow().idle());
            (self.stopping, self.stop_at) = (false, None);
        } else {
            self.memory.borrow_mut().reset_ports();
        }
    }

    fn wants_reset(&mut self, cycle: u64, out: &B::Out) -> bool {
        // stop is a register inside the block too, so idle says nothing about stop in the first cycle.
        self.stopping && self.stop_at.is_some_and(|at| cycle >= at + 2) && B::idle(out)
    }
}
