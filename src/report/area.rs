//! Area as yosys estimates it: a block's cells by type, counted into LUT, FF, BRAM and DSP of the target.
//! In: the JSON of yosys' `stat`; out: [`Area`].

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::Serialize;

/// FPGA families that yosys maps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Family {
    Ecp5,
    Ice40,
    Gowin,
    Xcup,
}

impl Family {
    /// The synthesis command, without its top.
    pub fn command(self) -> &'static str {
        match self {
            Family::Ecp5 => "synth_ecp5",
            Family::Ice40 => "synth_ice40 -dsp",
            Family::Gowin => "synth_gowin",
            // The smaller of the two: functions of seven and eight inputs, made of two and four LUTs, cost yosys 0.23 more than they save.
            Family::Xcup => "synth_xilinx -family xcup -flatten -nowidelut",
        }
    }

    /// What comes before it. iCE40 has no distributed RAM: what asks for it becomes block RAM, or flip-flops where it is read at once.
    pub fn prepare(self) -> &'static str {
        match self {
            Family::Ice40 => "setattr -unset ram_style m:*; ",
            Family::Ecp5 | Family::Gowin | Family::Xcup => "",
        }
    }

    /// Name in results.
    pub fn name(self) -> &'static str {
        match self {
            Family::Ecp5 => "ecp5",
            Family::Ice40 => "ice40",
            Family::Gowin => "gowin",
            Family::Xcup => "xcup",
        }
    }

    /// What a block RAM of the count is.
    pub fn bram_unit(self) -> &'static str {
        match self {
            Family::Ecp5 => "18 kbit (DP16KD)",
            Family::Ice40 => "4 kbit (SB_RAM40_4K)",
            Family::Gowin => "18 kbit (BSRAM)",
            Family::Xcup => "18 kbit (RAMB18; a RAMB36 counts 2)",
        }
    }

    /// What one cell of `kind` takes: LUTs (of the family's own size; distributed RAM and carry cells that stand in place of LUTs
    /// included), flip-flops, block RAMs, DSPs.
    fn cell(self, kind: &str) -> Area {
        let lut = |lut| Area { lut, ..Area::default() };
        let (ff, bram, dsp) =
            (Area { ff: 1, ..Area::default() }, |bram| Area { bram, ..Area::default() }, Area { dsp: 1, ..Area::default() });
        let is = |prefixes: &[&str]| prefixes.iter().any(|p| kind.starts_with(p));
        match self {
            Family::Ecp5 if kind == "LUT4" => lut(1),
            Family::Ecp5 if kind == "CCU2C" => lut(2),
            Family::Ecp5 if kind == "TRELLIS_DPR16X4" => lut(4),
            Family::Ecp5 if is(&["TRELLIS_FF"]) => ff,
            Family::Ecp5 if is(&["DP16KD", "PDPW16KD"]) => bram(1),
            Family::Ecp5 if is(&["MULT", "ALU"]) => dsp,
            Family::Ice40 if kind == "SB_LUT4" => lut(1),
            Family::Ice40 if is(&["SB_DFF"]) => ff,
            Family::Ice40 if is(&["SB_RAM"]) => bram(1),
            Family::Ice40 if is(&["SB_MAC"]) => dsp,
            Family::Gowin if is(&["LUT", "ALU"]) => lut(1),
            Family::Gowin if is(&["RAM16"]) => lut(4),
            Family::Gowin if is(&["DFF"]) => ff,
            Family::Gowin if is(&["SP", "SDP", "DP", "pROM"]) => bram(1),
            Family::Gowin if is(&["MULT"]) => dsp,
            Family::Xcup if is(&["RAM32M16", "RAM64M8"]) => lut(8),
            Family::Xcup if is(&["RAM32M", "RAM64M", "RAM128X1D"]) => lut(4),
            Family::Xcup if is(&["RAM32X1D", "RAM64X1D"]) => lut(2),
            Family::Xcup if is(&["LUT", "INV", "SRL", "RAM32X1S", "RAM64X1S"]) => lut(1),
            Family::Xcup if is(&["FD"]) => ff,
            Family::Xcup if is(&["RAMB36"]) => bram(2),
            Family::Xcup if is(&["RAMB18"]) => bram(1),
            Family::Xcup if is(&["DSP"]) => dsp,
            _ => Area::default(),
        }
    }

    /// Counts the cells of `stat -json`; `None` where the text is not that.
    pub fn count(self, json: &str) -> Option<Area> {
        #[derive(serde::Deserialize)]
        struct Stat {
            design: Cells,
        }
        #[derive(serde::Deserialize)]
        struct Cells {
            num_cells_by_type: BTreeMap<String, u64>,
        }
        let stat: Stat = serde_json::from_str(json).ok()?;
        let mut area = Area::default();
        for (kind, count) in stat.design.num_cells_by_type {
            let one = self.cell(&kind);
            area += Area { lut: one.lut * count, ff: one.ff * count, bram: one.bram * count, dsp: one.dsp * count };
        }
        Some(area)
    }
}

/// Resources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Area {
    pub lut: u64,
    pub ff: u64,
    pub bram: u64,
    pub dsp: u64,
}

impl AddAssign for Area {
    fn add_assign(&mut self, other: Self) {
        self.lut += other.lut;
        self.ff += other.ff;
        self.bram += other.bram;
        self.dsp += other.dsp;
    }
}

/// One block.
#[derive(Clone, Debug, Serialize)]
pub struct BlockArea {
    pub name: String,
    #[serde(flatten)]
    pub area: Area,
}

/// All of `tritforge synth`'s results.
#[derive(Clone, Debug, Serialize)]
pub struct AreaReport {
    pub kind: &'static str,
    pub target: &'static str,
    pub config: String,
    pub hw_hash: String,
    pub bram_unit: &'static str,
    /// Version and command of the tool.
    pub tool: String,
    pub command: String,
    pub blocks: Vec<BlockArea>,
    pub total: Area,
}

/// The table for people.
pub fn text(r: &AreaReport) -> String {
    use std::fmt::Write;
    let mut t =
        format!("{} area of {} (hw {}) on {}, a block at a time ({}; {})\n", r.kind, r.config, r.hw_hash, r.target, r.tool, r.command);
    let _ = writeln!(t, "{:<12}{:>9}{:>9}{:>7}{:>6}   BRAM: {}", "block", "LUT", "FF", "BRAM", "DSP", r.bram_unit);
    let total = BlockArea { name: "total".into(), area: r.total };
    for b in r.blocks.iter().chain([&total]) {
        let _ = writeln!(t, "{:<12}{:>9}{:>9}{:>7}{:>6}", b.name, b.area.lut, b.area.ff, b.area.bram, b.area.dsp);
    }
    t
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_counted_into_the_familys_resources() {
        let json = r#"{"design": {"num_cells_by_type": {"LUT6": 3, "INV": 1, "FDRE": 7, "RAMB36E2": 2, "RAMB18E2": 1, "DSP48E2": 4, "CARRY4": 9, "RAM32M": 1}}}"#;
        assert_eq!(Family::Xcup.count(json), Some(Area { lut: 8, ff: 7, bram: 5, dsp: 4 }));
        let json =
            r#"{"design": {"num_cells_by_type": {"LUT4": 3, "CCU2C": 2, "TRELLIS_FF": 5, "DP16KD": 1, "MULT18X18D": 2, "PFUMX": 9}}}"#;
        assert_eq!(Family::Ecp5.count(json), Some(Area { lut: 7, ff: 5, bram: 1, dsp: 2 }));
        assert_eq!(Family::Ice40.count("nothing"), None);
    }
}
