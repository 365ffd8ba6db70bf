//! VCD: text, read by everything.

use vcd::{IdCode, TimescaleUnit, Value, Writer};

use super::{COMMENT, Format, bits};

/// The file being written.
pub struct Vcd {
    writer: Writer<Vec<u8>>,
    /// Code and width.
    signals: Vec<(IdCode, usize)>,
}

impl Vcd {
    pub fn new() -> anyhow::Result<Self> {
        let mut writer = Writer::new(Vec::new());
        writer.comment(COMMENT)?;
        writer.timescale(1, TimescaleUnit::PS)?;
        Ok(Vcd { writer, signals: Vec::new() })
    }
}

impl Format for Vcd {
    fn scope(&mut self, name: &str) -> anyhow::Result<()> {
        Ok(self.writer.add_module(name)?)
    }

    fn up(&mut self) -> anyhow::Result<()> {
        Ok(self.writer.upscope()?)
    }

    fn signal(&mut self, name: &str, width: usize) -> anyhow::Result<()> {
        self.signals.push((self.writer.add_wire(width as u32, name)?, width));
        Ok(())
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        Ok(self.writer.enddefinitions()?)
    }

    fn time(&mut self, ps: u64) -> anyhow::Result<()> {
        Ok(self.writer.timestamp(ps)?)
    }

    fn change(&mut self, signal: usize, value: u64) -> anyhow::Result<()> {
        match self.signals[signal] {
            (id, 1) => self.writer.change_scalar(id, value == 1)?,
            (id, width) => self.writer.change_vector(id, bits(value, width).map(Value::from))?,
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<Vec<u8>> {
        self.writer.flush()?;
        Ok(std::mem::take(self.writer.writer()))
    }
}
