//! `tritforge diff`: where do two executions part, and why?

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::trace::PassArgs;
use super::{Outcome, output};
use crate::diff::graph::Evaluator;
use crate::diff::{Settings, Verdict, diff, plot, report};
use crate::model::ModelFile;
use crate::trace::{Loaded, Runner, Trace, file};

/// Compare two executions stage by stage, and say where they part and why.
///
/// A and B are each a path of ours (float, judge, f32, f64, ggml, wide, integer, sim, rtl: see `tritforge trace`) or a trace file. Every tensor is
/// compared, and every stage is computed from B's own inputs, which tells what a stage does wrong from what it was given. At the first
/// tensor that parts the usual mistakes are tried and those that reproduce B are named. docs/diff.md says how to read it.
///
/// Exit code 0: equal within the tolerance; 1: they part; 2: wrong use.
///
/// Examples: tritforge diff float f32 --model models/stories3m.tq2_0.gguf --prompt "Once upon a time";
/// tritforge diff float other.safetensors --model model.gguf --stage-by-stage --plot parts.svg
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One side: a path of ours or a trace file.
    #[arg(value_name = "A")]
    a: String,
    /// The other side.
    #[arg(value_name = "B")]
    b: String,
    /// The model of A, in any format that is read; two trace files can be compared without one, but then nothing is diagnosed.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// The model of B where it is another file.
    #[arg(long, value_name = "FILE", requires = "model")]
    model_b: Option<PathBuf>,
    #[command(flatten)]
    pass: PassArgs,
    /// Feed each stage of A with B's inputs.
    #[arg(long)]
    stage_by_stage: bool,
    /// Largest difference that counts as equal, of max(|a|, |b|, RMS of a); the arithmetics' own without it.
    #[arg(long, value_name = "T")]
    tolerance: Option<f64>,
    /// Parting only by single int8 steps at a tie counts as equal.
    #[arg(long)]
    allow_ties: bool,
    /// Show every tensor.
    #[arg(long)]
    all: bool,
    /// Write a figure of error against depth to FILE, SVG.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    json: output::JsonArgs,
}

/// One side of the comparison.
enum Side {
    Ours(Runner),
    File(Trace),
}

fn side(name: &str) -> anyhow::Result<Side> {
    if let Some(runner) = Runner::of(name) {
        return Ok(Side::Ours(runner));
    }
    if !Path::new(name).exists() {
        bail!(
            "'{name}': expected a path of ours (float, judge, f32, f64, ggml, wide, integer, sim, rtl) or a trace file, found neither; see `tritforge trace`"
        );
    }
    Ok(Side::File(file::read(Path::new(name))?))
}

fn check_tolerance(tolerance: Option<f64>) -> anyhow::Result<()> {
    match tolerance {
        Some(t) if !(t.is_finite() && t >= 0.0) => {
            bail!("--tolerance: expected a number, 0 or more, found {t}; leave it out for the arithmetics' own")
        }
        _ => Ok(()),
    }
}

/// The tokens of the pass: given, or those of the trace files, which must agree.
fn agree(given: Option<Vec<u32>>, sides: [&Side; 2]) -> anyhow::Result<Vec<u32>> {
    let traces = sides.into_iter().filter_map(|side| match side {
        Side::File(trace) => Some((trace.tokens.clone(), "a trace file")),
        Side::Ours(_) => None,
    });
    let mut all: Vec<(Vec<u32>, &str)> = given.map(|ids| (ids, "--prompt or --tokens")).into_iter().chain(traces).collect();
    let Some((ids, first)) = all.pop() else { bail!("expected --prompt or --tokens, found neither; give a text or ids") };
    if let Some((other, second)) = all.iter().find(|(other, _)| *other != ids) {
        bail!(
            "tokens: expected the same on both sides, found {other:?} of {second} and {ids:?} of {first}; trace both over the same tokens"
        );
    }
    Ok(ids)
}

/// Of a path of ours the graph that it executes; of a trace file the graph of the model's float path.
fn runner_of(side: &Side) -> Runner {
    match side {
        Side::Ours(runner) => *runner,
        Side::File(_) => Runner::Float,
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    check_tolerance(args.tolerance)?;
    if let Some(path) = args.plot.as_ref().filter(|path| path.extension().is_none_or(|e| !e.eq_ignore_ascii_case("svg"))) {
        bail!("--plot {}: expected a name that ends in .svg, the only kind that is drawn; give one", path.display());
    }
    let (mut a, mut b) = (side(&args.a)?, side(&args.b)?);
    if let (Side::File(_), Side::Ours(_)) = (&a, &b) {
        // The model's stages are fed what B had: that must be the side from outside.
        if args.model_b.is_some() {
            bail!("--model-b: expected a path of ours as A, found a trace file; give the file as B, or the path's model as --model");
        }
        std::mem::swap(&mut a, &mut b);
        output::note(format_args!("note: a is {} and b is {}, so that the stages are fed what the file holds", args.b, args.a));
    }
    let Some(model) = &args.model else {
        let (Side::File(a), Side::File(b)) = (a, b) else {
            bail!("--model: expected the model's file for a path of ours, found none; give it")
        };
        agree(None, [&Side::File(a.clone()), &Side::File(b.clone())])?;
        if args.stage_by_stage {
            bail!("--stage-by-stage: expected --model to compute the stages with, found none; give it");
        }
        return finish(&args, &a, &b, None, None);
    };
    let mapped = ModelFile::open(model)?;
    let parsed = mapped.parse()?;
    let mut loaded = Loaded::new(model, &parsed, mapped.parts())?;
    let ids = agree(args.pass.ids(&parsed)?, [&a, &b])?;
    let config = args.pass.config.as_deref();
    let graph_of = runner_of(&a);
    loaded.load(graph_of)?;
    let other = args.model_b.as_deref().map(ModelFile::open).transpose()?;
    let other_parsed = other.as_ref().map(ModelFile::parse).transpose()?;
    let mut other_loaded = match (&args.model_b, &other, &other_parsed) {
        (Some(path), Some(file), Some(parsed)) => Some(Loaded::new(path, parsed, file.parts())?),
        _ => None,
    };
    if let Side::Ours(runner) = b {
        other_loaded.as_mut().unwrap_or(&mut loaded).load(runner)?;
    }
    let trace_a = match &a {
        Side::Ours(runner) => loaded.record(*runner, &ids, config)?,
        Side::File(trace) => trace.clone(),
    };
    let trace_b = match b {
        Side::Ours(runner) => other_loaded.as_ref().unwrap_or(&loaded).record(runner, &ids, config)?,
        Side::File(trace) => trace,
    };
    let evaluator = Evaluator::new(loaded.graph(graph_of)?);
    if evaluator.shape.layers < trace_a.layers().max(trace_b.layers()) {
        let found = trace_a.layers().max(trace_b.layers());
        bail!("layers: expected at most the model's {}, found {found} in a trace; give the model that was traced", evaluator.shape.layers);
    }
    let fed = match &a {
        Side::Ours(runner) => loaded.fed(*runner, &trace_b, config, args.stage_by_stage)?,
        Side::File(_) => None,
    };
    if let (Side::Ours(Runner::Integer | Runner::Sim | Runner::Rtl), None, true) = (&a, &fed, args.stage_by_stage) {
        bail!(
            "--stage-by-stage: expected inp_embd, and attn_resid and l_out of every layer, in B (what the integer paths are fed), of the model's width, found \
             some missing or other; compare whole runs or trace more"
        );
    }
    finish(&args, &trace_a, &trace_b, Some(&evaluator), fed.as_ref())
}

fn finish(args: &Args, a: &Trace, b: &Trace, model: Option<&Evaluator<'_>>, fed: Option<&Trace>) -> anyhow::Result<Outcome> {
    if a.first_position != b.first_position {
        bail!(
            "first position: expected the same on both sides, found {} and {}; trace both from one position",
            a.first_position,
            b.first_position
        );
    }
    let comparison = diff(a, b, model, fed, Settings { tolerance: args.tolerance, stage_by_stage: args.stage_by_stage });
    if comparison.rows.iter().all(|row| row.stats.is_none() && row.verdict != Verdict::Unlike) {
        bail!("nothing to compare: expected tensors that both sides have, found none; docs/trace.md says what each path shows");
    }
    write!(args.json.text(), "{}", report::text(&comparison, args.all)).context("cannot write to standard output")?;
    if let Some(path) = &args.plot {
        output::write_file(path, plot::svg(&comparison)?.as_bytes())?;
    }
    args.json.write(&comparison)?;
    let held = comparison.equal() || args.allow_ties && comparison.only_ties;
    Ok(if held { Outcome::Held } else { Outcome::Failed })
}
