//! Quantisation of one head's q, k or v to codes with one scale (docs/numerics.md, section 4).

use super::norm::quantise;
use super::prim::{fits_signed, fits_unsigned};
use super::scale::Scale;

/// Largest code for a KV width: 127 at 8 bits, 31 at 6, 7 at 4.
#[inline]
pub fn code_limit(bits: usize) -> u32 {
    (1 << (bits - 1)) - 1
}

/// Codes of `r[HD]` (signed 38) and the absmax A (unsigned 37): `code = sign · rhe(limit·|r|, A)`.
pub fn head_quantise(r: &[i64], limit: u32, codes: &mut [i8]) -> u64 {
    debug_assert!(r.iter().all(|&r| fits_signed(r.into(), 38)));
    let a = r.iter().map(|r| r.unsigned_abs()).max().unwrap_or(0);
    debug_assert!(fits_unsigned(a.into(), 37));
    for (c, &r) in codes.iter_mut().zip(r) {
        *c = quantise(r.into(), a.into(), limit);
    }
    a
}

/// Scale of the codes: `mul(mul(norm(A, 0), s_x), c)`, and the number of saturated exponents.
#[inline]
pub fn head_scale(a: u64, s_x: Scale, c: Scale) -> (Scale, u32) {
    let (b, x) = Scale::norm(a.into(), 0).mul_sat(s_x);
    let (s, y) = b.mul_sat(c);
    (s, u32::from(x) + u32::from(y))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn code_limits_are_symmetric() {
        assert_eq!([4, 6, 8].map(code_limit), [7, 31, 127]);
    }

    proptest! {
        #[test]
        fn every_code_is_the_nearest(r in prop::collection::vec(-(1i64 << 37) + 1..1 << 37, 32), bits in prop::sample::select(vec![4usize, 6, 8])) {
            let limit = code_limit(bits);
            let mut codes = vec![0; 32];
            let a = head_quantise(&r, limit, &mut codes);
            for (&c, &r) in codes.iter().zip(&r) {
                let err = (i128::from(c) * i128::from(a) - i128::from(r) * i128::from(limit)).unsigned_abs();
                prop_assert!(2 * err <= u128::from(a) && i64::from(c).unsigned_abs() <= limit.into());
            }
        }
    }
}
