//! int8 codes of both sides: which differences are single steps at a tie. In: the codes, and the values before rounding where they are known.
//! Out: counts of each kind.

use serde::Serialize;

use super::compare::described;
use crate::model::judge::stages::{ABSMAX_FLOOR, CODE_ONE, absmax};
use crate::model::judge::{Place, Stage};
use crate::trace::Tensor;

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

/// One side: its codes, and what it rounded to them.
#[derive(Clone, Copy)]
pub struct CodeSide<'t> {
    /// An int8 stage.
    pub codes: &'t Tensor,
    /// Its norm.
    pub norm: Option<&'t Tensor>,
}

/// The values before rounding, in codes.
fn unrounded(norm: &Tensor) -> Vec<f64> {
    norm.rows().flat_map(|row| row.iter().map(move |v| v * CODE_ONE / absmax(row).max(ABSMAX_FLOOR))).collect()
}

/// Whether any code differs.
pub fn any_differs(a: &Tensor, b: &Tensor) -> bool {
    matches!((&a.int8, &b.int8), (Some(x), Some(y)) if x.codes != y.codes)
}

/// Compares the codes of `place`. A value within `tie` codes of a boundary is at a tie; where the values before rounding of a side are not
/// known, differences count as carried if something further up differed (`differed`).
pub fn compare_codes(place: Place, a: CodeSide<'_>, b: CodeSide<'_>, tie: f64, differed: bool) -> CodeDifferences {
    let mut found = CodeDifferences::default();
    let (Some(x), Some(y)) = (&a.codes.int8, &b.codes.int8) else { return found };
    let [u, v] = [a.norm, b.norm].map(|norm| norm.map(unrounded));
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
            let number = |u: Option<f64>| u.map_or("unknown".into(), |u| format!("{u:.6}"));
            let width = a.codes.width().max(1);
            let index = described(place, &[at / width, at % width]);
            found.first = Some(format!("{index}: codes {p} and {q}, before rounding {} and {}", number(u), number(v)));
            first_is_real = real;
        }
    }
    found
}
