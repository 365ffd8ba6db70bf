//! Attention, step by step: rotation, scores, weights, mix.

use super::{Pass, tensor};
use crate::diff::graph::Evaluator;
use crate::diff::recipe::{KvMap, Recipe};
use crate::model::judge::{Stage, stages};
use crate::model::llama::Pairs;
use crate::trace::Tensor;

impl Pass<'_, '_> {
    /// Turns the pairs of every head.
    pub(super) fn rotate(&self, mut x: Tensor) -> Tensor {
        let (recipe, dims, head_dim) = (self.recipe, self.evaluator.shape.rope_dims, self.evaluator.shape.head_dim);
        if !recipe.rotated {
            return x;
        }
        let width = x.width();
        let half = dims / 2;
        x.values = self.ordered(recipe.turned_in, x.values);
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
        x.values = self.ordered(recipe.turned_in.inverse(), x.values);
        x
    }

    /// Queries, keys and values as attention takes them: in llama.cpp's arithmetic rounded to f16.
    fn cached(&self, mut x: Tensor) -> Tensor {
        if self.recipe.blocks {
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
    pub(super) fn scores(&mut self, layer: usize) -> Option<Tensor> {
        let (q, k) = (self.input(Some(layer), Stage::QRope)?, self.input(Some(layer), Stage::KRope)?);
        let (q, k) = (self.cached(q), self.cached(k));
        if self.given.first_position > 0 {
            return None;
        }
        let (tokens, heads, head_dim) = (q.shape[0], self.evaluator.shape.heads, self.evaluator.shape.head_dim);
        self.touched.work += (heads * tokens * tokens * head_dim) as u64;
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
    pub(super) fn weights(&mut self, layer: usize) -> Option<Tensor> {
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
    pub(super) fn mix(&mut self, layer: usize) -> Option<Tensor> {
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
