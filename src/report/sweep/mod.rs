//! What each size of the softmax ROM costs: on text (whole model, KV at 4, 6, 8 bits) and for attention alone on synthetic scores.
//!
//! In: models and text, or only a seed. Out: [`Sweep`]; `table` and `plot` show it.

pub mod plot;
pub mod synthetic;
pub mod table;
pub mod text;

use serde::Serialize;

/// A ROM of 2^log2 entries of `bits` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RomSize {
    /// log2 of the entries.
    pub log2: u32,
    /// Bits of an entry.
    pub bits: u32,
}

impl RomSize {
    /// Entries.
    pub fn entries(self) -> u32 {
        1 << self.log2
    }

    /// Bits of the whole ROM.
    pub fn total_bits(self) -> u32 {
        self.bits << self.log2
    }
}

/// Widths of an entry that the sweep goes through.
pub const BITS: [u32; 7] = [4, 6, 8, 10, 12, 16, 23];

/// Every ROM of the synthetic sweep: 4 to 4096 entries, all widths.
pub fn synthetic_grid() -> Vec<RomSize> {
    BITS.iter().flat_map(|&bits| (2..=12).map(move |log2| RomSize { log2, bits })).collect()
}

/// The coarser grid that runs the whole model over the text.
pub fn text_grid() -> Vec<RomSize> {
    [4, 6, 8, 12, 16, 23].iter().flat_map(|&bits| [2, 4, 6, 8, 12].map(move |log2| RomSize { log2, bits })).collect()
}

/// Everything the sweep found.
#[derive(Debug, Clone, Serialize)]
pub struct Sweep {
    /// How the numbers came about.
    pub kind: &'static str,
    /// Seed of the synthetic scores.
    pub seed: u64,
    /// Attention alone, one row a ROM, case and context.
    pub synthetic: Vec<synthetic::Row>,
    /// What rounding V to KV codes costs on the same inputs, for comparison.
    pub values: Vec<synthetic::ValueRow>,
    /// The model over text, one row a ROM and KV width; absent rows were not run.
    pub text: Vec<text::Row>,
    /// Divergence of the judge with int8 K, V and the rounded residual: what no ROM can get below.
    pub text_floor: Option<text::FloorRow>,
    /// Where each width of entry stops gaining from more entries.
    pub breaks: Vec<Break>,
}

/// Where a ROM's width breaks: from here on, more entries no longer lower the error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Break {
    /// Bits of an entry.
    pub bits: u32,
    /// The fewest entries within a fifth of the least worst error of this width.
    pub entries: u32,
    /// Worst error there, relative to the output's RMS, over all cases and contexts.
    pub worst: f64,
    /// Mean error there.
    pub mean: f64,
}

/// Worst and mean error of a ROM over all cases and contexts.
pub fn over_all(rows: &[synthetic::Row], rom: RomSize) -> Option<(f64, f64)> {
    let of: Vec<&synthetic::Row> = rows.iter().filter(|r| r.rom == rom).collect();
    let worst = of.iter().map(|r| r.worst).fold(0.0, f64::max);
    (!of.is_empty()).then(|| (worst, of.iter().map(|r| r.mean).sum::<f64>() / of.len() as f64))
}

/// Finds [`Break`]s.
pub fn breaks(rows: &[synthetic::Row]) -> Vec<Break> {
    // A gain of less than a fifth for twice the ROM is none.
    const SAME: f64 = 1.2;
    let of_width = |bits: u32| {
        let sizes = (2..=12).map(|log2| RomSize { log2, bits });
        let found: Vec<(RomSize, (f64, f64))> = sizes.filter_map(|rom| Some((rom, over_all(rows, rom)?))).collect();
        let least = found.iter().map(|(_, (worst, _))| *worst).fold(f64::INFINITY, f64::min);
        let &(rom, (worst, mean)) = found.iter().find(|(_, (worst, _))| *worst <= SAME * least)?;
        Some(Break { bits, entries: rom.entries(), worst, mean })
    };
    BITS.iter().filter_map(|&bits| of_width(bits)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_width_breaks_where_more_entries_stop_helping() {
        let row = |log2, bits, worst| synthetic::Row {
            rom: RomSize { log2, bits },
            case: "gap 0".into(),
            context: 256,
            worst,
            mean: worst / 2.0,
        };
        let rows: Vec<_> = [(2, 0.1), (3, 0.05), (4, 0.031), (5, 0.03)].map(|(n, e)| row(n, 8, e)).to_vec();
        assert_eq!(breaks(&rows), [Break { bits: 8, entries: 16, worst: 0.031, mean: 0.0155 }]);
        assert_eq!(RomSize { log2: 8, bits: 16 }.total_bits(), 4096);
    }
}
