//! `tritforge gen`: files generated from the contract.

use std::path::PathBuf;

use anyhow::Context;

use super::{Outcome, output};

/// Write the files that are generated from the contract (register header, register and descriptor pages).
///
/// With --check nothing is written: exit code 1 where a file differs from what would be written.
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
    let mut stale = 0;
    for file in tritforge_rtl::generate::files() {
        let path = args.root.join(file.path);
        if args.check {
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            if found != file.text {
                stale += 1;
                println!("stale: {} differs from the contract; run `tritforge gen`", file.path);
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
