//! Our own executions by name. In: a model's file, a path's name, tokens. Out: the [`Trace`] of one pass over them from position 0.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use tritforge_spec::config::{AccelConfig, WIDTHS};
use tritforge_spec::image::model_hash;
use tritforge_spec::numerics::softmax::SoftmaxRom;
use tritforge_spec::reference::{KvCache, Reference, Saturations};

use super::integer::IntegerRecorder;
use super::{About, Number, Recorder, Trace, hardware};
use crate::compile::{Target, compile_model};
use crate::diff::graph::{Evaluator, Graph};
use crate::model::config::{ARCHITECTURE, ARCHITECTURE_SILU};
use crate::model::gguf::Gguf;
use crate::model::judge::{Judge, Options, Place, Real, Stage};
use crate::model::llama::Wanted;
use crate::model::quant::Arithmetic;
use crate::model::{AnyModel, Llama, LlamaModel, Model, tokens};
use crate::report::accuracy::hybrid::to_fixed;

/// A path through our own code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Runner {
    /// The float software path: the f64 judge of a ternary model, plain floats of a Llama.
    Float,
    /// The f64 judge of BitNet b1.58, also for files of architecture bitnet.
    Judge,
    /// The judge in f32.
    F32,
    /// Every stage by its definition in f64, from the tokens on: what diagnoses use.
    F64,
    /// llama.cpp's arithmetic (llama, bitnet).
    Ggml,
    /// llama.cpp's operands, sums in f64 (llama, bitnet).
    Wide,
    /// The integer reference (ternary models).
    Integer,
    /// The cycle model: attention sub-layers on the accelerator (ternary models, --config).
    Sim,
    /// The Verilated RTL in its place.
    Rtl,
}

/// A model's file with what its paths need, read when first asked for.
pub struct Loaded<'a> {
    path: PathBuf,
    file: &'a Gguf<'a>,
    parts: Vec<&'a [u8]>,
    architecture: String,
    ternary: Option<Model>,
    llama: Option<LlamaModel<'a>>,
}

impl Runner {
    /// Its name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The path of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::from_str(name, false).ok()
    }
}

impl<'a> Loaded<'a> {
    /// A parsed file; `parts` are its bytes, of a split model those of every part.
    pub fn new(path: &Path, file: &'a Gguf<'a>, parts: Vec<&'a [u8]>) -> anyhow::Result<Self> {
        let architecture = file.get_str("general.architecture")?.unwrap_or_default().to_owned();
        Ok(Self { path: path.to_owned(), file, parts, architecture, ternary: None, llama: None })
    }

    /// Whether `runner` runs on the graph of BitNet b1.58, where a file has both.
    fn wants_ternary(&self, runner: Runner) -> bool {
        match runner {
            Runner::Judge | Runner::F32 | Runner::Integer | Runner::Sim | Runner::Rtl => true,
            Runner::Ggml | Runner::Wide => false,
            Runner::Float | Runner::F64 => self.architecture == ARCHITECTURE && self.llama.is_none(),
        }
    }

    /// Reads what `runner` runs on.
    ///
    /// # Errors
    /// The path does not run on the architecture, or as the reader says.
    pub fn load(&mut self, runner: Runner) -> anyhow::Result<()> {
        if self.architecture == ARCHITECTURE && self.ternary.is_none() && self.llama.is_none() {
            match AnyModel::from_gguf(self.file)? {
                AnyModel::Llama(model) => self.llama = Some(model),
                AnyModel::Ternary(model) => self.ternary = Some(model),
                AnyModel::Integer { .. } => {}
            }
        }
        let ternary = self.wants_ternary(runner);
        let (name, architecture) = (runner.name(), &self.architecture);
        if ternary && ![ARCHITECTURE, ARCHITECTURE_SILU].contains(&architecture.as_str()) {
            bail!(
                "path '{name}': expected a ternary model ({ARCHITECTURE}, {ARCHITECTURE_SILU}), found '{architecture}'; use float, f64, ggml or wide"
            );
        }
        if !ternary && architecture == ARCHITECTURE && self.llama.is_none() {
            bail!("path '{name}': expected llama or bitnet, found '{architecture}'; use float, f32, integer or sim");
        }
        if ternary && self.ternary.is_none() {
            self.ternary = Some(Model::from_gguf(self.file)?);
        } else if !ternary && self.llama.is_none() {
            self.llama = Some(LlamaModel::from_gguf(self.file)?);
        }
        Ok(())
    }

    fn ternary(&self) -> anyhow::Result<&Model> {
        self.ternary.as_ref().context("model: expected to be loaded")
    }

    fn llama(&self) -> anyhow::Result<&LlamaModel<'a>> {
        self.llama.as_ref().context("model: expected to be loaded")
    }

    /// The graph that `runner` executes, of a loaded model.
    ///
    /// # Errors
    /// [`Loaded::load`] was not called (a mistake of the caller).
    pub fn graph(&self, runner: Runner) -> anyhow::Result<Graph<'_>> {
        Ok(if self.wants_ternary(runner) { Graph::Ternary(self.ternary()?) } else { Graph::Llama(self.llama()?) })
    }

    fn about(&self, arithmetic: &str) -> About {
        About {
            runtime: concat!("tritforge ", env!("CARGO_PKG_VERSION")).into(),
            arithmetic: arithmetic.into(),
            model: self.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            model_hash: format!("{:016x}", model_hash(&self.parts)),
        }
    }

    fn judge<F: Real>(&self, tokens: &[u32], number: Number, arithmetic: &str) -> anyhow::Result<Trace> {
        let judge = Judge::<F>::new(self.ternary()?, Options::default());
        let mut recorder = Recorder::new(self.about(arithmetic), tokens, number);
        judge.forward(tokens, &mut judge.cache(), &mut recorder)?;
        Ok(recorder.finish())
    }

    fn llama_run(&self, tokens: &[u32], arithmetic: Arithmetic, name: &str) -> anyhow::Result<Trace> {
        let llama = Llama::new(self.llama()?, arithmetic);
        let mut recorder = Recorder::new(self.about(name), tokens, Number::F32);
        llama.forward(tokens, &mut llama.cache(), Wanted::All, &mut recorder)?;
        Ok(recorder.finish())
    }

    /// Runs `runner`, whose model is loaded, over `tokens`; `config` is the accelerator's, needed by `sim` and `rtl`.
    ///
    /// # Errors
    /// Tokens that the model does not take, no configuration, or what the execution reports.
    pub fn record(&self, runner: Runner, tokens: &[u32], config: Option<&Path>) -> anyhow::Result<Trace> {
        let ternary = self.wants_ternary(runner);
        match runner {
            Runner::Float | Runner::Judge if ternary => self.judge::<f64>(tokens, Number::F64, "f64"),
            Runner::F32 => self.judge::<f32>(tokens, Number::F32, "f32"),
            Runner::F64 => {
                let evaluator = Evaluator::new(self.graph(runner)?);
                tokens::check(tokens, 0, evaluator.shape.vocab, evaluator.shape.context)?;
                Ok(evaluator.run(tokens, self.about("f64")))
            }
            Runner::Ggml => self.llama_run(tokens, Arithmetic::Ggml, "ggml"),
            Runner::Wide => self.llama_run(tokens, Arithmetic::Wide, "wide"),
            Runner::Float | Runner::Judge => self.llama_run(tokens, Arithmetic::Float, "f32"),
            Runner::Integer => self.integer(tokens, config),
            Runner::Sim | Runner::Rtl => {
                let target = self.target(runner, config)?;
                tokens::check(tokens, 0, target.int.vocab, target.int.shape.context)?;
                match runner {
                    Runner::Sim => hardware::of_cycle_model(&target, tokens, self.about("integer (cycle model)"), None),
                    _ => hardware::of_rtl(&target, tokens, self.about("integer (Verilated RTL)"), None),
                }
            }
        }
    }

    /// What an integer path gives stage by stage from the inputs in `other`: from each sub-layer's residual rows, rounded to the contract's, the
    /// whole sub-layer. None for the other paths, whose graph's definition says it, and where `other` lacks a sub-layer's rows of this model's width. With
    /// `itself` the path's own hardware computes the attention sub-layers, else the integer reference, whose values they have.
    ///
    /// # Errors
    /// As [`Loaded::record`].
    pub fn fed(&self, runner: Runner, other: &Trace, config: Option<&Path>, itself: bool) -> anyhow::Result<Option<Trace>> {
        let hardware = itself && matches!(runner, Runner::Sim | Runner::Rtl);
        if !matches!(runner, Runner::Integer | Runner::Sim | Runner::Rtl) || other.first_position > 0 {
            return Ok(None);
        }
        let (layers, dim) = (self.ternary()?.layers.len(), self.ternary()?.shape.dim);
        let streams =
            (0..layers).flat_map(|layer| [stream(layer), Place { layer: Some(layer), stage: Stage::AttnResid }]).chain([stream(layers)]);
        if streams.into_iter().any(|place| other.get(place).is_none_or(|rows| rows.shape != [other.tokens.len(), dim])) {
            return Ok(None);
        }
        if hardware {
            let target = self.target(runner, config)?;
            let about = self.about("integer");
            return Ok(Some(match runner {
                Runner::Sim => hardware::of_cycle_model(&target, &other.tokens, about, Some(other))?,
                _ => hardware::of_rtl(&target, &other.tokens, about, Some(other))?,
            }));
        }
        let (kv_bits, log2, bits) = integer_widths(config)?;
        let tokenizer = crate::model::Tokenizer::from_gguf(self.file).ok();
        let int = compile_model(self.ternary()?, tokenizer.as_ref(), kv_bits)?;
        let reference = Reference::new(&int, log2, bits);
        let mut seen = IntegerRecorder::new(&int, &reference.softmax_rom, other.tokens.len());
        for &id in &other.tokens {
            seen.add_residual(None, Stage::InpEmbd, int.embedding_row(id as usize));
        }
        let rows = |place| other.get(place).map_or_else(Vec::new, |t| to_fixed(&t.values, int.res_frac));
        let (mut cache, mut ignored) = (KvCache::new(&int), Saturations::default());
        for layer in 0..layers {
            reference.attention(layer, &rows(stream(layer)), 0, &mut cache.layers[layer], &mut seen, &mut ignored);
            reference.feed_forward(layer, &rows(Place { layer: Some(layer), stage: Stage::AttnResid }), &mut seen, &mut ignored);
        }
        for (row, x) in rows(stream(layers)).chunks_exact(int.shape.dim).enumerate() {
            reference.head_full(row, x, &mut seen, &mut ignored);
        }
        Ok(Some(seen.finish(self.about("integer"), &other.tokens)))
    }

    /// The model compiled for the accelerator that `sim` and `rtl` need.
    fn target(&self, runner: Runner, config: Option<&Path>) -> anyhow::Result<Target> {
        let name = runner.name();
        let config =
            config.with_context(|| format!("path '{name}': expected --config FILE (configs/*.toml), found none; name the accelerator"))?;
        Target::open(&self.path, config)
    }

    /// KV width and softmax ROM are the configuration's, or the contract's usual ones.
    fn integer(&self, tokens: &[u32], config: Option<&Path>) -> anyhow::Result<Trace> {
        let (kv_bits, log2, bits) = integer_widths(config)?;
        let tokenizer = crate::model::Tokenizer::from_gguf(self.file).ok();
        let int = compile_model(self.ternary()?, tokenizer.as_ref(), kv_bits)?;
        tokens::check(tokens, 0, int.vocab, int.shape.context)?;
        let reference = Reference::new(&int, log2, bits);
        let rom = SoftmaxRom::new(log2, bits);
        let mut seen = IntegerRecorder::new(&int, &rom, tokens.len());
        for &id in tokens {
            seen.add_residual(None, Stage::InpEmbd, int.embedding_row(id as usize));
        }
        reference.forward(tokens, &mut KvCache::new(&int), &mut seen, &mut Saturations::default())?;
        Ok(seen.finish(self.about("integer"), tokens))
    }
}

/// KV bits, log2 of the softmax ROM's entries, its bits: of the configuration, or those of the named ones.
pub(super) fn integer_widths(config: Option<&Path>) -> anyhow::Result<(usize, u32, u32)> {
    let Some(path) = config else { return Ok((WIDTHS.kv_bits, WIDTHS.rom_log2, WIDTHS.rom_bits)) };
    let text =
        crate::inputs::read_text(path).with_context(|| format!("config {}: cannot be read; give one of configs/*.toml", path.display()))?;
    let config = AccelConfig::from_toml(&text).with_context(|| format!("config {}", path.display()))?;
    Ok((config.kv_bits, config.rom_log2, config.rom_bits))
}

/// The residual stream before a layer, or behind the last.
pub(super) fn stream(layer: usize) -> Place {
    match layer.checked_sub(1) {
        None => Place { layer: None, stage: Stage::InpEmbd },
        Some(before) => Place { layer: Some(before), stage: Stage::LOut },
    }
}
