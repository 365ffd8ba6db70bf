//! Accelerator configuration (`configs/*.toml`): what a user chooses about the hardware, validated before anything is built.

use serde::{Deserialize, Serialize};

/// How ternary weights lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Packing {
    /// Five trits a byte, byte = Σ (w_j + 1)·3^j; bytes above 242 are illegal.
    Base3,
    /// Four trits a byte, low bits first: 0 = 0, 1 = +1, 3 = −1; 2 is illegal.
    TwoBit,
}

impl Packing {
    /// Trits in one byte.
    pub fn trits_per_byte(self) -> usize {
        match self {
            Packing::Base3 => 5,
            Packing::TwoBit => 4,
        }
    }
}

/// Widths of attention that decide what the integers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Widths {
    /// As in [`AccelConfig`].
    pub kv_bits: usize,
    /// As in [`AccelConfig`].
    pub rom_log2: u32,
    /// As in [`AccelConfig`].
    pub rom_bits: u32,
}

/// Those of the named configurations, and of whatever computes in the accelerator's integers without one.
pub const WIDTHS: Widths = Widths { kv_bits: 8, rom_log2: 8, rom_bits: 15 };

/// One accelerator configuration. Unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccelConfig {
    /// Name printed in every report: 1 to 100 letters, digits, spaces and any of `-_.,=:+()`.
    pub name: String,
    /// Ternary MAC lanes along K (one array word).
    pub lanes: usize,
    /// Activation vectors that share one weight pass (prefill); 1..=16.
    pub batch: usize,
    /// Elements a cycle through norm, quantise, scale, residual.
    pub vec: usize,
    /// AXI4 memory ports, 1..=32.
    pub ports: usize,
    /// Data bits of one port: 32, 64, 128, 256, 512.
    pub port_bits: usize,
    /// Coding of the weight stream.
    pub packing: Packing,
    /// log2 of the softmax ROM's entries, 2..=12.
    pub rom_log2: u32,
    /// Bits of a softmax ROM entry, 4..=23.
    pub rom_bits: u32,
    /// Bits of a K or V code: 4, 6 or 8.
    pub kv_bits: usize,
    /// Prefetch FIFO for weights, beats a port.
    pub weight_fifo: usize,
    /// FIFO for descriptors, x and KV, beats a port.
    pub aux_fifo: usize,
    /// Longest AXI burst, beats (16 for AXI3 ports).
    pub burst: usize,
    /// Read bursts in flight a port.
    pub outstanding: usize,
    /// Sequences that have a page table of their own.
    pub slots: usize,
    /// Longest context the hardware is built for (the model's own limit applies too).
    pub context: usize,
    /// Clock in MHz, used only to turn cycles into seconds.
    pub clock_mhz: f64,
}

/// Why a configuration was refused: the key, what was expected and what was found.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    #[error("{0}\ncorrect the file; configs/small.toml has every key")]
    Toml(String),
    #[error("config key `{key}`: expected {expected}, found {found}; change this key")]
    Key { key: &'static str, expected: String, found: String },
    #[error("{item}: expected {expected}, found {found}; this hardware covers no other: give another model")]
    Model { item: &'static str, expected: String, found: String },
}

fn check(ok: bool, key: &'static str, expected: impl Into<String>, found: impl ToString) -> Result<(), ConfigError> {
    if ok {
        return Ok(());
    }
    Err(ConfigError::Key { key, expected: expected.into(), found: found.to_string() })
}

impl AccelConfig {
    /// Reads and validates a TOML text.
    ///
    /// # Errors
    /// A key that is missing, unknown, or out of the range its message states.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let c: AccelConfig = toml::from_str(text).map_err(|e| ConfigError::Toml(e.to_string().trim().to_string()))?;
        c.validate()?;
        Ok(c)
    }

    /// Trits in one super-word (one beat of every port).
    pub fn trits_per_word(&self) -> usize {
        self.ports * self.port_bits / 8 * self.packing.trits_per_byte()
    }

    /// Bits of a super-word.
    pub fn word_bits(&self) -> usize {
        self.ports * self.port_bits
    }

    /// Checks every key against its range and against the others.
    ///
    /// # Errors
    /// The first key that does not hold, with its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        // Names stand in TOML, Verilog, Tcl, YAML, Markdown and HTML.
        let plain = |c: char| c.is_ascii_alphanumeric() || " -_.,=:+()".contains(c);
        let name_ok = (1..=100).contains(&self.name.len()) && self.name.chars().all(plain);
        check(name_ok, "name", "1 to 100 letters, digits, spaces and any of -_.,=:+()", format!("{:?}", self.name))?;
        check((1..=32).contains(&self.ports), "ports", "1 to 32", self.ports)?;
        check([32, 64, 128, 256, 512].contains(&self.port_bits), "port_bits", "32, 64, 128, 256 or 512", self.port_bits)?;
        let w = self.word_bits();
        check(w <= 4096, "ports x port_bits", "at most 4096 bits", w)?;
        let full = self.trits_per_word();
        let (big, small) = (full.max(self.lanes), full.min(self.lanes));
        let per_byte = self.packing.trits_per_byte();
        let ok = self.lanes > 0
            && self.lanes <= 4096
            && big % small == 0
            && (big / small).is_power_of_two()
            && self.lanes.is_multiple_of(per_byte)
            && self.lanes >= if self.packing == Packing::TwoBit { 8 } else { 5 };
        check(
            ok,
            "lanes",
            format!("{full} (the trits of one beat of all ports) times a power of two, in whole bytes, 5 (two_bit: 8) to 4096"),
            self.lanes,
        )?;
        check((1..=16).contains(&self.batch), "batch", "1 to 16", self.batch)?;
        check([1, 2, 4, 8, 16].contains(&self.vec), "vec", "1, 2, 4, 8 or 16", self.vec)?;
        check(
            (w / 32).is_multiple_of(self.vec),
            "vec",
            format!("a divisor of {} (32-bit elements of a {w}-bit super-word)", w / 32),
            self.vec,
        )?;
        check(self.lanes.is_multiple_of(self.vec), "vec", format!("a divisor of lanes = {}", self.lanes), self.vec)?;
        check((2..=12).contains(&self.rom_log2), "rom_log2", "2 to 12", self.rom_log2)?;
        check((4..=23).contains(&self.rom_bits), "rom_bits", "4 to 23", self.rom_bits)?;
        check([4, 6, 8].contains(&self.kv_bits), "kv_bits", "4, 6 or 8", self.kv_bits)?;
        check((1..=256).contains(&self.burst), "burst", "1 to 256 beats", self.burst)?;
        check(self.burst * self.port_bits / 8 <= 4096, "burst", "at most 4096 bytes a burst", self.burst)?;
        check(self.burst.is_power_of_two(), "burst", "a power of two", self.burst)?;
        check((1..=64).contains(&self.outstanding), "outstanding", "1 to 64 bursts", self.outstanding)?;
        for (key, v) in [("weight_fifo", self.weight_fifo), ("aux_fifo", self.aux_fifo)] {
            check(
                v >= self.burst && (2..=65536).contains(&v),
                key,
                format!("at least one burst ({}) and at most 65536 beats", self.burst),
                v,
            )?;
        }
        check((1..=16).contains(&self.slots), "slots", "1 to 16", self.slots)?;
        check(
            self.context >= 16 && self.context <= 8192 && self.context.is_multiple_of(16),
            "context",
            "a multiple of 16, 16 to 8192",
            self.context,
        )?;
        check(
            self.clock_mhz.is_finite() && self.clock_mhz > 0.0 && self.clock_mhz <= 10_000.0,
            "clock_mhz",
            "above 0, at most 10000",
            self.clock_mhz,
        )?;
        Ok(())
    }
}
