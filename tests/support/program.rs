//! The program as the tests run it: in the project's root, what it writes in a folder of the test's own.
#![allow(dead_code)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tritforge_testbench::harness::{Tool, missing};

/// The project's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The program, to be run in the project's root.
pub fn tritforge() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tritforge"));
    command.current_dir(root());
    command
}

/// The tool is here; where it is not, that is said, and is a failure under CI=true unless the tool is optional.
pub fn present(tool: Option<&Tool>, name: &str, what: &str) -> bool {
    if tool.is_none() {
        missing(name, what);
    }
    tool.is_some()
}

/// What it said beside its output.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The program's one message; it must end with exit code 2 and say nothing else.
pub fn refusal(mut command: Command) -> String {
    let out = command.output().unwrap();
    assert_eq!(out.status.code(), Some(2), "{command:?}: {out:?}");
    assert!(out.stdout.is_empty(), "{command:?}: {out:?}");
    let said = stderr(&out);
    assert_eq!(said.matches("error: ").count(), 1, "{command:?}: {said}");
    said
}

/// A folder of its own for one test, removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tritforge-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// The names in it, sorted.
    pub fn files(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
