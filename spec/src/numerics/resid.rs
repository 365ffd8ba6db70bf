//! Scaled sums and the residual add (docs/numerics.md, section 6).

use super::prim::{fits_signed, sat_narrow, shr_sat_narrow};
use super::scale::Scale;

/// `sat_32(shr(acc · s.m, −s.e))` of a signed 22-bit sum, and whether it saturated.
#[inline]
pub fn scaled_sum(acc: i32, s: Scale) -> (i32, bool) {
    debug_assert!(fits_signed(acc.into(), 22));
    let (y, saturated) = shr_sat_narrow(i64::from(acc) * i64::from(s.m), -i32::from(s.e), 32);
    (y as i32, saturated)
}

/// `sat_32(x + scaled_sum(acc, s))`, and the number of saturations (0 to 2).
#[inline]
pub fn residual(x: i32, acc: i32, s: Scale) -> (i32, u32) {
    let (add, first) = scaled_sum(acc, s);
    let (y, second) = sat_narrow(i64::from(x) + i64::from(add), 32);
    (y as i32, u32::from(first) + u32::from(second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn residual_is_the_rounded_and_clamped_sum(x in any::<i32>(), acc in -(1i32 << 21)..1 << 21, m in 1u16 << 15.., e in -128i8..127) {
            let s = Scale { m, e };
            // |acc·m| < 2^37: left shifts above 64 saturate whatever they are.
            let wide = i128::from(acc) * i128::from(m);
            let shifted = if e >= 0 { wide << e.min(64) } else { (wide + (1i128 << (-i32::from(e) - 1).min(100))) >> (-i32::from(e)).min(101) };
            let clamp = |v: i128| v.clamp(i32::MIN.into(), i32::MAX.into());
            let want = clamp(i128::from(x) + clamp(shifted));
            prop_assert_eq!(i128::from(residual(x, acc, s).0), want);
        }
    }
}
