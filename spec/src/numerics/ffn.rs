//! Feed-forward activation and its sub-norm on integers with an exponent an element (docs/numerics.md, section 7).

use super::norm::{NormOut, norm_scale, quantise};
use super::prim::{bitlen, fits_signed, fits_unsigned, shr, shr_wide};
use super::scale::Scale;
use crate::rom;

/// One activation: |h| = m · 2^e, an integer; e in 0..=48, m unsigned 16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Whether h < 0.
    pub negative: bool,
    /// Mantissa; not normalised up, so a small |h| keeps e = 0.
    pub m: u16,
    /// Exponent, 0..=48.
    pub e: u8,
}

impl Element {
    /// Rounds h (|h| < 2^64) to 16 mantissa bits.
    pub fn of(h: i128) -> Element {
        let a = h.unsigned_abs();
        debug_assert!(fits_unsigned(a, 64));
        if bitlen(a) <= 16 {
            return Element { negative: h < 0, m: a as u16, e: 0 };
        }
        let s = Scale::norm(a, 0);
        debug_assert!((0..=48).contains(&s.e));
        Element { negative: h < 0, m: s.m, e: s.e as u8 }
    }

    /// The integer it stands for.
    pub fn value(self) -> i128 {
        let h = i128::from(self.m) << self.e;
        if self.negative { -h } else { h }
    }
}

/// The sigmoid ROM: 4096 entries of 16 bits.
#[derive(Clone, Debug)]
pub struct SigmaRom(Vec<u32>);

impl Default for SigmaRom {
    fn default() -> Self {
        SigmaRom(rom::sigma_rom())
    }
}

impl SigmaRom {
    /// σ(g·s_g) with 16 fraction bits, 0..=65536.
    pub fn sigma(&self, g: i32, s_g: Scale) -> u32 {
        // |g|·m is below 2^37: a right shift of 38 or more gives 0, a left shift of 12 or more of a non-zero product passes the ROM.
        let product = u64::from(g.unsigned_abs()) * u64::from(s_g.m);
        let shift = i32::from(s_g.e) + 8;
        let index = if shift < 0 { product >> (-shift).min(63) } else { product << shift.min(20) };
        let entry = self.0[index.min(4095) as usize];
        if g >= 0 { entry } else { 65536 - entry }
    }
}

/// `max(g, 0)² · u` of two signed 22-bit sums: signed 64.
pub fn relu_squared(g: i32, u: i32) -> i128 {
    debug_assert!(fits_signed(g.into(), 22) && fits_signed(u.into(), 22));
    let g = i128::from(g.max(0));
    let h = g * g * i128::from(u);
    debug_assert!(fits_signed(h, 64));
    h
}

/// `g · σ(g) · u`: signed 59, with 16 fraction bits of σ in it.
pub fn silu(rom: &SigmaRom, g: i32, u: i32, s_g: Scale) -> i128 {
    debug_assert!(fits_signed(g.into(), 22) && fits_signed(u.into(), 22));
    let h = i128::from(g) * i128::from(rom.sigma(g, s_g)) * i128::from(u);
    debug_assert!(fits_signed(h, 59));
    h
}

/// Scale of relu²: `mul(mul(s_g, s_g), s_u)`, and saturated exponents.
pub fn relu_squared_scale(s_g: Scale, s_u: Scale) -> (Scale, u32) {
    let (square, a) = s_g.mul_sat(s_g);
    let (s, b) = square.mul_sat(s_u);
    (s, u32::from(a) + u32::from(b))
}

/// Scale of SiLU: `mul(s_g, s_u)` with its exponent less 16 (σ's fraction bits), and saturated exponents.
pub fn silu_scale(s_g: Scale, s_u: Scale) -> (Scale, u32) {
    let (p, a) = s_g.mul_sat(s_u);
    let (s, b) = Scale::norm_sat(p.m.into(), i32::from(p.e) - 16);
    (s, u32::from(a) + u32::from(b))
}

/// Norm and int8 of the activations. K ≤ 16384, |gain| ≤ 65535, `c_eps = of(K·eps)`, `c = of(√K · 2^e_g / 127)`; s_h their common scale.
pub fn float_norm_quantise(h: &[Element], gain: &[i32], s_h: Scale, c_eps: Scale, c: Scale) -> NormOut {
    debug_assert!(h.len() == gain.len() && h.len() <= super::MAX_K);
    let u = |h: &Element, g: i32| -> i128 { h.value() * i128::from(g) };
    let a = h.iter().zip(gain).map(|(h, &g)| u(h, g).unsigned_abs()).max().unwrap_or(0);
    debug_assert!(fits_unsigned(a, 80));
    let q = h.iter().zip(gain).map(|(h, &g)| quantise(u(h, g), a, 127)).collect();

    let e_max = h.iter().filter(|h| h.m != 0).map(|h| i32::from(h.e)).max().unwrap_or(0);
    let ss: u64 = h.iter().map(|h| (shr(h.m.into(), e_max - i32::from(h.e)) as u64).pow(2)).sum();
    debug_assert!(fits_unsigned(ss.into(), 46));
    let (square, s0) = s_h.mul_sat(s_h);
    let (t, s1) = c_eps.div_sat(square);
    // A left shift of 48 or more takes a 16-bit mantissa to 2^63 or beyond.
    let shift = (2 * e_max - i32::from(t.e)).max(-64);
    let eps = shr_wide(t.m.into(), shift).min(1 << 63) as u128;
    let (scale, s2) = norm_scale(a, (u128::from(ss) + eps).max(1), c, -e_max);
    NormOut { q, scale, saturations: u32::from(s0) + u32::from(s1) + s2 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Rng;
    use proptest::prelude::*;

    #[test]
    fn activation_widths_hold_at_the_largest_sums() {
        let m = crate::numerics::MAX_SUM as i32;
        let h = relu_squared(m, -m);
        assert_eq!(h, -i128::from(m).pow(3));
        let e = Element::of(h);
        assert!(e.negative && (e.value() as f64 / h as f64 - 1.0).abs() <= 2f64.powi(-16));
        assert_eq!(relu_squared(-5, 9), 0);
        assert!(silu(&SigmaRom::default(), m, m, Scale::ONE) == i128::from(m).pow(2) * 65535);
        assert_eq!(Element::of(-0xffff), Element { negative: true, m: 0xffff, e: 0 });
        assert_eq!(Element::of(0x1ffff), Element { negative: false, m: 0x8000, e: 2 });
    }

    #[test]
    fn sigma_follows_the_logistic_function() {
        let rom = SigmaRom::default();
        for s in [2f64.powi(-10), 3.3e-4, 0.02, 1e-9, 5e7] {
            let scale = Scale::of(s);
            for g in (-2_080_768..=2_080_768).step_by(40_011) {
                let x = f64::from(g) * scale.value();
                let want = 65536.0 / (1.0 + (-x).exp());
                // Half an entry's width at the steepest slope (1/4), half a unit.
                assert!((f64::from(rom.sigma(g, scale)) - want).abs() <= 0.5 / 256.0 / 4.0 * 65536.0 + 1.0, "{g} {s}");
            }
        }
    }

    fn check(h: &[i128], gain: &[i32], s_h: Scale, eps: f64) {
        let k = h.len() as f64;
        let e: Vec<Element> = h.iter().map(|&h| Element::of(h)).collect();
        let c = Scale::of(k.sqrt() * 2f64.powi(-16) / 127.0);
        let out = float_norm_quantise(&e, gain, s_h, Scale::of(k * eps), c);
        assert_eq!(out.saturations, 0);
        let x: Vec<f64> = h.iter().map(|&h| h as f64 * s_h.value()).collect();
        let rms = (x.iter().map(|x| x * x).sum::<f64>() / k + eps).sqrt();
        let y: Vec<f64> = x.iter().zip(gain).map(|(x, &g)| x / rms * f64::from(g) * 2f64.powi(-16)).collect();
        let max = y.iter().fold(0f64, |m, y| m.max(y.abs()));
        let unit = f64::from(e.iter().map(|e| e.e).max().unwrap()).exp2() * s_h.value();
        let eps_rounding = 0.5 * unit * unit / (rms * rms * k);
        for (i, (&q, y)) in out.q.iter().zip(&y).enumerate() {
            // Half a code; a dozen roundings of 2^-16; epsilon's term rounded to an integer beside the sum of squares.
            let bound = max / 127.0 * 0.5 + max * (12.0 * 2f64.powi(-16) + eps_rounding);
            let got = f64::from(q) * out.scale.value();
            assert!((got - y).abs() <= bound, "element {i}: {got} {y} {bound}");
        }
    }

    #[test]
    fn widths_hold_at_the_largest_vector() {
        let m = i128::from(crate::numerics::MAX_SUM).pow(3);
        check(&vec![m; 16384], &vec![65535; 16384], Scale::of(1e-12), 1e-5);
        check(&vec![-1; 16384], &vec![-65535; 16384], Scale::of(1e-3), 1e-5);
    }

    #[test]
    fn a_zero_vector_gives_zero_codes_and_scale() {
        let out = float_norm_quantise(&[Element::default(); 16], &[3; 16], Scale::of(0.01), Scale::of(1e-4), Scale::ONE);
        assert_eq!((out.q, out.scale), (vec![0; 16], Scale::ZERO));
        let out = float_norm_quantise(&[Element::default(); 16], &[3; 16], Scale::ZERO, Scale::of(1e-4), Scale::ONE);
        assert_eq!(out.scale, Scale::ZERO);
    }

    proptest! {
        #[test]
        fn codes_and_scale_follow_the_float_norm(seed in any::<u64>(), k in 1usize..200, bits in 4u32..64, s in 1e-9f64..1e-2) {
            let mut r = Rng::new(seed);
            let h: Vec<i128> = (0..k).map(|_| i128::from(r.next_u64() as i64 >> (64 - bits)) >> r.below(8)).collect();
            let gain: Vec<i32> = (0..k).map(|_| r.range(-65535, 65535) as i32).collect();
            check(&h, &gain, Scale::of(s), 1e-5);
        }
    }
}
