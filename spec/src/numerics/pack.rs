//! Trits in bytes: base 3 (five a byte) and two-bit (four a byte), as docs/architecture.md defines them.

use crate::config::Packing;

/// The byte of five zero trits.
pub const BASE3_ZERO: u8 = 121;
/// The largest legal base-3 byte.
pub const BASE3_MAX: u8 = 242;

/// Packs `trits` (−1, 0, 1; up to five, missing ones 0): byte = Σ (w_j + 1)·3^j, the first in the low digit.
pub fn encode_base3(trits: &[i8]) -> u8 {
    debug_assert!(trits.len() <= 5);
    (0..5).rev().fold(0, |byte, j| byte * 3 + (trits.get(j).copied().unwrap_or(0) + 1) as u8)
}

/// Five trits of a byte; None above 242.
pub fn decode_base3(byte: u8) -> Option<[i8; 5]> {
    if byte > BASE3_MAX {
        return None;
    }
    let mut rest = byte;
    Some(std::array::from_fn(|_| {
        let d = (rest % 3) as i8 - 1;
        rest /= 3;
        d
    }))
}

/// Packs up to four trits, two bits each, the first in the low bits: 0 = 0, 1 = +1, 3 = −1.
pub fn encode_two_bit(trits: &[i8]) -> u8 {
    debug_assert!(trits.len() <= 4);
    trits.iter().enumerate().fold(0, |byte, (j, &t)| byte | ((t as u8) & 3) << (2 * j))
}

/// Four trits of a byte; None when one of them is the illegal code 2.
pub fn decode_two_bit(byte: u8) -> Option<[i8; 4]> {
    let codes: [u8; 4] = std::array::from_fn(|j| byte >> (2 * j) & 3);
    codes.iter().all(|&c| c != 2).then(|| codes.map(|c| if c == 3 { -1 } else { c as i8 }))
}

/// Packs a row into bytes; the last byte is filled with zero trits.
pub fn encode_row(packing: Packing, trits: &[i8]) -> Vec<u8> {
    let encode = match packing {
        Packing::Base3 => encode_base3,
        Packing::TwoBit => encode_two_bit,
    };
    trits.chunks(packing.trits_per_byte()).map(encode).collect()
}

/// Trits of a byte; None for an illegal byte.
pub fn decode_byte(packing: Packing, byte: u8) -> Option<Vec<i8>> {
    match packing {
        Packing::Base3 => decode_base3(byte).map(|t| t.to_vec()),
        Packing::TwoBit => decode_two_bit(byte).map(|t| t.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_reads_back_or_is_illegal() {
        let (mut base3, mut two_bit) = (0, 0);
        for byte in 0..=255u8 {
            if let Some(t) = decode_base3(byte) {
                assert_eq!(encode_base3(&t), byte);
                base3 += 1;
            }
            if let Some(t) = decode_two_bit(byte) {
                assert_eq!(encode_two_bit(&t), byte);
                two_bit += 1;
            }
        }
        assert_eq!((base3, two_bit), (243, 81));
    }

    #[test]
    fn known_bytes_hold() {
        assert_eq!(encode_base3(&[0; 5]), BASE3_ZERO);
        assert_eq!(encode_base3(&[1, -1, 0]), 2 + 9 + 27 + 81);
        assert_eq!(encode_two_bit(&[-1, 1, 0, -1]), 0b11_00_01_11);
        assert_eq!(encode_row(Packing::Base3, &[1; 6]), vec![242, 122]);
        assert_eq!(encode_row(Packing::TwoBit, &[1; 5]), vec![0x55, 1]);
        assert_eq!(decode_byte(Packing::Base3, 243), None);
    }
}
