//! Writes GGUF version 3, front to back. In: metadata, and every tensor's name, type and sizes ([`GgufPlan`]); then the tensors' stored
//! bytes, in pieces of any length ([`GgufStream`]). Out: a file that [`super::Gguf::parse`] accepts. Nothing of the data is kept:
//! the plan alone gives every offset. [`GgufWriter`] does the same in memory.

use std::io::{self, Write};

use super::{DEFAULT_ALIGNMENT, MAGIC, TensorType, VERSION, Value, ValueType};

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

/// Everything of a file but its tensors' bytes.
#[derive(Debug, Clone)]
pub struct GgufPlan {
    alignment: u64,
    metadata_count: u64,
    metadata: Vec<u8>,
    directory: Vec<u8>,
    /// Bytes of each tensor.
    sizes: Vec<u64>,
    /// Up to the last tensor's last byte.
    data_bytes: u64,
}

impl Default for GgufPlan {
    fn default() -> Self {
        Self::new(DEFAULT_ALIGNMENT)
    }
}

impl GgufPlan {
    /// An empty file whose tensors lie at multiples of `alignment`; if that is not the default, the metadata must say so.
    pub fn new(alignment: u64) -> Self {
        Self { alignment, metadata_count: 0, metadata: Vec::new(), directory: Vec::new(), sizes: Vec::new(), data_bytes: 0 }
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

    /// Adds one metadata entry of another file as it stands there, whatever its type.
    pub fn value(&mut self, key: &str, value: Value<'_>) -> &mut Self {
        self.metadata_count += 1;
        put_bytes(&mut self.metadata, key.as_bytes());
        put(&mut self.metadata, value.kind(), value.stored());
        self
    }

    /// Adds one tensor, `sizes` fastest first.
    ///
    /// # Panics
    /// If its bytes do not fit 64 bits (a mistake of the caller).
    pub fn tensor(&mut self, name: &str, kind: TensorType, sizes: &[u64]) -> &mut Self {
        let bytes = kind.stored_bytes(sizes.iter().product());
        let bytes = bytes.unwrap_or_else(|| panic!("bytes of {name}, {sizes:?} of {}", kind.name()));
        let offset = self.data_bytes.next_multiple_of(self.alignment);
        let out = &mut self.directory;
        put_bytes(out, name.as_bytes());
        out.extend((sizes.len() as u32).to_le_bytes());
        sizes.iter().for_each(|size| out.extend(size.to_le_bytes()));
        out.extend((kind as u32).to_le_bytes());
        out.extend(offset.to_le_bytes());
        self.data_bytes = offset + bytes;
        self.sizes.push(bytes);
        self
    }

    /// Bytes of the whole file.
    pub fn total_bytes(&self) -> u64 {
        // ggml wants the last tensor padded as well.
        self.header_bytes().next_multiple_of(self.alignment) + self.data_bytes.next_multiple_of(self.alignment)
    }

    fn header_bytes(&self) -> u64 {
        (MAGIC.len() + 4 + 8 + 8 + self.metadata.len() + self.directory.len()) as u64
    }

    /// Writes everything that precedes the data to `out`, which then takes the tensors' bytes.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn stream<W: Write>(&self, mut out: W) -> io::Result<GgufStream<'_, W>> {
        out.write_all(&MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        out.write_all(&(self.sizes.len() as u64).to_le_bytes())?;
        out.write_all(&self.metadata_count.to_le_bytes())?;
        out.write_all(&self.metadata)?;
        out.write_all(&self.directory)?;
        pad(&mut out, self.header_bytes(), self.alignment)?;
        Ok(GgufStream { out, plan: self, tensor: 0, written: 0 })
    }
}

/// A file whose header is written: takes the bytes of the planned tensors, in their order.
#[derive(Debug)]
pub struct GgufStream<'p, W> {
    out: W,
    plan: &'p GgufPlan,
    /// The tensor whose bytes come next.
    tensor: usize,
    /// Bytes of it that are written.
    written: u64,
}

impl<W: Write> GgufStream<'_, W> {
    /// Takes the next bytes of the tensor that is not complete; behind its last byte the padding is written, and the next one begins.
    ///
    /// # Errors
    /// Those of the file.
    ///
    /// # Panics
    /// If the tensor has fewer bytes left (a mistake of the caller).
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let size = self.plan.sizes.get(self.tensor).copied().unwrap_or(0);
        self.written += bytes.len() as u64;
        assert!(self.written <= size, "bytes of tensor {}: {size} planned, {} given", self.tensor, self.written);
        self.out.write_all(bytes)?;
        if self.written == size {
            pad(&mut self.out, size, self.plan.alignment)?;
            (self.tensor, self.written) = (self.tensor + 1, 0);
        }
        Ok(())
    }

    /// Ends the file, and gives back what took it.
    ///
    /// # Errors
    /// Those of the file.
    ///
    /// # Panics
    /// If a tensor is not complete (a mistake of the caller).
    pub fn finish(mut self) -> io::Result<W> {
        assert_eq!((self.tensor, self.written), (self.plan.sizes.len(), 0), "tensors written");
        self.out.flush()?;
        Ok(self.out)
    }
}

/// A whole file in memory.
#[derive(Debug, Default)]
pub struct GgufWriter {
    plan: GgufPlan,
    tensors: Vec<Vec<u8>>,
}

impl GgufWriter {
    /// An empty file.
    pub fn new() -> Self {
        Self::default()
    }

    /// As [`GgufPlan::metadata`].
    pub fn metadata(&mut self, key: &str, value: &Metadata) -> &mut Self {
        self.plan.metadata(key, value);
        self
    }

    /// Adds one tensor: `sizes` fastest first, `stored` its bytes in the form of `kind`.
    ///
    /// # Panics
    /// If the number of bytes does not belong to the sizes and the type (a mistake of the caller).
    pub fn tensor(&mut self, name: &str, kind: TensorType, sizes: &[u64], stored: &[u8]) -> &mut Self {
        assert_eq!(Some(stored.len() as u64), kind.stored_bytes(sizes.iter().product()), "bytes of {name}");
        self.plan.tensor(name, kind, sizes);
        self.tensors.push(stored.to_vec());
        self
    }

    /// The file.
    pub fn finish(&self) -> Vec<u8> {
        let write = || {
            let mut stream = self.plan.stream(Vec::with_capacity(self.plan.total_bytes() as usize))?;
            self.tensors.iter().try_for_each(|stored| stream.write(stored))?;
            stream.finish()
        };
        let written: io::Result<Vec<u8>> = write();
        written.unwrap_or_else(|error| unreachable!("a vector takes every byte: {error}"))
    }
}

/// Zeros from byte `at` up to the next multiple of `alignment`.
fn pad(out: &mut impl Write, at: u64, alignment: u64) -> io::Result<()> {
    let zeros = at.next_multiple_of(alignment) - at;
    io::copy(&mut io::Read::take(io::repeat(0), zeros), out).map(drop)
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
