//! Reads little-endian values from a byte slice, in order. Nothing is read or sized beyond the end: each
//! length is compared with the bytes that remain before it is used.

use crate::model::error::{ModelError, Refusal};

const REMEDY: &str = "the file is cut short or damaged: fetch or convert it again";

/// A position in a byte slice.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Bytes consumed so far.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Bytes not yet consumed.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// The next `length` bytes. `item` names them in the error.
    pub(super) fn take(&mut self, length: u64, item: impl Fn() -> String) -> Result<&'a [u8], ModelError> {
        let left = self.left();
        match usize::try_from(length) {
            Ok(length) if length <= left => {
                let start = self.position;
                self.position += length;
                Ok(&self.bytes[start..self.position])
            }
            _ => Err(ModelError::refused(
                Refusal::Truncated,
                format!("{} at byte {}", item(), self.position),
                format!("{length} bytes"),
                format!("{left} bytes before the end"),
                REMEDY,
            )),
        }
    }

    fn array<const N: usize>(&mut self, item: impl Fn() -> String) -> Result<[u8; N], ModelError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N as u64, item)?);
        Ok(out)
    }

    pub(super) fn u32(&mut self, item: impl Fn() -> String) -> Result<u32, ModelError> {
        self.array(item).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, item: impl Fn() -> String) -> Result<u64, ModelError> {
        self.array(item).map(u64::from_le_bytes)
    }

    /// A count of things that take at least `least_bytes` each: refused if they cannot fit in what remains.
    pub(super) fn count(&mut self, least_bytes: u64, item: impl Fn() -> String) -> Result<usize, ModelError> {
        let count = self.u64(&item)?;
        self.check_count(count, least_bytes, item)
    }

    /// As [`Cursor::count`] for a count read earlier.
    pub(super) fn check_count(&self, count: u64, least_bytes: u64, item: impl Fn() -> String) -> Result<usize, ModelError> {
        let most = self.left() as u64 / least_bytes;
        match usize::try_from(count) {
            Ok(n) if count <= most => Ok(n),
            _ => Err(ModelError::refused(
                Refusal::Truncated,
                item(),
                format!("at most {most} in the {} bytes that remain", self.left()),
                count.to_string(),
                REMEDY,
            )),
        }
    }

    /// A GGUF string: 64-bit length, then that many bytes (not yet checked to be UTF-8).
    pub(super) fn string(&mut self, item: impl Fn() -> String) -> Result<&'a [u8], ModelError> {
        let length = self.u64(&item)?;
        self.take(length, item)
    }
}
