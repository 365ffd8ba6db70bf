//! Finds the hardware tools: first in the project's own `.tools/bin`, then on PATH.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// A tool that answered to `--version`.
#[derive(Clone, Debug)]
pub struct Tool {
    pub path: PathBuf,
    /// The first line of its answer: part of the cache key of everything it makes.
    pub version: String,
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Where built things lie: `.build/` of the workspace.
pub fn build_dir() -> PathBuf {
    workspace().join(".build")
}

/// This process is a test binary of cargo.
pub fn in_cargo_test() -> bool {
    let exe = std::env::current_exe().unwrap_or_default();
    exe.parent().and_then(Path::file_name).is_some_and(|folder| folder == "deps")
}

fn find(name: &str, version_flag: &str) -> Option<Tool> {
    let local = workspace().join(".tools/bin").join(name);
    let path = if local.exists() { local } else { name.into() };
    let output = Command::new(&path).arg(version_flag).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.lines().next()?.trim().to_owned();
    // The exit status says nothing: yosys-smtbmc's help ends with 1.
    (!version.is_empty()).then_some(Tool { path, version })
}

macro_rules! tool {
    ($($(#[$doc:meta])* $name:ident = $file:literal, $flag:literal;)*) => {$(
        $(#[$doc])*
        pub fn $name() -> Option<&'static Tool> {
            static FOUND: OnceLock<Option<Tool>> = OnceLock::new();
            FOUND.get_or_init(|| find($file, $flag)).as_ref()
        }
    )*};
}

tool! {
    /// Verilator 5.006 or later.
    verilator = "verilator", "--version";
    /// yosys 0.23 or later.
    yosys = "yosys", "-V";
    /// The model checker of yosys.
    smtbmc = "yosys-smtbmc", "--help";
    /// The SMT solver of the proofs.
    z3 = "z3", "--version";
    /// Icarus Verilog.
    iverilog = "iverilog", "-V";
}

/// Tools that are used where they happen to be: `make tools` cannot install them without root.
const OPTIONAL: &[&str] = &["iverilog"];

/// Says that `tool` is missing and what is skipped for it; a failure where `CI=true`, unless the tool is optional.
pub fn missing(tool: &str, what: &str) {
    assert!(
        OPTIONAL.contains(&tool) || std::env::var("CI").as_deref() != Ok("true"),
        "{what}: {tool} not found in .tools/bin or on PATH, and CI=true; run `make tools`"
    );
    // Not eprintln!: the test runner swallows what a passing test prints.
    let line = format!("SKIPPED {what}: {tool} not found in .tools/bin or on PATH; run `make tools`\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}
