//! What a memory is: its ports, its timing, its random stalls, the addresses that fail.

use std::ops::Range;
use tritforge_spec::stall::hash;

/// When a memory answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// In the next cycle, a beat a cycle, any number of bursts in flight.
    Ideal,
    /// AR accepted in cycle t: first R beat not before t + `latency`; last W beat accepted in t: B not before t + `latency`.
    /// R, and W, take at most `beats` beats in `cycles` cycles on each port (`beats` ≤ `cycles`). A port has at most
    /// `outstanding` reads and `outstanding` writes accepted and not completed.
    Fixed { latency: u64, beats: u32, cycles: u32, outstanding: usize },
}

/// One memory behind `ports` AXI ports, which share its address space.
#[derive(Clone, Debug, PartialEq)]
pub struct MemConfig {
    pub ports: usize,
    pub port_bits: usize,
    pub timing: Timing,
    /// Random pauses on every channel, from this seed.
    pub stalls: Option<u64>,
    /// Byte addresses that answer SLVERR; nothing is stored there.
    pub errors: Vec<Range<u64>>,
    /// Longest burst that the master may ask for, beats; 256 for AXI4.
    pub max_burst: usize,
}

/// Why a memory was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("memory {item}: expected {expected}, found {found}")]
pub struct MemConfigError {
    pub item: &'static str,
    pub expected: &'static str,
    pub found: String,
}

impl MemConfig {
    /// An ideal memory without stalls or failing addresses.
    pub fn ideal(ports: usize, port_bits: usize) -> Self {
        Self { ports, port_bits, timing: Timing::Ideal, stalls: None, errors: Vec::new(), max_burst: 256 }
    }

    /// Checks the numbers against their ranges.
    ///
    /// # Errors
    /// The first one out of range.
    pub fn validate(&self) -> Result<(), MemConfigError> {
        let check = |ok: bool, item, expected, found: String| if ok { Ok(()) } else { Err(MemConfigError { item, expected, found }) };
        check((1..=32).contains(&self.ports), "ports", "1 to 32", self.ports.to_string())?;
        let widths = [32, 64, 128, 256, 512];
        check(widths.contains(&self.port_bits), "port bits", "32, 64, 128, 256 or 512", self.port_bits.to_string())?;
        check((1..=256).contains(&self.max_burst), "longest burst", "1 to 256 beats", self.max_burst.to_string())?;
        if let Timing::Fixed { latency, beats, cycles, outstanding } = self.timing {
            check((1..=1 << 32).contains(&latency), "latency", "1 to 2^32 cycles", latency.to_string())?;
            let rate = format!("{beats} beats in {cycles} cycles");
            check(beats >= 1 && beats <= cycles, "bandwidth", "more than 0 and at most 1 beat a cycle", rate)?;
            check(outstanding >= 1, "outstanding", "at least 1 burst", outstanding.to_string())?;
        }
        Ok(())
    }

    pub(crate) fn latency(&self) -> u64 {
        match self.timing {
            Timing::Ideal => 1,
            Timing::Fixed { latency, .. } => latency,
        }
    }

    /// Beats and the cycles that they take.
    pub(crate) fn rate(&self) -> (u64, u64) {
        match self.timing {
            Timing::Ideal => (1, 1),
            Timing::Fixed { beats, cycles, .. } => (beats as u64, cycles as u64),
        }
    }

    pub(crate) fn outstanding(&self) -> usize {
        match self.timing {
            Timing::Ideal => usize::MAX,
            Timing::Fixed { outstanding, .. } => outstanding,
        }
    }

    /// Cycles of pause before `beat` of transaction `txn` on a channel of `port`: most often none, sometimes up to 16.
    pub(super) fn stall(&self, port: usize, channel: Channel, txn: u64, beat: u64) -> u64 {
        let Some(seed) = self.stalls else { return 0 };
        let h = hash(seed, (port as u64) << 3 | channel as u64, txn << 8 | beat);
        match h % 8 {
            0..=4 => 0,
            5 => 1,
            6 => 1 + (h >> 8) % 4,
            _ => 1 + (h >> 8) % 16,
        }
    }

    /// A transfer of `bytes` at `addr` fails.
    pub(super) fn fails(&self, addr: u64, bytes: u64) -> bool {
        self.errors.iter().any(|r| r.start < addr.saturating_add(bytes) && addr < r.end)
    }
}

/// The five channels of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Ar,
    R,
    Aw,
    W,
    B,
}

impl std::fmt::Display for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ar => "AR",
            Self::R => "R",
            Self::Aw => "AW",
            Self::W => "W",
            Self::B => "B",
        })
    }
}
