//! Verilates a design into a shared library, once: `.build/verilated/<hash>/dut.so`, where the hash covers the sources, the
//! parameters, the shim, the flags and the tool's version. A lock file keeps parallel tests from building it twice. The library
//! reads its ROMs from the files beside it, so that the folder may move; files that are not there or not right are written again.

use super::{
    pack::Pack,
    shim,
    tools::{self, Tool},
};
use crate::builds;
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

/// What a library is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// Quick to build; registers and memories can be random at power-up.
    Test,
    /// As `Test`, and writes waves.
    Wave,
    /// Fastest to run, slow to build, for this machine only: speed runs. Power-up is always zero.
    Fast,
}

impl Flavor {
    fn cxx(self) -> &'static [&'static str] {
        match self {
            Self::Fast => &["-O3", "-march=native"],
            _ => &["-O1"],
        }
    }

    fn verilate(self) -> &'static [&'static str] {
        match self {
            Self::Test => &["--x-initial", "unique", "--x-assign", "unique"],
            Self::Wave => &["--x-initial", "unique", "--x-assign", "unique", "--trace", "--trace-structs"],
            Self::Fast => &["-O3", "--x-initial", "fast", "--x-assign", "fast", "--noassert"],
        }
    }

    fn runtime(self) -> impl Iterator<Item = &'static str> {
        let wave = (self == Self::Wave).then_some("verilated_vcd_c.cpp");
        ["verilated.cpp", "verilated_threads.cpp"].into_iter().chain(wave)
    }
}

const CXX_FLAGS: &[&str] = &[
    "-std=gnu++17",
    "-fPIC",
    // Two models in one process must not share their static data.
    "-fno-gnu-unique",
    "-fvisibility=hidden",
    "-w",
    "-DVM_COVERAGE=0",
    "-DVM_SC=0",
];
/// Generated C++ beyond this is split over several compilers; below it, reading the headers twice costs more.
const SPLIT_BYTES: u64 = 400_000;
const VERILATE_FLAGS: &[&str] = &["--cc", "--prefix", "Vdut"];

/// Before the generated C++ of a design with ROMs: `$readmemh` opens the file of this name beside the library.
const ROMS_BESIDE: &str = r#"#include "verilated.h"
#include <dlfcn.h>
static std::string beside_library(const std::string& file) {
  Dl_info self;
  if (!dladdr((void*)&beside_library, &self)) return file;
  const std::string library = self.dli_fname;
  return library.substr(0, library.rfind('/') + 1) + file;
}
#define VL_READMEM_N(hex, bits, depth, lsb, file, ...) VL_READMEM_N(hex, bits, depth, lsb, beside_library(file), __VA_ARGS__)
"#;
const ROMS_BESIDE_FILE: &str = "roms_beside.h";

/// The shared library of `pack`, built when it is not there; `None` (said aloud) without Verilator.
pub fn library(pack: &Pack, flavor: Flavor) -> Result<Option<PathBuf>> {
    library_in(&tools::build_dir().join("verilated"), pack, flavor)
}

/// As [`library`], in the folder `cache`.
pub fn library_in(cache: &Path, pack: &Pack, flavor: Flavor) -> Result<Option<PathBuf>> {
    let Some(verilator) = tools::verilator() else {
        tools::missing("verilator", &format!("the RTL of {}", pack.labels().join(", ")));
        return Ok(None);
    };
    if tools::in_cargo_test() {
        builds::check(pack, flavor)?;
    }
    let shim = shim::source(pack, flavor == Flavor::Wave);
    let sources = pack.sources()?;
    let key = key(pack, &sources, flavor, &shim, verilator);
    let dir = cache.join(&key);
    let so = dir.join("dut.so");
    if so.exists() && wrong_roms(pack, &dir).is_empty() {
        return Ok(Some(so));
    }
    let make = || {
        for (path, text) in wrong_roms(pack, &dir) {
            fs::write(path, text)?;
        }
        if so.exists() { Ok(()) } else { build(pack, &sources, flavor, &shim, verilator, &dir, &so) }
    };
    once(&dir, make).with_context(|| format!("Verilating {} in {}", pack.labels().join(", "), dir.display()))?;
    Ok(Some(so))
}

/// Path and text of every ROM file of `pack` that `dir` does not hold as it must be.
fn wrong_roms<'a>(pack: &'a Pack, dir: &Path) -> Vec<(PathBuf, &'a str)> {
    let files = pack.roms().into_iter().map(|(_, rom)| (dir.join(&rom.file), rom.text.as_str()));
    files.filter(|(path, text)| fs::read(path).ok().as_deref() != Some(text.as_bytes())).collect()
}

/// Runs `make` under the lock of `dir`.
fn once(dir: &Path, make: impl FnOnce() -> Result<()>) -> Result<()> {
    fs::create_dir_all(dir)?;
    let lock = File::create(dir.join("lock"))?;
    lock.lock()?;
    make()
}

fn key(pack: &Pack, sources: &[(String, String)], flavor: Flavor, shim: &str, verilator: &Tool) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    add(&verilator.version);
    add(&format!("{flavor:?} {:?} {:?} {VERILATE_FLAGS:?} {CXX_FLAGS:?} {:?}", flavor.cxx(), flavor.verilate(), pack.params()));
    add(pack.top());
    add(shim);
    for (name, text) in sources {
        add(name);
        add(text);
    }
    let roms = pack.roms();
    if !roms.is_empty() {
        add(ROMS_BESIDE);
    }
    for (param, rom) in roms {
        add(&param);
        add(&rom.file);
        add(&rom.text);
    }
    let digest = hash.finalize();
    digest.iter().take(10).map(|b| format!("{b:02x}")).collect()
}

fn build(pack: &Pack, sources: &[(String, String)], flavor: Flavor, shim: &str, verilator: &Tool, dir: &Path, so: &Path) -> Result<()> {
    let obj = dir.join("obj");
    // What an interrupted build left would be compiled into this one.
    if obj.exists() {
        fs::remove_dir_all(&obj)?;
    }
    fs::create_dir_all(&obj)?;
    let mut command = Command::new(&verilator.path);
    command.current_dir(dir).args(VERILATE_FLAGS).args(flavor.verilate());
    command.args(["--Mdir", "obj", "--top-module", pack.top()]);
    for (name, value) in pack.params() {
        command.arg(format!("-G{name}={value}"));
    }
    for (param, rom) in pack.roms() {
        command.arg(format!("-G{param}=\"{}\"", rom.file));
    }
    for (name, text) in sources {
        fs::write(dir.join(name), text)?;
        command.arg(name);
    }
    run(&mut command)?;

    fs::write(obj.join("shim.cpp"), shim)?;
    let mut units = units(&obj)?;
    if !pack.roms().is_empty() {
        fs::write(obj.join(ROMS_BESIDE_FILE), ROMS_BESIDE)?;
        units.iter_mut().for_each(|unit| unit.files.insert(0, ROMS_BESIDE_FILE.to_owned()));
    }
    let root = verilator_root(verilator)?;
    let objects = compile(&units, &obj, &root, flavor)?;
    let mut link = cxx(flavor);
    link.current_dir(&obj).args(["-shared", "-o", "dut.so"]).args(objects);
    for file in flavor.runtime() {
        link.arg(runtime_object(dir.parent().unwrap_or(dir), verilator, &root, file, flavor)?);
    }
    run(link.args(["-lpthread", "-ldl"]))?;
    fs::rename(obj.join("dut.so"), so)?;
    // A cache of hundreds of models is kept for its libraries.
    fs::remove_dir_all(&obj)?;
    Ok(())
}

/// A translation unit: the generated files it includes.
struct Unit {
    name: &'static str,
    files: Vec<String>,
    bytes: u64,
    /// Runs in every cycle.
    hot: bool,
}

/// Splits the generated C++: what runs once apart from what runs in every cycle, and large models over two compilers.
fn units(obj: &Path) -> Result<Vec<Unit>> {
    let unit = |name, hot| Unit { name, files: Vec::new(), bytes: 0, hot };
    let (mut cold, mut hot) = (unit("cold", false), [unit("hot", true), unit("hot2", true)]);
    let mut files = Vec::new();
    for entry in fs::read_dir(obj)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".cpp") && name != "shim.cpp" {
            files.push((entry.metadata()?.len(), name));
        }
    }
    files.sort_by(|a, b| b.cmp(a));
    let split = files.iter().map(|f| f.0).sum::<u64>() > SPLIT_BYTES;
    for (bytes, name) in files {
        let to = match (split, name.ends_with("__Slow.cpp")) {
            (false, _) => &mut hot[0],
            (true, true) => &mut cold,
            (true, false) => {
                let lighter = (hot[1].bytes < hot[0].bytes) as usize;
                &mut hot[lighter]
            }
        };
        to.bytes += bytes;
        to.files.push(name);
    }
    hot[0].files.push("shim.cpp".to_owned());
    Ok(hot.into_iter().chain([cold]).filter(|u| !u.files.is_empty()).collect())
}

/// Compiles the units side by side; the names of their objects.
fn compile(units: &[Unit], obj: &Path, root: &Path, flavor: Flavor) -> Result<Vec<String>> {
    let one = |unit: &Unit| -> Result<String> {
        let mut text = String::new();
        for file in &unit.files {
            if file == "shim.cpp" {
                // Last in its unit: default visibility is for its own functions only.
                text += "#pragma GCC visibility push(default)\n";
            }
            text += &format!("#include \"{file}\"\n");
        }
        let (source, object) = (format!("unit_{}.cc", unit.name), format!("unit_{}.o", unit.name));
        fs::write(obj.join(&source), text)?;
        let mut command = cxx(flavor);
        if !unit.hot {
            command.arg("-O0");
        }
        command.current_dir(obj).args(["-c", "-o", &object, &source]);
        run(includes(&mut command, root))?;
        Ok(object)
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = units.iter().map(|unit| scope.spawn(move || one(unit))).collect();
        running.into_iter().map(|r| r.join().unwrap_or_else(|_| bail!("a compiling thread panicked"))).collect()
    })
}

/// The object of one file of Verilator's runtime, compiled once for all models.
fn runtime_object(cache: &Path, verilator: &Tool, root: &Path, file: &str, flavor: Flavor) -> Result<PathBuf> {
    let mut hash = Sha256::new();
    hash.update(format!("{verilator:?} {root:?} {file} {:?} {CXX_FLAGS:?}", flavor.cxx()));
    let digest: String = hash.finalize().iter().take(6).map(|b| format!("{b:02x}")).collect();
    let dir = cache.join(format!("runtime-{digest}"));
    let object = dir.join("runtime.o");
    once(&dir, || {
        if object.exists() {
            return Ok(());
        }
        let mut compile = cxx(flavor);
        compile.current_dir(&dir).args(["-c", "-o", "part.o"]).arg(root.join("include").join(file));
        run(includes(&mut compile, root))?;
        Ok(fs::rename(dir.join("part.o"), &object)?)
    })?;
    Ok(object)
}

fn cxx(flavor: Flavor) -> Command {
    let mut command = Command::new(std::env::var_os("CXX").unwrap_or_else(|| "c++".into()));
    command.args(CXX_FLAGS).args(flavor.cxx());
    command
}

fn includes<'a>(command: &'a mut Command, root: &Path) -> &'a mut Command {
    let include = root.join("include");
    command.arg("-I.").arg("-I").arg(&include).arg("-I").arg(include.join("vltstd"))
}

fn verilator_root(verilator: &Tool) -> Result<PathBuf> {
    let output = Command::new(&verilator.path).args(["--getenv", "VERILATOR_ROOT"]).output()?;
    let root = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if !root.join("include/verilated.cpp").exists() {
        bail!("{} --getenv VERILATOR_ROOT gave {root:?}, which has no include/verilated.cpp", verilator.path.display());
    }
    Ok(root)
}

/// Runs `command`; its output is the error when it fails.
fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("starting {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{command:?} failed:\n{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
