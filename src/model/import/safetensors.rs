//! The tensors of safetensors files. In: the bytes of all files of a model. Out: [`Tensors`], from which each is taken once; what
//! is left over is refused.
//!
//! The header is read by the crate `safetensors`: it compares its length with the file's before it reads it, and every
//! tensor's offsets, type and shape with each other and with the file's end; tensors fill the file without gap.

use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors};

use crate::model::error::{ModelError, Refusal, shown};
use crate::model::gguf::TensorType;

const REMEDY: &str = "the file is cut short or damaged: download it again";

/// Bytes before a header: its length.
const LENGTH: usize = 8;

/// One tensor where it lies.
#[derive(Debug, Clone)]
pub(super) struct Stored<'a> {
    pub dtype: Dtype,
    /// Slowest first, as the file gives them.
    pub shape: Vec<usize>,
    /// Number of the file.
    pub file: u32,
    /// First byte in it.
    pub first: u64,
    pub bytes: &'a [u8],
}

impl Stored<'_> {
    /// The storage type, if it is a float that is read.
    pub fn float(&self) -> Option<TensorType> {
        match self.dtype {
            Dtype::F32 => Some(TensorType::F32),
            Dtype::F16 => Some(TensorType::F16),
            Dtype::BF16 => Some(TensorType::Bf16),
            _ => None,
        }
    }
}

/// All tensors of a model that nobody has taken yet, by name.
#[derive(Debug)]
pub(super) struct Tensors<'a> {
    left: BTreeMap<String, Stored<'a>>,
    /// Bytes of all headers.
    pub header_bytes: u64,
}

/// Whether a file begins as one of these.
pub fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH>() else { return false };
    let header = usize::try_from(u64::from_le_bytes(*length)).ok().and_then(|length| rest.get(..length));
    header.is_some_and(|header| header.first() == Some(&b'{'))
}

impl<'a> Tensors<'a> {
    /// Reads the headers of all files.
    ///
    /// # Errors
    /// [`Refusal::Format`] for a header that is damaged; [`Refusal::Duplicate`] for a name in two files.
    pub fn read(files: &[&'a [u8]]) -> Result<Self, ModelError> {
        let mut all = Self { left: BTreeMap::new(), header_bytes: 0 };
        for (number, &file) in files.iter().enumerate() {
            let (header, tensors) = SafeTensors::read_metadata(file).map_err(|cause| {
                let item = format!("safetensors header of file {} of {}", number + 1, files.len());
                ModelError::refused(Refusal::Format, item, "a header and the bytes that it lists", shown(&cause.to_string()), REMEDY)
            })?;
            all.header_bytes += (LENGTH + header) as u64;
            let data = &file[LENGTH + header..];
            for (name, info) in tensors.tensors() {
                let (from, to) = info.data_offsets;
                let first = (LENGTH + header + from) as u64;
                let stored = Stored { dtype: info.dtype, shape: info.shape.clone(), file: number as u32, first, bytes: &data[from..to] };
                let item = format!("tensor '{}'", shown(&name));
                if all.left.insert(name, stored).is_some() {
                    let remedy = "keep one model's files in the folder";
                    return Err(ModelError::refused(Refusal::Duplicate, item, "in one file", "in two", remedy));
                }
            }
        }
        Ok(all)
    }

    /// Number of tensors that are left.
    pub fn len(&self) -> usize {
        self.left.len()
    }

    /// Whether there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.left.contains_key(name)
    }

    /// Takes the tensor `name` of any shape.
    ///
    /// # Errors
    /// [`Refusal::Missing`].
    pub fn take_any(&mut self, name: &str) -> Result<Stored<'a>, ModelError> {
        self.left.remove(name).ok_or_else(|| {
            let remedy = "the configuration and the weights belong to different models, or files are missing: download the folder again";
            ModelError::refused(Refusal::Missing, format!("tensor '{}'", shown(name)), "to be present", "nothing", remedy)
        })
    }

    /// Takes the tensor `name`, which must have this shape (slowest first).
    ///
    /// # Errors
    /// [`Refusal::Missing`], [`Refusal::Contradiction`].
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Stored<'a>, ModelError> {
        let stored = self.take_any(name)?;
        if stored.shape != shape {
            let item = format!("shape of tensor '{}'", shown(name));
            let remedy = "config.json and the weights belong to different models: download the folder again";
            let found = format!("{:?}", stored.shape);
            return Err(ModelError::refused(Refusal::Contradiction, item, format!("{shape:?}"), found, remedy));
        }
        Ok(stored)
    }

    /// Takes away what a reader does not need, by the end of the name.
    pub fn drop_ending(&mut self, end: &str) {
        self.left.retain(|name, _| !name.ends_with(end));
    }

    /// Nothing may be left: it would silently change what the model says.
    ///
    /// # Errors
    /// [`Refusal::Contradiction`] with the first name.
    pub fn check_none_left(&self) -> Result<(), ModelError> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(name) => {
                let item = format!("tensor '{}'", shown(name));
                let remedy = "the model has parts that are not supported: use a model of the plain architecture";
                let expected = "only tensors of the model that config.json describes";
                let found = format!("one that is not part of it ({} in all)", self.left.len());
                Err(ModelError::refused(Refusal::Contradiction, item, expected, found, remedy))
            }
        }
    }
}
