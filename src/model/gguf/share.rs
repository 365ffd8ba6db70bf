//! Bytes of a tensor that stay readable after the file's directory is gone, without a copy where the file is mapped. In: a file's bytes
//! with their owner. Out: [`TensorBytes`].

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// Bytes with several owners: a memory map, or a buffer.
#[derive(Clone)]
pub struct SharedBytes(Arc<dyn AsRef<[u8]> + Send + Sync>);

impl SharedBytes {
    /// Takes `bytes` over.
    pub fn new(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(bytes))
    }

    /// The whole.
    pub fn bytes(&self) -> &[u8] {
        (*self.0).as_ref()
    }

    /// `part`, a slice of these very bytes, with its owner; `None` if it lies elsewhere.
    pub(super) fn part(&self, part: &[u8]) -> Option<TensorBytes> {
        let start = part.as_ptr().addr().checked_sub(self.bytes().as_ptr().addr())?;
        let range = start..start.checked_add(part.len())?;
        self.bytes().get(range.clone())?;
        Some(TensorBytes { owner: self.clone(), range })
    }
}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes().len())
    }
}

/// The stored bytes of one tensor; keeps the file mapped.
#[derive(Debug, Clone)]
pub struct TensorBytes {
    owner: SharedBytes,
    range: Range<usize>,
}

impl TensorBytes {
    /// A copy, for bytes whose owner is not known.
    pub(super) fn copy(bytes: &[u8]) -> Self {
        Self { owner: SharedBytes::new(bytes.to_vec()), range: 0..bytes.len() }
    }
}

impl Deref for TensorBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // In range: checked where the value was made, and the owner's bytes do not change.
        &self.owner.bytes()[self.range.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_the_same_memory_and_bytes_from_elsewhere_are_none() {
        let whole = SharedBytes::new(vec![1, 2, 3, 4, 5]);
        let part = whole.part(&whole.bytes()[1..4]).unwrap();
        assert!(std::ptr::eq(&part[..], &whole.bytes()[1..4]));
        assert!(whole.part(&[2, 3, 4]).is_none());
        let copy = TensorBytes::copy(&part);
        drop(whole);
        assert_eq!((&part[..], &copy[..]), (&[2u8, 3, 4][..], &[2u8, 3, 4][..]));
    }
}
