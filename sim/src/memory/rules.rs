//! What AXI demands of a master, checked in every cycle and recorded.

use super::{PortIn, PortOut, config::Channel};
use crate::axi::{Burst, WriteBeat};
use tritforge_spec::block::axi::BOUNDARY;

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Cycles that the memory had seen before.
    pub cycle: u64,
    pub port: usize,
    pub channel: Channel,
    pub rule: Rule,
    /// What was expected and what was found.
    pub detail: String,
}

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// VALID stays high until READY (A3.2.1).
    ValidDropped,
    /// The payload stands while VALID waits (A3.2.1).
    PayloadChanged,
    /// A burst does not cross a 4 KiB boundary (A3.4.1).
    CrossesBoundary,
    /// A burst is no longer than the port allows.
    TooLong,
    /// Every burst begins at a multiple of the bus width: this project's own rule.
    Unaligned,
    /// WLAST marks the last beat of a burst and no other.
    LastPosition,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cycle {}, port {}, {}: {:?}: {}", self.cycle, self.port, self.channel, self.rule, self.detail)
    }
}

/// What the master offered in the last cycle and the memory did not take.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Waiting {
    ar: Option<Burst>,
    aw: Option<Burst>,
    w: Option<WriteBeat>,
}

fn held<T: PartialEq + std::fmt::Debug>(was: &Option<T>, is: &Option<T>) -> Option<(Rule, String)> {
    match (was, is) {
        (Some(was), None) => Some((Rule::ValidDropped, format!("{was:x?} waited"))),
        (Some(was), Some(is)) if was != is => Some((Rule::PayloadChanged, format!("{was:x?} waited, now {is:x?}"))),
        _ => None,
    }
}

impl Waiting {
    /// Checks this cycle's offers against the last cycle's and keeps what is not taken. `report` gets every broken rule.
    pub fn check(&mut self, input: &PortIn, output: &PortOut, mut report: impl FnMut(Channel, Rule, String)) {
        for (channel, broken) in
            [(Channel::Ar, held(&self.ar, &input.ar)), (Channel::Aw, held(&self.aw, &input.aw)), (Channel::W, held(&self.w, &input.w))]
        {
            if let Some((rule, detail)) = broken {
                report(channel, rule, detail);
            }
        }
        self.ar = input.ar.filter(|_| !output.ar_ready);
        self.aw = input.aw.filter(|_| !output.aw_ready);
        self.w = input.w.clone().filter(|_| !output.w_ready);
    }
}

/// The rule that a burst of `beat_bytes` a beat breaks.
pub(super) fn burst(b: &Burst, beat_bytes: u64, max_burst: usize) -> Option<(Rule, String)> {
    let bytes = b.beats() as u64 * beat_bytes;
    let text = format!("address {:#x}, {} beats of {beat_bytes} bytes", b.addr, b.beats());
    if !b.addr.is_multiple_of(beat_bytes) {
        return Some((Rule::Unaligned, text));
    }
    if b.beats() > max_burst {
        return Some((Rule::TooLong, format!("{text}, at most {max_burst} beats expected")));
    }
    if b.addr % BOUNDARY + bytes > BOUNDARY {
        return Some((Rule::CrossesBoundary, text));
    }
    None
}
