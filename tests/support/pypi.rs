//! Things that tests take from PyPI: installed once into the folder of test files, skipped aloud where that is not possible.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A Python with these packages (`name==version`), in an environment called `name`.
pub fn python(name: &str, packages: &[&str]) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let python = folder.join("bin/python");
    install(&folder, packages, || run(Command::new("python3").args(["-m", "venv"]).arg(&folder)) && run(pip(&python).args(packages)))
        .then_some(python)
}

/// The files of one package without what it depends on.
pub fn files(name: &str, package: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    install(&folder, &[package], || {
        let python = PathBuf::from("python3");
        run(pip(&python).args(["--no-deps", "--target"]).args([folder.as_os_str()]).arg(package))
    })
    .then_some(folder)
}

fn pip(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    command
}

/// Runs `work` unless an earlier run of it for the same packages ended well.
fn install(folder: &Path, packages: &[&str], work: impl FnOnce() -> bool) -> bool {
    let _guard = ONE_AT_A_TIME.lock().unwrap();
    let mark = folder.join("installed");
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&mark).is_ok_and(|found| found == wanted) {
        return true;
    }
    let _ = std::fs::remove_dir_all(folder);
    let done = work() && std::fs::write(&mark, &wanted).is_ok();
    if !done {
        super::skipped(&format!("cannot install {} from PyPI with python3", packages.join(", ")));
    }
    done
}

/// Whether the command ended well.
fn run(command: &mut Command) -> bool {
    match command.output() {
        Ok(out) if out.status.success() => true,
        Ok(out) => {
            eprintln!("{command:?}: {}", String::from_utf8_lossy(&out.stderr));
            false
        }
        Err(error) => {
            eprintln!("{command:?}: {error}");
            false
        }
    }
}
