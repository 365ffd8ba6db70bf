//! Every Verilator build of `make test`: the blocks' parameter sets, packed; the tops of [`tops`]; planted faults. Nothing else is built by
//! a test ([`check`]); `testbench/builds.txt` is this list as text, held equal by `tritforge gen --check`.

pub mod tops;

use crate::{
    harness::{Design, Flavor, Pack},
    machine,
};
use anyhow::{Context, Result, ensure};
use std::{fmt::Write, sync::OnceLock};
use tritforge_spec::block::{BLOCKS, Interface, attn, fifo, headq, norm, rhe_div, skid, tmac};

/// At most so many builds: a cold run of all tests has to end within minutes.
pub const MOST: usize = 40;

/// Small blocks that share a build. Every other block has one for all its parameter sets.
const TOGETHER: &[&[&str]] = &[
    &["skid", "fifo", "ram_sdp", "rhe_div", "scale_mul", "scale_norm", "route", "axi_burst"],
    &["xload", "xstore", "kvwrite", "kvread"],
    &["axi_read_port", "axi_read"],
    &["axi_write_port", "axi_write"],
    &["rope", "headq"],
    &["softmax", "attn_out"],
    &["unpack", "resid"],
];

/// Parameter sets that single tests need besides the blocks' examples.
fn extremes() -> Vec<Interface> {
    let division = |qmax| Interface::of(&rhe_div::Params { mag_bits: 8, qmax, lanes: 1, tag_bits: 16 });
    let attn = |kv_heads, w| Interface::of(&attn::Params::from_widths(2, kv_heads, 32, 2, 4, 8, w));
    vec![
        // Cycles of one-word and two-word vectors, of one KV head and two.
        attn(1, 128),
        attn(2, 512),
        attn(1, 512),
        // Every pair of eight bits.
        division(127),
        division(31),
        division(7),
        // The most heads, the longest vectors of the contract.
        Interface::of(&headq::Params { head_dim: 32, heads: 255, kv_heads: 255, batch: 1, vec: 16, kv_bits: 8 }),
        Interface::of(&norm::Params { word_bits: 512, vec: 16, token_bits: 1, batch: 1, max_len: 16384 }),
        Interface::of(&tmac::Params { lanes: 320, batch: 1, vec: 16, depth: 52 }),
    ]
}

/// A fault planted to see that it is caught: in the sources of `of`, `from` is replaced by `to`.
struct Fault {
    name: &'static str,
    of: fn() -> Result<Design>,
    from: &'static str,
    to: &'static str,
}

fn skid() -> Result<Design> {
    Design::of(&skid::Params { width: 8 })
}

fn block_ram_fifo() -> Result<Design> {
    Design::of(&fifo::Params { width: 8, depth: 65 })
}

fn small_top() -> Result<Design> {
    machine::design(&(&tops::named("small").hw).into())
}

const FAULTS: &[Fault] = &[
    Fault { name: "skid: one cycle", of: skid, from: "count_q + 2'd1", to: "count_q + 2'd2" },
    Fault {
        name: "skid: output from an input of the same cycle",
        of: skid,
        from: "out_data  = head_q",
        to: "out_data  = out_valid ? head_q : in_data",
    },
    Fault { name: "fifo: one bit", of: block_ram_fifo, from: "data_q <= mem[rptr_q];", to: "data_q <= mem[rptr_q] ^ W'(rptr_q == LAST);" },
    Fault { name: "fifo: one cycle", of: block_ram_fifo, from: "stored && (!full_q || out_ready);", to: "stored && !full_q;" },
    // One bit of the words that leave; one cycle of the register file's write channel, whose values stay right.
    Fault { name: "top: one bit", of: small_top, from: "  assign wd_data    = word_q;", to: "  assign wd_data    = word_q ^ W'(1);" },
    Fault { name: "top: one cycle", of: small_top, from: "assign s_wready  = !w_q;", to: "assign s_wready  = !w_q && aw_q;" },
];

/// The design with the planted fault `name`. Panics for a name that is not in the list, or where the sources have no such place.
pub fn faulty(name: &str) -> Design {
    let fault = FAULTS.iter().find(|f| f.name == name).unwrap_or_else(|| panic!("no planted fault {name:?} in testbench/src/builds"));
    plant(fault).unwrap_or_else(|e| panic!("{name}: {e:#}"))
}

fn plant(fault: &Fault) -> Result<Design> {
    (fault.of)()?.with_fault(fault.from, fault.to)
}

/// The pack that holds the block with this interface, and its place in it.
///
/// # Errors
/// No build holds these parameters.
pub fn of_block(interface: &Interface) -> Result<(Pack, usize)> {
    let alone = [interface.stem];
    let stems = TOGETHER.iter().copied().find(|t| t.contains(&interface.stem)).unwrap_or(&alone);
    let members = together(stems);
    let place = members.iter().position(|m| m == interface).with_context(|| {
        format!(
            "{} with {:?} is in no build: expected one of its examples (spec/src/block/{0}.rs) or of `extremes` (testbench/src/builds/mod.rs); add it there",
            interface.stem, interface.verilog_params
        )
    })?;
    Ok((Pack { members: members.iter().map(Design::from_interface).collect::<Result<_>>()? }, place))
}

/// All parameter sets of these blocks.
fn together(stems: &[&str]) -> Vec<Interface> {
    let examples = BLOCKS.iter().filter(|b| stems.contains(&b.stem)).flat_map(|b| (b.examples)());
    let mut all: Vec<Interface> = Vec::new();
    for interface in examples.chain(extremes().into_iter().filter(|i| stems.contains(&i.stem))) {
        if !all.contains(&interface) {
            all.push(interface);
        }
    }
    all
}

/// What is built of what is in a line.
struct Build {
    flavor: Flavor,
    labels: Vec<String>,
}

fn all() -> Result<Vec<Build>> {
    let mut builds = Vec::new();
    let mut add = |flavor, pack: &Pack| builds.push(Build { flavor, labels: pack.labels() });
    let mut seen: Vec<&str> = Vec::new();
    for block in BLOCKS {
        if !seen.contains(&block.stem) {
            let (pack, _) = of_block((block.examples)().first().context("a block without examples")?)?;
            seen.extend(BLOCKS.iter().map(|b| b.stem).filter(|s| pack.members.iter().any(|m| m.top == *s)));
            add(Flavor::Test, &pack);
        }
    }
    for top in tops::all() {
        add(Flavor::Test, &(&machine::design(&(&top.hw).into())?).into());
    }
    for fault in FAULTS {
        add(Flavor::Test, &(&plant(fault)?).into());
    }
    // The report of one planted fault comes with its wave; the flavours of a build are compared with each other.
    add(Flavor::Wave, &(&faulty("fifo: one bit")).into());
    add(Flavor::Wave, &(&skid()?).into());
    add(Flavor::Fast, &(&skid()?).into());
    Ok(builds)
}

fn list() -> &'static Result<Vec<Build>, String> {
    static LIST: OnceLock<Result<Vec<Build>, String>> = OnceLock::new();
    LIST.get_or_init(|| all().map_err(|e| format!("{e:#}")))
}

/// Refuses what a test builds and the list does not hold. Waves are free: a test that fails makes one.
///
/// # Errors
/// The build is not in the list.
pub fn check(pack: &Pack, flavor: Flavor) -> Result<()> {
    let list = list().as_ref().map_err(|e| anyhow::anyhow!("{e}"))?;
    let labels = pack.labels();
    ensure!(
        flavor == Flavor::Wave || list.iter().any(|b| b.flavor == flavor && b.labels == labels),
        "a test builds {} ({flavor:?}), which is not in testbench/src/builds: add it there, and to testbench/builds.txt with `tritforge gen`",
        labels.join(", ")
    );
    Ok(())
}

/// Path of the list from the project's root.
pub const FILE: &str = "testbench/builds.txt";

/// The text of [`FILE`]: a line a build, its members indented below.
///
/// # Errors
/// A design of the list cannot be made, or there are more than [`MOST`].
pub fn text() -> Result<String> {
    let list = list().as_ref().map_err(|e| anyhow::anyhow!("{e}"))?;
    // The bundle's own `make sim` builds its testbench.
    let count = list.len() + 1;
    ensure!(count <= MOST, "{count} Verilator builds, expected at most {MOST}: let blocks share a build (testbench/src/builds)");
    let mut text = format!(
        "The {count} Verilator builds of `make test`, all that its tests make. Generated by `tritforge gen` from testbench/src/builds; do not edit.\n"
    );
    for (i, build) in list.iter().enumerate() {
        let _ = writeln!(text, "\n{} {:?}", i + 1, build.flavor);
        for label in &build.labels {
            let _ = writeln!(text, "    {label}");
        }
    }
    let _ =
        writeln!(text, "\n{count} Bundle\n    tritforge_tb of the embedded model on configs/small.toml, by the bundle's own `make sim`");
    Ok(text)
}
