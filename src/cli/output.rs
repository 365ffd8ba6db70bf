//! Where results go: files that are there in full or not at all, and the `--json OUT` that commands share.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use serde::Serialize;

use super::partial::Partial;
use crate::inputs;
use crate::model::error::{printable, shown_path};

/// The command as it was given, for reports; what a shell would take apart is quoted.
pub fn command() -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,=:+".contains(c);
    let words = std::env::args()
        .skip(1)
        .map(|word| if !word.is_empty() && word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', "'\\''")) });
    std::iter::once("tritforge".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// Writes `bytes` to `path`: into a neighbour first, renamed when complete, so a full disk leaves no partial file.
///
/// # Errors
/// As [`write_stream`].
pub fn write_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    write_stream(path, |out| Ok(out.write_all(bytes)?))
}

/// Lets `work` write to `path`: into a neighbour first, renamed when `work` is through, so no failure of any kind leaves a partial file.
///
/// # Errors
/// As [`check`]; what `work` says; the system's error with the path and what to do. The neighbour is removed.
pub fn write_stream<T>(path: &Path, work: impl FnOnce(&mut BufWriter<File>) -> anyhow::Result<T>) -> anyhow::Result<T> {
    check(path)?;
    let write = || {
        let (partial, file) = Partial::file(path)?;
        let mut out = BufWriter::with_capacity(BUFFER, file);
        let result = work(&mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?;
        partial.finish(|partial| fs::rename(partial, path))?;
        Ok(result)
    };
    write().map_err(|error: anyhow::Error| match error.downcast::<io::Error>() {
        Ok(cause) => {
            anyhow::Error::new(cause).context(format!("cannot write {}: choose a writable folder with enough space", path.display()))
        }
        Err(error) => error,
    })
}

/// Bytes that are collected before the system is asked to write.
const BUFFER: usize = 1 << 18;

/// Refuses what [`write_stream`] would: for commands that work long before they write.
///
/// # Errors
/// `path` names no file, is there and no regular file, or is one of the files that were read.
pub fn check(path: &Path) -> anyhow::Result<()> {
    let shown = shown_path(path);
    let text = path.to_string_lossy();
    if path.file_name().is_none() || text.ends_with(std::path::is_separator) || text.ends_with("/.") {
        bail!("cannot write {shown}: expected the path of a file, found that of a folder; add a file's name");
    }
    // Renaming over a device, a folder or a link would replace the thing itself.
    if let Some(kind) = fs::symlink_metadata(path).ok().and_then(|there| special(there.file_type())) {
        bail!("cannot write {shown}: expected a regular file or nothing there, found {kind}; give a file's path");
    }
    if inputs::holds(path) {
        bail!("cannot write {shown}: expected another file than those that are read, found one of them; give another name");
    }
    Ok(())
}

/// As [`check`], of a model file, which is replaced only with `force`; `name` is the argument's.
///
/// # Errors
/// As [`check`], or something is there.
pub fn check_new(path: &Path, name: &str, force: bool) -> anyhow::Result<()> {
    check(path)?;
    if !force && fs::symlink_metadata(path).is_ok() {
        bail!("{}: expected nothing there, found a file; give {name} another name, or --force to replace it", path.display());
    }
    Ok(())
}

/// What it is, if it is no regular file.
fn special(kind: fs::FileType) -> Option<&'static str> {
    match kind {
        kind if kind.is_file() => None,
        kind if kind.is_dir() => Some("a folder"),
        kind if kind.is_symlink() => Some("a symbolic link"),
        _ => Some("a device or pipe"),
    }
}

/// Prints a line on standard output.
///
/// # Errors
/// The system's: a closed pipe, a full disk.
pub fn say(line: impl Display) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{}", printable(&line.to_string())).context("cannot write to standard output")
}

/// Prints a line on standard error; where that cannot be done there is nobody to tell.
pub fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{}", printable(&line.to_string()));
}

/// The value of `--json`: a path, or `-` for standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonTarget {
    /// Standard output; what people read then goes to standard error.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl FromStr for JsonTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("give a path, or - for standard output".into()),
            "-" => Ok(Self::Stdout),
            path => Ok(Self::File(path.into())),
        }
    }
}

/// The `--json` option; commands flatten it into their arguments.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct JsonArgs {
    /// Also write the results as JSON to OUT, a path or - for standard output (the text then goes to standard error).
    #[arg(long = "json", value_name = "OUT")]
    target: Option<JsonTarget>,
}

impl JsonArgs {
    /// Writes `results`, pretty-printed, where `--json` says; does nothing without it.
    ///
    /// # Errors
    /// As [`write_file`].
    pub fn write(&self, results: &impl Serialize) -> anyhow::Result<()> {
        let Some(target) = &self.target else { return Ok(()) };
        let mut text = serde_json::to_vec_pretty(results).context("results cannot be written as JSON")?;
        text.push(b'\n');
        match target {
            JsonTarget::File(path) => write_file(path, &text),
            JsonTarget::Stdout => io::stdout().write_all(&text).context("cannot write JSON to standard output"),
        }
    }

    /// Where text for people goes: standard output, unless the JSON takes it.
    pub fn text(&self) -> Box<dyn Write> {
        match self.target {
            Some(JsonTarget::Stdout) => Box::new(io::stderr()),
            _ => Box::new(io::stdout()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_goes_to_the_path_or_for_a_dash_to_standard_output() {
        assert_eq!("-".parse(), Ok(JsonTarget::Stdout));
        assert_eq!("out/a.json".parse(), Ok(JsonTarget::File("out/a.json".into())));
        assert!("".parse::<JsonTarget>().is_err());
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_no_neighbour_stays() {
        let folder = std::env::temp_dir().join(format!("tritforge-output-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("results.json");
        fs::write(&path, "older and longer text").unwrap();
        JsonArgs { target: Some(JsonTarget::File(path.clone())) }.write(&[1, 2]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "[\n  1,\n  2\n]\n");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        let failed = write_stream(&path, |out| {
            out.write_all(b"half of it")?;
            anyhow::bail!("a weight is no number")
        });
        assert_eq!(failed.map_err(|error: anyhow::Error| format!("{error:#}")), Err::<(), _>("a weight is no number".into()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "[\n  1,\n  2\n]\n");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }
}
