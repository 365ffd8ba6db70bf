//! Where a diagnosis happens, and the diagnosis: a place where the other side is not what this model gives from the other side's own inputs.
//! In: an [`Evaluator`], the other side's trace, the place. Out: the suspects that reproduce the other side.

use std::cell::Cell;
use std::fmt::Display;

use serde::Serialize;

use super::compare::counts;
use super::graph::{Evaluator, Layered};
use super::recipe::{Part, Recipe};
use super::stage::Touched;
use super::suspects::{SUSPECTS, Try};
use crate::model::judge::Place;
use crate::trace::{Tensor, Trace};

/// A suspect is named where it leaves at most this share of the difference.
const LEFT_AT_MOST: f64 = 0.1;
/// Of several, those are named whose remainder is at most this many times the best one's.
const BESIDE_BEST: f64 = 10.0;
/// Remainders below this are those of f64 sums.
const NOTHING: f64 = 1e-12;
/// Points of the coarse grid and steps of the fine search for a parameter.
const GRID: usize = 120;
const STEPS: usize = 60;
/// Ways that a diagnosis computes with both searches, and without them.
const EVALUATIONS: u64 = 700;
const LEAST_EVALUATIONS: u64 = 24;
/// Multiplications up to which parameters are searched for, and all that are spent on the suspects of a place: seconds, and half a minute.
const SEARCH_WORK: u64 = 6_000_000_000;
const MOST_WORK: u64 = 60_000_000_000;
/// The nearest of those that explain nothing is only worth a word where it leaves at most this share.
const NEAREST: f64 = 0.5;

/// What a suspect gives.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The suspect's name.
    pub name: &'static str,
    /// With its place and parameter.
    pub what: String,
    /// Error of the model's own way against the other side, relative to its RMS.
    pub before: f64,
    /// Error of the suspect's way.
    pub after: f64,
}

/// What a diagnosis found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// Where.
    pub tensor: String,
    /// Ways that were tried.
    pub tried: usize,
    /// Error of the model's own way.
    pub before: f64,
    /// Suspects that reproduce the other side, best first.
    pub findings: Vec<Finding>,
    /// Where there are none: the one that comes nearest.
    pub nearest: Option<Finding>,
    /// What was not tried because the trace lacks so much that it would take too long.
    pub limits: Option<String>,
}

/// A place under suspicion.
pub struct Scene<'s, 'm> {
    /// The model.
    pub evaluator: &'s Evaluator<'m>,
    /// The other side.
    pub other: &'s Trace,
    /// The place.
    pub place: Place,
    /// What its computation takes.
    pub touched: Touched,
    /// Ways that may still be computed.
    evaluations: Cell<u64>,
}

/// Error of `found` against `wanted`, relative to the RMS of `wanted`.
fn remainder(place: Place, found: &Tensor, wanted: &Tensor) -> f64 {
    let width = wanted.width();
    if found.width() != width || found.shape.len() != wanted.shape.len() || found.values.len() < wanted.values.len() {
        return f64::INFINITY;
    }
    let found = &found.values[found.values.len() - wanted.values.len()..];
    let pairs = found.iter().zip(&wanted.values).enumerate().filter(|(at, _)| counts(place, &wanted.shape, *at));
    let (error, power) = pairs.fold((0.0, 0.0), |(error, power), (_, (a, b))| (error + (a - b) * (a - b), power + b * b));
    // Beside zeros nothing says how near a way comes.
    let ratio = (error / power).sqrt();
    if ratio.is_nan() { f64::INFINITY } else { ratio }
}

impl<'s, 'm> Scene<'s, 'm> {
    /// None where the place cannot be computed.
    pub fn new(evaluator: &'s Evaluator<'m>, other: &'s Trace, place: Place) -> Option<Self> {
        let touched = evaluator.touched(place, other)?;
        let evaluations = Cell::new((MOST_WORK / touched.work.max(1)).max(LEAST_EVALUATIONS));
        Some(Self { evaluator, other, place, touched, evaluations })
    }

    /// Whether one way is computed so quickly that parameters can be searched for; else the usual ones are tried.
    pub fn can_search(&self) -> bool {
        self.touched.work.saturating_mul(EVALUATIONS) <= SEARCH_WORK
    }

    /// The model's own way.
    pub fn recipe(&self) -> &Recipe {
        &self.evaluator.recipe
    }

    /// The model's way with one thing changed.
    pub fn with(&self, what: impl Display, change: impl FnOnce(&mut Recipe)) -> Try {
        let mut recipe = self.recipe().clone();
        change(&mut recipe);
        Try { what: what.to_string(), recipe }
    }

    /// The same for a change that gives a recipe.
    pub fn replaced(&self, what: impl Display, change: impl FnOnce(Recipe) -> Recipe) -> Try {
        Try { what: what.to_string(), recipe: change(self.recipe().clone()) }
    }

    /// A change of each of some matrices, and of all of them where they are several.
    pub fn each(&self, parts: impl Iterator<Item = Part>, change: impl Fn(&mut Recipe, Part), text: impl Fn(Part) -> String) -> Vec<Try> {
        let parts: Vec<Part> = parts.collect();
        let mut tries: Vec<Try> = parts.iter().map(|&part| self.with(text(part), |r| change(r, part))).collect();
        if parts.len() > 1 {
            let names: Vec<String> = parts.iter().map(|&part| text(part)).collect();
            tries.push(self.with(names.join("; "), |r| parts.iter().for_each(|&part| change(r, part))));
        }
        tries
    }

    /// Whether a matrix of this layer has something.
    pub(super) fn has(&self, part: Part, what: impl Fn(&Layered<'_>) -> bool) -> bool {
        self.evaluator.weight(part, self.place.layer.unwrap_or(0)).is_some_and(|w| what(&w))
    }

    /// A matrix's scale.
    pub fn scale(&self, part: Part) -> Option<f64> {
        self.evaluator.weight(part, self.place.layer.unwrap_or(0)).and_then(|w| w.scale)
    }

    /// A matrix's outputs and inputs.
    pub fn sizes(&self, part: Part) -> (usize, usize) {
        self.evaluator.weight(part, self.place.layer.unwrap_or(0)).map_or((0, 0), |w| w.weight.sizes())
    }

    /// What a recipe leaves of the difference.
    fn left(&self, recipe: &Recipe) -> f64 {
        let Some(rest) = self.evaluations.get().checked_sub(1) else { return f64::INFINITY };
        self.evaluations.set(rest);
        let wanted = self.other.get(self.place);
        let found = self.evaluator.stage(self.place, self.other, recipe);
        found.zip(wanted).map_or(f64::INFINITY, |(found, wanted)| remainder(self.place, &found, wanted))
    }

    /// The value of a positive parameter that leaves least: of the usual ones, or between `low` and `high` on a log scale, then rounded to
    /// two digits if that leaves no more.
    pub fn search(&self, low: f64, high: f64, usual: &[f64], set: impl Fn(&mut Recipe, f64)) -> Option<f64> {
        let left = |v: f64| {
            let mut recipe = self.recipe().clone();
            set(&mut recipe, v);
            self.left(&recipe)
        };
        let step = (high / low).powf(1.0 / GRID as f64);
        let points = if self.can_search() { GRID + 1 } else { 0 };
        let grid = (0..points).map(|i| low * step.powi(i as i32));
        let (best, least) = grid.chain(usual.iter().copied()).map(|v| (v, left(v))).min_by(|a, b| a.1.total_cmp(&b.1))?;
        if !self.can_search() {
            return Some(best);
        }
        // Golden section between the neighbours.
        let ratio = (5f64.sqrt() - 1.0) / 2.0;
        let (mut a, mut b) = ((best.max(low) / step).ln(), (best.max(low) * step).ln());
        for _ in 0..STEPS {
            let (c, d) = (b - ratio * (b - a), a + ratio * (b - a));
            if left(c.exp()) < left(d.exp()) { b = d } else { a = c }
        }
        let fine = ((a + b) / 2.0).exp();
        let finest = left(fine);
        let (found, least) = if finest < least { (fine, finest) } else { (best, least) };
        let digits: f64 = format!("{found:.1e}").parse().unwrap_or(found);
        let round = if left(digits) <= least * 1.5 + NOTHING { digits } else { found };
        Some(round)
    }

    /// Tries all suspects.
    pub fn diagnose(&self) -> Diagnosis {
        let before = self.left(self.recipe());
        if !before.is_finite() {
            // Not a number, or zeros: no way of computing gives that, and each would come as near as the others.
            return Diagnosis { tensor: self.place.to_string(), tried: 0, before, findings: Vec::new(), nearest: None, limits: None };
        }
        let mut tried = 0;
        let mut best_of_each: Vec<Finding> = Vec::new();
        for suspect in SUSPECTS.iter().filter(|s| s.stages.iter().any(|stage| self.touched.stages.contains(stage))) {
            let tries = (suspect.tries)(self);
            tried += tries.len();
            let found = tries.into_iter().map(|t| (self.left(&t.recipe), t.what)).min_by(|a, b| a.0.total_cmp(&b.0));
            best_of_each.extend(found.map(|(after, what)| Finding { name: suspect.name, what, before, after }));
        }
        best_of_each.sort_by(|a, b| a.after.total_cmp(&b.after));
        let best = best_of_each.first().map_or(f64::INFINITY, |f| f.after);
        let named = |f: &&Finding| {
            before > NOTHING && f.after.is_finite() && f.after <= before * LEFT_AT_MOST && f.after <= best * BESIDE_BEST + NOTHING
        };
        let mut findings: Vec<Finding> = best_of_each.iter().filter(named).cloned().collect();
        if findings.is_empty() {
            findings.extend(self.constant_factor(before));
        }
        let nearest = if findings.is_empty() { best_of_each.into_iter().next().filter(|f| f.after <= before * NEAREST) } else { None };
        let limits = if self.evaluations.get() == 0 {
            Some("not every way was tried, the trace lacks too much before it: trace more stages or fewer tokens")
        } else if !self.can_search() && self.touched.stages.len() > 1 {
            Some("of epsilon, theta and positions only usual values were tried, the trace lacks too much before it: trace more stages")
        } else {
            None
        };
        Diagnosis { tensor: self.place.to_string(), tried, before, findings, nearest, limits: limits.map(Into::into) }
    }

    /// One factor between both sides, where nothing else explains the difference.
    fn constant_factor(&self, before: f64) -> Option<Finding> {
        let own = self.evaluator.stage(self.place, self.other, self.recipe())?;
        let wanted = self.other.get(self.place)?;
        if own.shape != wanted.shape {
            return None;
        }
        let pairs = || own.values.iter().zip(&wanted.values).enumerate().filter(|(at, _)| counts(self.place, &own.shape, *at));
        let (ab, aa) = pairs().fold((0.0, 0.0), |(ab, aa), (_, (a, b))| (ab + a * b, aa + a * a));
        let factor = ab / aa;
        let scaled = Tensor { values: own.values.iter().map(|v| v * factor).collect(), ..own.clone() };
        let after = remainder(self.place, &scaled, wanted);
        let what = format!("everything times {factor:.6}");
        (before > NOTHING && after <= before * LEFT_AT_MOST).then_some(Finding { name: "a constant factor", what, before, after })
    }
}
