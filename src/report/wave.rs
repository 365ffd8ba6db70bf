//! A wave (VCD) of the cycle model: every output port of every block, up to 64 bits, over a window of cycles.
//! In: the top, cycle by cycle; out: the file's bytes.

use std::ops::Range;

use anyhow::Context;
use tritforge_sim::top::{Probe, Top};
use vcd::{IdCode, TimescaleUnit, Value, Writer};

struct Signal {
    probe: Probe,
    width: usize,
    id: IdCode,
    last: Option<u64>,
}

/// Collects a wave.
pub struct Wave {
    window: Range<u64>,
    period_ps: u64,
    writer: Writer<Vec<u8>>,
    clk: Option<IdCode>,
    signals: Vec<Signal>,
}

impl Wave {
    /// A wave of the cycles in `window`, counted from reset.
    pub fn new(window: Range<u64>, clock_mhz: f64) -> Self {
        let period_ps = (1e6 / clock_mhz).round().max(2.0) as u64;
        Wave { window, period_ps, writer: Writer::new(Vec::new()), clk: None, signals: Vec::new() }
    }

    fn header(&mut self, top: &Top) -> std::io::Result<IdCode> {
        let w = &mut self.writer;
        w.comment("tritforge cycle model; payloads hold their last value while valid is 0; ports wider than 64 bits show their lowest 64")?;
        w.timescale(1, TimescaleUnit::PS)?;
        w.add_module("top")?;
        let clk = w.add_wire(1, "clk")?;
        let mut scope = "";
        for (instance, port, probe) in top.outputs() {
            if instance != scope {
                if !scope.is_empty() {
                    w.upscope()?;
                }
                w.add_module(instance)?;
                scope = instance;
            }
            let width = port.width.min(64);
            let id = w.add_wire(width as u32, port.name)?;
            self.signals.push(Signal { probe, width, id, last: None });
        }
        if !scope.is_empty() {
            w.upscope()?;
        }
        w.upscope()?;
        w.enddefinitions()?;
        Ok(clk)
    }

    /// One cycle.
    ///
    /// # Errors
    /// The writer's.
    pub fn see(&mut self, cycle: u64, top: &Top) -> anyhow::Result<()> {
        if self.window.contains(&cycle) { self.cycle(cycle, top).context("wave") } else { Ok(()) }
    }

    fn cycle(&mut self, cycle: u64, top: &Top) -> std::io::Result<()> {
        let clk = match self.clk {
            Some(clk) => clk,
            None => {
                let clk = self.header(top)?;
                *self.clk.insert(clk)
            }
        };
        let w = &mut self.writer;
        w.timestamp(cycle * self.period_ps)?;
        w.change_scalar(clk, Value::V1)?;
        for s in &mut self.signals {
            let value = top.read(s.probe) & if s.width < 64 { (1 << s.width) - 1 } else { u64::MAX };
            if s.last == Some(value) {
                continue;
            }
            s.last = Some(value);
            if s.width == 1 {
                w.change_scalar(s.id, value == 1)?;
            } else {
                w.change_vector(s.id, (0..s.width).rev().map(|i| Value::from(value >> i & 1 == 1)))?;
            }
        }
        w.timestamp(cycle * self.period_ps + self.period_ps / 2)?;
        w.change_scalar(clk, Value::V0)
    }

    /// The file.
    ///
    /// # Errors
    /// The window held no simulated cycle.
    pub fn finish(mut self) -> anyhow::Result<Vec<u8>> {
        let first = self.window.start;
        self.clk.with_context(|| format!("--wave-cycles: no cycle from {first} on was simulated; choose an earlier window"))?;
        self.writer.flush().context("wave")?;
        Ok(std::mem::take(self.writer.writer()))
    }
}
