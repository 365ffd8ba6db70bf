//! `skid`: a two-entry FIFO of registers that stands at every stream input of a block.
//! In: stream `in`; out: stream `out`, the same words in order. Its ready does not depend on the ready behind it.

use super::{Contract, Port};
use crate::stream_names;

/// Words it holds: two, so that a word a cycle passes although ready is a register.
pub const ENTRIES: usize = 2;
/// Cycles from an accepted word to `out_valid`, when empty.
pub const LATENCY: u64 = 1;

/// Parameters of `skid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// Bits a word, at least 1.
    pub width: usize,
}

impl Contract for Params {
    const STEM: &'static str = "skid";

    fn ports(&self) -> Vec<Port> {
        let mut ports = vec![Port::clk(), Port::rst()];
        ports.extend(Port::stream_in(stream_names!("in", "data"), &[self.width]));
        ports.extend(Port::stream_out(stream_names!("out", "data"), &[self.width]));
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        vec![("W", self.width as i64)]
    }

    fn examples() -> Vec<Self> {
        [8, 200].map(|width| Self { width }).into()
    }
}
