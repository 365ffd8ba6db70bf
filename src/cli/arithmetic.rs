//! In which arithmetic a model runs, and which fits which architecture. In: a file and what the user asks for. Out: the model, ready to
//! run; a combination that means nothing is refused.

use anyhow::bail;
use clap::ValueEnum;
use tritforge_spec::config::WIDTHS;

use super::output;
use crate::compile::compile_model;
use crate::model::config::{ARCHITECTURE, ARCHITECTURE_SILU};
use crate::model::gguf::Gguf;
use crate::model::quant::Arithmetic;
use crate::model::{AnyModel, Model, Tokenizer};

/// How a model's sums are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ArithmeticArg {
    /// llama.cpp's, bit for bit where known: llama, bitnet.
    Ggml,
    /// llama.cpp's operands with sums in f64: llama, bitnet.
    Wide,
    /// Floats, the judge: weights and activations as they are (llama, bitnet); exact ternary sums in f64 (bitnet-b1.58).
    Float,
    /// The accelerator's integers, calibrated and quantised from the file: bitnet-b1.58, bitnet.
    Integer,
}

/// What the integer pipeline is built with.
#[derive(Debug, Clone, clap::Args)]
pub struct IntegerArgs {
    #[arg(long, value_name = "BITS", help = format!("Bits of a K or V code: 4, 6 or 8 ({} without it, as in configs/)", WIDTHS.kv_bits))]
    kv_bits: Option<usize>,
    #[arg(long, value_name = "N", help = format!("Entries of the softmax ROM, a power of two from 4 to 4096 ({} without it, as in configs/)", 1 << WIDTHS.rom_log2))]
    rom_entries: Option<u32>,
    #[arg(long, value_name = "BITS", help = format!("Bits of a softmax ROM entry, 4 to 23 ({} without it, as in configs/)", WIDTHS.rom_bits))]
    rom_bits: Option<u32>,
}

impl IntegerArgs {
    /// Bits of a K or V code.
    pub fn kv_bits(&self) -> usize {
        self.kv_bits.unwrap_or(WIDTHS.kv_bits)
    }

    /// The first of the settings that was given.
    fn given(&self) -> Option<&'static str> {
        let given =
            [("--kv-bits", self.kv_bits.is_some()), ("--rom-entries", self.rom_entries.is_some()), ("--rom-bits", self.rom_bits.is_some())];
        given.into_iter().find_map(|(name, is_given)| is_given.then_some(name))
    }

    /// log2 of the ROM's entries, and the bits of one.
    ///
    /// # Errors
    /// A size outside the contract's ranges.
    pub fn rom(&self) -> anyhow::Result<(u32, u32)> {
        let (entries, bits) = (self.rom_entries.unwrap_or(1 << WIDTHS.rom_log2), self.rom_bits.unwrap_or(WIDTHS.rom_bits));
        if !entries.is_power_of_two() || !(4..=4096).contains(&entries) {
            bail!("--rom-entries: expected a power of two from 4 to 4096, found {entries}");
        }
        if !(4..=23).contains(&bits) {
            bail!("--rom-bits: expected 4 to 23, found {bits}");
        }
        Ok((entries.ilog2(), bits))
    }
}

/// Reads the file's model for the arithmetic that was asked for, else for the architecture's own: `ggml`, of bitnet-b1.58 `float`.
///
/// # Errors
/// The file's model cannot be read, or does not run in this arithmetic; settings of integers for another one.
pub fn load<'a>(
    file: &Gguf<'a>,
    asked: Option<ArithmeticArg>,
    integer: &IntegerArgs,
    tokenizer: Option<&Tokenizer>,
) -> anyhow::Result<(AnyModel<'a>, Arithmetic)> {
    if let Some(name) = integer.given().filter(|_| asked != Some(ArithmeticArg::Integer)) {
        bail!("{name}: expected --arithmetic integer beside it, found another arithmetic; add that, or leave {name} out");
    }
    let architecture = file.get_str("general.architecture")?.unwrap_or_default();
    if asked == Some(ArithmeticArg::Integer) && [ARCHITECTURE, ARCHITECTURE_SILU].contains(&architecture) {
        let rom = integer.rom()?;
        let model = compile_model(&Model::from_gguf(file)?, tokenizer, integer.kv_bits())?;
        return Ok((AnyModel::Integer { model: Box::new(model), rom }, Arithmetic::Ggml));
    }
    // An architecture that does not run at all is what the user must hear of first.
    let model = AnyModel::from_gguf(file)?;
    let fits = match (architecture, &model) {
        (ARCHITECTURE, AnyModel::Ternary(_)) => &[ArithmeticArg::Float, ArithmeticArg::Integer][..],
        (ARCHITECTURE_SILU, _) => ArithmeticArg::value_variants(),
        _ => &[ArithmeticArg::Ggml, ArithmeticArg::Wide, ArithmeticArg::Float],
    };
    if let Some(asked) = asked.filter(|asked| !fits.contains(asked)) {
        let name = |arg: &ArithmeticArg| arg.to_possible_value().map_or(String::new(), |value| format!("'{}'", value.get_name()));
        let expected = fits.iter().map(name).collect::<Vec<_>>().join(" or ");
        bail!(
            "--arithmetic: expected {expected} for architecture '{architecture}', found {}; leave it out for the usual one",
            name(&asked)
        );
    }
    if architecture == ARCHITECTURE && matches!(model, AnyModel::Llama(_)) {
        output::note(format_args!(
            "note: not all weights of the layers are ternary: they run as they are stored, and no accelerator takes this model"
        ));
    }
    Ok(match asked {
        Some(ArithmeticArg::Wide) => (model, Arithmetic::Wide),
        Some(ArithmeticArg::Float) => (model, Arithmetic::Float),
        _ => (model, Arithmetic::Ggml),
    })
}
