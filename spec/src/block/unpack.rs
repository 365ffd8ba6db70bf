//! `unpack`: packed super-words of a section to array words of `lanes` trits, two bits a trit (0, 1, 3 = -1).
//! In: `cmd` (array words of a section), `in` (its super-words). Out: `t` (array words), levels `bad`, `bad_word`.

use super::{Contract, Port};
use crate::{config::Packing, hw::Hw, stream_names};

/// Cycles from a super-word that leaves the input skid to its trits on `t`: a register behind each of two decoding tables.
pub const LATENCY: u64 = 2;

/// Parameters of `unpack`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// Bits a super-word.
    pub word_bits: usize,
    /// Trits an array word: the trits of a super-word times a power of two, in whole bytes.
    pub lanes: usize,
    pub packing: Packing,
}

impl Params {
    /// Trits of a super-word.
    pub fn trits_per_word(&self) -> usize {
        self.word_bits / 8 * self.packing.trits_per_byte()
    }

    /// Trits decoded a cycle: an array word or a super-word, whichever is less.
    pub fn chunk(&self) -> usize {
        self.lanes.min(self.trits_per_word())
    }

    /// Array words in a super-word; 1 where it holds less than one.
    pub fn slices(&self) -> usize {
        self.trits_per_word() / self.chunk()
    }

    /// Super-words in an array word; 1 where it needs less than one.
    pub fn parts(&self) -> usize {
        self.lanes / self.chunk()
    }
}

impl From<&Hw> for Params {
    fn from(hw: &Hw) -> Self {
        Self { word_bits: hw.word_bits(), lanes: hw.config.lanes, packing: hw.config.packing }
    }
}

impl Contract for Params {
    const STEM: &'static str = "unpack";

    fn ports(&self) -> Vec<Port> {
        let mut ports = vec![Port::clk(), Port::rst(), Port::level_in("clear", 1)];
        ports.extend(Port::stream_in(stream_names!("cmd", "words"), &[32]));
        ports.extend(Port::stream_in(stream_names!("in", "data"), &[self.word_bits]));
        ports.extend(Port::stream_out(stream_names!("t", "trits"), &[2 * self.lanes]));
        ports.push(Port::level_out("bad", 1));
        ports.push(Port::level_out("bad_word", 32));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        vec![("W", self.word_bits as i64), ("LANES", self.lanes as i64), ("BASE3", (self.packing == Packing::Base3) as i64)]
    }

    fn examples() -> Vec<Self> {
        let of = |packing, word_bits, lanes| Self { word_bits, lanes, packing };
        vec![
            of(Packing::Base3, 128, 80),
            of(Packing::Base3, 64, 5),
            of(Packing::Base3, 32, 80),
            of(Packing::TwoBit, 64, 16),
            of(Packing::TwoBit, 32, 64),
        ]
    }
}
