//! Metadata values, borrowed from the file: a value is a type and the bytes it lies in; it is decoded when asked
//! for. Nothing here allocates in proportion to the file.

use super::cursor::Cursor;
use crate::model::error::{ModelError, Refusal, shown};

/// Arrays inside arrays deeper than this are refused (no known file nests at all).
const DEEPEST_ARRAY: u32 = 4;
/// Least bytes of a string (its length) and of an array (element type and count).
const STRING_BYTES: u64 = 8;
const ARRAY_BYTES: u64 = 12;

/// Type of a metadata value; the discriminant is the number in the file (GGUF v3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum ValueType {
    U8 = 0,
    I8 = 1,
    U16 = 2,
    I16 = 3,
    U32 = 4,
    I32 = 5,
    F32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    U64 = 10,
    I64 = 11,
    F64 = 12,
}

impl ValueType {
    /// The type with this number, if there is one.
    pub fn from_number(number: u32) -> Option<Self> {
        use ValueType::*;
        [U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64].get(number as usize).copied()
    }

    /// Bytes of one value, or `None` where the length varies.
    fn fixed_bytes(self) -> Option<u64> {
        use ValueType::*;
        match self {
            U8 | I8 | Bool => Some(1),
            U16 | I16 => Some(2),
            U32 | I32 | F32 => Some(4),
            U64 | I64 | F64 => Some(8),
            String | Array => None,
        }
    }

    fn least_bytes(self) -> u64 {
        self.fixed_bytes().unwrap_or(if self == Self::String { STRING_BYTES } else { ARRAY_BYTES })
    }
}

/// One metadata value: its type and where it lies.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    kind: ValueType,
    bytes: &'a [u8],
}

/// A one-dimensional array of fixed-size numbers or of strings.
#[derive(Debug, Clone, Copy)]
pub struct Array<'a> {
    /// Type of every element.
    pub element: ValueType,
    /// Number of elements.
    pub len: usize,
    bytes: &'a [u8],
}

impl<'a> Value<'a> {
    /// Reads the value that follows and checks that all of it lies inside the file.
    pub(super) fn read(cursor: &mut Cursor<'a>, key: &str) -> Result<Self, ModelError> {
        let kind = read_type(cursor, key)?;
        let mut end = cursor.clone();
        skip(&mut end, kind, key, 0)?;
        let length = end.position() - cursor.position();
        let bytes = cursor.take(length as u64, || format!("value of '{}'", shown(key)))?;
        if kind == ValueType::Bool && bytes[0] > 1 {
            return Err(ModelError::refused(
                Refusal::Type,
                format!("value of '{}'", shown(key)),
                "a boolean, 0 or 1",
                bytes[0].to_string(),
                "the file is damaged or written by a broken tool: convert it again",
            ));
        }
        Ok(Self { kind, bytes })
    }

    /// The type that the file gives.
    pub fn kind(&self) -> ValueType {
        self.kind
    }

    /// The bytes that the value takes in the file, behind its type.
    pub(super) fn stored(&self) -> &'a [u8] {
        self.bytes
    }

    /// The value as an unsigned integer, whatever integer type holds it; `None` if negative or no integer.
    pub fn as_u64(&self) -> Option<u64> {
        use ValueType::*;
        match self.kind {
            U8 | U16 | U32 | U64 => Some(little_endian(self.bytes)),
            I8 | I16 | I32 | I64 => {
                let negative = self.bytes.last().is_some_and(|top| top & 0x80 != 0);
                (!negative).then(|| little_endian(self.bytes))
            }
            _ => None,
        }
    }

    /// The value as a float; `None` if it is no F32 or F64.
    pub fn as_f64(&self) -> Option<f64> {
        match self.kind {
            ValueType::F32 => Some(f64::from(f32::from_bits(little_endian(self.bytes) as u32))),
            ValueType::F64 => Some(f64::from_bits(little_endian(self.bytes))),
            _ => None,
        }
    }

    /// The value as a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        (self.kind == ValueType::Bool).then(|| self.bytes[0] == 1)
    }

    /// The value as text; `None` if it is no string or not UTF-8.
    pub fn as_str(&self) -> Option<&'a str> {
        let text = (self.kind == ValueType::String).then(|| &self.bytes[STRING_BYTES as usize..])?;
        std::str::from_utf8(text).ok()
    }

    /// The value as an array; `None` if it is none, or an array of arrays.
    pub fn as_array(&self) -> Option<Array<'a>> {
        if self.kind != ValueType::Array {
            return None;
        }
        let (head, bytes) = self.bytes.split_at(ARRAY_BYTES as usize);
        let element = ValueType::from_number(little_endian(&head[..4]) as u32)?;
        let len = usize::try_from(little_endian(&head[4..])).ok()?;
        (element != ValueType::Array).then_some(Array { element, len, bytes })
    }
}

impl<'a> Array<'a> {
    /// The elements as strings (bytes: whether they are UTF-8 is for the reader to check); `None` for numbers.
    pub fn strings(&self) -> Option<impl ExactSizeIterator<Item = &'a [u8]> + use<'a>> {
        let mut rest = self.bytes;
        (self.element == ValueType::String).then(|| {
            // `skip` walked these lengths when the value was read, so they lie inside `bytes`.
            (0..self.len).map(move |_| {
                let (length, tail) = rest.split_at(STRING_BYTES as usize);
                let (text, tail) = tail.split_at(little_endian(length) as usize);
                rest = tail;
                text
            })
        })
    }

    /// The elements as F32; `None` for other types.
    pub fn floats(&self) -> Option<impl ExactSizeIterator<Item = f32> + use<'a>> {
        let words = self.bytes.chunks_exact(4);
        (self.element == ValueType::F32).then(|| words.map(|b| f32::from_bits(little_endian(b) as u32)))
    }

    /// The elements as 32-bit integers (I32 or U32 bits); `None` for other types.
    pub fn ints(&self) -> Option<impl ExactSizeIterator<Item = i32> + use<'a>> {
        let words = self.bytes.chunks_exact(4);
        matches!(self.element, ValueType::I32 | ValueType::U32).then(|| words.map(|b| little_endian(b) as u32 as i32))
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

fn read_type(cursor: &mut Cursor<'_>, key: &str) -> Result<ValueType, ModelError> {
    let number = cursor.u32(|| format!("type of '{}'", shown(key)))?;
    ValueType::from_number(number).ok_or_else(|| {
        ModelError::refused(
            Refusal::Type,
            format!("type of '{}'", shown(key)),
            "a GGUF value type, 0 to 12",
            number.to_string(),
            "the file is damaged or of a later version: convert it again",
        )
    })
}

/// Moves the cursor behind one value of type `kind`.
fn skip(cursor: &mut Cursor<'_>, kind: ValueType, key: &str, depth: u32) -> Result<(), ModelError> {
    let item = || format!("value of '{}'", shown(key));
    match kind {
        ValueType::String => cursor.string(item).map(drop),
        ValueType::Array => {
            if depth == DEEPEST_ARRAY {
                return Err(ModelError::refused(
                    Refusal::Bounds,
                    item(),
                    format!("arrays nested at most {DEEPEST_ARRAY} deep"),
                    "a deeper one",
                    "the file is damaged or hostile: do not use it",
                ));
            }
            let element = read_type(cursor, key)?;
            let count = cursor.count(element.least_bytes(), || format!("number of elements of '{}'", shown(key)))?;
            if let Some(bytes) = element.fixed_bytes() {
                return cursor.take(count as u64 * bytes, item).map(drop);
            }
            (0..count).try_for_each(|_| skip(cursor, element, key, depth + 1))
        }
        _ => cursor.take(kind.least_bytes(), item).map(drop),
    }
}
