//! The memory behind the AXI ports, of the cycle model and of the Verilated RTL alike: bytes, timing, and what AXI demands of
//! the masters. A Moore machine as the blocks are: [`Memory::out`] is a function of state, [`Memory::step`] the clock edge.
//!
//! A beat that is read is sampled in the cycle in which it passes, a beat that is written is visible from the next cycle on.

pub(crate) mod channels;
mod config;
mod rules;
mod storage;
#[cfg(test)]
mod tests;

pub use config::{Channel, MemConfig, MemConfigError, Timing};
pub use rules::{Rule, Violation};
pub use storage::{PAGE, Storage};

use crate::axi::{Burst, ReadBeat, WriteBeat};
use channels::{ReadChannel, WriteChannel};
use rules::Waiting;
use tritforge_spec::{
    bits::Bits,
    block::axi::{OKAY, SLVERR},
};

/// What one master drives; `None` where its VALID is low.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortIn {
    pub ar: Option<Burst>,
    pub r_ready: bool,
    pub aw: Option<Burst>,
    pub w: Option<WriteBeat>,
    pub b_ready: bool,
}

/// What the memory drives on one port; `None` where its VALID is low.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortOut {
    pub ar_ready: bool,
    pub r: Option<ReadBeat>,
    pub aw_ready: bool,
    pub w_ready: bool,
    /// BRESP.
    pub b: Option<u8>,
}

/// All masters' signals of one cycle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemIn {
    pub ports: Vec<PortIn>,
}

impl MemIn {
    /// Nothing asked on `ports` ports.
    pub fn idle(ports: usize) -> Self {
        Self { ports: vec![PortIn::default(); ports] }
    }
}

/// All of the memory's signals of one cycle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemOut {
    pub ports: Vec<PortOut>,
}

/// Violations that are kept; the count goes on.
const KEPT_VIOLATIONS: usize = 32;

#[derive(Clone, Debug, PartialEq)]
struct Port {
    read: ReadChannel,
    write: WriteChannel,
    waiting: Waiting,
}

impl Port {
    fn new(index: usize, config: &MemConfig) -> Self {
        Self { read: ReadChannel::new(index, config), write: WriteChannel::new(index, config), waiting: Waiting::default() }
    }
}

/// A memory with `ports` AXI ports and one address space. Equal when its whole state is.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    config: MemConfig,
    storage: Storage,
    ports: Vec<Port>,
    cycle: u64,
    violations: Vec<Violation>,
    violation_count: u64,
}

impl Memory {
    /// An empty memory.
    ///
    /// # Errors
    /// A number of the configuration that is out of range.
    pub fn new(config: MemConfig) -> Result<Self, MemConfigError> {
        config.validate()?;
        let ports = (0..config.ports).map(|i| Port::new(i, &config)).collect();
        Ok(Self { config, storage: Storage::new(), ports, cycle: 0, violations: Vec::new(), violation_count: 0 })
    }

    /// How it was configured.
    pub fn config(&self) -> &MemConfig {
        &self.config
    }

    /// Its bytes.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Its bytes, for loading an image or for a host's writes between runs.
    pub fn storage_mut(&mut self) -> &mut Storage {
        &mut self.storage
    }

    /// Cycles seen.
    pub fn cycle(&self) -> u64 {
        self.cycle
    }

    /// No transaction is under way on any port.
    pub fn idle(&self) -> bool {
        self.ports.iter().all(|p| p.read.idle() && p.write.idle())
    }

    /// The first rules that the masters broke.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// How many rules were broken in all.
    pub fn violation_count(&self) -> u64 {
        self.violation_count
    }

    /// The interconnect is reset: transactions are forgotten, bytes and the cycle count stay.
    pub fn reset_ports(&mut self) {
        self.ports = (0..self.config.ports).map(|i| Port::new(i, &self.config)).collect();
    }

    /// `cycles` clock edges in which nothing passes and no master changes what it offers.
    pub fn advance(&mut self, cycles: u64) {
        self.cycle += cycles;
    }

    /// The channels of port `index`, in the memory's time.
    pub(crate) fn channels(&self, index: usize) -> (ReadChannel, WriteChannel) {
        self.ports.get(index).map(|p| (p.read.clone(), p.write.clone())).unwrap_or_default()
    }

    /// Puts channels in the memory's time into port `index`.
    pub(crate) fn set_channels(&mut self, index: usize, mut read: ReadChannel, mut write: WriteChannel) {
        read.of_port(index);
        write.of_port(index);
        if let Some(port) = self.ports.get_mut(index) {
            (port.read, port.write) = (read, write);
        }
    }

    fn beat_bytes(&self) -> u64 {
        self.config.port_bits as u64 / 8
    }

    fn read_beat(&self, burst: &Burst, beat: u64) -> ReadBeat {
        let (bytes, width) = (self.beat_bytes(), self.config.port_bits);
        let addr = burst.addr.wrapping_add(beat * bytes);
        let last = beat == burst.len as u64;
        if self.config.fails(addr, bytes) {
            // A failed beat carries no data; these must not be taken for any.
            return ReadBeat { data: Bits::from_words(width, &[u64::MAX; 8]), resp: SLVERR, last };
        }
        let mut raw = [0u8; 64];
        self.storage.read(addr, &mut raw[..bytes as usize]);
        let mut words = [0u64; 8];
        for (word, chunk) in words.iter_mut().zip(raw.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        ReadBeat { data: Bits::from_words(width, &words), resp: OKAY, last }
    }

    fn port_out(&self, port: &Port) -> PortOut {
        let now = self.cycle;
        PortOut {
            ar_ready: port.read.ready(&self.config, now),
            r: port.read.offer(now).map(|(burst, beat)| self.read_beat(&burst, beat)),
            aw_ready: port.write.ready(&self.config, now),
            w_ready: port.write.wanted(now).is_some(),
            b: port.write.answer(now),
        }
    }

    /// The outputs of this cycle.
    pub fn out(&self) -> MemOut {
        MemOut { ports: self.ports.iter().map(|p| self.port_out(p)).collect() }
    }

    /// The clock edge that ends this cycle. Ports that `input` does not have are idle.
    pub fn step(&mut self, input: &MemIn) {
        let now = self.cycle;
        let bytes = self.beat_bytes();
        let idle = PortIn::default();
        for index in 0..self.ports.len() {
            let i = input.ports.get(index).unwrap_or(&idle);
            // R data are not needed here, so the handshakes are taken from the channels and not from out().
            let port = &self.ports[index];
            let out = PortOut {
                ar_ready: port.read.ready(&self.config, now),
                r: None,
                aw_ready: port.write.ready(&self.config, now),
                w_ready: port.write.wanted(now).is_some(),
                b: port.write.answer(now),
            };
            let taken = port.read.offer(now).is_some() && i.r_ready;
            let wanted = port.write.wanted(now);
            let answered = out.b.is_some() && i.b_ready;
            let mut broken = Vec::new();
            self.ports[index].waiting.check(i, &out, |channel, rule, detail| broken.push((channel, rule, detail)));

            let accept = |burst: Option<Burst>, ready: bool, channel, broken: &mut Vec<_>| {
                let burst = burst.filter(|_| ready)?;
                if let Some((rule, detail)) = rules::burst(&burst, bytes, self.config.max_burst) {
                    broken.push((channel, rule, detail));
                }
                Some(burst)
            };
            let ar = accept(i.ar, out.ar_ready, Channel::Ar, &mut broken);
            let aw = accept(i.aw, out.aw_ready, Channel::Aw, &mut broken);
            let mut beat = None;
            if let (Some(w), Some((burst, index))) = (&i.w, wanted) {
                let addr = burst.addr.wrapping_add(index * bytes);
                if w.last != (index == burst.len as u64) {
                    let detail = format!("beat {index} of {} has WLAST {}", burst.beats(), w.last as u8);
                    broken.push((Channel::W, Rule::LastPosition, detail));
                }
                beat = Some(self.write_beat(addr, w));
            }
            let port = &mut self.ports[index];
            port.read.step(&self.config, now, ar, taken);
            port.write.step(&self.config, now, aw, beat, answered);
            for (channel, rule, detail) in broken {
                self.violation_count += 1;
                if self.violations.len() < KEPT_VIOLATIONS {
                    self.violations.push(Violation { cycle: now, port: index, channel, rule, detail });
                }
            }
        }
        self.cycle += 1;
    }

    fn write_beat(&mut self, addr: u64, w: &WriteBeat) -> u8 {
        let bytes = self.beat_bytes();
        if self.config.fails(addr, bytes) {
            return SLVERR;
        }
        for byte in (0..bytes).filter(|b| w.strb >> b & 1 != 0) {
            self.storage.write_byte(addr.wrapping_add(byte), w.data.get(8 * byte as usize, 8) as u8);
        }
        OKAY
    }
}
