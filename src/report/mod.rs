//! What the commands measure and how it is shown: results as serialisable structs, tables and plots.

pub mod accuracy;
pub mod cycles;
pub mod sweep;
pub mod timeline;
