//! `tritforge trace`: what one of our executions computes, stage by stage, as a file.

use std::path::PathBuf;

use anyhow::Context;

use super::{Outcome, output};
use crate::model::gguf::Gguf;
use crate::model::{ModelFile, Tokenizer};
use crate::trace::{Loaded, Runner, file};

/// Write what an execution of a model computes, stage by stage, to a safetensors file.
///
/// The pass runs over the given tokens from position 0. The format, the names and their axes: docs/trace.md. `tritforge diff` compares
/// such files with each other and with executions of ours; scripts/trace-transformers.py and scripts/trace-llamacpp.py write them for
/// other runtimes.
///
/// Example: tritforge trace --model models/stories3m.tq2_0.gguf --prompt "Once upon a time" --out float.safetensors
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: GGUF, a folder or safetensors file of Hugging Face, or llama2.c's; of several files any one.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Which execution.
    #[arg(long, value_enum, value_name = "PATH", default_value = "float")]
    path: Runner,
    #[command(flatten)]
    pass: PassArgs,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What the pass runs over; shared with `diff`.
#[derive(Debug, clap::Args)]
pub struct PassArgs {
    /// Text of the pass; tokenised as a prompt.
    #[arg(long, value_name = "TEXT", conflicts_with = "tokens")]
    pub prompt: Option<String>,
    /// Ids of the pass, comma-separated; the tokenizer is not asked.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub tokens: Option<Vec<u32>>,
    /// The accelerator configuration, TOML: needed by `sim` and `rtl`; `integer` takes its KV width and softmax ROM from it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl PassArgs {
    /// The ids, where any were given.
    pub fn ids(&self, file: &Gguf<'_>) -> anyhow::Result<Option<Vec<u32>>> {
        match (&self.tokens, &self.prompt) {
            (Some(ids), _) => Ok(Some(ids.clone())),
            (None, Some(text)) => Ok(Some(Tokenizer::from_gguf(file)?.encode_prompt(text)?)),
            (None, None) => Ok(None),
        }
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    let mapped = ModelFile::open(&args.model)?;
    let parsed = mapped.parse()?;
    let ids = args.pass.ids(&parsed)?.context("expected --prompt or --tokens, found neither; give a text or ids")?;
    let mut loaded = Loaded::new(&args.model, &parsed, mapped.parts())?;
    output::check(&args.out)?;
    loaded.load(args.path)?;
    let trace = loaded.record(args.path, &ids, args.pass.config.as_deref())?;
    output::write_file(&args.out, &file::bytes(&trace)?)?;
    output::say(format_args!(
        "{}: {} tensors of {} tokens, {} ({})",
        args.out.display(),
        trace.len(),
        ids.len(),
        trace.about.arithmetic,
        trace.about.runtime
    ))?;
    Ok(Outcome::Held)
}
