//! Conversion of model files: types of tensors, values, metadata; what is refused before and while a file is written.

mod support;

use half::f16;
use support::parts::{Parts, Tensor};
use support::test_data;
use tritforge::model::convert::{ConvertError, Options, Work};
use tritforge::model::gguf::{Gguf, GgufFile, GgufPlan, GgufWriter, Metadata, TensorInfo, TensorType};
use tritforge::model::quant::Matrix;
use tritforge::model::quant::encode::{encode_row, trailer};
use tritforge::model::{Conversion, ModelError, Refusal};

fn convert(file: &Gguf<'_>, kind: TensorType, ternarise: bool) -> Result<Vec<u8>, ConvertError> {
    let conversion = Conversion::plan(file, Options { kind, ternarise }, &|_| {})?;
    let mut out = Vec::new();
    conversion.write(&mut out, &|_| {})?;
    assert_eq!(out.len() as u64, conversion.total_bytes());
    Ok(out)
}

fn refusal(result: Result<Vec<u8>, ConvertError>) -> (Refusal, String) {
    match result {
        Err(ConvertError::Model(error)) => (error.refusal().unwrap(), error.to_string()),
        Err(ConvertError::Write(error)) => panic!("{error}"),
        Ok(_) => panic!("nothing was refused"),
    }
}

fn stored(kind: TensorType, cols: usize, values: &[f32], scale: f32) -> Vec<u8> {
    let row_bytes = cols / kind.block_elements() as usize * kind.block_bytes() as usize;
    let mut out = vec![0; values.len() / cols * row_bytes];
    for (values, out) in values.chunks(cols).zip(out.chunks_mut(row_bytes)) {
        encode_row(kind, values, out).unwrap();
    }
    out.extend(trailer(kind, scale));
    out
}

fn values(file: &Gguf<'_>, name: &str) -> Vec<f32> {
    let mut out = Vec::new();
    Matrix::new(file, file.tensor(name).unwrap()).unwrap().for_each_value(|x| out.push(x));
    out
}

/// A number in -1..1 for each place, by multiplication and truncation.
fn pattern(at: usize) -> f32 {
    ((at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1 << 23) as f32 - 1.0
}

const SCALE: f32 = 0.03125;

/// Tensors of every role, matrices of rows of 256 in `kind`. Linear weights are ternary (before they are stored), others are not.
fn every_role(kind: TensorType) -> Vec<u8> {
    let mut file = GgufWriter::new();
    file.metadata("general.architecture", &Metadata::Text("any".into()));
    let mut add = |name: &str, kind: TensorType, sizes: &[u64], value: &dyn Fn(usize) -> f32| {
        let values: Vec<f32> = (0..sizes.iter().product::<u64>() as usize).map(value).collect();
        file.tensor(name, kind, sizes, &stored(kind, sizes[0] as usize, &values, SCALE));
    };
    let trit = |at: usize| (pattern(at) * 1.5).round() * SCALE;
    let table = if kind.is_ternary() { TensorType::F16 } else { kind };
    add("token_embd.weight", table, &[256, 5], &pattern);
    add("blk.0.attn_norm.weight", TensorType::F32, &[256], &pattern);
    add("blk.0.attn_q.weight", kind, &[256, 3], &trit);
    add("blk.0.attn_q.bias", TensorType::F32, &[3], &pattern);
    add("blk.0.ffn_gate_inp.weight", TensorType::F32, &[256, 4], &pattern);
    add("blk.0.ffn_up_exps.weight", kind, &[512, 2, 3], &trit);
    add("output.weight", table, &[256, 5], &pattern);
    file.finish()
}

#[test]
fn every_type_becomes_every_other() {
    for from in TensorType::ALL {
        let bytes = every_role(from);
        let file = Gguf::parse(&bytes).unwrap();
        for to in TensorType::ALL {
            let case = format!("{} to {}", from.name(), to.name());
            let converted = convert(&file, to, false);
            if to.is_ternary() && !from.keeps_ternary() {
                let (rule, text) = refusal(converted);
                assert_eq!(rule, Refusal::NotTernary, "{case}");
                assert!(text.starts_with(&format!("tensor 'blk.0.attn_q.weight' ({}), row ", from.name())), "{text}");
                assert!(text.contains("--ternarise"), "{text}");
                continue;
            }
            let converted = converted.unwrap_or_else(|error| panic!("{case}: {error}"));
            let converted = Gguf::parse(&converted).unwrap();
            assert_eq!(converted.tensors().len(), file.tensors().len());
            for (before, after) in file.tensors().iter().zip(converted.tensors()) {
                assert_eq!((before.name, before.sizes, before.dimensions), (after.name, after.sizes, after.dimensions));
                let linear = before.name.contains("attn_q.w") || before.name.contains("exps");
                let table = ["token_embd.weight", "output.weight"].contains(&before.name);
                let expected = match (linear, table) {
                    (true, _) => to,
                    (_, true) if to.is_ternary() => before.kind,
                    (_, true) => to,
                    _ => TensorType::F32,
                };
                assert_eq!(after.kind, expected, "{case} {}", before.name);
                let (old, new) = (values(&file, before.name), values(&converted, before.name));
                if before.kind == after.kind {
                    assert!(file.tensor_bytes(before) == converted.tensor_bytes(after), "{case} {}", before.name);
                } else if after.kind == TensorType::F32 || (linear && to.is_ternary()) && from != TensorType::Q8_0 {
                    assert!(old == new, "{case} {}", before.name);
                } else if from == TensorType::Q8_0 && to.is_ternary() {
                    // s is 127 steps of an f16, which is no f16.
                    let exact = to == TensorType::I2S;
                    assert!(old.iter().zip(&new).all(|(a, b)| if exact { a == b } else { (a - b).abs() <= a.abs() / 2048.0 }), "{case}");
                } else {
                    let cols = before.columns() as usize;
                    assert!(stored(to, cols, &old, SCALE) == converted.tensor_bytes(after), "{case} {}", before.name);
                }
            }
        }
    }
}

/// Everything of an entry: `Value`'s debug form is its type and all its bytes.
fn entries(file: &Gguf<'_>) -> Vec<(String, String)> {
    file.metadata().map(|(key, value)| (key.to_owned(), format!("{value:?}"))).collect()
}

/// A file of version 2 with one entry of every type, some nested, and one tensor at an alignment of 64.
fn all_metadata() -> Vec<u8> {
    let mut out = b"GGUF\x02\0\0\0".to_vec();
    let fixed: [(u32, Vec<u8>); 11] = [
        (0, vec![250]),
        (1, vec![250]),
        (2, vec![1, 250]),
        (3, vec![1, 250]),
        (4, vec![1, 2, 3, 250]),
        (5, vec![1, 2, 3, 250]),
        (6, f32::NAN.to_le_bytes().to_vec()),
        (7, vec![1]),
        (10, vec![1, 2, 3, 4, 5, 6, 7, 250]),
        (11, vec![1, 2, 3, 4, 5, 6, 7, 250]),
        (12, (-0.0f64).to_le_bytes().to_vec()),
    ];
    let text = |text: &[u8]| [&(text.len() as u64).to_le_bytes()[..], text].concat();
    let array =
        |element: u32, items: &[Vec<u8>]| [&element.to_le_bytes()[..], &(items.len() as u64).to_le_bytes(), &items.concat()].concat();
    let mut all: Vec<(String, u32, Vec<u8>)> = Vec::new();
    for (kind, bytes) in &fixed {
        all.push((format!("one.{kind}"), *kind, bytes.clone()));
        all.push((format!("array.{kind}"), 9, array(*kind, &[bytes.clone(), bytes.clone(), bytes.clone()])));
    }
    all.push(("text".into(), 8, text("Zoë".as_bytes())));
    all.push(("no.text".into(), 8, text(b"")));
    all.push(("not.utf8".into(), 8, text(&[0xff, 0, 0xfe])));
    all.push(("texts".into(), 9, array(8, &[text(b"a"), text(b""), text(&[0xff])])));
    all.push(("nothing".into(), 9, array(4, &[])));
    let inner = array(9, &[array(8, &[text(b"deep")]), array(0, &[])]);
    all.push(("nested".into(), 9, array(9, &[inner.clone(), inner])));
    all.push(("general.alignment".into(), 4, 64u32.to_le_bytes().to_vec()));
    all.push(("general.file_type".into(), 4, 1u32.to_le_bytes().to_vec()));
    all.push(("split.count".into(), 4, 1u32.to_le_bytes().to_vec()));
    all.push(("last".into(), 7, vec![0]));
    out.extend(1u64.to_le_bytes());
    out.extend((all.len() as u64).to_le_bytes());
    for (key, kind, bytes) in all {
        out.extend([text(key.as_bytes()), kind.to_le_bytes().to_vec(), bytes].concat());
    }
    out.extend(text(b"token_embd.weight"));
    for word in [2u32.to_le_bytes().to_vec(), 32u64.to_le_bytes().to_vec(), 2u64.to_le_bytes().to_vec(), vec![0; 4], vec![0; 8]] {
        out.extend(word);
    }
    out.resize(out.len().next_multiple_of(64), 0);
    (0..64).for_each(|at| out.extend(pattern(at).to_le_bytes()));
    out
}

#[test]
fn metadata_of_every_type_are_carried_over_to_the_byte() {
    let bytes = all_metadata();
    let file = Gguf::parse(&bytes).unwrap();
    let converted = convert(&file, TensorType::Q8_0, false).unwrap();
    assert_eq!(converted[4], 3, "version");
    let converted = Gguf::parse(&converted).unwrap();
    assert_eq!(converted.alignment(), 64);
    let mut expected = entries(&file);
    assert_eq!(expected.len(), 2 * 11 + 10);
    expected.retain(|(key, _)| key != "general.file_type" && key != "split.count");
    let found = entries(&converted);
    assert_eq!(found[..found.len() - 2], expected[..]);
    assert_eq!(converted.get_u64("general.quantization_version").unwrap(), Some(2));
    assert_eq!(converted.get_u64("general.file_type").unwrap(), Some(7));
    assert_eq!(found.len(), expected.len() + 2);
}

#[test]
fn a_split_model_becomes_one_file() {
    let parts = Parts::model(TensorType::Tq2_0);
    let whole = parts.write();
    let pieces: Vec<Vec<u8>> = (0..3u32)
        .map(|no| {
            let mut file = GgufWriter::new();
            if no == 0 {
                for (key, value) in &parts.metadata {
                    file.metadata(key, value);
                }
            }
            for (key, value) in [("no", no), ("count", 3), ("tensors.count", parts.tensors.len() as u32)] {
                file.metadata(&format!("split.{key}"), &Metadata::U32(value));
            }
            for Tensor { name, kind, sizes, stored } in parts.tensors.iter().skip(no as usize).step_by(3) {
                file.tensor(name, *kind, sizes, stored);
            }
            file.finish()
        })
        .collect();
    let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
    let converted = convert(&Gguf::parse_parts(&pieces).unwrap(), TensorType::Tq1_0, false).unwrap();
    let (converted, whole) = (Gguf::parse(&converted).unwrap(), convert(&Gguf::parse(&whole).unwrap(), TensorType::Tq1_0, false).unwrap());
    let whole = Gguf::parse(&whole).unwrap();
    assert_eq!(entries(&converted), entries(&whole));
    assert_eq!(converted.tensors().len(), parts.tensors.len());
    for tensor in converted.tensors() {
        assert!(converted.tensor_bytes(tensor) == whole.tensor_bytes(whole.tensor(tensor.name).unwrap()), "{}", tensor.name);
    }
}

fn one_matrix(kind: TensorType, cols: u64, values: &[f32], scale: f32) -> Vec<u8> {
    let mut file = GgufWriter::new();
    file.tensor("blk.0.ffn_up.weight", kind, &[cols, values.len() as u64 / cols], &stored(kind, cols as usize, values, scale));
    file.finish()
}

fn only<'f, 'a>(file: &'f Gguf<'a>) -> &'f TensorInfo<'a> {
    &file.tensors()[0]
}

#[test]
fn rows_that_fit_no_block_take_the_documented_type() {
    use TensorType::*;
    for (wanted, cols, expected) in [
        (Tq2_0, 256, Tq2_0),
        (Tq2_0, 128, Q8_0),
        (Tq1_0, 64, Q8_0),
        (Tq1_0, 40, F16),
        (I2S, 128, I2S),
        (I2S, 64, Q8_0),
        (Q2K, 32, Q4_0),
        (Q3K, 128, Q4_0),
        (Q4K, 32, Q5_0),
        (Q5K, 32, Q5_1),
        (Q6K, 32, Q8_0),
        (Q6K, 33, F16),
        (Q4_0, 33, F16),
        (Q8_0, 33, F16),
        (Bf16, 33, Bf16),
    ] {
        let values: Vec<f32> = (0..2 * cols as usize).map(|at| f32::from((at % 3) as u8) - 1.0).collect();
        let bytes = one_matrix(F32, cols, &values, 1.0);
        let converted = convert(&Gguf::parse(&bytes).unwrap(), wanted, false).unwrap();
        let converted = Gguf::parse(&converted).unwrap();
        assert_eq!(only(&converted).kind, expected, "{} {cols}", wanted.name());
        if wanted.is_ternary() {
            // 1 is no multiple of 127 in f16: Q8_0 keeps the trits, its scale is rounded.
            let one = if expected == Q8_0 { f16::from_f32(1.0 / 127.0).to_f32() * 127.0 } else { 1.0 };
            let found = self::values(&converted, "blk.0.ffn_up.weight");
            assert!(found.iter().zip(&values).all(|(&a, &b)| a == b * one), "{} {cols}", wanted.name());
        }
    }
}

#[test]
fn a_scale_that_f16_cannot_hold_is_rounded_with_its_change_or_refused() {
    let values = |s: f32| (0..512).map(|at| (f32::from((at % 3) as u8) - 1.0) * s).collect::<Vec<_>>();
    for (from, s) in [(TensorType::F32, 0.1f32), (TensorType::I2S, 0.1), (TensorType::F32, 1e-6), (TensorType::Tq1_0, 0.5)] {
        let bytes = one_matrix(from, 256, &values(s), s);
        let file = Gguf::parse(&bytes).unwrap();
        let rounded = f16::from_f32(s).to_f32();
        for (to, kept) in [(TensorType::Tq2_0, rounded), (TensorType::I2S, s)] {
            let conversion = Conversion::plan(&file, Options { kind: to, ternarise: false }, &|_| {}).unwrap();
            let change = (f64::from(kept) / f64::from(s) - 1.0).abs();
            assert_eq!(conversion.steps()[0].scale_change(), change, "{} {s}", from.name());
            let converted = convert(&file, to, false).unwrap();
            assert!(self::values(&Gguf::parse(&converted).unwrap(), "blk.0.ffn_up.weight") == values(kept), "{} {s}", from.name());
        }
    }
    for s in [1e-9, 1e5] {
        let bytes = one_matrix(TensorType::F32, 256, &values(s), s);
        let file = Gguf::parse(&bytes).unwrap();
        let (rule, text) = refusal(convert(&file, TensorType::Tq1_0, false));
        assert_eq!(rule, Refusal::Bounds);
        assert!(text.starts_with("scale of tensor 'blk.0.ffn_up.weight' (F32): expected one that the f16 of TQ1_0 can hold"), "{text}");
        assert!(convert(&file, TensorType::I2S, false).is_ok());
    }
}

#[test]
fn a_tensor_of_zeros_is_ternary() {
    let bytes = one_matrix(TensorType::F32, 256, &[0.0; 512], 1.0);
    for to in TensorType::ALL {
        for ternarise in [false, true] {
            let converted = convert(&Gguf::parse(&bytes).unwrap(), to, ternarise).unwrap();
            assert_eq!(values(&Gguf::parse(&converted).unwrap(), "blk.0.ffn_up.weight"), [0.0; 512], "{}", to.name());
        }
    }
}

#[test]
fn ternarise_rounds_by_the_mean_magnitude_and_leaves_ternary_tensors_alone() {
    let weights: Vec<f32> = (0..1536).map(|at| pattern(at) * 0.2).collect();
    let trained: Vec<f32> = (0..512).map(|at| (pattern(at) * 1.5).round() * 0.75).collect();
    let mut file = GgufWriter::new();
    file.metadata("general.architecture", &Metadata::Text("llama".into()));
    let f32s = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    file.tensor("token_embd.weight", TensorType::F32, &[256, 6], &f32s(&weights));
    file.tensor("blk.0.ffn_gate_inp.weight", TensorType::F32, &[256, 6], &f32s(&weights));
    file.tensor("blk.0.attn_v.weight", TensorType::F32, &[256, 6], &f32s(&weights));
    file.tensor("blk.1.attn_v.weight", TensorType::F32, &[256, 2], &f32s(&trained));
    let bytes = file.finish();
    let file = Gguf::parse(&bytes).unwrap();

    let s = weights.iter().map(|&w| f64::from(w.abs())).sum::<f64>() / 1536.0;
    let trits: Vec<f32> = weights.iter().map(|&w| (f64::from(w) / s).clamp(-1.0, 1.0).round_ties_even() as f32).collect();
    for (kind, kept) in
        [(TensorType::I2S, s as f32), (TensorType::Tq1_0, f16::from_f64(s).to_f32()), (TensorType::Tq2_0, f16::from_f64(s).to_f32())]
    {
        let conversion = Conversion::plan(&file, Options { kind, ternarise: true }, &|_| {}).unwrap();
        let mut out = Vec::new();
        let counts = conversion.write(&mut out, &|_| {}).unwrap();
        assert_eq!(counts, [-1.0, 0.0, 1.0].map(|trit| trits.iter().filter(|&&t| t == trit).count() as u64));
        let works: Vec<bool> = conversion.steps().iter().map(|step| matches!(step.work, Work::Ternarise(_))).collect();
        assert_eq!(works, [false, false, true, false]);
        let converted = Gguf::parse(&out).unwrap();
        let expected: Vec<f32> = trits.iter().map(|trit| trit * kept).collect();
        assert!(values(&converted, "blk.0.attn_v.weight") == expected, "{}", kind.name());
        assert!(values(&converted, "blk.1.attn_v.weight") == trained);
        for name in ["token_embd.weight", "blk.0.ffn_gate_inp.weight"] {
            assert!(values(&converted, name) == weights, "{name}");
            assert_eq!(converted.tensor(name).unwrap().kind, TensorType::F32);
        }
        assert_eq!(converted.get_str("general.architecture").unwrap(), Some("llama"));
        assert_eq!(converted.get_str("tritforge.ternarised").unwrap(), Some("absmean, without training"));
    }
    let (rule, text) = refusal(convert(&file, TensorType::Tq2_0, false));
    assert_eq!(rule, Refusal::NotTernary);
    let first = weights[0].abs();
    let start = format!(
        "tensor 'blk.0.attn_v.weight' (F32), row 0, column 1: expected -{first}, 0 or {first}, found {}; ternary types",
        weights[1]
    );
    assert!(text.starts_with(&start), "{text}");
}

#[test]
fn a_half_of_the_scale_becomes_zero() {
    // The mean magnitude of three of 0.5 and one of 2.5 is 1.
    let weights: Vec<f32> = (0..512).map(|at| if at % 4 == 3 { -2.5 } else { 0.5 }).collect();
    let bytes = one_matrix(TensorType::F32, 256, &weights, 1.0);
    let converted = convert(&Gguf::parse(&bytes).unwrap(), TensorType::Tq2_0, true).unwrap();
    let found = values(&Gguf::parse(&converted).unwrap(), "blk.0.ffn_up.weight");
    assert!(found.iter().enumerate().all(|(at, &x)| x == if at % 4 == 3 { -1.0 } else { 0.0 }));
}

#[test]
fn weights_that_are_no_numbers_or_damaged_are_named_and_never_rounded() {
    let mut weights = vec![0.5f32; 768];
    weights[256 + 7] = f32::INFINITY;
    let mut file = GgufWriter::new();
    let bytes: Vec<u8> = weights.iter().flat_map(|x| x.to_le_bytes()).collect();
    file.tensor("blk.0.ffn_up.weight", TensorType::F32, &[256, 3], &bytes);
    let bytes = file.finish();
    let file = Gguf::parse(&bytes).unwrap();
    for (kind, ternarise) in TensorType::ALL.into_iter().skip(1).flat_map(|kind| [(kind, false), (kind, true)]) {
        let (_, text) = refusal(convert(&file, kind, ternarise));
        assert!(text.starts_with("tensor 'blk.0.ffn_up.weight' (F32), row 1, column 7: "), "{text}");
        assert!(text.contains("found inf"), "{text}");
    }
    let mut bytes = one_matrix(TensorType::Tq2_0, 256, &[1.0; 512], 1.0);
    // Ten bytes before the last one of the last block, which is the high half of its scale.
    let code = bytes.iter().rposition(|&byte| byte != 0).unwrap() - 10;
    bytes[code] = 0xff;
    for ternarise in [false, true] {
        let (rule, text) = refusal(convert(&Gguf::parse(&bytes).unwrap(), TensorType::Tq1_0, ternarise));
        assert_eq!(rule, Refusal::NotTernary);
        assert!(text.contains("expected code 0, 1 or 2, found 3; the weights are damaged"), "{text}");
    }
}

#[test]
fn a_weight_beyond_the_types_range_is_named() {
    let mut weights = vec![0.5f32; 768];
    weights[512 + 9] = -7e4;
    let bytes = one_matrix(TensorType::F32, 256, &weights, 1.0);
    let file = Gguf::parse(&bytes).unwrap();
    let (rule, text) = refusal(convert(&file, TensorType::F16, false));
    assert_eq!(rule, Refusal::Bounds);
    let expected = "tensor 'blk.0.ffn_up.weight' (F32), row 2, column 9: expected a weight within the range of F16, found -70000; \
                    choose f32 or bf16, which have the range of any weight";
    assert_eq!(text, expected);
    assert!(convert(&file, TensorType::Bf16, false).is_ok());
}

#[test]
fn a_plan_writes_the_same_bytes_in_any_pieces_and_checks_their_number() {
    let parts = Parts::model(TensorType::I2S);
    let expected = parts.write();
    let mut plan = GgufPlan::default();
    for (key, value) in &parts.metadata {
        plan.metadata(key, value);
    }
    for tensor in &parts.tensors {
        plan.tensor(&tensor.name, tensor.kind, &tensor.sizes);
    }
    assert_eq!(plan.total_bytes(), expected.len() as u64);
    for piece in [1, 7, 4096] {
        let mut stream = plan.stream(Vec::new()).unwrap();
        for tensor in &parts.tensors {
            tensor.stored.chunks(piece).for_each(|bytes| stream.write(bytes).unwrap());
        }
        assert!(stream.finish().unwrap() == expected, "{piece}");
    }
    let short = std::panic::catch_unwind(|| {
        let mut stream = plan.stream(Vec::new()).unwrap();
        stream.write(&[0]).unwrap();
        stream.finish()
    });
    assert!(short.is_err());
}

#[test]
fn a_sink_that_fails_ends_the_conversion_with_its_error() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let bytes = every_role(TensorType::F32);
    let file = Gguf::parse(&bytes).unwrap();
    let conversion = Conversion::plan(&file, Options { kind: TensorType::Q4K, ternarise: false }, &|_| {}).unwrap();
    let total = conversion.total_bytes() as usize;
    for room in (0..total).step_by(97) {
        match conversion.write(Full(room), &|_| {}) {
            Err(ConvertError::Write(error)) => assert_eq!(error.kind(), std::io::ErrorKind::StorageFull),
            other => panic!("{room}: {other:?}"),
        }
    }
    assert!(conversion.write(Full(total), &|_| {}).is_ok());
}

#[test]
fn stories260k_in_q8_0_has_the_bytes_that_were_published() -> Result<(), ModelError> {
    let (Some(float), Some(published)) = (test_data("gguf/stories260K.gguf"), test_data("gguf/stories260K.Q8_0.gguf")) else {
        return Ok(());
    };
    let (float, published) = (GgufFile::open(&float)?, GgufFile::open(&published)?);
    let (float, published) = (float.parse()?, published.parse()?);
    let converted = convert(&float, TensorType::Q8_0, false).unwrap();
    let converted = Gguf::parse(&converted)?;
    assert_eq!(converted.tensors().len(), published.tensors().len());
    for tensor in converted.tensors() {
        let other = published.need_tensor(tensor.name)?;
        assert_eq!(tensor.kind, other.kind, "{}", tensor.name);
        assert!(converted.tensor_bytes(tensor) == published.tensor_bytes(other), "{}", tensor.name);
    }
    Ok(())
}
