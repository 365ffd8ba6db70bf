//! The report of a mismatch: cycle, port, values, seed, the command that repeats it, and a wave of the cycles before it,
//! which comes from a second build with traces that replays the recorded inputs.

use super::{
    build,
    case::Case,
    design::Design,
    dut::{Dut, Library},
    tools,
};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use tritforge_spec::{bits::Bits, block::Port};

/// Cycles in the wave before the mismatch, and after it with the last inputs held.
const WAVE_BEFORE: usize = 64;
const WAVE_AFTER: usize = 4;
/// Inputs beyond this many words (256 MiB) are not recorded, and such a run has no wave.
const RECORD_WORDS: usize = 1 << 25;

/// All inputs of a run since power-up.
pub(super) struct Record {
    random: Option<u64>,
    width: usize,
    words: Vec<u64>,
    complete: bool,
}

impl Record {
    pub fn new(random: Option<u64>, width: usize, wave: bool) -> Self {
        Self { random, width, words: Vec::new(), complete: wave }
    }

    pub fn push(&mut self, inputs: &[u64]) {
        if self.words.len() + inputs.len() > RECORD_WORDS {
            self.complete = false;
        }
        if self.complete {
            self.words.extend_from_slice(inputs);
        }
    }

    /// The text of the report; writes the wave.
    pub fn report(
        &self,
        design: &Design,
        (case, conditions): (&Case, &str),
        cycle: u64,
        before: u64,
        what: &str,
        out_words: usize,
    ) -> String {
        let wave = match self.wave(design, case, out_words) {
            Ok(Some(path)) => format!("wave of the last cycles: {}", path.display()),
            Ok(None) => "no wave: not asked for, or the run is too long to be recorded".to_owned(),
            Err(e) => format!("no wave: {e:#}"),
        };
        format!(
            "{} {:?}: model and RTL differ at cycle {cycle} (from the end of the power-up reset of {before} cycles)\n  {what}\n  {conditions}\n  repeat: {}\n  {wave}",
            design.top,
            design.params,
            repeat(case.seed),
        )
    }

    fn wave(&self, design: &Design, case: &Case, out_words: usize) -> Result<Option<PathBuf>> {
        if !self.complete {
            return Ok(None);
        }
        let library = build::library(&design.into(), build::Flavor::Wave)?.context("no Verilator")?;
        let library = Library::load(&library, 0, self.width, out_words)?;
        let mut dut = Dut::new(&library, self.random);
        let dir = tools::build_dir().join("waves");
        std::fs::create_dir_all(&dir)?;
        let path = dir.join(format!("{}-{:x}-{}.vcd", design.top, case.seed, std::process::id()));
        let cycles: Vec<&[u64]> = match self.width {
            0 => Vec::new(),
            n => self.words.chunks(n).collect(),
        };
        let first = cycles.len().saturating_sub(WAVE_BEFORE);
        let last = cycles.last().copied();
        for (i, inputs) in cycles.iter().copied().chain(last.into_iter().cycle().take(WAVE_AFTER)).enumerate() {
            if i == first {
                dut.trace_to(&path)?;
            }
            dut.set(inputs);
            dut.low();
            dut.high();
        }
        Ok(Some(path))
    }
}

/// A port whose value differs.
pub(super) fn values(port: &Port, expected: &[u64], found: &[u64]) -> String {
    let hex = |words| format!("{:x}", Bits::from_words(port.width, words));
    let first = (0..port.width).find(|&i| (expected[i / 64] ^ found[i / 64]) >> (i % 64) & 1 != 0);
    format!(
        "port {} [{} bits]: expected {} (model), found {} (RTL); first different bit {}",
        port.name,
        port.width,
        hex(expected),
        hex(found),
        first.unwrap_or(0)
    )
}

/// The command that runs the current test, or the current program, again with `seed`.
fn repeat(seed: u64) -> String {
    let mut arguments = std::env::args();
    let exe = arguments.next().unwrap_or_default();
    let path = Path::new(&exe);
    let seed = format!("TRITFORGE_SEED={seed:#x}");
    if !tools::in_cargo_test() {
        return format!("{seed} {exe} {}", arguments.collect::<Vec<_>>().join(" "));
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    // Cargo appends a hash to the name of a test binary, and names its package at run time.
    let binary = stem.rsplit_once('-').map_or(stem.as_str(), |(name, _)| name);
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_else(|_| env!("CARGO_PKG_NAME").to_owned());
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default();
    format!("{seed} cargo test -p {package} --test {binary} {test} -- --exact --nocapture")
}
