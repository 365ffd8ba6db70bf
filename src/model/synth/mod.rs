//! Random ternary models of any shape, for tests and trials. In: shape, seed, storage type. Out: a GGUF file, written some rows at a
//! time, the same for the same input. Scales are chosen so that every linear layer's output has a magnitude near 1 and
//! logits have a standard deviation of a few units, as in a trained model.

mod shape;

use std::io::{self, Write};

use half::f16;

use super::config::{ACTIVATION_KEY, ARCHITECTURE, Activation, ModelShape};
use super::gguf::{GgufPlan, Metadata, TensorType};
use super::quant::encode::{Unstored, trailer, write_rows};
pub use shape::parse_shape;

/// Share of weights that are not zero: uniform trits.
const DENSITY: f64 = 2.0 / 3.0;
/// Standard deviation of the logits, in nats.
const LOGIT_DEVIATION: f64 = 4.0;
/// Norm weights lie in 1 ± this; one in [`NEGATIVE_NORMS`] is negative, as the contract allows.
const NORM_SPREAD: f64 = 0.25;
const NEGATIVE_NORMS: u64 = 16;

/// A random model, not yet made.
#[derive(Debug, Clone)]
pub struct Synth {
    /// Sizes and constants.
    pub shape: ModelShape,
    /// Whether the head is the embedding (else it has a matrix of its own).
    pub tied: bool,
    /// Seed of every random number.
    pub seed: u64,
    /// Storage of ternary tensors. Types that do not keep them ternary ([`TensorType::keeps_ternary`]) give a file of the right size and types
    /// that is no ternary model. Where rows are no multiple of the type's block, as [`TensorType::fitting`] says.
    pub kind: TensorType,
}

/// What fills a tensor.
#[derive(Debug, Clone, Copy)]
enum Filling {
    Norm,
    /// Numbers of this standard deviation.
    Dense(f64),
    /// Trits, and their scale.
    Ternary(f16),
}

/// A tensor to be filled.
struct Tensor {
    name: String,
    kind: TensorType,
    rows: usize,
    cols: usize,
    filling: Filling,
}

impl Synth {
    /// The bytes of the model's GGUF file.
    pub fn build(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let written = self.write(&mut out, &|_| {});
        written.unwrap_or_else(|error| unreachable!("a vector takes every byte: {error}"));
        out
    }

    /// Writes the model's GGUF file; `done` is called with the number of rows that have been made since. Returns the file's bytes.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: impl Write, done: &(dyn Fn(u64) + Sync)) -> io::Result<u64> {
        let tensors = self.tensors();
        let mut plan = GgufPlan::default();
        self.write_metadata(&mut plan);
        write_tokenizer(&mut plan, self.shape.vocab);
        for tensor in &tensors {
            let sizes = [tensor.cols as u64, tensor.rows as u64];
            plan.tensor(&tensor.name, tensor.kind, if matches!(tensor.filling, Filling::Norm) { &sizes[..1] } else { &sizes });
        }
        let mut stream = plan.stream(out)?;
        for (index, tensor) in tensors.iter().enumerate() {
            // Every tensor has a stream of random numbers of its own, so one tensor's size does not move the next one's.
            let random = Random::new(self.seed, index as u64 + 1);
            let row = |row: usize, values: &mut Vec<f32>| tensor.row(row, random, values);
            write_rows(tensor.kind, tensor.rows, tensor.cols, row, &mut |bytes| stream.write(bytes), done).map_err(
                |error| match error {
                    Unstored::Write(error) => error,
                    // No weight is anywhere near the end of a type's range.
                    Unstored::Value { value, .. } => io::Error::new(io::ErrorKind::InvalidData, format!("{value} in {}", tensor.name)),
                },
            )?;
            if let Filling::Ternary(scale) = tensor.filling {
                stream.write(&trailer(tensor.kind, scale.to_f32()))?;
            }
        }
        stream.finish()?;
        Ok(plan.total_bytes())
    }

    /// Rows of all tensors.
    pub fn rows(&self) -> u64 {
        self.tensors().iter().map(|tensor| tensor.rows as u64).sum()
    }

    /// Widths of ternary tensors' rows that are no multiple of the type's block, and the type that each is stored in.
    pub fn fallbacks(&self) -> Vec<(usize, TensorType)> {
        let mut widths = vec![self.shape.dim, self.shape.query_dim(), self.shape.ffn];
        widths.sort_unstable();
        widths.dedup();
        let stored = widths.into_iter().map(|cols| (cols, self.kind.fitting(cols as u64)));
        stored.filter(|&(_, kind)| kind != self.kind).collect()
    }

    fn tensors(&self) -> Vec<Tensor> {
        let shape = &self.shape;
        let mut out = Vec::new();
        let mut add = |name: String, kind, rows, cols, filling| out.push(Tensor { name, kind, rows, cols, filling });
        let dense = Filling::Dense(LOGIT_DEVIATION / (shape.dim as f64).sqrt());
        add("token_embd.weight".into(), TensorType::F16, shape.vocab, shape.dim, dense);
        if !self.tied {
            add("output.weight".into(), TensorType::F16, shape.vocab, shape.dim, dense);
        }
        add("output_norm.weight".into(), TensorType::F32, 1, shape.dim, Filling::Norm);
        for layer in 0..shape.layers {
            let name = |part: &str| format!("blk.{layer}.{part}.weight");
            let (query, kv) = (shape.query_dim(), shape.kv_dim());
            for (part, size) in [("attn_norm", shape.dim), ("attn_sub_norm", query), ("ffn_norm", shape.dim), ("ffn_sub_norm", shape.ffn)] {
                add(name(part), TensorType::F32, 1, size, Filling::Norm);
            }
            for (part, rows, cols) in [
                ("attn_q", query, shape.dim),
                ("attn_k", kv, shape.dim),
                ("attn_v", kv, shape.dim),
                ("attn_output", shape.dim, query),
                ("ffn_gate", shape.ffn, shape.dim),
                ("ffn_up", shape.ffn, shape.dim),
                ("ffn_down", shape.dim, shape.ffn),
            ] {
                let scale = f16::from_f64(1.0 / (DENSITY * cols as f64).sqrt());
                add(name(part), self.kind.fitting(cols as u64), rows, cols, Filling::Ternary(scale));
            }
        }
        out
    }

    fn write_metadata(&self, file: &mut GgufPlan) {
        let shape = &self.shape;
        file.metadata("general.architecture", &Metadata::Text(ARCHITECTURE.into()));
        file.metadata("general.name", &Metadata::Text(format!("random ternary model, seed {}", self.seed)));
        let mut size = |name: &str, value: usize| {
            file.metadata(&format!("{ARCHITECTURE}.{name}"), &Metadata::U32(value as u32));
        };
        size("block_count", shape.layers);
        size("context_length", shape.context);
        size("embedding_length", shape.dim);
        size("feed_forward_length", shape.ffn);
        size("attention.head_count", shape.heads);
        size("attention.head_count_kv", shape.kv_heads);
        size("attention.key_length", shape.head_dim);
        size("attention.value_length", shape.head_dim);
        size("rope.dimension_count", shape.head_dim);
        size("vocab_size", shape.vocab);
        let mut constant = |name: &str, value: f32| {
            file.metadata(&format!("{ARCHITECTURE}.{name}"), &Metadata::F32(value));
        };
        constant("attention.layer_norm_rms_epsilon", shape.rms_epsilon);
        constant("rope.freq_base", shape.rope_theta);
        if shape.activation == Activation::Silu {
            file.metadata(ACTIVATION_KEY, &Metadata::Text("silu".into()));
        }
    }
}

impl Tensor {
    /// The values of one row; `random` is at the beginning of the tensor's stream, of which an element takes one number (a norm's two).
    fn row(&self, row: usize, mut random: Random, values: &mut Vec<f32>) {
        random.skip((row * self.cols) as u64);
        values.clear();
        values.extend((0..self.cols).map(|_| match self.filling {
            Filling::Norm => {
                let magnitude = 1.0 + NORM_SPREAD * (2.0 * random.uniform() - 1.0);
                let sign = if random.below(NEGATIVE_NORMS) == 0 { -1.0 } else { 1.0 };
                (sign * magnitude) as f32
            }
            // Uniform over ±√3 deviations: the deviation asked for, and no outlier.
            Filling::Dense(deviation) => f16::from_f64(deviation * 3f64.sqrt() * (2.0 * random.uniform() - 1.0)).to_f32(),
            Filling::Ternary(scale) => (random.below(3) as i8 - 1) as f32 * scale.to_f32(),
        }));
    }
}

/// `<unk>`, `<s>`, `</s>`: what every vocabulary begins with; one more token makes it usable.
const SPECIAL: [(&str, i32); 3] = [("<unk>", 2), ("<s>", 3), ("</s>", 3)];
const LEAST_VOCABULARY: usize = SPECIAL.len() + 1;

/// A SentencePiece section of `vocab` tokens: the special ones, then the space and all bytes where they fit, then
/// fillers that no text contains (private-use characters), scores falling.
fn write_tokenizer(file: &mut GgufPlan, vocab: usize) {
    const NORMAL: i32 = 1;
    const BYTE: i32 = 6;
    let mut tokens: Vec<(String, i32)> = SPECIAL.iter().map(|&(text, kind)| (text.into(), kind)).collect();
    if vocab > SPECIAL.len() + 256 {
        tokens.push(("\u{2581}".into(), NORMAL));
        tokens.extend((0..=255u8).map(|byte| (format!("<0x{byte:02X}>"), BYTE)));
    }
    tokens.extend((tokens.len()..vocab).map(|id| (format!("\u{E000}{id}"), NORMAL)));
    file.metadata("tokenizer.ggml.model", &Metadata::Text("llama".into()));
    file.metadata("tokenizer.ggml.tokens", &Metadata::Texts(tokens.iter().map(|(text, _)| text.as_bytes().to_vec()).collect()));
    file.metadata("tokenizer.ggml.scores", &Metadata::Floats((0..vocab).map(|id| -(id as f32)).collect()));
    file.metadata("tokenizer.ggml.token_type", &Metadata::Ints(tokens.iter().map(|&(_, kind)| kind).collect()));
    file.metadata("tokenizer.ggml.unknown_token_id", &Metadata::U32(0));
    file.metadata("tokenizer.ggml.bos_token_id", &Metadata::U32(1));
    file.metadata("tokenizer.ggml.eos_token_id", &Metadata::U32(2));
}

/// SplitMix64 (Steele, Lea, Flood 2014): a stream of random numbers for each seed and tensor.
#[derive(Clone, Copy)]
struct Random(u64);

/// What SplitMix64's state grows by with each number.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    fn new(seed: u64, stream: u64) -> Self {
        let mut mixed = Self(seed);
        let base = mixed.next();
        Self(base ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Goes over `count` numbers.
    fn skip(&mut self, count: u64) {
        self.0 = self.0.wrapping_add(STEP.wrapping_mul(count));
    }

    /// 0 to `bound` - 1; the bias of at most bound/2^32 does not matter here.
    fn below(&mut self, bound: u64) -> u64 {
        ((self.next() >> 32) * bound) >> 32
    }

    /// In [0, 1).
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
