//! `tritforge accuracy`: the integer pipeline against the f64 judge on text.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Serialize;

use super::arithmetic::IntegerArgs;
use super::progress::Progress;
use super::{Outcome, output};
use crate::compile::compile_model;
use crate::model::{Model, ModelFile, Tokenizer, text};
use crate::report::accuracy::{self, Accuracy, bars, table};
use crate::report::sweep::{self, Sweep, synthetic, synthetic_grid, text_grid};

/// Measure what integers cost: the integer pipeline against the float judge in f64, on text.
///
/// Two variants are measured, `attention` (attention sub-layers in integers, the rest in the judge's f64) and `whole` (everything in
/// integers); beside them the floor of the same run: the judge in f32, and in f64 with int8 K and V and the residual rounded as in the
/// integer pipeline. Every stage is also fed the judge's own inputs, and its worst error compared with its bound.
///
/// Exit code 1 if a bar is missed: perplexity ratio at most 1.002, no flip of the arg-max where the judge's two best logits differ by
/// 0.5 or more, flips at most 1.5 x the floor's + 3 x its root, every stage within its bound.
///
/// Example: tritforge accuracy --model models/stories3m.tq1_0.gguf --text models/own-stories.txt --json accuracy.json
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: GGUF, a folder or safetensors file of Hugging Face, or llama2.c's.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Text, UTF-8; documents are separated by lines equal to <|endoftext|>.
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    #[command(flatten)]
    integer: IntegerArgs,
    /// Only the first N documents, 1 or more.
    #[arg(long, value_name = "N")]
    docs: Option<usize>,
    /// Instead measure every size of the softmax ROM, on the text with KV at 4, 6, 8 bits and on synthetic scores; tables and plot go to --out.
    #[arg(long, requires = "out", conflicts_with_all = ["kv_bits", "rom_entries", "rom_bits"])]
    sweep_rom: bool,
    /// Folder for the files of --sweep-rom; made if it is not there.
    #[arg(long, value_name = "DIR", requires = "sweep_rom")]
    out: Option<PathBuf>,
    #[command(flatten)]
    json: output::JsonArgs,
}

/// What `--json` gets.
#[derive(Serialize)]
struct Report {
    command: String,
    #[serde(flatten)]
    result: Accuracy,
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    let rom = args.integer.rom()?;
    if args.docs == Some(0) {
        bail!("--docs: expected 1 or more, found 0; leave it out to take all documents");
    }
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out).with_context(|| format!("cannot make folder {}: choose a writable place", out.display()))?;
    }
    let file = ModelFile::open(&args.model)?;
    let file = file.parse()?;
    let (model, tokenizer) = (Model::from_gguf(&file)?, Tokenizer::from_gguf(&file)?);
    let int = compile_model(&model, Some(&tokenizer), args.integer.kv_bits())?;
    let mut documents = text::read_documents(&args.text, &tokenizer, int.shape.context)?.ids;
    documents.retain(|ids| ids.len() > 1);
    documents.truncate(args.docs.unwrap_or(usize::MAX));
    if documents.is_empty() {
        bail!("text {}: expected at least one document of one token or more, found none; give another file", args.text.display());
    }
    if let Some(out) = &args.out {
        return sweep(&args, &model, &tokenizer, &documents, out);
    }
    let progress = Progress::new((documents.len() * accuracy::STEPS) as u64, "accuracy");
    let result = accuracy::measure(&model, &int, rom, &documents, &|| progress.tick());
    progress.finish();
    let result = result?;
    let missed = bars::missed(&result);
    let mut out = args.json.text();
    let report = Report { command: output::command(), result };
    let (kind, table) = (report.result.kind, table::text(&report.result));
    write!(out, "{kind}: {}\n{table}", report.command).context("cannot write to standard output")?;
    for bar in &missed {
        writeln!(out, "MISSED {bar}").context("cannot write to standard output")?;
    }
    args.json.write(&report)?;
    Ok(if missed.is_empty() { Outcome::Held } else { Outcome::Failed })
}

/// Seed of the synthetic scores.
const SEED: u64 = 1;

fn sweep(args: &Args, model: &Model, tokenizer: &Tokenizer, documents: &[Vec<u32>], out: &Path) -> anyhow::Result<Outcome> {
    let ints = [8, 6, 4].map(|kv_bits| compile_model(model, Some(tokenizer), kv_bits));
    let ints = ints.into_iter().collect::<Result<Vec<_>, _>>()?;
    let (synthetic_roms, text_roms) = (synthetic_grid(), text_grid());
    let steps = synthetic::steps(&synthetic::CONTEXTS) + (ints.len() * text_roms.len() + 1) as u64;
    let progress = Progress::new(steps, "ROM sweep");
    let tick = || progress.tick();
    let (rows, values) = synthetic::run(&synthetic_roms, &synthetic::CONTEXTS, SEED, &tick);
    let (text, text_floor) = sweep::text::run(model, &ints, &text_roms, documents, &tick)?;
    progress.finish();
    let breaks = sweep::breaks(&rows);
    let sweep = Sweep { kind: "measured", seed: SEED, synthetic: rows, values, text, text_floor, breaks };
    let tokens: usize = documents.iter().map(|d| d.len() - 1).sum();
    let command = format!(
        "tritforge accuracy --model {} --text {}{} --sweep-rom --out {}",
        args.model.display(),
        args.text.display(),
        args.docs.map_or(String::new(), |n| format!(" --docs {n}")),
        out.display()
    );
    let subtitle =
        format!("measured; text: {tokens} tokens of {}; synthetic scores: seed {SEED}; colour = bits an entry", args.text.display());
    let files = [
        ("rom-synthetic.csv", sweep::table::synthetic_csv(&sweep)),
        ("rom-text.csv", sweep::table::text_csv(&sweep)),
        ("rom-sweep.md", sweep::table::markdown(&sweep, &command)),
        ("rom-sweep.svg", sweep::plot::svg(&sweep, &subtitle)?),
    ];
    let mut text = args.json.text();
    for (name, content) in &files {
        let path = out.join(name);
        output::write_file(&path, content.as_bytes())?;
        writeln!(text, "{}", path.display()).context("cannot write to standard output")?;
    }
    args.json.write(&sweep)?;
    Ok(Outcome::Held)
}
