//! RMSNorm with per-token int8 quantisation on integers (docs/numerics.md, section 2).
//!
//! In: `x[K]` signed 32, gains signed 17, the epsilon term C and the constant c. Out: `q[K]` int8 and one Scale with y_i ≈ q_i · scale.

use super::prim::{bitlen, fits_unsigned, isqrt, rhe};
use super::scale::Scale;

/// What the norm of one vector gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormOut {
    /// Int8 codes, |q| ≤ 127.
    pub q: Vec<i8>,
    /// Scale of the codes.
    pub scale: Scale,
    /// Saturated scale exponents (0 in sane models).
    pub saturations: u32,
}

/// `sign(u) · rhe(limit·|u|, a)`; 0 when a = 0. |u| ≤ a, limit ≤ 127.
#[inline]
pub fn quantise(u: i128, a: u128, limit: u32) -> i8 {
    if a == 0 {
        return 0;
    }
    debug_assert!(u.unsigned_abs() <= a);
    let q = rhe(u.unsigned_abs() * u128::from(limit), a) as i8;
    if u < 0 { -q } else { q }
}

/// Root and reciprocal of the mean square: `(k, d)` with 2^k · 2^34/d ≈ √T. T unsigned 77 bits and not 0; d 19 bits, in (2^17, 2^18].
pub fn reciprocal_root(t: u128) -> (i32, u32) {
    debug_assert!(t > 0 && fits_unsigned(t, 77));
    let n = bitlen(t) as i32;
    let k = (n - 33).div_euclid(2); // ceil((n − 34)/2): leaves 33 or 34 bits
    let reduced = if k >= 0 { t >> (2 * k) } else { t << (-2 * k) };
    let root = isqrt(reduced as u64);
    debug_assert!((1 << 16..1 << 17).contains(&root));
    let d = (1u64 << 34) / root;
    debug_assert!(d > 1 << 17 && d <= 1 << 18);
    (k, d as u32)
}

/// The scale of the codes from the largest |u| (`a`), T = Σx² + C, the constant c and an exponent correction (0 except after the
/// feed-forward, where it is −e_max); and the number of saturated exponents.
pub fn norm_scale(a: u128, t: u128, c: Scale, correction: i32) -> (Scale, u32) {
    let (k, d) = reciprocal_root(t);
    let (a, s0) = Scale::norm_sat(a, 0);
    let (b, s1) = Scale::norm_sat(u128::from(a.m) * u128::from(d), i32::from(a.e) - 34 - k + correction);
    let (s, s2) = b.mul_sat(c);
    (s, u32::from(s0) + u32::from(s1) + u32::from(s2))
}

/// Norm and int8 of one vector. K ≤ 16384, |gain| ≤ 65535, 1 ≤ C < 2^64, `c = of(√K · 2^e_g / 127)`.
pub fn norm_quantise(x: &[i32], gain: &[i32], eps: u64, c: Scale) -> NormOut {
    debug_assert!(x.len() == gain.len() && x.len() <= super::MAX_K && eps >= 1);
    let mut a = 0u64;
    let mut ss = 0u128;
    for (&x, &g) in x.iter().zip(gain) {
        debug_assert!(g.unsigned_abs() <= 65535);
        a = a.max((i64::from(x) * i64::from(g)).unsigned_abs());
        ss += u128::from(i64::from(x).unsigned_abs().pow(2));
    }
    debug_assert!(fits_unsigned(a.into(), 47) && fits_unsigned(ss, 77));
    let q = x.iter().zip(gain).map(|(&x, &g)| quantise((i64::from(x) * i64::from(g)).into(), a.into(), 127)).collect();
    let (scale, saturations) = norm_scale(a.into(), ss + u128::from(eps), c, 0);
    NormOut { q, scale, saturations }
}

/// The compile-time constants of a norm: `C = max(1, round(K·eps·2^(2F)))` and `c = of(√K · 2^e_g / 127)`; None when C leaves 64 bits.
pub fn norm_constants(k: usize, eps: f64, frac: u32, gain_exponent: i32) -> Option<(u64, Scale)> {
    let c = (k as f64 * eps * f64::from(2 * frac).exp2()).round().max(1.0);
    if c.is_nan() || c >= 2f64.powi(64) {
        return None;
    }
    Some((c as u64, Scale::of((k as f64).sqrt() * f64::from(gain_exponent).exp2() / 127.0)))
}

/// Gains of a norm as signed 17-bit integers with one exponent: the exponent for which max|g| lies in [2^15, 2^16), rounded half to even.
pub fn integer_gains(gain: &[f64]) -> (Vec<i32>, i32) {
    let largest = gain.iter().fold(0f64, |m, g| m.max(g.abs()));
    if largest == 0.0 {
        return (vec![0; gain.len()], 0);
    }
    let mut e = largest.log2().floor() as i32 - 15;
    let round = |e: i32| -> Vec<i32> { gain.iter().map(|g| (g * f64::from(-e).exp2()).round_ties_even() as i32).collect() };
    let mut g = round(e);
    let max = |g: &[i32]| g.iter().map(|g| g.unsigned_abs()).max().unwrap_or(0);
    // log2 may be off by one unit at a power of two, and rounding may reach 2^16.
    while max(&g) >= 1 << 16 {
        e += 1;
        g = round(e);
    }
    while max(&g) < 1 << 15 {
        e -= 1;
        g = round(e);
    }
    (g, e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn float_norm(x: &[i32], gain: &[i32], eps: u64, e_g: i32) -> Vec<f64> {
        let k = x.len() as f64;
        let ms = (x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() + eps as f64) / k;
        x.iter().zip(gain).map(|(&x, &g)| f64::from(x) / ms.sqrt() * f64::from(g) * f64::from(e_g).exp2()).collect()
    }

    fn check(x: &[i32], gain: &[i32], eps: u64) {
        let c = Scale::of((x.len() as f64).sqrt() * 2f64.powi(-16) / 127.0);
        let out = norm_quantise(x, gain, eps, c);
        let y = float_norm(x, gain, eps, -16);
        let max = y.iter().fold(0f64, |m, v| m.max(v.abs()));
        assert_eq!(out.saturations, 0);
        for (i, (&q, &y)) in out.q.iter().zip(&y).enumerate() {
            // Half a code, and the scale's own error: three roundings of 2^-16, floor of the root and of the reciprocal 2^-16.
            let bound = max / 127.0 * (0.5 + 1e-6) + y.abs() * 5.0 * 2f64.powi(-16);
            let got = f64::from(q) * out.scale.value();
            assert!((got - y).abs() <= bound, "element {i}: {got} against {y}, bound {bound}");
        }
    }

    #[test]
    fn widths_hold_at_the_largest_vector() {
        check(&vec![i32::MIN; 16384], &vec![65535; 16384], 1);
        check(&vec![i32::MAX; 16384], &vec![-65535; 16384], u64::MAX);
        let t = (1u128 << 76) + u128::from(u64::MAX);
        let (k, d) = reciprocal_root(t);
        assert!((2f64.powi(34 + k) / f64::from(d) / (t as f64).sqrt() - 1.0).abs() < 2f64.powi(-15));
    }

    #[test]
    fn a_zero_vector_gives_zero_codes_and_scale() {
        let out = norm_quantise(&[0; 32], &[65535; 32], 7, Scale::ONE);
        assert_eq!((out.q, out.scale), (vec![0; 32], Scale::ZERO));
    }

    #[test]
    fn integer_gains_fill_sixteen_bits() {
        for scale in [1.0, 0.999_999, 65535.7, 3e-5, 2f64.powi(-9)] {
            let gain: Vec<f64> = (0..64).map(|i| scale * (1.0 - f64::from(i) / 40.0)).collect();
            let (g, e) = integer_gains(&gain);
            let max = g.iter().map(|g| g.unsigned_abs()).max().unwrap();
            assert!((1 << 15..1 << 16).contains(&max), "{scale}: {max}");
            for (g, w) in g.iter().zip(&gain) {
                assert!((f64::from(*g) * f64::from(e).exp2() - w).abs() <= 0.5 * f64::from(e).exp2());
            }
        }
        assert_eq!(integer_gains(&[0.0; 3]), (vec![0; 3], 0));
    }

    proptest! {
        #[test]
        fn root_and_reciprocal_meet_their_widths(t in 1u128..1 << 77) {
            let (k, d) = reciprocal_root(t);
            let got = 2f64.powi(34 + k) / f64::from(d);
            prop_assert!((got / (t as f64).sqrt() - 1.0).abs() < 2f64.powi(-15));
        }

        #[test]
        fn codes_and_scale_follow_the_float_norm(bits in 2u32..32, seed in any::<u64>(), k in 1usize..300, eps in 1u64..1 << 50) {
            let mut r = crate::random::Rng::new(seed);
            let x: Vec<i32> = (0..k).map(|_| (r.next_u64() as i32) >> (32 - bits)).collect();
            let gain: Vec<i32> = (0..k).map(|_| (r.next_u64() % 131_071) as i32 - 65535).collect();
            check(&x, &gain, eps);
        }
    }
}
