//! The judge: the float software transformer that everything else is compared with. Plain loops over the paper's
//! stages, in f64 to judge and in f32 to see what f32 costs; prefill and decode with a KV cache are the same code.
//!
//! In: a [`Model`] and token ids. Out: logits of every token, and each stage for whoever observes. Sums of the
//! ternary layers are exact and every other sum has one fixed order, so results do not depend on threads, and a
//! prefill equals token-by-token decoding bit for bit.

mod loss;
mod observer;
mod rows;
pub mod stages;

use std::marker::PhantomData;

use rayon::prelude::*;

use super::error::ModelError;
use super::tokens;
use super::weights::{Layer, Model};
pub use loss::{DocumentLoss, arg_max, mean_loss, negative_log_likelihood};
pub use observer::{Observer, Place, Stage, Values};
pub use rows::{Int8Rows, Real, Rows};

/// Deliberate roundings, to measure what each costs (the floor of an integer pipeline). Default: none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// K (after RoPE) and V are rounded, per token and head, to codes of this many bits times absmax.
    pub kv_bits: Option<u32>,
    /// The residual stream is rounded to this many fraction bits wherever it is written.
    pub residual_bits: Option<u32>,
}

/// Keys (rotated) and values of the positions so far.
#[derive(Debug, Clone)]
pub struct KvCache<F> {
    layers: Vec<LayerCache<F>>,
}

/// One layer's part of a [`KvCache`]: rows of `kv_dim`, one a position.
#[derive(Debug, Clone, Default)]
pub struct LayerCache<F> {
    /// Keys, position by position.
    pub keys: Vec<F>,
    /// Values, position by position.
    pub values: Vec<F>,
}

impl<F> KvCache<F> {
    /// One layer's keys and values.
    pub fn layer(&self, layer: usize) -> &LayerCache<F> {
        &self.layers[layer]
    }
}

/// The judge of one model, computing in `F`.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'m, F> {
    model: &'m Model,
    options: Options,
    number: PhantomData<F>,
}

/// Sends a stage of floats to the observer.
fn show<F: Real>(observer: &mut impl Observer<F>, place: Place, shape: &[usize], values: &[F]) {
    if observer.wants(place) {
        observer.see(place, shape, Values::Float(values));
    }
}

fn show_int8<F: Real>(observer: &mut impl Observer<F>, place: Place, rows: &Int8Rows<F>) {
    if observer.wants(place) {
        observer.see(place, &[rows.tokens, rows.width], Values::Int8 { codes: &rows.codes, scales: &rows.scales });
    }
}

impl<'m, F: Real> Judge<'m, F> {
    /// The judge of `model`.
    pub fn new(model: &'m Model, options: Options) -> Self {
        Self { model, options, number: PhantomData }
    }

    /// The model that is judged.
    pub fn model(&self) -> &'m Model {
        self.model
    }

    /// An empty cache.
    pub fn cache(&self) -> KvCache<F> {
        let empty = || LayerCache { keys: Vec::new(), values: Vec::new() };
        KvCache { layers: self.model.layers.iter().map(|_| empty()).collect() }
    }

    /// Positions that `cache` holds.
    pub fn cached(&self, cache: &KvCache<F>) -> usize {
        cache.layers.first().map_or(0, |layer| layer.keys.len() / self.model.shape.kv_dim())
    }

    /// Logits (tokens x vocabulary) of `tokens`, which follow the positions in `cache` and are added to it.
    ///
    /// # Errors
    /// [`Refusal::Vocabulary`](super::error::Refusal) for an unknown id or no id, `Refusal::Bounds` beyond the context.
    pub fn forward(&self, tokens: &[u32], cache: &mut KvCache<F>, observer: &mut impl Observer<F>) -> Result<Rows<F>, ModelError> {
        let x = self.body(tokens, cache, observer)?;
        Ok(self.head(&x, observer))
    }

    /// As [`Judge::forward`], the logits of the last token only.
    ///
    /// # Errors
    /// As [`Judge::forward`].
    pub fn last(&self, tokens: &[u32], cache: &mut KvCache<F>, observer: &mut impl Observer<F>) -> Result<Vec<F>, ModelError> {
        let x = self.body(tokens, cache, observer)?;
        let last = Rows { tokens: 1, width: x.width, values: x.row(x.tokens - 1).to_vec() };
        Ok(self.head(&last, observer).values)
    }

    /// The residual stream behind the last layer of `tokens`, as [`Judge::forward`] without the head.
    ///
    /// # Errors
    /// As [`Judge::forward`].
    pub fn body(&self, tokens: &[u32], cache: &mut KvCache<F>, observer: &mut impl Observer<F>) -> Result<Rows<F>, ModelError> {
        self.check_tokens(tokens, cache)?;
        let mut x = self.embed(tokens);
        show(observer, Place { layer: None, stage: Stage::InpEmbd }, &[x.tokens, x.width], &x.values);
        for layer in 0..self.model.shape.layers {
            x = self.attention(layer, &x, cache, observer);
            x = self.feed_forward(layer, &x, observer);
        }
        Ok(x)
    }

    /// The ids `prompt` and its greedy continuation, `total` ids in all; nothing stops it before.
    ///
    /// # Errors
    /// As [`Judge::forward`].
    pub fn generate(&self, prompt: &[u32], total: usize) -> Result<Vec<u32>, ModelError> {
        let mut ids = prompt.to_vec();
        let mut cache = self.cache();
        let mut fresh = prompt.to_vec();
        while ids.len() < total {
            let logits = self.last(&fresh, &mut cache, &mut ())?;
            let next = arg_max(&logits) as u32;
            ids.push(next);
            fresh = vec![next];
        }
        Ok(ids)
    }

    fn check_tokens(&self, tokens: &[u32], cache: &KvCache<F>) -> Result<(), ModelError> {
        let shape = &self.model.shape;
        tokens::check(tokens, self.cached(cache), shape.vocab, shape.context)
    }

    /// The residual stream before the first layer. Ids must be in the vocabulary.
    pub fn embed(&self, tokens: &[u32]) -> Rows<F> {
        let row = |&id: &u32| self.model.token_embd.row(id as usize);
        let values = tokens.iter().flat_map(row).map(|v| self.residual(F::of(f64::from(v)))).collect();
        Rows { tokens: tokens.len(), width: self.model.shape.dim, values }
    }

    /// The attention sub-layer: from the residual stream to the residual stream, one row a token, at the positions
    /// that follow those in the layer's cache; adds their keys and values to it.
    pub fn attention(&self, layer: usize, x: &Rows<F>, cache: &mut KvCache<F>, observer: &mut impl Observer<F>) -> Rows<F> {
        let shape = &self.model.shape;
        let weights = &self.model.layers[layer];
        let at = |stage| Place { layer: Some(layer), stage };
        let tokens = x.tokens;
        let query_shape = [tokens, shape.heads, shape.head_dim];
        let kv_shape = [tokens, shape.kv_heads, shape.head_dim];

        let input = self.norm_quantise(x, &weights.attn_norm, [at(Stage::AttnNorm), at(Stage::AttnNormQ8)], observer);
        let q = stages::ternary_linear(&input, &weights.q);
        show(observer, at(Stage::Q), &query_shape, &q.values);
        let k = stages::ternary_linear(&input, &weights.k);
        show(observer, at(Stage::K), &kv_shape, &k.values);
        let v = stages::ternary_linear(&input, &weights.v);
        show(observer, at(Stage::V), &kv_shape, &v.values);

        let cache = &mut cache.layers[layer];
        let start = cache.keys.len() / shape.kv_dim();
        let rotations: Vec<_> = (start..start + tokens).map(|p| stages::rotation(p, shape.head_dim, shape.rope_theta)).collect();
        let q = q.map(q.width, |token, row| stages::rope(row, &rotations[token]));
        show(observer, at(Stage::QRope), &query_shape, &q.values);
        let k = k.map(k.width, |token, row| stages::rope(row, &rotations[token]));
        show(observer, at(Stage::KRope), &kv_shape, &k.values);
        cache.keys.extend(self.stored_heads(k).values);
        cache.values.extend(self.stored_heads(v).values);

        if observer.wants(at(Stage::Kq)) || observer.wants(at(Stage::KqSoft)) {
            self.show_scores(layer, &q, start, cache, observer);
        }
        let kqv = self.mix(&q, start, cache);
        show(observer, at(Stage::Kqv), &[tokens, kqv.width], &kqv.values);
        let input = self.norm_quantise(&kqv, &weights.attn_sub_norm, [at(Stage::AttnSubNorm), at(Stage::AttnSubNormQ8)], observer);
        let out = stages::ternary_linear(&input, &weights.o);
        show(observer, at(Stage::AttnOut), &[tokens, out.width], &out.values);
        let resid = x.zip(&out, |x, y| self.residual(x + y));
        show(observer, at(Stage::AttnResid), &[tokens, resid.width], &resid.values);
        resid
    }

    /// The feed-forward sub-layer: from the residual stream to the residual stream.
    pub fn feed_forward(&self, layer: usize, x: &Rows<F>, observer: &mut impl Observer<F>) -> Rows<F> {
        let Layer { ffn_norm, gate, up, ffn_sub_norm, down, .. } = &self.model.layers[layer];
        let at = |stage| Place { layer: Some(layer), stage };
        let tokens = x.tokens;

        let input = self.norm_quantise(x, ffn_norm, [at(Stage::FfnNorm), at(Stage::FfnNormQ8)], observer);
        let gate = stages::ternary_linear(&input, gate);
        show(observer, at(Stage::FfnGate), &[tokens, gate.width], &gate.values);
        let up = stages::ternary_linear(&input, up);
        show(observer, at(Stage::FfnUp), &[tokens, up.width], &up.values);
        let act = gate.zip(&up, |gate, up| stages::activate(self.model.shape.activation, gate, up));
        show(observer, at(Stage::FfnAct), &[tokens, act.width], &act.values);
        let input = self.norm_quantise(&act, ffn_sub_norm, [at(Stage::FfnSubNorm), at(Stage::FfnSubNormQ8)], observer);
        let out = stages::ternary_linear(&input, down);
        show(observer, at(Stage::FfnOut), &[tokens, out.width], &out.values);
        let resid = x.zip(&out, |x, y| self.residual(x + y));
        show(observer, at(Stage::LOut), &[tokens, resid.width], &resid.values);
        resid
    }

    /// The head: from the residual stream behind the last layer to logits.
    pub fn head(&self, x: &Rows<F>, observer: &mut impl Observer<F>) -> Rows<F> {
        let epsilon = self.model.shape.rms_epsilon;
        let norm = x.map(x.width, |_, row| stages::rms_norm(row, &self.model.output_norm, epsilon));
        show(observer, Place { layer: None, stage: Stage::ResultNorm }, &[x.tokens, x.width], &norm.values);
        let logits = stages::dense_linear(&norm, &self.model.head().view());
        show(observer, Place { layer: None, stage: Stage::ResultOutput }, &[x.tokens, logits.width], &logits.values);
        logits
    }

    fn norm_quantise(&self, x: &Rows<F>, gain: &[f32], places: [Place; 2], observer: &mut impl Observer<F>) -> Int8Rows<F> {
        let norm = x.map(x.width, |_, row| stages::rms_norm(row, gain, self.model.shape.rms_epsilon));
        show(observer, places[0], &[x.tokens, x.width], &norm.values);
        let codes = stages::quantise_rows(&norm);
        show_int8(observer, places[1], &codes);
        codes
    }

    /// Keys or values in the form in which the cache keeps them.
    fn stored_heads(&self, rows: Rows<F>) -> Rows<F> {
        match self.options.kv_bits {
            Some(bits) => rows.map(rows.width, |_, row| stages::round_heads(row, self.model.shape.head_dim, bits)),
            None => rows,
        }
    }

    fn residual(&self, x: F) -> F {
        self.options.residual_bits.map_or(x, |bits| stages::round_to_fraction(x, bits))
    }

    /// The softmax weights of one query head of the token at `position`, and before the softmax its scores.
    fn head_weights(&self, query: &[F], head: usize, position: usize, cache: &LayerCache<F>) -> (Vec<F>, Vec<F>) {
        let keys = self.head_rows(&cache.keys, head, position);
        let scores = stages::scores(query, keys);
        let weights = stages::softmax(&scores);
        (scores, weights)
    }

    /// Rows 0 to `position` of the key/value head that query head `head` shares.
    fn head_rows<'c>(&self, rows: &'c [F], head: usize, position: usize) -> impl Iterator<Item = &'c [F]> + use<'c, F> {
        let shape = &self.model.shape;
        let first = head / shape.group() * shape.head_dim;
        let last = first + shape.head_dim;
        rows.chunks_exact(shape.kv_dim()).take(position + 1).map(move |row| &row[first..last])
    }

    /// Attention of every query head over positions 0 to its token's own.
    fn mix(&self, q: &Rows<F>, start: usize, cache: &LayerCache<F>) -> Rows<F> {
        let head_dim = self.model.shape.head_dim;
        let heads = q.values.par_chunks_exact(head_dim).enumerate().map(|(index, query)| {
            let (token, head) = (index / self.model.shape.heads, index % self.model.shape.heads);
            let (_, weights) = self.head_weights(query, head, start + token, cache);
            let values = self.head_rows(&cache.values, head, start + token);
            stages::weighted_sum(&weights, values, head_dim)
        });
        Rows { tokens: q.tokens, width: q.width, values: heads.collect::<Vec<_>>().concat() }
    }

    /// Gathers kq and kq_soft for the observer: heads x queries x keys.
    fn show_scores(&self, layer: usize, q: &Rows<F>, start: usize, cache: &LayerCache<F>, observer: &mut impl Observer<F>) {
        let (heads, head_dim) = (self.model.shape.heads, self.model.shape.head_dim);
        let keys = start + q.tokens;
        let (mut kq, mut soft) = (Vec::new(), Vec::new());
        for head in 0..heads {
            for (token, row) in q.iter().enumerate() {
                let query = &row[head * head_dim..(head + 1) * head_dim];
                let (scores, weights) = self.head_weights(query, head, start + token, cache);
                let behind = keys - scores.len();
                kq.extend(scores.into_iter().chain(std::iter::repeat_n(F::neg_infinity(), behind)));
                soft.extend(weights.into_iter().chain(std::iter::repeat_n(F::zero(), behind)));
            }
        }
        let shape = [heads, q.tokens, keys];
        show(observer, Place { layer: Some(layer), stage: Stage::Kq }, &shape, &kq);
        show(observer, Place { layer: Some(layer), stage: Stage::KqSoft }, &shape, &soft);
    }
}
