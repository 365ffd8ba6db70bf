//! How much memory the process has, from the system.

use std::fmt;

use serde::Serialize;

/// Resident memory: the most so far; now, without and with pages of mapped files. `None` where the system does not tell.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Memory {
    peak_bytes: Option<u64>,
    own_bytes: Option<u64>,
    mapped_bytes: Option<u64>,
}

impl Memory {
    /// Now.
    pub fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let bytes = |key: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(key))?;
            Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
        };
        Self { peak_bytes: bytes("VmHWM:"), own_bytes: bytes("RssAnon:"), mapped_bytes: bytes("RssFile:") }
    }
}

/// What follows a time: nothing where the system does not tell.
impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(peak), Some(own), Some(mapped)) = (self.peak_bytes, self.own_bytes, self.mapped_bytes) {
            let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            write!(f, "; resident at most {:.1} MiB (now {:.1} of its own, {:.1} of files)", mib(peak), mib(own), mib(mapped))?;
        }
        Ok(())
    }
}
