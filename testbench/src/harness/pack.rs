//! Designs that are Verilated together: one compiler run for many small ones. A pack of one is the design itself; of several, a wrapper
//! `pack` holds them side by side, each with all its ports (its own clock too, so those that rest cost nothing).

use super::design::Design;
use anyhow::{Result, ensure};
use std::fmt::Write;
use tritforge_spec::block::{Dir, RomFile};

/// What one Verilator run builds.
#[derive(Clone, Debug)]
pub struct Pack {
    pub members: Vec<Design>,
}

impl From<&Design> for Pack {
    fn from(design: &Design) -> Self {
        Self { members: vec![design.clone()] }
    }
}

impl Pack {
    /// Module name of what is Verilated.
    pub fn top(&self) -> &str {
        match &self.members[..] {
            [one] => &one.top,
            _ => "pack",
        }
    }

    /// What stands before the port names of member `k`.
    pub fn prefix(&self, k: usize) -> String {
        if self.members.len() == 1 { String::new() } else { format!("u{k}_") }
    }

    /// What the pack holds, a line a member: the line by which a build is known in `testbench/builds.txt`.
    pub fn labels(&self) -> Vec<String> {
        self.members.iter().map(Design::label).collect()
    }

    /// Verilog parameters of the top, as for `-G`: those of a single design; a wrapper gives its members theirs.
    pub fn params(&self) -> &[(String, i64)] {
        match &self.members[..] {
            [one] => &one.params,
            _ => &[],
        }
    }

    /// ROM files with the name of the top's string parameter for each.
    pub fn roms(&self) -> Vec<(String, &RomFile)> {
        let of = |k: usize| {
            let prefix = self.prefix(k).to_uppercase();
            self.members[k].roms.iter().map(move |rom| (format!("{prefix}{}", rom.param), rom))
        };
        (0..self.members.len()).flat_map(of).collect()
    }

    /// File name and text of every source, users after what they use.
    ///
    /// # Errors
    /// Two members have different texts of one file name.
    pub fn sources(&self) -> Result<Vec<(String, String)>> {
        let mut all: Vec<(String, String)> = Vec::new();
        for source in self.members.iter().flat_map(|m| &m.sources) {
            match all.iter().find(|(name, _)| *name == source.0) {
                Some((name, text)) => ensure!(*text == source.1, "{name} has two texts in one pack"),
                None => all.push(source.clone()),
            }
        }
        if self.members.len() > 1 {
            all.push(("pack.sv".to_owned(), self.wrapper()));
        }
        Ok(all)
    }

    /// The module `pack`: member k is the instance `uk`, its port p the port `uk_p`, its ROM parameter R the parameter `Uk_R`.
    fn wrapper(&self) -> String {
        let (mut params, mut ports, mut body) = (Vec::new(), Vec::new(), String::new());
        for (rom, _) in self.roms() {
            params.push(format!("parameter {rom} = \"\""));
        }
        for (k, design) in self.members.iter().enumerate() {
            let prefix = self.prefix(k);
            let mut given: Vec<String> = design.params.iter().map(|(n, v)| format!(".{n}({v})")).collect();
            given.extend(design.roms.iter().map(|r| format!(".{0}({1}{0})", r.param, prefix.to_uppercase())));
            let wires: Vec<String> = design.ports.iter().map(|p| format!(".{0}({prefix}{0})", p.name)).collect();
            for p in &design.ports {
                let dir = if p.dir == Dir::In { "input " } else { "output" };
                ports.push(format!("{dir} logic [{}:0] {prefix}{}", p.width - 1, p.name));
            }
            let given = if given.is_empty() { String::new() } else { format!("#({}) ", given.join(", ")) };
            let _ = writeln!(body, "    {} {given}u{k} ({});", design.top, wires.join(", "));
        }
        let params = if params.is_empty() { String::new() } else { format!("#(\n    {}\n) ", params.join(",\n    ")) };
        format!("module pack {params}(\n    {}\n);\n{body}endmodule\n", ports.join(",\n    "))
    }
}
