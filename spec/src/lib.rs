//! The contract: everything the cycle model, the Verilog and the hosts must agree on. No I/O, no clocks.

pub mod bits;
pub mod block;
pub mod config;
pub mod descriptor;
pub mod hw;
pub mod image;
pub mod kv;
pub mod numerics;
pub mod pack;
pub mod random;
pub mod random_hw;
pub mod reference;
pub mod regmap;
pub mod rom;
pub mod stall;
pub mod top;
