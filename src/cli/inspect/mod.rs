//! `tritforge inspect`: what is in a model's file, and which accelerators can run it.

mod fits;
mod timing;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use super::Outcome;
use super::output::JsonArgs;
use super::progress::Progress;
use crate::model::gguf::Gguf;
use crate::model::llama::LlamaShape;
use crate::model::survey::{self, Tensor, Trits};
use crate::model::{AnyModel, ModelFile, ModelShape};
use fits::Fit;
use timing::Timing;

/// Show what a model's file holds: architecture, shapes, types, trits, and which accelerators can run it.
///
/// Every weight is looked at. A matrix is ternary when each element is -s, 0 or s with one s; the columns -1, 0, +1 are the
/// shares of its elements. Of others the first element that breaks the rule is named in the JSON.
///
/// Example: tritforge inspect models/stories3m.tq1_0.gguf --config my.toml
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: GGUF, a folder or safetensors file of Hugging Face, or llama2.c's; of several files any one.
    file: PathBuf,
    /// Accelerator configurations to try, besides the named ones.
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Leave out the list of tensors.
    #[arg(long)]
    brief: bool,
    /// Also print how long it took and how much memory.
    #[arg(long)]
    timing: bool,
    #[command(flatten)]
    json: JsonArgs,
}

#[derive(Debug, Serialize)]
struct Report {
    file: PathBuf,
    format: &'static str,
    bytes: u64,
    metadata_bytes: u64,
    architecture: String,
    name: Option<String>,
    /// Sizes and constants in words; or why they cannot be read.
    model: String,
    tensors: Vec<Tensor>,
    types: Vec<Type>,
    /// Elements of all tensors, of ternary matrices.
    elements: u64,
    ternary_elements: u64,
    accelerators: Vec<Fit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timing: Option<Timing>,
}

/// The tensors of one storage type.
#[derive(Debug, Default, Serialize)]
struct Type {
    #[serde(rename = "type")]
    kind: &'static str,
    tensors: u64,
    elements: u64,
    bytes: u64,
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    let file = ModelFile::open(&args.file)?;
    let gguf = file.parse()?;
    let parsed = begun.elapsed();
    const PIECE: u64 = 1 << 20;
    let progress = Progress::new(file.total_bytes() / PIECE, "MiB");
    let tensors = survey::survey(&gguf, &|bytes| progress.add(bytes / PIECE));
    progress.finish();
    let surveyed = begun.elapsed();
    let accelerators = fits::fits(&gguf, &tensors, &args.config)?;
    let report = Report {
        format: file.format(),
        bytes: file.total_bytes(),
        metadata_bytes: gguf.metadata_bytes() as u64,
        architecture: gguf.get_str("general.architecture").ok().flatten().unwrap_or("not given").to_owned(),
        name: gguf.get_str("general.name").ok().flatten().map(str::to_owned),
        model: sizes(&gguf),
        types: types(&tensors),
        elements: tensors.iter().map(Tensor::elements).sum(),
        ternary_elements: tensors.iter().filter(|t| t.trits.is_some()).map(Tensor::elements).sum(),
        tensors,
        accelerators,
        timing: args.timing.then(|| Timing::new(parsed, surveyed)),
        file: args.file,
    };
    anyhow::Context::context(print(&mut *args.json.text(), &report, args.brief), "cannot write to standard output")?;
    args.json.write(&report)?;
    Ok(Outcome::Held)
}

/// Sizes and constants of the model in words; or why they cannot be read.
fn sizes(gguf: &Gguf<'_>) -> String {
    let heads = |heads, kv_heads, head_dim| format!("{heads} heads of {head_dim}, {kv_heads} KV heads");
    if let Ok(s) = ModelShape::from_gguf(gguf) {
        let heads = heads(s.heads, s.kv_heads, s.head_dim);
        let act = format!("{:?}", s.activation).to_lowercase();
        return format!(
            "{} layers, dimension {}, {heads}, feed-forward {} ({act}), vocabulary {}, context {}, RoPE theta {}, epsilon {:e}",
            s.layers, s.dim, s.ffn, s.vocab, s.context, s.rope_theta, s.rms_epsilon
        );
    }
    match AnyModel::architecture(gguf).and_then(|_| LlamaShape::from_gguf(gguf)) {
        Ok(s) => {
            let experts = if s.experts > 0 { format!(", {} of {} experts", s.experts_used, s.experts) } else { String::new() };
            let heads = heads(s.heads, s.kv_heads, s.head_dim);
            format!(
                "{} layers, dimension {}, {heads}, feed-forward {}{experts}, vocabulary {}, context {}, RoPE theta {}, {}, epsilon {:e}",
                s.layers, s.dim, s.ffn, s.vocab, s.context, s.rope.base, s.rope.scaling, s.rms_epsilon
            )
        }
        Err(refusal) => format!("not a model that runs here: {refusal}"),
    }
}

fn types(tensors: &[Tensor]) -> Vec<Type> {
    let mut types = BTreeMap::<&str, Type>::new();
    for tensor in tensors {
        let kind = types.entry(tensor.kind).or_insert(Type { kind: tensor.kind, ..Type::default() });
        kind.tensors += 1;
        kind.elements += tensor.elements();
        kind.bytes += tensor.bytes;
    }
    let mut types: Vec<_> = types.into_values().collect();
    types.sort_by_key(|kind| std::cmp::Reverse(kind.bytes));
    types
}

fn share(part: u64, of: u64) -> f64 {
    100.0 * part as f64 / of.max(1) as f64
}

fn print(out: &mut dyn Write, r: &Report, brief: bool) -> std::io::Result<()> {
    writeln!(
        out,
        "{}: {}, {} bytes, {} of them metadata; {} tensors",
        crate::model::error::shown_path(&r.file),
        r.format,
        r.bytes,
        r.metadata_bytes,
        r.tensors.len()
    )?;
    let name = r.name.as_ref().map_or(String::new(), |name| format!(", '{}'", name.escape_debug()));
    writeln!(out, "architecture {}{name}: {}", r.architecture.escape_debug(), r.model)?;
    if !brief {
        let width = r.tensors.iter().map(|t| t.name.escape_debug().count()).max().unwrap_or(0).clamp(6, 48);
        writeln!(
            out,
            "\n{:width$}  {:6} {:>20} {:>13}   {:>6} {:>6} {:>6}  scale",
            "tensor", "type", "sizes", "bytes", "-1 %", "0 %", "+1 %"
        )?;
        for t in &r.tensors {
            let sizes = t.sizes.iter().map(u64::to_string).collect::<Vec<_>>().join(" x ");
            let name = t.name.escape_debug().to_string();
            let trits = match (&t.trits, &t.not_ternary) {
                (Some(Trits { scale, minus, zero, plus }), _) => {
                    let [a, b, c] = [minus, zero, plus].map(|&n| share(n, t.elements()));
                    format!("{a:6.2} {b:6.2} {c:6.2}  {scale:e}")
                }
                (None, Some(_)) => "not ternary".into(),
                _ => String::new(),
            };
            let trits = t.origin.map_or(trits.clone(), |origin| format!("{trits:30} (from {origin})"));
            let line = format!("{name:width$}  {:6} {sizes:>20} {:>13}   {trits}", t.kind, t.bytes);
            writeln!(out, "{}", line.trim_end())?;
        }
    }
    writeln!(out, "\n{:6} {:>8} {:>15} {:>15}", "type", "tensors", "elements", "bytes")?;
    for t in &r.types {
        writeln!(out, "{:6} {:>8} {:>15} {:>15}", t.kind, t.tensors, t.elements, t.bytes)?;
    }
    let percent = share(r.ternary_elements, r.elements);
    writeln!(out, "ternary: {} of {} elements ({percent:.1} %)", r.ternary_elements, r.elements)?;
    writeln!(out, "\naccelerators that can run its attention sub-layers:")?;
    match r.accelerators.first().and_then(|f| f.why_not.as_ref()) {
        Some(why) if r.accelerators.iter().all(|f| f.why_not.as_ref() == Some(why)) => writeln!(out, "  none: {why}")?,
        _ => {
            for fit in &r.accelerators {
                match &fit.why_not {
                    None => writeln!(out, "  {}: yes ({} lanes, {} x {} bits)", fit.config, fit.lanes, fit.ports, fit.port_bits)?,
                    Some(why) => writeln!(out, "  {}: no, {why}", fit.config)?,
                }
            }
        }
    }
    if let Some(timing) = &r.timing {
        writeln!(out, "\n{timing}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_keys_that_scripts_rely_on() {
        let file = ModelFile::open("models/stories3m.tq1_0.gguf".as_ref()).unwrap();
        let gguf = file.parse().unwrap();
        let tensors = survey::survey(&gguf, &|_| {});
        let report = Report {
            file: "m.gguf".into(),
            format: file.format(),
            bytes: 1,
            metadata_bytes: 1,
            architecture: String::new(),
            name: None,
            model: sizes(&gguf),
            types: types(&tensors),
            elements: 1,
            ternary_elements: 1,
            accelerators: fits::fits(&gguf, &tensors, &[]).unwrap(),
            tensors,
            timing: Some(Timing::new(Default::default(), Default::default())),
        };
        let json = serde_json::to_value(report).unwrap();
        let keys = |v: &serde_json::Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let firsts = ["tensors", "types", "accelerators"].map(|list| keys(&json[list][0]));
        insta::assert_debug_snapshot!((keys(&json), firsts, json["model"].clone()));
    }
}
