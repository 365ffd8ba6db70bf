//! One stage after the other in f64, from the tensors that a trace has before it: the definitions of both graphs, written to be read. In: an
//! [`Evaluator`], a trace, a [`Recipe`]. Out: a stage's tensor, and which weights it took.

mod attention;
mod linear;
mod products;

use std::collections::{BTreeSet, HashMap};

use super::graph::{Evaluator, Graph};
use super::recipe::{Gain, Norm, Part, Recipe};
use crate::model::judge::{Place, Stage};
use crate::model::llama::FeedForward;
use crate::trace::{Number, Tensor, Trace};
use products::{quantise, quantise_in_blocks};

/// What a computation used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Touched {
    /// Matrices.
    pub parts: BTreeSet<Part>,
    /// Norms.
    pub norms: BTreeSet<Norm>,
    /// Stages that were computed, the asked one among them.
    pub stages: BTreeSet<Stage>,
    /// Multiplications of its products.
    pub work: u64,
}

/// One computation.
pub(super) struct Pass<'e, 'm> {
    evaluator: &'e Evaluator<'m>,
    given: &'e Trace,
    recipe: &'e Recipe,
    pub touched: Touched,
    /// What was computed because the trace lacks it: several stages need the same ones, layer after layer.
    computed: HashMap<Place, Option<Tensor>>,
}

fn tensor(shape: Vec<usize>, values: Vec<f64>) -> Tensor {
    Tensor::floats(shape, Number::F64, values)
}

/// Applies `stage` to every row.
fn by_row(x: &Tensor, stage: impl Fn(&[f64]) -> Vec<f64>) -> Tensor {
    tensor(x.shape.clone(), x.rows().flat_map(stage).collect())
}

impl<'e, 'm> Pass<'e, 'm> {
    pub fn new(evaluator: &'e Evaluator<'m>, given: &'e Trace, recipe: &'e Recipe) -> Self {
        Self { evaluator, given, recipe, touched: Touched::default(), computed: HashMap::new() }
    }

    /// A stage that something needs: as given, or computed.
    fn input(&mut self, layer: Option<usize>, stage: Stage) -> Option<Tensor> {
        let place = Place { layer, stage };
        if let Some(tensor) = self.given.get(place) {
            // A trace from outside may be of another model.
            return self.evaluator.fits(stage, tensor).then(|| tensor.clone());
        }
        if let Some(known) = self.computed.get(&place) {
            return known.clone();
        }
        let tensor = self.stage(place);
        self.computed.insert(place, tensor.clone());
        tensor
    }

    /// The residual stream before a layer's attention.
    fn stream(&mut self, layer: usize) -> Option<Tensor> {
        match layer.checked_sub(1) {
            None => self.input(None, Stage::InpEmbd),
            Some(before) => self.input(Some(before), Stage::LOut),
        }
    }

    /// What a linear layer behind a norm takes: int8 where the graph rounds to it, the norm, or where there is none what is before it.
    fn normed(&mut self, layer: usize, [norm, int8, before]: [Stage; 3]) -> Option<Tensor> {
        match self.evaluator.graph {
            Graph::Ternary(_) if self.recipe.blocks => self.input(Some(layer), norm).map(|x| quantise_in_blocks(&x)),
            Graph::Ternary(_) if self.recipe.quantised => self.input(Some(layer), int8),
            Graph::Ternary(_) => self.input(Some(layer), norm),
            Graph::Llama(_) => {
                let kind = if norm == Stage::AttnSubNorm { Norm::AttnSub } else { Norm::FfnSub };
                let is_sub = matches!(norm, Stage::AttnSubNorm | Stage::FfnSubNorm);
                let there = !is_sub || self.evaluator.gain(kind, layer).is_some();
                self.input(Some(layer), if there { norm } else { before })
            }
        }
    }

    /// Computes `place`.
    pub fn stage(&mut self, place: Place) -> Option<Tensor> {
        use Stage::*;
        self.touched.stages.insert(place.stage);
        let shape = &self.evaluator.shape;
        let (heads, kv_heads, head_dim) = (shape.heads, shape.kv_heads, shape.head_dim);
        let Some(layer) = place.layer else {
            return match place.stage {
                InpEmbd => self.embed(),
                ResultNorm => {
                    let x = self.stream(shape.layers)?;
                    self.norm(&x, Norm::Output, 0)
                }
                _ => {
                    let x = self.input(None, ResultNorm)?;
                    self.linear(Part::Output, 0, &x)
                }
            };
        };
        if layer >= shape.layers {
            return None;
        }
        let attn_in = [AttnNorm, AttnNormQ8, AttnNorm];
        let ffn_in = [FfnNorm, FfnNormQ8, FfnNorm];
        let own = |pass: &mut Self, stage| pass.input(Some(layer), stage);
        match place.stage {
            AttnNorm => {
                let x = self.stream(layer)?;
                self.norm(&x, Norm::Attn, layer)
            }
            AttnSubNorm => {
                let x = own(self, Kqv)?;
                self.norm(&x, Norm::AttnSub, layer)
            }
            FfnNorm => {
                let x = own(self, AttnResid)?;
                self.norm(&x, Norm::Ffn, layer)
            }
            FfnSubNorm => {
                let x = own(self, FfnAct)?;
                self.norm(&x, Norm::FfnSub, layer)
            }
            AttnNormQ8 => Some(quantise(&own(self, AttnNorm)?)),
            AttnSubNormQ8 => Some(quantise(&own(self, AttnSubNorm)?)),
            FfnNormQ8 => Some(quantise(&own(self, FfnNorm)?)),
            FfnSubNormQ8 => Some(quantise(&own(self, FfnSubNorm)?)),
            Q | K | V => {
                let part = [Part::Q, Part::K, Part::V][place.stage as usize - Q as usize];
                let x = self.normed(layer, attn_in)?;
                let y = self.linear(part, layer, &x)?;
                let y = tensor(y.shape.clone(), self.ordered(self.recipe.parts[part as usize].order, y.values));
                let count = if part == Part::Q { heads } else { kv_heads };
                (y.width() == count * head_dim).then(|| tensor(vec![y.shape[0], count, head_dim], y.values))
            }
            QRope | KRope => {
                let x = own(self, if place.stage == QRope { Q } else { K })?;
                Some(self.rotate(x))
            }
            Kq => self.scores(layer),
            KqSoft => self.weights(layer),
            Kqv => self.mix(layer),
            AttnOut => {
                let x = self.normed(layer, [AttnSubNorm, AttnSubNormQ8, Kqv])?;
                self.linear(Part::O, layer, &x)
            }
            AttnResid => {
                let (x, y) = (self.stream(layer)?, own(self, AttnOut)?);
                self.add(&x, y)
            }
            FfnGate | FfnUp => {
                let x = self.normed(layer, ffn_in)?;
                self.linear(if place.stage == FfnGate { Part::Gate } else { Part::Up }, layer, &x)
            }
            FfnAct => {
                let (mut gate, mut up) = (own(self, FfnGate)?, own(self, FfnUp)?);
                if self.recipe.gate_is_up {
                    std::mem::swap(&mut gate, &mut up);
                }
                let act = |(&gate, &up): (&f64, &f64)| self.recipe.activation.of(gate) * up;
                Some(tensor(gate.shape.clone(), gate.values.iter().zip(&up.values).map(act).collect()))
            }
            FfnOut => match self.evaluator.graph {
                Graph::Llama(model) if matches!(model.layers[layer].ffn, FeedForward::Experts { .. }) => self.experts(layer),
                _ => {
                    let x = self.normed(layer, [FfnSubNorm, FfnSubNormQ8, FfnAct])?;
                    self.linear(Part::Down, layer, &x)
                }
            },
            LOut => {
                let (x, y) = (own(self, AttnResid)?, own(self, FfnOut)?);
                self.add(&x, y)
            }
            InpEmbd | ResultNorm | ResultOutput => None,
        }
    }

    fn add(&self, x: &Tensor, y: Tensor) -> Option<Tensor> {
        if x.shape != y.shape {
            return None;
        }
        let kept = if self.recipe.residual { 1.0 } else { 0.0 };
        Some(tensor(y.shape.clone(), x.values.iter().zip(&y.values).map(|(x, y)| kept * x + y).collect()))
    }

    fn norm(&mut self, x: &Tensor, norm: Norm, layer: usize) -> Option<Tensor> {
        self.touched.norms.insert(norm);
        let gain = self.evaluator.gain(norm, layer)?;
        let Gain::Power(power) = self.recipe.gains[norm as usize] else { return Some(x.clone()) };
        if gain.len() != x.width() {
            return None;
        }
        Some(by_row(x, |row| {
            let square = row.iter().map(|v| v * v).sum::<f64>() / row.len() as f64;
            let rms = (square + self.recipe.epsilon).sqrt();
            row.iter().zip(gain).map(|(v, &g)| v / rms * f64::from(g).powi(power)).collect()
        }))
    }
}
