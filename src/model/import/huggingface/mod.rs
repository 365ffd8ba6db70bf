//! Models as Hugging Face publishes them: `config.json` and safetensors files of Llama, Mistral, Mixtral and BitNet b1.58.
//!
//! In: the content of `config.json`, the bytes of all safetensors files, the tokenizer as GGUF metadata. Out: an [`Import`] of
//! architecture `llama` or `bitnet-b1.58`, named and laid out as llama.cpp's converter does it: rows of queries and keys of `llama`
//! are permuted from half-rotated pairs to neighbours (`bitnet-b1.58` keeps them), norms become F32, experts are put behind each
//! other. Matrices that need no change stay in the files.

mod config;
mod rope;
mod ternary;

use rayon::prelude::*;

use super::safetensors::{Stored, Tensors};
use super::{Entry, Import, Place, f32_bytes};
use crate::model::config::{ACTIVATION_KEY, ARCHITECTURE, Activation};
use crate::model::error::{ModelError, Refusal, shown};
use crate::model::gguf::{Metadata, TensorType};
use config::{Config, Family};
use half::{bf16, f16};

/// Name of the format.
pub const FORMAT: &str = "safetensors";

/// Reads a model. `name` is what it is called.
///
/// # Errors
/// [`ModelError::Refused`] with the field or tensor: a damaged file, an unsupported model, a tensor that is missing, of another
/// shape or left over.
pub fn import(config: &[u8], files: &[&[u8]], name: &str, tokenizer: &[(String, Metadata)]) -> Result<Import, ModelError> {
    let config = Config::read(config)?;
    let mut reader = Reader { tensors: Tensors::read(files)?, config: &config, entries: Vec::new(), linears: Vec::new() };
    let metadata_bytes = reader.tensors.header_bytes;
    reader.model()?;
    reader.tensors.check_none_left()?;
    let Reader { mut entries, linears, .. } = reader;
    // One after the other would take minutes for a large model.
    let made: Vec<_> = linears.par_iter().map(ternary::Linear::entry).collect();
    let masters = linears.iter().filter(|linear| linear.is_master()).count();
    entries.extend(made.into_iter().collect::<Result<Vec<_>, _>>()?);
    let mut metadata = metadata(&config, name);
    metadata.extend_from_slice(tokenizer);
    let mut import = Import::new(FORMAT, metadata_bytes, &metadata, entries);
    if masters > 0 {
        let made = format!("{masters} matrices of floats are made ternary here (mean of magnitudes as scale, as in training)");
        import.warnings.push(match config.published_floats {
            true => format!("the weights are published as floats: {made}, as the model's own code does at every pass"),
            false => format!("these are master weights, not the release: {made}; the published ternary weights may differ"),
        });
    }
    Ok(import)
}

/// Takes the tensors that the configuration asks for.
struct Reader<'c, 'a> {
    tensors: Tensors<'a>,
    config: &'c Config,
    entries: Vec<Entry>,
    /// Ternary matrices, to be made.
    linears: Vec<ternary::Linear<'a>>,
}

impl<'a> Reader<'_, 'a> {
    fn model(&mut self) -> Result<(), ModelError> {
        let &Config { dim, vocab, layers, tied, .. } = self.config;
        // Tables of old files, which every reader computes itself.
        self.tensors.drop_ending(".self_attn.rotary_emb.inv_freq");
        // Each layer needs several tensors, so a count that the files cannot hold ends here, before any list of layers.
        if layers > self.tensors.len() {
            let found = format!("{} tensors in all", self.tensors.len());
            let expected = format!("the tensors of {layers} layers");
            return Err(ModelError::refused(Refusal::Contradiction, "config.json, 'num_hidden_layers'", expected, found, config::REMEDY));
        }
        let embedding = self.tensors.take("model.embed_tokens.weight", &[vocab, dim])?;
        if !tied {
            self.matrix("lm_head.weight", "output", vocab, dim)?;
        } else if self.tensors.has("lm_head.weight") {
            let head = self.tensors.take("lm_head.weight", &[vocab, dim])?;
            if head.dtype != embedding.dtype || head.bytes != embedding.bytes {
                let remedy = "set tie_word_embeddings to what the model was trained with";
                let expected = "the embedding's values, as config.json ties them";
                return Err(ModelError::refused(Refusal::Contradiction, "tensor 'lm_head.weight'", expected, "others", remedy));
            }
        }
        self.keep("token_embd.weight".into(), &embedding, vec![dim as u64, vocab as u64], "model.embed_tokens.weight")?;
        self.norm("model.norm.weight", "output_norm.weight".into(), dim)?;
        (0..layers).try_for_each(|layer| self.layer(layer))?;
        // Now that heads of this size were there.
        if let Some(divisors) = self.config.rope.divisors {
            let divisors = divisors.values(self.config.head_dim);
            let (sizes, place) = (vec![divisors.len() as u64], Place::Own(f32_bytes(divisors)));
            let origin = Some("config.json");
            self.entries.push(Entry { name: "rope_freqs.weight".into(), kind: TensorType::F32, sizes, place, origin });
        }
        Ok(())
    }

    fn layer(&mut self, layer: usize) -> Result<(), ModelError> {
        let &Config {
            family, dim, heads, kv_heads, head_dim, ffn, attention_bias, mlp_bias, sub_norms: [attn_sub_norm, ffn_sub_norm], ..
        } = self.config;
        let (query, kv) = (heads * head_dim, kv_heads * head_dim);
        let (theirs, ours) = (format!("model.layers.{layer}"), format!("blk.{layer}"));
        self.norm(&format!("{theirs}.input_layernorm.weight"), format!("{ours}.attn_norm.weight"), dim)?;
        self.norm(&format!("{theirs}.post_attention_layernorm.weight"), format!("{ours}.ffn_norm.weight"), dim)?;
        // Heads of llama turn neighbours in GGUF.
        let turned = |heads| if family == Family::BitNet { None } else { Some(heads) };
        let attention = [
            ("q_proj", "attn_q", query, dim, turned(heads)),
            ("k_proj", "attn_k", kv, dim, turned(kv_heads)),
            ("v_proj", "attn_v", kv, dim, None),
            ("o_proj", "attn_output", dim, query, None),
        ];
        for (part, name, rows, cols, heads) in attention {
            self.linear(&format!("{theirs}.self_attn.{part}"), &format!("{ours}.{name}"), [rows, cols], heads, attention_bias)?;
        }
        if family == Family::BitNet {
            self.norm(&format!("{theirs}.{attn_sub_norm}.weight"), format!("{ours}.attn_sub_norm.weight"), query)?;
            self.norm(&format!("{theirs}.{ffn_sub_norm}.weight"), format!("{ours}.ffn_sub_norm.weight"), ffn)?;
        }
        if family == Family::Mixtral {
            return self.experts(&format!("{theirs}.block_sparse_moe"), &ours);
        }
        for (part, name, rows, cols) in
            [("gate_proj", "ffn_gate", ffn, dim), ("up_proj", "ffn_up", ffn, dim), ("down_proj", "ffn_down", dim, ffn)]
        {
            self.linear(&format!("{theirs}.mlp.{part}"), &format!("{ours}.{name}"), [rows, cols], None, mlp_bias)?;
        }
        Ok(())
    }

    /// The router, and each kind of matrix of all experts as one tensor.
    fn experts(&mut self, theirs: &str, ours: &str) -> Result<(), ModelError> {
        let &Config { dim, ffn, experts, .. } = self.config;
        self.matrix(&format!("{theirs}.gate.weight"), &format!("{ours}.ffn_gate_inp"), experts, dim)?;
        for (part, name, rows, cols) in
            [("w1", "ffn_gate_exps", ffn, dim), ("w3", "ffn_up_exps", ffn, dim), ("w2", "ffn_down_exps", dim, ffn)]
        {
            let (mut all, mut first) = (Vec::new(), None);
            for expert in 0..experts {
                let name = format!("{theirs}.experts.{expert}.{part}.weight");
                let stored = self.tensors.take(&name, &[rows, cols])?;
                let kind = float(&stored, &name)?;
                if *first.get_or_insert(kind) != kind {
                    let item = format!("type of tensor '{}'", shown(&name));
                    let expected = "that of the other experts";
                    return Err(ModelError::refused(Refusal::Type, item, expected, kind.name(), config::REMEDY));
                }
                all.extend_from_slice(stored.bytes);
            }
            let kind = first.unwrap_or(TensorType::F32);
            let sizes = [cols, rows, experts].map(|size| size as u64).to_vec();
            let (name, place) = (format!("{ours}.{name}.weight"), Place::Own(all));
            self.entries.push(Entry { name, kind, sizes, place, origin: Some("one an expert") });
        }
        Ok(())
    }

    /// A linear layer; `turned`: its rows are heads, so many, whose pairs are to become neighbours.
    fn linear(&mut self, theirs: &str, ours: &str, sizes: [usize; 2], turned: Option<usize>, bias: bool) -> Result<(), ModelError> {
        let [rows, cols] = sizes;
        let weight = format!("{theirs}.weight");
        if self.config.family == Family::BitNet {
            let linear = ternary::Linear::take(&mut self.tensors, theirs, format!("{ours}.weight"), sizes, self.config.ternary)?;
            self.linears.push(linear);
        } else if let Some(heads) = turned {
            let stored = self.tensors.take(&weight, &[rows, cols])?;
            let kind = float(&stored, &weight)?;
            let bytes = neighbours(stored.bytes, rows, heads);
            let sizes = vec![cols as u64, rows as u64];
            let (name, place) = (format!("{ours}.weight"), Place::Own(bytes));
            self.entries.push(Entry { name, kind, sizes, place, origin: Some("half-rotated rows") });
        } else {
            self.matrix(&weight, ours, rows, cols)?;
        }
        if bias {
            let name = format!("{theirs}.bias");
            let stored = self.tensors.take(&name, &[rows])?;
            let bytes = f32_bytes(values(&stored, &name)?);
            let bytes = turned.map_or(bytes.clone(), |heads| neighbours(&bytes, rows, heads));
            self.own_vector(format!("{ours}.bias"), rows, bytes, &stored);
        }
        Ok(())
    }

    /// A matrix of floats that stays in its file.
    fn matrix(&mut self, theirs: &str, ours: &str, rows: usize, cols: usize) -> Result<(), ModelError> {
        let stored = self.tensors.take(theirs, &[rows, cols])?;
        self.keep(format!("{ours}.weight"), &stored, vec![cols as u64, rows as u64], theirs)
    }

    fn keep(&mut self, name: String, stored: &Stored<'_>, sizes: Vec<u64>, theirs: &str) -> Result<(), ModelError> {
        let kind = float(stored, theirs)?;
        self.entries.push(Entry { name, kind, sizes, place: Place::File(stored.file, stored.first), origin: None });
        Ok(())
    }

    /// A norm's weights, as F32.
    fn norm(&mut self, theirs: &str, ours: String, size: usize) -> Result<(), ModelError> {
        let stored = self.tensors.take(theirs, &[size])?;
        let bytes = f32_bytes(values(&stored, theirs)?);
        self.own_vector(ours, size, bytes, &stored);
        Ok(())
    }

    fn own_vector(&mut self, name: String, size: usize, bytes: Vec<u8>, stored: &Stored<'_>) {
        let origin = stored.float().filter(|&kind| kind != TensorType::F32).map(TensorType::name);
        self.entries.push(Entry { name, kind: TensorType::F32, sizes: vec![size as u64], place: Place::Own(bytes), origin });
    }
}

/// The storage type of a tensor that must be of floats.
fn float(stored: &Stored<'_>, name: &str) -> Result<TensorType, ModelError> {
    stored.float().ok_or_else(|| {
        let item = format!("type of tensor '{}'", shown(name));
        let remedy = "use the model's release in one of these types";
        ModelError::refused(Refusal::Type, item, "F32, F16 or BF16", format!("{:?}", stored.dtype), remedy)
    })
}

/// The values of a tensor of floats.
fn values(stored: &Stored<'_>, name: &str) -> Result<Vec<f32>, ModelError> {
    let words = || stored.bytes.as_chunks::<2>().0.iter();
    Ok(match float(stored, name)? {
        TensorType::F16 => words().map(|&word| f16::from_le_bytes(word).to_f32()).collect(),
        TensorType::Bf16 => words().map(|&word| bf16::from_le_bytes(word).to_f32()).collect(),
        _ => stored.bytes.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect(),
    })
}

/// Rows of `heads` heads, of which row j turns with row j + half, in the order in which they are neighbours.
fn neighbours(bytes: &[u8], rows: usize, heads: usize) -> Vec<u8> {
    let (row, half) = (bytes.len() / rows, rows / heads / 2);
    let mut out = Vec::with_capacity(bytes.len());
    for head in bytes.chunks_exact(2 * half * row) {
        let (first, second) = head.split_at(half * row);
        first.chunks_exact(row).zip(second.chunks_exact(row)).for_each(|(a, b)| out.extend(a.iter().chain(b)));
    }
    out
}

fn metadata(config: &Config, name: &str) -> Vec<(String, Metadata)> {
    let architecture = if config.family == Family::BitNet { ARCHITECTURE } else { "llama" };
    let size = |name: &str, size: usize| (format!("{architecture}.{name}"), Metadata::U32(size as u32));
    let number = |name: &str, value: f32| (format!("{architecture}.{name}"), Metadata::F32(value));
    let mut out = vec![
        ("general.architecture".to_owned(), Metadata::Text(architecture.into())),
        ("general.name".to_owned(), Metadata::Text(name.into())),
        size("context_length", config.context),
        size("embedding_length", config.dim),
        size("block_count", config.layers),
        size("feed_forward_length", config.ffn),
        size("attention.head_count", config.heads),
        size("attention.head_count_kv", config.kv_heads),
        size("attention.key_length", config.head_dim),
        size("attention.value_length", config.head_dim),
        size("rope.dimension_count", config.head_dim),
        size("vocab_size", config.vocab),
        number("rope.freq_base", config.rope.theta),
        number("attention.layer_norm_rms_epsilon", config.epsilon),
    ];
    out.extend(config.rope.scaling.iter().cloned());
    if config.experts > 0 {
        out.extend([size("expert_count", config.experts), size("expert_used_count", config.experts_used)]);
    }
    if config.family == Family::BitNet {
        let activation = if config.activation == Activation::Silu { "silu" } else { "relu2" };
        out.push((ACTIVATION_KEY.to_owned(), Metadata::Text(activation.into())));
    }
    out
}
