//! Writes GGUF version 3. In: metadata and tensors in their stored form. Out: the bytes of a file that
//! [`super::Gguf::parse`] accepts.

use super::{DEFAULT_ALIGNMENT, MAGIC, TensorType, VERSION, ValueType};

/// A metadata value to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Metadata {
    /// Unsigned 32-bit integer.
    U32(u32),
    /// 32-bit float.
    F32(f32),
    /// Boolean.
    Bool(bool),
    /// Text.
    Text(String),
    /// List of texts (as bytes, as the format has it).
    Texts(Vec<Vec<u8>>),
    /// List of 32-bit floats.
    Floats(Vec<f32>),
    /// List of signed 32-bit integers.
    Ints(Vec<i32>),
}

/// Collects the parts of a file.
#[derive(Debug, Default)]
pub struct GgufWriter {
    metadata_count: u64,
    metadata: Vec<u8>,
    tensor_count: u64,
    directory: Vec<u8>,
    data: Vec<u8>,
}

impl GgufWriter {
    /// An empty file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one metadata entry. Keys must differ: the reader refuses a duplicate.
    pub fn metadata(&mut self, key: &str, value: &Metadata) -> &mut Self {
        self.metadata_count += 1;
        let out = &mut self.metadata;
        put_bytes(out, key.as_bytes());
        match value {
            Metadata::U32(v) => put(out, ValueType::U32, &v.to_le_bytes()),
            Metadata::F32(v) => put(out, ValueType::F32, &v.to_le_bytes()),
            Metadata::Bool(v) => put(out, ValueType::Bool, &[u8::from(*v)]),
            Metadata::Text(v) => {
                put(out, ValueType::String, &[]);
                put_bytes(out, v.as_bytes());
            }
            Metadata::Texts(v) => {
                put_array(out, ValueType::String, v.len());
                v.iter().for_each(|text| put_bytes(out, text));
            }
            Metadata::Floats(v) => {
                put_array(out, ValueType::F32, v.len());
                v.iter().for_each(|x| out.extend(x.to_le_bytes()));
            }
            Metadata::Ints(v) => {
                put_array(out, ValueType::I32, v.len());
                v.iter().for_each(|x| out.extend(x.to_le_bytes()));
            }
        }
        self
    }

    /// Adds one tensor: `sizes` fastest first, `stored` its bytes in the form of `kind`.
    ///
    /// # Panics
    /// If the number of bytes does not belong to the sizes and the type (a mistake of the caller).
    pub fn tensor(&mut self, name: &str, kind: TensorType, sizes: &[u64], stored: &[u8]) -> &mut Self {
        let elements: u64 = sizes.iter().product();
        assert_eq!(Some(stored.len() as u64), kind.stored_bytes(elements), "bytes of {name}");
        self.data.resize(self.data.len().next_multiple_of(DEFAULT_ALIGNMENT as usize), 0);
        self.tensor_count += 1;
        let out = &mut self.directory;
        put_bytes(out, name.as_bytes());
        out.extend((sizes.len() as u32).to_le_bytes());
        sizes.iter().for_each(|size| out.extend(size.to_le_bytes()));
        out.extend((kind as u32).to_le_bytes());
        out.extend((self.data.len() as u64).to_le_bytes());
        self.data.extend_from_slice(stored);
        self
    }

    /// The file.
    pub fn finish(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(self.tensor_count.to_le_bytes());
        out.extend(self.metadata_count.to_le_bytes());
        out.extend_from_slice(&self.metadata);
        out.extend_from_slice(&self.directory);
        out.resize(out.len().next_multiple_of(DEFAULT_ALIGNMENT as usize), 0);
        out.extend_from_slice(&self.data);
        // ggml wants the last tensor padded as well.
        out.resize(out.len().next_multiple_of(DEFAULT_ALIGNMENT as usize), 0);
        out
    }
}

fn put(out: &mut Vec<u8>, kind: ValueType, bytes: &[u8]) {
    out.extend((kind as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn put_array(out: &mut Vec<u8>, element: ValueType, len: usize) {
    put(out, ValueType::Array, &(element as u32).to_le_bytes());
    out.extend((len as u64).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}
