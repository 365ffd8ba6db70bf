//! `tritforge synth-model`: a random ternary model of any shape, as a GGUF file.

use std::path::PathBuf;

use anyhow::Context;

use super::progress::Progress;
use super::{Outcome, output};
use crate::model::gguf::TensorType;
use crate::model::synth::{self, Synth};

/// Write a random ternary model of any shape as GGUF.
///
/// The model is a pure function of shape, seed and type. Its scales keep activations in a trained model's range; its
/// tokenizer knows every byte (where the vocabulary has room for them). It says nothing sensible: it exists so that
/// any shape can be simulated, emitted and checked.
///
/// Example: tritforge synth-model --shape layers=2,dim=256,heads=4,kv=2,head_dim=80,ffn=768 --seed 7 --out m.gguf
#[derive(Debug, clap::Args)]
pub struct Args {
    /// 2b4t, 700m, 1.3b or 3b for a published shape, which entries behind it change (2b4t,layers=2); or
    /// comma-separated sizes: layers, dim, heads, ffn are needed; kv (= heads), head_dim (= dim/heads), vocab (512),
    /// ctx (256), theta (10000), eps (1e-5), act (relu2, or silu), tied (true, or false) have the defaults in brackets.
    #[arg(long, value_name = "SIZES")]
    shape: String,
    /// Seed of every random number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How ternary weights are stored: f32, f16, bf16, q8_0, tq1_0, tq2_0, i2_s; the other types of `convert` round them to numbers that are
    /// not ternary, so that no accelerator takes the file. A tensor whose rows do not fit (tq1_0, tq2_0, q2_k to q6_k
    /// need multiples of 256, i2_s of 128) takes what `convert` falls back to.
    #[arg(long = "type", value_name = "TYPE", default_value = "tq2_0")]
    kind: TensorType,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace FILE if it is there.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    let (shape, tied) = synth::parse_shape(&args.shape).context("--shape")?;
    output::check_new(&args.out, "--out", args.force)?;
    let summary = format!("{} layers, dimension {}", shape.layers, shape.dim);
    let model = Synth { shape, tied, seed: args.seed, kind: args.kind };
    let fallbacks = model.fallbacks();
    let progress = Progress::new(model.rows(), "rows written");
    let bytes = output::write_stream(&args.out, |out| Ok(model.write(out, &|rows| progress.add(rows))?));
    progress.finish();
    output::say(format_args!("{}: {summary}, {} bytes", args.out.display(), bytes?))?;
    for (cols, stored) in fallbacks {
        output::say(format_args!("rows of {cols} fit no block of {}, stored as {}", args.kind.name(), stored.name()))?;
    }
    Ok(Outcome::Held)
}
