//! `tritforge accuracy`: the integer pipeline against the f64 judge on text.

use std::path::PathBuf;

use anyhow::{Context, bail};

use super::progress::Progress;
use super::{Outcome, output};
use crate::compile::compile_model;
use crate::model::gguf::GgufFile;
use crate::model::{Model, Tokenizer, text};
use crate::report::accuracy::{self, bars, table};

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
    /// The model, GGUF.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Text, UTF-8; documents are separated by lines equal to <|endoftext|>.
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    /// Bits of a K or V code: 4, 6 or 8.
    #[arg(long, value_name = "BITS", default_value_t = 8)]
    kv_bits: usize,
    /// Entries of the softmax ROM, a power of two from 4 to 4096.
    #[arg(long, value_name = "N", default_value_t = 256)]
    rom_entries: u32,
    /// Bits of a softmax ROM entry, 4 to 23.
    #[arg(long, value_name = "BITS", default_value_t = 16)]
    rom_bits: u32,
    /// Only the first N documents.
    #[arg(long, value_name = "N")]
    docs: Option<usize>,
    #[command(flatten)]
    json: output::JsonArgs,
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    let rom = rom_size(args.rom_entries, args.rom_bits)?;
    let file = GgufFile::open(&args.model)?;
    let file = file.parse()?;
    let (model, tokenizer) = (Model::from_gguf(&file)?, Tokenizer::from_gguf(&file)?);
    let int = compile_model(&model, Some(&tokenizer), args.kv_bits)?;
    let mut documents = text::read_documents(&args.text, &tokenizer, int.shape.context)?;
    documents.retain(|ids| ids.len() > 1);
    documents.truncate(args.docs.unwrap_or(usize::MAX));
    if documents.is_empty() {
        bail!("text {}: expected at least one document of one token or more, found none; give another file", args.text.display());
    }
    let progress = Progress::new((documents.len() * accuracy::STEPS) as u64, "accuracy");
    let result = accuracy::measure(&model, &int, rom, &documents, &|| progress.tick());
    progress.finish();
    let result = result?;
    let missed = bars::missed(&result);
    let mut out = args.json.text();
    write!(out, "{}", table::text(&result)).context("cannot write to standard output")?;
    for bar in &missed {
        writeln!(out, "MISSED {bar}").context("cannot write to standard output")?;
    }
    args.json.write(&result)?;
    Ok(if missed.is_empty() { Outcome::Held } else { Outcome::Failed })
}

/// log2 of the entries, and the bits; refused outside the contract's ranges.
fn rom_size(entries: u32, bits: u32) -> anyhow::Result<(u32, u32)> {
    if !entries.is_power_of_two() || !(4..=4096).contains(&entries) {
        bail!("--rom-entries: expected a power of two from 4 to 4096, found {entries}");
    }
    if !(4..=23).contains(&bits) {
        bail!("--rom-bits: expected 4 to 23, found {bits}");
    }
    Ok((entries.ilog2(), bits))
}
