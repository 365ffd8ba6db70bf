//! The Verilog: hand-written leaf modules, embedded here, and the emitter of everything that is a fact.

pub mod generate;
pub mod leaves;
