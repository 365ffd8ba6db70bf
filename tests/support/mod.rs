//! Where tests find the embedded model, and data that is not part of the project.
#![allow(dead_code)]

use std::path::PathBuf;

/// A file under `models/`.
pub fn embedded(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models").join(name)
}

/// A file under the folder that `TRITFORGE_TEST_DATA` names; `None`, said aloud, where it is not set.
pub fn test_data(name: &str) -> Option<PathBuf> {
    match std::env::var_os("TRITFORGE_TEST_DATA") {
        Some(folder) => Some(PathBuf::from(folder).join(name)),
        None => {
            eprintln!("SKIPPED: needs {name}; set TRITFORGE_TEST_DATA (see models/README.md)");
            None
        }
    }
}
