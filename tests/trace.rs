//! Trace files: what is written is read again, what is no trace is refused with the reason.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, TensorView};
use tritforge::model::judge::{Place, Stage};
use tritforge::trace::file::{self, FORMAT};
use tritforge::trace::{About, Number, Tensor, Trace};

type Part = (&'static str, Dtype, Vec<usize>, Vec<u8>);

/// Metadata, tensors, a piece of what must be said.
type Case = (&'static [(&'static str, &'static str)], Vec<Part>, &'static str);

fn f32s(values: usize) -> Vec<u8> {
    (0..values).flat_map(|v| (v as f32).to_le_bytes()).collect()
}

fn tokens(ids: &[i64]) -> Part {
    ("tokens", Dtype::I64, vec![ids.len()], ids.iter().flat_map(|id| id.to_le_bytes()).collect())
}

fn write(texts: &[(&str, &str)], parts: &[Part]) -> Vec<u8> {
    let views = parts.iter().map(|(name, dtype, shape, bytes)| (*name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    let texts: HashMap<String, String> = texts.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    safetensors::serialize(views, Some(texts)).unwrap()
}

fn said(texts: &[(&str, &str)], parts: &[Part]) -> String {
    file::parse(&write(texts, parts)).unwrap_err().to_string()
}

#[test]
fn every_stage_comes_back_as_it_was_written() {
    let about = About { runtime: "test 1".into(), arithmetic: "f64".into(), model: "m".into(), model_hash: "00ff".into() };
    let mut trace = Trace::new(about, &[1, 500, 3]);
    for (n, stage) in Stage::ALL.into_iter().enumerate() {
        let place = Place { layer: stage.in_layer().then_some(n % 3 * 7), stage };
        let value = |i: usize| (i as f64 + n as f64).sin() / 3.0;
        let tensor = match stage {
            Stage::Q | Stage::K | Stage::V | Stage::QRope | Stage::KRope => {
                Tensor::floats(vec![3, 2, 4], Number::F64, (0..24).map(value).collect())
            }
            Stage::Kq | Stage::KqSoft => Tensor::floats(vec![4, 3, 3], Number::F32, (0..36).map(|i| f64::from(value(i) as f32)).collect()),
            _ if stage.name().ends_with("_q8") => {
                Tensor::codes(vec![3, 5], (0..15).map(|i: i32| (i * 17 - 128) as i8).collect(), vec![0.5, 0.1, 0.0])
            }
            _ => Tensor::floats(vec![3, 5], Number::F64, (0..15).map(value).collect()),
        };
        trace.set(place, tensor);
    }
    let found = file::parse(&file::bytes(&trace).unwrap()).unwrap();
    assert_eq!((&found.about, &found.tokens, found.first_position, found.layers()), (&trace.about, &trace.tokens, 0, 15));
    assert!(found.iter().map(|(p, t)| (p, &t.shape, &t.values, &t.int8)).eq(trace.iter().map(|(p, t)| (p, &t.shape, &t.values, &t.int8))));
}

#[test]
fn half_floats_unknown_names_and_a_last_row_alone_are_read() {
    let half = |x: f32| half::f16::from_f32(x).to_le_bytes();
    let brain = |x: f32| half::bf16::from_f32(x).to_le_bytes();
    let parts = [
        tokens(&[7, 8]),
        ("blk.12.attn_norm", Dtype::F16, vec![2, 1], [half(1.5), half(-2.0)].concat()),
        ("blk.3.kqv", Dtype::BF16, vec![2, 1], [brain(0.25), brain(3.0)].concat()),
        ("result_output", Dtype::F32, vec![1, 3], f32s(3)),
        ("blk.3.attn_norms", Dtype::F32, vec![3], f32s(3)),
        ("blk.03.attn_norm", Dtype::F32, vec![3], f32s(3)),
        ("rope", Dtype::F32, vec![3], f32s(3)),
    ];
    let trace = file::parse(&write(&[("format", FORMAT), ("first_position", "5")], &parts)).unwrap();
    let at = |layer, stage| trace.get(Place { layer, stage }).unwrap();
    assert_eq!(at(Some(12), Stage::AttnNorm).values, [1.5, -2.0]);
    assert_eq!(at(Some(3), Stage::Kqv).values, [0.25, 3.0]);
    assert_eq!(at(None, Stage::ResultOutput).shape, [1, 3]);
    assert_eq!(trace.first_position, 5);
    assert_eq!(trace.unknown, ["blk.03.attn_norm", "blk.3.attn_norms", "rope"]);
}

#[test]
fn what_is_no_trace_is_refused_with_the_reason() {
    const OK: &[(&str, &str)] = &[("format", FORMAT)];
    let two = || tokens(&[1, 2]);
    let norm = |shape: Vec<usize>| ("blk.0.attn_norm", Dtype::F32, shape.clone(), f32s(shape.iter().product()));
    let codes = || ("blk.0.ffn_norm_q8", Dtype::I8, vec![2, 3], vec![0; 6]);
    let cases: Vec<Case> = vec![
        (&[], vec![two()], "metadata 'format': expected 'tritforge trace 1', found nothing"),
        (&[("format", "x")], vec![two()], "found 'x'"),
        (&[("format", FORMAT), ("first_position", "-1")], vec![two()], "metadata 'first_position': expected a number up to"),
        (OK, vec![norm(vec![2, 3])], "tensor 'tokens': expected I32 or I64, one axis, found nothing"),
        (OK, vec![tokens(&[])], "tensor 'tokens': expected one axis, one id or more, found [0]"),
        (OK, vec![tokens(&[1, -2])], "tensor 'tokens': expected token ids, found -2"),
        (OK, vec![("tokens", Dtype::F32, vec![2], f32s(2))], "tensor 'tokens': expected I32 or I64, found F32"),
        (OK, vec![two(), norm(vec![3, 3])], "tensor 'blk.0.attn_norm': expected [2 tokens, width], found [3, 3]"),
        (OK, vec![two(), norm(vec![2, 0])], "found [2, 0]"),
        (OK, vec![two(), ("blk.0.q", Dtype::F32, vec![2, 3], f32s(6))], "expected [2 tokens, heads, head size], found [2, 3]"),
        (OK, vec![two(), ("blk.0.kq", Dtype::F32, vec![4, 2, 3], f32s(24))], "expected [heads, 2 queries, 2 keys], found [4, 2, 3]"),
        (OK, vec![two(), ("inp_embd", Dtype::I64, vec![2, 1], vec![0; 16])], "expected F64, F32, F16 or BF16, found I64"),
        (OK, vec![two(), codes()], "tensor 'blk.0.ffn_norm_q8.scale': expected one scale a token, found nothing"),
        (OK, vec![two(), codes(), ("blk.0.ffn_norm_q8.scale", Dtype::F32, vec![3], f32s(3))], "expected floats [2 tokens], found F32 [3]"),
        (OK, vec![two(), ("blk.0.ffn_norm_q8.scale", Dtype::F32, vec![2], f32s(2))], "expected int8 codes 'blk.0.ffn_norm_q8' beside it"),
        (OK, vec![two(), ("blk.0.ffn_norm_q8", Dtype::F32, vec![2, 3], f32s(6))], "tensor 'blk.0.ffn_norm_q8': expected I8, found F32"),
    ];
    for (texts, parts, expected) in cases {
        let found = said(texts, &parts);
        assert!(found.contains(expected) && found.ends_with("(docs/trace.md)"), "expected {expected:?}, said {found:?}");
    }
}

#[test]
fn damaged_bytes_are_refused_and_never_panic() {
    let parts = [tokens(&[1, 2]), ("blk.0.attn_norm", Dtype::F32, vec![2, 3], f32s(6))];
    let good = write(&[("format", FORMAT)], &parts);
    for end in 0..good.len() {
        assert!(file::parse(&good[..end]).is_err(), "cut to {end} bytes");
    }
    for at in 0..good.len() {
        for change in [0u8, 0x22, 0x39, 0x5d, 0xff] {
            let mut bad = good.clone();
            bad[at] = change;
            let _ = file::parse(&bad);
        }
    }
    let mut huge = good.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(file::parse(&huge).unwrap_err().to_string().starts_with("file: expected a safetensors file"));
}
