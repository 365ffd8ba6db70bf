//! `axi_write_port`: AXI4 write master of one memory port.
//! In: streams `seg` {off, beats}, `d` {data, strb}, levels `base`, `stop`, AXI B; out: AXI AW and W, levels.

use super::{Contract, Dir, Port, axi, axi_burst, fifo};
use crate::stream_names;

/// Write bursts in flight a port. KV vectors and scales are bursts of few beats, so many are needed to cover a memory latency.
pub const OUTSTANDING: usize = 32;

/// Parameters of `axi_write_port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// PW: bits of the data bus.
    pub port_bits: usize,
    /// Longest burst, beats.
    pub burst: usize,
    /// Bursts announced and not answered, 2 to 64.
    pub outstanding: usize,
}

impl Params {
    /// Beats of the data FIFO: one burst being collected, one leaving, and at least 16 to absorb a pause of single beats.
    pub fn depth(&self) -> usize {
        (2 * self.burst).max(16)
    }

    /// Cycles from an accepted segment to AWVALID and WVALID, when nothing is before it and its data wait already.
    pub const fn request_latency(&self) -> u64 {
        axi_burst::LATENCY + 1
    }

    /// Cycles from the last accepted beat of a burst to AWVALID, when the burst waits already: count, AW register.
    pub const ANNOUNCE_LATENCY: u64 = 2;

    /// The data FIFO.
    pub fn fifo(&self) -> fifo::Params {
        fifo::Params { width: self.port_bits + self.port_bits / 8, depth: self.depth() }
    }
}

impl Contract for Params {
    const STEM: &'static str = "axi_write_port";

    fn ports(&self) -> Vec<Port> {
        let mut ports = vec![Port::clk(), Port::rst()];
        ports.extend(Port::stream_in(stream_names!("seg", "off", "beats"), axi::WRITE_SEGMENT));
        ports.extend(Port::stream_in(stream_names!("d", "data", "strb"), &[self.port_bits, self.port_bits / 8]));
        ports.push(Port::level_in("base", 64));
        ports.push(Port::level_in("stop", 1));
        ports.extend(axi::write_port(self.port_bits));
        ports.push(Port::level_out("quiet", 1));
        ports.push(Port::level_out("empty", 1));
        ports.push(Port::level_out("bad", 1));
        ports.push(Port::lanes("bad_addr", Dir::Out, 64, "bad"));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        vec![
            ("PW", self.port_bits as i64),
            ("BURST", self.burst as i64),
            ("OUTSTANDING", self.outstanding as i64),
            ("DEPTH", self.depth() as i64),
        ]
    }

    fn examples() -> Vec<Self> {
        [(128, 16, OUTSTANDING), (64, 128, 5)].map(|(port_bits, burst, outstanding)| Self { port_bits, burst, outstanding }).into()
    }
}
