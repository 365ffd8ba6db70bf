//! Stored blocks of the two ternary types to trits, and back. In: the bytes of one block. Out: its elements in order, or
//! the first code that is no trit. Layouts as in ggml (`ggml-quants.c`).

use half::f16;

/// Elements of one ternary block.
pub const TRITS_A_BLOCK: usize = 256;
/// Five trits of a TQ1_0 byte are the leading base-3 digits of byte/256.
const TRITS_A_BYTE: u32 = 5;
const CODES: u32 = 243;

/// Reads a little-endian f16.
pub fn read_f16(bytes: [u8; 2]) -> f16 {
    f16::from_le_bytes(bytes)
}

/// A byte or code that is not a trit: where in the block, and what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadCode {
    /// Element of the block, 0 to 255, that the code stands for (the first of them for a whole byte).
    pub element: usize,
    /// The code found: the two bits of TQ2_0, the whole byte of TQ1_0.
    pub code: u8,
}

/// A TQ2_0 block: 64 bytes of codes 0, 1, 2, f16 scale last. Bits 2l, 2l+1 of byte 32j+m are element 128j+32l+m.
///
/// # Errors
/// The first element (in the order of elements) with code 3.
pub fn tq2_0(block: &[u8], trits: &mut [i8; TRITS_A_BLOCK]) -> Result<f16, BadCode> {
    for (element, trit) in trits.iter_mut().enumerate() {
        let (half, lane, byte) = (element / 128, element % 128 / 32, element % 32);
        let code = block[32 * half + byte] >> (2 * lane) & 3;
        if code == 3 {
            return Err(BadCode { element, code });
        }
        *trit = code as i8 - 1;
    }
    Ok(read_f16([block[64], block[65]]))
}

/// A TQ1_0 block: 48 bytes of five digits, 4 bytes of four, f16 scale last. Bytes 0..32 hold elements 0..160,
/// bytes 32..48 elements 160..240, bytes 48..52 elements 240..256; digit n of the m-th byte of a group of g is
/// element n·g+m of that group.
///
/// # Errors
/// The first byte (in the order of bytes) that is none of the 243 legal ones.
pub fn tq1_0(block: &[u8], trits: &mut [i8; TRITS_A_BLOCK]) -> Result<f16, BadCode> {
    for (bytes, first, digits) in [(0..32, 0, TRITS_A_BYTE), (32..48, 160, TRITS_A_BYTE), (48..52, 240, 4)] {
        let group = bytes.len();
        for (m, &byte) in block[bytes].iter().enumerate() {
            let Some(mut code) = tq1_code(byte) else {
                return Err(BadCode { element: first + m, code: byte });
            };
            for n in 0..digits as usize {
                trits[first + n * group + m] = (code / (CODES / 3)) as i8 - 1;
                code = code % (CODES / 3) * 3;
            }
        }
    }
    Ok(read_f16([block[52], block[53]]))
}

/// The base-3 number (0 to 242, first digit most significant) that a TQ1_0 byte stands for: byte = ceil(code·256/243).
pub fn tq1_code(byte: u8) -> Option<u32> {
    let code = u32::from(byte) * CODES / 256;
    (tq1_byte(code) == byte).then_some(code)
}

fn tq1_byte(code: u32) -> u8 {
    (code * 256).div_ceil(CODES) as u8
}

/// The inverse of [`tq2_0`]: writes the 66 bytes of a block to `out`.
pub fn to_tq2_0(trits: &[i8; TRITS_A_BLOCK], scale: f16, out: &mut [u8]) {
    let (codes, end) = out.split_at_mut(64);
    for (codes, trits) in codes.chunks_exact_mut(32).zip(trits.chunks_exact(128)) {
        for (byte, code) in codes.iter_mut().enumerate() {
            *code = (0..4).rev().fold(0, |code, lane| code << 2 | (trits[32 * lane + byte] + 1) as u8);
        }
    }
    end.copy_from_slice(&scale.to_le_bytes());
}

/// The inverse of [`tq1_0`]: writes the 54 bytes of a block to `out`.
pub fn to_tq1_0(trits: &[i8; TRITS_A_BLOCK], scale: f16, out: &mut [u8]) {
    let (codes, end) = out.split_at_mut(52);
    for (group, first, digits) in [(0..32, 0, TRITS_A_BYTE), (32..48, 160, TRITS_A_BYTE), (48..52, 240, 4)] {
        let bytes = group.len();
        for (m, byte) in codes[group].iter_mut().enumerate() {
            let digit = |n: u32| if n < digits { (trits[first + n as usize * bytes + m] + 1) as u32 } else { 0 };
            *byte = tq1_byte((0..TRITS_A_BYTE).fold(0, |code, n| 3 * code + digit(n)));
        }
    }
    end.copy_from_slice(&scale.to_le_bytes());
}

/// 128 trits of an I2_S tensor as bitnet.cpp packs them for x86, 32 bytes to `out`: element 32p + i stands plus 1 in bits 6 - 2p,
/// 7 - 2p of byte i. Behind all blocks of the tensor stands its f32 scale, padded to 32 bytes.
pub fn to_i2_s(trits: &[i8; 128], out: &mut [u8]) {
    for (i, byte) in out[..32].iter_mut().enumerate() {
        *byte = (0..4).fold(0, |byte, plane| byte << 2 | (trits[32 * plane + i] + 1) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The decoder of ggml, digit by wrapping multiplication, as an independent oracle.
    fn ggml_digit(byte: u8, n: u32) -> i8 {
        let q = byte.wrapping_mul(3u8.pow(n));
        ((u16::from(q) * 3) >> 8) as i8 - 1
    }

    #[test]
    fn tq1_byte_decodes_as_ggml_does_for_all_243_codes_and_13_bytes_are_illegal() {
        let legal: Vec<u8> = (0..=255).filter(|&byte| tq1_code(byte).is_some()).collect();
        assert_eq!(legal.len(), 243);
        for byte in legal {
            let mut block = [128; 54];
            block[0] = byte;
            let mut trits = [0; TRITS_A_BLOCK];
            tq1_0(&block, &mut trits).unwrap();
            for n in 0..5 {
                assert_eq!(trits[32 * n as usize], ggml_digit(byte, n), "byte {byte}, digit {n}");
            }
        }
    }

    #[test]
    fn blocks_survive_a_round_trip() {
        let trits: [i8; TRITS_A_BLOCK] = std::array::from_fn(|i| ((i * i + i / 7) % 3) as i8 - 1);
        let scale = f16::from_f32(0.37);
        let (mut back, mut block) = ([9; TRITS_A_BLOCK], [0; 66]);
        to_tq1_0(&trits, scale, &mut block[..54]);
        assert_eq!(tq1_0(&block, &mut back), Ok(scale));
        assert_eq!(back, trits);
        to_tq2_0(&trits, scale, &mut block);
        assert_eq!(tq2_0(&block, &mut back), Ok(scale));
        assert_eq!(back, trits);
    }
}
