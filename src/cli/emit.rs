//! `tritforge emit`: the bundle of one model and one configuration in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tritforge_rtl::bundle::{self, BundleFile};
use tritforge_spec::top::Params;

use super::partial::Partial;
use super::{Outcome, output};
use crate::compile::{Target, vectors};
use crate::inputs;

/// Write the Verilog of the accelerator, with everything to simulate and synthesise it, into a folder that stands alone.
///
/// The bundle holds sources, ROMs, the model's memory image, register header and pages, a self-checking testbench with vectors that
/// were recorded on the cycle model and checked against the integer reference, and scripts for yosys, Vivado and FuseSoC. In it, `make
/// sim` needs Icarus Verilog or Verilator and no Rust.
///
/// Example: tritforge emit --model models/stories3m.tq1_0.gguf --config configs/small.toml --out out/small
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: GGUF, a folder or safetensors file of Hugging Face, or llama2.c's.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// The accelerator configuration, TOML (configs/*.toml).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The folder to make.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace the folder where it exists.
    #[arg(long)]
    force: bool,
}

/// The files of the bundle of `target`. `command` goes to the README.
///
/// # Errors
/// The model does not fit the hardware, or the cycle model's results are not the reference's.
pub fn files(target: &Target, command: &str) -> anyhow::Result<Vec<BundleFile>> {
    let image = target.image()?;
    let vectors = vectors::vectors(target, &image)?;
    Ok(bundle::files(&Params::from(&target.hw), &image, &vectors, command)?)
}

/// A file that every bundle has and nothing else is likely to.
pub const BUNDLE_MARK: &str = "tb/tritforge_tb.sv";

/// Refuses a folder that may not be replaced: --force replaces a bundle, never anything else.
fn check_out(out: &Path, force: bool) -> anyhow::Result<()> {
    match fs::read_dir(out) {
        Ok(mut entries) => {
            if entries.next().is_none() {
                return Ok(());
            }
            if inputs::holds(out) {
                bail!("{}: expected a folder without any file that is read, found one in it; choose another folder", out.display());
            }
            if !force {
                bail!("{}: the folder exists and is not empty; choose another one, or replace it with --force", out.display());
            }
            if !out.join(BUNDLE_MARK).is_file() {
                bail!(
                    "{}: --force replaces bundles only, expected {BUNDLE_MARK} in the folder, found none; choose another folder",
                    out.display()
                );
            }
            Ok(())
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e).with_context(|| format!("{}: not a folder that can be read; choose another one", out.display())),
    }
}

fn write_all(folder: &Path, files: &[BundleFile]) -> std::io::Result<()> {
    for file in files {
        let path = folder.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, &file.bytes)?;
    }
    Ok(())
}

/// Puts the partial folder in the place of `out`; what lay there goes last.
fn replace(partial: &Path, old: &Path, out: &Path) -> std::io::Result<()> {
    if !out.exists() {
        return fs::rename(partial, out);
    }
    fs::rename(out, old)?;
    if let Err(e) = fs::rename(partial, out) {
        fs::rename(old, out)?;
        return Err(e);
    }
    fs::remove_dir_all(old)
}

/// Writes all files into a neighbour of `out` and renames it when it is complete: there is a whole bundle or none.
///
/// # Errors
/// The system's error with the folder and what to do; nothing partial stays.
pub fn write_bundle(out: &Path, files: &[BundleFile], force: bool) -> anyhow::Result<()> {
    check_out(out, force)?;
    let name = out.file_name().with_context(|| format!("'{}' names no folder: give a folder's path", out.display()))?.to_string_lossy();
    let old = out.with_file_name(format!(".{name}.{}.old", std::process::id()));
    let made = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => fs::create_dir_all(parent),
        _ => Ok(()),
    };
    let write = || {
        let partial = Partial::folder(out)?;
        write_all(partial.path(), files)?;
        partial.finish(|partial| replace(partial, &old, out))
    };
    made.and_then(|()| write())
        .with_context(|| format!("cannot write the bundle {}: choose a writable folder with enough space", out.display()))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    check_out(&args.out, args.force)?;
    let target = Target::open(&args.model, &args.config)?;
    let command = format!("tritforge emit --model {} --config {}", file_name(&args.model), file_name(&args.config));
    let files = files(&target, &command)?;
    write_bundle(&args.out, &files, args.force)?;
    output::say(format_args!(
        "{}: {} files, {} bytes; `make sim` there runs the testbench",
        args.out.display(),
        files.len(),
        files.iter().map(|f| f.bytes.len()).sum::<usize>()
    ))?;
    Ok(Outcome::Held)
}
