//! The cycle model: every block of the accelerator as state, outputs and next state.

pub mod axi;
pub mod block;
pub mod clocked;
pub mod delay;
pub mod host;
pub mod memory;
pub mod ports;
pub mod skip;
pub mod stats;
pub mod system;
pub mod top;
