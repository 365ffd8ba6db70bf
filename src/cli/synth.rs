//! `tritforge synth`: area of every block of one configuration, as yosys estimates it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use tritforge_rtl::leaves;
use tritforge_spec::block::Interface;
use tritforge_spec::config::AccelConfig;
use tritforge_spec::hw::Hw;
use tritforge_spec::top::{Instance, Params};

use super::output::JsonArgs;
use super::partial::Partial;
use super::progress::Progress;
use super::{Outcome, output};
use crate::compile::quantise::attn_shape;
use crate::model::Model;
use crate::model::gguf::Gguf;
use crate::report::area::{self, Area, AreaReport, BlockArea, Family};

/// Estimate the area of the accelerator on an FPGA family, block by block, with yosys.
///
/// Each block is mapped alone, with the parameters it has in the top; wiring and placement come on top, and nothing is said about the
/// clock. BRAM counts are in the units named beside them.
///
/// Example: tritforge synth --config configs/small.toml --target ecp5 --blocks tmac,attn
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The accelerator configuration, TOML (configs/*.toml).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The model whose shape the hardware is built for (file or folder); the embedded model (models/stories3m.tq1_0.gguf) without it.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// The FPGA family.
    #[arg(long = "target", value_enum)]
    family: Family,
    /// Blocks by name, as tmac,attn; all without it.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    blocks: Option<Vec<String>>,
    #[command(flatten)]
    json: JsonArgs,
}

/// yosys: where it is, and its version.
struct Yosys {
    path: PathBuf,
    version: String,
}

impl Yosys {
    /// The project's own (`.tools/bin` below the current folder), else the one on PATH.
    fn find() -> anyhow::Result<Self> {
        let local = Path::new(".tools/bin/yosys");
        // Absolute, because it runs in another folder.
        let path = if local.exists() { local.canonicalize()? } else { PathBuf::from("yosys") };
        let output = Command::new(&path).arg("-V").output();
        let version = output.ok().map(|o| String::from_utf8_lossy(&o.stdout).lines().next().unwrap_or_default().trim().to_owned());
        match version {
            Some(version) if !version.is_empty() => Ok(Yosys { path, version }),
            _ => bail!("yosys: not found in .tools/bin or on PATH; install it with `make tools`"),
        }
    }
}

/// A folder that goes away with its owner.
fn scratch(name: &str) -> anyhow::Result<Partial> {
    let path = std::env::temp_dir().join(format!("tritforge-synth-{name}"));
    Partial::folder(&path).with_context(|| format!("cannot make a folder beside {}: set TMPDIR to a writable folder", path.display()))
}

/// `text` with the default of its string parameter replaced: yosys takes no strings on its command line.
fn with_string_default(text: &str, param: &str, value: &str) -> String {
    let Some(at) = text.find(&format!("{param} = \"")) else { return text.to_owned() };
    let start = at + param.len() + 4;
    let end = text[start..].find('"').map_or(text.len(), |n| start + n);
    format!("{}{value}{}", &text[..start], &text[end..])
}

/// The yosys script that maps `interface` and writes `stat.json`.
fn script(interface: &Interface, family: Family, files: &[String]) -> String {
    let set: String = interface.verilog_params.iter().map(|(n, v)| format!(" -set {n} {v}")).collect();
    let chparam = if set.is_empty() { String::new() } else { format!("chparam{set} {}; ", interface.stem) };
    // The hierarchy is derived first: yosys 0.23 stops when synth_* derives it with changed parameters. It calls the derived top by a
    // hash, so that the top gets its name back.
    format!(
        "read_verilog -sv {}; {chparam}hierarchy -check -top {top}; rename -top {top}; proc; check -assert; flatten; {}{} -top {top}; tee -q -o stat.json stat -json",
        files.join(" "),
        family.prepare(),
        family.command(),
        top = interface.stem
    )
}

/// Area of one block.
fn block_area(yosys: &Yosys, interface: &Interface, family: Family) -> anyhow::Result<Area> {
    let stem = interface.stem;
    let folder = scratch(stem)?;
    let mut files = Vec::new();
    for (name, text) in leaves::with_dependencies(stem).with_context(|| format!("no module {stem} among the leaves"))? {
        let mut text = text.into_owned();
        if name == stem {
            text = interface.roms.iter().fold(text, |t, rom| with_string_default(&t, rom.param, &rom.file));
        }
        output::write_file(&folder.path().join(format!("{name}.sv")), text.as_bytes())?;
        files.push(format!("{name}.sv"));
    }
    for rom in &interface.roms {
        output::write_file(&folder.path().join(&rom.file), rom.text.as_bytes())?;
    }
    let script = script(interface, family, &files);
    let done =
        Command::new(&yosys.path).current_dir(folder.path()).args(["-q", "-p", &script]).output().context("yosys cannot be started")?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        let lines: Vec<&str> = said.lines().collect();
        bail!("yosys failed on block {stem}: {}", lines[lines.len().saturating_sub(8)..].join("\n"));
    }
    let json = fs::read_to_string(folder.path().join("stat.json")).context("yosys wrote no statistics; use yosys 0.23 or later")?;
    // yosys writes log lines before and after the JSON.
    let json = json.find('{').zip(json.rfind('}')).map_or("", |(a, b)| &json[a..=b]);
    family.count(json).with_context(|| format!("statistics of block {stem} are not the JSON expected; use yosys 0.23 or later"))
}

/// The instances that were asked for, each once.
fn chosen(all: Vec<Instance>, names: Option<&[String]>) -> anyhow::Result<Vec<Instance>> {
    let Some(names) = names else { return Ok(all) };
    if let Some(unknown) = names.iter().find(|n| all.iter().all(|i| i.name != n.as_str())) {
        let known: Vec<&str> = all.iter().map(|i| i.name).collect();
        bail!("--blocks: no block '{unknown}'; expected some of {}", known.join(", "));
    }
    Ok(all.into_iter().filter(|i| names.iter().any(|n| n == i.name)).collect())
}

/// Runs yosys over the blocks of `hw`.
///
/// # Errors
/// No yosys, an unknown block, or what yosys refused.
pub fn area(hw: &Hw, family: Family, names: Option<&[String]>) -> anyhow::Result<AreaReport> {
    let params = Params::from(hw);
    let instances = chosen(params.instances(), names)?;
    let yosys = Yosys::find()?;
    let progress = Progress::new(instances.len() as u64, "synthesising");
    let (mut blocks, mut total): (Vec<BlockArea>, _) = (Vec::new(), Area::default());
    let mut done: Vec<(&Interface, Area)> = Vec::new();
    for instance in &instances {
        // Instances with equal parameters are mapped once.
        let i = &instance.interface;
        let known = done.iter().find(|(d, _)| d.stem == i.stem && d.verilog_params == i.verilog_params).map(|d| d.1);
        let area = known.map_or_else(|| block_area(&yosys, i, family), Ok)?;
        done.push((i, area));
        total += area;
        blocks.push(BlockArea { name: instance.name.to_owned(), area });
        progress.tick();
    }
    progress.finish();
    Ok(AreaReport {
        kind: "estimated",
        target: family.name(),
        config: hw.config.name.clone(),
        hw_hash: format!("{:016x}", params.hw_hash),
        bram_unit: family.bram_unit(),
        tool: yosys.version.clone(),
        command: format!("read_verilog -sv; hierarchy; proc; flatten; {}{}", family.prepare(), family.command()),
        blocks,
        total,
    })
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    let text = crate::inputs::read_text(&args.config)
        .with_context(|| format!("config {}: cannot be read; give one of configs/*.toml or your own", args.config.display()))?;
    let config = AccelConfig::from_toml(&text).with_context(|| format!("config {}", args.config.display()))?;
    let model = match &args.model {
        Some(path) => Model::open(path)?,
        None => Model::from_gguf(&Gguf::parse(super::demo::MODEL)?)?,
    };
    let report = area(&Hw::new(config, attn_shape(&model.shape)?)?, args.family, args.blocks.as_deref())?;
    write!(args.json.text(), "{}", area::text(&report)).context("cannot write to standard output")?;
    args.json.write(&report)?;
    Ok(Outcome::Held)
}
