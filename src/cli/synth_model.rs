//! `tritforge synth-model`: a random ternary model of any shape, as a GGUF file.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;

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
    /// How ternary weights are stored. A tensor whose rows do not fit (the tq types need multiples of 256, i2_s of 128) takes q8_0,
    /// or f16 where 32 does not divide the row either.
    #[arg(long = "type", value_enum, default_value = "tq2_0")]
    kind: Kind,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    #[value(name = "tq2_0")]
    Tq2,
    #[value(name = "tq1_0")]
    Tq1,
    #[value(name = "i2_s")]
    I2s,
    #[value(name = "q8_0")]
    Q8,
    #[value(name = "f16")]
    F16,
    #[value(name = "f32")]
    F32,
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    let (shape, tied) = synth::parse_shape(&args.shape).context("--shape")?;
    let kind = match args.kind {
        Kind::Tq2 => TensorType::Tq2_0,
        Kind::Tq1 => TensorType::Tq1_0,
        Kind::I2s => TensorType::I2S,
        Kind::Q8 => TensorType::Q8_0,
        Kind::F16 => TensorType::F16,
        Kind::F32 => TensorType::F32,
    };
    let summary = format!("{} layers, dimension {}", shape.layers, shape.dim);
    let file = Synth { shape, tied, seed: args.seed, kind }.build();
    output::write_file(&args.out, &file)?;
    println!("{}: {summary}, {} bytes", args.out.display(), file.len());
    Ok(Outcome::Held)
}
