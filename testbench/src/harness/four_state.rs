//! Four-state simulation of a block by Icarus with a hand-written bench of `testbench/icarus/`: an X that escapes is seen there only.

use super::{
    design::Design,
    tools::{self, build_dir, missing, workspace},
};
use anyhow::{Context, Result, ensure};
use std::{fs, process::Command};

/// What the bench `testbench/icarus/<bench>.sv`, a module of that name, prints with these parameters around the sources of `design`;
/// `None`, said aloud, without Icarus.
pub fn four_state(design: &Design, bench: &str, params: &[(&str, i64)]) -> Result<Option<String>> {
    let Some(iverilog) = tools::iverilog() else {
        missing("iverilog", &format!("the four-state simulation of {}", design.top));
        return Ok(None);
    };
    let dir = build_dir().join("icarus").join(format!("{bench}-{}-{:?}", std::process::id(), std::thread::current().id()));
    fs::create_dir_all(&dir)?;
    let program = dir.join("bench.vvp");
    let mut build = Command::new(&iverilog.path);
    build.arg("-g2012").arg("-o").arg(&program).args(params.iter().map(|(n, v)| format!("-P{bench}.{n}={v}")));
    build.arg(workspace().join("testbench/icarus").join(format!("{bench}.sv")));
    for (name, text) in &design.sources {
        fs::write(dir.join(name), text)?;
        build.arg(dir.join(name));
    }
    let built = build.output()?;
    ensure!(built.status.success(), "iverilog: {}", String::from_utf8_lossy(&built.stderr));
    let ran = Command::new(iverilog.path.with_file_name("vvp")).arg(&program).output().context("vvp")?;
    fs::remove_dir_all(&dir)?;
    Ok(Some(String::from_utf8_lossy(&ran.stdout).trim().to_owned()))
}
