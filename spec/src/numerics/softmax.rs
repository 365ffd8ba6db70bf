//! Scores and the streaming base-2 softmax (docs/numerics.md, section 5; Softermax, Stevens et al. 2021).
//!
//! Per query head and token, positions 0 … pos in order: `score` gives z, `Softmax::step` the weight of V and the accumulators' shift,
//! `accumulate` adds one position, `Softmax::finish` gives the reciprocal and `output` the result.

use super::prim::{bitlen, fits_signed, fits_unsigned, shr, shr_sat, shr_sat_narrow};
use super::scale::Scale;
use crate::rom;

/// The ROM of 2^f, f in [0, 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoftmaxRom {
    /// log2 of the number of entries, 2..=12.
    pub log2: u32,
    /// Bits of an entry, 4..=23.
    pub bits: u32,
    /// Contents.
    pub entries: Vec<u32>,
}

impl SoftmaxRom {
    /// 2^log2 entries (2..=12) of `bits` bits (4..=23).
    pub fn new(log2: u32, bits: u32) -> Self {
        SoftmaxRom { log2, bits, entries: rom::softmax_rom(log2, bits) }
    }

    /// `2^(t/4096)` for t ≤ 0 with 24 fraction bits, unsigned 25.
    #[inline]
    pub fn exp2(&self, t: i32) -> u32 {
        debug_assert!(t <= 0);
        let (whole, fraction) = (t >> 12, (t & 4095) as u32);
        let index = fraction >> (12 - self.log2);
        let p = shr(i64::from((1u32 << self.bits) + self.entries[index as usize]), self.bits as i32 - 24 - whole);
        debug_assert!(fits_unsigned(p as u128, 25));
        p as u32
    }
}

/// A score in log2 units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score {
    /// Signed 24 bits, 12 of them fraction.
    pub z: i32,
    /// Whether it saturated.
    pub saturated: bool,
}

/// `z = sat_24(shr(dot · m_k · m_q, −(e_k + e_q + 12)))`; dot signed 22.
#[inline]
pub fn score(dot: i32, s_k: Scale, s_q: Scale) -> Score {
    debug_assert!(fits_signed(dot.into(), 22));
    let product = i64::from(dot) * i64::from(s_k.m) * i64::from(s_q.m);
    let shift = -(i32::from(s_k.e) + i32::from(s_q.e) + 12);
    let (z, saturated) = shr_sat_narrow(product, shift, 24);
    Score { z: z as i32, saturated }
}

/// What one position hands to the value accumulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Weight of this position's V, unsigned 25.
    pub w: u32,
    /// Rounding right shift of the accumulators before the add, 0..=63.
    pub sh: u32,
}

/// Streaming state of one query head and token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// Running maximum of ceil(z), signed 13.
    pub max: i32,
    /// Sum of p, unsigned 40, 24 fraction bits.
    pub sum: u64,
    /// Running maximum of V's exponents, signed 8.
    pub exp: i32,
    /// Whether no position was taken yet.
    pub empty: bool,
}

impl Default for Softmax {
    fn default() -> Self {
        Softmax { max: 0, sum: 0, exp: 0, empty: true }
    }
}

impl Softmax {
    /// Takes one position: its score z (signed 24) and the scale of its V.
    #[inline]
    pub fn step(&mut self, rom: &SoftmaxRom, z: i32, s_v: Scale) -> Weight {
        debug_assert!(fits_signed(z.into(), 24));
        let z_max = (z + 4095) >> 12;
        debug_assert!(fits_signed(z_max.into(), 13));
        let e_v = i32::from(s_v.e);
        let (max, exp) = if self.empty { (z_max, e_v) } else { (self.max.max(z_max), self.exp.max(e_v)) };
        let (d_max, d_exp) = if self.empty { (0, 0) } else { (max - self.max, exp - self.exp) };
        let p = rom.exp2(z - 4096 * max);
        let sum = shr(self.sum as i64, d_max) as u64 + u64::from(p);
        debug_assert!(fits_unsigned(sum.into(), 40));
        let w = shr(i64::from(p) * i64::from(s_v.m), 16 + exp - e_v) as u32;
        debug_assert!(fits_unsigned(w.into(), 25));
        *self = Softmax { max, sum, exp, empty: false };
        Weight { w, sh: 63.min(d_max + d_exp) as u32 }
    }

    /// Reciprocal of the sum, at the end of a head.
    #[inline]
    pub fn finish(&self) -> Reciprocal {
        debug_assert!(!self.empty && self.sum >= 1 << 23);
        let mut n = bitlen(self.sum.into()) as i32;
        let mut s18 = shr(self.sum as i64, n - 18);
        if s18 == 1 << 18 {
            s18 = 1 << 17;
            n += 1;
        }
        let r = (1i64 << 35) / s18;
        debug_assert!((1 << 17..=1 << 18).contains(&r));
        Reciprocal { r: r as u32, shift: 19 + (n - 18) - self.exp }
    }
}

/// `acc' = shr(acc, sh) + w·v`: one dimension of the value accumulator, signed 48.
#[inline(always)]
pub fn accumulate(acc: i64, weight: Weight, v: i8) -> i64 {
    let next = shr(acc, weight.sh as i32) + i64::from(weight.w) * i64::from(v);
    debug_assert!(fits_signed(next.into(), 48));
    next
}

/// One reciprocal a head: `o = sat_32(shr(acc · r, shift))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reciprocal {
    /// floor(2^35 / S18), 19 bits, in [2^17, 2^18].
    pub r: u32,
    /// `19 + k − E`.
    pub shift: i32,
}

/// One dimension of the attention output, Fo fraction bits, and whether it saturated.
#[inline]
pub fn output(acc: i64, r: Reciprocal) -> (i32, bool) {
    debug_assert!(fits_signed(acc.into(), 48));
    let (o, saturated) = shr_sat(i128::from(acc) * i128::from(r.r), r.shift, 32);
    (o as i32, saturated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Rng;
    use proptest::prelude::*;

    /// Softmax-weighted mean in f64, scores in log2 units.
    fn float_attention(z: &[i32], v: &[i8], s_v: &[Scale]) -> f64 {
        let top = f64::from(*z.iter().max().unwrap());
        let p: Vec<f64> = z.iter().map(|&z| ((f64::from(z) - top) / 4096.0).exp2()).collect();
        let sum: f64 = p.iter().sum();
        p.iter().zip(v).zip(s_v).map(|((p, &v), s)| p / sum * f64::from(v) * s.value()).sum()
    }

    fn run(rom: &SoftmaxRom, z: &[i32], v: &[i8], s_v: &[Scale]) -> (i64, Softmax) {
        let (mut state, mut acc) = (Softmax::default(), 0);
        for ((&z, &v), &s) in z.iter().zip(v).zip(s_v) {
            acc = accumulate(acc, state.step(rom, z, s), v);
        }
        (acc, state)
    }

    #[test]
    fn p_follows_exp2_within_its_rom() {
        let rom = SoftmaxRom::new(12, 23);
        for t in -40 * 4096..=0 {
            let want = (f64::from(t) / 4096.0).exp2() * 2f64.powi(24);
            assert!((f64::from(rom.exp2(t)) - want).abs() <= 0.5 + want * 2f64.powi(-23), "{t}");
        }
        assert_eq!(rom.exp2(-4096 * 4096), 0);
        assert_eq!(SoftmaxRom::new(2, 4).exp2(0), (16 + 1) << 20, "a ROM of centres gives a bit above 1 at 0");
    }

    #[test]
    fn widths_hold_over_8192_equal_largest_scores() {
        let rom = SoftmaxRom::new(2, 23);
        let n = 8192;
        for v in [127i8, -127] {
            let s = Scale { m: 65535, e: -3 };
            let (acc, state) = run(&rom, &vec![8_388_607; n], &vec![v; n], &vec![s; n]);
            assert!(fits_signed(acc.into(), 48) && fits_unsigned(state.sum.into(), 40));
            let (o, saturated) = output(acc, state.finish());
            let want = f64::from(v) * s.value();
            assert!(!saturated && (f64::from(o) / want - 1.0).abs() < 1e-4, "{o} {want}");
        }
    }

    #[test]
    fn a_zero_scale_of_v_adds_nothing() {
        let rom = SoftmaxRom::new(8, 16);
        let mut state = Softmax::default();
        assert_eq!(state.step(&rom, 0, Scale::ZERO), Weight { w: 0, sh: 0 });
        assert_eq!(state.step(&rom, 0, Scale::ONE).sh, 63);
        assert_eq!(state.sum, 2 * u64::from(rom.exp2(0)));
    }

    #[test]
    fn the_running_maximum_rescales_what_came_before() {
        // z = 0 then z = 3.0: the first p (2^24) is worth 2^21 after the shift by 3.
        let rom = SoftmaxRom::new(12, 23);
        let mut state = Softmax::default();
        assert_eq!(state.step(&rom, 0, Scale::ONE), Weight { w: 1 << 23, sh: 0 });
        let w = state.step(&rom, 3 * 4096, Scale { m: 0x8000, e: -13 });
        assert_eq!((w.sh, w.w, state.sum, state.max, state.exp), (5, 1 << 23, (1 << 21) + (1 << 24), 3, -13));
    }

    #[test]
    fn scores_saturate_and_vanish_at_the_ends_of_the_exponents() {
        let big = Scale { m: 65535, e: 127 };
        assert_eq!(score(1, big, big), Score { z: 8_388_607, saturated: true });
        assert_eq!(score(-1, big, big), Score { z: -8_388_608, saturated: true });
        assert_eq!(score(0, big, big), Score { z: 0, saturated: false });
        let small = Scale { m: 65535, e: -128 };
        assert_eq!(score(-2_064_512, small, small), Score { z: 0, saturated: false });
        assert_eq!(score(3, Scale::ONE, Scale::ONE), Score { z: 3 * 4096, saturated: false });
    }

    proptest! {
        #[test]
        fn attention_follows_the_float_softmax(seed in any::<u64>(), n in 1usize..600, spread in 0i64..200_000, e_spread in 0i64..6) {
            let mut r = Rng::new(seed);
            let z: Vec<i32> = (0..n).map(|_| r.range(-spread, spread) as i32).collect();
            let v: Vec<i8> = (0..n).map(|_| r.range(-127, 127) as i8).collect();
            let s: Vec<Scale> = (0..n).map(|_| Scale { m: r.range(32768, 65535) as u16, e: r.range(-4 - e_spread, -4) as i8 }).collect();
            let (acc, state) = run(&SoftmaxRom::new(12, 23), &z, &v, &s);
            let (o, saturated) = output(acc, state.finish());
            let want = float_attention(&z, &v, &s);
            // A shift rounds by half a unit of 2^-8·2^E at every position; p by 2^-24, the reciprocal by 2^-17.
            let unit = 127.0 * f64::from(state.exp + 16).exp2();
            let bound = 1.0 + unit * (n as f64 * 2f64.powi(-23) + 2f64.powi(-15));
            prop_assert!(!saturated && (f64::from(o) - want).abs() <= bound, "{} {} {}", o, want, bound);
        }
    }
}
