//! `scale_mul`: the product of two Scales as a block of its own. Other models use `Scale::mul_sat` and a `Delay`.

use crate::{
    clocked::{Block, PowerUp},
    delay::Delay,
    ports,
};
use tritforge_spec::{
    block::scale_mul::{LATENCY, Params},
    numerics::Scale,
};

ports! {
    /// Inputs of `scale_mul`.
    pub struct In { rst: bool, en: bool, in_valid: bool, in_a: u32, in_b: u32 }
    /// Outputs of `scale_mul`.
    pub struct Out { out_valid: bool, out_scale: u32, out_sat: bool }
}

/// State of `scale_mul`: the product is computed on entry and carried to the end.
pub struct ScaleMul(Delay<Out>);

impl Block for ScaleMul {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(_params: &Params, _power_up: PowerUp) -> Self {
        Self(Delay::new(LATENCY))
    }

    fn out(&self) -> Out {
        self.0.out().cloned().unwrap_or_default()
    }

    fn step(&mut self, i: &In) {
        if i.en || i.rst {
            let (scale, out_sat) = Scale::from_bits(i.in_a).mul_sat(Scale::from_bits(i.in_b));
            self.0.step(i.rst, Some(Out { out_valid: i.in_valid, out_scale: scale.to_bits(), out_sat }));
        }
    }
}
