//! Models that are not GGUF, shown as if they were: one directory, so that one reader of models serves all formats.
//!
//! In: the bytes of a model's files. Out: [`Import`]: metadata with the keys that llama.cpp's converter writes, tokenizer
//! included, and a list of tensors. Their bytes are those of the (memory-mapped) file where they need no change, else they are
//! made here and owned. What an importer does not understand it refuses; docs/model.md lists what is read.

pub mod folder;
pub mod huggingface;
pub mod llama2c;
pub mod safetensors;

use super::error::ModelError;
use super::gguf::{Gguf, GgufWriter, Metadata, Placed, SharedBytes, TensorType};

/// Where the bytes of a tensor are.
#[derive(Debug)]
pub(super) enum Place {
    /// In a file of the model, by its number, from this byte.
    File(u32, u64),
    /// Made from the file's.
    Own(Vec<u8>),
}

/// One tensor, named and stored as in a GGUF file.
#[derive(Debug)]
pub(super) struct Entry {
    pub name: String,
    pub kind: TensorType,
    /// Fastest first, 1 to 4 of them.
    pub sizes: Vec<u64>,
    pub place: Place,
    /// The form in the file, where it is another one.
    pub origin: Option<&'static str>,
}

/// A model read from another format.
#[derive(Debug)]
pub struct Import {
    /// Name of the format.
    pub format: &'static str,
    /// What the user must be told about the model, a line each.
    pub warnings: Vec<String>,
    /// A GGUF file without tensors.
    header: Vec<u8>,
    /// With the bytes of those that were made here.
    tensors: Vec<(Entry, Option<SharedBytes>)>,
    /// Bytes of the files that belong to no tensor.
    metadata_bytes: u64,
}

impl Import {
    fn new(format: &'static str, metadata_bytes: u64, metadata: &[(String, Metadata)], tensors: Vec<Entry>) -> Self {
        let mut header = GgufWriter::new();
        metadata.iter().for_each(|(key, value)| {
            header.metadata(key, value);
        });
        let owned = |mut entry: Entry| {
            let own = match &mut entry.place {
                Place::Own(bytes) => Some(SharedBytes::new(std::mem::take(bytes))),
                Place::File(..) => None,
            };
            (entry, own)
        };
        let tensors = tensors.into_iter().map(owned).collect();
        Self { format, warnings: Vec::new(), header: header.finish(), tensors, metadata_bytes }
    }

    /// The bytes that were made here, in the order of the directory's parts behind the files.
    pub(super) fn owned(&self) -> impl Iterator<Item = &SharedBytes> {
        self.tensors.iter().filter_map(|(_, own)| own.as_ref())
    }

    /// The model's directory; `files` as they were imported.
    ///
    /// # Errors
    /// As [`Gguf::parse`].
    pub fn directory<'a>(&'a self, files: &[&'a [u8]]) -> Result<Gguf<'a>, ModelError> {
        let mut parts = files.to_vec();
        let mut entries = Vec::with_capacity(self.tensors.len());
        for (Entry { name, kind, sizes, place, origin }, own) in &self.tensors {
            parts.extend(own.as_ref().map(SharedBytes::bytes));
            let (part, offset) = match place {
                Place::File(file, first) => (*file, *first),
                Place::Own(_) => (parts.len() as u32 - 1, 0),
            };
            entries.push(Placed { name, kind: *kind, sizes, part, offset, origin: *origin });
        }
        Gguf::assembled(&self.header, &entries, parts, usize::try_from(self.metadata_bytes).unwrap_or(usize::MAX))
    }
}

/// The bytes of 32-bit floats, little-endian.
fn f32_bytes(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}
