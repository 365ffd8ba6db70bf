//! RoPE by phase accumulation and one quarter-wave ROM (docs/numerics.md, section 4).

use crate::rom;

/// The quarter-wave sine ROM: 4096 entries of 16 bits.
#[derive(Clone, Debug)]
pub struct RopeRom(Vec<i32>);

impl Default for RopeRom {
    fn default() -> Self {
        RopeRom::new()
    }
}

impl RopeRom {
    /// Builds the ROM.
    pub fn new() -> Self {
        RopeRom(rom::sine_rom().into_iter().map(|v| v as i32).collect())
    }

    /// `(sin, cos)` of a phase in units of 2^−32 turns; 15 fraction bits, |value| ≤ 2^15.
    #[inline]
    pub fn sin_cos(&self, phase: u32) -> (i32, i32) {
        let i = (phase >> 18 & 0xfff) as usize;
        let (s, c) = (self.0[i], self.0[4095 - i]);
        match phase >> 30 {
            0 => (s, c),
            1 => (c, -s),
            2 => (-s, -c),
            _ => (-c, s),
        }
    }
}

/// Phase of a position: `pos · step mod 2^32`.
#[inline]
pub fn phase(pos: u32, step: u32) -> u32 {
    pos.wrapping_mul(step)
}

/// Rotates one pair of sums (signed 22): `(a·cos − b·sin, b·cos + a·sin)`, signed 38, exact.
#[inline]
pub fn rotate(a: i32, b: i32, sin: i32, cos: i32) -> (i64, i64) {
    debug_assert!(i64::from(a).abs() <= super::MAX_SUM && i64::from(b).abs() <= super::MAX_SUM);
    let (a, b, sin, cos) = (i64::from(a), i64::from(b), i64::from(sin), i64::from(cos));
    (a * cos - b * sin, b * cos + a * sin)
}

/// A value that is not rotated (V): `a · 2^15`, the same width.
#[inline]
pub fn unrotated(a: i32) -> i64 {
    i64::from(a) << 15
}

/// Rotates a whole head in place of its sums: `head[HD]` at position `pos` → `r[HD]`.
pub fn rotate_head(rom: &RopeRom, steps: &[u32], pos: u32, head: &[i32], r: &mut [i64]) {
    let half = head.len() / 2;
    debug_assert!(steps.len() == half && r.len() == head.len());
    for j in 0..half {
        let (sin, cos) = rom.sin_cos(phase(pos, steps[j]));
        (r[j], r[j + half]) = rotate(head[j], head[j + half], sin, cos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::fits_signed;
    use std::f64::consts::TAU;

    #[test]
    fn sine_and_cosine_are_those_of_the_phase_half_an_index_on() {
        let rom = RopeRom::new();
        for p in (0u64..1 << 32).step_by(99_991) {
            let p = p as u32;
            let (s, c) = rom.sin_cos(p);
            let angle = (f64::from(p >> 18) + 0.5) / 16384.0 * TAU;
            assert!((f64::from(s) - 32768.0 * angle.sin()).abs() <= 0.5 + 1e-6, "{p}");
            assert!((f64::from(c) - 32768.0 * angle.cos()).abs() <= 0.5 + 1e-6, "{p}");
        }
    }

    #[test]
    fn phase_stays_right_at_position_8191_and_theta_500000() {
        for (j, &step) in rom::rope_steps(500_000.0, 128).iter().enumerate() {
            let turns = 8191.0 * 500_000f64.powf(-2.0 * j as f64 / 128.0) / TAU;
            let got = f64::from(phase(8191, step)) / 2f64.powi(32);
            let diff = (got - turns).rem_euclid(1.0);
            assert!(diff.min(1.0 - diff) * TAU < 6.1e-6, "pair {j}: {diff}");
        }
    }

    #[test]
    fn rotation_fits_38_bits_at_the_largest_sums() {
        let m = crate::numerics::MAX_SUM as i32;
        for (a, b) in [(m, m), (m, -m), (-m, m), (-m, -m)] {
            for (sin, cos) in [(32768, 32768), (-32768, 32768), (32768, -32768)] {
                let (x, y) = rotate(a, b, sin, cos);
                assert!(fits_signed(x.into(), 38) && fits_signed(y.into(), 38));
            }
        }
    }
}
