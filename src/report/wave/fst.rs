//! FST: GTKWave's and Surfer's packed format, a small part of the size of VCD.

use std::io::Cursor;

use anyhow::Context;
use fst_writer::{
    FstBodyWriter, FstFileType, FstHeaderWriter, FstInfo, FstScopeType, FstSignalId, FstSignalType, FstVarDirection, FstVarType,
};

use super::{COMMENT, Format, bits};

/// Changes are packed when they take this many bytes.
const SECTION_BYTES: usize = 64 << 20;

type Bytes = Cursor<Vec<u8>>;

/// The file being written: first its header, then its body.
pub struct Fst {
    header: Option<FstHeaderWriter<Bytes>>,
    body: Option<FstBodyWriter<Bytes>>,
    /// Number and width.
    signals: Vec<(FstSignalId, usize)>,
}

impl Fst {
    pub fn new() -> anyhow::Result<Self> {
        let info = FstInfo {
            start_time: 0,
            timescale_exponent: -12,
            version: COMMENT.to_owned(),
            // Equal runs give equal files.
            date: String::new(),
            file_type: FstFileType::Verilog,
        };
        Ok(Fst { header: Some(FstHeaderWriter::write_to_mem(&info)?), body: None, signals: Vec::new() })
    }

    fn header(&mut self) -> anyhow::Result<&mut FstHeaderWriter<Bytes>> {
        self.header.as_mut().context("FST: its signals are complete")
    }

    fn body(&mut self) -> anyhow::Result<&mut FstBodyWriter<Bytes>> {
        self.body.as_mut().context("FST: its signals are not complete")
    }
}

impl Format for Fst {
    fn scope(&mut self, name: &str) -> anyhow::Result<()> {
        Ok(self.header()?.scope(name, "", FstScopeType::Module)?)
    }

    fn up(&mut self) -> anyhow::Result<()> {
        Ok(self.header()?.up_scope()?)
    }

    fn signal(&mut self, name: &str, width: usize) -> anyhow::Result<()> {
        let kind = FstSignalType::bit_vec(width as u32);
        let id = self.header()?.var(name, kind, FstVarType::Wire, FstVarDirection::Implicit, None)?;
        self.signals.push((id, width));
        Ok(())
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        let header = self.header.take().context("FST: begun twice")?;
        self.body = Some(header.finish()?);
        Ok(())
    }

    fn time(&mut self, ps: u64) -> anyhow::Result<()> {
        let body = self.body()?;
        if body.size() > SECTION_BYTES {
            body.flush()?;
        }
        Ok(body.time_change(ps)?)
    }

    fn change(&mut self, signal: usize, value: u64) -> anyhow::Result<()> {
        let (id, width) = self.signals[signal];
        let text: Vec<u8> = bits(value, width).map(|bit| b'0' + bit as u8).collect();
        Ok(self.body()?.signal_change(id, &text)?)
    }

    fn finish(self: Box<Self>) -> anyhow::Result<Vec<u8>> {
        let body = self.body.context("FST: its signals are not complete")?;
        Ok(body.finish()?.into_inner())
    }
}
