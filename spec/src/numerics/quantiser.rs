//! Quantisation of many values by one divisor without a division each: [`quantise`](super::quantise), bit for bit.

/// `sign · rhe(limit·|u|, a)` for one absmax `a` and many u.
#[derive(Clone, Copy, Debug)]
pub struct Quantiser {
    a: i64,
    limit: i64,
    inverse: f64,
}

impl Quantiser {
    /// For the absmax `a` < 2^47 of a vector and `limit` ≤ 127.
    #[inline]
    pub fn new(a: u64, limit: u32) -> Self {
        debug_assert!(a < 1 << 47 && limit <= 127);
        // The inverse of an absmax of 0 is never looked at: every u is 0 then.
        Quantiser { a: a as i64, limit: limit.into(), inverse: 1.0 / a.max(1) as f64 }
    }

    /// The code of u; |u| ≤ a.
    #[inline(always)]
    pub fn code(&self, u: i64) -> i8 {
        let n = (u.unsigned_abs() as i64) * self.limit;
        // n < 2^54 and the quotient is at most 127: three roundings of 2^-53 leave the estimate within 2^-44 of n/a, so q is the nearest
        // integer or, next to a tie, one beside it; the exact remainder settles it.
        let q = (n as f64 * self.inverse + 0.5) as i32 as i64;
        let twice = 2 * (n - q * self.a);
        let odd = q & 1;
        let q = q + i64::from(twice + odd > self.a) - i64::from(twice - odd < -self.a);
        (if u < 0 { -q } else { q }) as i8
    }
}

/// 1.5·2^52: an integer of up to 51 bits added to its bits, or a float added to it, stands in the low bits of the sum.
const MAGIC: f64 = 6_755_399_441_055_744.0;

impl Quantiser {
    /// The codes of many u; |u| ≤ a. Straight-line code on vector lanes, without an integer division or conversion.
    #[inline(always)]
    pub fn codes(&self, u: &[i64], codes: &mut [i8]) {
        let factor = self.limit as f64 / self.a.max(1) as f64;
        let mut farthest = 0f64;
        for (code, &u) in codes.iter_mut().zip(u) {
            // Exact: |u| < 2^47. Two roundings of 2^-53 leave t within 2^-45 of the quotient.
            let u = f64::from_bits((u as u64).wrapping_add(MAGIC.to_bits())) - MAGIC;
            let t = u * factor;
            let rounded = t + MAGIC;
            let distance = (t - (rounded - MAGIC)).abs();
            farthest = if distance > farthest { distance } else { farthest };
            *code = rounded.to_bits() as i8;
        }
        // What lies so near to a tie may have been rounded to the wrong side.
        if farthest > 0.5 - 2f64.powi(-40) {
            codes.iter_mut().zip(u).for_each(|(code, &u)| *code = self.code(u));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::quantise;
    use proptest::prelude::*;

    fn check(u: i64, a: u64, limit: u32) {
        let (quantiser, mut codes) = (Quantiser::new(a, limit), [0; 1]);
        quantiser.codes(&[u], &mut codes);
        let want = quantise(u.into(), a.into(), limit);
        assert_eq!((quantiser.code(u), codes[0]), (want, want), "u {u}, a {a}, limit {limit}");
    }

    #[test]
    fn every_value_of_small_divisors_is_the_rounded_quotient() {
        for limit in [7, 31, 127] {
            for a in 0..700u64 {
                (-(a as i64)..=a as i64).for_each(|u| check(u, a, limit));
            }
        }
    }

    #[test]
    fn ties_and_their_neighbours_are_the_rounded_quotient() {
        // 2·limit·u = (2k + 1)·a at a tie: a multiple of 2·limit gives one for every k.
        for limit in [7u32, 31, 127] {
            let unit = 2 * u64::from(limit);
            for factor in [1, 2, 3, 1000, 1 << 20, (1 << 38) - 1, (1 << 38) + 5, ((1u64 << 47) - 2) / unit] {
                for a in [unit * factor, unit * factor - 1, unit * factor + 1] {
                    for k in 0..u64::from(limit) {
                        let tie = (2 * k + 1) * factor;
                        for u in [tie - 1, tie, tie + 1, 2 * k * factor] {
                            if u <= a {
                                check(u as i64, a, limit);
                                check(-(u as i64), a, limit);
                            }
                        }
                    }
                    check(a as i64, a, limit);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_value_is_the_rounded_quotient(bits in 1u32..48, a: u64, u: u64, limit in prop::sample::select(vec![7u32, 31, 127])) {
            let a = a >> (64 - bits);
            let u = (u % (a + 1)) as i64;
            check(u, a, limit);
            check(-u, a, limit);
        }
    }
}
