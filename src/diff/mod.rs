//! Where two executions part: docs/diff.md. In: two traces, and the model where there is one. Out: a [`Comparison`]: every tensor's figures, a
//! verdict each, the first that parts, and the suspects that explain it.
//!
//! A whole-run difference says little where int8 rounding lies between: so beside it every stage is computed by the model's definition from the
//! other side's own inputs. What agrees there was only carried on; what does not is where the executions part.

pub mod activation;
pub mod codes;
pub mod compare;
pub mod graph;
pub mod noise;
pub mod plot;
pub mod recipe;
pub mod report;
pub mod scene;
mod stage;
pub mod suspects;

use serde::Serialize;

use crate::model::judge::Place;
use crate::trace::{About, Tensor, Trace};
use codes::{CodeDifferences, CodeSide, any_differs, compare_codes, norm_of};
use compare::{Stats, compare, is_zero, not_numbers};
use graph::Evaluator;
use noise::Tolerances;
use scene::{Diagnosis, Scene};
pub use stage::Touched;

/// What is to be said of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Equal within the tolerance.
    Equal,
    /// int8 codes that differ by single steps at a tie, and in no other way.
    Ties,
    /// Beyond the tolerance, but the stage itself agrees from the other side's inputs: the cause lies further up.
    Carried,
    /// Beyond the tolerance, and there is no model to ask whether the stage itself agrees.
    Beyond,
    /// The stage itself differs.
    Parts,
    /// Shapes that cannot be compared.
    Unlike,
    /// Only one side has it.
    OneSide,
}

/// One tensor of both sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub tensor: String,
    #[serde(skip)]
    pub(crate) place: Place,
    /// See [`Verdict`].
    pub verdict: Verdict,
    /// Both sides; absent where they cannot be compared.
    pub stats: Option<Stats>,
    /// int8 codes.
    pub codes: Option<CodeDifferences>,
    /// The model's own stage from b's inputs, against b.
    pub stage: Option<Stats>,
    /// What stands in the way of comparing.
    pub note: Option<String>,
    /// Some values of it are no numbers.
    #[serde(skip)]
    no_numbers: bool,
}

impl Row {
    /// The sides differ here.
    fn differs(&self) -> bool {
        !matches!(self.verdict, Verdict::Equal | Verdict::OneSide)
    }
}

/// The result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Where both come from.
    pub sides: [About; 2],
    /// Ids of the pass.
    pub tokens: Vec<u32>,
    /// Position of the first of them.
    pub first_position: usize,
    /// What counted as equal.
    pub tolerances: Tolerances,
    /// Each stage was fed b's inputs.
    pub stage_by_stage: bool,
    /// All tensors, in the order of computation.
    pub rows: Vec<Row>,
    /// The first tensor with an element beyond the tolerance.
    pub first_beyond: Option<String>,
    /// The first whose stage itself differs.
    pub first_parting: Option<String>,
    /// Nothing differs but by single int8 steps at a tie and what they carry on.
    pub only_ties: bool,
    /// What was found at the first tensor that parts; stage by stage, at every one.
    pub diagnoses: Vec<Diagnosis>,
    /// Names in the files that mean nothing here.
    pub unknown: Vec<String>,
    /// There was a model to compute stages with.
    #[serde(skip)]
    pub with_model: bool,
}

impl Comparison {
    /// Everything is equal within the tolerance.
    pub fn equal(&self) -> bool {
        !self.rows.iter().any(Row::differs)
    }
}

/// How to compare.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// Instead of the pair's own.
    pub tolerance: Option<f64>,
    /// Each stage is fed b's inputs.
    pub stage_by_stage: bool,
}

/// What `a`'s execution gives where it is fed b's inputs; for the paths whose stages only they can compute.
pub type Fed = Trace;

/// Places that are diagnosed stage by stage; a fault of every layer shows at several in each.
const MOST_DIAGNOSES: usize = 64;

/// Compares `a` and `b`, traces of the same tokens. `model` is a's; `fed` is what a's own execution gives stage by stage from b's inputs,
/// where it is not what `model` gives.
pub fn diff(a: &Trace, b: &Trace, model: Option<&Evaluator<'_>>, fed: Option<&Fed>, settings: Settings) -> Comparison {
    let own = noise::tolerances(a, b, fed.is_some());
    let tolerances = settings.tolerance.map_or(own, |t| Tolerances { whole: t, stage: t, a_position: 0.0, mix: 0.0, ..own });
    let model = model.map(|model| {
        let mut model = model.clone();
        model.recipe.blocks = noise::both_in_blocks(a, b);
        model
    });
    let model = model.as_ref();
    let sides = Sides { a, b, model, fed, tolerances, stage_by_stage: settings.stage_by_stage };
    let mut places: Vec<Place> = a.iter().map(|(place, _)| place).chain(b.iter().map(|(place, _)| place)).collect();
    places.sort_by_key(|place| place.rank());
    places.dedup();
    let mut rows: Vec<Row> = Vec::new();
    for place in places {
        let row = sides.row(place, &rows);
        rows.push(row);
    }
    let first = |kinds: &[Verdict]| rows.iter().find(|row| kinds.contains(&row.verdict)).map(|row| row.tensor.clone());
    let parting = [Verdict::Parts, Verdict::Beyond, Verdict::Unlike];
    let first_parting = first(&parting);
    let first_beyond = rows.iter().find(|row| row.differs()).map(|row| row.tensor.clone());
    let has_ties = rows.iter().any(|row| row.codes.as_ref().is_some_and(|codes| codes.ties > 0));
    let nothing_else = tolerances.exact || rows.iter().all(|row| row.verdict != Verdict::Carried);
    let only_ties = first_parting.is_none() && has_ties && nothing_else;
    let most = if settings.stage_by_stage { MOST_DIAGNOSES } else { 1 };
    // What a note says needs no suspects; behind other shapes stands another model.
    let of_model = rows.iter().take_while(|row| row.verdict != Verdict::Unlike);
    let parted = of_model.filter(|row| row.verdict == Verdict::Parts).take(most);
    let suspects = parted.filter(|row| row.note.is_none());
    let diagnoses =
        model.map_or_else(Vec::new, |model| suspects.filter_map(|row| Some(Scene::new(model, b, row.place)?.diagnose())).collect());
    let unknown = a.unknown.iter().chain(&b.unknown).cloned().collect();
    Comparison {
        sides: [a.about.clone(), b.about.clone()],
        tokens: a.tokens.clone(),
        first_position: a.first_position,
        tolerances,
        stage_by_stage: settings.stage_by_stage,
        first_beyond,
        first_parting,
        only_ties,
        rows,
        diagnoses,
        unknown,
        with_model: model.is_some(),
    }
}

/// What is compared, and how.
struct Sides<'s, 'm> {
    a: &'s Trace,
    b: &'s Trace,
    model: Option<&'s Evaluator<'m>>,
    fed: Option<&'s Fed>,
    tolerances: Tolerances,
    stage_by_stage: bool,
}

impl Sides<'_, '_> {
    /// What a's execution, or else its model, gives at `place` from b's inputs.
    fn one_stage(&self, place: Place) -> Option<Tensor> {
        match (self.fed, self.model) {
            (Some(fed), _) => fed.get(place).cloned(),
            (None, Some(model)) => model.stage(place, self.b, &model.recipe),
            (None, None) => None,
        }
    }

    /// The tensor at `place` of both sides; `before`: the rows of what was computed before it.
    fn row(&self, place: Place, before: &[Row]) -> Row {
        let (a, b, tolerances) = (self.a, self.b, &self.tolerances);
        let mut row = Row {
            tensor: place.to_string(),
            place,
            verdict: Verdict::OneSide,
            stats: None,
            codes: None,
            stage: None,
            note: None,
            no_numbers: false,
        };
        let (Some(x), Some(y)) = (a.get(place), b.get(place)) else {
            row.note = Some(if a.get(place).is_some() { "only a has it" } else { "only b has it" }.into());
            return row;
        };
        let stage = self.one_stage(place);
        let (left, left_trace) = match &stage {
            // The definition rounds what b had before rounding, an execution that was fed what it made of b's inputs.
            Some(stage) if self.stage_by_stage => (stage, self.fed.unwrap_or(b)),
            _ => (x, a),
        };
        let positions = a.first_position + a.tokens.len();
        let of_stage = tolerances.of_stage(place, positions);
        let tolerance = if self.stage_by_stage { of_stage } else { tolerances.of_whole(positions) };
        let stats = match compare(place, left, y, tolerance) {
            Ok(stats) => stats,
            Err(unlike) => {
                row.verdict = Verdict::Unlike;
                row.note = Some(format!("shapes {:?} and {:?}", unlike.shapes[0], unlike.shapes[1]));
                return row;
            }
        };
        row.stage = stage.as_ref().and_then(|stage| compare(place, stage, y, of_stage).ok());
        row.codes = left.int8.is_some().then(|| {
            let differ = any_differs(left, y);
            let [u, v] = [left_trace, b].map(|trace| differ.then(|| self.rounded(place, trace)).flatten());
            let differed = self.stage_by_stage || before.iter().any(Row::differs);
            let of = |codes, norm| CodeSide { codes, norm };
            compare_codes(place, of(left, u.as_ref()), of(y, v.as_ref()), tolerances.tie, differed)
        });
        if let (Some(codes), Some(Stats { beyond: 0, .. })) = (&mut row.codes, &row.stage) {
            // From b's inputs the rounding is b's: whatever differs came in with them.
            codes.carried += std::mem::take(&mut codes.real);
        }
        row.verdict = verdict(&stats, row.codes.as_ref(), row.stage.as_ref(), of_stage);
        let no_numbers = [("a", left), ("b", y)].map(|(side, t)| Some(format!("{side} holds {}", not_numbers(place, t)?)));
        let no_numbers: Vec<String> = no_numbers.into_iter().flatten().collect();
        if !no_numbers.is_empty() {
            row.verdict = if before.iter().any(|row| row.no_numbers) { Verdict::Carried } else { Verdict::Parts };
            (row.note, row.no_numbers) = (Some(no_numbers.join(", ")), true);
        } else if matches!(row.verdict, Verdict::Parts | Verdict::Beyond) && is_zero(place, y) && !is_zero(place, left) {
            row.note = Some("b is all zeros".into());
        }
        row.stats = Some(stats);
        row
    }

    /// What the int8 stage at `place` rounds: the norm in `trace`, else what the model gives from the tensors before it.
    fn rounded(&self, place: Place, trace: &Trace) -> Option<Tensor> {
        let norm = Place { stage: norm_of(place.stage)?, ..place };
        trace.get(norm).cloned().or_else(|| self.model?.stage(norm, trace, &self.model?.recipe))
    }
}

fn verdict(stats: &Stats, codes: Option<&CodeDifferences>, stage: Option<&Stats>, tolerance: f64) -> Verdict {
    match codes {
        Some(CodeDifferences { real: 1.., .. }) => return Verdict::Parts,
        Some(CodeDifferences { carried: 0, ties: 1.., .. }) => return Verdict::Ties,
        Some(CodeDifferences { differ: 1.., .. }) => return Verdict::Carried,
        _ => {}
    }
    match stage {
        // Where both sides agree, neither parts from the other, whatever the definition says.
        Some(stage) if stage.beyond > 0 && stats.max_relative > tolerance => Verdict::Parts,
        Some(_) if stats.beyond > 0 => Verdict::Carried,
        None if stats.beyond > 0 => Verdict::Beyond,
        _ => Verdict::Equal,
    }
}
