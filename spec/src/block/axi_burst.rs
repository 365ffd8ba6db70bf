//! `axi_burst`: cuts a linear segment into AXI bursts that end at multiples of the burst length.
//! In: stream `seg` {off, beats}, level `base`; out: stream `burst` {addr, len}, level `empty`.

use super::{Contract, Port, axi};
use crate::stream_names;

/// Cycles from an accepted segment to its first burst, when nothing is before it: skid, address, burst register.
pub const LATENCY: u64 = 3;

/// Parameters of `axi_burst`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// PW: bits of the data bus, a power of two from 32 to 512.
    pub port_bits: usize,
    /// Longest burst in beats, a power of two, at most 4096 bytes.
    pub burst: usize,
}

impl Contract for Params {
    const STEM: &'static str = "axi_burst";

    fn ports(&self) -> Vec<Port> {
        let mut ports = vec![Port::clk(), Port::rst()];
        ports.extend(Port::stream_in(stream_names!("seg", "off", "beats"), &[axi::OFFSET_BITS, axi::READ_BEATS_BITS]));
        ports.push(Port::level_in("base", 64));
        ports.extend(Port::stream_out(stream_names!("burst", "addr", "len"), &[64, 8]));
        ports.push(Port::level_out("empty", 1));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        vec![("PW", self.port_bits as i64), ("BURST", self.burst as i64)]
    }

    fn examples() -> Vec<Self> {
        [(128, 16), (32, 1), (64, 256)].map(|(port_bits, burst)| Self { port_bits, burst }).into()
    }
}
