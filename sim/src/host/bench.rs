//! Host and memory beside a top: an AXI4-Lite master that works through a list of operations, and the memory behind the AXI4 ports.
//! The same object drives the cycle model and the Verilated RTL. In: the top's outputs of a cycle; out: its inputs of that cycle.

use super::{Fault, Op, Outcome, PORT_SHIFT, Ran, offset};
use crate::{
    memory::{MemIn, Memory},
    top::{In, Out},
};
use std::collections::VecDeque;
use tritforge_spec::{
    block::axi::OKAY,
    descriptor::Descriptor,
    hw::Hw,
    image::{self, Image, Layout},
    regmap::{STATUS_BUSY, STATUS_SOFT_RESET},
};

/// Memory and host of one top.
#[derive(Clone, Debug)]
pub struct Bench {
    hw: Hw,
    layout: Layout,
    pub memory: Memory,
    ops: VecDeque<Op>,
    all: VecDeque<Op>,
    /// What the finished operations gave.
    pub results: Vec<Outcome>,
    address_taken: bool,
    data_taken: bool,
    waited: u64,
    /// The first access that was not answered with OKAY.
    refused: Option<Fault>,
    image: Vec<u8>,
}

impl Bench {
    /// A memory that holds `image`, and nothing to do.
    pub fn new(hw: &Hw, image: &Image, memory: Memory) -> Self {
        let mut bench = Bench {
            hw: hw.clone(),
            layout: image.layout.clone(),
            memory,
            ops: VecDeque::new(),
            all: VecDeque::new(),
            results: Vec::new(),
            address_taken: false,
            data_taken: false,
            waited: 0,
            refused: None,
            image: image.bytes.clone(),
        };
        bench.load(0, &image.bytes);
        bench
    }

    /// Appends operations.
    pub fn push(&mut self, ops: impl IntoIterator<Item = Op>) {
        for op in ops {
            self.all.push_back(op.clone());
            self.ops.push_back(op);
        }
    }

    /// Nothing is left to do.
    pub fn done(&self) -> bool {
        self.ops.is_empty()
    }

    /// Starts the whole list again, as after a reset; the memory keeps its contents but the image is written anew.
    pub fn restart(&mut self) {
        self.ops = self.all.clone();
        self.results.clear();
        (self.address_taken, self.data_taken, self.waited, self.refused) = (false, false, 0, None);
        self.memory.reset_ports();
        let image = std::mem::take(&mut self.image);
        self.load(0, &image);
        self.image = image;
    }

    /// Puts bytes in super-word order at super-word `off`.
    pub fn load(&mut self, off: u32, bytes: &[u8]) {
        let (word, beat) = (self.hw.word_bits() / 8, self.hw.port_bits() / 8);
        let storage = self.memory.storage_mut();
        for (i, chunk) in bytes.chunks(beat).enumerate() {
            let (port, at) = (i % (word / beat), i / (word / beat));
            let addr = ((port as u64) << PORT_SHIFT) + (u64::from(off) + at as u64) * beat as u64;
            storage.write(addr, chunk);
        }
    }

    /// Takes `words` super-words from super-word `off`.
    pub fn take(&self, off: u32, words: usize) -> Vec<u8> {
        let beat = self.hw.port_bits() / 8;
        let mut bytes = vec![0; words * self.hw.word_bits() / 8];
        for (i, chunk) in bytes.chunks_mut(beat).enumerate() {
            let (port, at) = (i % self.hw.ports(), i / self.hw.ports());
            let addr = ((port as u64) << PORT_SHIFT) + (u64::from(off) + at as u64) * beat as u64;
            self.memory.storage().read(addr, chunk);
        }
        bytes
    }

    fn load_x(&mut self, x: &[i32]) {
        let (d, words) = (self.hw.shape.dim, self.layout.vector_words);
        for (t, vector) in x.chunks(d).enumerate() {
            let bytes = image::words_to_bytes(&self.hw, &vector.iter().map(|&v| v as u32).collect::<Vec<_>>());
            self.load(self.layout.x_in + t as u32 * words, &bytes);
        }
    }

    fn spoil_x(&mut self) {
        let bytes = vec![0xa5; self.hw.config.batch * self.layout.vector_words as usize * self.hw.word_bits() / 8];
        self.load(self.layout.x_out, &bytes);
    }

    fn load_descriptors(&mut self, list: &[Descriptor]) {
        let (at, words) = (self.layout.descriptors, self.layout.descriptor_words);
        for (i, d) in list.iter().enumerate() {
            let bytes = image::words_to_bytes(&self.hw, &d.words());
            self.load(at + i as u32 * words, &bytes);
        }
    }

    /// What [`run_pass`] does to memory before the doorbell.
    pub fn begin_pass(&mut self, x: &[i32], descriptors: &[Descriptor]) {
        self.spoil_x();
        self.load_x(x);
        self.load_descriptors(descriptors);
    }

    /// `tokens` vectors from x_out.
    pub fn take_x(&self, tokens: usize) -> Vec<i32> {
        let (d, words) = (self.hw.shape.dim, self.layout.vector_words);
        (0..tokens as u32)
            .flat_map(|t| {
                let bytes = self.take(self.layout.x_out + t * words, words as usize);
                bytes.chunks_exact(4).take(d).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Operations that take no bus cycle.
    fn run_free_ops(&mut self, cycle: u64) {
        loop {
            match self.ops.front() {
                Some(Op::LoadX(_)) => {
                    if let Some(Op::LoadX(x)) = self.ops.pop_front() {
                        self.load_x(&x);
                    }
                }
                Some(Op::LoadDescriptors(_)) => {
                    if let Some(Op::LoadDescriptors(list)) = self.ops.pop_front() {
                        self.load_descriptors(&list);
                    }
                }
                Some(&Op::TakeX(tokens)) => {
                    self.results.push(Outcome::X(self.take_x(tokens)));
                    self.ops.pop_front();
                }
                Some(Op::SpoilX) => {
                    self.spoil_x();
                    self.ops.pop_front();
                }
                Some(Op::Load(..)) => {
                    if let Some(Op::Load(off, bytes)) = self.ops.pop_front() {
                        self.load(off, &bytes);
                    }
                }
                Some(Op::Mark) => {
                    self.results.push(Outcome::Cycle(cycle));
                    self.ops.pop_front();
                }
                _ => return,
            }
        }
    }

    /// One cycle: sets the top's inputs from its outputs of the same cycle, and steps memory and host.
    pub fn drive(&mut self, cycle: u64, out: &Out, input: &mut In) {
        self.run_free_ops(cycle);
        self.drive_host(cycle, out, input);
        self.drive_memory(out, input);
    }

    /// There is a [`Bench::fault`].
    pub fn faulty(&self) -> bool {
        self.refused.is_some() || !self.memory.violations().is_empty()
    }

    /// What neither hardware nor host may do and one of them did: the first of each kind.
    pub fn fault(&self) -> Option<Fault> {
        self.memory.violations().first().cloned().map(Fault::Axi).or(self.refused.clone())
    }

    /// Takes what a run of [`run_pass`](super::run_pass) or [`run_list`](super::run_list) gave.
    pub fn ran(&mut self) -> Ran {
        let (mut marks, mut ran) = (Vec::new(), Ran::default());
        for outcome in std::mem::take(&mut self.results) {
            match outcome {
                Outcome::Cycle(c) => marks.push(c),
                Outcome::X(x) => ran.y = x,
                Outcome::Value(v) => ran.status = v,
            }
        }
        (ran.start, ran.end) = (marks.first().copied().unwrap_or(0), marks.last().copied().unwrap_or(0));
        ran
    }

    fn drive_host(&mut self, cycle: u64, out: &Out, i: &mut In) {
        (i.s_awvalid, i.s_wvalid, i.s_arvalid, i.s_bready, i.s_rready) = (false, false, false, true, true);
        // The answer to an access: whether it is a write, the register, the response.
        let mut answer = None;
        let finished = match self.ops.front() {
            Some(&Op::Write(name, value)) => {
                (i.s_awvalid, i.s_wvalid) = (!self.address_taken, !self.data_taken);
                (i.s_awaddr, i.s_wdata, i.s_wstrb) = (offset(name), value, 15);
                self.address_taken |= i.s_awvalid && out.s_awready;
                self.data_taken |= i.s_wvalid && out.s_wready;
                answer = out.s_bvalid.then_some((true, i.s_awaddr, out.s_bresp));
                out.s_bvalid
            }
            Some(op @ (Op::Read(_) | Op::WaitIdle)) => {
                let addr = if let Op::Read(addr) = op { *addr } else { offset("STATUS") };
                (i.s_arvalid, i.s_araddr) = (!self.address_taken, addr);
                self.address_taken |= i.s_arvalid && out.s_arready;
                answer = out.s_rvalid.then_some((false, addr, out.s_rresp));
                if out.s_rvalid && *op == Op::WaitIdle {
                    // Busy or in reset: ask again.
                    self.address_taken = false;
                    out.s_rdata & (STATUS_BUSY.mask() | STATUS_SOFT_RESET.mask()) == 0
                } else {
                    if out.s_rvalid {
                        self.results.push(Outcome::Value(out.s_rdata));
                    }
                    out.s_rvalid
                }
            }
            Some(&Op::WaitIrq) => out.irq,
            Some(&Op::Wait(cycles)) => {
                self.waited += 1;
                let over = self.waited >= cycles;
                self.waited = if over { 0 } else { self.waited };
                over
            }
            _ => false,
        };
        if let Some((write, offset, resp)) = answer.filter(|&(_, _, resp)| resp != OKAY) {
            self.refused.get_or_insert(Fault::Refused { cycle, write, offset, resp });
        }
        if finished {
            self.ops.pop_front();
            (self.address_taken, self.data_taken) = (false, false);
        }
    }

    fn drive_memory(&mut self, out: &Out, i: &mut In) {
        let bits = self.hw.port_bits();
        let mem = self.memory.out();
        let mut asked = MemIn::idle(self.hw.ports());
        out.request_reads(&mut asked);
        out.request_writes(&mut asked, bits);
        i.answer_reads(&mem, bits);
        i.answer_writes(&mem);
        self.memory.step(&asked);
    }
}
