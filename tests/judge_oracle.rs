//! The judge against a second transformer written here, one plain loop after another, over shapes that the embedded model
//! does not have: groups of 1, 4 and 5, heads x size other than the dimension, SiLU, a head of its own.

use tritforge::model::gguf::{Gguf, TensorType};
use tritforge::model::judge::{Judge, Options};
use tritforge::model::synth::{Synth, parse_shape};
use tritforge::model::{Activation, Model, TernaryTensor};

/// `x · w` with the input rounded to int8 per token, as BitNet b1.58 has it, by dequantised numbers.
fn linear(x: &[f64], w: &TernaryTensor) -> Vec<f64> {
    let mut most = 1e-5f64;
    for v in x {
        most = most.max(v.abs());
    }
    let mut out = Vec::new();
    for trits in w.to_trits().chunks(w.cols) {
        let mut sum = 0.0;
        for (v, &trit) in x.iter().zip(trits) {
            let code = (v * 127.0 / most).round_ties_even();
            sum += code / 127.0 * most * f64::from(trit) * f64::from(w.scale);
        }
        out.push(sum);
    }
    out
}

fn norm(x: &[f64], gain: &[f32], epsilon: f32) -> Vec<f64> {
    let square = x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64;
    x.iter().zip(gain).map(|(v, g)| v * f64::from(*g) / (square + f64::from(epsilon)).sqrt()).collect()
}

/// Turns head by head, as a complex number of elements j and j + half.
fn turn(x: &mut [f64], head_dim: usize, position: usize, theta: f32) {
    for head in x.chunks_mut(head_dim) {
        for j in 0..head_dim / 2 {
            let angle = position as f64 / f64::from(theta).powf(2.0 * j as f64 / head_dim as f64);
            let (a, b) = (head[j], head[j + head_dim / 2]);
            head[j] = a * angle.cos() - b * angle.sin();
            head[j + head_dim / 2] = a * angle.sin() + b * angle.cos();
        }
    }
}

/// Logits of the last of `ids`.
fn plain(model: &Model, ids: &[u32]) -> Vec<f64> {
    let shape = &model.shape;
    let (head_dim, group) = (shape.head_dim, shape.heads / shape.kv_heads);
    let mut stream: Vec<Vec<f64>> =
        ids.iter().map(|&id| model.token_embd.row(id as usize).iter().map(|&v| f64::from(v)).collect()).collect();
    for layer in &model.layers {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for (position, x) in stream.iter_mut().enumerate() {
            let input = norm(x, &layer.attn_norm, shape.rms_epsilon);
            let (mut q, mut k) = (linear(&input, &layer.q), linear(&input, &layer.k));
            turn(&mut q, head_dim, position, shape.rope_theta);
            turn(&mut k, head_dim, position, shape.rope_theta);
            keys.push(k);
            values.push(linear(&input, &layer.v));
            let mut mixed = Vec::new();
            for head in 0..shape.heads {
                let kv = head / group * head_dim;
                let mut weights = Vec::new();
                for key in &keys {
                    let score: f64 = (0..head_dim).map(|d| q[head * head_dim + d] * key[kv + d]).sum();
                    weights.push((score / (head_dim as f64).sqrt()).exp());
                }
                let total: f64 = weights.iter().sum();
                for d in 0..head_dim {
                    mixed.push(weights.iter().zip(&values).map(|(w, v)| w / total * v[kv + d]).sum());
                }
            }
            let out = linear(&norm(&mixed, &layer.attn_sub_norm, shape.rms_epsilon), &layer.o);
            x.iter_mut().zip(out).for_each(|(x, y)| *x += y);
            let input = norm(x, &layer.ffn_norm, shape.rms_epsilon);
            let (gate, up) = (linear(&input, &layer.gate), linear(&input, &layer.up));
            let act: Vec<f64> = gate
                .iter()
                .zip(up)
                .map(|(&g, u)| match shape.activation {
                    Activation::Relu2 => {
                        if g > 0.0 {
                            g * g * u
                        } else {
                            0.0
                        }
                    }
                    Activation::Silu => g * u / (1.0 + (-g).exp()),
                })
                .collect();
            let out = linear(&norm(&act, &layer.ffn_sub_norm, shape.rms_epsilon), &layer.down);
            x.iter_mut().zip(out).for_each(|(x, y)| *x += y);
        }
    }
    let last = norm(&stream[ids.len() - 1], &model.output_norm, shape.rms_epsilon);
    let head = model.output.as_ref().unwrap_or(&model.token_embd);
    (0..shape.vocab).map(|id| head.row(id).iter().zip(&last).map(|(&w, v)| f64::from(w) * v).sum()).collect()
}

#[test]
fn judge_agrees_with_plain_loops_on_shapes_of_all_kinds() {
    for (seed, text) in [
        "layers=2,dim=64,heads=1,kv=1,head_dim=32,ffn=100,vocab=40,ctx=12",
        "layers=2,dim=96,heads=4,kv=1,head_dim=80,ffn=64,vocab=30,ctx=12,tied=false",
        "layers=3,dim=160,heads=5,kv=1,head_dim=128,ffn=90,vocab=33,ctx=12,act=silu,theta=500000",
        "layers=1,dim=250,heads=10,kv=2,head_dim=16,ffn=33,vocab=17,ctx=12,act=silu,eps=0.01,tied=false",
    ]
    .into_iter()
    .enumerate()
    {
        let (shape, tied) = parse_shape(text).unwrap();
        let file = Synth { shape, tied, seed: seed as u64, kind: TensorType::F16 }.build();
        let model = Model::from_gguf(&Gguf::parse(&file).unwrap()).unwrap();
        let ids: Vec<u32> = (0..12).map(|i| (i * i + 3) % model.shape.vocab as u32).collect();
        let judge = Judge::<f64>::new(&model, Options::default());
        let found = judge.forward(&ids, &mut judge.cache(), &mut ()).unwrap();
        for length in [1, 7, 12] {
            let expected = plain(&model, &ids[..length]);
            let worst = found.row(length - 1).iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-9, "{text}, {length} ids: {worst:e}");
        }
    }
}
