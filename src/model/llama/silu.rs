//! `silu(gate) · up` in the bits of llama.cpp's AVX2 code: eight elements at a time with an exponential of its own (a
//! polynomial, at most 1.45 units in the last place off), those behind the last eight with the library's.
//!
//! Source of the polynomial: Arm Optimized Routines, `expf` (vector), as in ggml's `vec.h`.

/// Elements of a register.
const EIGHT: usize = 8;

/// `silu(gate) · up`, element by element of a row.
pub(super) fn gated(gate: &[f32], up: &[f32]) -> Vec<f32> {
    let whole = gate.len() / EIGHT * EIGHT;
    let value = |(at, (&gate, &up)): (usize, (&f32, &f32))| {
        let power = if at < whole { exp(0.0 - gate) } else { (-gate).exp() };
        gate / (1.0 + power) * up
    };
    gate.iter().zip(up).enumerate().map(value).collect()
}

/// Beyond this magnitude of the power of two the result is made in two steps.
const LARGE: f32 = 126.0;
/// Beyond this the result is 0 or infinite.
const HUGE: f32 = 192.0;

/// `e^x`: x = n·ln 2 + b, a polynomial of degree 5 in b, times 2^n.
fn exp(x: f32) -> f32 {
    // 1.5 · 2^23: adding it rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x.mul_add(f32::from_bits(0x3fb8_aa3b), ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts.
    let b = (-n).mul_add(f32::from_bits(0x35bf_be8e), (-n).mul_add(f32::from_bits(0x3f31_7200), x));
    let exponent = shifted.to_bits() << 23;
    let k = f32::from_bits(exponent.wrapping_add(1f32.to_bits()));
    let u = b * b;
    let high = f32::from_bits(0x3c07_2010).mul_add(b, f32::from_bits(0x3d2b_9f17));
    let low = f32::from_bits(0x3e2a_af33).mul_add(b, f32::from_bits(0x3eff_fedb));
    let j = high.mul_add(u, low).mul_add(u, f32::from_bits(0x3f7f_fff6) * b);
    if n.abs() <= LARGE {
        return k.mul_add(j, k);
    }
    let half = if n <= 0.0 { 0x8200_0000 } else { 0 };
    let first = f32::from_bits(0x7f00_0000u32.wrapping_add(half));
    let second = f32::from_bits(exponent.wrapping_sub(half));
    if n.abs() > HUGE { first * first } else { second.mul_add(j, second) * first }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_within_two_units_in_the_last_place_at_every_size() {
        for step in -8700..8800 {
            let x = step as f32 / 100.0 + 0.0031;
            let exact = f64::from(x).exp();
            let found = f64::from(exp(x));
            assert!((found - exact).abs() <= 2.0 * exact * f64::from(f32::EPSILON) + 1e-44, "{x}: {found} {exact}");
        }
        assert_eq!((exp(0.0), exp(-200.0), exp(200.0)), (1.0, 0.0, f32::INFINITY));
    }

    #[test]
    fn gates_are_those_of_the_definition() {
        let gate: Vec<f32> = (0..12).map(|i| i as f32 - 6.5).collect();
        let up: Vec<f32> = (0..12).map(|i| 1.0 + i as f32).collect();
        for ((found, &gate), &up) in gated(&gate, &up).iter().zip(&gate).zip(&up) {
            let expected = f64::from(gate) / (1.0 + (-f64::from(gate)).exp()) * f64::from(up);
            assert!((f64::from(*found) - expected).abs() <= 4.0 * expected.abs() * f64::from(f32::EPSILON), "{gate}");
        }
    }
}
