//! The Llama graph in software: grouped-query attention with rotary positions, gated feed-forward networks or a mixture
//! of them; and llama.cpp's graph of `bitnet`, which is the same with two more norms.
//!
//! In: a [`LlamaModel`] and token ids. Out: logits, and each stage for whoever observes. The arithmetic is llama.cpp's CPU
//! back end's, operation by operation, rounding by rounding (f32 between operations, products as [`quant`](super::quant)
//! says, f16 cache), on one token at a time; or the same with sums in f64; or the float judge's. Results do not depend on
//! threads or on how a prompt is cut.
//!
//! Source: Touvron et al. 2023 (Llama), Jiang et al. 2024 (Mixtral); llama.cpp's `llama-graph.cpp` for the order.

mod attention;
mod cache;
mod rope;
mod shape;
mod silu;
mod weights;

use rayon::prelude::*;

use super::config::Activation;
use super::error::ModelError;
use super::judge::stages::{activate, softmax};
use super::judge::{Observer, Place, Rows, Stage, Values};
use super::quant::{Arithmetic, multiply};
use attention::View;
pub use cache::{LayerCache, LlamaCache, Plane};
pub(super) use rope::{OWN, YARN_BETAS};
pub use rope::{Pairs, Rope, Scaling, Yarn};
pub use shape::{Architecture, LlamaShape};
pub use weights::{FeedForward, Linear, LlamaLayer, LlamaModel};

/// Least sum that the weights of the chosen experts are divided by: llama.cpp's, the least normal f16.
const LEAST_EXPERT_SUM: f32 = 6.103_515_6e-5;

/// A model that runs in one arithmetic.
#[derive(Debug, Clone, Copy)]
pub struct Llama<'m, 'a> {
    model: &'m LlamaModel<'a>,
    arithmetic: Arithmetic,
}

/// Which tokens' logits are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Those of the last token only.
    Last,
    /// Those of every token.
    All,
}

fn show(observer: &mut impl Observer<f32>, place: Place, shape: &[usize], rows: &Rows<f32>) {
    if observer.wants(place) {
        observer.see(place, shape, Values::Float(&rows.values));
    }
}

impl<'m, 'a> Llama<'m, 'a> {
    /// `model` in `arithmetic`.
    pub fn new(model: &'m LlamaModel<'a>, arithmetic: Arithmetic) -> Self {
        Self { model, arithmetic }
    }

    /// The model.
    pub fn model(&self) -> &'m LlamaModel<'a> {
        self.model
    }

    /// An empty cache.
    pub fn cache(&self) -> LlamaCache {
        LlamaCache::new(self.model.layers.len(), self.arithmetic != Arithmetic::Float)
    }

    /// Logits (tokens or 1, x vocabulary) of `tokens`, which follow the positions in `cache` and are added to it.
    ///
    /// # Errors
    /// [`Refusal::Vocabulary`](super::error::Refusal) for an unknown id or no id, `Refusal::Bounds` beyond the context.
    pub fn forward(
        &self,
        tokens: &[u32],
        cache: &mut LlamaCache,
        wanted: Wanted,
        observer: &mut impl Observer<f32>,
    ) -> Result<Rows<f32>, ModelError> {
        let shape = &self.model.shape;
        super::tokens::check(tokens, cache.positions, shape.vocab, shape.context)?;
        let mut x = self.embed(tokens);
        show(observer, Place { layer: None, stage: Stage::InpEmbd }, &[x.tokens, x.width], &x);
        for (index, layer) in self.model.layers.iter().enumerate() {
            x = self.attention(index, layer, &x, cache, observer);
            x = self.feed_forward(index, layer, &x, observer);
        }
        cache.positions += tokens.len();
        if wanted == Wanted::Last {
            x = Rows { tokens: 1, width: x.width, values: x.row(x.tokens - 1).to_vec() };
        }
        let norm = self.norm(&x, &self.model.output_norm);
        show(observer, Place { layer: None, stage: Stage::ResultNorm }, &[x.tokens, x.width], &norm);
        let logits = self.linear(&self.model.output, &norm);
        show(observer, Place { layer: None, stage: Stage::ResultOutput }, &[x.tokens, logits.width], &logits);
        Ok(logits)
    }

    fn embed(&self, tokens: &[u32]) -> Rows<f32> {
        let mut values = Vec::with_capacity(tokens.len() * self.model.shape.dim);
        let mut row = Vec::new();
        for &id in tokens {
            self.model.token_embd.row_values(id as usize, &mut row);
            values.extend_from_slice(&row);
        }
        Rows { tokens: tokens.len(), width: self.model.shape.dim, values }
    }

    /// The attention sub-layer: from the residual stream to the residual stream, one row a token.
    fn attention(
        &self,
        index: usize,
        layer: &LlamaLayer<'a>,
        x: &Rows<f32>,
        cache: &mut LlamaCache,
        observer: &mut impl Observer<f32>,
    ) -> Rows<f32> {
        let shape = &self.model.shape;
        let at = |stage| Place { layer: Some(index), stage };
        let start = cache.positions;
        let cache = &mut cache.layers[index];
        let query_shape = [x.tokens, shape.heads, shape.head_dim];
        let kv_shape = [x.tokens, shape.kv_heads, shape.head_dim];

        let input = self.norm(x, &layer.attn_norm);
        show(observer, at(Stage::AttnNorm), &[x.tokens, x.width], &input);
        let mut q = self.linear(&layer.q, &input);
        show(observer, at(Stage::Q), &query_shape, &q);
        let mut k = self.linear(&layer.k, &input);
        show(observer, at(Stage::K), &kv_shape, &k);
        let v = self.linear(&layer.v, &input);
        show(observer, at(Stage::V), &kv_shape, &v);
        for rows in [&mut q, &mut k] {
            for (token, row) in rows.values.chunks_exact_mut(rows.width).enumerate() {
                let rotation = shape.rope.rotation(start + token, self.model.rope_divisors.as_deref());
                shape.rope.apply(row, shape.head_dim, &rotation);
            }
        }
        show(observer, at(Stage::QRope), &query_shape, &q);
        show(observer, at(Stage::KRope), &kv_shape, &k);
        cache.keys.extend(&k.values);
        cache.values.extend(&v.values);

        if observer.wants(at(Stage::Kq)) || observer.wants(at(Stage::KqSoft)) {
            self.show_scores(index, &q, start, cache, observer);
        }
        let mut kqv = self.mix(&q, start, cache);
        show(observer, at(Stage::Kqv), &[x.tokens, kqv.width], &kqv);
        if let Some(gain) = &layer.attn_sub_norm {
            kqv = self.norm(&kqv, gain);
            show(observer, at(Stage::AttnSubNorm), &[x.tokens, kqv.width], &kqv);
        }
        let out = self.linear(&layer.o, &kqv);
        show(observer, at(Stage::AttnOut), &[x.tokens, out.width], &out);
        let resid = x.zip(&out, |x, y| x + y);
        show(observer, at(Stage::AttnResid), &[x.tokens, x.width], &resid);
        resid
    }

    /// Every query head of every token over the positions up to its own.
    fn mix(&self, q: &Rows<f32>, start: usize, cache: &LayerCache) -> Rows<f32> {
        let shape = &self.model.shape;
        let heads = q.values.par_chunks_exact(shape.head_dim).enumerate().map(|(at, query)| {
            let view = self.view(at % shape.heads, start + at / shape.heads, cache);
            match self.arithmetic {
                Arithmetic::Ggml => view.mix_f16(query, false),
                Arithmetic::Wide => view.mix_f16(query, true),
                Arithmetic::Float => view.mix_exact(query),
            }
        });
        Rows { tokens: q.tokens, width: q.width, values: heads.collect::<Vec<_>>().concat() }
    }

    /// What query head `head` of the token at `position` looks at.
    fn view<'c>(&self, head: usize, position: usize, cache: &'c LayerCache) -> View<'c> {
        let shape = &self.model.shape;
        let first = head / shape.group() * shape.head_dim;
        View { cache, kv_dim: shape.kv_dim(), first, positions: position + 1, scale: shape.attention_scale() }
    }

    /// Gathers kq and kq_soft for the observer: heads x queries x keys. The mix itself never holds the softmax's weights (it is
    /// divided at the end), so they are taken from the scores in f64.
    fn show_scores(&self, layer: usize, q: &Rows<f32>, start: usize, cache: &LayerCache, observer: &mut impl Observer<f32>) {
        let (heads, head_dim) = (self.model.shape.heads, self.model.shape.head_dim);
        let keys = start + q.tokens;
        let (mut kq, mut soft) = (Vec::new(), Vec::new());
        for head in 0..heads {
            for (token, row) in q.iter().enumerate() {
                let view = self.view(head, start + token, cache);
                let scores = view.scores(&row[head * head_dim..(head + 1) * head_dim], self.arithmetic);
                let wide: Vec<f64> = scores.iter().map(|&z| f64::from(z)).collect();
                let behind = keys - scores.len();
                soft.extend(softmax(&wide).into_iter().map(|p| p as f32).chain(std::iter::repeat_n(0.0, behind)));
                kq.extend(scores.into_iter().chain(std::iter::repeat_n(f32::NEG_INFINITY, behind)));
            }
        }
        for (stage, values) in [(Stage::Kq, kq), (Stage::KqSoft, soft)] {
            let rows = Rows { tokens: heads * q.tokens, width: keys, values };
            show(observer, Place { layer: Some(layer), stage }, &[heads, q.tokens, keys], &rows);
        }
    }

    /// The feed-forward sub-layer: from the residual stream to the residual stream.
    fn feed_forward(&self, index: usize, layer: &LlamaLayer<'a>, x: &Rows<f32>, observer: &mut impl Observer<f32>) -> Rows<f32> {
        let at = |stage| Place { layer: Some(index), stage };
        let input = self.norm(x, &layer.ffn_norm);
        show(observer, at(Stage::FfnNorm), &[x.tokens, x.width], &input);
        let out = match &layer.ffn {
            FeedForward::Dense { gate, up, sub_norm, down } => {
                let gate = self.linear(gate, &input);
                show(observer, at(Stage::FfnGate), &[x.tokens, gate.width], &gate);
                let up = self.linear(up, &input);
                show(observer, at(Stage::FfnUp), &[x.tokens, up.width], &up);
                let mut act = match self.model.shape.activation {
                    Activation::Silu => gate.map(gate.width, |token, row| silu::gated(row, up.row(token))),
                    activation => gate.zip(&up, |gate, up| activate(activation, gate, up)),
                };
                show(observer, at(Stage::FfnAct), &[x.tokens, act.width], &act);
                if let Some(gain) = sub_norm {
                    act = self.norm(&act, gain);
                    show(observer, at(Stage::FfnSubNorm), &[x.tokens, act.width], &act);
                }
                self.linear(down, &act)
            }
            FeedForward::Experts { router, gate, up, down } => {
                let chances = multiply(router, &input, self.arithmetic);
                input.map(x.width, |token, row| {
                    let row = Rows { tokens: 1, width: row.len(), values: row.to_vec() };
                    let mut sum = vec![0.0; x.width];
                    for (expert, weight) in choose(chances.row(token), self.model.shape.experts_used) {
                        let gate = multiply(&gate[expert], &row, self.arithmetic);
                        let up = multiply(&up[expert], &row, self.arithmetic);
                        let act = Rows { values: silu::gated(&gate.values, &up.values), ..gate };
                        let out = multiply(&down[expert], &act, self.arithmetic);
                        sum.iter_mut().zip(&out.values).for_each(|(sum, out)| *sum += out * weight);
                    }
                    sum
                })
            }
        };
        show(observer, at(Stage::FfnOut), &[x.tokens, out.width], &out);
        let resid = x.zip(&out, |x, y| x + y);
        show(observer, at(Stage::LOut), &[x.tokens, x.width], &resid);
        resid
    }

    /// `gain · x / √(mean(x²) + epsilon)`: squares in f32, their sum in f64, the rest in f32.
    fn norm(&self, x: &Rows<f32>, gain: &[f32]) -> Rows<f32> {
        x.map(x.width, |_, row| {
            let sum: f64 = row.iter().map(|v| f64::from(v * v)).sum();
            let mean = (sum / row.len() as f64) as f32;
            let scale = 1.0 / (mean + self.model.shape.rms_epsilon).sqrt();
            row.iter().zip(gain).map(|(v, gain)| v * scale * gain).collect()
        })
    }

    fn linear(&self, layer: &Linear<'_>, x: &Rows<f32>) -> Rows<f32> {
        let mut out = multiply(&layer.weight, x, self.arithmetic);
        if let Some(scale) = layer.scale {
            out.values.iter_mut().for_each(|v| *v *= scale);
        }
        if let Some(bias) = &layer.bias {
            let rows = out.values.chunks_exact_mut(out.width);
            rows.for_each(|row| row.iter_mut().zip(bias).for_each(|(v, bias)| *v += bias));
        }
        out
    }
}

/// The `used` experts of largest chance, ties to the lower number, with weights that sum to 1: the softmax over all, of it
/// the chosen ones' shares, which is the softmax over the chosen.
pub(crate) fn choose(logits: &[f32], used: usize) -> Vec<(usize, f32)> {
    let most = logits.iter().fold(f32::NEG_INFINITY, |most, &z| most.max(z));
    let powers: Vec<f32> = logits.iter().map(|z| (z - most).exp()).collect();
    let sum: f64 = powers.iter().map(|&p| f64::from(p)).sum();
    let mut chances: Vec<(usize, f32)> = powers.iter().map(|p| p * (1.0 / sum) as f32).enumerate().collect();
    chances.sort_by(|a, b| b.1.total_cmp(&a.1));
    chances.truncate(used);
    let chosen = chances.iter().map(|&(_, chance)| chance).sum::<f32>().max(LEAST_EXPERT_SUM);
    chances.iter_mut().for_each(|(_, chance)| *chance /= chosen);
    chances
}

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn experts_are_chosen_by_logit_and_weighted_by_the_softmax_over_the_chosen() {
        let chosen = choose(&[0.5, 2.0, -1.0, 2.0, 1.0], 3);
        assert_eq!(chosen.iter().map(|&(expert, _)| expert).collect::<Vec<_>>(), [1, 3, 4]);
        let powers = [2.0f64, 2.0, 1.0].map(f64::exp);
        for ((_, weight), power) in chosen.iter().zip(powers) {
            assert!((f64::from(*weight) - power / powers.iter().sum::<f64>()).abs() < 1e-6);
        }
    }
}
