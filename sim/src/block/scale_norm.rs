//! `scale_norm`: the Scale of an integer as a block of its own. Other models use `Scale::norm_sat` and a `Delay`.

use crate::{
    clocked::{Block, PowerUp},
    delay::Delay,
    ports,
};
use tritforge_spec::{
    block::scale_norm::{LATENCY, Params},
    numerics::Scale,
};

ports! {
    /// Inputs of `scale_norm`.
    pub struct In { rst: bool, en: bool, in_valid: bool, in_v: u64, in_e: i32 }
    /// Outputs of `scale_norm`.
    pub struct Out { out_valid: bool, out_scale: u32, out_sat: bool }
}

/// State of `scale_norm`: the Scale is computed on entry and carried to the end.
pub struct ScaleNorm(Delay<Out>);

impl Block for ScaleNorm {
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
            let (scale, out_sat) = Scale::norm_sat(i.in_v.into(), i.in_e);
            self.0.step(i.rst, Some(Out { out_valid: i.in_valid, out_scale: scale.to_bits(), out_sat }));
        }
    }
}
