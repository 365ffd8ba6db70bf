//! `Scale`, a positive real with a 16-bit mantissa and an 8-bit exponent (docs/numerics.md, section 1).

use super::prim::{bitlen, shr_wide};

/// `value = m · 2^e`; m has its top bit set, or is 0 with e = −128 (zero).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scale {
    /// Mantissa, unsigned 16 bits.
    pub m: u16,
    /// Exponent, signed 8 bits.
    pub e: i8,
}

/// Bits of a Scale in the hardware: {e, m}.
pub const SCALE_BITS: usize = 24;

impl Default for Scale {
    fn default() -> Self {
        Scale::ZERO
    }
}

impl Scale {
    /// The value 0.
    pub const ZERO: Scale = Scale { m: 0, e: -128 };
    /// The value 1.
    pub const ONE: Scale = Scale { m: 1 << 15, e: -15 };

    /// `v · 2^e` rounded to a Scale, and whether its exponent saturated.
    #[inline]
    pub fn norm_sat(v: u128, e: i32) -> (Scale, bool) {
        if v == 0 {
            return (Scale::ZERO, false);
        }
        let n = bitlen(v) as i32;
        let (mut m, mut e) = if n <= 16 { (v << (16 - n), e - (16 - n)) } else { (shr_wide(v as i128, n - 16) as u128, e + n - 16) };
        if m == 1 << 16 {
            m = 1 << 15;
            e += 1;
        }
        if e > 127 {
            (Scale { m: 65535, e: 127 }, true)
        } else if e < -128 {
            (Scale::ZERO, true)
        } else {
            (Scale { m: m as u16, e: e as i8 }, false)
        }
    }

    /// [`Scale::norm_sat`] without its flag. v < 2^120.
    #[inline]
    pub fn norm(v: u128, e: i32) -> Scale {
        Scale::norm_sat(v, e).0
    }

    /// `self · other`, and whether the exponent saturated.
    #[inline]
    pub fn mul_sat(self, other: Scale) -> (Scale, bool) {
        Scale::norm_sat(u128::from(self.m) * u128::from(other.m), i32::from(self.e) + i32::from(other.e))
    }

    /// [`Scale::mul_sat`] without its flag.
    #[allow(clippy::should_implement_trait)]
    #[inline]
    pub fn mul(self, other: Scale) -> Scale {
        self.mul_sat(other).0
    }

    /// `self / other` (0 when other is zero), and whether the exponent saturated.
    pub fn div_sat(self, other: Scale) -> (Scale, bool) {
        if other.m == 0 {
            return (Scale::ZERO, false);
        }
        let quotient = (u64::from(self.m) << 17) / u64::from(other.m);
        Scale::norm_sat(quotient.into(), i32::from(self.e) - i32::from(other.e) - 17)
    }

    /// [`Scale::div_sat`] without its flag.
    #[allow(clippy::should_implement_trait)]
    pub fn div(self, other: Scale) -> Scale {
        self.div_sat(other).0
    }

    /// x ≥ 0 with its mantissa rounded half to even to 16 bits; for constants at compile time.
    pub fn of(x: f64) -> Scale {
        Scale::of_sat(x).0
    }

    /// [`Scale::of`], and whether x lies outside the exponent's range. A negative or non-finite x gives zero with the flag set.
    pub fn of_sat(x: f64) -> (Scale, bool) {
        if x == 0.0 {
            return (Scale::ZERO, false);
        }
        if !x.is_finite() || x < 0.0 {
            return (Scale::ZERO, true);
        }
        // f64 bits: a 53-bit integer mantissa v and a power of two, exactly (subnormals are far below the range).
        let bits = x.to_bits();
        let field = (bits >> 52) as i32;
        let fraction = bits & ((1 << 52) - 1);
        let (v, e) = if field == 0 { (fraction, -1074) } else { (fraction | 1 << 52, field - 1075) };
        let drop = bitlen(v.into()) as i32 - 16;
        let m = if drop > 0 { super::prim::rhe(v.into(), 1 << drop) } else { u128::from(v) };
        Scale::norm_sat(m, e + drop.max(0))
    }

    /// The stored form: `m | (e & 0xff) << 16`, 24 bits in a 32-bit word.
    #[inline]
    pub fn to_bits(self) -> u32 {
        u32::from(self.m) | u32::from(self.e as u8) << 16
    }

    /// Reads the low 24 bits of the stored form.
    #[inline]
    pub fn from_bits(bits: u32) -> Scale {
        Scale { m: bits as u16, e: (bits >> 16) as u8 as i8 }
    }

    /// The value as f64, exactly; for tests and reports.
    pub fn value(self) -> f64 {
        f64::from(self.m) * f64::from(self.e).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn norm_holds_at_its_edges() {
        assert_eq!(Scale::norm(1, 0), Scale { m: 0x8000, e: -15 });
        assert_eq!(Scale::norm(0xffff, 3), Scale { m: 0xffff, e: 3 });
        assert_eq!(Scale::norm(0x1ffff, 0), Scale { m: 0x8000, e: 2 }, "rounding up to 2^16 renormalises");
        assert_eq!(Scale::norm(0x1fffd, 0), Scale { m: 0xffff, e: 1 }, "half rounds up");
        assert_eq!(Scale::norm_sat(0xffff, 128), (Scale { m: 65535, e: 127 }, true));
        assert_eq!(Scale::norm_sat(1, -114), (Scale::ZERO, true));
        assert_eq!(Scale::norm_sat(1, -113), (Scale { m: 0x8000, e: -128 }, false));
        assert_eq!(Scale::norm_sat(0, 500), (Scale::ZERO, false));
        assert_eq!(Scale::of(1.0), Scale::ONE);
        assert_eq!(Scale::of(65535.5), Scale { m: 0x8000, e: 1 }, "tie to even goes up to 2^16");
        assert_eq!(Scale::of(32768.5), Scale { m: 0x8000, e: 0 }, "tie to even goes down");
    }

    proptest! {
        #[test]
        fn stored_form_reads_back(bits in 0u32..1 << 24) {
            prop_assert_eq!(Scale::from_bits(bits).to_bits(), bits);
        }

        #[test]
        fn results_lie_within_half_a_unit(a in 1u128..1 << 100, b in 1u64..1 << 40) {
            let half = 2f64.powi(-16) * 1.000_1;
            let (x, y) = (Scale::norm(a, -40), Scale::norm(b.into(), -20));
            let relative = |got: f64, want: f64| (got / want - 1.0).abs();
            prop_assert!(relative(x.value(), a as f64 * 2f64.powi(-40)) <= half);
            prop_assert!(relative(x.mul(y).value(), x.value() * y.value()) <= half);
            prop_assert!(relative(x.div(y).value(), x.value() / y.value()) <= half + 2f64.powi(-16));
            prop_assert!(relative(Scale::of(a as f64).value(), a as f64) <= half);
            prop_assert!(x.m >= 1 << 15 && x.mul(y).m >= 1 << 15 && x.div(y).m >= 1 << 15);
        }
    }
}
