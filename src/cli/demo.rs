//! `tritforge demo`: the embedded model on the cycle model, checked, with a report. In: nothing but the program; out: a folder.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use tritforge_sim::system::Mode;
use tritforge_spec::config::AccelConfig;

use super::sim::memory_config;
use super::simulate::{Run, Simulation, gantt_of, simulate, timeline_of};
use super::{Outcome, emit, output};
// The first one is simulated in detail.
use crate::compile::{Target, Workload};
use crate::configs::NAMED as CONFIGS;
use crate::model::judge::{Judge, Options, arg_max};
use crate::model::{Model, text};
use crate::report::accuracy::{self, bars, compare::SURE, table};
use crate::report::html::{self, Part, Section};
use crate::report::{context, cycles};

/// The embedded model, as the GGUF file that it is.
pub(super) const MODEL: &[u8] = include_bytes!("../../models/stories3m.tq1_0.gguf");
const STORIES: &str = include_str!("../../models/own-stories.txt");
const MODEL_FILE: &str = "stories3m.tq1_0.gguf";
const STORIES_FILE: &str = "own-stories.txt";
const MEMORY: &str = "40";
/// Positions of the context plot.
const POSITIONS: usize = 9;

/// Simulate the embedded model, check every value, and leave a report.
///
/// On the embedded model and configs/small.toml: every attention sub-layer of a prompt and its continuation cycle by cycle, every value compared with
/// the integer reference; the reference's text compared with the float judge's; accuracy on a few documents. Leaves the bundle (`tritforge emit`), model,
/// configurations, timeline (opens in Perfetto), JSON and one HTML report in --out. Exit code 1 if a check fails. `make demo` runs it.
///
/// Example: tritforge demo --out out/demo
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the results; made if it is not there.
    #[arg(long, value_name = "DIR", default_value = "out/demo")]
    out: PathBuf,
    /// Text of the prompt.
    #[arg(long, value_name = "TEXT", default_value = "Once upon a time there was a")]
    prompt: String,
    /// Tokens to decode.
    #[arg(long, value_name = "N", default_value_t = 16)]
    decode: usize,
    /// Documents of models/own-stories.txt for the accuracy.
    #[arg(long, value_name = "N", default_value_t = 2)]
    docs: usize,
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    let out = &args.out;
    fs::create_dir_all(out).with_context(|| format!("cannot make folder {}: choose a writable place", out.display()))?;
    let model_path = out.join(MODEL_FILE);
    output::write_file(&model_path, MODEL)?;
    output::write_file(&out.join(STORIES_FILE), STORIES.as_bytes())?;
    for (name, config) in CONFIGS {
        output::write_file(&out.join(format!("{name}.toml")), config.as_bytes())?;
    }
    let mut checks: Vec<(String, bool)> = Vec::new();
    let mut sections = Vec::new();

    let targets = CONFIGS.map(|(name, config)| {
        let config = AccelConfig::from_toml(config).with_context(|| format!("config {name}"))?;
        Target::with_config(&model_path, config)
    });
    let targets = targets.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let mut sims = Vec::new();
    for (target, (name, _)) in targets.iter().zip(CONFIGS) {
        let ids = target.tokenizer()?.encode_with_bos(&args.prompt)?;
        let work = Workload::new(&target.int, &target.hw, &ids, args.decode)?;
        let command = format!(
            "tritforge sim --model {MODEL_FILE} --config {name}.toml --prompt {:?} --decode {} --memory {MEMORY}",
            args.prompt, args.decode
        );
        let run = Run { layers: 0..target.hw.shape.layers, memory: MEMORY, mode: Mode::Step, window: 0..0, command };
        let sim = simulate(target, &work, &run, &mut |_, _| Ok(()))?;
        checks.push(match &sim.mismatch {
            None => {
                (format!("{name}: {} values of {} cycles equal the integer reference", sim.report.values_checked, sim.report.cycles), true)
            }
            Some(m) => (format!("{name}: {m}"), false),
        });
        say(&checks)?;
        sims.push((sim, work));
    }
    let (small, work) = &sims[0];
    output::write_file(&out.join("timeline.json"), &serde_json::to_vec(&timeline_of(small))?)?;
    output::write_file(&out.join("sim.json"), &serde_json::to_vec_pretty(&small.report)?)?;

    let bundle = out.join("bundle");
    let command = format!("tritforge emit --model {MODEL_FILE} --config small.toml --out bundle");
    let files = emit::files(&targets[0], &command)?;
    // A bundle of before is replaced; a folder of something else is not, and the error says so.
    emit::write_bundle(&bundle, &files, bundle.join(emit::BUNDLE_MARK).is_file())?;
    sections.push(Section {
        title: "The Verilog of configuration small".into(),
        kind: "measured",
        command,
        parts: vec![Part::Text(format!(
            "bundle/: {} files, {} bytes. It stands alone: `make sim` in it runs the self-checking testbench with Icarus Verilog or Verilator, without Rust.",
            files.len(),
            files.iter().map(|f| f.bytes.len()).sum::<usize>()
        ))],
    });

    let model = Model::open(&model_path)?;
    sections.push(text_section(&targets[0], &model, work, &mut checks)?);
    say(&checks)?;
    sections.push(compare_section(&sims.iter().map(|s| &s.0).collect::<Vec<_>>()));
    sections.push(Section {
        title: "Where the cycles went: configuration small".into(),
        kind: "simulated",
        command: small.report.command.clone(),
        parts: vec![
            Part::Figure(gantt_of(small)?, "Stages of the last token, from the first to the last word of each.".into()),
            Part::Pre(cycles::text(&small.report)),
        ],
    });
    let kv260 = &sims[2].0;
    sections.push(Section {
        title: "The same token on the KV260-class configuration".into(),
        kind: "simulated",
        command: kv260.report.command.clone(),
        parts: vec![
            Part::Figure(
                gantt_of(kv260)?,
                "Four 128-bit ports and 320 lanes; 250 MHz turns cycles into time, no timing closure has been run.".into(),
            ),
            Part::Pre(cycles::text(&kv260.report)),
        ],
    });
    sections.push(context_section(&targets)?);
    if args.docs > 0 {
        sections.push(accuracy_section(&targets[0], &model, args.docs, &mut checks)?);
        say(&checks)?;
    }

    let held = checks.iter().all(|c| c.1);
    let rows = checks.iter().map(|(what, ok)| vec![what.clone(), if *ok { "held".into() } else { "FAILED".into() }]).collect();
    let seconds = begun.elapsed().as_secs_f64();
    let summary = Section {
        title: "What was checked".into(),
        kind: "measured",
        command: format!(
            "tritforge demo --prompt {:?} --decode {} --docs {} ({seconds:.0} s on this machine)",
            args.prompt, args.decode, args.docs
        ),
        parts: vec![Part::Table(vec!["check".into(), "result".into()], rows)],
    };
    sections.insert(0, summary);
    let lead = "The attention sub-layers of a trained ternary transformer on the cycle model of the accelerator. Each section names the kind of its numbers and the command that gives them again, to be run in this folder.";
    output::write_file(&out.join("report.html"), html::page("tritforge: demo", lead, &sections).as_bytes())?;
    output::say(format_args!(
        "{}: report.html, bundle/, timeline.json (open in ui.perfetto.dev), sim.json ({seconds:.0} s)",
        out.display()
    ))?;
    Ok(if held { Outcome::Held } else { Outcome::Failed })
}

/// Prints the newest check.
fn say(checks: &[(String, bool)]) -> anyhow::Result<()> {
    let Some((what, ok)) = checks.last() else { return Ok(()) };
    output::say(format_args!("{} {what}", if *ok { "held  " } else { "FAILED" }))
}

/// Of the tokens from `prompt` on: how many are not the judge's choice after the same tokens, and how many of these it puts [`SURE`] or more
/// below its best. `logits` row i is the judge's for the token after `tokens[i]`.
fn parted<'l>(tokens: &[u32], prompt: usize, logits: impl Fn(usize) -> &'l [f64]) -> (usize, usize) {
    let (mut other, mut sure) = (0, 0);
    for (i, &token) in tokens.iter().enumerate().skip(prompt) {
        let row = logits(i - 1);
        let (best, chosen) = (arg_max(row), token as usize);
        other += usize::from(best != chosen);
        sure += usize::from(row[best] - row[chosen] >= SURE);
    }
    (other, sure)
}

/// The integer reference's text beside the judge's.
fn text_section(target: &Target, model: &Model, work: &Workload, checks: &mut Vec<(String, bool)>) -> anyhow::Result<Section> {
    let judge = Judge::<f64>::new(model, Options::default());
    let judged = judge.generate(&work.tokens[..work.prompt], work.tokens.len())?;
    let decoded = work.tokens.len() - work.prompt;
    // Greedy texts part for good where two logits are close, so each token is judged after the integers' own tokens before it.
    let logits = judge.forward(&work.tokens, &mut judge.cache(), &mut ())?;
    let (other, sure) = parted(&work.tokens, work.prompt, |i| logits.row(i));
    let what = format!(
        "text of the integers: {} of {decoded} greedy tokens are the float judge's (f64) after the same text, {other} another, {sure} of these where it is sure by {SURE}",
        decoded - other
    );
    checks.push((what, sure == 0));
    let rows = vec![
        vec!["integers".into(), target.tokenizer()?.decode(&work.tokens)?],
        vec!["float judge".into(), target.tokenizer()?.decode(&judged)?],
    ];
    let (title, parts) = ("The text".into(), vec![Part::Table(vec!["program".into(), "prompt and greedy continuation".into()], rows)]);
    Ok(Section { title, kind: "measured", command: "tritforge demo".into(), parts })
}

fn compare_section(sims: &[&Simulation]) -> Section {
    let header = [
        "configuration",
        "hw",
        "MHz",
        "cycles a decoded token and layer",
        "decoded tokens/s",
        "of the memory bound, decode",
        "array busy, decode",
        "padding",
    ];
    let rows = sims.iter().map(|s| {
        let (r, d) = (&s.report, &s.report.decode);
        vec![
            r.config.clone(),
            r.hw_hash.clone(),
            r.clock_mhz.to_string(),
            (d.cycles / d.passes.max(1) as u64).to_string(),
            format!("{:.0}", r.tokens_per_second),
            cycles::percent(d.memory_bound, d.cycles),
            cycles::percent(d.waits.computing, d.cycles),
            format!("{:.1} %", 100.0 * r.padding_share),
        ]
    });
    let rows = rows.collect();
    let note = "Tokens a second through the attention sub-layers of all layers alone: feed-forward and head are not in this hardware, and the host's time between layers is left out.";
    Section {
        title: "Configurations".into(),
        kind: "simulated",
        command: sims.iter().map(|s| s.report.command.as_str()).collect::<Vec<_>>().join(" ; "),
        parts: vec![Part::Table(header.map(String::from).to_vec(), rows), Part::Text(note.into())],
    }
}

fn context_section(targets: &[Target]) -> anyhow::Result<Section> {
    let curves =
        targets.iter().map(|t| context::measure(t, memory_config(&t.hw, MEMORY)?, POSITIONS)).collect::<anyhow::Result<Vec<_>>>()?;
    let subtitle = context::subtitle(MODEL_FILE, MEMORY);
    Ok(Section {
        title: "What context costs".into(),
        kind: "simulated",
        command: "tritforge demo".into(),
        parts: vec![Part::Figure(context::svg(&curves, &subtitle)?, "Decode passes at nine positions up to the model's context.".into())],
    })
}

fn accuracy_section(target: &Target, model: &Model, docs: usize, checks: &mut Vec<(String, bool)>) -> anyhow::Result<Section> {
    let mut documents = Vec::new();
    for document in text::documents(STORIES).into_iter().take(docs) {
        let mut ids = target.tokenizer()?.encode_with_bos(document)?;
        ids.truncate(target.int.shape.context);
        documents.push(ids);
    }
    let rom = (target.hw.config.rom_log2, target.hw.config.rom_bits);
    let result = accuracy::measure(model, &target.int, rom, &documents, &|| ())?;
    let missed = bars::missed(&result);
    let v = &result.variants;
    let what = format!(
        "accuracy on {} predictions: perplexity ratio {:.5} (attention), {:.5} (whole model)",
        result.predictions, v.attention.ratio, v.whole.ratio
    );
    let what = if missed.is_empty() { what } else { format!("{what}; missed: {}", missed.join("; ")) };
    checks.push((what, missed.is_empty()));
    Ok(Section {
        title: "Accuracy of the integers".into(),
        kind: "measured",
        command: format!(
            "tritforge accuracy --model {MODEL_FILE} --text {STORIES_FILE} --docs {docs} --rom-entries {} --rom-bits {}",
            1u32 << rom.0,
            rom.1
        ),
        parts: vec![Part::Pre(table::text(&result))],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_of_the_text_is_judged_after_the_tokens_before_it() {
        let rows = [[0.0, 1.0, 0.9], [2.0, 0.0, 0.0], [0.0, 0.1, 3.0], [0.0, 0.0, 1.0]];
        let at = |tokens: &[u32]| parted(tokens, 1, |i| &rows[i]);
        assert_eq!(at(&[0, 1, 0, 2]), (0, 0));
        // 0.1 below the best: another token, but the judge is not sure. Last token: sure.
        assert_eq!(at(&[0, 2, 0, 2]), (1, 0));
        assert_eq!(at(&[0, 1, 0, 1]), (1, 1));
        assert_eq!(at(&[0]), (0, 0));
    }

    #[test]
    fn the_embedded_configurations_are_valid_and_named_as_their_files() {
        for (name, text) in CONFIGS {
            assert_eq!(AccelConfig::from_toml(text).unwrap().name, name);
        }
    }
}
