//! What moves on the channels of one AXI port, as Rust values; flat vectors of `n` ports, port 0 lowest; and the wires between a
//! memory and whatever has the ports `m_ar…`, `m_r…` (`read_channels!`) or `m_aw…`, `m_w…`, `m_b…` (`write_channels!`).

use tritforge_spec::bits::{Bits, mask};

/// A burst of AR or AW. `len` is beats - 1, as AXI has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Burst {
    pub addr: u64,
    pub len: u8,
}

impl Burst {
    /// Beats, 1 to 256.
    pub fn beats(&self) -> usize {
        self.len as usize + 1
    }
}

/// A beat of R.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadBeat {
    pub data: Bits,
    pub resp: u8,
    pub last: bool,
}

/// A beat of W. `strb` has one bit a byte.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteBeat {
    pub data: Bits,
    pub strb: u64,
    pub last: bool,
}

/// A linear range of beats: `off` beats from the base address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    pub off: u32,
    pub beats: u32,
}

/// One bit of each port.
pub fn flags<T>(ports: &[T], flag: impl Fn(&T) -> bool) -> u32 {
    ports.iter().enumerate().fold(0, |all, (i, p)| all | (flag(p) as u32) << i)
}

/// Up to 64 bits of each port, side by side.
pub fn fields<T>(ports: &[T], width: usize, field: impl Fn(&T) -> u64) -> Bits {
    let mut bits = Bits::zeros(width * ports.len());
    for (i, p) in ports.iter().enumerate() {
        bits.set(width * i, width, field(p) & mask(width));
    }
    bits
}

/// A vector of `width` bits of each port that has one, zero for the others.
pub fn vectors<'a, T>(ports: &'a [T], width: usize, vector: impl Fn(&'a T) -> Option<&'a Bits>) -> Bits {
    let mut bits = Bits::zeros(width * ports.len());
    for (i, p) in ports.iter().enumerate() {
        if let Some(v) = vector(p) {
            bits.put(width * i, v);
        }
    }
    bits
}

/// `answer_reads` and `request_reads` for structs of ports with AR and R.
macro_rules! read_channels {
    ($in:ty, $out:ty) => {
        impl $in {
            /// Drives the inputs of AR and R from a memory.
            pub fn answer_reads(&mut self, mem: &$crate::memory::MemOut, port_bits: usize) {
                use $crate::axi::{fields, flags, vectors};
                self.m_arready = flags(&mem.ports, |p| p.ar_ready);
                self.m_rvalid = flags(&mem.ports, |p| p.r.is_some());
                self.m_rlast = flags(&mem.ports, |p| p.r.as_ref().is_some_and(|r| r.last));
                self.m_rresp = fields(&mem.ports, 2, |p| p.r.as_ref().map_or(0, |r| r.resp.into())).get(0, 64);
                self.m_rdata = vectors(&mem.ports, port_bits, |p| p.r.as_ref().map(|r| &r.data));
            }
        }

        impl $out {
            /// Drives a memory's inputs from the outputs of AR and R.
            pub fn request_reads(&self, mem: &mut $crate::memory::MemIn) {
                for (p, port) in mem.ports.iter_mut().enumerate() {
                    let burst = || $crate::axi::Burst { addr: self.m_araddr.get(64 * p, 64), len: self.m_arlen.get(8 * p, 8) as u8 };
                    port.ar = (self.m_arvalid >> p & 1 != 0).then(burst);
                    port.r_ready = self.m_rready >> p & 1 != 0;
                }
            }
        }
    };
}

/// `answer_writes` and `request_writes` for structs of ports with AW, W and B.
macro_rules! write_channels {
    ($in:ty, $out:ty) => {
        impl $in {
            /// Drives the inputs of AW, W and B from a memory.
            pub fn answer_writes(&mut self, mem: &$crate::memory::MemOut) {
                use $crate::axi::{fields, flags};
                self.m_awready = flags(&mem.ports, |p| p.aw_ready);
                self.m_wready = flags(&mem.ports, |p| p.w_ready);
                self.m_bvalid = flags(&mem.ports, |p| p.b.is_some());
                self.m_bresp = fields(&mem.ports, 2, |p| p.b.unwrap_or_default().into()).get(0, 64);
            }
        }

        impl $out {
            /// Drives a memory's inputs from the outputs of AW, W and B.
            pub fn request_writes(&self, mem: &mut $crate::memory::MemIn, port_bits: usize) {
                for (p, port) in mem.ports.iter_mut().enumerate() {
                    let bit = |flags: u32| flags >> p & 1 != 0;
                    let burst = || $crate::axi::Burst { addr: self.m_awaddr.get(64 * p, 64), len: self.m_awlen.get(8 * p, 8) as u8 };
                    port.aw = bit(self.m_awvalid).then(burst);
                    port.w = bit(self.m_wvalid).then(|| $crate::axi::WriteBeat {
                        data: self.m_wdata.slice(port_bits * p, port_bits),
                        strb: self.m_wstrb.get(port_bits / 8 * p, port_bits / 8),
                        last: bit(self.m_wlast),
                    });
                    port.b_ready = bit(self.m_bready);
                }
            }
        }
    };
}

pub(crate) use {read_channels, write_channels};
