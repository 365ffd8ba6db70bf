//! `route`: demultiplexer of super-words by dest.

use super::skid::Skid;
use crate::{
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{
    bits::Bits,
    block::route::{OUTPUTS, Params},
};

ports! {
    /// Inputs of `route`.
    pub struct In { rst: bool, in_valid: bool, in_dest: u8, in_data: Bits, o0_ready: bool, o1_ready: bool, o2_ready: bool }
    /// Outputs of `route`.
    pub struct Out {
        in_ready: bool, o0_valid: bool, o0_data: Bits, o1_valid: bool, o1_data: Bits, o2_valid: bool, o2_data: Bits,
    }
}

/// Cycle-exact to `route.sv`.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    input: Skid<(u8, Bits)>,
}

impl Block for Route {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(_params: &Params, _power_up: PowerUp) -> Self {
        Self { input: Skid::new() }
    }

    fn out(&self) -> Out {
        let to = |dest: u8| self.input.peek().filter(|w| w.0 == dest).map(|w| w.1.clone());
        let [a, b, c] = [to(0), to(1), to(2)];
        Out {
            in_ready: self.input.ready(),
            o0_valid: a.is_some(),
            o0_data: a.unwrap_or_default(),
            o1_valid: b.is_some(),
            o1_data: b.unwrap_or_default(),
            o2_valid: c.is_some(),
            o2_data: c.unwrap_or_default(),
        }
    }

    fn step(&mut self, i: &In) {
        let readies: [bool; OUTPUTS] = [i.o0_ready, i.o1_ready, i.o2_ready];
        let ready = self.input.peek().is_some_and(|w| readies.get(w.0 as usize).copied().unwrap_or(true));
        self.input.step(i.rst, i.in_valid, || (i.in_dest, i.in_data.clone()), ready);
    }
}
