//! What the tools say about a design: Verilator's warnings, yosys's and Icarus's acceptance, and the ports as yosys
//! elaborates them. Each answer is `None`, said aloud, when the tool is missing.

use super::{
    design::Design,
    tools::{self, Tool},
};
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tritforge_rtl::leaves;
use tritforge_spec::block::{BLOCKS, Dir};

/// A leaf module alone: with the parameters of its first example where it is a block, else with its Verilog defaults.
pub fn leaf(stem: &str) -> Result<Design> {
    if let Some(block) = BLOCKS.iter().find(|b| b.stem == stem)
        && let Some(first) = (block.examples)().first()
    {
        return Design::from_interface(first);
    }
    let sources = leaves::with_dependencies(stem).with_context(|| format!("no module {stem} in rtl/src/leaves.rs"))?;
    Ok(Design {
        top: stem.to_owned(),
        sources: sources.into_iter().map(|(s, text)| (format!("{s}.sv"), text.into_owned())).collect(),
        params: Vec::new(),
        roms: Vec::new(),
        ports: Vec::new(),
        note: String::new(),
    })
}

/// Writes the sources and ROM files where the tools find them.
fn write(design: &Design) -> Result<PathBuf> {
    let mut files = design.sources.clone();
    for rom in &design.roms {
        files.push((rom.file.clone(), rom.text.clone()));
        let top = format!("{}.sv", design.top);
        for (_, text) in files.iter_mut().filter(|(name, _)| *name == top) {
            *text = with_string_default(text, rom.param, &rom.file);
        }
    }
    let mut hash = Sha256::new();
    for (name, text) in &files {
        hash.update(format!("{name} {}\n{text}", text.len()));
    }
    let digest: String = hash.finalize().iter().take(10).map(|b| format!("{b:02x}")).collect();
    let dir = tools::build_dir().join("lint").join(digest);
    fs::create_dir_all(&dir)?;
    for (name, text) in &files {
        let path = dir.join(name);
        // Rewriting an equal file would truncate it under another test that reads it.
        if fs::read_to_string(&path).ok().as_deref() != Some(text) {
            put(&dir, name, text)?;
        }
    }
    Ok(dir)
}

/// `text` with the default of its string parameter replaced: yosys takes no strings on its command line.
fn with_string_default(text: &str, param: &str, value: &str) -> String {
    let Some(at) = text.find(&format!("{param} = \"")) else {
        return text.to_owned();
    };
    let start = at + param.len() + 4;
    let end = text[start..].find('"').map_or(text.len(), |n| start + n);
    format!("{}{value}{}", &text[..start], &text[end..])
}

fn names(design: &Design) -> impl Iterator<Item = &str> {
    design.sources.iter().map(|(n, _)| n.as_str())
}

/// Runs a tool in the folder of the sources; its output, or an error that holds it. What a tool that succeeded said is kept beside the
/// sources, for the same question of another run.
fn ask(tool: &Tool, design: &Design, arguments: &[String]) -> Result<String> {
    let dir = write(design)?;
    let question: String = Sha256::digest(format!("{tool:?} {arguments:?}")).iter().take(10).map(|b| format!("{b:02x}")).collect();
    let answer = format!("said-{question}");
    if let Ok(said) = fs::read_to_string(dir.join(&answer)) {
        return Ok(said);
    }
    let output = Command::new(&tool.path).current_dir(&dir).args(arguments).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} {}: {} {}\n{text}", design.top, params(design), tool.path.display(), arguments.join(" "));
    put(&dir, &answer, &text)?;
    Ok(text)
}

/// Writes a file as a whole: another test reads it already or not yet.
fn put(dir: &Path, name: &str, text: &str) -> Result<()> {
    let part = dir.join(format!("{name}.{}-{:?}", std::process::id(), std::thread::current().id()));
    fs::write(&part, text)?;
    Ok(fs::rename(part, dir.join(name))?)
}

fn params(design: &Design) -> String {
    design.params.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(" ")
}

/// `verilator --lint-only -Wall`: no warning at all.
pub fn verilator(design: &Design) -> Result<Option<()>> {
    let Some(tool) = tools::verilator() else {
        tools::missing("verilator", &format!("lint of {}", design.top));
        return Ok(None);
    };
    let mut arguments = ["--lint-only", "-Wall", "--top-module", &design.top].map(str::to_owned).to_vec();
    arguments.extend(design.params.iter().map(|(n, v)| format!("-G{n}={v}")));
    arguments.extend(names(design).map(str::to_owned));
    let said = ask(tool, design, &arguments)?;
    ensure!(!said.contains("%Warning"), "{} {}: {said}", design.top, params(design));
    Ok(Some(()))
}

fn yosys_script(design: &Design, then: &str) -> Vec<String> {
    let sources = names(design).collect::<Vec<_>>().join(" ");
    let set: String = design.params.iter().map(|(n, v)| format!(" -set {n} {v}")).collect();
    // Not `hierarchy -chparam`: yosys 0.23 then derives a submodule twice and stops.
    let chparam = if set.is_empty() { String::new() } else { format!("chparam{set} {}; ", design.top) };
    let script = format!("read_verilog -sv {sources}; {chparam}hierarchy -check -top {}; {then}", design.top);
    vec!["-q".to_owned(), "-p".to_owned(), script]
}

/// yosys reads and elaborates it and finds no multiple driver, undriven wire or combinational loop.
pub fn yosys(design: &Design) -> Result<Option<()>> {
    let Some(tool) = tools::yosys() else {
        tools::missing("yosys", &format!("check of {}", design.top));
        return Ok(None);
    };
    ask(tool, design, &yosys_script(design, "proc; check -assert")).map(|_| Some(()))
}

/// Icarus compiles it.
pub fn icarus(design: &Design) -> Result<Option<()>> {
    let Some(tool) = tools::iverilog() else {
        tools::missing("iverilog", &format!("compilation of {}", design.top));
        return Ok(None);
    };
    let mut arguments = ["-g2012", "-t", "null", "-s", &design.top].map(str::to_owned).to_vec();
    arguments.extend(design.params.iter().map(|(n, v)| format!("-P{}.{n}={v}", design.top)));
    arguments.extend(names(design).map(str::to_owned));
    ask(tool, design, &arguments).map(|_| Some(()))
}

/// A port as the Verilog has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerilogPort {
    pub name: String,
    pub dir: Dir,
    pub width: usize,
}

/// The ports of the elaborated top in the order of its port list.
pub fn ports(design: &Design) -> Result<Option<Vec<VerilogPort>>> {
    let Some(tool) = tools::yosys() else {
        tools::missing("yosys", &format!("ports of {}", design.top));
        return Ok(None);
    };
    let header = header_only(design)?;
    let text = ask(tool, &header, &yosys_script(&header, "write_rtlil"))?;
    parse_ports(&text, &design.top).map(Some)
}

/// The design with the body of its top left out, and all other modules: a wide body takes yosys minutes.
fn header_only(design: &Design) -> Result<Design> {
    let mut header = design.clone();
    let top = format!("{}.sv", design.top);
    header.sources.retain(|(name, text)| *name == top || !text.contains("endmodule"));
    for (name, text) in &mut header.sources {
        if *name == top {
            let end = text.find("\n);\n").with_context(|| format!("{top}: a line `);` that ends the port list expected"))?;
            text.truncate(end);
            // yosys takes an empty module as a black box and leaves its parameters alone.
            text.push_str("\n);\nlogic body;\nassign body = 1'b0;\nendmodule\n");
        }
    }
    Ok(header)
}

/// Ports of the module marked as top in RTLIL text: lines `wire [width N] input|output ORDER \name`.
fn parse_ports(rtlil: &str, top: &str) -> Result<Vec<VerilogPort>> {
    let mut found = Vec::new();
    let (mut marked, mut inside) = (false, false);
    for line in rtlil.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["attribute", "\\top", "1"] => marked = true,
            ["module", _] => (inside, marked) = (marked, false),
            ["end"] if !line.starts_with(' ') => inside = false,
            ["wire", ref rest @ ..] if inside => found.extend(parse_wire(rest)),
            _ => {}
        }
    }
    if found.is_empty() {
        bail!("yosys shows no ports of {top}:\n{rtlil}");
    }
    found.sort_by_key(|(order, _)| *order);
    Ok(found.into_iter().map(|(_, port)| port).collect())
}

fn parse_wire(words: &[&str]) -> Option<(usize, VerilogPort)> {
    let after = |key: &str| words.iter().position(|w| *w == key).and_then(|i| words.get(i + 1));
    let (dir, order) = match (after("input"), after("output")) {
        (Some(n), None) => (Dir::In, n.parse().ok()?),
        (None, Some(n)) => (Dir::Out, n.parse().ok()?),
        _ => return None,
    };
    let width = after("width").map_or(Some(1), |w| w.parse().ok())?;
    let name = words.last()?.strip_prefix('\\')?.to_owned();
    Some((order, VerilogPort { name, dir, width }))
}
