//! Stored weights: values against PyPI `gguf`, products against dequantised operands, and I2_S against plain loops.

mod support;

use half::f16;
use tritforge::model::gguf::{Gguf, GgufWriter, TensorType};
use tritforge::model::judge::Rows;
use tritforge::model::quant::{Arithmetic, Matrix, Q8Block32, Q8Block256, multiply};

/// Made by `scripts/golden-quant.py`.
const GOLDEN: &str = include_str!("golden/quant.txt");

/// The bytes of splitmix64, low byte first.
fn splitmix64(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut out = Vec::new();
    while out.len() < count {
        out.extend(next().to_le_bytes());
    }
    out.truncate(count);
    out
}

/// Where the f16 of a block stand.
fn halves(kind: TensorType) -> &'static [usize] {
    match kind {
        TensorType::Q4_0 | TensorType::Q5_0 | TensorType::Q8_0 => &[0],
        TensorType::Q4_1 | TensorType::Q5_1 | TensorType::Q4K | TensorType::Q5K => &[0, 2],
        TensorType::Q2K => &[80, 82],
        TensorType::Q3K => &[108],
        TensorType::Q6K => &[208],
        TensorType::Tq1_0 => &[52],
        TensorType::Tq2_0 => &[64],
        _ => &[],
    }
}

/// Random blocks whose floats are all finite: the bit of the exponent that inf and NaN need is cleared.
fn random_blocks(kind: TensorType, seed: u64, blocks: usize) -> Vec<u8> {
    let size = kind.block_bytes() as usize * if kind.block_elements() == 1 { 256 } else { 1 };
    let mut data = splitmix64(seed, blocks * size);
    for block in data.chunks_exact_mut(size) {
        match kind {
            TensorType::F32 => block.iter_mut().skip(3).step_by(4).for_each(|byte| *byte &= 0xbf),
            TensorType::F16 | TensorType::Bf16 => block.iter_mut().skip(1).step_by(2).for_each(|byte| *byte &= 0xbf),
            _ => halves(kind).iter().for_each(|&at| block[at + 1] &= 0xbf),
        }
    }
    data
}

/// A file with one matrix of `rows` rows, called `w`.
fn file(kind: TensorType, rows: usize, stored: &[u8]) -> Vec<u8> {
    let blocks = (stored.len() as u64 - kind.trailer_bytes()) / kind.block_bytes();
    let cols = blocks * kind.block_elements() / rows as u64;
    let mut file = GgufWriter::new();
    file.tensor("w", kind, &[cols, rows as u64], stored);
    file.finish()
}

fn with_matrix<T>(kind: TensorType, rows: usize, stored: &[u8], work: impl FnOnce(&Matrix<'_>) -> T) -> T {
    let bytes = file(kind, rows, stored);
    let file = Gguf::parse(&bytes).unwrap();
    work(&Matrix::new(&file, file.tensor("w").unwrap()).unwrap())
}

fn values(kind: TensorType, rows: usize, stored: &[u8]) -> Vec<f32> {
    let mut out = Vec::new();
    with_matrix(kind, rows, stored, |matrix| matrix.for_each_value(|x| out.push(x)));
    out
}

#[test]
fn values_of_every_type_are_bit_equal_to_pypi_gguf() {
    let mut seen = 0;
    for line in GOLDEN.lines() {
        let mut fields = line.split(' ');
        let name = fields.next().unwrap();
        let kind = TensorType::ALL.into_iter().find(|kind| kind.name() == name).unwrap();
        let blocks = fields.next().unwrap().parse().unwrap();
        let crc = u32::from_str_radix(fields.next().unwrap(), 16).unwrap();
        let found = values(kind, 4, &random_blocks(kind, kind as u64, blocks));
        let first: Vec<String> = found[..8].iter().map(|x| format!("{:08x}", x.to_bits())).collect();
        assert_eq!(first, fields.collect::<Vec<_>>(), "{name}");
        let bytes: Vec<u8> = found.iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(crc32fast::hash(&bytes), crc, "{name}");
        seen += 1;
    }
    assert_eq!(seen, TensorType::ALL.len() - 1, "all but I2_S, which `gguf` does not know");
}

/// Activations between -1 and 1, with a row of zeros in the middle.
fn activations(tokens: usize, width: usize) -> Rows<f32> {
    let bytes = splitmix64(77, tokens * width * 2);
    let (words, _) = bytes.as_chunks::<2>();
    let mut values: Vec<f32> = words.iter().map(|&word| f32::from(i16::from_le_bytes(word)) / 32768.0).collect();
    values[width..2 * width].fill(0.0);
    Rows { tokens, width, values }
}

/// What the codes of an activation row stand for, and for types with an offset what its blocks' sums are taken as.
fn rounded(kind: TensorType, x: &[f32]) -> Vec<f64> {
    match kind.block_elements() {
        32 => {
            let row = Q8Block32::of(x);
            row.codes.iter().enumerate().map(|(i, &code)| f64::from(code) * f64::from(row.scales[i / 32])).collect()
        }
        256 => {
            let row = Q8Block256::of(x);
            row.codes.iter().enumerate().map(|(i, &code)| f64::from(code) * f64::from(row.scales[i / 256])).collect()
        }
        _ if kind == TensorType::F16 => x.iter().map(|&v| f16::from_f32(v).to_f64()).collect(),
        _ if kind == TensorType::Bf16 => x.iter().map(|&v| half::bf16::from_f32(v).to_f64()).collect(),
        _ => x.iter().map(|&v| f64::from(v)).collect(),
    }
}

#[test]
fn products_are_those_of_the_dequantised_operands() {
    let rows = 3;
    for kind in TensorType::ALL.into_iter().filter(|&kind| kind != TensorType::I2S) {
        let stored = random_blocks(kind, 5, if kind.block_elements() == 32 { 48 } else { 6 });
        let weights = values(kind, rows, &stored);
        let width = weights.len() / rows;
        assert_eq!(width, 512);
        let x = activations(3, width);
        for arithmetic in [Arithmetic::Ggml, Arithmetic::Wide, Arithmetic::Float] {
            let found = with_matrix(kind, rows, &stored, |matrix| multiply(matrix, &x, arithmetic));
            assert_eq!((found.tokens, found.width), (3, rows));
            for (token, x) in x.iter().enumerate() {
                let operand = match arithmetic {
                    Arithmetic::Ggml | Arithmetic::Wide => rounded(kind, x),
                    Arithmetic::Float => x.iter().map(|&v| f64::from(v)).collect(),
                };
                for row in 0..rows {
                    let weights = &weights[row * width..(row + 1) * width];
                    let mut expected: f64 = weights.iter().zip(&operand).map(|(&w, x)| f64::from(w) * x).sum();
                    if arithmetic != Arithmetic::Float && matches!(kind, TensorType::Q4_1 | TensorType::Q5_1) {
                        expected += offset_correction(kind, &stored, row, x, &operand);
                    }
                    let size: f64 = weights.iter().zip(&operand).map(|(&w, x)| (f64::from(w) * x).abs()).sum();
                    let found = f64::from(found.row(token)[row]);
                    // A dequantised weight is rounded to f32, and the result is; sums in f32 lanes are of some dozen steps.
                    let bound = if arithmetic == Arithmetic::Ggml { 1e-6 } else { 2e-7 };
                    assert!((found - expected).abs() <= bound * size, "{} {arithmetic:?} {token} {row}: {found} {expected}", kind.name());
                }
            }
        }
    }
}

/// Types with an offset take a block's sum of activations as rounded to f16: what that changes.
fn offset_correction(kind: TensorType, stored: &[u8], row: usize, x: &[f32], operand: &[f64]) -> f64 {
    let blocks = x.len() / 32;
    let sums = Q8Block32::of(x).sums;
    let size = kind.block_bytes() as usize;
    let difference = |block: usize| {
        let at = (row * blocks + block) * size + 2;
        let offset = f16::from_le_bytes([stored[at], stored[at + 1]]).to_f64();
        offset * (f64::from(sums[block]) - operand[32 * block..32 * block + 32].iter().sum::<f64>())
    };
    (0..blocks).map(difference).sum()
}

/// Packs trits as bitnet.cpp's x86 code does: 128 elements to 32 bytes, element 32p + i in bits 7-2p, 6-2p of byte i.
fn to_i2_s(trits: &[i8], scale: f32) -> Vec<u8> {
    let mut out = vec![0u8; trits.len() / 4];
    for (at, &trit) in trits.iter().enumerate() {
        let (block, plane, byte) = (at / 128, at % 128 / 32, at % 32);
        out[32 * block + byte] |= ((trit + 1) as u8) << (6 - 2 * plane);
    }
    out.extend(scale.to_le_bytes());
    out.resize(out.len() + 28, 0);
    out
}

#[test]
fn i2_s_gives_the_packed_trits_times_the_tensors_scale() {
    let (rows, cols, scale) = (2, 256, 0.37);
    let trits: Vec<i8> = splitmix64(9, rows * cols).iter().map(|byte| (byte % 3) as i8 - 1).collect();
    let stored = to_i2_s(&trits, scale);
    let expected: Vec<f32> = trits.iter().map(|&trit| f32::from(trit) * scale).collect();
    assert!(values(TensorType::I2S, rows, &stored) == expected);

    let x = activations(2, cols);
    let found = with_matrix(TensorType::I2S, rows, &stored, |matrix| multiply(matrix, &x, Arithmetic::Ggml));
    for (token, x) in x.iter().enumerate() {
        let most = x.iter().fold(1e-5f32, |most, v| most.max(v.abs()));
        let codes: Vec<f32> = x.iter().map(|v| (v * (127.0 / most)).round_ties_even()).collect();
        for row in 0..rows {
            let sum: f32 = codes.iter().zip(&trits[row * cols..]).map(|(code, &trit)| code * f32::from(trit)).sum();
            assert_eq!(found.row(token)[row], sum / (127.0 / most) * scale, "{token} {row}");
        }
    }
}

#[test]
fn an_i2_s_scale_that_is_no_number_is_refused() {
    let bytes = file(TensorType::I2S, 1, &to_i2_s(&[0; 128], f32::NAN));
    let file = Gguf::parse(&bytes).unwrap();
    let error = Matrix::new(&file, file.tensor("w").unwrap()).unwrap_err().to_string();
    assert_eq!(
        error,
        "scale of tensor 'w': expected a finite number, found NaN; the weights are damaged: fetch or convert the model again"
    );
}
