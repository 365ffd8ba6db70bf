//! Files and folders under construction: neighbours of a result, under hidden names, that take its name when they are complete. In: the
//! result's path. Out: [`Partial`], which removes what it holds unless it was finished; so does the process when SIGHUP, SIGINT or
//! SIGTERM ends it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// Names that are tried before one is free.
const TRIES: usize = 16;

/// What is to be removed if the process ends now. Whoever holds the lock is not ended by a signal.
static PARTIALS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn partials() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    PARTIALS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file or folder that goes away with this value, unless it has been finished.
#[derive(Debug)]
pub struct Partial(PathBuf);

impl Partial {
    /// A new, empty file beside `target`, open for writing.
    ///
    /// # Errors
    /// The system's.
    pub fn file(target: &Path) -> io::Result<(Self, File)> {
        // Nothing that is there already is opened: it could be a link to elsewhere.
        Self::make(target, |path| OpenOptions::new().write(true).create_new(true).open(path))
    }

    /// A new, empty folder beside `target`.
    ///
    /// # Errors
    /// The system's.
    pub fn folder(target: &Path) -> io::Result<Self> {
        Self::make(target, |path| fs::create_dir(path)).map(|(partial, ())| partial)
    }

    fn make<T>(target: &Path, create: impl Fn(&Path) -> io::Result<T>) -> io::Result<(Self, T)> {
        watch();
        let mut partials = partials();
        for _ in 0..TRIES {
            let mut name = OsString::from(".");
            name.push(target.file_name().unwrap_or_default());
            name.push(format!(".{:016x}.partial", RandomState::new().build_hasher().finish()));
            let path = target.with_file_name(name);
            match create(&path) {
                Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(made) => {
                    partials.insert(path.clone());
                    return Ok((Self(path), made));
                }
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Lets `place` rename the complete file or folder, which no signal interrupts.
    ///
    /// # Errors
    /// Those of `place`; what is still there is removed.
    pub fn finish(self, place: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        let mut partials = partials();
        place(&self.0)?;
        partials.remove(&self.0);
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let mut partials = partials();
        if partials.remove(&self.0) {
            remove(&self.0);
        }
    }
}

/// Nothing more can be done where this fails.
fn remove(path: &Path) {
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

/// From now on a signal that ends the process first removes everything partial.
fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Without a handler or a thread everything works, but for the removal.
        let Ok(mut signals) = Signals::new([SIGHUP, SIGINT, SIGTERM].into_iter().filter(|&signal| !ignored(signal))) else { return };
        let _ = std::thread::Builder::new().name("signals".into()).spawn(move || {
            let Some(signal) = signals.forever().next() else { return };
            // Held to the end, so that nothing new appears.
            let partials = partials();
            partials.iter().for_each(|path| remove(path));
            // As if there had been no handler: a shell reports 128 + signal and ends its own loops.
            let _ = emulate_default_handler(signal);
            std::process::exit(128 + signal);
        });
    });
}

/// Whether the process was started with the signal ignored, as `nohup` does it. Only Linux says so.
fn ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finished_goes_away_and_nothing_is_written_through_a_link() {
        let base = std::env::temp_dir().join(format!("tritforge-partial-{}", std::process::id()));
        fs::create_dir_all(&base).unwrap();
        let target = base.join("result");
        let count = || fs::read_dir(&base).unwrap().count();
        let (first, _) = Partial::file(&target).unwrap();
        let (second, _) = Partial::file(&target).unwrap();
        let folder = Partial::folder(&target).unwrap();
        fs::write(folder.path().join("inside"), "text").unwrap();
        assert!(first.path() != second.path() && count() == 3);
        drop((first, folder));
        assert_eq!(count(), 1);
        let failed = second.finish(|_| Err(io::ErrorKind::StorageFull.into()));
        assert_eq!((failed.unwrap_err().kind(), count()), (io::ErrorKind::StorageFull, 0));
        let (third, _) = Partial::file(&target).unwrap();
        third.finish(|partial| fs::rename(partial, &target)).unwrap();
        assert_eq!(fs::read_dir(&base).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>(), [target]);
        fs::remove_dir_all(&base).unwrap();
    }
}
