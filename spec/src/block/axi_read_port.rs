//! `axi_read_port`: AXI4 read master of one memory port with a FIFO for weights (`w`) and one for auxiliary data (`x`).
//! In: streams `wseg`, `xseg` {off, beats}, levels `base`, `stop`, AXI R; out: AXI AR, streams `w`, `x` {data}, levels.

use super::{Contract, Dir, Port, axi, axi_burst, fifo};
use crate::stream_names;

/// Parameters of `axi_read_port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// PW: bits of the data bus.
    pub port_bits: usize,
    /// Longest burst, beats.
    pub burst: usize,
    /// Bursts in flight, 1 to 64.
    pub outstanding: usize,
    /// Beats of the weight FIFO, at least `burst`.
    pub w_depth: usize,
    /// Beats of the auxiliary FIFO, at least `burst`.
    pub x_depth: usize,
}

impl Params {
    /// Cycles from an accepted segment to ARVALID, when nothing is before it: burst generator, AR register.
    pub const fn request_latency(&self) -> u64 {
        axi_burst::LATENCY + 1
    }

    /// Cycles from an accepted R beat to the stream's valid, when the FIFO is empty: input register, FIFO.
    pub fn data_latency(&self, depth: usize) -> u64 {
        1 + fifo::Params { width: self.port_bits, depth }.latency()
    }

    /// Entries of the queue of bursts in flight.
    pub fn order_depth(&self) -> usize {
        self.outstanding.max(2)
    }
}

impl Contract for Params {
    const STEM: &'static str = "axi_read_port";

    fn ports(&self) -> Vec<Port> {
        let mut ports = vec![Port::clk(), Port::rst()];
        ports.extend(Port::stream_in(stream_names!("wseg", "off", "beats"), &[axi::OFFSET_BITS, axi::READ_BEATS_BITS]));
        ports.extend(Port::stream_in(stream_names!("xseg", "off", "beats"), &[axi::OFFSET_BITS, axi::READ_BEATS_BITS]));
        ports.push(Port::level_in("base", 64));
        ports.push(Port::level_in("stop", 1));
        ports.extend(axi::read_port(self.port_bits));
        ports.extend(Port::stream_out(stream_names!("w", "data"), &[self.port_bits]));
        ports.extend(Port::stream_out(stream_names!("x", "data"), &[self.port_bits]));
        ports.push(Port::level_out("quiet", 1));
        ports.push(Port::level_out("beat", 1));
        ports.push(Port::level_out("bad", 1));
        ports.push(Port::lanes("bad_addr", Dir::Out, 64, "bad"));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        vec![
            ("PW", self.port_bits as i64),
            ("BURST", self.burst as i64),
            ("OUTSTANDING", self.outstanding as i64),
            ("W_DEPTH", self.w_depth as i64),
            ("X_DEPTH", self.x_depth as i64),
        ]
    }

    fn examples() -> Vec<Self> {
        [(128, 16, 4, 128, 64), (32, 1, 64, 65, 2), (64, 128, 3, 200, 129)]
            .map(|(port_bits, burst, outstanding, w_depth, x_depth)| Self { port_bits, burst, outstanding, w_depth, x_depth })
            .into()
    }
}
