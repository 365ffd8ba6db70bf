//! The usual suspects: mistakes that make an implementation of a transformer part from another one. Each is one entry of [`SUSPECTS`]: its
//! name, the stages in whose computation it shows, and the ways in which those would be computed then.

use super::activation::Function;
use super::graph::Graph;
use super::recipe::{Gain, HeadOrder, KvMap, Norm, Part, Recipe};
use super::scene::Scene;
use crate::model::judge::Stage;
use crate::model::llama::Pairs;

/// A mistake that is tried.
pub struct Suspect {
    /// What people call it.
    pub name: &'static str,
    /// Stages in whose computation it shows.
    pub stages: &'static [Stage],
    /// How these would be computed.
    pub tries: fn(&Scene<'_, '_>) -> Vec<Try>,
}

/// One way to compute.
#[derive(Debug, Clone)]
pub struct Try {
    /// The mistake with its place and parameter.
    pub what: String,
    /// The changed recipe.
    pub recipe: Recipe,
}

const ROPE: &[Stage] = &[Stage::QRope, Stage::KRope];
const QKV: &[Stage] = &[Stage::Q, Stage::K, Stage::V];
const NORMS: &[Stage] = &[Stage::AttnNorm, Stage::AttnSubNorm, Stage::FfnNorm, Stage::FfnSubNorm, Stage::ResultNorm];
const LINEAR: &[Stage] = &[Stage::Q, Stage::K, Stage::V, Stage::AttnOut, Stage::FfnGate, Stage::FfnUp, Stage::FfnOut];
const LINEAR_AND_HEAD: &[Stage] =
    &[Stage::Q, Stage::K, Stage::V, Stage::AttnOut, Stage::FfnGate, Stage::FfnUp, Stage::FfnOut, Stage::ResultOutput];
const PRODUCTS: &[Stage] =
    &[Stage::Q, Stage::K, Stage::V, Stage::Kq, Stage::AttnOut, Stage::FfnGate, Stage::FfnUp, Stage::FfnOut, Stage::ResultOutput];
/// Positions are tried shifted by up to this many either way.
const MOST_SHIFT: i32 = 32;
/// Or by this many, where each takes long.
const FEW_SHIFTS: i32 = 2;

/// Every suspect that is tried.
pub const SUSPECTS: &[Suspect] = &[
    Suspect { name: "transposed weight", stages: LINEAR, tries: transposed },
    Suspect { name: "wrong layout of the vocabulary matrix", stages: &[Stage::InpEmbd, Stage::ResultOutput], tries: vocabulary },
    Suspect { name: "permuted rows of a weight", stages: &[Stage::Q, Stage::K], tries: permuted },
    Suspect {
        name: "RoPE turns other pairs",
        stages: ROPE,
        tries: |s| {
            let (pairs, text) = match s.recipe().pairs {
                Pairs::Interleaved => (Pairs::HalfRotated, "half-rotated (j with j + half) instead of interleaved (2j with 2j + 1)"),
                Pairs::HalfRotated => (Pairs::Interleaved, "interleaved (2j with 2j + 1) instead of half-rotated (j with j + half)"),
            };
            let mut tries = vec![s.with(text, |r| r.pairs = pairs)];
            if pairs == Pairs::HalfRotated {
                let text = "interleaved (2j with 2j + 1) in Hugging Face's order of rows, where j stands with j + half";
                tries.push(s.with(text, |r| r.turned_in = HeadOrder::Halved));
            }
            tries
        },
    },
    Suspect {
        name: "missing scale",
        stages: &[Stage::Kq, Stage::Q, Stage::K, Stage::V, Stage::AttnOut, Stage::FfnGate, Stage::FfnUp, Stage::FfnOut],
        tries: |s| scaled(s, 0),
    },
    Suspect {
        name: "doubled scale",
        stages: &[Stage::Kq, Stage::Q, Stage::K, Stage::V, Stage::AttnOut, Stage::FfnGate, Stage::FfnUp, Stage::FfnOut],
        tries: |s| scaled(s, 2),
    },
    Suspect { name: "missing norm weight", stages: NORMS, tries: |s| gains(s, Gain::Power(0), "not multiplied") },
    Suspect { name: "doubled norm weight", stages: NORMS, tries: |s| gains(s, Gain::Power(2), "multiplied twice") },
    Suspect { name: "missing norm", stages: NORMS, tries: |s| gains(s, Gain::LeftOut, "the whole norm left out") },
    Suspect {
        name: "wrong epsilon",
        stages: NORMS,
        tries: |s| {
            let found = s.search(1e-12, 1.0, &[0.0, 1e-12, 1e-8, 1e-6, 1e-5, 1e-3], |r, v| r.epsilon = v);
            found
                .map(|v| s.with(format!("epsilon {v:e} instead of {:e}", s.recipe().epsilon as f32), |r| r.epsilon = v))
                .into_iter()
                .collect()
        },
    },
    Suspect {
        name: "wrong theta",
        stages: ROPE,
        tries: |s| {
            let found = s.search(10.0, 1e9, &[1e4, 1e5, 5e5, 1e6], |r, v| r.theta = v);
            found.map(|v| s.with(format!("theta {v} instead of {}", s.recipe().theta), |r| r.theta = v)).into_iter().collect()
        },
    },
    Suspect {
        name: "shifted position",
        stages: ROPE,
        tries: |s| {
            let most = if s.can_search() { MOST_SHIFT } else { FEW_SHIFTS };
            let shifts = (-most..=most).filter(|&shift| shift != 0);
            shifts.map(|shift| s.with(format!("positions {shift:+}"), |r| r.shift = shift.into())).collect()
        },
    },
    Suspect {
        name: "RoPE scaling ignored",
        stages: ROPE,
        tries: |s| {
            if s.evaluator.has_rope_scaling() { vec![s.with("as if the file had none", |r| r.rope_scaling = false)] } else { vec![] }
        },
    },
    Suspect { name: "missing RoPE", stages: ROPE, tries: |s| vec![s.with("heads are not rotated", |r| r.rotated = false)] },
    Suspect {
        name: "wrong KV head mapping",
        stages: &[Stage::Kq, Stage::Kqv],
        tries: |s| {
            let shape = &s.evaluator.shape;
            if shape.kv_heads == 1 || shape.kv_heads == shape.heads {
                return vec![];
            }
            let text = format!("head % {} instead of head / {}", shape.kv_heads, shape.group());
            vec![s.with(text, |r| r.kv_map = KvMap::Modulo)]
        },
    },
    Suspect {
        name: "missing causal mask",
        stages: &[Stage::KqSoft],
        tries: |s| vec![s.with("keys behind the query have weights", |r| r.causal = false)],
    },
    Suspect {
        name: "exchanged gate and up",
        stages: &[Stage::FfnGate, Stage::FfnUp, Stage::FfnAct],
        tries: |s| {
            let parts = s.touched.parts.contains(&Part::Gate) || s.touched.parts.contains(&Part::Up);
            let act = s.touched.stages.contains(&Stage::FfnAct);
            [
                parts.then(|| s.replaced("each weight stands in the other's place", |r| r.exchange(Part::Gate, Part::Up))),
                act.then(|| s.with("the activation is up's", |r| r.gate_is_up = true)),
            ]
            .into_iter()
            .flatten()
            .collect()
        },
    },
    Suspect {
        name: "exchanged q, k or v",
        stages: QKV,
        tries: |s| {
            let pairs = [(Part::K, Part::V), (Part::Q, Part::K), (Part::Q, Part::V)];
            pairs.into_iter().map(|(a, b)| s.replaced(format!("{} and {}", a.name(), b.name()), |r| r.exchange(a, b))).collect()
        },
    },
    Suspect {
        name: "other activation",
        stages: &[Stage::FfnAct],
        tries: |s| {
            let own = s.recipe().activation;
            let others = Function::ALL.into_iter().filter(|&other| other != own);
            let tried = |other: Function| s.with(format!("{} instead of {}", other.name(), own.name()), |r| r.activation = other);
            others.map(tried).collect()
        },
    },
    Suspect {
        name: "missing bias",
        stages: LINEAR_AND_HEAD,
        tries: |s| {
            let biased = s.touched.parts.iter().filter(|&&part| s.has(part, |w| w.bias.is_some()));
            s.each(biased.copied(), |r, part| r.part(part).bias = false, |part| format!("{}.bias", part.name()))
        },
    },
    Suspect {
        name: "head tied to the embedding",
        stages: &[Stage::ResultOutput],
        tries: |s| {
            if s.evaluator.has_own_head() {
                vec![s.with("token_embd instead of output", |r| r.part(Part::Output).source = Part::TokenEmbd)]
            } else {
                vec![]
            }
        },
    },
    Suspect {
        name: "activations not rounded to int8",
        stages: LINEAR,
        tries: |s| match s.evaluator.graph {
            Graph::Ternary(_) => vec![s.with("the ternary product takes the norm's floats", |r| r.quantised = false)],
            Graph::Llama(_) => vec![],
        },
    },
    Suspect {
        name: "llama.cpp's rounding of activations",
        stages: PRODUCTS,
        tries: |s| match s.evaluator.graph {
            _ if s.recipe().blocks => vec![],
            Graph::Llama(_) => vec![s.with("to the type that the weight's goes with", |r| r.blocks = true)],
            Graph::Ternary(_) => vec![s.with("to int8 in blocks of 256, a scale each, instead of one a token", |r| r.blocks = true)],
        },
    },
    Suspect {
        name: "missing residual connection",
        stages: &[Stage::AttnResid, Stage::LOut],
        tries: |s| vec![s.with("the sub-layer's input is not added", |r| r.residual = false)],
    },
    Suspect {
        name: "scaled embedding",
        stages: &[Stage::InpEmbd],
        tries: |s| {
            let root = (s.evaluator.shape.dim as f64).sqrt();
            vec![s.with(format!("multiplied by √width = {root:.4}"), |r| r.embedding_scale = root)]
        },
    },
];

fn transposed(s: &Scene<'_, '_>) -> Vec<Try> {
    let parts: Vec<Part> = s.touched.parts.iter().copied().filter(|part| ![Part::TokenEmbd, Part::Output].contains(part)).collect();
    let text = |part: Part| {
        let (rows, cols) = s.sizes(part);
        format!("{}.weight {rows} x {cols}, rows and columns exchanged", part.name())
    };
    let mut tries = s.each(parts.iter().copied(), |r, part| r.part(part).transposed = true, text);
    if s.recipe().pairs == Pairs::Interleaved {
        // What stands in Hugging Face's order was exchanged there, and its outputs are put into GGUF's.
        let rotated = parts.into_iter().filter(|part| [Part::Q, Part::K].contains(part));
        let change = |r: &mut Recipe, part| {
            let used = r.part(part);
            (used.transposed, used.transposed_in) = (true, HeadOrder::Halved);
        };
        tries.extend(s.each(rotated, change, |part| format!("{} in Hugging Face's order of rows", text(part))));
    }
    tries
}

fn vocabulary(s: &Scene<'_, '_>) -> Vec<Try> {
    let parts = s.touched.parts.iter().copied().filter(|part| [Part::TokenEmbd, Part::Output].contains(part));
    s.each(
        parts,
        |r, part| r.part(part).transposed = true,
        |part| {
            let (rows, cols) = s.sizes(part);
            format!("{}.weight read as {cols} x {rows} instead of {rows} x {cols}", part.name())
        },
    )
}

fn permuted(s: &Scene<'_, '_>) -> Vec<Try> {
    let parts: Vec<Part> = s.touched.parts.iter().copied().filter(|part| [Part::Q, Part::K].contains(part)).collect();
    let orders = [(HeadOrder::Interleaved, "half-rotated to interleaved"), (HeadOrder::Halved, "interleaved to half-rotated")];
    let tries = orders.into_iter().flat_map(|(order, text)| {
        s.each(
            parts.iter().copied(),
            |r, part| r.part(part).order = order,
            |part| format!("{}.weight, rows of each head from {text}", part.name()),
        )
    });
    tries.collect()
}

fn scaled(s: &Scene<'_, '_>, power: i32) -> Vec<Try> {
    let with_scale = s.touched.parts.iter().copied().filter(|&part| s.has(part, |w| w.scale.is_some()));
    let factor = |part: Part| s.scale(part).map_or(String::new(), |scale| format!(" {scale}"));
    let mut tries =
        s.each(with_scale, |r, part| r.part(part).scale_power = power, |part| format!("scale{} of {}", factor(part), part.name()));
    if s.touched.stages.contains(&Stage::Kq) {
        let text = format!("factor {:.6} of the scores (1/√head size)", s.recipe().attention_scale);
        tries.push(s.with(text, |r| r.attention_scale = r.attention_scale.powi(power)));
    }
    tries
}

fn gains(s: &Scene<'_, '_>, gain: Gain, text: &str) -> Vec<Try> {
    let norms: Vec<Norm> = s.touched.norms.iter().copied().collect();
    let mut tries: Vec<Try> =
        norms.iter().map(|&norm| s.with(format!("{}: {text}", norm.name()), |r| r.gains[norm as usize] = gain)).collect();
    if norms.len() > 1 {
        tries.push(s.with(format!("every norm: {text}"), |r| r.gains = [gain; 5]));
    }
    tries
}
