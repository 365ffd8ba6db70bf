//! A second transformer, one plain loop after another, with a switch for each usual mistake; it writes down every stage as a trace. Both graphs:
//! BitNet b1.58 (int8 activations a token, sub-norms) and Llama (biases, no rounding).
#![allow(dead_code)]

pub mod function;

use function::Function;
use tritforge::model::judge::{Place, Stage};
use tritforge::model::llama::{FeedForward, Linear, Pairs};
use tritforge::model::quant::Matrix;
use tritforge::model::{Activation, LlamaModel, Model, TernaryTensor};
use tritforge::trace::{About, Number, Tensor, Trace};

/// What is done wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    None,
    OtherPairs,
    Theta(f64),
    Shift(i64),
    NoRope,
    ModuloKv,
    NoMask,
    NoAttentionScale,
    Activation(Function),
    ActivationOfUp,
    Epsilon(f64),
    NoNormWeight,
    DoubledNormWeight,
    NoNorm,
    NoBias,
    NoRounding,
    NoResidual,
}

/// Writes a stage down: rows, and the heads that a row has (0: none).
type Put<'p> = dyn FnMut(Option<usize>, Stage, &[Vec<f64>], usize) + 'p;

pub struct Layer {
    norms: [Option<Vec<f64>>; 4],
    weights: [Vec<Vec<f64>>; 7],
    biases: [Vec<f64>; 7],
}

pub struct Plain {
    layers: Vec<Layer>,
    embedding: Vec<Vec<f64>>,
    output_norm: Vec<f64>,
    output: Vec<Vec<f64>>,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    theta: f64,
    epsilon: f64,
    interleaved: bool,
    rounded: bool,
    activation: Function,
}

fn wide(v: &[f32]) -> Vec<f64> {
    v.iter().map(|&v| f64::from(v)).collect()
}

fn stored(m: &Matrix<'_>) -> Vec<Vec<f64>> {
    let mut row = Vec::new();
    (0..m.rows)
        .map(|r| {
            m.row_values(r, &mut row);
            wide(&row)
        })
        .collect()
}

impl Plain {
    pub fn ternary(model: &Model) -> Self {
        let values = |w: &TernaryTensor| -> Vec<Vec<f64>> {
            w.to_trits().chunks(w.cols).map(|row| row.iter().map(|&trit| f64::from(trit) * f64::from(w.scale)).collect()).collect()
        };
        let layer = |l: &tritforge::model::Layer| Layer {
            norms: [&l.attn_norm, &l.attn_sub_norm, &l.ffn_norm, &l.ffn_sub_norm].map(|g| Some(wide(g))),
            weights: [&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down].map(values),
            biases: std::array::from_fn(|_| Vec::new()),
        };
        let s = &model.shape;
        Self {
            layers: model.layers.iter().map(layer).collect(),
            embedding: stored(&model.token_embd.view()),
            output_norm: wide(&model.output_norm),
            output: stored(&model.head().view()),
            heads: s.heads,
            kv_heads: s.kv_heads,
            head_dim: s.head_dim,
            theta: s.rope_theta.into(),
            epsilon: s.rms_epsilon.into(),
            interleaved: false,
            rounded: true,
            activation: if s.activation == Activation::Relu2 { Function::Relu2 } else { Function::Silu },
        }
    }

    pub fn llama(model: &LlamaModel<'_>) -> Self {
        let layer = |l: &tritforge::model::llama::LlamaLayer<'_>| {
            let FeedForward::Dense { gate, up, down, sub_norm } = &l.ffn else { panic!("a mixture") };
            let all: [&Linear<'_>; 7] = [&l.q, &l.k, &l.v, &l.o, gate, up, down];
            Layer {
                norms: [Some(&l.attn_norm), l.attn_sub_norm.as_ref(), Some(&l.ffn_norm), sub_norm.as_ref()].map(|g| g.map(|g| wide(g))),
                weights: all.map(|l| stored(&l.weight)),
                biases: all.map(|l| l.bias.as_deref().map_or(Vec::new(), wide)),
            }
        };
        let s = &model.shape;
        Self {
            layers: model.layers.iter().map(layer).collect(),
            embedding: stored(&model.token_embd),
            output_norm: wide(&model.output_norm),
            output: stored(&model.output.weight),
            heads: s.heads,
            kv_heads: s.kv_heads,
            head_dim: s.head_dim,
            theta: s.rope.base.into(),
            epsilon: s.rms_epsilon.into(),
            interleaved: s.rope.pairs == Pairs::Interleaved,
            rounded: false,
            activation: if s.activation == Activation::Relu2 { Function::Relu2 } else { Function::Silu },
        }
    }

    fn norm(&self, x: &[f64], gain: &[f64], fault: Fault) -> Vec<f64> {
        let mut square = 0.0;
        for v in x {
            square += v * v;
        }
        let epsilon = if let Fault::Epsilon(e) = fault { e } else { self.epsilon };
        let rms = (square / x.len() as f64 + epsilon).sqrt();
        let mut out = Vec::new();
        for (v, g) in x.iter().zip(gain) {
            out.push(match fault {
                Fault::NoNorm => *v,
                Fault::NoNormWeight => v / rms,
                Fault::DoubledNormWeight => v / rms * g * g,
                _ => v / rms * g,
            });
        }
        out
    }

    /// Codes and the value of code 1.
    fn codes(x: &[f64]) -> (Vec<i8>, f64) {
        let most = x.iter().fold(1e-5f64, |m, v| m.max(v.abs()));
        (x.iter().map(|v| (v * 127.0 / most).round_ties_even() as i8).collect(), most / 127.0)
    }

    fn turn(&self, x: &mut [f64], position: usize, fault: Fault) {
        let d = self.head_dim;
        let interleaved = self.interleaved != (fault == Fault::OtherPairs);
        let theta = if let Fault::Theta(t) = fault { t } else { self.theta };
        let position = position as f64 + if let Fault::Shift(s) = fault { s as f64 } else { 0.0 };
        if fault == Fault::NoRope {
            return;
        }
        for head in x.chunks_mut(d) {
            for j in 0..d / 2 {
                let angle = position / theta.powf(2.0 * j as f64 / d as f64);
                let (a, b) = if interleaved { (2 * j, 2 * j + 1) } else { (j, j + d / 2) };
                let (x, y) = (head[a], head[b]);
                head[a] = x * angle.cos() - y * angle.sin();
                head[b] = x * angle.sin() + y * angle.cos();
            }
        }
    }

    /// The trace of `ids`, done wrong as `fault` says.
    pub fn run(&self, ids: &[u32], fault: Fault) -> Trace {
        let about = About { runtime: "plain loops".into(), arithmetic: "f64".into(), model: "test".into(), model_hash: String::new() };
        let mut trace = Trace::new(about, ids);
        let n = ids.len();
        let mut put = |layer: Option<usize>, stage: Stage, rows: &[Vec<f64>], heads: usize| {
            let width = rows[0].len();
            let shape = if heads > 0 { vec![n, heads, width / heads] } else { vec![n, width] };
            trace.set(Place { layer, stage }, Tensor::floats(shape, Number::F64, rows.concat()));
        };
        let mut all_codes = Vec::new();
        let mut scores = Vec::new();
        let mut x: Vec<Vec<f64>> = ids.iter().map(|&id| self.embedding[id as usize].clone()).collect();
        put(None, Stage::InpEmbd, &x, 0);
        for (l, layer) in self.layers.iter().enumerate() {
            let linear = |which: usize, rows: &[Vec<f64>]| -> Vec<Vec<f64>> {
                let mut out = Vec::new();
                for row in rows {
                    let row: Vec<f64> = if self.rounded && fault != Fault::NoRounding {
                        let (codes, scale) = Self::codes(row);
                        codes.iter().map(|&c| f64::from(c) * scale).collect()
                    } else {
                        row.clone()
                    };
                    let mut y = Vec::new();
                    for (r, w) in layer.weights[which].iter().enumerate() {
                        let sum: f64 = w.iter().zip(&row).map(|(w, x)| w * x).sum();
                        let bias = if fault == Fault::NoBias { 0.0 } else { layer.biases[which].get(r).copied().unwrap_or(0.0) };
                        y.push(sum + bias);
                    }
                    out.push(y);
                }
                out
            };
            let mut normed = |x: &[Vec<f64>], which: usize, stages: [Stage; 2], put: &mut Put<'_>| {
                let Some(gain) = &layer.norms[which] else { return x.to_vec() };
                let out: Vec<Vec<f64>> = x.iter().map(|row| self.norm(row, gain, fault)).collect();
                put(Some(l), stages[0], &out, 0);
                if self.rounded && fault != Fault::NoRounding {
                    let (codes, scales): (Vec<_>, Vec<_>) = out.iter().map(|row| Self::codes(row)).unzip();
                    let place = Place { layer: Some(l), stage: stages[1] };
                    all_codes.push((place, Tensor::codes(vec![n, out[0].len()], codes.concat(), scales)));
                }
                out
            };
            let input = normed(&x, 0, [Stage::AttnNorm, Stage::AttnNormQ8], &mut put);
            let (mut q, mut k, v) = (linear(0, &input), linear(1, &input), linear(2, &input));
            put(Some(l), Stage::Q, &q, self.heads);
            put(Some(l), Stage::K, &k, self.kv_heads);
            put(Some(l), Stage::V, &v, self.kv_heads);
            for t in 0..n {
                self.turn(&mut q[t], t, fault);
                self.turn(&mut k[t], t, fault);
            }
            put(Some(l), Stage::QRope, &q, self.heads);
            put(Some(l), Stage::KRope, &k, self.kv_heads);
            let d = self.head_dim;
            let mut mixed = vec![vec![0.0; self.heads * d]; n];
            let (mut kq, mut soft) = (Vec::new(), Vec::new());
            for h in 0..self.heads {
                let kv = if fault == Fault::ModuloKv { h % self.kv_heads } else { h / (self.heads / self.kv_heads) } * d;
                for t in 0..n {
                    let mut row = Vec::new();
                    for key in k.iter() {
                        let dot: f64 = (0..d).map(|i| q[t][h * d + i] * key[kv + i]).sum();
                        row.push(if fault == Fault::NoAttentionScale { dot } else { dot / (d as f64).sqrt() });
                    }
                    kq.extend(&row);
                    let seen = if fault == Fault::NoMask { n } else { t + 1 };
                    let most = row[..seen].iter().fold(f64::MIN, |m, &z| m.max(z));
                    let total: f64 = row[..seen].iter().map(|z| (z - most).exp()).sum();
                    for s in 0..n {
                        let p = if s < seen { (row[s] - most).exp() / total } else { 0.0 };
                        soft.push(p);
                        for i in 0..d {
                            mixed[t][h * d + i] += p * v[s][kv + i];
                        }
                    }
                }
            }
            scores.push((Place { layer: Some(l), stage: Stage::Kq }, Tensor::floats(vec![self.heads, n, n], Number::F64, kq)));
            scores.push((Place { layer: Some(l), stage: Stage::KqSoft }, Tensor::floats(vec![self.heads, n, n], Number::F64, soft)));
            put(Some(l), Stage::Kqv, &mixed, 0);
            let input = normed(&mixed, 1, [Stage::AttnSubNorm, Stage::AttnSubNormQ8], &mut put);
            let add = |x: &mut Vec<Vec<f64>>, y: &[Vec<f64>]| {
                for (x, y) in x.iter_mut().flatten().zip(y.iter().flatten()) {
                    *x = if fault == Fault::NoResidual { *y } else { *x + y };
                }
            };
            let out = linear(3, &input);
            put(Some(l), Stage::AttnOut, &out, 0);
            add(&mut x, &out);
            put(Some(l), Stage::AttnResid, &x, 0);
            let input = normed(&x, 2, [Stage::FfnNorm, Stage::FfnNormQ8], &mut put);
            let (gate, up) = (linear(4, &input), linear(5, &input));
            put(Some(l), Stage::FfnGate, &gate, 0);
            put(Some(l), Stage::FfnUp, &up, 0);
            let mut act = Vec::new();
            for (gate, up) in gate.iter().zip(&up) {
                let (gate, up) = if fault == Fault::ActivationOfUp { (up, gate) } else { (gate, up) };
                let function = if let Fault::Activation(other) = fault { other } else { self.activation };
                let one = |(&g, &u): (&f64, &f64)| function.of(g) * u;
                act.push(gate.iter().zip(up).map(one).collect::<Vec<f64>>());
            }
            put(Some(l), Stage::FfnAct, &act, 0);
            let input = normed(&act, 3, [Stage::FfnSubNorm, Stage::FfnSubNormQ8], &mut put);
            let out = linear(6, &input);
            put(Some(l), Stage::FfnOut, &out, 0);
            add(&mut x, &out);
            put(Some(l), Stage::LOut, &x, 0);
        }
        let normed: Vec<Vec<f64>> = x.iter().map(|row| self.norm(row, &self.output_norm, fault)).collect();
        put(None, Stage::ResultNorm, &normed, 0);
        let logit = |row: &Vec<f64>| self.output.iter().map(|w| w.iter().zip(row).map(|(w, x)| w * x).sum()).collect();
        let logits: Vec<Vec<f64>> = normed.iter().map(logit).collect();
        put(None, Stage::ResultOutput, &logits, 0);
        for (place, tensor) in all_codes.into_iter().chain(scores) {
            trace.set(place, tensor);
        }
        trace
    }
}
