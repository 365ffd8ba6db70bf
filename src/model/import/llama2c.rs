//! llama2.c's checkpoints (`.bin`): the one of its first days without magic number, version 1 (f32) and version 2 (int8 with a
//! scale a group, for `runq`). In: the bytes of a file, its tokenizer. Out: an [`Import`] of architecture `llama`.
//!
//! Weights are f32 as stored. Those of version 2 become Q8_0 where that is exact (groups of whole 32, scales that are f16),
//! else f32, each `code · scale` rounded once, as `runq` itself dequantises. RoPE turns neighbours, as in GGUF.
//!
//! Source: `run.c`, `runq.c`, `export.py` of karpathy/llama2.c.

use half::f16;

use super::{Entry, Import, Place, f32_bytes};
use crate::model::error::{ModelError, Refusal};
use crate::model::gguf::{Metadata, TensorType};
use crate::model::tokenizer::Tokenizer;

/// Name of the format.
pub const FORMAT: &str = "llama2.c";

/// First number of versions 1 and 2, `ak42`.
const MAGIC: u32 = 0x616b_3432;
/// Bytes of a header without magic number, and of the others.
const OLD_HEADER: u64 = 7 * 4;
const HEADER: u64 = 256;
/// Constants of all of these models.
const THETA: f32 = 10000.0;
const EPSILON: f32 = 1e-5;
/// No size is larger; larger ones mean that the file is something else.
const LARGEST: u32 = 1 << 24;
/// Elements of a Q8_0 block.
const Q8_BLOCK: usize = 32;

const REMEDY: &str = "give a checkpoint of llama2.c (export.py, versions 0 to 2), whole and unchanged";

/// What a header says.
#[derive(Debug, Clone, Copy)]
struct Header {
    version: u32,
    dim: u64,
    ffn: u64,
    layers: u64,
    heads: u64,
    kv_heads: u64,
    vocab: u64,
    context: u64,
    tied: bool,
    /// Elements that share a scale; version 2.
    group: u64,
}

/// Whether a file begins as one of these; a header without magic number must have possible sizes.
pub fn is_llama2c(bytes: &[u8]) -> bool {
    words(bytes).is_some_and(|words| words[0] == MAGIC) || matches!(old_header(bytes), Some(Ok(_)))
}

/// Entries of the model's vocabulary, where the header can be read: a tokenizer must have as many tokens.
pub fn vocabulary(bytes: &[u8]) -> Option<u64> {
    header(bytes).ok().map(|header| header.vocab)
}

/// Reads a checkpoint.
///
/// # Errors
/// [`Refusal::Format`], [`Refusal::Bounds`], [`Refusal::Contradiction`] for a header that is none of these;
/// [`Refusal::Truncated`] where the file's length is not what the header asks for; [`Refusal::Vocabulary`] for a tokenizer of
/// another size.
pub fn import(bytes: &[u8], tokenizer: Option<&Tokenizer>) -> Result<Import, ModelError> {
    let header = header(bytes)?;
    let mut layout = Layout { header, first: if header.version == 0 { OLD_HEADER } else { HEADER }, tensors: Vec::new() };
    let metadata_bytes = layout.first;
    let unused = layout.lay_out()?;
    if layout.first != bytes.len() as u64 {
        let expected = format!("{} bytes, as its header asks for", layout.first);
        let found = format!("{} bytes", bytes.len());
        return Err(ModelError::refused(Refusal::Truncated, "llama2.c checkpoint", expected, found, REMEDY));
    }
    // The file is as long as all of these together, so their number is bounded by it.
    let mut tensors = Vec::new();
    for &Tensor { name, first, sizes, quantised } in &layout.tensors {
        let bytes_each = header.stored(sizes, quantised).unwrap_or(0);
        let copies = if name.starts_with("blk.") { header.layers } else { 1 };
        for layer in 0..copies {
            let first = first + layer * bytes_each;
            let name = name.replace("{}", &layer.to_string());
            tensors.push(header.entry(bytes, name, first, sizes, quantised));
        }
    }
    Ok(Import::new(FORMAT, metadata_bytes + unused, &metadata(&header, tokenizer)?, tensors))
}

fn words(bytes: &[u8]) -> Option<[u32; 7]> {
    let words: &[u8; 28] = bytes.first_chunk()?;
    Some(std::array::from_fn(|i| u32::from_le_bytes(std::array::from_fn(|byte| words[4 * i + byte]))))
}

/// A header without magic number: `None` where the file is shorter.
fn old_header(bytes: &[u8]) -> Option<Result<Header, ModelError>> {
    let mut words = words(bytes)?;
    // A negative size of the vocabulary means a head of its own.
    let vocab = words[5].cast_signed();
    words[5] = vocab.unsigned_abs();
    Some(Header::new(0, words, vocab > 0, 0))
}

fn header(bytes: &[u8]) -> Result<Header, ModelError> {
    let cut = |expected| ModelError::refused(Refusal::Truncated, "llama2.c header", expected, format!("{} bytes", bytes.len()), REMEDY);
    let numbers = words(bytes).ok_or_else(|| cut("28 bytes"))?;
    if numbers[0] != MAGIC {
        return old_header(bytes).ok_or_else(|| cut("28 bytes"))?;
    }
    let header = bytes.get(..HEADER as usize).ok_or_else(|| cut("256 bytes"))?;
    let version = numbers[1];
    if !(1..=2).contains(&version) {
        return Err(ModelError::refused(Refusal::Format, "llama2.c version", "1 or 2", version.to_string(), REMEDY));
    }
    let sizes = words(&header[8..]).ok_or_else(|| cut("256 bytes"))?;
    let tied = header[36];
    if tied > 1 {
        return Err(ModelError::refused(Refusal::Format, "llama2.c flag of a shared head", "0 or 1", tied.to_string(), REMEDY));
    }
    let group = if version == 2 { u32::from_le_bytes([header[37], header[38], header[39], header[40]]) } else { 0 };
    if version == 2 && !(1..=LARGEST).contains(&group) {
        return Err(ModelError::refused(Refusal::Bounds, "llama2.c group size", format!("1 to {LARGEST}"), group.to_string(), REMEDY));
    }
    Header::new(version, sizes, tied == 1, u64::from(group))
}

impl Header {
    fn new(version: u32, sizes: [u32; 7], tied: bool, group: u64) -> Result<Self, ModelError> {
        let names = ["dimension", "feed-forward size", "layers", "heads", "key/value heads", "vocabulary", "context"];
        if let Some((name, size)) = names.iter().zip(sizes).find(|(_, size)| !(1..=LARGEST).contains(size)) {
            let item = format!("llama2.c header, {name}");
            return Err(ModelError::refused(Refusal::Bounds, item, format!("1 to {LARGEST}"), size.to_string(), REMEDY));
        }
        let [dim, ffn, layers, heads, kv_heads, vocab, context] = sizes.map(u64::from);
        for (name, whole, part) in [("heads", dim, heads), ("key/value heads", heads, kv_heads)] {
            if !whole.is_multiple_of(part) {
                let item = format!("llama2.c header, {name}");
                let expected = format!("a divisor of {whole}");
                return Err(ModelError::refused(Refusal::Contradiction, item, expected, part.to_string(), REMEDY));
            }
        }
        Ok(Self { version, dim, ffn, layers, heads, kv_heads, vocab, context, tied, group })
    }

    /// Bytes of a tensor; `None` where they do not fit 64 bits or, quantised, the elements are no whole groups.
    fn stored(&self, sizes: [u64; 2], quantised: bool) -> Option<u64> {
        let elements = sizes[0].checked_mul(sizes[1])?;
        if !quantised {
            return elements.checked_mul(4);
        }
        elements.is_multiple_of(self.group).then(|| elements.checked_add((elements / self.group).checked_mul(4)?))?
    }

    /// The tensor whose bytes begin at `first`.
    fn entry(&self, file: &[u8], name: String, first: u64, sizes: [u64; 2], quantised: bool) -> Entry {
        let sizes_given = if sizes[1] == 1 { vec![sizes[0]] } else { sizes.to_vec() };
        let entry = |kind, place, origin| Entry { name, kind, sizes: sizes_given, place, origin };
        if !quantised {
            return entry(TensorType::F32, Place::File(0, first), None);
        }
        let (elements, group) = ((sizes[0] * sizes[1]) as usize, self.group as usize);
        let (codes, rest) = file[first as usize..].split_at(elements);
        let scale = |group: usize| f32::from_le_bytes(std::array::from_fn(|byte| rest[4 * group + byte]));
        let exact = |group| f16::from_f32(scale(group)).to_f32().to_bits() == scale(group).to_bits();
        if group.is_multiple_of(Q8_BLOCK) && (sizes[0] as usize).is_multiple_of(Q8_BLOCK) && (0..elements / group).all(exact) {
            let mut out = Vec::with_capacity(elements / Q8_BLOCK * TensorType::Q8_0.block_bytes() as usize);
            for (block, codes) in codes.chunks_exact(Q8_BLOCK).enumerate() {
                out.extend(f16::from_f32(scale(block * Q8_BLOCK / group)).to_le_bytes());
                out.extend(codes);
            }
            return entry(TensorType::Q8_0, Place::Own(out), Some("int8 groups"));
        }
        let values = codes.iter().enumerate().map(|(i, &code)| f32::from(code.cast_signed()) * scale(i / group));
        entry(TensorType::F32, Place::Own(f32_bytes(values)), Some("int8 groups"))
    }
}

/// A tensor, or all layers' of one name (with `{}` for the layer) one after the other.
#[derive(Debug, Clone, Copy)]
struct Tensor {
    name: &'static str,
    first: u64,
    /// Fastest first.
    sizes: [u64; 2],
    quantised: bool,
}

/// Where everything lies.
struct Layout {
    header: Header,
    /// First byte that is not given away.
    first: u64,
    tensors: Vec<Tensor>,
}

impl Layout {
    /// Lists all tensors in the order of the file. Out: bytes that hold none of them.
    fn lay_out(&mut self) -> Result<u64, ModelError> {
        let Header { version, dim, ffn, heads, kv_heads, vocab, context, tied, .. } = self.header;
        let head_dim = dim / heads;
        let kv = kv_heads * head_dim;
        let quantised = version == 2;
        let (attn_norm, ffn_norm) = ("blk.{}.attn_norm.weight", "blk.{}.ffn_norm.weight");
        let (embd, output_norm) = ("token_embd.weight", "output_norm.weight");
        let attention = [
            ("blk.{}.attn_q.weight", [dim, dim]),
            ("blk.{}.attn_k.weight", [dim, kv]),
            ("blk.{}.attn_v.weight", [dim, kv]),
            ("blk.{}.attn_output.weight", [dim, dim]),
        ];
        let ffn = [("blk.{}.ffn_gate.weight", [dim, ffn]), ("blk.{}.ffn_down.weight", [ffn, dim]), ("blk.{}.ffn_up.weight", [dim, ffn])];
        let mut unused = 0;
        if version == 0 {
            self.add(embd, [dim, vocab], false)?;
            self.add(attn_norm, [dim, 1], false)?;
            attention.into_iter().try_for_each(|(name, sizes)| self.add(name, sizes, false))?;
            self.add(ffn_norm, [dim, 1], false)?;
            ffn.into_iter().try_for_each(|(name, sizes)| self.add(name, sizes, false))?;
            self.add(output_norm, [dim, 1], false)?;
            // Cosines and sines of RoPE, which every reader computes itself.
            unused = 2 * 4 * context * (head_dim / 2);
            self.advance("tables of RoPE", Some(unused))?;
        } else {
            for (name, sizes) in [(attn_norm, [dim, 1]), (ffn_norm, [dim, 1]), (output_norm, [dim, 1])] {
                self.add(name, sizes, false)?;
            }
            self.add(embd, [dim, vocab], quantised)?;
            attention.into_iter().chain(ffn).try_for_each(|(name, sizes)| self.add(name, sizes, quantised))?;
        }
        if !tied {
            self.add("output.weight", [dim, vocab], quantised)?;
        }
        Ok(unused)
    }

    fn add(&mut self, name: &'static str, sizes: [u64; 2], quantised: bool) -> Result<(), ModelError> {
        self.tensors.push(Tensor { name, first: self.first, sizes, quantised });
        let copies = if name.starts_with("blk.") { self.header.layers } else { 1 };
        let bytes = self.header.stored(sizes, quantised).and_then(|bytes| bytes.checked_mul(copies));
        self.advance(name, bytes)
    }

    fn advance(&mut self, name: &str, bytes: Option<u64>) -> Result<(), ModelError> {
        let end = bytes.and_then(|bytes| self.first.checked_add(bytes));
        self.first = end.ok_or_else(|| {
            let item = format!("llama2.c checkpoint, {}", name.replace(".{}", ""));
            let group = self.header.group;
            let expected =
                if group == 0 { "fewer than 2^64 bytes".into() } else { format!("whole groups of {group}, fewer than 2^64 bytes") };
            ModelError::refused(Refusal::Bounds, item, expected, "other sizes in the header", REMEDY)
        })?;
        Ok(())
    }
}

fn metadata(header: &Header, tokenizer: Option<&Tokenizer>) -> Result<Vec<(String, Metadata)>, ModelError> {
    let size = |name: &str, size: u64| (format!("llama.{name}"), Metadata::U32(size as u32));
    let mut out = vec![
        ("general.architecture".to_owned(), Metadata::Text("llama".into())),
        size("context_length", header.context),
        size("embedding_length", header.dim),
        size("block_count", header.layers),
        size("feed_forward_length", header.ffn),
        size("attention.head_count", header.heads),
        size("attention.head_count_kv", header.kv_heads),
        size("rope.dimension_count", header.dim / header.heads),
        size("vocab_size", header.vocab),
        ("llama.rope.freq_base".into(), Metadata::F32(THETA)),
        ("llama.attention.layer_norm_rms_epsilon".into(), Metadata::F32(EPSILON)),
    ];
    if let Some(tokenizer) = tokenizer {
        if tokenizer.len() as u64 != header.vocab {
            let remedy = "put the tokenizer that belongs to the model beside it";
            let found = format!("{} tokens", tokenizer.len());
            return Err(ModelError::refused(Refusal::Vocabulary, "tokenizer", header.vocab.to_string(), found, remedy));
        }
        out.extend(tokenizer.to_metadata().into_iter().flatten().map(|(key, value)| (key.to_owned(), value)));
    }
    Ok(out)
}
