//! tritforge: a ternary transformer, from its file to hardware.

pub mod cli;
pub mod compile;
pub mod configs;
pub mod diff;
pub mod inputs;
pub mod model;
pub mod report;
pub mod trace;

/// What was computed is not what it must be: the command ends with exit code 1, where other errors are wrong use or unusable input, 2.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct CheckFailed(pub String);
