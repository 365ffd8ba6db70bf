//! The Verilog: hand-written leaf modules, embedded here, and the emitter of everything that is a fact.

pub mod bundle;
pub mod generate;
pub mod leaves;
pub mod timings;
pub mod top;
