//! Where results go: files that are there in full or not at all, and the `--json OUT` that commands share.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use serde::Serialize;

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
/// `path` is there and no regular file; what `work` says; the system's error with the path and what to do. The neighbour is removed.
pub fn write_stream<T>(path: &Path, work: impl FnOnce(&mut BufWriter<File>) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let name = path.file_name().with_context(|| format!("'{}' names no file: give a file's path", path.display()))?;
    // Renaming over a device, a folder or a link would replace the thing itself.
    if let Ok(there) = fs::symlink_metadata(path)
        && !there.is_file()
    {
        anyhow::bail!("cannot write {}: expected a regular file or nothing there, found another kind; give a file's path", path.display());
    }
    let mut partial_name = std::ffi::OsString::from(".");
    partial_name.push(name);
    partial_name.push(format!(".{}.partial", std::process::id()));
    let partial = Partial(path.with_file_name(partial_name));
    let write = || {
        let mut out = BufWriter::with_capacity(BUFFER, File::create(&partial.0)?);
        let result = work(&mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?;
        fs::rename(&partial.0, path)?;
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

/// A file that goes away with this value, unless it has been renamed.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // Nothing more can be done if this fails; as a rule the file is gone already.
        let _ = fs::remove_file(&self.0);
    }
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
