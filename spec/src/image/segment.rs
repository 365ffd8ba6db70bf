//! One layer's segment: what the hardware reads of it, in the order of consumption (docs/architecture.md, Memory).

use super::{ImageError, words_to_bytes};
use crate::{
    block::ctrl::{self, CONST_WORDS, const_index},
    hw::Hw,
    numerics::Scale,
    pack::Section,
    reference::AttnParams,
};

/// The 16 constants of a layer (see [`const_index`]).
pub fn constants(a: &AttnParams) -> [u32; CONST_WORDS] {
    let mut w = [0; CONST_WORDS];
    let scales: [(usize, Scale); 6] = [
        (const_index::C_NORM1, a.norm.c),
        (const_index::C_Q, a.c_q),
        (const_index::C_K, a.c_k),
        (const_index::C_V, a.c_v),
        (const_index::C_NORM2, a.sub_norm.c),
        (const_index::C_O, a.c_o),
    ];
    for (index, scale) in scales {
        w[index] = scale.to_bits();
    }
    for (index, eps) in [(const_index::EPS1, a.norm.eps), (const_index::EPS2, a.sub_norm.eps)] {
        w[index] = eps as u32;
        w[index + 1] = (eps >> 32) as u32;
    }
    w
}

/// The rows of the q, k and v projections in the order of consumption: K heads, V heads, Q heads, rows of a head in pairs
/// (0, HD/2, 1, HD/2 + 1, …).
pub fn qkv_rows<'a>(hw: &Hw, a: &'a AttnParams) -> Vec<&'a [i8]> {
    let hd = hw.shape.head_dim;
    let mut rows = Vec::with_capacity(hw.q_dim() + 2 * hw.kv_dim());
    for matrix in [&a.k, &a.v, &a.q] {
        for head in 0..matrix.rows / hd {
            for j in 0..hd / 2 {
                rows.push(matrix.row(head * hd + j));
                rows.push(matrix.row(head * hd + j + hd / 2));
            }
        }
    }
    rows
}

/// One layer segment: constants, gains, qkv rows, gains, o rows, in the order of consumption.
///
/// # Errors
/// A matrix or gain whose shape is not the hardware's, or a weight that is no trit.
pub fn layer_segment(hw: &Hw, a: &AttnParams) -> Result<Vec<u8>, ImageError> {
    let (d, q, k) = (hw.shape.dim, hw.q_dim(), hw.kv_dim());
    let shapes = [
        ("q", (a.q.rows, a.q.cols), (q, d)),
        ("k", (a.k.rows, a.k.cols), (k, d)),
        ("v", (a.v.rows, a.v.cols), (k, d)),
        ("o", (a.o.rows, a.o.cols), (d, q)),
        ("norm gain", (a.norm.gain.len(), 1), (d, 1)),
        ("sub-norm gain", (a.sub_norm.gain.len(), 1), (q, 1)),
    ];
    for (item, found, expected) in shapes {
        if found != expected {
            return Err(ImageError::Wrong { item: item.into(), expected: format!("{expected:?}"), found: format!("{found:?}") });
        }
    }
    let gains = |g: &[i32]| words_to_bytes(hw, &g.iter().map(|&v| v as u32).collect::<Vec<_>>());
    let mut bytes = words_to_bytes(hw, &constants(a));
    bytes.extend(gains(&a.norm.gain));
    bytes.extend(Section::of(&hw.config, q + 2 * k, d)?.pack(&qkv_rows(hw, a).concat())?);
    bytes.extend(gains(&a.sub_norm.gain));
    bytes.extend(Section::of(&hw.config, d, q)?.pack(&a.o.trits)?);
    let expected = ctrl::Params::from(hw).layer_words() * hw.word_bits() / 8;
    if bytes.len() != expected {
        return Err(ImageError::Wrong {
            item: "layer segment bytes".into(),
            expected: expected.to_string(),
            found: bytes.len().to_string(),
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::AccelConfig, reference::random::RandomModel};

    #[test]
    fn qkv_rows_go_in_rope_pairs_k_first() {
        let model = RandomModel::small(64, 4, 2, 32);
        let config = AccelConfig::from_toml(include_str!("../../../configs/small.toml")).unwrap();
        let (int, hw) = (model.build(5), Hw::new(config, model.shape.clone()).unwrap());
        let a = &int.layers[0].attn;
        let rows = qkv_rows(&hw, a);
        assert_eq!(rows.len(), 2 * 64 + 128);
        assert_eq!((rows[0], rows[1], rows[2]), (a.k.row(0), a.k.row(16), a.k.row(1)));
        assert_eq!((rows[32], rows[64], rows[128 + 33]), (a.k.row(32), a.v.row(0), a.q.row(32 + 16)));
    }
}
