//! GGUF versions 2 and 3, read by memory map or from byte slices: metadata, tensor directory, tensor bytes.
//!
//! In: a file, or all files of a split model. Out: [`Gguf`], a checked directory that borrows everything from the file's bytes, so a parse holds
//! a few words for each entry and copies nothing. Every count and length is compared with the bytes that remain
//! before anything is allocated; tensors must be aligned, inside the file, and must not overlap.
//!
//! Source: `docs/gguf.md` of ggml (format, version 3).

pub mod blocks;
mod cursor;
mod parse;
mod share;
mod split;
mod tensor;
mod value;
mod write;

use std::path::{Path, PathBuf};

pub use share::{SharedBytes, TensorBytes};
pub use tensor::{TensorInfo, TensorType};
pub use value::{Array, Value, ValueType};
pub use write::{GgufPlan, GgufStream, GgufWriter, Metadata};

use super::error::{ModelError, Refusal, shown_path};

/// First four bytes of every GGUF file.
pub const MAGIC: [u8; 4] = *b"GGUF";
/// The version that is written.
pub const VERSION: u32 = 3;
/// The versions that are read: 3 added nothing but big-endian files.
const VERSIONS_READ: [u32; 2] = [2, 3];
/// Alignment of the data section and of each tensor where the file names none.
pub const DEFAULT_ALIGNMENT: u64 = 32;

/// A model's GGUF files mapped into memory: one, or all parts of a split model. They must not be changed while mapped.
#[derive(Debug)]
pub struct GgufFile {
    maps: Vec<SharedBytes>,
    path: PathBuf,
}

impl GgufFile {
    /// Maps the file at `path` (and, where its name is `…-00001-of-0000N.gguf`, the other parts beside it); nothing is
    /// read yet.
    ///
    /// # Errors
    /// [`ModelError::Io`] if a file cannot be opened or mapped.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let maps = split::paths(path).iter().map(|part| map(part, part == path)).collect::<Result<_, _>>()?;
        Ok(Self { maps, path: path.to_owned() })
    }

    /// Reads the directory.
    ///
    /// # Errors
    /// As [`Gguf::parse`]; parts that do not belong together are refused.
    pub fn parse(&self) -> Result<Gguf<'_>, ModelError> {
        let paths = split::paths(&self.path);
        let name = |index: usize| paths.get(index).map_or(String::new(), |path| shown_path(path));
        Ok(split::parse_parts(&self.parts().collect::<Vec<_>>(), name)?.owned_by(&self.maps))
    }

    /// All bytes of the file; of a split model, those of its first part.
    pub fn bytes(&self) -> &[u8] {
        self.maps[0].bytes()
    }

    /// The bytes of all files: one, but for split models.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.maps.iter().map(SharedBytes::bytes)
    }

    /// Bytes of all files together.
    pub fn total_bytes(&self) -> u64 {
        self.maps.iter().map(|map| map.bytes().len() as u64).sum()
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Maps one file; `named` if it is the one that was asked for.
pub(super) fn map(path: &Path, named: bool) -> Result<SharedBytes, ModelError> {
    let remedy = if named { "give the path of a readable model file" } else { "put all files of the model into one folder" };
    let fail = |cause| ModelError::Io { path: path.to_owned(), cause, remedy };
    crate::inputs::note(path);
    // Asked before it is opened: a pipe that nobody writes to would never open.
    let kind = std::fs::metadata(path).map_err(fail)?.file_type();
    if kind.is_dir() {
        return Err(fail(std::io::Error::from(std::io::ErrorKind::IsADirectory)));
    }
    if !kind.is_file() {
        let remedy = "a model is mapped into memory: write it to a file and give that";
        return Err(ModelError::refused(Refusal::Format, shown_path(path), "a regular file", "a device or pipe", remedy));
    }
    let file = std::fs::File::open(path).map_err(fail)?;
    // SAFETY: the map is read-only and private to this value. A model file is not written while it is in use;
    // whoever truncates it gets the bus error that every memory-mapped reader gets.
    unsafe { memmap2::Mmap::map(&file) }.map(SharedBytes::new).map_err(fail)
}

/// A tensor of a model that is no GGUF file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed<'a> {
    pub name: &'a str,
    pub kind: TensorType,
    /// Fastest first, 1 to 4 of them.
    pub sizes: &'a [u64],
    /// Number of the part that holds it.
    pub part: u32,
    /// First byte there.
    pub offset: u64,
    /// See [`TensorInfo::origin`].
    pub origin: Option<&'static str>,
}

/// The directory of one GGUF file, borrowed from its bytes.
#[derive(Debug)]
pub struct Gguf<'a> {
    metadata: Vec<(&'a str, Value<'a>)>,
    tensors: Vec<TensorInfo<'a>>,
    /// Positions in `metadata` and `tensors` in the order of key and name, for look-up.
    metadata_order: Vec<u32>,
    tensor_order: Vec<u32>,
    /// Data section of each part; one, but for split models.
    data: Vec<&'a [u8]>,
    /// Who owns the bytes of each part; empty where that is not known.
    owners: Vec<SharedBytes>,
    metadata_bytes: usize,
    alignment: u64,
}

impl<'a> Gguf<'a> {
    /// Reads and checks the directory of a GGUF file given as bytes.
    ///
    /// # Errors
    /// [`ModelError::Refused`] with the item, what was expected and what was found, for anything that breaks the
    /// format: see [`Refusal`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ModelError> {
        parse::parse(bytes)
    }

    /// As [`Gguf::parse`], from all parts of a split model in order; the metadata are those of the first.
    ///
    /// # Errors
    /// As [`Gguf::parse`], and [`Refusal::Contradiction`] where the parts are not those of one model.
    ///
    /// # Panics
    /// If there is no part (a mistake of the caller).
    pub fn parse_parts(parts: &[&'a [u8]]) -> Result<Self, ModelError> {
        split::parse_parts(parts, |index| format!("part {}", index + 1))
    }

    /// The directory of a model that is no GGUF file: metadata from the GGUF file `header`, which has no tensors; tensors in
    /// `parts`. `metadata_bytes`: bytes of the model's own files that are no tensor.
    ///
    /// # Errors
    /// As [`Gguf::parse`]: names twice, rows that are no whole blocks, tensors beyond their part.
    pub(super) fn assembled(
        header: &'a [u8],
        tensors: &[Placed<'a>],
        parts: Vec<&'a [u8]>,
        metadata_bytes: usize,
    ) -> Result<Self, ModelError> {
        let mut whole = parse::parse(header)?;
        whole.tensors.reserve_exact(tensors.len());
        for &Placed { name, kind, sizes, part, offset, origin } in tensors {
            let tensor = TensorInfo { part, origin, ..parse::entry(name, kind, sizes, offset)? };
            let there = parts.get(part as usize).map_or(0, |part| part.len() as u64);
            if offset.checked_add(tensor.stored_bytes).is_none_or(|end| end > there) {
                let expected = format!("{} bytes from offset {offset}", tensor.stored_bytes);
                let item = format!("tensor '{}'", super::error::shown(name));
                let remedy = "the file is cut short or damaged: fetch it again";
                return Err(ModelError::refused(Refusal::Truncated, item, expected, format!("{there} bytes"), remedy));
            }
            whole.tensors.push(tensor);
        }
        whole.tensor_order = parse::tensor_order(&whole.tensors)?;
        (whole.data, whole.metadata_bytes) = (parts, metadata_bytes);
        Ok(whole)
    }

    /// Metadata in the order of the file.
    pub fn metadata(&self) -> impl ExactSizeIterator<Item = (&'a str, Value<'a>)> + '_ {
        self.metadata.iter().copied()
    }

    /// Tensors in the order of the file.
    pub fn tensors(&self) -> &[TensorInfo<'a>] {
        &self.tensors
    }

    /// Bytes before the data section: header, metadata, tensor directory.
    pub fn metadata_bytes(&self) -> usize {
        self.metadata_bytes
    }

    /// Alignment of tensors, in bytes.
    pub fn alignment(&self) -> u64 {
        self.alignment
    }

    /// The value under `key`, if the file has it.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        let place = self.metadata_order.binary_search_by(|&i| self.metadata[i as usize].0.cmp(key));
        place.ok().map(|place| self.metadata[self.metadata_order[place] as usize].1)
    }

    /// The tensor called `name`, if the file has it.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo<'a>> {
        let place = self.tensor_order.binary_search_by(|&i| self.tensors[i as usize].name.cmp(name));
        place.ok().map(|place| &self.tensors[self.tensor_order[place] as usize])
    }

    /// The tensor called `name`.
    ///
    /// # Errors
    /// [`Refusal::Missing`] if the file has none of that name.
    pub fn need_tensor(&self, name: &str) -> Result<&TensorInfo<'a>, ModelError> {
        self.tensor(name).ok_or_else(|| {
            let found = format!("{} tensors, none of that name", self.tensors.len());
            let remedy = "convert the model with all its weights, or use a file of the supported architecture";
            ModelError::refused(Refusal::Missing, format!("tensor '{name}'"), "to be present", found, remedy)
        })
    }

    /// The stored bytes of one of this file's tensors.
    pub fn tensor_bytes(&self, tensor: &TensorInfo<'a>) -> &'a [u8] {
        // `parse` checked that offset + length lies inside the data section of its part.
        let start = tensor.offset as usize;
        &self.data[tensor.part as usize][start..start + tensor.stored_bytes as usize]
    }

    /// The same with the owners of its parts, so that [`Gguf::kept_bytes`] copies nothing.
    pub(super) fn owned_by<'s>(self, owners: impl IntoIterator<Item = &'s SharedBytes>) -> Self {
        Self { owners: owners.into_iter().cloned().collect(), ..self }
    }

    /// The stored bytes of one of this file's tensors, which outlive the directory: of a mapped file the map's own, else a copy.
    pub fn kept_bytes(&self, tensor: &TensorInfo<'a>) -> TensorBytes {
        let bytes = self.tensor_bytes(tensor);
        let owned = self.owners.get(tensor.part as usize).and_then(|owner| owner.part(bytes));
        owned.unwrap_or_else(|| TensorBytes::copy(bytes))
    }

    /// An unsigned integer under `key`, or `None` if the key is absent.
    ///
    /// # Errors
    /// [`Refusal::Type`] if the value is no integer or negative.
    pub fn get_u64(&self, key: &str) -> Result<Option<u64>, ModelError> {
        self.typed(key, "an unsigned integer", Value::as_u64)
    }

    /// A float under `key`, or `None` if the key is absent.
    ///
    /// # Errors
    /// [`Refusal::Type`] if the value is no float.
    pub fn get_f64(&self, key: &str) -> Result<Option<f64>, ModelError> {
        self.typed(key, "a float", Value::as_f64)
    }

    /// A boolean under `key`, or `None` if the key is absent.
    ///
    /// # Errors
    /// [`Refusal::Type`] if the value is no boolean.
    pub fn get_bool(&self, key: &str) -> Result<Option<bool>, ModelError> {
        self.typed(key, "a boolean", Value::as_bool)
    }

    /// Text under `key`, or `None` if the key is absent.
    ///
    /// # Errors
    /// [`Refusal::Type`] if the value is no string or not UTF-8.
    pub fn get_str(&self, key: &str) -> Result<Option<&'a str>, ModelError> {
        self.typed(key, "a UTF-8 string", Value::as_str)
    }

    /// An array of numbers or strings under `key`, or `None` if the key is absent.
    ///
    /// # Errors
    /// [`Refusal::Type`] if the value is no such array.
    pub fn get_array(&self, key: &str) -> Result<Option<Array<'a>>, ModelError> {
        self.typed(key, "an array of numbers or strings", Value::as_array)
    }

    fn typed<T>(&self, key: &str, expected: &str, read: impl Fn(&Value<'a>) -> Option<T>) -> Result<Option<T>, ModelError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        read(&value).map(Some).ok_or_else(|| {
            let signed = matches!(value.kind(), ValueType::I8 | ValueType::I16 | ValueType::I32 | ValueType::I64);
            let negative = signed && value.as_u64().is_none();
            let found = if negative { "a negative integer".to_owned() } else { format!("{:?}", value.kind()) };
            let remedy = "convert the model again with a tool that writes this key's standard type";
            ModelError::refused(Refusal::Type, format!("metadata '{key}'"), expected, found, remedy)
        })
    }
}
