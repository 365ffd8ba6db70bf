//! `axi_write`: AXI4 write master of P ports, shared by two clients.
//! In: streams `aseg`, `bseg` {off, beats}, `ad`, `bd` {data, strb}, levels `base`, `stop`, AXI B; out: AXI AW and W, levels
//! `idle`, `err`, `err_port`, `err_addr`.

use super::{Contract, Port, axi, axi_write_port};
use crate::{hw::Hw, stream_names};

/// Parameters of `axi_write`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// P: memory ports, 1 to 32.
    pub ports: usize,
    /// What each port is.
    pub port: axi_write_port::Params,
}

impl From<&Hw> for Params {
    fn from(hw: &Hw) -> Self {
        let c = &hw.config;
        let port = axi_write_port::Params { port_bits: c.port_bits, burst: c.burst, outstanding: axi_write_port::OUTSTANDING };
        Self { ports: c.ports, port }
    }
}

impl Params {
    /// W: bits of a super-word.
    pub fn word_bits(&self) -> usize {
        self.ports * self.port.port_bits
    }
}

impl Contract for Params {
    const STEM: &'static str = "axi_write";

    fn ports(&self) -> Vec<Port> {
        let (n, w) = (self.ports, self.word_bits());
        let mut ports = vec![Port::clk(), Port::rst()];
        ports.extend(Port::stream_in(stream_names!("aseg", "off", "beats"), axi::WRITE_SEGMENT));
        ports.extend(Port::stream_in(stream_names!("ad", "data", "strb"), &[w, w / 8]));
        ports.extend(Port::stream_in(stream_names!("bseg", "off", "beats"), axi::WRITE_SEGMENT));
        ports.extend(Port::stream_in(stream_names!("bd", "data", "strb"), &[w, w / 8]));
        ports.push(Port::level_in("base", 64 * n));
        ports.push(Port::level_in("stop", 1));
        ports.extend(axi::write_ports(n, self.port.port_bits));
        ports.push(Port::level_out("idle", 1));
        ports.push(Port::level_out("err", 1));
        ports.push(Port::level_out("err_port", 5));
        ports.push(Port::level_out("err_addr", 64));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        let mut params = vec![("P", self.ports as i64)];
        params.extend(self.port.verilog_params());
        params
    }

    fn examples() -> Vec<Self> {
        [(2, 128, 16, axi_write_port::OUTSTANDING), (3, 32, 1, 2), (1, 64, 128, 5)]
            .map(|(ports, port_bits, burst, outstanding)| Self { ports, port: axi_write_port::Params { port_bits, burst, outstanding } })
            .into()
    }
}
