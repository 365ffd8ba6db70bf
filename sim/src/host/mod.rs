//! The host beside the top: an AXI4-Lite master that works through a list of operations, and the memory behind the AXI4 ports.
//! The same object drives the cycle model and the Verilated RTL. In: the top's outputs of a cycle; out: its inputs of that cycle.

use crate::{
    axi::{Burst, WriteBeat},
    memory::{MemIn, Memory, PortIn},
    top::{In, Out},
};
use std::collections::VecDeque;
use tritforge_spec::{
    bits::Bits,
    descriptor::Descriptor,
    hw::Hw,
    image::{self, Image, Layout},
    regmap::{COUNTER_BASE, COUNTERS, REGISTERS},
};

/// Offset of a register by its name in the map.
pub fn offset(name: &str) -> u16 {
    REGISTERS.iter().find(|r| r.name == name).map_or(0xffc, |r| r.offset as u16)
}

/// One operation of the host.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Writes a register.
    Write(&'static str, u32),
    /// Reads a register; the value goes to the results.
    Read(u16),
    /// Waits for the interrupt.
    WaitIrq,
    /// Waits until the soft reset is over and nothing runs.
    WaitIdle,
    /// Puts vectors (tokens x D) at x_in.
    LoadX(Vec<i32>),
    /// Puts descriptors at their place.
    LoadDescriptors(Vec<Descriptor>),
    /// Takes `tokens` vectors from x_out to the results.
    TakeX(usize),
    /// Fills x_out with a pattern, so that a pass which writes nothing is noticed.
    SpoilX,
    /// Notes the cycle in the results.
    Mark,
    /// Puts bytes in super-word order at a super-word.
    Load(u32, Vec<u8>),
    /// Does nothing for this many cycles.
    Wait(u64),
}

/// What an operation gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Value(u32),
    X(Vec<i32>),
    Cycle(u64),
}

/// Where the accelerator's memory lies: port p's bytes start at `p << PORT_SHIFT`.
pub const PORT_SHIFT: u32 = 36;

/// Operations that prepare the hardware for an image: bases, hashes, page table, interrupt.
pub fn setup(hw: &Hw, layout: &Layout) -> Vec<Op> {
    let mut ops = Vec::new();
    let wide = |ops: &mut Vec<Op>, low, high, value: u64| {
        ops.push(Op::Write(low, value as u32));
        ops.push(Op::Write(high, (value >> 32) as u32));
    };
    for port in 0..hw.ports() {
        ops.push(Op::Write("PORT_SEL", port as u32));
        wide(&mut ops, "PORT_BASE_LO", "PORT_BASE_HI", (port as u64) << PORT_SHIFT);
    }
    wide(&mut ops, "IMG_HW_HASH_LO", "IMG_HW_HASH_HI", image::hw_hash(hw));
    wide(&mut ops, "IMG_NUM_HASH_LO", "IMG_NUM_HASH_HI", image::numerics_hash(hw));
    for (index, entry) in layout.page_table(hw.config.slots).into_iter().enumerate() {
        ops.push(Op::Write("PT_INDEX", index as u32));
        ops.push(Op::Write("PT_ENTRY", entry));
    }
    ops.push(Op::Write("IRQ_MASK", 3));
    ops
}

/// Cycles of [`run_pass`] around the work, as the register file answers: operations before the first mark, from the mark at the
/// doorbell's write to the doorbell's arrival at the control, from the control's last busy cycle to the second mark, and operations
/// after it.
pub const PASS_BEFORE_MARK: u64 = 3;
/// See [`PASS_BEFORE_MARK`].
pub const DOORBELL_TO_GO: u64 = 2;
/// See [`PASS_BEFORE_MARK`].
pub const IDLE_TO_MARK: u64 = 2;
/// See [`PASS_BEFORE_MARK`].
pub const PASS_AFTER_MARK: u64 = 6;

/// Operations of one run of descriptors over vectors `x` (tokens x D), `tokens` results.
pub fn run_pass(layout: &Layout, descriptors: Vec<Descriptor>, x: Vec<i32>, tokens: usize) -> Vec<Op> {
    let count = descriptors.len() as u32;
    vec![
        Op::SpoilX,
        Op::LoadX(x),
        Op::LoadDescriptors(descriptors),
        Op::Write("DESC_PTR", layout.descriptors),
        Op::Mark,
        Op::Write("DOORBELL", count),
        Op::WaitIrq,
        Op::Mark,
        Op::Write("IRQ_STATUS", 3),
        Op::Read(offset("STATUS")),
        Op::TakeX(tokens),
    ]
}

/// Operations of one run of `count` descriptors that lie in memory from super-word `first` on.
pub fn run_list(first: u32, count: u32) -> [Op; 7] {
    [
        Op::Write("DESC_PTR", first),
        Op::Mark,
        Op::Write("DOORBELL", count),
        Op::WaitIrq,
        Op::Mark,
        Op::Write("IRQ_STATUS", 3),
        Op::Read(offset("STATUS")),
    ]
}

/// Snapshot and reads of all counters, low words first word of each pair.
pub fn read_counters() -> Vec<Op> {
    let mut ops = vec![Op::Write("SNAPSHOT", 1)];
    for i in 0..COUNTERS.len() as u16 {
        let at = COUNTER_BASE as u16 + 8 * i;
        ops.extend([Op::Read(at), Op::Read(at + 4)]);
    }
    ops
}

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
        (self.address_taken, self.data_taken, self.waited) = (false, false, 0);
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
        self.drive_host(out, input);
        self.drive_memory(out, input);
    }

    fn drive_host(&mut self, out: &Out, i: &mut In) {
        (i.s_awvalid, i.s_wvalid, i.s_arvalid, i.s_bready, i.s_rready) = (false, false, false, true, true);
        let finished = match self.ops.front() {
            Some(&Op::Write(name, value)) => {
                (i.s_awvalid, i.s_wvalid) = (!self.address_taken, !self.data_taken);
                (i.s_awaddr, i.s_wdata, i.s_wstrb) = (offset(name), value, 15);
                self.address_taken |= i.s_awvalid && out.s_awready;
                self.data_taken |= i.s_wvalid && out.s_wready;
                out.s_bvalid
            }
            Some(&Op::Read(_) | &Op::WaitIdle) => {
                let addr = match self.ops.front() {
                    Some(&Op::Read(addr)) => addr,
                    _ => offset("STATUS"),
                };
                (i.s_arvalid, i.s_araddr) = (!self.address_taken, addr);
                self.address_taken |= i.s_arvalid && out.s_arready;
                if out.s_rvalid && self.ops.front() == Some(&Op::WaitIdle) {
                    // Busy or in reset: ask again.
                    self.address_taken = false;
                    out.s_rdata & 5 == 0
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
        if finished {
            self.ops.pop_front();
            (self.address_taken, self.data_taken) = (false, false);
        }
    }

    fn drive_memory(&mut self, out: &Out, i: &mut In) {
        let (ports, bits) = (self.hw.ports(), self.hw.port_bits());
        let mem = self.memory.out();
        let bit = |word: u32, p: usize| word >> p & 1 == 1;
        let mut asked = MemIn::idle(ports);
        for (p, port) in asked.ports.iter_mut().enumerate() {
            let burst = |addr: &Bits, len: &Bits| Burst { addr: addr.get(64 * p, 64), len: len.get(8 * p, 8) as u8 };
            *port = PortIn {
                ar: bit(out.m_arvalid, p).then(|| burst(&out.m_araddr, &out.m_arlen)),
                r_ready: bit(out.m_rready, p),
                aw: bit(out.m_awvalid, p).then(|| burst(&out.m_awaddr, &out.m_awlen)),
                w: bit(out.m_wvalid, p).then(|| WriteBeat {
                    data: out.m_wdata.slice(bits * p, bits),
                    strb: out.m_wstrb.get(bits / 8 * p, bits / 8),
                    last: bit(out.m_wlast, p),
                }),
                b_ready: bit(out.m_bready, p),
            };
        }
        use crate::axi::{fields, flags, vectors};
        i.m_arready = flags(&mem.ports, |p| p.ar_ready);
        i.m_awready = flags(&mem.ports, |p| p.aw_ready);
        i.m_wready = flags(&mem.ports, |p| p.w_ready);
        i.m_rvalid = flags(&mem.ports, |p| p.r.is_some());
        i.m_rdata = vectors(&mem.ports, bits, |p| p.r.as_ref().map(|r| &r.data));
        i.m_rresp = fields(&mem.ports, 2, |p| p.r.as_ref().map_or(0, |r| r.resp.into())).get(0, 2 * ports);
        i.m_rlast = flags(&mem.ports, |p| p.r.as_ref().is_some_and(|r| r.last));
        i.m_bvalid = flags(&mem.ports, |p| p.b.is_some());
        i.m_bresp = fields(&mem.ports, 2, |p| p.b.unwrap_or(0).into()).get(0, 2 * ports);
        self.memory.step(&asked);
    }
}
