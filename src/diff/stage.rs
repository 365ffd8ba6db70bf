//! One stage after the other in f64, from the tensors that a trace has before it: the definitions of both graphs, written to be read. In: an
//! [`Evaluator`], a trace, a [`Recipe`]. Out: a stage's tensor, and which weights it took.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::graph::{Evaluator, Graph, Weight};
use super::recipe::{Gain, HeadOrder, KvMap, Norm, Part, Recipe};
use crate::model::judge::{Place, Rows, Stage, stages};
use crate::model::llama::{FeedForward, Pairs, choose};
use crate::model::quant::{Arithmetic, Matrix, multiply};
use crate::trace::{Number, Tensor, Trace};

/// What a computation used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Touched {
    /// Matrices.
    pub parts: BTreeSet<Part>,
    /// Norms.
    pub norms: BTreeSet<Norm>,
    /// Stages that were computed, the asked one among them.
    pub stages: BTreeSet<Stage>,
}

/// One computation.
pub(super) struct Pass<'e, 'm> {
    evaluator: &'e Evaluator<'m>,
    given: &'e Trace,
    recipe: &'e Recipe,
    /// Of products with stored matrices that are used as they are; f64 without it.
    pub arithmetic: Option<Arithmetic>,
    pub touched: Touched,
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
        Self { evaluator, given, recipe, arithmetic: None, touched: Touched::default() }
    }

    /// A stage that something needs: as given, or computed.
    fn input(&mut self, layer: Option<usize>, stage: Stage) -> Option<Tensor> {
        let place = Place { layer, stage };
        match self.given.get(place) {
            Some(tensor) => Some(tensor.clone()),
            None => self.stage(place),
        }
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
                let y = tensor(y.shape.clone(), self.ordered(self.recipe.parts[part as usize].order, &y.values));
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
                let act = |(&gate, &up): (&f64, &f64)| stages::activate(self.recipe.activation, gate, up);
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

    fn embed(&mut self) -> Option<Tensor> {
        self.touched.parts.insert(Part::TokenEmbd);
        let r#use = self.recipe.parts[Part::TokenEmbd as usize];
        let weight = self.evaluator.weight(r#use.source, 0)?.weight;
        let (rows, cols) = weight.sizes();
        let mut row = Vec::new();
        let mut values = Vec::with_capacity(self.given.tokens.len() * cols);
        for &id in &self.given.tokens {
            if id as usize >= rows {
                return None;
            }
            if !r#use.transposed {
                weight.row(id as usize, &mut row);
                values.extend_from_slice(&row);
                continue;
            }
            let mut stored_row = usize::MAX;
            for col in 0..cols {
                let at = col * rows + id as usize;
                if at / cols != stored_row {
                    stored_row = at / cols;
                    weight.row(stored_row, &mut row);
                }
                values.push(row[at % cols]);
            }
        }
        values.iter_mut().for_each(|v| *v *= self.recipe.embedding_scale);
        Some(tensor(vec![self.given.tokens.len(), cols], values))
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

    /// `scale · (weight · x) + bias`.
    fn linear(&mut self, part: Part, layer: usize, x: &Tensor) -> Option<Tensor> {
        self.touched.parts.insert(part);
        let r#use = self.recipe.parts[part as usize];
        let layered = self.evaluator.weight(r#use.source, layer)?;
        let (rows, cols) = layered.weight.sizes();
        if cols != x.width() {
            return None;
        }
        let mut y = match (layered.weight, self.arithmetic) {
            (Weight::Stored(matrix), Some(arithmetic)) if !r#use.transposed => stored_product(&matrix, x, arithmetic),
            (weight, _) if r#use.transposed => {
                let size = self.evaluator.shape.head_dim;
                let in_head = |row: usize| match r#use.transposed_in {
                    HeadOrder::Stored => row,
                    order => row / size * size + order.stored_row(row % size, size / 2),
                };
                self.ordered(r#use.transposed_in.inverse(), &transposed_product(weight, x, in_head))
            }
            (weight, _) => product(weight, x),
        };
        if let Some(scale) = layered.scale {
            let factor = scale.powi(r#use.scale_power);
            y.iter_mut().for_each(|v| *v *= factor);
        }
        if let (Some(bias), true) = (layered.bias, r#use.bias) {
            y.chunks_exact_mut(rows).for_each(|row| row.iter_mut().zip(bias).for_each(|(v, &bias)| *v += f64::from(bias)));
        }
        Some(tensor(vec![x.shape[0], rows], y))
    }

    /// Rows of each head in another order.
    fn ordered(&self, order: HeadOrder, values: &[f64]) -> Vec<f64> {
        if order == HeadOrder::Stored {
            return values.to_vec();
        }
        let half = self.evaluator.shape.head_dim / 2;
        let heads = values.chunks_exact(2 * half);
        heads.flat_map(|head| (0..2 * half).map(move |i| head[order.stored_row(i, half)])).collect()
    }

    /// Turns the pairs of every head.
    fn rotate(&self, mut x: Tensor) -> Tensor {
        let (recipe, dims, head_dim) = (self.recipe, self.evaluator.shape.rope_dims, self.evaluator.shape.head_dim);
        if !recipe.rotated {
            return x;
        }
        let width = x.width();
        let half = dims / 2;
        for (token, row) in x.values.chunks_exact_mut(width).enumerate() {
            let position = (self.given.first_position + token) as f64 + recipe.shift;
            let turns: Vec<(f64, f64)> = (0..half).map(|pair| self.evaluator.turn(recipe, position, pair)).collect();
            for head in row.chunks_exact_mut(head_dim) {
                for (pair, (cos, sin)) in turns.iter().enumerate() {
                    let (i, j) = match recipe.pairs {
                        Pairs::Interleaved => (2 * pair, 2 * pair + 1),
                        Pairs::HalfRotated => (pair, pair + half),
                    };
                    (head[i], head[j]) = (head[i] * cos - head[j] * sin, head[j] * cos + head[i] * sin);
                }
            }
        }
        x
    }

    /// Queries, keys and values as attention takes them: in llama.cpp's arithmetic rounded to f16.
    fn cached(&self, mut x: Tensor) -> Tensor {
        if self.arithmetic.is_some_and(|arithmetic| arithmetic != Arithmetic::Float) {
            x.values.iter_mut().for_each(|v| *v = half::f16::from_f32(*v as f32).to_f64());
        }
        x
    }

    fn kv_head(&self, head: usize) -> usize {
        match self.recipe.kv_map {
            KvMap::Grouped => head / self.evaluator.shape.group(),
            KvMap::Modulo => head % self.evaluator.shape.kv_heads,
        }
    }

    /// kq: heads x queries x keys, -∞ behind the query under a causal mask. Only of a pass from position 0, which holds all keys.
    fn scores(&mut self, layer: usize) -> Option<Tensor> {
        let (q, k) = (self.input(Some(layer), Stage::QRope)?, self.input(Some(layer), Stage::KRope)?);
        let (q, k) = (self.cached(q), self.cached(k));
        if self.given.first_position > 0 {
            return None;
        }
        let (tokens, heads, head_dim) = (q.shape[0], self.evaluator.shape.heads, self.evaluator.shape.head_dim);
        let mut values = Vec::with_capacity(heads * tokens * tokens);
        for head in 0..heads {
            let kv = self.kv_head(head) * head_dim;
            for query in 0..tokens {
                let q = &q.row(query)[head * head_dim..][..head_dim];
                for key in 0..tokens {
                    let dot: f64 = q.iter().zip(&k.row(key)[kv..]).map(|(a, b)| a * b).sum();
                    let masked = self.recipe.causal && key > query;
                    values.push(if masked { f64::NEG_INFINITY } else { dot * self.recipe.attention_scale });
                }
            }
        }
        Some(tensor(vec![heads, tokens, tokens], values))
    }

    /// kq_soft. What a given kq holds behind its query is not looked at: runtimes mask at different points.
    fn weights(&mut self, layer: usize) -> Option<Tensor> {
        let kq = if self.recipe.causal { self.input(Some(layer), Stage::Kq)? } else { self.scores(layer)? };
        let (tokens, keys) = (kq.shape[1], kq.shape[2]);
        let mut values = Vec::with_capacity(kq.values.len());
        for (row, scores) in kq.values.chunks_exact(keys).enumerate() {
            let seen = if self.recipe.causal { keys - tokens + row % tokens + 1 } else { keys };
            values.extend(stages::softmax(&scores[..seen]));
            values.extend(std::iter::repeat_n(0.0, keys - seen));
        }
        Some(tensor(kq.shape.clone(), values))
    }

    /// kqv.
    fn mix(&mut self, layer: usize) -> Option<Tensor> {
        let (soft, v) = (self.input(Some(layer), Stage::KqSoft)?, self.input(Some(layer), Stage::V)?);
        let v = self.cached(v);
        let (heads, tokens, keys) = (soft.shape[0], soft.shape[1], soft.shape[2]);
        let head_dim = self.evaluator.shape.head_dim;
        if keys != v.shape[0] {
            return None;
        }
        let mut values = vec![0.0; tokens * heads * head_dim];
        for head in 0..heads {
            let kv = self.kv_head(head) * head_dim;
            for token in 0..tokens {
                let out = &mut values[(token * heads + head) * head_dim..][..head_dim];
                for key in 0..keys {
                    let weight = soft.values[(head * tokens + token) * keys + key];
                    out.iter_mut().zip(&v.row(key)[kv..]).for_each(|(sum, v)| *sum += weight * v);
                }
            }
        }
        Some(tensor(vec![tokens, heads * head_dim], values))
    }

    /// A mixture's networks.
    fn experts(&mut self, layer: usize) -> Option<Tensor> {
        let Graph::Llama(model) = self.evaluator.graph else { return None };
        let FeedForward::Experts { router, gate, up, down } = &model.layers[layer].ffn else { return None };
        let (count, used) = (model.shape.experts, model.shape.experts_used);
        let x = self.input(Some(layer), Stage::FfnNorm)?;
        let chances = product(Weight::Stored(*router), &x);
        let mut values = Vec::with_capacity(x.values.len());
        for (row, chances) in x.rows().zip(chances.chunks_exact(count)) {
            let one = tensor(vec![1, row.len()], row.to_vec());
            let narrow: Vec<f32> = chances.iter().map(|&v| v as f32).collect();
            let mut sum = vec![0.0; row.len()];
            for (expert, weight) in choose(&narrow, used) {
                let part = |all: &[Matrix<'m>], x: &Tensor| product(Weight::Stored(all[expert]), x);
                let (gate, up) = (part(gate, &one), part(up, &one));
                let act: Vec<f64> = gate.iter().zip(&up).map(|(&g, &u)| stages::activate(self.recipe.activation, g, u)).collect();
                let out = part(down, &tensor(vec![1, act.len()], act));
                sum.iter_mut().zip(out).for_each(|(sum, v)| *sum += v * f64::from(weight));
            }
            values.extend(sum);
        }
        Some(tensor(x.shape.clone(), values))
    }
}

impl Evaluator<'_> {
    /// Cosine and sine of a pair at a position.
    pub(super) fn turn(&self, recipe: &Recipe, position: f64, pair: usize) -> (f64, f64) {
        let dims = self.shape.rope_dims;
        match self.rope {
            Some((rope, divisors)) if recipe.rope_scaling => {
                let rope = crate::model::llama::Rope { base: recipe.theta as f32, ..rope.clone() };
                let angle = rope.angle(position, pair, divisors);
                (angle.cos() * f64::from(rope.magnitude), angle.sin() * f64::from(rope.magnitude))
            }
            _ => {
                let angle = position * recipe.theta.powf(-2.0 * pair as f64 / dims as f64);
                (angle.cos(), angle.sin())
            }
        }
    }
}

fn quantise(x: &Tensor) -> Tensor {
    let rows: Vec<(Vec<i8>, f64)> = x.rows().map(stages::quantise).collect();
    let (codes, scales): (Vec<Vec<i8>>, Vec<f64>) = rows.into_iter().unzip();
    Tensor::codes(vec![scales.len(), x.width()], codes.concat(), scales)
}

/// `weight · x` of every row of x: tokens x outputs.
fn product(weight: Weight<'_>, x: &Tensor) -> Vec<f64> {
    let (rows, _) = weight.sizes();
    let tokens = x.shape[0];
    let by_output: Vec<Vec<f64>> = (0..rows)
        .into_par_iter()
        .map_init(Vec::new, |values, row| {
            weight.row(row, values);
            x.rows().map(|x| stages::dot_product(values, x)).collect()
        })
        .collect();
    (0..tokens).flat_map(|token| by_output.iter().map(move |outputs| outputs[token])).collect()
}

/// The same with the stored numbers read column by column, after `order` has said which row stands where.
fn transposed_product(weight: Weight<'_>, x: &Tensor, order: impl Fn(usize) -> usize) -> Vec<f64> {
    let (rows, cols) = weight.sizes();
    let mut out = vec![0.0; x.shape[0] * rows];
    let mut values = Vec::new();
    for stored in 0..rows {
        weight.row(order(stored), &mut values);
        for (token, x) in x.rows().enumerate() {
            for (i, value) in values.iter().enumerate() {
                let at = stored * cols + i;
                out[token * rows + at % rows] += value * x[at / rows];
            }
        }
    }
    out
}

fn stored_product(matrix: &Matrix<'_>, x: &Tensor, arithmetic: Arithmetic) -> Vec<f64> {
    let rows = Rows { tokens: x.shape[0], width: x.width(), values: x.values.iter().map(|&v| v as f32).collect() };
    multiply(matrix, &rows, arithmetic).values.into_iter().map(f64::from).collect()
}
