//! `tritforge convert`: a model's file with its weights in another type.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::progress::Progress;
use super::{Outcome, output};
use crate::model::config::{ARCHITECTURE, ARCHITECTURE_SILU};
use crate::model::convert::{ConvertError, Options, Step, Work};
use crate::model::error::shown;
use crate::model::gguf::TensorType;
use crate::model::{Conversion, ModelFile};

/// Store a model's weights in another type, as one GGUF file with the same metadata.
///
/// Types: f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k (every matrix, rounded as ggml rounds it without an
/// importance matrix), tq1_0, tq2_0, i2_s (the linear weights of the layers, which must be ternary; embedding and head stay as they
/// are). Norms, biases and routers are F32. Rows that fit no block are stored in a type that is printed.
///
/// Examples: tritforge convert models/stories3m.tq2_0.gguf out.gguf --type tq1_0; tritforge convert llama.gguf bad.gguf --type tq2_0 --ternarise
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model, in any format that is read; of several files any one.
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The file to write.
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Type of the weights.
    #[arg(long = "type", value_name = "TYPE")]
    kind: TensorType,
    /// Round linear weights that are not ternary to -s, 0, s, s the mean magnitude of the tensor. This is not training: what comes out is a bad
    /// model. For tq1_0, tq2_0 and i2_s only.
    #[arg(long)]
    ternarise: bool,
    /// Replace OUT if it is there.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    if args.ternarise && !args.kind.is_ternary() {
        bail!("--ternarise: expected --type tq1_0, tq2_0 or i2_s, found {}; leave it out to convert to that type", args.kind.name());
    }
    let mapped = ModelFile::open_silently(&args.input)?;
    output::check_new(&args.output, "OUT", args.force)?;
    if args.ternarise {
        output::note(format_args!("WARNING: --ternarise rounds trained weights to -s, 0, s. This is not training: the model will be bad."));
    }
    mapped.warnings().iter().for_each(|warning| output::note(format_args!("warning: {warning}")));
    let file = mapped.parse()?;
    let options = Options { kind: args.kind, ternarise: args.ternarise };
    let progress = Progress::new(file.tensors().len() as u64, "tensors read");
    let conversion = Conversion::plan(&file, options, &|tensors| progress.add(tensors));
    progress.finish();
    let conversion = conversion?;
    warn(conversion.steps());
    warn_of_lost_trits(&conversion, file.get_str("general.architecture").ok().flatten());

    let progress = Progress::new(conversion.rows(), "rows written");
    let written = output::write_stream(&args.output, |out| {
        conversion.write(out, &|rows| progress.add(rows)).map_err(|error| match error {
            ConvertError::Model(error) => error.into(),
            // As it is, so that the path is put before it.
            ConvertError::Write(error) => error.into(),
        })
    });
    progress.finish();
    let trits = written?;
    report(&args, &conversion, mapped.total_bytes())?;
    if args.ternarise {
        report_rounding(&conversion, trits, file.get_str("general.architecture").ok().flatten())?;
    }
    Ok(Outcome::Held)
}

/// What the new file loses, on standard error.
fn warn(steps: &[Step<'_, '_>]) {
    let blocks = |kind: TensorType| kind.block_elements() > 1;
    let again = |step: &&Step<'_, '_>| {
        let kept = step.tensor.kind.is_ternary() && step.kind.keeps_ternary();
        step.work == Work::Encode && blocks(step.tensor.kind) && blocks(step.kind) && !kept
    };
    let count = steps.iter().filter(again).count();
    if count > 0 {
        output::note(format_args!(
            "warning: {count} tensors are quantised already: rounding them again loses more than converting the original model would"
        ));
    }
    let changes: Vec<f64> =
        steps.iter().filter(|s| matches!(s.work, Work::Ternary(_))).map(Step::scale_change).filter(|&c| c > 0.0).collect();
    if let Some(most) = changes.iter().copied().reduce(f64::max) {
        let count = changes.len();
        output::note(format_args!(
            "warning: the scales of {count} tensors are rounded to f16, by at most {:.4} %; their trits stay (i2_s keeps scales as well)",
            100.0 * most
        ));
    }
}

/// Where the layers of a BitNet get a type that is not ternary: who no longer takes the file, on standard error.
fn warn_of_lost_trits(conversion: &Conversion<'_, '_>, architecture: Option<&str>) {
    let Some(kind) = conversion.steps().iter().find(|step| step.tensor.name.starts_with("blk.") && !step.kind.keeps_ternary()) else {
        return;
    };
    if architecture.is_some_and(|name| [ARCHITECTURE, ARCHITECTURE_SILU].contains(&name)) {
        let kind = kind.kind.name();
        output::note(format_args!(
            "warning: {kind} holds no exact trits: `run` takes the new file in llama.cpp's arithmetic, no accelerator does"
        ));
    }
}

fn report(args: &Args, conversion: &Conversion<'_, '_>, bytes_before: u64) -> anyhow::Result<()> {
    let mut kinds: BTreeMap<u32, (TensorType, usize)> = BTreeMap::new();
    let mut fallbacks: BTreeMap<(u32, u32), Vec<&Step<'_, '_>>> = BTreeMap::new();
    for step in conversion.steps() {
        kinds.entry(step.kind as u32).or_insert((step.kind, 0)).1 += 1;
        if step.kind != step.wanted {
            fallbacks.entry((step.wanted as u32, step.kind as u32)).or_default().push(step);
        }
    }
    let counts: Vec<String> = kinds.values().map(|(kind, count)| format!("{count} in {}", kind.name())).collect();
    let path: &Path = &args.output;
    output::say(format_args!(
        "{}: {} bytes (before: {bytes_before}), tensors: {}",
        path.display(),
        conversion.total_bytes(),
        counts.join(", ")
    ))?;
    for steps in fallbacks.values() {
        let first = steps[0];
        let names = if steps.len() > 1 {
            format!("'{}' and {} more", shown(first.tensor.name), steps.len() - 1)
        } else {
            format!("'{}'", shown(first.tensor.name))
        };
        output::say(format_args!("rows that fit no block of {}, stored as {}: {names}", first.wanted.name(), first.kind.name()))?;
    }
    Ok(())
}

/// What `--ternarise` did.
fn report_rounding(conversion: &Conversion<'_, '_>, trits: [u64; 3], architecture: Option<&str>) -> anyhow::Result<()> {
    let total: u64 = trits.iter().sum();
    let rounded = conversion.steps().iter().filter(|step| matches!(step.work, Work::Ternarise(_))).count();
    if total == 0 {
        output::say(format_args!("nothing was rounded: every linear weight was ternary"))?;
        return Ok(());
    }
    let share = |count: u64| 100.0 * count as f64 / total as f64;
    let [minus, zero, plus] = trits.map(share);
    output::say(format_args!(
        "rounded: {total} weights of {rounded} tensors, {minus:.1} % to -s, {zero:.1} % to 0, {plus:.1} % to s; 'tritforge.ternarised' in the file says so"
    ))?;
    if let Some(architecture) = architecture {
        output::say(format_args!(
            "the architecture stays '{}': weights alone do not make a BitNet (its layers have other norms and 8-bit activations)",
            shown(architecture)
        ))?;
    }
    Ok(())
}
