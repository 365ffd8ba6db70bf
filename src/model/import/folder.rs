//! Which files make up a model of Hugging Face. In: the path of its folder, or of one safetensors file in it. Out: [`Found`]:
//! the paths of all safetensors files, the content of `config.json`, the tokenizer as GGUF metadata.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::model::error::{ModelError, Refusal, shown, shown_path};
use crate::model::gguf::Metadata;
use crate::model::tokenizer::{HF_CONFIG_KEY, HF_JSON_KEY, Tokenizer};

/// Largest JSON file that is read, but for tokenizers, in bytes.
const LARGEST_JSON: u64 = 64 << 20;
/// Largest tokenizer, in bytes; the largest published ones have some 30 million.
const LARGEST_TOKENIZER: u64 = 512 << 20;
/// The one file, and the list of several.
const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

const REMEDY: &str = "give a model file, or a folder as Hugging Face publishes it";

/// A model's files.
#[derive(Debug)]
pub struct Found {
    /// The safetensors files, in the order of their names.
    pub files: Vec<PathBuf>,
    /// Content of `config.json`.
    pub config: Vec<u8>,
    /// Keys of a GGUF file that hold the tokenizer.
    pub tokenizer: Vec<(String, Metadata)>,
    /// Why there is none, where files of one are there.
    pub warnings: Vec<String>,
    /// Name of the folder.
    pub name: String,
}

/// Finds the files of the model at `path`.
///
/// # Errors
/// [`ModelError::Io`]; [`Refusal::Missing`], [`Refusal::Format`], [`Refusal::Contradiction`]: no `config.json`, no safetensors file or
/// several without a list, a list that names other places.
pub fn find(path: &Path) -> Result<Found, ModelError> {
    let (folder, asked) = if path.is_dir() { (path, None) } else { (path.parent().unwrap_or(Path::new("")), Some(path)) };
    let missing = |what: &str, found: &str| {
        let item = format!("{}, {what}", shown_path(if folder.as_os_str().is_empty() { Path::new(".") } else { folder }));
        ModelError::refused(Refusal::Missing, item, "to be present", found, REMEDY)
    };
    let config = optional(&folder.join("config.json"), LARGEST_JSON)?.ok_or_else(|| missing("config.json", "nothing"))?;
    let index = optional(&folder.join(INDEX), LARGEST_JSON)?.map(|bytes| listed(&bytes)).transpose()?;
    let all = |index: &[String]| index.iter().map(|name| folder.join(name)).collect();
    let files = match (asked, index) {
        (Some(file), Some(index)) if index.iter().any(|name| file.file_name().is_some_and(|asked| asked == name.as_str())) => all(&index),
        (Some(file), _) => vec![file.to_owned()],
        (None, _) if folder.join(SINGLE).is_file() => vec![folder.join(SINGLE)],
        (None, Some(index)) => all(&index),
        (None, None) => match &others(folder)?[..] {
            [one] => vec![one.clone()],
            [] => return Err(missing("a safetensors file", "none")),
            several => return Err(missing(INDEX, &format!("{} safetensors files without it", several.len()))),
        },
    };
    let name = std::path::absolute(folder).ok().and_then(|folder| Some(folder.file_name()?.to_string_lossy().into_owned()));
    let (tokenizer, warnings) = match tokenizer(folder) {
        Ok(tokenizer) => (tokenizer, Vec::new()),
        Err(refusal) => (Vec::new(), vec![format!("the tokenizer in {} is not used: {refusal}", shown_path(folder))]),
    };
    Ok(Found { files, config, tokenizer, warnings, name: name.unwrap_or_default() })
}

/// The names of the files in a list of shards, each once.
fn listed(bytes: &[u8]) -> Result<Vec<String>, ModelError> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let index: Index = serde_json::from_slice(bytes)
        .map_err(|cause| ModelError::refused(Refusal::Format, INDEX, "a list of tensors", shown(&cause.to_string()), REMEDY))?;
    let mut names: Vec<String> = index.weight_map.into_values().collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Err(ModelError::refused(Refusal::Missing, INDEX, "names of files", "none", REMEDY));
    }
    // A list from outside must not open files elsewhere.
    if let Some(name) = names.iter().find(|name| !name.ends_with(".safetensors") || name.contains(['/', '\\', ':'])) {
        let expected = "names of safetensors files in the same folder";
        return Err(ModelError::refused(Refusal::Contradiction, INDEX, expected, format!("'{}'", shown(name)), REMEDY));
    }
    Ok(names)
}

/// All safetensors files of a folder.
fn others(folder: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let io = |cause| ModelError::Io { path: folder.to_owned(), cause, remedy: REMEDY };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|end| end == "safetensors") {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// `tokenizer.json` as it is, with what `tokenizer_config.json` and `chat_template.jinja` add; else `tokenizer.model`.
fn tokenizer(folder: &Path) -> Result<Vec<(String, Metadata)>, ModelError> {
    let text = |name: &str, bytes: Vec<u8>| {
        let refuse = |_| ModelError::refused(Refusal::Format, name.to_owned(), "UTF-8", "other bytes", REMEDY);
        String::from_utf8(bytes).map_err(refuse)
    };
    let Some(json) = optional(&folder.join("tokenizer.json"), LARGEST_TOKENIZER)? else {
        if !folder.join("tokenizer.model").is_file() {
            return Ok(Vec::new());
        }
        let keys = Tokenizer::from_folder(folder)?.to_metadata().unwrap_or_default();
        return Ok(keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
    };
    let mut config = match optional(&folder.join("tokenizer_config.json"), LARGEST_JSON)? {
        None => Value::Object(Default::default()),
        Some(bytes) => serde_json::from_slice(&bytes)
            .map_err(|cause| ModelError::refused(Refusal::Format, "tokenizer_config.json", "JSON", shown(&cause.to_string()), REMEDY))?,
    };
    if let (Some(template), Some(fields)) = (optional(&folder.join("chat_template.jinja"), LARGEST_JSON)?, config.as_object_mut()) {
        fields.insert("chat_template".into(), text("chat_template.jinja", template)?.into());
    }
    Ok(vec![
        (HF_JSON_KEY.to_owned(), Metadata::Text(text("tokenizer.json", json)?)),
        (HF_CONFIG_KEY.to_owned(), Metadata::Text(config.to_string())),
    ])
}

/// The content of a file of at most `largest` bytes, `None` where there is none.
fn optional(path: &Path, largest: u64) -> Result<Option<Vec<u8>>, ModelError> {
    let io = |cause| ModelError::Io { path: path.to_owned(), cause, remedy: REMEDY };
    let size = match std::fs::metadata(path) {
        Ok(data) => data.len(),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(io(cause)),
    };
    if size > largest {
        let expected = format!("at most {largest} bytes");
        return Err(ModelError::refused(Refusal::Bounds, shown_path(path), expected, format!("{size} bytes"), REMEDY));
    }
    crate::inputs::note(path);
    std::fs::read(path).map(Some).map_err(io)
}
