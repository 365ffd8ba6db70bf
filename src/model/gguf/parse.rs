//! The parser: header, metadata, tensor directory, layout of the data section, in the order of the file.
//! Peak heap is a few words an entry, each list allocated once after its count was checked.

use super::cursor::Cursor;
use super::tensor::{MOST_DIMENSIONS, TensorInfo, TensorType, unread_type};
use super::value::Value;
use super::{DEFAULT_ALIGNMENT, Gguf, MAGIC, VERSIONS_READ};
use crate::model::error::{ModelError, Refusal, shown};

/// Least bytes of a metadata entry: key length, one byte of key, type, one byte of value.
const LEAST_ENTRY_BYTES: u64 = 8 + 1 + 4 + 1;
/// Least bytes of a directory entry: name length, one byte of name, number of dimensions, one size, type, offset.
const LEAST_TENSOR_BYTES: u64 = 8 + 1 + 4 + 8 + 4 + 8;
/// Longest key (the format says 65535) and tensor name (the format says 64; some tools write longer ones).
const LONGEST_KEY: usize = 65535;
const LONGEST_NAME: usize = 255;
/// Alignments accepted: powers of two in this range.
const ALIGNMENTS: std::ops::RangeInclusive<u64> = 8..=65536;
/// A size beyond this is damage: no model has it, and products stay far from overflow checks elsewhere.
const LARGEST_SIZE: u64 = 1 << 32;

/// How zip archives begin.
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

const DAMAGED: &str = "the file is damaged or written by a broken tool: fetch or convert it again";

pub(super) fn parse(bytes: &[u8]) -> Result<Gguf<'_>, ModelError> {
    let mut cursor = Cursor::new(bytes);
    check_header(&mut cursor)?;
    // Entries of both kinds need at least their least size, so neither count can ask for more memory than a
    // small multiple of the file's own bytes.
    let tensor_count = cursor.u64(|| "number of tensors".into())?;
    let entry_count = cursor.count(LEAST_ENTRY_BYTES, || "number of metadata entries".into())?;
    check_index("number of metadata entries", entry_count)?;

    let mut metadata = Vec::with_capacity(entry_count);
    for _ in 0..entry_count {
        let key = read_name(&mut cursor, "metadata key", LONGEST_KEY)?;
        metadata.push((key, Value::read(&mut cursor, key)?));
    }
    let metadata_order = sorted_unique(metadata.len(), |i| metadata[i].0, "metadata key")?;

    let tensor_count = cursor.check_count(tensor_count, LEAST_TENSOR_BYTES, || "number of tensors".into())?;
    check_index("number of tensors", tensor_count)?;
    let mut tensors = Vec::with_capacity(tensor_count);
    for _ in 0..tensor_count {
        tensors.push(read_tensor(&mut cursor)?);
    }
    let tensor_order = tensor_order(&tensors)?;

    let metadata_bytes = cursor.position();
    let (data, owners) = (vec![&bytes[..0]], Vec::new());
    let mut file = Gguf { metadata, tensors, metadata_order, tensor_order, data, owners, metadata_bytes, alignment: DEFAULT_ALIGNMENT };
    file.alignment = alignment(&file)?;
    let padding = (metadata_bytes as u64).next_multiple_of(file.alignment) - metadata_bytes as u64;
    if !file.tensors.is_empty() {
        cursor.take(padding, || "padding before the tensor data".into())?;
        file.data[0] = cursor.take(cursor.left() as u64, || "tensor data".into())?;
    }
    check_layout(&file)?;
    Ok(file)
}

fn check_header(cursor: &mut Cursor<'_>) -> Result<(), ModelError> {
    let magic = cursor.take(MAGIC.len() as u64, || "magic number".into())?;
    if magic != MAGIC {
        let (found, remedy) = match magic {
            ZIP_MAGIC => ("a zip archive, as PyTorch checkpoints are".into(), "save the model as safetensors and give its folder"),
            _ => (format!("{magic:02x?}"), "give a GGUF file, a folder or safetensors file of Hugging Face, or a llama2.c checkpoint"),
        };
        return Err(ModelError::refused(Refusal::Format, "magic number", "'GGUF'", found, remedy));
    }
    let version = cursor.u32(|| "version".into())?;
    if !VERSIONS_READ.contains(&version) {
        let big_endian = VERSIONS_READ.contains(&version.swap_bytes());
        let found = if big_endian { "a big-endian file".to_owned() } else { version.to_string() };
        let remedy = "convert the model with a current tool, little-endian";
        return Err(ModelError::refused(Refusal::Format, "GGUF version", "2 or 3", found, remedy));
    }
    Ok(())
}

/// Directory positions are 32 bits wide.
fn check_index(item: &str, count: usize) -> Result<(), ModelError> {
    if u32::try_from(count).is_err() {
        return Err(ModelError::refused(Refusal::Bounds, item, "at most 2^32 - 1", count.to_string(), DAMAGED));
    }
    Ok(())
}

fn read_name<'a>(cursor: &mut Cursor<'a>, item: &str, longest: usize) -> Result<&'a str, ModelError> {
    let place = cursor.position();
    let raw = cursor.string(|| item.to_owned())?;
    let item = || format!("{item} at byte {place}");
    if raw.is_empty() || raw.len() > longest {
        let expected = format!("1 to {longest} bytes");
        return Err(ModelError::refused(Refusal::Bounds, item(), expected, format!("{} bytes", raw.len()), DAMAGED));
    }
    std::str::from_utf8(raw).map_err(|_| ModelError::refused(Refusal::Format, item(), "UTF-8 text", "other bytes", DAMAGED))
}

fn read_tensor<'a>(cursor: &mut Cursor<'a>) -> Result<TensorInfo<'a>, ModelError> {
    let name = read_name(cursor, "tensor name", LONGEST_NAME)?;
    let item = |what: &str| format!("{what} of tensor '{}'", shown(name));
    let dimensions = cursor.u32(|| item("number of dimensions"))?;
    if dimensions == 0 || dimensions as usize > MOST_DIMENSIONS {
        let expected = format!("1 to {MOST_DIMENSIONS}");
        let found = dimensions.to_string();
        return Err(ModelError::refused(Refusal::Bounds, item("number of dimensions"), expected, found, DAMAGED));
    }
    let mut sizes = [1; MOST_DIMENSIONS];
    for size in &mut sizes[..dimensions as usize] {
        *size = cursor.u64(|| item("size"))?;
        if *size == 0 || *size > LARGEST_SIZE {
            let expected = format!("1 to {LARGEST_SIZE}");
            return Err(ModelError::refused(Refusal::Bounds, item("size"), expected, size.to_string(), DAMAGED));
        }
    }
    let number = cursor.u32(|| item("type"))?;
    let kind = TensorType::from_number(number).ok_or_else(|| {
        let (name, remedy) = unread_type(number);
        let expected = format!("one of {}", TensorType::names());
        ModelError::refused(Refusal::Type, item("type"), expected, format!("{number} ({name})"), remedy)
    })?;
    let offset = cursor.u64(|| item("offset"))?;
    entry(name, kind, &sizes[..dimensions as usize], offset)
}

/// A directory entry of part 0, whose sizes (1 to [`MOST_DIMENSIONS`] of them, not 0) are whole blocks and fit 64 bits.
///
/// # Errors
/// [`Refusal::Layout`] for rows that are no whole blocks; [`Refusal::Bounds`] for sizes beyond 64 bits.
pub(super) fn entry<'a>(name: &'a str, kind: TensorType, given: &[u64], offset: u64) -> Result<TensorInfo<'a>, ModelError> {
    let item = |what: &str| format!("{what} of tensor '{}'", shown(name));
    let mut sizes = [1; MOST_DIMENSIONS];
    sizes[..given.len()].copy_from_slice(given);
    if !sizes[0].is_multiple_of(kind.block_elements()) {
        let expected = format!("a multiple of {} for {}", kind.block_elements(), kind.name());
        let remedy = "store tensors with such rows as F16 or F32";
        return Err(ModelError::refused(Refusal::Layout, item("row length"), expected, sizes[0].to_string(), remedy));
    }
    let stored_bytes = sizes
        .iter()
        .try_fold(1u64, |product, &size| product.checked_mul(size))
        .and_then(|elements| kind.stored_bytes(elements))
        .ok_or_else(|| {
            let found = format!("{sizes:?}");
            ModelError::refused(Refusal::Bounds, item("sizes"), "fewer than 2^64 bytes", found, DAMAGED)
        })?;
    Ok(TensorInfo { name, kind, sizes, dimensions: given.len() as u32, offset, stored_bytes, part: 0, origin: None })
}

/// Positions of tensors in the order of their names.
///
/// # Errors
/// [`Refusal::Duplicate`] for a name that occurs twice.
pub(super) fn tensor_order(tensors: &[TensorInfo<'_>]) -> Result<Vec<u32>, ModelError> {
    sorted_unique(tensors.len(), |i| tensors[i].name, "tensor name")
}

/// Positions in the order of their names; refuses a name that occurs twice.
fn sorted_unique<'a>(count: usize, name: impl Fn(usize) -> &'a str, item: &str) -> Result<Vec<u32>, ModelError> {
    let mut order: Vec<u32> = Vec::with_capacity(count);
    order.extend(0..count as u32);
    order.sort_unstable_by_key(|&i| name(i as usize));
    for pair in order.windows(2) {
        let text = name(pair[0] as usize);
        if text == name(pair[1] as usize) {
            let item = format!("{item} '{}'", shown(text));
            return Err(ModelError::refused(Refusal::Duplicate, item, "once", "twice", DAMAGED));
        }
    }
    Ok(order)
}

fn alignment(file: &Gguf<'_>) -> Result<u64, ModelError> {
    let key = "general.alignment";
    let alignment = file.get_u64(key)?.unwrap_or(DEFAULT_ALIGNMENT);
    if !alignment.is_power_of_two() || !ALIGNMENTS.contains(&alignment) {
        let expected = format!("a power of two from {} to {}", ALIGNMENTS.start(), ALIGNMENTS.end());
        let item = format!("metadata '{key}'");
        return Err(ModelError::refused(Refusal::Bounds, item, expected, alignment.to_string(), DAMAGED));
    }
    Ok(alignment)
}

/// Every tensor aligned, inside the data section, and apart from all others.
fn check_layout(file: &Gguf<'_>) -> Result<(), ModelError> {
    let data_bytes = file.data[0].len() as u64;
    for tensor in &file.tensors {
        let item = || format!("tensor '{}'", shown(tensor.name));
        if !tensor.offset.is_multiple_of(file.alignment) {
            let expected = format!("an offset that is a multiple of {}", file.alignment);
            return Err(ModelError::refused(Refusal::Layout, item(), expected, tensor.offset.to_string(), DAMAGED));
        }
        if tensor.offset.checked_add(tensor.stored_bytes).is_none_or(|end| end > data_bytes) {
            let expected = format!("{} bytes from offset {}", tensor.stored_bytes, tensor.offset);
            let found = format!("a data section of {data_bytes} bytes");
            let remedy = "the file is cut short or damaged: fetch or convert it again";
            return Err(ModelError::refused(Refusal::Truncated, item(), expected, found, remedy));
        }
    }
    let mut order: Vec<u32> = Vec::with_capacity(file.tensors.len());
    order.extend(0..file.tensors.len() as u32);
    order.sort_unstable_by_key(|&i| file.tensors[i as usize].offset);
    for pair in order.windows(2) {
        let (first, second) = (&file.tensors[pair[0] as usize], &file.tensors[pair[1] as usize]);
        if first.offset + first.stored_bytes > second.offset {
            let item = format!("tensors '{}' and '{}'", shown(first.name), shown(second.name));
            let found = format!(
                "bytes {}..{} and {}..{}",
                first.offset,
                first.offset + first.stored_bytes,
                second.offset,
                second.offset + second.stored_bytes
            );
            return Err(ModelError::refused(Refusal::Layout, item, "bytes of their own", found, DAMAGED));
        }
    }
    Ok(())
}
