//! Which accelerator configurations can run a model, and why others cannot. In: a file, what its tensors hold, configurations.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::Context;
use serde::Serialize;
use tritforge_spec::config::AccelConfig;
use tritforge_spec::hw::Hw;

use crate::compile::quantise::attn_shape;
use crate::configs::NAMED;
use crate::model::ModelShape;
use crate::model::gguf::Gguf;
use crate::model::survey::Tensor;
use crate::model::weights::LINEAR;

/// Whether one configuration can run the model.
#[derive(Debug, Serialize)]
pub struct Fit {
    pub config: String,
    pub lanes: usize,
    pub ports: usize,
    pub port_bits: usize,
    /// What stands against it.
    pub why_not: Option<String>,
}

/// Tries the named configurations and those of `files`.
///
/// # Errors
/// A configuration cannot be read, or is none.
pub fn fits(gguf: &Gguf<'_>, tensors: &[Tensor], files: &[PathBuf]) -> anyhow::Result<Vec<Fit>> {
    let named = NAMED.iter().map(|(_, text)| Ok(AccelConfig::from_toml(text)?));
    let given = files.iter().map(|path| {
        let text = crate::inputs::read_text(path)
            .with_context(|| format!("config {}: cannot be read; give one of configs/*.toml or your own", path.display()))?;
        AccelConfig::from_toml(&text).with_context(|| format!("config {}", path.display()))
    });
    let shape = shape(gguf, tensors);
    let fit = |config: AccelConfig| {
        let (name, lanes, ports, port_bits) = (config.name.clone(), config.lanes, config.ports, config.port_bits);
        let why_not = match &shape {
            Ok(shape) => Hw::new(config, shape.clone()).err().map(|refusal| refusal.to_string()),
            Err(why) => Some(why.clone()),
        };
        Fit { config: name, lanes, ports, port_bits, why_not }
    };
    named.chain(given).map(|config| config.map(fit)).collect::<anyhow::Result<_>>()
}

/// The model's shape for the hardware; or what no configuration can change.
fn shape(gguf: &Gguf<'_>, tensors: &[Tensor]) -> Result<tritforge_spec::hw::AttnShape, String> {
    let shape = ModelShape::from_gguf(gguf).map_err(|refusal| refusal.to_string())?;
    let by_name: HashMap<&str, &Tensor> = tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    for layer in 0..shape.layers.min(tensors.len()) {
        for part in LINEAR {
            let name = format!("blk.{layer}.{part}.weight");
            match by_name.get(name.as_str()) {
                Some(Tensor { not_ternary: Some(why), .. }) => return Err(why.clone()),
                Some(_) => {}
                None => return Err(format!("tensor '{name}' is missing")),
            }
        }
    }
    attn_shape(&shape).map_err(|refusal| refusal.to_string())
}
