//! One run's conditions: who stalls, how power-up looks, which seed, how many soft resets.

use tritforge_sim::clocked::PowerUp;
use tritforge_spec::stall::mix;

/// Who stalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stall {
    None,
    /// Input streams pause.
    IdleSource,
    /// Output streams are not always ready.
    BackPressure,
    Both,
}

impl Stall {
    pub const ALL: [Self; 4] = [Self::None, Self::IdleSource, Self::BackPressure, Self::Both];

    /// Sources pause.
    pub fn idles(self) -> bool {
        matches!(self, Self::IdleSource | Self::Both)
    }

    /// Sinks pause.
    pub fn presses(self) -> bool {
        matches!(self, Self::BackPressure | Self::Both)
    }
}

/// The conditions of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    pub stall: Stall,
    pub power_up: PowerUp,
    /// Of all stalls, garbage and reset times.
    pub seed: u64,
    /// Soft resets at random cycles; each restarts the stimulus and forgets what came out.
    pub resets: u32,
}

impl Case {
    /// The seed of `TRITFORGE_SEED` (decimal, or hexadecimal after 0x), else `default`.
    pub fn seed(default: u64) -> u64 {
        let Ok(text) = std::env::var("TRITFORGE_SEED") else {
            return default;
        };
        let parsed = match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => text.parse(),
        };
        parsed.unwrap_or_else(|e| panic!("TRITFORGE_SEED={text:?}: {e}"))
    }

    /// No stalls, power-up zero, no soft reset: the case in which latencies are counted.
    pub fn plain() -> Self {
        Self { stall: Stall::None, power_up: PowerUp::Zero, seed: Self::seed(1), resets: 0 }
    }

    /// Every stall mode with power-up zero and random; the last two with soft resets. Printed as it is used.
    pub fn all() -> Vec<Self> {
        let base = Self::seed(1);
        let mut cases = Vec::new();
        for (i, stall) in Stall::ALL.into_iter().enumerate() {
            for random in [false, true] {
                cases.push(Self {
                    stall,
                    power_up: match random {
                        true => PowerUp::Random(mix(base ^ i as u64)),
                        false => PowerUp::Zero,
                    },
                    seed: base,
                    resets: if stall == Stall::Both { 2 } else { 0 },
                });
            }
        }
        cases
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let power = match self.power_up {
            PowerUp::Zero => "zero",
            PowerUp::Random(_) => "random",
        };
        write!(f, "stalls {:?}, power-up {power}, seed {:#x}, {} soft resets", self.stall, self.seed, self.resets)
    }
}
