//! The output head: rows as five ternary planes, Horner, logits with 16 fraction bits (docs/numerics.md, section 8).

use super::prim::{fits_signed, shr_sat};
use super::scale::Scale;

/// Planes of a head row.
pub const PLANES: usize = 5;
/// Largest |W|: (3^5 − 1)/2.
pub const MAX_WEIGHT: i32 = 121;

/// Five balanced ternary digits of W in −121..=121, most significant first.
pub fn balanced_digits(w: i32) -> [i8; PLANES] {
    debug_assert!(w.abs() <= MAX_WEIGHT);
    let mut rest = w + MAX_WEIGHT; // 0..=242: ordinary base 3, each digit one more than the balanced one
    let mut digits = [0; PLANES];
    for d in digits.iter_mut().rev() {
        *d = (rest % 3) as i8 - 1;
        rest /= 3;
    }
    digits
}

/// One step of Horner's scheme: `3·acc + plane`; signed 32 after the last.
#[inline]
pub fn horner(acc: i32, plane: i32) -> i32 {
    3 * acc + plane
}

/// A row of the vocabulary matrix as integers: `W = rhe(w/rs)`, `rs = of(absmax / 121)`.
pub fn quantise_row(row: &[f64], w: &mut [i8]) -> Scale {
    let absmax = row.iter().fold(0f64, |m, x| m.max(x.abs()));
    let rs = Scale::of(absmax / f64::from(MAX_WEIGHT));
    let value = rs.value();
    for (w, x) in w.iter_mut().zip(row) {
        *w = if value == 0.0 { 0 } else { (x / value).round_ties_even().clamp(-121.0, 121.0) as i8 };
    }
    rs
}

/// `sat_32(shr(acc · s.m, −(s.e + 16)))`, 16 fraction bits, and whether it saturated. `s = mul(s_x, rs)`.
#[inline]
pub fn logit(acc: i32, s: Scale) -> (i32, bool) {
    debug_assert!(fits_signed(acc.into(), 32));
    let (y, saturated) = shr_sat(i128::from(acc) * i128::from(s.m), -(i32::from(s.e) + 16), 32);
    (y as i32, saturated)
}

/// Index of the largest logit, ties to the lower id; None for no logits.
pub fn arg_max(logits: &[i32]) -> Option<usize> {
    logits
        .iter()
        .enumerate()
        .fold(None, |best: Option<(usize, i32)>, (i, &l)| match best {
            Some((_, b)) if b >= l => best,
            _ => Some((i, l)),
        })
        .map(|(i, _)| i)
}

/// The n largest, ties to the lower id; in order of id.
pub fn shortlist(logits: &[i32], n: usize) -> Vec<usize> {
    let mut ids: Vec<usize> = (0..logits.len()).collect();
    ids.sort_by_key(|&i| (std::cmp::Reverse(logits[i]), i));
    ids.truncate(n);
    ids.sort_unstable();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_give_every_weight_back_by_horner() {
        for w in -121..=121 {
            let d = balanced_digits(w);
            assert!(d.iter().all(|d| (-1..=1).contains(d)));
            assert_eq!(d.iter().fold(0, |acc, &d| horner(acc, d.into())), w);
        }
    }

    #[test]
    fn logits_round_and_saturate() {
        assert_eq!(logit(3, Scale::ONE), (3 << 16, false));
        assert_eq!(logit(-251_772_928, Scale::ONE), (i32::MIN, true));
        assert_eq!(logit(5, Scale::of(2f64.powi(-17))), (3, false), "2.5 rounds half up");
        assert_eq!(logit(-5, Scale::of(2f64.powi(-17))), (-2, false));
    }

    #[test]
    fn ties_go_to_the_lower_id() {
        assert_eq!(arg_max(&[1, 7, 7, 3]), Some(1));
        assert_eq!(arg_max(&[]), None);
        assert_eq!(shortlist(&[5, 9, 5, 9, 5], 3), vec![0, 1, 3]);
        assert_eq!(shortlist(&[1, 2], 9), vec![0, 1]);
    }

    #[test]
    fn rows_reach_121_and_zero_rows_stay_zero() {
        let mut w = [0; 3];
        let rs = quantise_row(&[0.3, -0.7, 0.1], &mut w);
        assert_eq!(w, [52, -121, 17]);
        assert!((rs.value() * 121.0 / 0.7 - 1.0).abs() < 2f64.powi(-16));
        assert_eq!(quantise_row(&[0.0; 3], &mut w), Scale::ZERO);
        assert_eq!(w, [0; 3]);
    }
}
