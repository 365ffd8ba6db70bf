//! ROM contents as plain integers, shared by the reference, the cycle model and the emitted Verilog (docs/numerics.md, sections 4, 5, 7).

use std::f64::consts::{FRAC_PI_2, TAU};

/// Entries of the quarter-wave sine ROM.
pub const SINE_ENTRIES: usize = 4096;
/// Entries of the sigmoid ROM.
pub const SIGMA_ENTRIES: usize = 4096;

/// Softmax ROM: 2^log2 entries (log2 2..=12) of `bits` bits (4..=23). Entry i is the fraction of 2^f at the centre of the codes f it
/// stands for: `min(2^b − 1, round((2^(((i+½)·4096/N − ½)/4096) − 1) · 2^b))`.
pub fn softmax_rom(log2: u32, bits: u32) -> Vec<u32> {
    debug_assert!((2..=12).contains(&log2) && (4..=23).contains(&bits));
    let n = 1u32 << log2;
    let top = (1u32 << bits) - 1;
    let codes = 4096.0 / f64::from(n);
    (0..n)
        .map(|i| {
            let centre = ((f64::from(i) + 0.5) * codes - 0.5) / 4096.0;
            top.min(((centre.exp2() - 1.0) * f64::from(bits).exp2()).round() as u32)
        })
        .collect()
}

/// Quarter-wave sine: `round(2^15 · sin(π/2 · (i + ½)/4096))`, 16 bits unsigned (the last entries are 2^15).
pub fn sine_rom() -> Vec<u32> {
    (0..SINE_ENTRIES).map(|i| (32768.0 * (FRAC_PI_2 * (i as f64 + 0.5) / 4096.0).sin()).round() as u32).collect()
}

/// Sigmoid of (i + ½)/256: `min(65535, round(2^16 / (1 + exp(−(i+½)/256))))`, 16 bits.
pub fn sigma_rom() -> Vec<u32> {
    (0..SIGMA_ENTRIES).map(|i| 65535.min((65536.0 / (1.0 + (-(i as f64 + 0.5) / 256.0).exp())).round() as u32)).collect()
}

/// Phase steps of RoPE, one a pair: `round(2^32 · theta^(−2j/HD) / 2π) mod 2^32`, j in 0..HD/2.
pub fn rope_steps(theta: f64, head_dim: usize) -> Vec<u32> {
    (0..head_dim / 2).map(|j| ((theta.powf(-2.0 * j as f64 / head_dim as f64) / TAU * 2f64.powi(32)).round() as u64) as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_rom_error_stays_below_its_bound_at_every_code() {
        for log2 in 2..=12 {
            for bits in [4, 8, 12, 16, 20, 23] {
                let rom = softmax_rom(log2, bits);
                assert_eq!(rom.len(), 1 << log2);
                for f in 0..4096u32 {
                    let got = 1.0 + f64::from(rom[(f >> (12 - log2)) as usize]) / f64::from(bits).exp2();
                    let want = (f64::from(f) / 4096.0).exp2();
                    // Half the width of an entry's codes times the steepest slope, half a unit of the entry (a whole one at the clamp).
                    let codes = f64::from(4096 >> log2);
                    let bound = (codes - 1.0) / 2.0 / 4096.0 * 2.0 * std::f64::consts::LN_2 + f64::from(-(bits as i32)).exp2();
                    assert!((got - want).abs() <= bound * 1.001, "2^{log2} x {bits}, f {f}: {got} {want}");
                }
            }
        }
    }

    #[test]
    fn sine_and_sigma_roms_keep_known_values() {
        let s = sine_rom();
        assert_eq!((s[0], s[1], s[2047], s[2048], s[4095]), (6, 19, 23166, 23175, 32768));
        let g = sigma_rom();
        assert_eq!((g[0], g[255], g[4095]), (32800, 47885, 65535));
    }

    #[test]
    fn rope_steps_are_the_turns_of_one_position() {
        let s = rope_steps(10_000.0, 64);
        assert_eq!((s.len(), s[0], s[16]), (32, 683_565_276, 6_835_653));
    }
}
