//! The files of a model, whatever their format. In: a path. Out: a [`ModelFile`] that holds the mapped files, and the
//! directory ([`Gguf`]) that every reader of models takes.
//!
//! What lies at the path is told by its content: a GGUF file by its magic number; a folder, or a file that begins with a
//! safetensors header, is a model of Hugging Face; a llama2.c checkpoint by its magic number or by a header whose sizes are
//! possible.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::{ModelError, printable, shown_path};
use super::gguf::{Gguf, GgufFile, MAGIC, SharedBytes, map};
use super::import::safetensors::is_safetensors;
use super::import::{Import, folder, huggingface, llama2c};
use super::tokenizer::Tokenizer;

/// A model's files mapped into memory. They must not be changed while mapped.
#[derive(Debug)]
pub struct ModelFile {
    content: Content,
    path: PathBuf,
}

#[derive(Debug)]
enum Content {
    Gguf(GgufFile),
    Import { import: Import, maps: Vec<SharedBytes> },
}

impl ModelFile {
    /// Maps the model at `path` (of several files any one) and, where it is no GGUF, reads its directory. What the user must
    /// know about the model goes to standard error, a line each that begins with `warning:`.
    ///
    /// # Errors
    /// [`ModelError::Io`] if a file cannot be opened or mapped; as the format's reader says for files that are not GGUF.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let file = Self::open_silently(path)?;
        file.warnings().iter().for_each(|warning| drop(writeln!(io::stderr(), "warning: {}", printable(warning))));
        Ok(file)
    }

    /// As [`ModelFile::open`]; the warnings are left to the caller.
    ///
    /// # Errors
    /// As [`ModelFile::open`].
    pub fn open_silently(path: &Path) -> Result<Self, ModelError> {
        if path.is_dir() {
            return Self::open_folder(path);
        }
        let file = map(path, true)?;
        let bytes = file.bytes();
        if is_safetensors(bytes) || path.extension().is_some_and(|end| end == "safetensors") {
            return Self::open_folder(path);
        }
        let content = if !bytes.starts_with(&MAGIC) && llama2c::is_llama2c(bytes) {
            let (tokenizer, warnings) = llama2c_tokenizer(path, bytes);
            let mut import = llama2c::import(bytes, tokenizer.as_ref())?;
            import.warnings.extend(warnings);
            Content::Import { import, maps: vec![file] }
        } else {
            Content::Gguf(GgufFile::open(path)?)
        };
        Ok(Self { content, path: path.to_owned() })
    }

    /// A model of Hugging Face: its folder, or one of its files.
    fn open_folder(path: &Path) -> Result<Self, ModelError> {
        let found = folder::find(path)?;
        let map_all = || found.files.iter().map(|file| map(file, file == path)).collect::<Result<Vec<_>, _>>();
        let mut maps = map_all()?;
        let files: Vec<&[u8]> = maps.iter().map(SharedBytes::bytes).collect();
        let mut import = huggingface::import(&found.config, &files, &found.name, &found.tokenizer)?;
        // What was packed or permuted has been copied: a fresh map holds no page of it.
        maps = map_all()?;
        import.warnings.extend(found.warnings);
        Ok(Self { content: Content::Import { import, maps }, path: path.to_owned() })
    }

    /// Reads the directory.
    ///
    /// # Errors
    /// As [`Gguf::parse`]; parts that do not belong together are refused.
    pub fn parse(&self) -> Result<Gguf<'_>, ModelError> {
        match &self.content {
            Content::Gguf(file) => file.parse(),
            Content::Import { import, maps, .. } => {
                let file = import.directory(&maps.iter().map(SharedBytes::bytes).collect::<Vec<_>>())?;
                Ok(file.owned_by(maps.iter().chain(import.owned())))
            }
        }
    }

    /// Name of the format.
    pub fn format(&self) -> &'static str {
        match &self.content {
            Content::Gguf(_) => "GGUF",
            Content::Import { import, .. } => import.format,
        }
    }

    /// What the user must know about the model, a line each.
    pub fn warnings(&self) -> &[String] {
        match &self.content {
            Content::Gguf(_) => &[],
            Content::Import { import, .. } => &import.warnings,
        }
    }

    /// The bytes of each file.
    pub fn parts(&self) -> Vec<&[u8]> {
        match &self.content {
            Content::Gguf(file) => file.parts().collect(),
            Content::Import { maps, .. } => maps.iter().map(SharedBytes::bytes).collect(),
        }
    }

    /// Bytes of all files together.
    pub fn total_bytes(&self) -> u64 {
        match &self.content {
            Content::Gguf(file) => file.total_bytes(),
            Content::Import { maps, .. } => maps.iter().map(|map| map.bytes().len() as u64).sum(),
        }
    }

    /// Where the model lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The tokenizer beside a llama2.c checkpoint: `tokN.bin` (N: the size of the vocabulary), `tokenizer.bin` or
/// `tokenizer.model`, the first that has N tokens; with why others were not taken.
fn llama2c_tokenizer(path: &Path, file: &[u8]) -> (Option<Tokenizer>, Vec<String>) {
    let Some(vocab) = llama2c::vocabulary(file) else { return (None, Vec::new()) };
    let mut warnings = Vec::new();
    for name in [format!("tok{vocab}.bin"), "tokenizer.bin".into(), "tokenizer.model".into()] {
        let beside = path.with_file_name(&name);
        if !beside.is_file() {
            continue;
        }
        match Tokenizer::from_file(&beside) {
            Ok(tokenizer) if tokenizer.len() as u64 == vocab => return (Some(tokenizer), Vec::new()),
            Ok(tokenizer) => {
                warnings.push(format!("{}: not used, it has {} tokens and the model {vocab}", shown_path(&beside), tokenizer.len()));
            }
            Err(refusal) => warnings.push(format!("{}: not used, {refusal}", shown_path(&beside))),
        }
    }
    (None, warnings)
}
