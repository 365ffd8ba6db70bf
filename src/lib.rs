//! tritforge: a ternary transformer, from its file to hardware.

pub mod cli;
pub mod compile;
pub mod model;
pub mod report;
