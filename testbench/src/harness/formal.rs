//! SMT proofs of leaf modules by yosys, yosys-smtbmc and z3: the properties of `testbench/formal/X.sv` hold in every reachable
//! state, for all inputs of any length (base case of `steps` cycles from reset, and induction over `steps` cycles).

use super::{
    design::Design,
    tools::{self, Tool},
};
use anyhow::{Context, Result, ensure};
use std::{fs, path::PathBuf, process::Command};

/// What the solver said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// No property fails within the first cycles after reset.
    pub base: bool,
    /// A cycle after `steps` good ones, from any state, is good.
    pub induction: bool,
}

/// Checks the properties of `testbench/formal/<top>.sv` on `design`; `None`, said aloud, when a tool is missing.
/// Modules inside get `testbench/formal/inside/<module>.sv` where that exists; modules of `testbench/formal/lib/` that the properties
/// name are read too. `macros` are defined while reading.
pub fn prove_with(design: &Design, steps: usize, macros: &[&str]) -> Result<Option<Proof>> {
    let what = format!("the proof of {}", design.top);
    let (Some(yosys), Some(smtbmc), Some(_)) = (tools::yosys(), tools::smtbmc(), tools::z3()) else {
        tools::missing("yosys, yosys-smtbmc or z3", &what);
        return Ok(None);
    };
    let dir = translate(design, yosys, macros).context(what)?;
    let proof = Proof { base: check(smtbmc, &dir, steps, false)?, induction: check(smtbmc, &dir, steps, true)? };
    fs::remove_dir_all(dir)?;
    Ok(Some(proof))
}

/// Whether the base case alone, `steps` cycles from reset, holds: enough to find a planted fault.
pub fn base_case(design: &Design, steps: usize, macros: &[&str]) -> Result<Option<bool>> {
    let what = format!("the base case of {}", design.top);
    let (Some(yosys), Some(smtbmc), Some(_)) = (tools::yosys(), tools::smtbmc(), tools::z3()) else {
        tools::missing("yosys, yosys-smtbmc or z3", &what);
        return Ok(None);
    };
    let dir = translate(design, yosys, macros).context(what)?;
    let holds = check(smtbmc, &dir, steps, false)?;
    fs::remove_dir_all(dir)?;
    Ok(Some(holds))
}

/// [`prove_with`] no macros.
pub fn prove(design: &Design, steps: usize) -> Result<Option<Proof>> {
    prove_with(design, steps, &[])
}

/// `design` with `testbench/formal/stub/<module>.sv` in place of the module.
pub fn with_stub(mut design: Design, module: &str) -> Result<Design> {
    let name = format!("{module}.sv");
    let (_, text) = design.sources.iter_mut().find(|(n, _)| *n == name).with_context(|| format!("{} has no {module}", design.top))?;
    *text = fs::read_to_string(tools::workspace().join("testbench/formal/stub").join(name))?;
    Ok(design)
}

/// Writes the module with its properties and makes `f.smt2` of it, in a folder of this call alone.
fn translate(design: &Design, yosys: &Tool, macros: &[&str]) -> Result<PathBuf> {
    let folder = tools::workspace().join("testbench/formal");
    let file = folder.join(format!("{}.sv", design.top));
    let properties = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let dir = tools::build_dir().join("formal").join(format!("{}-{}-{:?}", design.top, std::process::id(), std::thread::current().id()));
    fs::create_dir_all(&dir)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.join("lib"))? {
        let path = entry?.path();
        let (Some(stem), Some(name)) = (path.file_stem(), path.file_name()) else { continue };
        if properties.contains(&*stem.to_string_lossy()) {
            fs::copy(&path, dir.join(name))?;
            names.push(name.to_string_lossy().into_owned());
        }
    }
    for (name, text) in &design.sources {
        let mut text = text.clone();
        let inserted = match *name == format!("{}.sv", design.top) {
            true => Some(properties.clone()),
            false => fs::read_to_string(folder.join("inside").join(name)).ok(),
        };
        if let Some(inserted) = inserted {
            // yosys takes the last of two constants of one name, and the module would be another one.
            for name in constants(&inserted) {
                ensure!(!constants(&text).contains(&name), "{name} is a constant of the module and of its properties");
            }
            let end = text.rfind("endmodule").with_context(|| format!("{name} has no endmodule"))?;
            text.insert_str(end, &inserted);
        }
        fs::write(dir.join(name), text)?;
        names.push(name.clone());
    }
    let set: String = design.params.iter().map(|(n, v)| format!(" -set {n} {v}")).collect();
    let chparam = if set.is_empty() { String::new() } else { format!("chparam{set} {}; ", design.top) };
    // Outputs that no property reads are no outputs to the solver: what feeds only them goes with them.
    let script = format!(
        "read_verilog -formal -sv {defines}{}; {chparam}hierarchy -check -top {top}; proc; flatten; prep; delete -output w:*; \
         opt_clean -purge; async2sync; dffunmap; write_smt2 -wires f.smt2",
        names.join(" "),
        defines = macros.iter().map(|m| format!("-D {m} ")).collect::<String>(),
        top = design.top
    );
    let output = Command::new(&yosys.path).current_dir(&dir).args(["-q", "-p", &script]).output()?;
    ensure!(output.status.success(), "yosys: {script}\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(dir)
}

/// Names of the local constants of a module.
fn constants(text: &str) -> Vec<&str> {
    let statements = text.split("localparam").skip(1).filter_map(|s| s.split_once(';')?.0.rsplit_once('='));
    statements.flat_map(|(s, _)| s.split('=').filter_map(|left| left.split_whitespace().last())).collect()
}

fn check(smtbmc: &Tool, dir: &PathBuf, steps: usize, induction: bool) -> Result<bool> {
    let mut command = Command::new(&smtbmc.path);
    // Unrolled: z3 may spend minutes on instantiating the functions of a wide module otherwise.
    command.current_dir(dir).args(["-s", "z3", "--unroll", "-t", &steps.to_string()]);
    if induction {
        command.arg("-i");
    }
    let output = command.arg("f.smt2").output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let passed = said.contains("Status: PASSED");
    // Both words missing: the solver did not come to an answer, which is neither a proof nor a counterexample.
    ensure!(passed || said.contains("Status: FAILED"), "yosys-smtbmc gave no answer:\n{said}{}", String::from_utf8_lossy(&output.stderr));
    Ok(passed)
}
