//! `tritforge run`: text from a model, in software.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};

use super::arithmetic::{self, ArithmeticArg, IntegerArgs};
use super::memory::Memory;
use super::stops::Stops;
use super::{Outcome, output, perplexity};
use crate::model::chat::Message;
use crate::model::sampler::{Sampler, Sampling};
use crate::model::tokenizer::TextStream;
use crate::model::{Engine, ModelFile, Tokenizer};

/// Generate text with a model in software: Llama, mixtures of experts, llama.cpp's `bitnet`, BitNet b1.58.
///
/// Llama files run in llama.cpp's own arithmetic (activations quantised before a quantised product, f16 cache), so that greedy ids
/// are llama.cpp's. BitNet b1.58 files run in the f64 judge, whose ternary sums are exact, or with --arithmetic integer in the
/// accelerator's own integers. Text streams to standard output, figures go to standard error.
///
/// Examples: tritforge run --model models/stories3m.tq2_0.gguf --prompt "Once upon a time" --greedy --predict 100;
/// tritforge run --model SmolLM2-135M-Instruct.Q4_1.gguf --chat --prompt "What is a FIFO?"
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: GGUF, a folder or safetensors file of Hugging Face, or llama2.c's; of several files any one.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Text to go on with.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["tokens", "perplexity"])]
    prompt: Option<String>,
    /// The prompt is what a user says: put it into the chat template of the file, up to where the answer begins.
    #[arg(long, requires = "prompt", conflicts_with_all = ["tokens", "perplexity"])]
    chat: bool,
    /// With --chat: what the system says before the user.
    #[arg(long, value_name = "TEXT", requires = "chat")]
    system: Option<String>,
    /// Tokenizer to use instead of the model's own: tokenizer.json, tokenizer.model, llama2.c's tokenizer.bin, or a folder.
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Ids to go on with, comma-separated; the tokenizer is not asked.
    #[arg(long, value_name = "IDS", value_delimiter = ',', conflicts_with = "perplexity")]
    tokens: Option<Vec<u32>>,
    /// Most ids to generate.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 128)]
    predict: usize,
    /// Always take the id of the largest logit.
    #[arg(long, conflicts_with = "temperature")]
    greedy: bool,
    /// Divides the logits before an id is drawn; 0 is --greedy.
    #[arg(long, value_name = "T", default_value_t = 0.8)]
    temperature: f64,
    /// Draw from the N largest logits only; 0: from all.
    #[arg(long, value_name = "N", default_value_t = 40)]
    top_k: usize,
    /// Draw from the fewest ids that hold this share of the chance.
    #[arg(long, value_name = "P", default_value_t = 0.95)]
    top_p: f64,
    /// Draw from ids with at least this share of the best one's chance.
    #[arg(long, value_name = "P", default_value_t = 0.05)]
    min_p: f64,
    /// Divides (or, if negative, multiplies) the logits of the last 64 ids.
    #[arg(long, value_name = "R", default_value_t = 1.0)]
    repeat_penalty: f64,
    /// Seed of the draws.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// End at this text, which is not printed (the JSON has every id with its whole text); may be given several times.
    #[arg(long, value_name = "TEXT", conflicts_with = "ids")]
    stop: Vec<String>,
    /// Do not end at the model's end-of-text ids.
    #[arg(long)]
    ignore_eos: bool,
    /// Print generated ids, comma-separated, instead of their text.
    #[arg(long)]
    ids: bool,
    /// Print the N largest logits of every step on standard error.
    #[arg(long, value_name = "N", default_value_t = 0)]
    top_logits: usize,
    /// Instead measure the perplexity of a text, UTF-8; documents are separated by lines equal to <|endoftext|>, and each is cut to the
    /// model's context.
    #[arg(long, value_name = "FILE", conflicts_with_all = GENERATION)]
    perplexity: Option<PathBuf>,
    /// How sums are done; without it ggml, for bitnet-b1.58 float.
    #[arg(long, value_enum)]
    arithmetic: Option<ArithmeticArg>,
    #[command(flatten)]
    integer: IntegerArgs,
    /// Also print how long loading took and the most memory that was resident.
    #[arg(long)]
    timing: bool,
    #[command(flatten)]
    json: output::JsonArgs,
}

/// Arguments that say how a text goes on.
const GENERATION: [&str; 12] =
    ["predict", "greedy", "temperature", "top_k", "top_p", "min_p", "repeat_penalty", "seed", "stop", "ignore_eos", "ids", "top_logits"];

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    let sampling = sampling(&args)?;
    let begun = Instant::now();
    let file = ModelFile::open(&args.model)?;
    let file = file.parse()?;
    // Ids need no tokenizer, and a file whose tokenizer cannot be read can still be run with them.
    let tokenizer = match &args.tokenizer {
        Some(path) => Ok(Tokenizer::from_file(path)?),
        None => Tokenizer::from_gguf(&file),
    };
    let (model, arithmetic) = arithmetic::load(&file, args.arithmetic, &args.integer, tokenizer.as_ref().ok())?;
    let loaded = begun.elapsed();
    let engine = Engine::new(&model, arithmetic);
    let timing = || {
        if args.timing {
            output::note(format_args!("measured: loaded in {:.3} s{}", loaded.as_secs_f64(), Memory::now()));
        }
    };
    if let Some(path) = &args.perplexity {
        let outcome = perplexity::measure(path, &tokenizer?, &engine, model.context(), &args.json)?;
        timing();
        return Ok(outcome);
    }
    let prompt = match (&args.prompt, &args.tokens) {
        (Some(text), None) => {
            let tokenizer = tokenizer.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
            if args.chat { chat(tokenizer, args.system.as_deref(), text)? } else { tokenizer.encode_prompt(text)? }
        }
        (None, Some(ids)) => ids.clone(),
        _ => bail!("expected one of --prompt, --tokens, --perplexity, found none; give a text or ids to go on with"),
    };
    let context = model.context();
    // The last id is only printed, never read.
    let end = prompt.len().saturating_add(args.predict);
    let positions = end.saturating_sub(1);
    if positions > context {
        bail!(
            "context: expected at most {context} positions (the model's), found {} of the prompt and {} to generate; \
             shorten the prompt or lower --predict (the context is not shifted)",
            prompt.len(),
            args.predict
        );
    }
    match &tokenizer {
        Err(error) => output::note(format_args!("note: no tokenizer ({error}): ids are printed, and which of them end a text is unknown")),
        Ok(tokenizer) if model.vocab() > tokenizer.len() => {
            let (rest, first) = (model.vocab() - tokenizer.len(), tokenizer.len());
            output::note(format_args!(
                "note: {rest} ids of the model, from {first} on, have no text in the tokenizer: they are printed as [{first}]"
            ));
        }
        Ok(_) => {}
    }
    let outcome = generate(&args, engine, &prompt, Sampler::new(sampling, args.seed), tokenizer.as_ref().ok())?;
    timing();
    Ok(outcome)
}

/// The text of an id; of one that the tokenizer does not have its number in brackets.
fn piece(tokenizer: &Tokenizer, id: u32) -> anyhow::Result<Vec<u8>> {
    if (id as usize) < tokenizer.len() { Ok(tokenizer.piece(id)?) } else { Ok(format!("[{id}]").into_bytes()) }
}

/// The ids of a conversation's begin, up to where the answer begins.
fn chat(tokenizer: &Tokenizer, system: Option<&str>, user: &str) -> anyhow::Result<Vec<u32>> {
    let messages: Vec<_> = system.map(|text| Message::new("system", text)).into_iter().chain([Message::new("user", user)]).collect();
    let template = tokenizer
        .chat()?
        .context("--chat: expected a chat template in the file, found none; give the prompt as the model was trained on it")?;
    Ok(tokenizer.encode_chat(&template.render(&messages, true)?)?)
}

/// The settings, refused outside their ranges.
fn sampling(args: &Args) -> anyhow::Result<Sampling> {
    let check = |name: &str, value: f64, expected: &str, holds: bool| {
        if holds { Ok(()) } else { Err(anyhow::anyhow!("--{name}: expected {expected}, found {value}; leave it out for the usual value")) }
    };
    if args.stop.iter().any(String::is_empty) {
        bail!("--stop: expected a text, found an empty one; leave it out to end nowhere before --predict");
    }
    check("temperature", args.temperature, "0 or more", args.temperature >= 0.0 && args.temperature.is_finite())?;
    check("top-p", args.top_p, "more than 0, at most 1", args.top_p > 0.0 && args.top_p <= 1.0)?;
    check("min-p", args.min_p, "0 to 1", (0.0..=1.0).contains(&args.min_p))?;
    check("repeat-penalty", args.repeat_penalty, "more than 0", args.repeat_penalty > 0.0 && args.repeat_penalty.is_finite())?;
    let temperature = if args.greedy { 0.0 } else { args.temperature };
    let (top_k, top_p, min_p, repeat_penalty) = (args.top_k, args.top_p, args.min_p, args.repeat_penalty);
    Ok(Sampling { temperature, top_k, top_p, min_p, repeat_penalty })
}

/// What `--json` gets; times are measured.
#[derive(serde::Serialize)]
struct Generated<'r> {
    prompt_ids: &'r [u32],
    ids: &'r [u32],
    text: Option<String>,
    kind: &'static str,
    prompt_seconds: f64,
    seconds: f64,
}

fn generate(
    args: &Args,
    mut engine: Engine<'_, '_>,
    prompt: &[u32],
    mut sampler: Sampler,
    tokenizer: Option<&Tokenizer>,
) -> anyhow::Result<Outcome> {
    let mut out = args.json.text();
    let end = prompt.len().saturating_add(args.predict);
    let mut all = prompt.to_vec();
    let mut stream = TextStream::default();
    let mut stops = Stops::new(&args.stop);
    let start = Instant::now();
    let mut logits = engine.forward(prompt)?;
    let prompt_seconds = start.elapsed().as_secs_f64();
    let start = Instant::now();
    while all.len() < end {
        if args.top_logits > 0 {
            show_largest(all.len(), &logits, args.top_logits, tokenizer);
        }
        let next = sampler.next(&logits, &all);
        if !args.ignore_eos && tokenizer.is_some_and(|tokenizer| tokenizer.is_end(next)) {
            break;
        }
        all.push(next);
        let shown = match tokenizer {
            Some(tokenizer) if !args.ids => stops.push(&stream.push(&piece(tokenizer, next)?)),
            _ if all.len() == prompt.len() + 1 => next.to_string(),
            _ => format!(",{next}"),
        };
        write!(out, "{shown}").and_then(|()| out.flush()).context("cannot write to standard output")?;
        if stops.found() {
            break;
        }
        if all.len() < end {
            logits = engine.forward(&[next])?;
        }
    }
    let rest = stops.finish(&stream.finish());
    writeln!(out, "{rest}").context("cannot write to standard output")?;
    let seconds = start.elapsed().as_secs_f64();
    let ids = &all[prompt.len()..];
    output::note(format_args!(
        "measured: prompt {} ids in {prompt_seconds:.3} s, {} ids generated in {seconds:.3} s",
        prompt.len(),
        ids.len()
    ));
    let text = tokenizer.map(|tokenizer| ids.iter().map(|&id| piece(tokenizer, id)).collect::<anyhow::Result<Vec<_>>>()).transpose()?;
    let text = text.map(|pieces| String::from_utf8_lossy(&pieces.concat()).into_owned());
    args.json.write(&Generated { prompt_ids: prompt, ids, text, kind: "measured", prompt_seconds, seconds })?;
    Ok(Outcome::Held)
}

/// One line: position, then the largest logits with id, logit, chance and text.
fn show_largest(position: usize, logits: &[f64], count: usize, tokenizer: Option<&Tokenizer>) {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
    let most = logits[order[0]];
    let sum: f64 = logits.iter().map(|z| (z - most).exp()).sum();
    let line = order.iter().take(count).map(|&id| {
        let piece = tokenizer.and_then(|tokenizer| tokenizer.piece(id as u32).ok());
        let piece = piece.map_or(String::new(), |piece| format!(" {:?}", String::from_utf8_lossy(&piece)));
        format!("{id} {:.5} {:.4}{piece}", logits[id], (logits[id] - most).exp() / sum)
    });
    output::note(format_args!("position {position}: {}", line.collect::<Vec<_>>().join(" | ")));
}
