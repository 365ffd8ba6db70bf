//! Numbers to stored rows: bit-equal to PyPI `gguf` and `libgguf`, to plain loops for the simplest types, and what has no place is named.

use half::{bf16, f16};
use tritforge::model::gguf::{Gguf, GgufWriter, TensorType};
use tritforge::model::quant::Matrix;
use tritforge::model::quant::encode::{encode_row, trailer};

/// Made by `scripts/golden-encode.py`.
const GOLDEN: &str = include_str!("golden/encode.txt");
const BLOCKS: usize = 256;
const ROW: usize = 1024;

/// 16-bit words of splitmix64, low ones first, signed.
fn words(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut out = Vec::new();
    while out.len() < count {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let z = z ^ (z >> 31);
        out.extend((0..4).map(|i| f32::from((z >> (16 * i)) as i16)));
    }
    out
}

/// The values of the script, block by block.
fn values() -> Vec<f32> {
    let raw = words(2026, 4 * 256 * BLOCKS);
    let mut out = Vec::new();
    for block in 0..BLOCKS {
        let raw = &raw[block * 1024..(block + 1) * 1024];
        let weight = |i: usize| raw[4 * i..4 * i + 4].iter().sum::<f32>() / (1 << 20) as f32;
        let uniform = |i: usize| raw[4 * i] / 32768.0;
        let level = (block / 16) as i32;
        let scale = 2f32.powi(level - 8);
        out.extend((0..256).map(|i| match block % 16 {
            0..8 => weight(i) * scale,
            8 => 0.0,
            9 => f32::from(i == block) * scale,
            10 => scale * uniform(0),
            11 => uniform(i).abs() * scale,
            12 => (uniform(i) * 1.5).trunc() * scale,
            13 => (uniform(i) * 32.0).trunc() * 0.5 * scale,
            14 => weight(i) * if i / 16 % 2 == 0 { scale } else { 2f32.powi(-20) },
            _ => uniform(i) * 2f32.powi(-8 - level),
        }));
    }
    out
}

fn encode(kind: TensorType, values: &[f32]) -> Vec<u8> {
    let mut out = vec![0xa5; values.len() / kind.block_elements() as usize * kind.block_bytes() as usize];
    encode_row(kind, values, &mut out).unwrap();
    out
}

fn decode(kind: TensorType, cols: usize, mut stored: Vec<u8>, scale: f32) -> Vec<f32> {
    stored.extend(trailer(kind, scale));
    let rows = (stored.len() as u64 - kind.trailer_bytes()) / kind.block_bytes() * kind.block_elements() / cols as u64;
    let mut file = GgufWriter::new();
    file.tensor("w", kind, &[cols as u64, rows], &stored);
    let bytes = file.finish();
    let file = Gguf::parse(&bytes).unwrap();
    let mut out = Vec::new();
    Matrix::new(&file, file.tensor("w").unwrap()).unwrap().for_each_value(|x| out.push(x));
    out
}

#[test]
fn stored_bytes_of_every_type_are_those_of_pypi_gguf_and_libgguf() {
    let values = values();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for line in GOLDEN.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let kind = TensorType::from_name(fields[0]).unwrap();
        assert_eq!(fields[1], values.len().to_string());
        let stored: Vec<u8> = values.chunks(ROW).flat_map(|row| encode(kind, row)).collect();
        let first: String = stored[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        if (format!("{:08x}", crc32fast::hash(&stored)).as_str(), first.as_str()) != (fields[2], fields[3]) {
            wrong.push(format!("{line}: found {first}"));
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(seen, TensorType::ALL.len() - 2, "all but F32, which is copied, and I2_S, which they do not know");
}

#[test]
fn the_simplest_types_are_those_of_plain_loops() {
    let values = values();
    let row = &values[..ROW];
    let q8_0 = encode(TensorType::Q8_0, row);
    let q4_1 = encode(TensorType::Q4_1, row);
    for (block, x) in row.chunks(32).enumerate() {
        let most = x.iter().fold(0f32, |most, x| most.max(x.abs()));
        let stored = &q8_0[34 * block..34 * (block + 1)];
        assert_eq!(stored[..2], f16::from_f32(most / 127.0).to_le_bytes());
        let low = x.iter().copied().fold(f32::INFINITY, f32::min);
        let high = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let nibbles = &q4_1[20 * block..20 * (block + 1)];
        assert_eq!(nibbles[..4], [f16::from_f32((high - low) / 15.0).to_le_bytes(), f16::from_f32(low).to_le_bytes()].concat());
        for (i, &x) in x.iter().enumerate() {
            let code = f64::from(stored[2 + i] as i8);
            let exact = f64::from(x) * 127.0 / f64::from(most.max(f32::MIN_POSITIVE));
            assert!((code - exact).abs() <= 0.5001, "{block} {i}: {code} {exact}");
            let code = f64::from(nibbles[4 + i % 16] >> (i / 16 * 4) & 15);
            let exact = f64::from(x - low) * 15.0 / f64::from((high - low).max(f32::MIN_POSITIVE));
            assert!((code - exact).abs() <= 0.5001, "{block} {i}: {code} {exact}");
        }
    }
    let words = |bytes: &[u8]| bytes.as_chunks::<2>().0.iter().map(|&w| u16::from_le_bytes(w)).collect::<Vec<_>>();
    assert_eq!(words(&encode(TensorType::F16, row)), row.iter().map(|&x| f16::from_f32(x).to_bits()).collect::<Vec<_>>());
    assert_eq!(words(&encode(TensorType::Bf16, row)), row.iter().map(|&x| bf16::from_f32(x).to_bits()).collect::<Vec<_>>());
}

/// Root mean square of the error, in shares of that of the values.
fn error(kind: TensorType, values: &[f32]) -> f64 {
    let found = decode(kind, values.len(), encode(kind, values), 1.0);
    let square = |x: f64| x * x;
    let sum: f64 = found.iter().zip(values).map(|(&a, &b)| square(f64::from(a) - f64::from(b))).sum();
    (sum / values.iter().map(|&x| square(f64::from(x))).sum::<f64>()).sqrt()
}

#[test]
fn weights_come_back_within_what_the_types_bits_allow() {
    let all = values();
    let weights: Vec<f32> = all.chunks(256).step_by(16).flatten().map(|x| x * 64.0).collect();
    for (kind, most) in [
        (TensorType::F32, 0.0),
        (TensorType::F16, 3e-4),
        (TensorType::Bf16, 2e-3),
        (TensorType::Q8_0, 6e-3),
        (TensorType::Q6K, 0.02),
        (TensorType::Q5_1, 0.04),
        (TensorType::Q5K, 0.04),
        (TensorType::Q5_0, 0.05),
        (TensorType::Q4_1, 0.08),
        (TensorType::Q4K, 0.08),
        (TensorType::Q4_0, 0.1),
        (TensorType::Q3K, 0.2),
        (TensorType::Q2K, 0.35),
    ] {
        let found = error(kind, &weights);
        assert!(found <= most && found >= most / 4.0, "{}: {found}", kind.name());
    }
}

#[test]
fn ternary_values_are_exact_in_every_ternary_type_and_stay_ternary_where_the_type_says_so() {
    let scale = f16::from_f32(0.037).to_f32();
    let values: Vec<f32> = words(7, 2048).iter().map(|w| (w % 3.0).signum() * f32::from(w % 3.0 != 0.0) * scale).collect();
    for kind in TensorType::ALL {
        let found = decode(kind, 512, encode(kind, &values), scale);
        if kind.is_ternary() {
            assert!(found == values, "{}", kind.name());
        }
        let one = found.iter().copied().fold(0f32, |most, x| most.max(x.abs()));
        let same = found.iter().zip(&values).all(|(&a, &b)| a == b / scale * one);
        assert_eq!(same, kind.keeps_ternary(), "{}", kind.name());
    }
}

#[test]
fn a_value_without_a_place_is_named() {
    let with = |at: usize, x: f32| {
        let mut values = vec![0.25; 512];
        values[at] = x;
        values
    };
    let refused = |kind: TensorType, values: &[f32]| {
        let mut out = vec![0; values.len() / kind.block_elements() as usize * kind.block_bytes() as usize];
        encode_row(kind, values, &mut out).err()
    };
    for kind in TensorType::ALL {
        for x in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(refused(kind, &with(300, x)), Some(300), "{} {x}", kind.name());
        }
        let ranged = matches!(kind, TensorType::F32 | TensorType::I2S | TensorType::Bf16);
        assert_eq!(refused(kind, &with(301, -1e38)), (!ranged).then_some(301), "{}", kind.name());
        assert_eq!(refused(kind, &with(0, 0.0)), None);
        // Nothing panics on the smallest numbers.
        assert_eq!(refused(kind, &vec![f32::from_bits(1); 512]), None, "{}", kind.name());
    }
    assert_eq!(refused(TensorType::F16, &with(3, 65504.0)), None);
    assert_eq!(refused(TensorType::F16, &with(3, 65520.0)), Some(3));
    assert_eq!(refused(TensorType::Bf16, &with(3, f32::MAX)), Some(3));
    assert_eq!(refused(TensorType::Q4_1, &with(40, -7e4)), Some(40));
}
