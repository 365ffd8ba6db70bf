//! The output head in integers (docs/numerics.md, section 8): `full` and `shortlist`.

use super::Reference;
use super::attention::quantised;
use super::model::dot;
use super::observer::{Observer, Saturations, Stage, Values};
use crate::numerics::Scale;
use crate::numerics::head::{PLANES, horner, logit, shortlist};

impl Reference<'_> {
    /// Logits of one residual row, the whole vocabulary, 16 fraction bits.
    pub fn head_full(&self, token: usize, x: &[i32], observer: &mut impl Observer, saturations: &mut Saturations) -> Vec<i32> {
        let (q8, s_x) = quantised(&self.model.head.norm, x, saturations);
        observer.see(None, Stage::OutputNormQ8, token, None, Values::Codes(&q8, s_x));
        let logits: Vec<i32> = (0..self.model.vocab).map(|r| self.row_logit(r, &q8, s_x, saturations)).collect();
        observer.see(None, Stage::Logits, token, None, Values::I32(&logits));
        logits
    }

    /// Logits of every row from the first plane alone (`acc = 81 · plane`): what the shortlist is drawn from.
    pub fn head_first_plane(&self, x: &[i32], saturations: &mut Saturations) -> Vec<i32> {
        let (q8, s_x) = quantised(&self.model.head.norm, x, saturations);
        let (plane, weight) = (&self.model.head.planes[0], 3i32.pow(PLANES as u32 - 1));
        (0..self.model.vocab).map(|r| self.scaled_logit(weight * dot(plane.row(r), &q8), r, s_x, saturations)).collect()
    }

    /// Full logits of the `n` rows whose first plane gives the largest logits (ties to the lower id), None for all others.
    pub fn head_shortlist(&self, x: &[i32], n: usize, saturations: &mut Saturations) -> Vec<Option<i32>> {
        let first = self.head_first_plane(x, saturations);
        let (q8, s_x) = quantised(&self.model.head.norm, x, saturations);
        let mut logits = vec![None; self.model.vocab];
        for r in shortlist(&first, n) {
            logits[r] = Some(self.row_logit(r, &q8, s_x, saturations));
        }
        logits
    }

    fn row_logit(&self, r: usize, q8: &[i8], s_x: Scale, saturations: &mut Saturations) -> i32 {
        let acc = self.model.head.planes.iter().fold(0, |acc, plane| horner(acc, dot(plane.row(r), q8)));
        self.scaled_logit(acc, r, s_x, saturations)
    }

    fn scaled_logit(&self, acc: i32, r: usize, s_x: Scale, saturations: &mut Saturations) -> i32 {
        let (s, scale_saturated) = s_x.mul_sat(self.model.head.row_scales[r]);
        let (y, saturated) = logit(acc, s);
        saturations.scales += u64::from(scale_saturated);
        saturations.logits += u64::from(saturated);
        y
    }
}
