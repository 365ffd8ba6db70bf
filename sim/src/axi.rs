//! What moves on the channels of one AXI port, as Rust values; and flat vectors of `n` ports, port 0 lowest.

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
