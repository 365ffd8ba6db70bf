//! Checked look-up of a model's metadata under its architecture's name. In: a parsed file. Out: sizes that are not 0 and
//! within bounds, constants that are positive and finite, or the error with the key.

use super::error::{ModelError, Refusal, shown};
use super::gguf::Gguf;

/// No size of a model is larger (2^24: beyond every known vocabulary, width and context).
pub const LARGEST: u64 = 1 << 24;

/// What to do about wrong metadata.
pub(super) const REMEDY: &str = "the file's metadata is wrong: convert the model again";

/// The metadata `ARCHITECTURE.name` of one file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys<'f, 'a> {
    /// The file.
    pub file: &'f Gguf<'a>,
    /// What precedes the names.
    pub architecture: &'f str,
}

impl Keys<'_, '_> {
    /// The whole key.
    pub fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    /// A size: non-zero, within bounds.
    pub fn size(&self, name: &str) -> Result<Option<usize>, ModelError> {
        let key = self.key(name);
        match self.file.get_u64(&key)? {
            Some(value) if value == 0 || value > LARGEST => {
                let item = format!("metadata '{key}'");
                Err(ModelError::refused(Refusal::Bounds, item, format!("1 to {LARGEST}"), value.to_string(), REMEDY))
            }
            value => Ok(value.map(|value| value as usize)),
        }
    }

    /// A size that must be there.
    pub fn need_size(&self, name: &str) -> Result<usize, ModelError> {
        self.size(name)?.ok_or_else(|| self.missing(name))
    }

    /// A constant: positive and finite.
    pub fn constant(&self, name: &str) -> Result<Option<f32>, ModelError> {
        let key = self.key(name);
        let Some(value) = self.file.get_f64(&key)? else {
            return Ok(None);
        };
        let narrow = value as f32;
        if !narrow.is_finite() || narrow <= 0.0 {
            let item = format!("metadata '{key}'");
            return Err(ModelError::refused(Refusal::Bounds, item, "a positive number", value.to_string(), REMEDY));
        }
        Ok(Some(narrow))
    }

    /// A constant that must be there.
    pub fn need_constant(&self, name: &str) -> Result<f32, ModelError> {
        self.constant(name)?.ok_or_else(|| self.missing(name))
    }

    /// Elements of a head, from whichever key gives it, else from width and heads.
    pub fn head_dim(&self, dim: usize, heads: usize) -> Result<usize, ModelError> {
        for name in ["attention.key_length", "rope.dimension_count"] {
            if let Some(size) = self.size(name)? {
                return Ok(size);
            }
        }
        if !dim.is_multiple_of(heads) {
            let expected = format!("a divisor of the embedding length {dim}, as the file gives no head size");
            return Err(ModelError::refused(Refusal::Contradiction, "attention heads", expected, heads.to_string(), REMEDY));
        }
        Ok(dim / heads)
    }

    /// The vocabulary's size: the rows of the embedding; the key, where present, must agree.
    pub fn vocab(&self) -> Result<usize, ModelError> {
        let rows = self.file.need_tensor("token_embd.weight")?.sizes[1];
        match self.size("vocab_size")? {
            Some(size) if size as u64 != rows => {
                let expected = format!("{rows}, the rows of 'token_embd.weight'");
                Err(ModelError::refused(Refusal::Contradiction, "vocabulary size", expected, size.to_string(), REMEDY))
            }
            // Larger than any size: the shape's check refuses it by name.
            _ => Ok(usize::try_from(rows).unwrap_or(usize::MAX)),
        }
    }

    fn missing(&self, name: &str) -> ModelError {
        let item = format!("metadata '{}'", self.key(name));
        ModelError::refused(Refusal::Missing, item, "to be present", "nothing", REMEDY)
    }
}

/// The architecture that the file names, if it is one of `supported`.
///
/// # Errors
/// [`Refusal::Contradiction`] with the names that are supported, the nearest one first in the remedy.
pub(super) fn architecture<'a>(file: &Gguf<'a>, supported: &[&str]) -> Result<&'a str, ModelError> {
    let found = file.get_str("general.architecture")?;
    if let Some(name) = found.filter(|name| supported.contains(name)) {
        return Ok(name);
    }
    let expected = supported.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(" or ");
    let remedy = if !supported.contains(&"llama") {
        "only BitNet b1.58 models can be used: convert one with ternary weights"
    } else if found.is_some_and(|name| name.contains("bitnet")) {
        "the nearest supported architecture is 'bitnet-b1.58' (BitNet b1.58 2B4T): convert the model to it if its layers are the same"
    } else {
        "the nearest supported architecture is 'llama': use a model of it, or convert this one if its layers are the same"
    };
    let found = found.map_or("nothing".into(), |name| format!("'{}'", shown(name)));
    Err(ModelError::refused(Refusal::Contradiction, "metadata 'general.architecture'", expected, found, remedy))
}
