//! From a float model to what the accelerator executes.

pub mod calibrate;
pub mod quantise;
pub mod target;
pub mod vectors;
pub mod workload;

pub use calibrate::{FracBits, calibrate};
pub use quantise::{compile_model, quantise};
pub use target::Target;
pub use workload::{Job, Workload};
