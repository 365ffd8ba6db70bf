//! `tritforge gen`: files generated from the contract.

use std::path::PathBuf;

use anyhow::{Context, bail};

use super::{Outcome, output};
use tritforge_rtl::generate::{self, Generated};
use tritforge_testbench::builds;

/// Write the files that are generated from the contract (SystemVerilog packages, register header, register, descriptor and timing pages, list of
/// Verilator builds).
///
/// With --check nothing is written: exit code 1 where a file differs from what would be written.
///
/// Example: tritforge gen --check
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Compare only.
    #[arg(long)]
    check: bool,
    /// The project's root.
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    if args.check && !args.root.is_dir() {
        bail!("--root {}: no such folder; give the project's root", args.root.display());
    }
    let mut stale = 0;
    let list = Generated { path: builds::FILE.into(), text: builds::text()? };
    for file in generate::files().into_iter().chain([list]) {
        let path = args.root.join(&file.path);
        if args.check {
            let found = std::fs::read_to_string(&path);
            if found.as_ref().is_ok_and(|text| *text == file.text) {
                continue;
            }
            stale += 1;
            match found {
                Ok(_) => output::say(format_args!("stale: {} differs from the contract; run `tritforge gen`", path.display()))?,
                Err(e) => output::say(format_args!("stale: {} cannot be read ({e}); run `tritforge gen`", path.display()))?,
            }
        } else {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
            }
            output::write_file(&path, file.text.as_bytes())?;
        }
    }
    Ok(if stale == 0 { Outcome::Held } else { Outcome::Failed })
}
