//! Lockstep: Verilated RTL beside the cycle model, every cycle, every bit.

pub mod axi;
pub mod builds;
pub mod harness;
pub mod machine;
