//! Two tensors beside each other. In: both, the number of elements that count, a tolerance. Out: [`Stats`].

use serde::Serialize;

use crate::model::judge::{Place, Stage};
use crate::trace::Tensor;

/// How two tensors of one stage differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    /// Σab / √(Σa²·Σb²); 1 where both are zero.
    pub cosine: f64,
    /// Largest |a - b|.
    pub max_error: f64,
    /// Largest |a - b| / max(|a|, |b|, RMS of a): what the tolerance bounds.
    pub max_relative: f64,
    /// √(Σ(a-b)² / Σa²).
    pub rms_relative: f64,
    /// Root mean square of a and b.
    pub rms: [f64; 2],
    /// Elements compared, and those beyond the tolerance.
    pub elements: usize,
    /// See [`Stats::elements`].
    pub beyond: usize,
    /// The first element beyond the tolerance.
    pub first: Option<Element>,
    /// The element of the largest error.
    pub worst: Option<Element>,
    /// What all elements beyond the tolerance have in common, where they are several: one token, one head.
    pub all_at: Option<String>,
}

/// One element of both sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Element {
    /// Index on each axis.
    pub index: Vec<usize>,
    /// The index in words: token 3, head 2, element 17.
    pub place: String,
    /// a and b there.
    pub values: [f64; 2],
}

/// Why two tensors of one name cannot be laid beside each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unlike {
    /// Shape of a and b.
    pub shapes: [Vec<usize>; 2],
}

/// The axes of a stage.
fn axes(stage: Stage, count: usize) -> &'static [&'static str] {
    match stage {
        Stage::Q | Stage::K | Stage::V | Stage::QRope | Stage::KRope => &["token", "head", "element"],
        Stage::Kq | Stage::KqSoft => &["head", "query", "key"],
        Stage::ResultOutput => &["token", "id"],
        _ => &["token", "element", "", ""][..count.min(4)],
    }
}

/// An index in the words of the stage's axes.
pub fn described(place: Place, index: &[usize]) -> String {
    let names = axes(place.stage, index.len());
    names.iter().zip(index).map(|(name, i)| format!("{name} {i}")).collect::<Vec<_>>().join(", ")
}

fn unravel(shape: &[usize], mut at: usize) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, &size) in index.iter_mut().zip(shape).rev() {
        (*i, at) = (at % size, at / size);
    }
    index
}

/// Whether an element counts: what kq holds behind its query does not.
pub fn counts(place: Place, shape: &[usize], at: usize) -> bool {
    if place.stage != Stage::Kq || shape.len() != 3 {
        return true;
    }
    let (queries, keys) = (shape[1], shape[2]);
    at % keys <= keys - queries + at / keys % queries
}

/// How many values are no finite numbers and where the first is, in words; none where all are. What kq holds behind its query does not count.
pub fn not_numbers(place: Place, t: &Tensor) -> Option<String> {
    let mut found = t.values.iter().enumerate().filter(|(at, v)| !v.is_finite() && counts(place, &t.shape, *at));
    let (first, _) = found.next()?;
    let first = described(place, &unravel(&t.shape, first));
    Some(format!("{} of {} values that are no numbers (first at {first})", found.count() + 1, t.values.len()))
}

/// Whether all values that count are 0.
pub fn is_zero(place: Place, t: &Tensor) -> bool {
    t.values.iter().enumerate().all(|(at, v)| *v == 0.0 || !counts(place, &t.shape, at))
}

/// |a - b|; 0 for equal infinities, infinite where either is not a number.
fn distance(a: f64, b: f64) -> f64 {
    if a == b {
        return 0.0;
    }
    let d = (a - b).abs();
    if d.is_nan() { f64::INFINITY } else { d }
}

/// Compares `a` with `b`; where one has the last token's logits alone, those.
///
/// # Errors
/// [`Unlike`] where the shapes do not fit.
pub fn compare(place: Place, a: &Tensor, b: &Tensor, tolerance: f64) -> Result<Stats, Unlike> {
    let unlike = || Unlike { shapes: [a.shape.clone(), b.shape.clone()] };
    if a.shape.len() != b.shape.len() || a.shape[1..] != b.shape[1..] {
        return Err(unlike());
    }
    let rows = a.shape[0].min(b.shape[0]);
    let may_be_last = matches!(place.stage, Stage::ResultNorm | Stage::ResultOutput);
    if a.shape[0] != b.shape[0] && !(rows == 1 && may_be_last) {
        return Err(unlike());
    }
    let last = |t: &Tensor| t.values.len() - rows * t.width();
    let shape: Vec<usize> = std::iter::once(rows).chain(a.shape[1..].iter().copied()).collect();
    // Indices are those of the side with all rows.
    let skipped = a.shape[0].max(b.shape[0]) - rows;
    let (x, y) = (&a.values[last(a)..], &b.values[last(b)..]);
    let counted = || x.iter().zip(y).enumerate().filter(|(at, _)| counts(place, &shape, *at));
    let (mut aa, mut bb, mut ab, mut dd, mut elements) = (0.0, 0.0, 0.0, 0.0, 0usize);
    for (_, (a, b)) in counted() {
        let d = distance(*a, *b);
        (aa, bb, ab, dd, elements) = (aa + a * a, bb + b * b, ab + a * b, dd + d * d, elements + 1);
    }
    let count = (elements as f64).max(1.0);
    let rms = [(aa / count).sqrt(), (bb / count).sqrt()];
    let element = |at: usize| {
        let mut index = unravel(&shape, at);
        index[0] += skipped;
        Element { place: described(place, &index), index, values: [x[at], y[at]] }
    };
    let (mut beyond, mut first, mut worst, mut max_error, mut max_relative) = (0, None, None, 0.0, 0.0f64);
    let mut common: Vec<Option<usize>> = Vec::new();
    for (at, (a, b)) in counted() {
        let d = distance(*a, *b);
        if d == 0.0 {
            continue;
        }
        let relative = d / a.abs().max(b.abs()).max(rms[0]).max(f64::MIN_POSITIVE);
        let relative = if relative.is_nan() { f64::INFINITY } else { relative };
        max_relative = max_relative.max(relative);
        if relative > tolerance {
            beyond += 1;
            first = first.or_else(|| Some(element(at)));
            let index = unravel(&shape, at).into_iter().map(Some);
            if beyond == 1 {
                common = index.collect();
            } else if common.iter().any(Option::is_some) {
                common.iter_mut().zip(index).filter(|(c, i)| **c != *i).for_each(|(c, _)| *c = None);
            }
        }
        if d > max_error {
            (max_error, worst) = (d, Some(element(at)));
        }
    }
    let named = axes(place.stage, shape.len()).iter().zip(&common).zip(&shape).enumerate();
    let shared = named
        .filter(|(_, (_, size))| **size > 1)
        .filter_map(|(axis, ((name, at), _))| at.map(|at| format!("{name} {}", if axis == 0 { at + skipped } else { at })));
    let shared = shared.collect::<Vec<_>>().join(", ");
    let all_at = (beyond > 1 && !shared.is_empty()).then_some(shared);
    Ok(Stats {
        cosine: if aa == 0.0 && bb == 0.0 { 1.0 } else { ab / (aa * bb).sqrt() },
        max_error,
        max_relative,
        rms_relative: if dd == 0.0 { 0.0 } else { (dd / aa).sqrt() },
        rms,
        elements,
        beyond,
        first,
        worst,
        all_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Number;

    fn at(stage: Stage) -> Place {
        Place { layer: Some(0), stage }
    }

    fn tensor(shape: &[usize], values: &[f64]) -> Tensor {
        Tensor::floats(shape.to_vec(), Number::F64, values.to_vec())
    }

    #[test]
    fn figures_are_those_of_their_definitions() {
        let a = tensor(&[2, 1, 2], &[3.0, 0.0, 0.0, 4.0]);
        let b = tensor(&[2, 1, 2], &[3.0, 0.0, 0.5, 3.0]);
        let s = compare(at(Stage::Q), &a, &b, 0.22).unwrap();
        assert!((s.cosine - 21.0 / (25.0f64 * 18.25).sqrt()).abs() < 1e-15);
        assert_eq!((s.max_error, s.max_relative, s.rms, s.beyond), (1.0, 0.25, [2.5, (18.25f64 / 4.0).sqrt()], 1));
        assert_eq!(s.rms_relative, (1.25f64 / 25.0).sqrt());
        let first = s.first.unwrap();
        assert_eq!((first.place.as_str(), first.values), ("token 1, head 0, element 1", [4.0, 3.0]));
    }

    #[test]
    fn what_kq_holds_behind_its_query_is_not_compared_but_kq_soft_is() {
        let a = tensor(&[1, 2, 2], &[1.0, f64::NEG_INFINITY, 2.0, 3.0]);
        let b = tensor(&[1, 2, 2], &[1.0, 9.0, 2.0, 3.0]);
        assert_eq!(compare(at(Stage::Kq), &a, &b, 0.0).unwrap().max_error, 0.0);
        assert_eq!(compare(at(Stage::KqSoft), &a, &b, 0.0).unwrap().beyond, 1);
    }

    #[test]
    fn a_last_row_alone_is_compared_with_the_last_row_and_other_shapes_are_not() {
        let place = Place { layer: None, stage: Stage::ResultOutput };
        let (all, last) = (tensor(&[2, 2], &[1.0, 2.0, 3.0, 4.0]), tensor(&[1, 2], &[3.0, 5.0]));
        for (a, b) in [(&all, &last), (&last, &all)] {
            let s = compare(place, a, b, 0.1).unwrap();
            assert_eq!((s.elements, s.first.unwrap().place), (2, "token 1, id 1".into()));
        }
        assert!(compare(place, &all, &tensor(&[2, 3], &[0.0; 6]), 0.1).is_err());
        let (heads, head) = (tensor(&[2, 1, 1], &[1.0; 2]), tensor(&[1, 1, 1], &[1.0]));
        assert!(compare(at(Stage::Kq), &heads, &head, 0.1).is_err(), "one head is no last token");
    }

    #[test]
    fn not_a_number_is_beyond_every_tolerance() {
        let (a, b) = (tensor(&[1, 2], &[1.0, 2.0]), tensor(&[1, 2], &[1.0, f64::NAN]));
        assert_eq!(compare(at(Stage::Kqv), &a, &b, 1e9).unwrap().beyond, 1);
        assert_eq!(compare(at(Stage::Kqv), &b, &b, 1e9).unwrap().beyond, 1, "two of them are not equal");
        assert_eq!(not_numbers(at(Stage::Kqv), &b).unwrap(), "1 of 2 values that are no numbers (first at token 0, element 1)");
        let kq = tensor(&[1, 2, 2], &[1.0, f64::NAN, 2.0, 3.0]);
        assert_eq!((not_numbers(at(Stage::Kq), &kq), not_numbers(at(Stage::KqSoft), &kq).is_some()), (None, true));
    }

    #[test]
    fn what_all_elements_beyond_have_in_common_is_said() {
        let a = tensor(&[2, 2, 2], &[1.0; 8]);
        let b = tensor(&[2, 2, 2], &[1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 1.0]);
        assert_eq!(compare(at(Stage::Q), &a, &b, 0.1).unwrap().all_at.as_deref(), Some("head 1"));
        assert_eq!(compare(at(Stage::Q), &a, &a, 0.1).unwrap().all_at, None);
    }
}
