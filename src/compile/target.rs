//! From a model file and a configuration file to hardware and image.

use std::path::Path;

use anyhow::Context;
use tritforge_spec::config::AccelConfig;
use tritforge_spec::hw::Hw;
use tritforge_spec::image::Image;
use tritforge_spec::reference::{AttnParams, IntModel};

use super::quantise::{attn_shape, compile_model};
use crate::model::{Model, ModelError, ModelFile, Tokenizer};

/// A model compiled for a configuration.
pub struct Target {
    pub hw: Hw,
    pub int: IntModel,
    tokenizer: Result<Tokenizer, ModelError>,
    /// Hash of the model's files.
    pub model_hash: u64,
}

impl Target {
    /// Reads both files and compiles.
    ///
    /// # Errors
    /// The first thing in either file that the contract or the other file does not cover.
    pub fn open(model: &Path, config: &Path) -> anyhow::Result<Self> {
        let text = crate::inputs::read_text(config)
            .with_context(|| format!("config {}: cannot be read; give one of configs/*.toml or your own", config.display()))?;
        let config = AccelConfig::from_toml(&text).with_context(|| format!("config {}", config.display()))?;
        Self::with_config(model, config)
    }

    /// As [`Target::open`] with a configuration at hand.
    ///
    /// # Errors
    /// As [`Target::open`].
    pub fn with_config(path: &Path, config: AccelConfig) -> anyhow::Result<Self> {
        let file = ModelFile::open(path)?;
        let parsed = file.parse()?;
        let (model, tokenizer) = (Model::from_gguf(&parsed)?, Tokenizer::from_gguf(&parsed));
        let hw = Hw::new(config, attn_shape(&model.shape)?)?;
        let int = compile_model(&model, tokenizer.as_ref().ok(), hw.config.kv_bits)?;
        Ok(Target { hw, int, tokenizer, model_hash: tritforge_spec::image::model_hash(&file.parts()) })
    }

    /// The model's tokenizer: hardware and ids do without one.
    ///
    /// # Errors
    /// The file has none that can be used.
    pub fn tokenizer(&self) -> anyhow::Result<&Tokenizer> {
        self.tokenizer.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// The memory image.
    ///
    /// # Errors
    /// The model does not fit the hardware's offsets.
    pub fn image(&self) -> anyhow::Result<Image> {
        let layers: Vec<&AttnParams> = self.int.layers.iter().map(|l| &l.attn).collect();
        Ok(Image::build(&self.hw, &layers, self.model_hash)?)
    }
}
