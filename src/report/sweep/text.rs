//! The whole integer model over text for each ROM and KV width, against the f64 judge.

use rayon::prelude::*;
use serde::Serialize;
use tritforge_spec::reference::{IntModel, Reference};

use super::RomSize;
use crate::model::judge::{Judge, Options};
use crate::model::{Model, ModelError};
use crate::report::accuracy::compare::{Comparison, Logits, summarise};
use crate::report::accuracy::whole_logits;

/// One ROM and KV width.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// ROM.
    #[serde(flatten)]
    pub rom: RomSize,
    /// Bits of a KV code.
    pub kv_bits: usize,
    /// Perplexity over the judge's.
    pub ratio: f64,
    /// Its standard error over documents.
    pub ratio_se: Option<f64>,
    /// Divergence from the judge, nats a token.
    pub kl: f64,
    /// Share of equal arg-max.
    pub top1: f64,
}

/// The judge with int8 K and V and the residual rounded: no ROM in it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FloorRow {
    /// Perplexity over the judge's.
    pub ratio: f64,
    /// Divergence from the judge, nats a token.
    pub kl: f64,
}

/// Runs every ROM over the documents, for each integer model (one a KV width); `tick` once a row and once for the judge and the floor.
///
/// # Errors
/// As [`Judge::forward`].
pub fn run(
    model: &Model,
    ints: &[IntModel],
    roms: &[RomSize],
    documents: &[Vec<u32>],
    tick: &(impl Fn() + Sync),
) -> Result<(Vec<Row>, Option<FloorRow>), ModelError> {
    let judge = Judge::<f64>::new(model, Options::default());
    let judged = all(documents, &|ids| Ok(judge.forward(ids, &mut judge.cache(), &mut ())?.values))?;
    let compare = |logits: &[Logits]| {
        let pairs = documents.iter().zip(&judged).zip(logits);
        summarise(&pairs.map(|((ids, judged), logits)| Comparison::of(ids, judged, logits)).collect::<Vec<_>>())
    };
    let mut floor = None;
    if let Some(int) = ints.first() {
        let rounded = Judge::<f64>::new(model, Options { kv_bits: Some(8), residual_bits: Some(int.res_frac) });
        let s = compare(&all(documents, &|ids| Ok(rounded.forward(ids, &mut rounded.cache(), &mut ())?.values))?);
        floor = Some(FloorRow { ratio: s.ratio, kl: s.kl });
    }
    tick();
    let places: Vec<(&IntModel, RomSize)> = ints.iter().flat_map(|int| roms.iter().map(move |&rom| (int, rom))).collect();
    let rows = places.into_par_iter().map(|(int, rom)| {
        let reference = Reference::new(int, rom.log2, rom.bits);
        let s = compare(&all(documents, &|ids| Ok(whole_logits(&reference, ids)?.0))?);
        tick();
        Ok(Row { rom, kv_bits: int.kv_bits, ratio: s.ratio, ratio_se: s.ratio_se, kl: s.kl, top1: s.top1 })
    });
    Ok((rows.collect::<Result<_, ModelError>>()?, floor))
}

fn all(documents: &[Vec<u32>], program: &(impl Fn(&[u32]) -> Result<Logits, ModelError> + Sync)) -> Result<Vec<Logits>, ModelError> {
    documents.par_iter().map(|ids| program(ids)).collect()
}
