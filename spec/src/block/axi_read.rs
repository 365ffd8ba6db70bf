//! `axi_read`: AXI4 read master of P ports: segments of super-words in, streams of super-words out.
//! In: streams `wseg`, `dseg`, `kseg` {off, beats, dest}, levels `base`, `stop`, AXI R; out: AXI AR, streams `w`, `a`
//! {dest, data}, levels `idle`, `err`, `err_port`, `err_addr`, `beats_inc`.

use super::{Contract, Port, axi, axi_read_port};
use crate::{hw::Hw, stream_names};

/// Segments of the stream `w`, and of `a`, that are begun and not delivered: enough for the sections of a whole layer and
/// the first ones of the next, so that weights are read ahead across layers.
pub const SEGMENTS: usize = 8;

/// Parameters of `axi_read`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// P: memory ports, 1 to 32.
    pub ports: usize,
    /// What each port is.
    pub port: axi_read_port::Params,
}

impl From<&Hw> for Params {
    fn from(hw: &Hw) -> Self {
        let c = &hw.config;
        let port = axi_read_port::Params {
            port_bits: c.port_bits,
            burst: c.burst,
            outstanding: c.outstanding,
            w_depth: c.weight_fifo,
            x_depth: c.aux_fifo,
        };
        Self { ports: c.ports, port }
    }
}

impl Params {
    /// W: bits of a super-word.
    pub fn word_bits(&self) -> usize {
        self.ports * self.port.port_bits
    }

    /// Cycles from an accepted segment to ARVALID, when nothing is before it: skid, then the port.
    pub const fn request_latency(&self) -> u64 {
        1 + self.port.request_latency()
    }
}

impl Contract for Params {
    const STEM: &'static str = "axi_read";

    fn ports(&self) -> Vec<Port> {
        let (n, w) = (self.ports, self.word_bits());
        let mut ports = vec![Port::clk(), Port::rst()];
        ports.extend(Port::stream_in(stream_names!("wseg", "off", "beats", "dest"), axi::READ_SEGMENT));
        ports.extend(Port::stream_in(stream_names!("dseg", "off", "beats", "dest"), axi::READ_SEGMENT));
        ports.extend(Port::stream_in(stream_names!("kseg", "off", "beats", "dest"), axi::READ_SEGMENT));
        ports.push(Port::level_in("base", 64 * n));
        ports.push(Port::level_in("stop", 1));
        ports.extend(axi::read_ports(n, self.port.port_bits));
        ports.extend(Port::stream_out(stream_names!("w", "dest", "data"), &[axi::DEST_BITS, w]));
        ports.extend(Port::stream_out(stream_names!("a", "dest", "data"), &[axi::DEST_BITS, w]));
        ports.push(Port::level_out("idle", 1));
        ports.push(Port::level_out("err", 1));
        ports.push(Port::level_out("err_port", 5));
        ports.push(Port::level_out("err_addr", 64));
        ports.push(Port::level_out("beats_inc", n));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        let mut params = vec![("P", self.ports as i64)];
        params.extend(self.port.verilog_params());
        params.push(("SEGS", SEGMENTS as i64));
        params
    }

    fn examples() -> Vec<Self> {
        // As the KV260-class configuration but with two ports; the smallest queues; long bursts in odd depths.
        [(2, 128, 16, 8, 256, 256), (3, 32, 1, 1, 3, 2), (1, 64, 128, 3, 200, 129)]
            .map(|(ports, port_bits, burst, outstanding, w_depth, x_depth)| Self {
                ports,
                port: axi_read_port::Params { port_bits, burst, outstanding, w_depth, x_depth },
            })
            .into()
    }
}
