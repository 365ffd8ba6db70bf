//! The attention sub-layer in integers (docs/numerics.md, sections 2 to 6): the function of this hardware.

use super::cache::LayerCache;
use super::model::{AttnParams, TernaryRows, dot};
use super::observer::{Observer, Saturations, Stage, Values};
use super::{Norm, Reference};
use crate::numerics::headq::code_limit;
use crate::numerics::softmax::{self, Softmax, SoftmaxRom, accumulate, score};
use crate::numerics::{Scale, head_quantise, head_scale, norm_quantise, residual, rope};

/// What one query head of one token gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttendedHead {
    /// Scores z, one a position.
    pub z: Vec<i32>,
    /// Weights of V, one a position.
    pub w: Vec<u32>,
    /// Shifts of the accumulators, one a position.
    pub sh: Vec<u32>,
    /// The softmax's state after the last position.
    pub state: Softmax,
    /// Accumulators, HD.
    pub acc: Vec<i64>,
    /// Output, HD, Fo fraction bits.
    pub o: Vec<i32>,
    /// Scores that saturated.
    pub saturated_scores: u64,
    /// Outputs that saturated.
    pub saturated_outputs: u64,
}

/// One query head over `positions` positions of one KV head: `keys(pos)` and `values(pos)` give codes and scale.
pub fn attend_head<'c>(
    rom: &SoftmaxRom,
    q: &[i8],
    s_q: Scale,
    positions: usize,
    keys: impl Fn(usize) -> (&'c [i8], Scale),
    values: impl Fn(usize) -> (&'c [i8], Scale),
) -> AttendedHead {
    let mut out = AttendedHead {
        z: Vec::with_capacity(positions),
        w: Vec::with_capacity(positions),
        sh: Vec::with_capacity(positions),
        state: Softmax::default(),
        acc: vec![0; q.len()],
        o: Vec::new(),
        saturated_scores: 0,
        saturated_outputs: 0,
    };
    for pos in 0..positions {
        let (k, s_k) = keys(pos);
        let (v, s_v) = values(pos);
        let z = score(dot(q, k), s_k, s_q);
        let weight = out.state.step(rom, z.z, s_v);
        for (acc, &v) in out.acc.iter_mut().zip(v) {
            *acc = accumulate(*acc, weight, v);
        }
        out.saturated_scores += u64::from(z.saturated);
        out.z.push(z.z);
        out.w.push(weight.w);
        out.sh.push(weight.sh);
    }
    let reciprocal = out.state.finish();
    for &acc in &out.acc {
        let (o, saturated) = softmax::output(acc, reciprocal);
        out.saturated_outputs += u64::from(saturated);
        out.o.push(o);
    }
    out
}

impl Reference<'_> {
    /// The attention sub-layer of one layer: `x[tokens][D]` (F fraction bits) at positions `pos`, `pos` + 1, …, which follow those in
    /// `cache` and are added to it; gives `y[tokens][D]`.
    pub fn attention(
        &self,
        layer: usize,
        x: &[i32],
        pos: usize,
        cache: &mut LayerCache,
        observer: &mut impl Observer,
        saturations: &mut Saturations,
    ) -> Vec<i32> {
        let shape = &self.model.shape;
        let params = &self.model.layers[layer].attn;
        debug_assert_eq!(cache.positions(), pos);
        let mut queries = Vec::new();
        for (t, x) in x.chunks_exact(shape.dim).enumerate() {
            let (q8, s_x) = quantised(&params.norm, x, saturations);
            observer.see(Some(layer), Stage::AttnNormQ8, t, None, Values::Codes(&q8, s_x));
            let mut at = HeadPass { layer, token: t, pos: pos + t, s_x, observer: &mut *observer, saturations: &mut *saturations };
            self.keys_and_values(params, &q8, cache, &mut at);
            queries.push(self.queries(params, &q8, &mut at));
        }
        let mut y = Vec::with_capacity(x.len());
        for (t, x) in x.chunks_exact(shape.dim).enumerate() {
            let o = self.attend_token(layer, t, pos + t, &queries[t], cache, observer, saturations);
            let (q8, s_x) = quantised(&params.sub_norm, &o, saturations);
            observer.see(Some(layer), Stage::AttnSubNormQ8, t, None, Values::Codes(&q8, s_x));
            let sums = params.o.sums(&q8);
            observer.see(Some(layer), Stage::OSums, t, None, Values::I32(&sums));
            let row = residual_row(x, &sums, s_x, params.c_o, saturations);
            observer.see(Some(layer), Stage::AttnResidual, t, None, Values::I32(&row));
            y.extend(row);
        }
        y
    }

    /// Projects, rotates and quantises one token's keys and values into the cache.
    fn keys_and_values<O: Observer>(&self, params: &AttnParams, q8: &[i8], cache: &mut LayerCache, at: &mut HeadPass<'_, O>) {
        let limit = code_limit(self.model.kv_bits);
        for (codes, scale) in self.heads(&params.k, q8, true, limit, params.c_k, [Stage::K, Stage::KRope, Stage::KCodes], at) {
            cache.k_codes.extend(codes);
            cache.k_scales.push(scale);
        }
        for (codes, scale) in self.heads(&params.v, q8, false, limit, params.c_v, [Stage::V, Stage::V, Stage::VCodes], at) {
            cache.v_codes.extend(codes);
            cache.v_scales.push(scale);
        }
    }

    /// Projects, rotates and quantises one token's queries: codes and scale a head.
    fn queries<O: Observer>(&self, params: &AttnParams, q8: &[i8], at: &mut HeadPass<'_, O>) -> Vec<(Vec<i8>, Scale)> {
        self.heads(&params.q, q8, true, 127, params.c_q, [Stage::Q, Stage::QRope, Stage::QCodes], at)
    }

    /// Ternary projection, RoPE (or 2^15 alone) and quantisation, head by head.
    #[allow(clippy::too_many_arguments)]
    fn heads<O: Observer>(
        &self,
        weights: &TernaryRows,
        q8: &[i8],
        rotate: bool,
        limit: u32,
        c: Scale,
        [sums_stage, rope_stage, codes_stage]: [Stage; 3],
        at: &mut HeadPass<'_, O>,
    ) -> Vec<(Vec<i8>, Scale)> {
        let head_dim = self.model.shape.head_dim;
        let sums = weights.sums(q8);
        at.observer.see(Some(at.layer), sums_stage, at.token, None, Values::I32(&sums));
        let mut out = Vec::new();
        for (head, sums) in sums.chunks_exact(head_dim).enumerate() {
            let mut r = vec![0; head_dim];
            if rotate {
                rope::rotate_head(&self.rope_rom, &self.model.rope_steps, at.pos as u32, sums, &mut r);
                at.observer.see(Some(at.layer), rope_stage, at.token, Some(head), Values::I64(&r));
            } else {
                r.iter_mut().zip(sums).for_each(|(r, &s)| *r = rope::unrotated(s));
            }
            let mut codes = vec![0; head_dim];
            let a = head_quantise(&r, limit, &mut codes);
            let (scale, saturated) = head_scale(a, at.s_x, c);
            at.saturations.scales += u64::from(saturated);
            at.observer.see(Some(at.layer), codes_stage, at.token, Some(head), Values::Codes(&codes, scale));
            out.push((codes, scale));
        }
        out
    }

    /// Attention of one token over positions 0 … `pos`: `o[H·HD]`, Fo fraction bits.
    #[allow(clippy::too_many_arguments)]
    fn attend_token(
        &self,
        layer: usize,
        token: usize,
        pos: usize,
        queries: &[(Vec<i8>, Scale)],
        cache: &LayerCache,
        observer: &mut impl Observer,
        saturations: &mut Saturations,
    ) -> Vec<i32> {
        let mut o = Vec::with_capacity(self.model.q_dim());
        for (head, (q, s_q)) in queries.iter().enumerate() {
            let kv = head / self.model.group();
            let got = attend_head(&self.softmax_rom, q, *s_q, pos + 1, |p| cache.key(p, kv), |p| cache.value(p, kv));
            saturations.scores += got.saturated_scores;
            saturations.outputs += got.saturated_outputs;
            let words = |w: &[u32]| -> Vec<i32> { w.iter().map(|&w| w as i32).collect() };
            observer.see(Some(layer), Stage::Scores, token, Some(head), Values::I32(&got.z));
            observer.see(Some(layer), Stage::Weights, token, Some(head), Values::I32(&words(&got.w)));
            observer.see(Some(layer), Stage::Shifts, token, Some(head), Values::I32(&words(&got.sh)));
            observer.see(Some(layer), Stage::Accumulators, token, Some(head), Values::I64(&got.acc));
            o.extend(got.o);
        }
        observer.see(Some(layer), Stage::AttnOutput, token, None, Values::I32(&o));
        o
    }
}

/// Where a head's projection stands.
struct HeadPass<'p, O> {
    layer: usize,
    token: usize,
    pos: usize,
    s_x: Scale,
    observer: &'p mut O,
    saturations: &'p mut Saturations,
}

/// Norm and int8 of one row.
pub(super) fn quantised(norm: &Norm, x: &[i32], saturations: &mut Saturations) -> (Vec<i8>, Scale) {
    let out = norm_quantise(x, &norm.gain, norm.eps, norm.c);
    saturations.scales += u64::from(out.saturations);
    (out.q, out.scale)
}

/// `y_i = sat_32(x_i + sat_32(shr(acc_i · s.m, −s.e)))` of one row, `s = mul(s_x, c)`.
pub(super) fn residual_row(x: &[i32], sums: &[i32], s_x: Scale, c: Scale, saturations: &mut Saturations) -> Vec<i32> {
    let (s, saturated) = s_x.mul_sat(c);
    saturations.scales += u64::from(saturated);
    let mut y = Vec::with_capacity(x.len());
    for (&x, &acc) in x.iter().zip(sums) {
        let (value, saturated) = residual(x, acc, s);
        saturations.residuals += u64::from(saturated);
        y.push(value);
    }
    y
}
