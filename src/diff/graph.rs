//! Both graphs (BitNet b1.58 in the judge, Llama) behind one look at their sizes and weights, and [`Evaluator`]: any stage computed in f64
//! by its definition from the tensors of a trace, under any [`Recipe`]. In: a model, a trace, a place. Out: that stage's tensor.

use super::activation::Function;
use super::recipe::{Gain, HeadOrder, KvMap, Norm, Part, Recipe, Use};
use super::stage::Pass;
use crate::model::judge::{Place, Stage};
use crate::model::llama::{FeedForward, Linear, Pairs, Rope, Scaling};
use crate::model::quant::{Matrix, StoredMatrix};
use crate::model::{Activation, LlamaModel, Model, TernaryTensor};
use crate::trace::{About, Tensor, Trace};

/// A model and its graph.
#[derive(Debug, Clone, Copy)]
pub enum Graph<'m> {
    /// BitNet b1.58: int8 activations a token, sub-norms.
    Ternary(&'m Model),
    /// Llama, mixtures, llama.cpp's `bitnet`.
    Llama(&'m LlamaModel<'m>),
}

/// A matrix in the form that the model keeps.
#[derive(Debug, Clone, Copy)]
pub(super) enum Weight<'m> {
    Ternary(&'m TernaryTensor),
    Stored(Matrix<'m>),
}

/// A matrix with what belongs to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layered<'m> {
    pub weight: Weight<'m>,
    pub scale: Option<f64>,
    pub bias: Option<&'m [f32]>,
}

impl Weight<'_> {
    /// Outputs and inputs.
    pub fn sizes(&self) -> (usize, usize) {
        match self {
            Self::Ternary(w) => (w.rows, w.cols),
            Self::Stored(w) => (w.rows, w.cols),
        }
    }

    /// One row, a ternary one's without its scale.
    pub fn row(&self, row: usize, out: &mut Vec<f64>) {
        out.clear();
        match self {
            Self::Ternary(w) => {
                let mut trits = vec![0; w.cols];
                w.unpack_row(row, &mut trits);
                out.extend(trits.into_iter().map(f64::from));
            }
            Self::Stored(w) => {
                let mut values = Vec::with_capacity(w.cols);
                w.row_values(row, &mut values);
                out.extend(values.into_iter().map(f64::from));
            }
        }
    }
}

/// Sizes that both graphs have.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Shape {
    pub layers: usize,
    pub dim: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub ffn: usize,
    pub vocab: usize,
    pub context: usize,
    /// Elements of a head that turn.
    pub rope_dims: usize,
}

impl Shape {
    /// Query heads that share a key/value head.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }
}

/// Computes stages of one model.
#[derive(Debug, Clone)]
pub struct Evaluator<'m> {
    /// The model.
    pub graph: Graph<'m>,
    /// Its sizes.
    pub shape: Shape,
    /// Its own way.
    pub recipe: Recipe,
    pub(super) rope: Option<(&'m Rope, Option<&'m [f32]>)>,
}

impl<'m> Evaluator<'m> {
    /// Of a model.
    pub fn new(graph: Graph<'m>) -> Self {
        let parts = Part::ALL.map(|source| Use {
            source,
            transposed: false,
            transposed_in: HeadOrder::Stored,
            order: HeadOrder::Stored,
            scale_power: 1,
            bias: true,
        });
        let mut recipe = Recipe {
            parts,
            gains: [Gain::Power(1); 5],
            epsilon: 0.0,
            quantised: true,
            blocks: false,
            rotated: true,
            theta: 0.0,
            shift: 0.0,
            pairs: Pairs::HalfRotated,
            turned_in: HeadOrder::Stored,
            rope_scaling: true,
            kv_map: KvMap::Grouped,
            causal: true,
            attention_scale: 1.0,
            activation: Function::Model(Activation::Silu),
            gate_is_up: false,
            residual: true,
            embedding_scale: 1.0,
        };
        match graph {
            Graph::Ternary(model) => {
                let s = &model.shape;
                let shape = Shape {
                    layers: s.layers,
                    dim: s.dim,
                    heads: s.heads,
                    kv_heads: s.kv_heads,
                    head_dim: s.head_dim,
                    ffn: s.ffn,
                    vocab: s.vocab,
                    context: s.context,
                    rope_dims: s.head_dim,
                };
                recipe.epsilon = s.rms_epsilon.into();
                recipe.theta = s.rope_theta.into();
                recipe.attention_scale = 1.0 / (s.head_dim as f64).sqrt();
                recipe.activation = Function::Model(s.activation);
                Self { graph, shape, recipe, rope: None }
            }
            Graph::Llama(model) => {
                let s = &model.shape;
                let shape = Shape {
                    layers: s.layers,
                    dim: s.dim,
                    heads: s.heads,
                    kv_heads: s.kv_heads,
                    head_dim: s.head_dim,
                    ffn: s.ffn,
                    vocab: s.vocab,
                    context: s.context,
                    rope_dims: s.rope.dims,
                };
                recipe.epsilon = s.rms_epsilon.into();
                recipe.theta = s.rope.base.into();
                recipe.pairs = s.rope.pairs;
                recipe.activation = Function::Model(s.activation);
                recipe.attention_scale = s.attention_scale().into();
                Self { graph, shape, recipe, rope: Some((&s.rope, model.rope_divisors.as_deref())) }
            }
        }
    }

    /// The stages that this graph has, in the order of computation.
    pub fn places(&self) -> Vec<Place> {
        let has = |layer: usize, stage: Stage| match self.graph {
            Graph::Ternary(_) => true,
            Graph::Llama(model) => {
                let layer = &model.layers[layer];
                match stage {
                    Stage::AttnNormQ8 | Stage::AttnSubNormQ8 | Stage::FfnNormQ8 | Stage::FfnSubNormQ8 => false,
                    Stage::AttnSubNorm => layer.attn_sub_norm.is_some(),
                    Stage::FfnSubNorm => matches!(layer.ffn, FeedForward::Dense { sub_norm: Some(_), .. }),
                    Stage::FfnGate | Stage::FfnUp | Stage::FfnAct => matches!(layer.ffn, FeedForward::Dense { .. }),
                    _ => true,
                }
            }
        };
        let place = |layer, stage| Place { layer, stage };
        let layers = (0..self.shape.layers).flat_map(|layer| {
            let stages = Stage::ALL.into_iter().filter(move |&stage| stage.in_layer() && has(layer, stage));
            stages.map(move |stage| place(Some(layer), stage))
        });
        let ends = [Stage::ResultNorm, Stage::ResultOutput].map(|stage| place(None, stage));
        [place(None, Stage::InpEmbd)].into_iter().chain(layers).chain(ends).collect()
    }

    /// The whole forward pass, stage after stage, each from those before it.
    pub fn run(&self, tokens: &[u32], about: About) -> Trace {
        let mut trace = Trace::new(about, tokens);
        for place in self.places() {
            if let Some(tensor) = Pass::new(self, &trace, &self.recipe).stage(place) {
                trace.set(place, tensor);
            }
        }
        trace
    }

    /// One stage from the tensors of `given` before it (its own value there is not looked at; what is not there is computed from what
    /// is). None where something that is needed can be had nowhere.
    pub fn stage(&self, place: Place, given: &Trace, recipe: &Recipe) -> Option<Tensor> {
        Pass::new(self, given, recipe).stage(place)
    }

    /// Whether a tensor has the axes of this model's `stage`; how many tokens it has is not looked at.
    pub(super) fn fits(&self, stage: Stage, tensor: &Tensor) -> bool {
        use Stage::*;
        let s = &self.shape;
        let (first, rest) = (tensor.shape.first(), tensor.shape.get(1..).unwrap_or_default());
        match stage {
            Q | QRope => rest == [s.heads, s.head_dim],
            K | KRope | V => rest == [s.kv_heads, s.head_dim],
            Kq | KqSoft => first == Some(&s.heads) && rest.len() == 2,
            Kqv | AttnSubNorm | AttnSubNormQ8 => rest == [s.heads * s.head_dim],
            FfnGate | FfnUp | FfnAct | FfnSubNorm | FfnSubNormQ8 => rest == [s.ffn],
            ResultOutput => rest == [s.vocab],
            InpEmbd | AttnNorm | AttnNormQ8 | AttnOut | AttnResid | FfnNorm | FfnNormQ8 | FfnOut | LOut | ResultNorm => rest == [s.dim],
        }
    }

    /// Matrices and norms that the computation of `place` from `given` uses.
    pub fn touched(&self, place: Place, given: &Trace) -> Option<super::stage::Touched> {
        let mut pass = Pass::new(self, given, &self.recipe);
        pass.stage(place)?;
        Some(pass.touched)
    }

    /// The file says how positions beyond the context of training are scaled.
    pub fn has_rope_scaling(&self) -> bool {
        self.rope.is_some_and(|(rope, divisors)| rope.scaling != Scaling::None || divisors.is_some())
    }

    /// The head has a matrix of its own.
    pub fn has_own_head(&self) -> bool {
        match self.graph {
            Graph::Ternary(model) => model.output.is_some(),
            Graph::Llama(model) => !std::ptr::eq(model.output.weight.stored(), model.token_embd.stored()),
        }
    }

    /// A matrix; none of a layer's where the feed-forward network is a mixture.
    pub(super) fn weight(&self, part: Part, layer: usize) -> Option<Layered<'m>> {
        match self.graph {
            Graph::Ternary(model) => {
                let floats = |w: &'m StoredMatrix| Layered { weight: Weight::Stored(w.view()), scale: None, bias: None };
                let ternary = |w: &'m TernaryTensor| Layered { weight: Weight::Ternary(w), scale: Some(w.scale.into()), bias: None };
                let of = model.layers.get(layer);
                match part {
                    Part::TokenEmbd => Some(floats(&model.token_embd)),
                    Part::Output => Some(floats(model.head())),
                    Part::Q => of.map(|l| ternary(&l.q)),
                    Part::K => of.map(|l| ternary(&l.k)),
                    Part::V => of.map(|l| ternary(&l.v)),
                    Part::O => of.map(|l| ternary(&l.o)),
                    Part::Gate => of.map(|l| ternary(&l.gate)),
                    Part::Up => of.map(|l| ternary(&l.up)),
                    Part::Down => of.map(|l| ternary(&l.down)),
                }
            }
            Graph::Llama(model) => {
                let linear = |w: &'m Linear<'m>| Layered {
                    weight: Weight::Stored(w.weight),
                    scale: w.scale.map(f64::from),
                    bias: w.bias.as_deref(),
                };
                let of = model.layers.get(layer);
                let dense = of.and_then(|l| match &l.ffn {
                    FeedForward::Dense { gate, up, down, .. } => Some((gate, up, down)),
                    FeedForward::Experts { .. } => None,
                });
                match part {
                    Part::TokenEmbd => Some(Layered { weight: Weight::Stored(model.token_embd), scale: None, bias: None }),
                    Part::Output => Some(linear(&model.output)),
                    Part::Q => of.map(|l| linear(&l.q)),
                    Part::K => of.map(|l| linear(&l.k)),
                    Part::V => of.map(|l| linear(&l.v)),
                    Part::O => of.map(|l| linear(&l.o)),
                    Part::Gate => dense.map(|(gate, _, _)| linear(gate)),
                    Part::Up => dense.map(|(_, up, _)| linear(up)),
                    Part::Down => dense.map(|(_, _, down)| linear(down)),
                }
            }
        }
    }

    /// A norm's weights, where the graph has the norm.
    pub(super) fn gain(&self, norm: Norm, layer: usize) -> Option<&'m [f32]> {
        match self.graph {
            Graph::Ternary(model) => {
                let of = model.layers.get(layer);
                match norm {
                    Norm::Attn => of.map(|l| &l.attn_norm[..]),
                    Norm::AttnSub => of.map(|l| &l.attn_sub_norm[..]),
                    Norm::Ffn => of.map(|l| &l.ffn_norm[..]),
                    Norm::FfnSub => of.map(|l| &l.ffn_sub_norm[..]),
                    Norm::Output => Some(&model.output_norm),
                }
            }
            Graph::Llama(model) => {
                let of = model.layers.get(layer);
                match norm {
                    Norm::Attn => of.map(|l| &l.attn_norm[..]),
                    Norm::AttnSub => of.and_then(|l| l.attn_sub_norm.as_deref()),
                    Norm::Ffn => of.map(|l| &l.ffn_norm[..]),
                    Norm::FfnSub => of.and_then(|l| match &l.ffn {
                        FeedForward::Dense { sub_norm, .. } => sub_norm.as_deref(),
                        FeedForward::Experts { .. } => None,
                    }),
                    Norm::Output => Some(&model.output_norm),
                }
            }
        }
    }
}
