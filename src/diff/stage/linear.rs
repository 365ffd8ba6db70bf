//! Stages with matrices: embedding, linear layers, mixtures.

use super::products::{product, stored_product, transposed_product};
use super::{Pass, tensor};
use crate::diff::graph::{Graph, Weight};
use crate::diff::recipe::{HeadOrder, Part};
use crate::model::judge::Stage;
use crate::model::llama::{FeedForward, choose};
use crate::model::quant::{Arithmetic, Matrix};
use crate::trace::Tensor;

impl<'m> Pass<'_, 'm> {
    pub(super) fn embed(&mut self) -> Option<Tensor> {
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

    /// `weight · x` of every row.
    fn times(&self, weight: Weight<'_>, x: &Tensor) -> Vec<f64> {
        match weight {
            Weight::Stored(matrix) if self.recipe.blocks => stored_product(&matrix, x, Arithmetic::Ggml),
            weight => product(weight, x),
        }
    }

    /// `scale · (weight · x) + bias`.
    pub(super) fn linear(&mut self, part: Part, layer: usize, x: &Tensor) -> Option<Tensor> {
        self.touched.parts.insert(part);
        let r#use = self.recipe.parts[part as usize];
        let layered = self.evaluator.weight(r#use.source, layer)?;
        let (rows, cols) = layered.weight.sizes();
        if cols != x.width() {
            return None;
        }
        self.touched.work += (rows * cols * x.shape[0]) as u64;
        let mut y = match layered.weight {
            weight if r#use.transposed => {
                let size = self.evaluator.shape.head_dim;
                let in_head = |row: usize| match r#use.transposed_in {
                    HeadOrder::Stored => row,
                    order => row / size * size + order.stored_row(row % size, size / 2),
                };
                self.ordered(r#use.transposed_in.inverse(), transposed_product(weight, x, in_head))
            }
            weight => self.times(weight, x),
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
    pub(super) fn ordered(&self, order: HeadOrder, values: Vec<f64>) -> Vec<f64> {
        if order == HeadOrder::Stored {
            return values;
        }
        let half = self.evaluator.shape.head_dim / 2;
        let heads = values.chunks_exact(2 * half);
        heads.flat_map(|head| (0..2 * half).map(move |i| head[order.stored_row(i, half)])).collect()
    }

    /// A mixture's networks.
    pub(super) fn experts(&mut self, layer: usize) -> Option<Tensor> {
        let Graph::Llama(model) = self.evaluator.graph else { return None };
        let FeedForward::Experts { router, gate, up, down } = &model.layers[layer].ffn else { return None };
        let (count, used) = (model.shape.experts, model.shape.experts_used);
        let x = self.input(Some(layer), Stage::FfnNorm)?;
        let chances = self.times(Weight::Stored(*router), &x);
        let of_one: u64 = [gate, up, down].iter().filter_map(|all| all.first()).map(|m| (m.rows * m.cols) as u64).sum();
        self.touched.work += of_one * (used * x.shape[0]) as u64;
        let mut values = Vec::with_capacity(x.values.len());
        for (row, chances) in x.rows().zip(chances.chunks_exact(count)) {
            let one = tensor(vec![1, row.len()], row.to_vec());
            let narrow: Vec<f32> = chances.iter().map(|&v| v as f32).collect();
            let mut sum = vec![0.0; row.len()];
            for (expert, weight) in choose(&narrow, used) {
                let part = |all: &[Matrix<'m>], x: &Tensor| self.times(Weight::Stored(all[expert]), x);
                let (gate, up) = (part(gate, &one), part(up, &one));
                let act: Vec<f64> = gate.iter().zip(&up).map(|(&g, &u)| self.recipe.activation.of(g) * u).collect();
                let out = part(down, &tensor(vec![1, act.len()], act));
                sum.iter_mut().zip(out).for_each(|(sum, v)| *sum += v * f64::from(weight));
            }
            values.extend(sum);
        }
        Some(tensor(x.shape.clone(), values))
    }
}
