//! A whole model: shape, norms as f32, every matrix as the file stores it. In: a GGUF file. Out: [`Model`], every tensor's size checked
//! against the shape, every weight looked at. A model from a mapped file keeps the map and copies no matrix.

use std::path::Path;

use rayon::prelude::*;

use super::config::ModelShape;
use super::error::{ModelError, Refusal, shown};
use super::file::ModelFile;
use super::gguf::{Gguf, TensorInfo};
use super::quant::StoredMatrix;
use super::ternary::TernaryTensor;

/// One decoder layer. Linear weights are outputs x inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Norm before attention, `dim`.
    pub attn_norm: Vec<f32>,
    /// Queries, `query_dim` x `dim`.
    pub q: TernaryTensor,
    /// Keys, `kv_dim` x `dim`.
    pub k: TernaryTensor,
    /// Values, `kv_dim` x `dim`.
    pub v: TernaryTensor,
    /// Norm before the output projection, `query_dim`.
    pub attn_sub_norm: Vec<f32>,
    /// Output projection, `dim` x `query_dim`.
    pub o: TernaryTensor,
    /// Norm before the feed-forward network, `dim`.
    pub ffn_norm: Vec<f32>,
    /// Gate, `ffn` x `dim`.
    pub gate: TernaryTensor,
    /// Up, `ffn` x `dim`.
    pub up: TernaryTensor,
    /// Norm before down, `ffn`.
    pub ffn_sub_norm: Vec<f32>,
    /// Down, `dim` x `ffn`.
    pub down: TernaryTensor,
}

/// A model: everything that its numbers depend on.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Sizes and constants.
    pub shape: ModelShape,
    /// `vocab` x `dim`.
    pub token_embd: StoredMatrix,
    /// The layers, first to last.
    pub layers: Vec<Layer>,
    /// Norm before the head, `dim`.
    pub output_norm: Vec<f32>,
    /// Head of its own, `vocab` x `dim`; `None` where it is tied to the embedding.
    pub output: Option<StoredMatrix>,
}

/// Names of a layer's linear weights, without `blk.N.` and `.weight`.
pub const LINEAR: [&str; 7] = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];

impl Model {
    /// Opens, checks and reads the model in the file at `path`.
    ///
    /// # Errors
    /// [`ModelError`]: the file cannot be read, is no GGUF of the architecture, lacks a tensor, or a linear weight is
    /// not ternary.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        Self::from_gguf(&ModelFile::open(path)?.parse()?)
    }

    /// Reads the model of a parsed file.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_gguf(file: &Gguf<'_>) -> Result<Self, ModelError> {
        let shape = ModelShape::from_gguf(file)?;
        // Each layer needs several tensors, so a count that the file cannot hold ends here, before any list of layers.
        if shape.layers > file.tensors().len() {
            let found = format!("{} tensors in all", file.tensors().len());
            let expected = format!("the tensors of {} layers", shape.layers);
            let remedy = "the file's metadata is wrong: convert the model again";
            return Err(ModelError::refused(Refusal::Contradiction, "metadata 'block_count'", expected, found, remedy));
        }
        let head = matrix(file, "token_embd.weight", shape.vocab, shape.dim)?;
        let output = match file.tensor("output.weight") {
            Some(_) => Some(matrix(file, "output.weight", shape.vocab, shape.dim)?),
            None => None,
        };
        // Collected in order first, so that of several errors the same one is reported each time.
        let layers: Vec<_> = (0..shape.layers).into_par_iter().map(|index| layer(file, &shape, index)).collect();
        Ok(Self {
            layers: layers.into_iter().collect::<Result<_, _>>()?,
            output_norm: norm(file, "output_norm.weight", shape.dim)?,
            token_embd: head,
            output,
            shape,
        })
    }

    /// The head's matrix: its own, or the embedding.
    pub fn head(&self) -> &StoredMatrix {
        self.output.as_ref().unwrap_or(&self.token_embd)
    }
}

fn layer(file: &Gguf<'_>, shape: &ModelShape, index: usize) -> Result<Layer, ModelError> {
    let name = |part: &str| format!("blk.{index}.{part}.weight");
    let ternary = |part: &str, rows, cols| {
        let tensor = sized(file, &name(part), rows, cols)?;
        check_no_bias(file, &format!("blk.{index}.{part}.bias"))?;
        TernaryTensor::read(file, tensor)
    };
    let norm = |part: &str, size| norm(file, &name(part), size);
    Ok(Layer {
        attn_norm: norm("attn_norm", shape.dim)?,
        q: ternary("attn_q", shape.query_dim(), shape.dim)?,
        k: ternary("attn_k", shape.kv_dim(), shape.dim)?,
        v: ternary("attn_v", shape.kv_dim(), shape.dim)?,
        attn_sub_norm: norm("attn_sub_norm", shape.query_dim())?,
        o: ternary("attn_output", shape.dim, shape.query_dim())?,
        ffn_norm: norm("ffn_norm", shape.dim)?,
        gate: ternary("ffn_gate", shape.ffn, shape.dim)?,
        up: ternary("ffn_up", shape.ffn, shape.dim)?,
        ffn_sub_norm: norm("ffn_sub_norm", shape.ffn)?,
        down: ternary("ffn_down", shape.dim, shape.ffn)?,
    })
}

/// The tensor `name`, which must be `rows` x `cols`.
fn sized<'f, 'a>(file: &'f Gguf<'a>, name: &str, rows: usize, cols: usize) -> Result<&'f TensorInfo<'a>, ModelError> {
    let tensor = file.need_tensor(name)?;
    if tensor.sizes != [cols as u64, rows as u64, 1, 1] {
        let expected = if rows == 1 { format!("[{cols}]") } else { format!("[{cols}, {rows}]") };
        let item = format!("sizes of tensor '{name}'");
        let remedy = "the file's metadata and tensors belong to different models: convert it again";
        let found = tensor.shape_text();
        return Err(ModelError::refused(Refusal::Contradiction, item, expected, found, remedy));
    }
    Ok(tensor)
}

/// A dense tensor of finite numbers.
fn matrix(file: &Gguf<'_>, name: &str, rows: usize, cols: usize) -> Result<StoredMatrix, ModelError> {
    let tensor = sized(file, name, rows, cols)?;
    let item = || format!("tensor '{}'", shown(name));
    if tensor.kind.is_ternary() {
        let remedy = "store embeddings and norms as F32, F16 or Q8_0";
        let found = tensor.kind.name();
        return Err(ModelError::refused(Refusal::Type, item(), "a type that is not ternary", found, remedy));
    }
    let matrix = StoredMatrix::new(file, tensor)?;
    let wrong = (0..rows).into_par_iter().find_map_first(|row| {
        let values = matrix.row(row);
        values.iter().position(|x| !x.is_finite()).map(|col| (row, col, values[col]))
    });
    match wrong {
        None => Ok(matrix),
        Some((row, col, value)) => {
            let item = format!("{}, row {row}, column {col}", item());
            let remedy = "the weights are damaged: fetch or convert the model again";
            Err(ModelError::refused(Refusal::Bounds, item, "a finite number", value.to_string(), remedy))
        }
    }
}

fn norm(file: &Gguf<'_>, name: &str, size: usize) -> Result<Vec<f32>, ModelError> {
    Ok(matrix(file, name, 1, size)?.row(0))
}

fn check_no_bias(file: &Gguf<'_>, name: &str) -> Result<(), ModelError> {
    match file.tensor(name) {
        None => Ok(()),
        Some(_) => {
            let remedy = "BitNet b1.58 has no biases: use a model of that layout";
            Err(ModelError::refused(Refusal::Contradiction, format!("tensor '{name}'"), "no bias", "one", remedy))
        }
    }
}
