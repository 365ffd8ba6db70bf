//! Time and memory that looking at a file took, from the system.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct Timing {
    kind: &'static str,
    /// Seconds until the directory was read and checked; until every weight was looked at.
    parse_seconds: f64,
    total_seconds: f64,
    /// Peak resident memory; now, without and with pages of mapped files. `None` where the system does not tell.
    peak_bytes: Option<u64>,
    own_bytes: Option<u64>,
    mapped_bytes: Option<u64>,
}

impl Timing {
    /// Now.
    pub fn new(parse: Duration, total: Duration) -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let bytes = |key: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(key))?;
            Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
        };
        Self {
            kind: "measured",
            parse_seconds: parse.as_secs_f64(),
            total_seconds: total.as_secs_f64(),
            peak_bytes: bytes("VmHWM:"),
            own_bytes: bytes("RssAnon:"),
            mapped_bytes: bytes("RssFile:"),
        }
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "measured: directory read and checked in {:.3} s, every weight seen in {:.3} s", self.parse_seconds, self.total_seconds)?;
        if let (Some(peak), Some(own), Some(mapped)) = (self.peak_bytes, self.own_bytes, self.mapped_bytes) {
            let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            write!(f, "; resident at most {:.1} MiB (now {:.1} of its own, {:.1} of files)", mib(peak), mib(own), mib(mapped))?;
        }
        Ok(())
    }
}
