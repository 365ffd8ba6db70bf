//! Rounding shift, rounded division, saturation, bit length, integer square root (docs/numerics.md, section 1).

/// Number of bits of x; 0 for 0.
#[inline]
pub fn bitlen(x: u128) -> u32 {
    128 - x.leading_zeros()
}

/// Whether x is a signed `bits`-bit integer.
#[inline]
pub fn fits_signed(x: i128, bits: u32) -> bool {
    let half = 1i128 << (bits - 1);
    (-half..half).contains(&x)
}

/// Whether x is an unsigned `bits`-bit integer.
#[inline]
pub fn fits_unsigned(x: u128, bits: u32) -> bool {
    bitlen(x) <= bits
}

/// `floor((x + 2^(s−1)) / 2^s)` for s > 0 (round half up, towards +∞), `x·2^(−s)` for s ≤ 0.
///
/// |x| < 2^62. A right shift of 64 or more gives 0, as the definition does for such x. A left shift must not leave 64 bits.
#[inline(always)]
pub fn shr(x: i64, s: i32) -> i64 {
    debug_assert!(x.unsigned_abs() < 1 << 62);
    if s >= 64 {
        0
    } else if s > 0 {
        (x + (1i64 << (s - 1))) >> s
    } else {
        debug_assert!(x == 0 || (s > -64 && bitlen(u128::from(x.unsigned_abs())) as i32 - s <= 63), "left shift leaves 64 bits");
        if s <= -64 { 0 } else { x << -s }
    }
}

/// [`shr`] for |x| < 2^120: a right shift of 122 or more gives 0.
#[inline]
pub fn shr_wide(x: i128, s: i32) -> i128 {
    debug_assert!(x.unsigned_abs() < 1 << 120);
    if s >= 122 {
        0
    } else if s > 0 {
        (x + (1i128 << (s - 1))) >> s
    } else {
        debug_assert!(x == 0 || bitlen(x.unsigned_abs()) as i32 - s <= 127, "left shift leaves 128 bits");
        if s <= -128 { 0 } else { x << -s }
    }
}

/// Clamp to a signed n-bit integer, and whether that changed x (a saturation).
#[inline]
pub fn sat(x: i128, bits: u32) -> (i64, bool) {
    let half = 1i128 << (bits - 1);
    let y = x.clamp(-half, half - 1);
    (y as i64, y != x)
}

/// `sat(shr(x, s), bits)` for any s, without forming what a left shift would make too wide. |x| < 2^120, bits ≤ 48.
#[inline]
pub fn shr_sat(x: i128, s: i32, bits: u32) -> (i64, bool) {
    if s >= 0 {
        return sat(shr_wide(x, s), bits);
    }
    // A left shift of 48 or more takes every x but 0 out of 48 bits; 64 keeps the product of a 48-bit survivor exact.
    let s = s.max(-64);
    let half = 1i128 << (bits - 1);
    let limit = half >> -s.min(0);
    if x > limit || x < -limit - 1 {
        return (if x > 0 { half - 1 } else { -half } as i64, true);
    }
    sat(x << -s, bits)
}

/// [`shr_sat`] for |x| < 2^62, in 64 bits.
#[inline(always)]
pub fn shr_sat_narrow(x: i64, s: i32, bits: u32) -> (i64, bool) {
    if s < 0 {
        return shr_sat(x.into(), s, bits);
    }
    sat_narrow(shr(x, s), bits)
}

/// [`sat`] in 64 bits.
#[inline(always)]
pub fn sat_narrow(x: i64, bits: u32) -> (i64, bool) {
    let half = 1i64 << (bits - 1);
    let y = x.clamp(-half, half - 1);
    (y, y != x)
}

/// n/d to the nearest integer, ties to even. d > 0, n < 2^127.
#[inline]
pub fn rhe(n: u128, d: u128) -> u128 {
    debug_assert!(d > 0 && n < 1 << 127);
    // 64-bit division is several times quicker than 128-bit; the result is the same.
    if let (Ok(n), Ok(d)) = (u64::try_from(n), u64::try_from(d)) {
        let (q, r) = (n / d, n % d);
        let rest = d - r;
        return u128::from(q + u64::from(r > rest || (r == rest && q & 1 == 1)));
    }
    let (q, r) = (n / d, n % d);
    let rest = d - r;
    q + u128::from(r > rest || (r == rest && q & 1 == 1))
}

/// floor(√x), bit by bit. x < 2^34 gives 17 bits.
#[inline]
pub fn isqrt(x: u64) -> u64 {
    let mut root = 0u64;
    let mut bit = 1u64 << 31;
    while bit > 0 {
        let next = root | bit;
        if next * next <= x {
            root = next;
        }
        bit >>= 1;
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shr_rounds_half_towards_plus_infinity() {
        let cases = [
            (5, 1, 3),
            (-5, 1, -2),
            (-6, 2, -1),
            (6, 2, 2),
            (-7, 2, -2),
            (1, 1, 1),
            (-1, 1, 0),
            (3, -2, 12),
            (-1, 63, 0),
            (1 << 61, 64, 0),
        ];
        for (x, s, y) in cases {
            assert_eq!(shr(x, s), y, "shr({x}, {s})");
            assert_eq!(shr_wide(x.into(), s), y.into(), "shr_wide({x}, {s})");
        }
    }

    #[test]
    fn rhe_takes_ties_to_even() {
        for (n, d, q) in [(1, 2, 0), (3, 2, 2), (5, 2, 2), (7, 2, 4), (6, 4, 2), (127, 1, 127), (0, 9, 0), (10, 3, 3), (11, 3, 4)] {
            assert_eq!(rhe(n, d), q, "{n}/{d}");
            assert_eq!(rhe(n << 70, d << 70), q, "wide {n}/{d}");
        }
    }

    proptest! {
        #[test]
        fn shr_is_floor_of_x_plus_half(x in -(1i64 << 62) + 1..(1i64 << 62), s in 1i32..100) {
            let wide = if s < 64 { (i128::from(x) + (1i128 << (s - 1))).div_euclid(1i128 << s) } else { 0 };
            prop_assert_eq!(i128::from(shr(x, s)), wide);
            prop_assert_eq!(shr_wide(x.into(), s), (i128::from(x) + (1i128 << (s - 1))).div_euclid(1i128 << s));
        }

        #[test]
        fn shr_sat_clamps_the_exact_product(x in -(1i64 << 50)..(1i64 << 50), s in -70i32..90, bits in prop::sample::select(vec![24u32, 32, 48])) {
            // Left shifts above 70 only saturate; within 70 the exact value fits 121 bits.
            let exact = if s <= 0 { i128::from(x) << -s } else { (i128::from(x) + (1i128 << (s - 1))).div_euclid(1i128 << s) };
            let half = 1i128 << (bits - 1);
            let want = exact.clamp(-half, half - 1);
            prop_assert_eq!(shr_sat(x.into(), s, bits), (want as i64, want != exact));
            prop_assert_eq!(shr_sat_narrow(x, s, bits), (want as i64, want != exact));
        }

        #[test]
        fn rhe_is_nearest_and_even_on_ties(n in 0u128..1 << 90, d in 1u128..1 << 80) {
            let q = rhe(n, d);
            let diff = (q * d).abs_diff(n);
            prop_assert!(2 * diff <= d);
            prop_assert!(2 * diff < d || q.is_multiple_of(2));
        }

        #[test]
        fn isqrt_is_the_floor(x in 0u64..1 << 34) {
            let r = isqrt(x);
            prop_assert!(r * r <= x && (r + 1) * (r + 1) > x);
        }
    }
}
