//! `xstore`: vectors of D 32-bit elements, in groups of VEC, to super-words in memory, one write segment a vector.
//! In: streams `cmd`, `y` (groups); out: `wseg` (segments), `wd` (super-words, elements beyond D are 0, all bytes written), `idle`.

use super::{Contract, Port, axi, xload};
use crate::{hw::Hw, stream_names};

/// Cycles from a word's last accepted group to the word at `wd`: input skid, word register.
pub const LATENCY: u64 = 2;

/// Parameters of `xstore`: the shape of the vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params(pub xload::Params);

impl From<&Hw> for Params {
    fn from(hw: &Hw) -> Self {
        Self(hw.into())
    }
}

impl Contract for Params {
    const STEM: &'static str = "xstore";

    fn ports(&self) -> Vec<Port> {
        let p = &self.0;
        let mut ports = vec![Port::clk(), Port::rst()];
        ports.extend(Port::stream_in(stream_names!("cmd", "off", "n"), &[axi::OFFSET_BITS, p.token_bits + 1]));
        ports.extend(Port::stream_in(stream_names!("y", "data"), &[32 * p.vec]));
        ports.extend(Port::stream_out(stream_names!("wseg", "off", "beats"), axi::WRITE_SEGMENT));
        ports.extend(Port::stream_out(stream_names!("wd", "data", "strb"), &[p.word_bits, p.word_bits / 8]));
        ports.push(Port::level_out("idle", 1));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        self.0.verilog()
    }

    fn examples() -> Vec<Self> {
        xload::Params::shapes().map(Self).into()
    }
}
