//! What is to be Verilated: sources, top, parameters, ports.

use anyhow::{Context, Result, ensure};
use tritforge_rtl::leaves;
use tritforge_spec::block::{Contract, Dir, Interface, Port, Role, RomFile};

/// Verilog sources in the order in which they are read, and the interface of their top module.
#[derive(Clone, Debug)]
pub struct Design {
    pub top: String,
    /// File name and text.
    pub sources: Vec<(String, String)>,
    pub params: Vec<(String, i64)>,
    /// Files beside the sources that `$readmemh` reads.
    pub roms: Vec<RomFile>,
    pub ports: Vec<Port>,
    /// What tells it apart beside its parameters, for people: the hardware of a top, a planted fault.
    pub note: String,
}

impl Design {
    /// The leaf module of the block with these parameters, and what it instantiates.
    pub fn of<P: Contract>(params: &P) -> Result<Self> {
        Self::from_interface(&Interface::of(params))
    }

    /// As [`Design::of`].
    pub fn from_interface(interface: &Interface) -> Result<Self> {
        let stem = interface.stem;
        let sources =
            leaves::with_dependencies(stem).with_context(|| format!("no module {stem} in rtl/src/leaves.rs: add its line to LEAVES"))?;
        Ok(Self {
            top: stem.to_owned(),
            sources: sources.into_iter().map(|(s, text)| (format!("{s}.sv"), text.into_owned())).collect(),
            params: interface.verilog_params.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect(),
            roms: interface.roms.clone(),
            ports: interface.ports.clone(),
            note: String::new(),
        })
    }

    /// The same with `from`, which must occur exactly once in all sources, replaced: a planted fault.
    pub fn with_fault(mut self, from: &str, to: &str) -> Result<Self> {
        let found: usize = self.sources.iter().map(|(_, t)| t.matches(from).count()).sum();
        ensure!(found == 1, "fault in {}: {from:?} occurs {found} times, expected once", self.top);
        for (_, text) in &mut self.sources {
            *text = text.replace(from, to);
        }
        self.note += &format!(" FAULT {} => {}", from.trim(), to.trim());
        Ok(self)
    }

    /// Name, parameters and note in one line.
    pub fn label(&self) -> String {
        let params: String = self.params.iter().map(|(n, v)| format!(" {n}={v}")).collect();
        format!("{}{params}{}", self.top, self.note)
    }

    /// The input ports but the clock, or the output ports, in contract order.
    pub fn ports_of(&self, dir: Dir) -> impl Iterator<Item = &Port> {
        self.ports.iter().filter(move |p| p.dir == dir && p.role != Role::Clock)
    }
}
