//! Time and memory that looking at a file took, from the system.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::cli::memory::Memory;

#[derive(Debug, Serialize)]
pub struct Timing {
    kind: &'static str,
    /// Seconds until the directory was read and checked; until every weight was looked at.
    parse_seconds: f64,
    total_seconds: f64,
    #[serde(flatten)]
    memory: Memory,
}

impl Timing {
    /// Now.
    pub fn new(parse: Duration, total: Duration) -> Self {
        Self { kind: "measured", parse_seconds: parse.as_secs_f64(), total_seconds: total.as_secs_f64(), memory: Memory::now() }
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parse, total) = (self.parse_seconds, self.total_seconds);
        write!(f, "measured: directory read and checked in {parse:.3} s, every weight seen in {total:.3} s{}", self.memory)
    }
}
