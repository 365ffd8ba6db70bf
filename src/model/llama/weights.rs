//! The weights of a Llama model. In: a parsed GGUF file. Out: [`LlamaModel`]: norms and biases as f32, every matrix as the
//! file stores it, borrowed from its memory map; every tensor's size checked against the shape, none left over.

use std::collections::HashSet;

use super::rope::Scaling;
use super::shape::{Architecture, LlamaShape};
use crate::model::error::{ModelError, Refusal, shown};
use crate::model::gguf::{Gguf, TensorInfo};
use crate::model::quant::Matrix;

/// A linear layer: `scale · (weight · x) + bias`.
#[derive(Debug, Clone)]
pub struct Linear<'a> {
    /// Outputs x inputs.
    pub weight: Matrix<'a>,
    /// One factor of all outputs, where the file has one beside the weight (llama.cpp's `bitnet`).
    pub scale: Option<f32>,
    /// An addend an output.
    pub bias: Option<Vec<f32>>,
}

/// The second half of a layer.
#[derive(Debug, Clone)]
pub enum FeedForward<'a> {
    /// One network for all tokens.
    Dense {
        /// `ffn` x `dim`.
        gate: Linear<'a>,
        /// `ffn` x `dim`.
        up: Linear<'a>,
        /// Norm before down, `ffn`; BitNet only.
        sub_norm: Option<Vec<f32>>,
        /// `dim` x `ffn`.
        down: Linear<'a>,
    },
    /// Each token goes through some of several networks.
    Experts {
        /// `experts` x `dim`.
        router: Matrix<'a>,
        /// Of each expert, `ffn` x `dim`.
        gate: Vec<Matrix<'a>>,
        /// Of each expert, `ffn` x `dim`.
        up: Vec<Matrix<'a>>,
        /// Of each expert, `dim` x `ffn`.
        down: Vec<Matrix<'a>>,
    },
}

/// One decoder layer.
#[derive(Debug, Clone)]
pub struct LlamaLayer<'a> {
    /// Norm before attention, `dim`.
    pub attn_norm: Vec<f32>,
    /// Queries, `query_dim` x `dim`.
    pub q: Linear<'a>,
    /// Keys, `kv_dim` x `dim`.
    pub k: Linear<'a>,
    /// Values, `kv_dim` x `dim`.
    pub v: Linear<'a>,
    /// Norm before the output projection, `query_dim`; BitNet only.
    pub attn_sub_norm: Option<Vec<f32>>,
    /// Output projection, `dim` x `query_dim`.
    pub o: Linear<'a>,
    /// Norm before the feed-forward network, `dim`.
    pub ffn_norm: Vec<f32>,
    /// The feed-forward network.
    pub ffn: FeedForward<'a>,
}

/// A model: everything that its numbers depend on.
#[derive(Debug, Clone)]
pub struct LlamaModel<'a> {
    /// Sizes and constants.
    pub shape: LlamaShape,
    /// `vocab` x `dim`.
    pub token_embd: Matrix<'a>,
    /// What divides the angle of each rotated pair, where the file says so.
    pub rope_divisors: Option<Vec<f32>>,
    /// The layers, first to last.
    pub layers: Vec<LlamaLayer<'a>>,
    /// Norm before the head, `dim`.
    pub output_norm: Vec<f32>,
    /// The head, `vocab` x `dim`: its own, or the embedding.
    pub output: Linear<'a>,
}

impl<'a> LlamaModel<'a> {
    /// Reads the model of a parsed file.
    ///
    /// # Errors
    /// [`ModelError`]: the architecture is another one, a tensor is missing, has another size than the metadata say, is
    /// damaged, or is not part of this architecture.
    pub fn from_gguf(file: &Gguf<'a>) -> Result<Self, ModelError> {
        let shape = LlamaShape::from_gguf(file)?;
        let mut tensors = Tensors { file, used: HashSet::new() };
        let (vocab, dim) = (shape.vocab, shape.dim);
        let token_embd = tensors.matrix("token_embd.weight", [dim, vocab, 1])?;
        let output = match tensors.linear("output", vocab, dim)? {
            Some(output) => output,
            None => Linear { weight: token_embd, scale: None, bias: None },
        };
        let layers = (0..shape.layers).map(|index| layer(&mut tensors, &shape, index)).collect::<Result<_, _>>()?;
        let model = Self {
            token_embd,
            rope_divisors: tensors.rope_divisors(&shape)?,
            layers,
            output_norm: tensors.need_vector("output_norm.weight", dim)?,
            output,
            shape,
        };
        tensors.check_all_used()?;
        Ok(model)
    }
}

fn layer<'a>(tensors: &mut Tensors<'_, 'a>, shape: &LlamaShape, index: usize) -> Result<LlamaLayer<'a>, ModelError> {
    let name = |part: &str| format!("blk.{index}.{part}");
    let (dim, ffn) = (shape.dim, shape.ffn);
    let sub_norms = shape.architecture == Architecture::Bitnet;
    let sub_norm = |tensors: &mut Tensors<'_, 'a>, part: &str, size| {
        if sub_norms { tensors.need_vector(&name(part), size).map(Some) } else { Ok(None) }
    };
    Ok(LlamaLayer {
        attn_norm: tensors.need_vector(&name("attn_norm.weight"), dim)?,
        q: tensors.need_linear(&name("attn_q"), shape.query_dim(), dim)?,
        k: tensors.need_linear(&name("attn_k"), shape.kv_dim(), dim)?,
        v: tensors.need_linear(&name("attn_v"), shape.kv_dim(), dim)?,
        attn_sub_norm: sub_norm(tensors, "attn_sub_norm.weight", shape.query_dim())?,
        o: tensors.need_linear(&name("attn_output"), dim, shape.query_dim())?,
        ffn_norm: tensors.need_vector(&name("ffn_norm.weight"), dim)?,
        ffn: if shape.experts > 0 {
            FeedForward::Experts {
                router: tensors.matrix(&name("ffn_gate_inp.weight"), [dim, shape.experts, 1])?,
                gate: tensors.experts(&name("ffn_gate"), [dim, ffn, shape.experts])?,
                up: tensors.experts(&name("ffn_up"), [dim, ffn, shape.experts])?,
                down: tensors.experts(&name("ffn_down"), [ffn, dim, shape.experts])?,
            }
        } else {
            FeedForward::Dense {
                gate: tensors.need_linear(&name("ffn_gate"), ffn, dim)?,
                up: tensors.need_linear(&name("ffn_up"), ffn, dim)?,
                sub_norm: sub_norm(tensors, "ffn_sub_norm.weight", ffn)?,
                down: tensors.need_linear(&name("ffn_down"), dim, ffn)?,
            }
        },
    })
}

/// The file's tensors, and which of them the model has taken.
struct Tensors<'f, 'a> {
    file: &'f Gguf<'a>,
    used: HashSet<&'a str>,
}

impl<'a> Tensors<'_, 'a> {
    /// The tensor `name`, which must have these sizes, fastest first.
    fn sized(&mut self, name: &str, sizes: [usize; 3]) -> Result<TensorInfo<'a>, ModelError> {
        let tensor = *self.file.need_tensor(name)?;
        let [a, b, c] = sizes.map(|size| size as u64);
        if tensor.sizes != [a, b, c, 1] {
            let item = format!("sizes of tensor '{}'", shown(name));
            let remedy = "the file's metadata and tensors belong to different models: convert it again";
            let expected = format!("{sizes:?}").replace(", 1]", "]").replace(", 1]", "]");
            return Err(ModelError::refused(Refusal::Contradiction, item, expected, tensor.shape_text(), remedy));
        }
        self.used.insert(tensor.name);
        Ok(tensor)
    }

    fn matrix(&mut self, name: &str, sizes: [usize; 3]) -> Result<Matrix<'a>, ModelError> {
        let tensor = self.sized(name, sizes)?;
        Matrix::new(self.file, &tensor)
    }

    /// The matrices of all experts: one tensor `NAME_exps.weight`, or in old files a tensor `NAME.E.weight` each.
    fn experts(&mut self, name: &str, [cols, rows, count]: [usize; 3]) -> Result<Vec<Matrix<'a>>, ModelError> {
        if self.file.tensor(&format!("{name}.0.weight")).is_some() {
            return (0..count).map(|expert| self.matrix(&format!("{name}.{expert}.weight"), [cols, rows, 1])).collect();
        }
        let all = self.matrix(&format!("{name}_exps.weight"), [cols, rows, count])?;
        Ok((0..count).map(|expert| all.part(expert, count)).collect())
    }

    /// What divides the angle of each rotated pair: `rope_freqs`, else of longrope's two lists the one for the file's context.
    fn rope_divisors(&mut self, shape: &LlamaShape) -> Result<Option<Vec<f32>>, ModelError> {
        let pairs = shape.rope.dims / 2;
        let freqs = self.vector("rope_freqs.weight", pairs)?;
        let Scaling::Long { original_context, .. } = shape.rope.scaling else { return Ok(freqs) };
        let (long, short) = (self.need_vector("rope_factors_long.weight", pairs)?, self.need_vector("rope_factors_short.weight", pairs)?);
        Ok(Some(freqs.unwrap_or(if shape.context > original_context { long } else { short })))
    }

    /// A vector of finite numbers.
    fn need_vector(&mut self, name: &str, size: usize) -> Result<Vec<f32>, ModelError> {
        let matrix = self.matrix(name, [size, 1, 1])?;
        let mut values = Vec::with_capacity(size);
        matrix.for_each_value(|x| values.push(x));
        if let Some(at) = values.iter().position(|x| !x.is_finite()) {
            let item = format!("tensor '{}', element {at}", shown(name));
            let remedy = "the weights are damaged: fetch or convert the model again";
            return Err(ModelError::refused(Refusal::Bounds, item, "a finite number", values[at].to_string(), remedy));
        }
        Ok(values)
    }

    fn vector(&mut self, name: &str, size: usize) -> Result<Option<Vec<f32>>, ModelError> {
        self.file.tensor(name).map(|_| self.need_vector(name, size)).transpose()
    }

    fn need_linear(&mut self, name: &str, rows: usize, cols: usize) -> Result<Linear<'a>, ModelError> {
        Ok(Linear {
            weight: self.matrix(&format!("{name}.weight"), [cols, rows, 1])?,
            scale: self.vector(&format!("{name}.scale"), 1)?.and_then(|scale| scale.first().copied()),
            bias: self.vector(&format!("{name}.bias"), rows)?,
        })
    }

    fn linear(&mut self, name: &str, rows: usize, cols: usize) -> Result<Option<Linear<'a>>, ModelError> {
        self.file.tensor(&format!("{name}.weight")).map(|_| self.need_linear(name, rows, cols)).transpose()
    }

    /// A tensor that nothing has taken would silently change what the model says.
    fn check_all_used(&self) -> Result<(), ModelError> {
        match self.file.tensors().iter().find(|tensor| !self.used.contains(tensor.name)) {
            None => Ok(()),
            Some(tensor) => {
                let item = format!("tensor '{}'", shown(tensor.name));
                let remedy = "the model has parts that this architecture has not: use a model of the plain architecture";
                let expected = "only tensors of the file's architecture";
                Err(ModelError::refused(Refusal::Contradiction, item, expected, "one that is not part of it", remedy))
            }
        }
    }
}
