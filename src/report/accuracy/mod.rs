//! Integers against the f64 judge on text: perplexity, arg-max, error of every stage, and the floor of the same run.
//!
//! In: model, integer model, documents as ids. Out: [`Accuracy`], whose JSON is what scripts rely on, and the bars it must meet.

pub mod bars;
pub mod compare;
pub mod hybrid;
pub mod stages;
pub mod table;

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;
use tritforge_spec::numerics::head;
use tritforge_spec::reference::{IntModel, KvCache, Reference, Saturations};

use crate::model::judge::{Judge, Options};
use crate::model::{Model, ModelError};
use compare::{Comparison, Logits};
use stages::StageError;

/// Softmax ROM and fraction bits of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Numerics {
    /// log2 of the softmax ROM's entries.
    pub rom_log2: u32,
    /// Bits of an entry.
    pub rom_bits: u32,
    /// Bits of a KV code.
    pub kv_bits: usize,
    /// F.
    pub res_frac: u32,
    /// Fo.
    pub attn_frac: u32,
}

/// One variant against the judge.
#[derive(Debug, Clone, Serialize)]
pub struct Variant {
    /// Perplexity of the judge in f64.
    pub ppl_float: f64,
    /// Perplexity of the variant.
    pub ppl_int: f64,
    /// ppl_int / ppl_float.
    pub ratio: f64,
    /// Its standard error over documents; absent for fewer than two.
    pub ratio_se: Option<f64>,
    /// Share of predictions with the judge's arg-max.
    pub top1: f64,
    /// Predictions with another arg-max.
    pub flips: usize,
    /// Those where the judge's two best logits differ by 0.5 or more.
    pub flips_sure: usize,
    /// Mean Kullback-Leibler divergence from the judge's distribution, nats a prediction.
    pub kl: f64,
    /// Elements that saturated.
    pub saturations: u64,
    /// Worst error of each stage fed the judge's own inputs, with its bound.
    pub stages: BTreeMap<&'static str, StageError>,
}

/// One line of the floor: a float program that differs from the judge by unavoidable roundings only.
#[derive(Debug, Clone, Serialize)]
pub struct Floor {
    /// Perplexity over the judge's.
    pub ratio: f64,
    /// Share of equal arg-max.
    pub top1: f64,
    /// Different arg-max.
    pub flips: usize,
    /// Those where the judge is sure by 0.5.
    pub flips_sure: usize,
}

/// All variants by name.
#[derive(Debug, Clone, Serialize)]
pub struct Variants {
    /// Attention sub-layers in integers, the rest in the judge's f64.
    pub attention: Variant,
    /// Everything in integers.
    pub whole: Variant,
}

/// The floor of the same run.
#[derive(Debug, Clone, Serialize)]
pub struct Floors {
    /// The judge in f32.
    pub f32: Floor,
    /// The judge in f64 with int8 K and V and the residual rounded at 2^−F.
    pub kv8: Floor,
}

/// The result of `tritforge accuracy`.
#[derive(Debug, Clone, Serialize)]
pub struct Accuracy {
    /// How the numbers came about.
    pub kind: &'static str,
    /// Documents.
    pub documents: usize,
    /// Predictions over all documents.
    pub predictions: usize,
    /// Widths of the run.
    pub numerics: Numerics,
    /// Variants.
    pub variants: Variants,
    /// Floor.
    pub floor: Floors,
    /// Recall of the head's shortlist.
    pub shortlist: Vec<Recall>,
}

/// How often the shortlist holds the full head's arg-max; over the predictions of the whole integer model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Recall {
    /// Rows that get their full logit.
    pub n: usize,
    /// Share of predictions whose full arg-max is among them.
    pub recall: f64,
}

/// Perplexity and flips of each document, and the saturations on the way.
type PerDocument = (Vec<Comparison>, Saturations);

/// Another program: the logits of a document, and what saturated.
type Program<'p> = dyn Fn(&[u32]) -> Result<(Logits, Saturations), ModelError> + Sync + 'p;

/// Runs every variant over the documents (ids, BOS first, cut to the context). `tick` is called once a document and run, [`STEPS`] times
/// a document.
///
/// # Errors
/// A document with fewer than two ids is skipped by the caller; as [`Judge::forward`] otherwise.
pub fn measure(
    model: &Model,
    int: &IntModel,
    rom: (u32, u32),
    documents: &[Vec<u32>],
    tick: &(impl Fn() + Sync),
) -> Result<Accuracy, ModelError> {
    let truth = Judge::<f64>::new(model, Options::default());
    let reference = Reference::new(int, rom.0, rom.1);
    let judged: Vec<Logits> = documents
        .par_iter()
        .map(|ids| {
            let logits = truth.forward(ids, &mut truth.cache(), &mut ())?.values;
            tick();
            Ok(logits)
        })
        .collect::<Result<_, ModelError>>()?;
    let run = |other: &Program<'_>| -> Result<PerDocument, ModelError> {
        let each = documents.par_iter().zip(&judged).map(|(ids, judged)| {
            let (logits, saturations) = other(ids)?;
            tick();
            Ok((Comparison::of(ids, judged, &logits), saturations))
        });
        let each = each.collect::<Result<Vec<_>, ModelError>>()?;
        let mut all = Saturations::default();
        each.iter().for_each(|(_, s)| all.add(s));
        Ok((each.into_iter().map(|(c, _)| c).collect(), all))
    };
    let whole = run(&|ids| whole_logits(&reference, ids))?;
    let attention = run(&|ids| hybrid::attention_logits(&truth, &reference, ids))?;
    let narrow = Judge::<f32>::new(model, Options::default());
    let f32 = run(&|ids| {
        let logits = narrow.forward(ids, &mut narrow.cache(), &mut ())?;
        Ok((logits.values.into_iter().map(f64::from).collect(), Saturations::default()))
    })?;
    let rounded = Judge::<f64>::new(model, Options { kv_bits: Some(8), residual_bits: Some(int.res_frac) });
    let kv8 = run(&|ids| Ok((rounded.forward(ids, &mut rounded.cache(), &mut ())?.values, Saturations::default())))?;

    let stages = documents
        .par_iter()
        .map(|ids| {
            let found = stages::measure(&truth, &reference, ids);
            tick();
            found
        })
        .collect::<Result<Vec<_>, ModelError>>()?;
    let ranks = documents.par_iter().map(|ids| {
        let found = shortlist_ranks(&reference, ids);
        tick();
        found
    });
    let ranks = ranks.collect::<Result<Vec<_>, ModelError>>()?.concat();
    let all_stages = stages::merge(stages);
    let attention_stages = all_stages.iter().filter(|(name, _)| stages::ATTENTION.contains(name)).map(|(&n, e)| (n, *e)).collect();
    Ok(Accuracy {
        kind: "measured",
        documents: documents.len(),
        predictions: documents.iter().map(|ids| ids.len() - 1).sum(),
        numerics: Numerics { rom_log2: rom.0, rom_bits: rom.1, kv_bits: int.kv_bits, res_frac: int.res_frac, attn_frac: int.attn_frac },
        variants: Variants { attention: variant(&attention, attention_stages), whole: variant(&whole, all_stages) },
        floor: Floors { f32: floor(&f32.0), kv8: floor(&kv8.0) },
        shortlist: recall(&ranks, int.vocab),
    })
}

/// Ticks a document.
pub const STEPS: usize = 7;

/// Lengths of the shortlist that are measured, as far as the vocabulary reaches.
const SHORTLISTS: [usize; 6] = [1, 4, 16, 64, 256, 1024];

/// For each prediction, how many rows the first plane puts before the full head's arg-max.
fn shortlist_ranks(reference: &Reference<'_>, ids: &[u32]) -> Result<Vec<usize>, ModelError> {
    let mut ignored = Saturations::default();
    let x = reference.body(ids, &mut KvCache::new(reference.model), &mut (), &mut ignored).map_err(hybrid::refused)?;
    let rows = x.chunks_exact(reference.model.shape.dim).take(ids.len() - 1);
    let ranks = rows.map(|x| {
        let best = head::arg_max(&reference.head_full(0, x, &mut (), &mut ignored)).unwrap_or(0);
        let first = reference.head_first_plane(x, &mut ignored);
        // Ties go to the lower id.
        first.iter().enumerate().filter(|&(id, &l)| l > first[best] || (l == first[best] && id < best)).count()
    });
    Ok(ranks.collect())
}

fn recall(ranks: &[usize], vocab: usize) -> Vec<Recall> {
    let held = |n: usize| ranks.iter().filter(|&&rank| rank < n).count() as f64 / ranks.len() as f64;
    SHORTLISTS.iter().filter(|&&n| n < vocab).map(|&n| Recall { n, recall: held(n) }).collect()
}

/// Logits of the whole integer model in the judge's unit.
///
/// # Errors
/// As [`Reference::forward`].
pub fn whole_logits(reference: &Reference<'_>, ids: &[u32]) -> Result<(Logits, Saturations), ModelError> {
    let mut saturations = Saturations::default();
    let logits = reference.forward(ids, &mut KvCache::new(reference.model), &mut (), &mut saturations).map_err(hybrid::refused)?;
    Ok((logits.into_iter().map(|l| f64::from(l) / 65536.0).collect(), saturations))
}

fn variant((documents, saturations): &PerDocument, stages: BTreeMap<&'static str, StageError>) -> Variant {
    let s = compare::summarise(documents);
    Variant {
        ppl_float: s.ppl_judge,
        ppl_int: s.ppl_other,
        ratio: s.ratio,
        ratio_se: s.ratio_se,
        top1: s.top1,
        flips: s.flips,
        flips_sure: s.flips_sure,
        kl: s.kl,
        saturations: saturations.total(),
        stages,
    }
}

fn floor(documents: &[Comparison]) -> Floor {
    let s = compare::summarise(documents);
    Floor { ratio: s.ratio, top1: s.top1, flips: s.flips, flips_sure: s.flips_sure }
}
