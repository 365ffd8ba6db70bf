//! tritforge: a ternary transformer, from its file to hardware.

pub mod model;
