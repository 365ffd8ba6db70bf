//! The files that this process has read: no result may take their place. In: paths, as they are read. Out: whether a path is, or holds,
//! one of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

static READ: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// The file at `path` is read.
pub fn note(path: &Path) {
    // What cannot be found under any path (a pipe) cannot be replaced either.
    if let Ok(path) = path.canonicalize() {
        READ.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
    }
}

/// The text of the file at `path`.
///
/// # Errors
/// As [`std::fs::read_to_string`].
pub fn read_text(path: &Path) -> std::io::Result<String> {
    note(path);
    std::fs::read_to_string(path)
}

/// Whether `path`, under whatever name, is a file that was read, or a folder with one somewhere in it.
pub fn holds(path: &Path) -> bool {
    let read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    path.canonicalize().is_ok_and(|path| read.iter().any(|read| read.starts_with(&path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_all_of_its_names_and_by_its_folders() {
        assert!(!holds("rust-toolchain.toml".as_ref()));
        note("src/../rust-toolchain.toml".as_ref());
        note("no/such/file".as_ref());
        for path in ["rust-toolchain.toml", "./docs/../rust-toolchain.toml", "."] {
            assert!(holds(path.as_ref()), "{path}");
        }
        for path in ["rust-toolchain", "docs", "no/such/file", ""] {
            assert!(!holds(path.as_ref()), "{path}");
        }
    }
}
