//! From a block's contract to a run of its model and its Verilated RTL side by side.
//! `design` and `pack` say what to build, `shim` and `build` make a shared library of it, `dut` calls it, `lockstep` drives both.

mod build;
mod case;
mod design;
mod dut;
pub mod formal;
mod four_state;
pub mod lint;
mod lockstep;
mod mismatch;
mod pack;
mod rig;
mod shim;
mod solo;
mod streams;
mod tools;

pub use build::{Flavor, library, library_in};
pub use case::{Case, Stall};
pub use design::Design;
pub use dut::{Dut, Library};
pub use four_state::four_state;
pub use lockstep::{Bench, Environment, Lockstep};
pub use pack::Pack;
pub use solo::Solo;
pub use streams::{Beat, Run};
pub use tools::{Tool, build_dir, iverilog, missing, smtbmc, verilator, workspace, yosys, z3};
