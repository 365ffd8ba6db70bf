//! A wave of the cycle model: every output port of every block, up to 64 bits, over a window of cycles.
//! In: the top, cycle by cycle; out: the file's bytes, VCD or FST.

mod fst;
mod vcd;

use std::ops::Range;
use std::path::Path;

use anyhow::Context;
use tritforge_sim::top::{Probe, Top};

/// A file format, filled in this order: scopes and signals, `begin`, times and changes, `finish`. Times are picoseconds.
trait Format {
    fn scope(&mut self, name: &str) -> anyhow::Result<()>;
    fn up(&mut self) -> anyhow::Result<()>;
    /// A signal of `width` bits; its number counts from 0.
    fn signal(&mut self, name: &str, width: usize) -> anyhow::Result<()>;
    fn begin(&mut self) -> anyhow::Result<()>;
    fn time(&mut self, ps: u64) -> anyhow::Result<()>;
    fn change(&mut self, signal: usize, value: u64) -> anyhow::Result<()>;
    fn finish(self: Box<Self>) -> anyhow::Result<Vec<u8>>;
}

/// What the file says of itself.
const COMMENT: &str =
    "tritforge cycle model; payloads hold their last value while valid is 0; ports wider than 64 bits show their lowest 64";

/// The lowest `width` bits of `value`, highest first.
fn bits(value: u64, width: usize) -> impl Iterator<Item = bool> {
    (0..width).rev().map(move |i| value >> i & 1 == 1)
}

struct Signal {
    probe: Probe,
    width: usize,
    last: Option<u64>,
}

/// Collects a wave.
pub struct Wave {
    window: Range<u64>,
    period_ps: u64,
    fst: bool,
    format: Option<Box<dyn Format>>,
    signals: Vec<Signal>,
}

/// The number of the clock; the ports' follow.
const CLK: usize = 0;

impl Wave {
    /// A wave of the cycles in `window`, counted from reset, for the file `path`: FST where its name ends in .fst, else VCD.
    pub fn new(path: &Path, window: Range<u64>, clock_mhz: f64) -> Self {
        let period_ps = (1e6 / clock_mhz).round().max(2.0) as u64;
        let fst = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("fst"));
        Wave { window, period_ps, fst, format: None, signals: Vec::new() }
    }

    fn header(&mut self, top: &Top) -> anyhow::Result<Box<dyn Format>> {
        let mut format: Box<dyn Format> = if self.fst { Box::new(fst::Fst::new()?) } else { Box::new(vcd::Vcd::new()?) };
        format.scope("top")?;
        format.signal("clk", 1)?;
        let mut scope = "";
        for (instance, port, probe) in top.outputs() {
            if instance != scope {
                if !scope.is_empty() {
                    format.up()?;
                }
                format.scope(instance)?;
                scope = instance;
            }
            let width = port.width.min(64);
            format.signal(port.name, width)?;
            self.signals.push(Signal { probe, width, last: None });
        }
        if !scope.is_empty() {
            format.up()?;
        }
        format.up()?;
        format.begin()?;
        Ok(format)
    }

    /// One cycle.
    ///
    /// # Errors
    /// The writer's.
    pub fn see(&mut self, cycle: u64, top: &Top) -> anyhow::Result<()> {
        if self.window.contains(&cycle) { self.cycle(cycle, top).context("wave") } else { Ok(()) }
    }

    fn cycle(&mut self, cycle: u64, top: &Top) -> anyhow::Result<()> {
        let mut format = match self.format.take() {
            Some(format) => format,
            None => self.header(top)?,
        };
        format.time(cycle * self.period_ps)?;
        format.change(CLK, 1)?;
        for (i, s) in self.signals.iter_mut().enumerate() {
            let value = top.read(s.probe) & if s.width < 64 { (1 << s.width) - 1 } else { u64::MAX };
            if s.last != Some(value) {
                s.last = Some(value);
                format.change(CLK + 1 + i, value)?;
            }
        }
        format.time(cycle * self.period_ps + self.period_ps / 2)?;
        format.change(CLK, 0)?;
        self.format = Some(format);
        Ok(())
    }

    /// The file.
    ///
    /// # Errors
    /// The window held no simulated cycle.
    pub fn finish(self) -> anyhow::Result<Vec<u8>> {
        let first = self.window.start;
        let format =
            self.format.with_context(|| format!("--wave-cycles: no cycle from {first} on was simulated; choose an earlier window"))?;
        format.finish().context("wave")
    }
}
