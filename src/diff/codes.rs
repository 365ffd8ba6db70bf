//! int8 codes of both sides: which differences are single steps at a tie. In: the codes, and the values before rounding where the traces
//! have them. Out: counts of each kind.

use serde::Serialize;

use super::compare::described;
use crate::model::judge::stages::{ABSMAX_FLOOR, CODE_ONE, absmax};
use crate::model::judge::{Place, Stage};
use crate::trace::{Tensor, Trace};

/// Codes that differ, by cause.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CodeDifferences {
    /// Codes that differ.
    pub differ: usize,
    /// By one, where the value before rounding lies at the boundary on both sides: either code is right.
    pub ties: usize,
    /// Where the values before rounding differ already: the cause lies further up.
    pub carried: usize,
    /// All others: the rounding itself is another one.
    pub real: usize,
    /// Largest step.
    pub largest: u32,
    /// The first real one, or else the first.
    pub first: Option<String>,
}

/// The norm whose codes an int8 stage holds.
pub fn norm_of(stage: Stage) -> Option<Stage> {
    match stage {
        Stage::AttnNormQ8 => Some(Stage::AttnNorm),
        Stage::AttnSubNormQ8 => Some(Stage::AttnSubNorm),
        Stage::FfnNormQ8 => Some(Stage::FfnNorm),
        Stage::FfnSubNormQ8 => Some(Stage::FfnSubNorm),
        _ => None,
    }
}

/// The values before rounding, in codes.
fn unrounded(place: Place, trace: &Trace) -> Option<Vec<f64>> {
    let norm = trace.get(Place { stage: norm_of(place.stage)?, ..place })?;
    Some(norm.rows().flat_map(|row| row.iter().map(move |v| v * CODE_ONE / absmax(row).max(ABSMAX_FLOOR))).collect())
}

/// Compares the codes of `place`. A value within `tie` codes of a boundary is at a tie; where a side has no values before rounding,
/// differences count as carried if something further up differed (`differed`).
pub fn compare_codes(place: Place, a: (&Trace, &Tensor), b: (&Trace, &Tensor), tie: f64, differed: bool) -> CodeDifferences {
    let mut found = CodeDifferences::default();
    let (Some(x), Some(y)) = (&a.1.int8, &b.1.int8) else { return found };
    let [u, v] = [a.0, b.0].map(|trace| unrounded(place, trace));
    let at_boundary = |u: f64| ((u - u.floor()) - 0.5).abs() <= tie;
    let mut first_is_real = false;
    for (at, (&p, &q)) in x.codes.iter().zip(&y.codes).enumerate() {
        if p == q {
            continue;
        }
        let step = i32::from(p).abs_diff(i32::from(q));
        let value = |side: &Option<Vec<f64>>| side.as_ref().and_then(|side| side.get(at).copied());
        let (u, v) = (value(&u), value(&v));
        found.differ += 1;
        found.largest = found.largest.max(step);
        let apart = u.zip(v).map(|(u, v)| (u - v).abs() > tie);
        let real = if step == 1 && apart != Some(true) && u.or(v).is_some_and(at_boundary) {
            found.ties += 1;
            false
        } else if apart.unwrap_or(differed) {
            found.carried += 1;
            false
        } else {
            found.real += 1;
            true
        };
        if found.first.is_none() || real && !first_is_real {
            let number = |u: Option<f64>| u.map_or("not in the trace".into(), |u| format!("{u:.6}"));
            let width = a.1.width().max(1);
            let index = described(place, &[at / width, at % width]);
            found.first = Some(format!("{index}: codes {p} and {q}, before rounding {} and {}", number(u), number(v)));
            first_is_real = real;
        }
    }
    found
}
