//! Codes of the ternary types. In: a block's bytes. Out: [`Codes`] (scale 1 for I2_S, whose one scale stands behind the
//! tensor). Bytes that no packer writes decode as ggml decodes them; whoever needs trits and nothing else reads with
//! [`crate::model::gguf::blocks`], which refuses them.

use super::codes::{Codes, read_f16};

/// TQ1_0: 48 bytes of five digits in groups of 32 and 16 bytes, 4 bytes of four digits, f16 scale. Digit n of a byte b:
/// `3 · (b · 3^n mod 256) / 256`.
#[inline(always)]
pub(super) fn tq1_0(block: &[u8], out: &mut Codes) {
    let mut codes = &mut out.codes[..];
    for (bytes, digits) in [(&block[..32], 5), (&block[32..48], 5), (&block[48..52], 4)] {
        let mut power = 1u8;
        for _ in 0..digits {
            let (plane, rest) = codes.split_at_mut(bytes.len());
            for (code, &byte) in plane.iter_mut().zip(bytes) {
                *code = ((u16::from(byte.wrapping_mul(power)) * 3) >> 8) as i8 - 1;
            }
            codes = rest;
            power = power.wrapping_mul(3);
        }
    }
    out.scale = read_f16(block, 52);
}

/// TQ2_0: bits 2p, 2p + 1 of byte 32h + i are of element 128h + 32p + i, plus 1; f16 scale behind them.
#[inline(always)]
pub(super) fn tq2_0(block: &[u8], out: &mut Codes) {
    for (bytes, codes) in block[..64].chunks_exact(32).zip(out.codes.chunks_exact_mut(128)) {
        for (plane, codes) in codes.chunks_exact_mut(32).enumerate() {
            codes.iter_mut().zip(bytes).for_each(|(code, &byte)| *code = (byte >> (2 * plane) & 3) as i8 - 1);
        }
    }
    out.scale = read_f16(block, 64);
}

/// I2_S, x86 layout: of 128 elements, element 32p + i stands in bits 6 - 2p, 7 - 2p of byte i, plus 1.
#[inline(always)]
pub(super) fn i2_s(block: &[u8], out: &mut Codes) {
    for (plane, codes) in out.codes[..128].chunks_exact_mut(32).enumerate() {
        codes.iter_mut().zip(block).for_each(|(code, &byte)| *code = (byte >> (6 - 2 * plane) & 3) as i8 - 1);
    }
    out.scale = 1.0;
}
