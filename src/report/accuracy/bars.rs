//! The bars an accuracy run must meet.

use super::{Accuracy, Variant};

/// Largest perplexity ratio.
pub const RATIO: f64 = 1.002;

/// Most flips: 1.5 times the floor's and three standard deviations of a count of that size.
pub fn most_flips(floor: usize) -> f64 {
    1.5 * floor as f64 + 3.0 * (floor as f64).sqrt()
}

/// Bars that are missed, each in words; empty when all hold. The floor of flips is the larger of its two lines.
pub fn missed(a: &Accuracy) -> Vec<String> {
    let floor = a.floor.f32.flips.max(a.floor.kv8.flips);
    let mut out = Vec::new();
    for (name, v) in [("attention", &a.variants.attention), ("whole", &a.variants.whole)] {
        variant(name, v, floor, &mut out);
    }
    out
}

fn variant(name: &str, v: &Variant, floor: usize, out: &mut Vec<String>) {
    // A ratio that is no number misses its bar too.
    if v.ratio.is_nan() || v.ratio > RATIO {
        out.push(format!("{name}: perplexity ratio {:.5}, expected at most {RATIO}", v.ratio));
    }
    if v.flips_sure > 0 {
        out.push(format!("{name}: {} flips where the judge is sure by 0.5, expected none", v.flips_sure));
    }
    let most = most_flips(floor);
    if v.flips as f64 > most {
        out.push(format!("{name}: {} flips, expected at most {most:.1} (1.5 x the floor's {floor} + 3 x its root)", v.flips));
    }
    for (stage, e) in &v.stages {
        if e.share.is_nan() || e.share > 1.0 {
            out.push(format!("{name}, stage {stage}: error {:.3e} is {:.2} of its bound {:.3e}", e.worst, e.share, e.bound));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_of_flips_grows_with_the_floor() {
        assert_eq!(most_flips(0), 0.0);
        assert_eq!(most_flips(16), 36.0);
    }
}
