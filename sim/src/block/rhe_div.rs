//! `rhe_div`: the rounding divider of a vector as a block of its own. Other models use [`quantise`] and a `Delay`.

use crate::{
    clocked::{Block, PowerUp},
    delay::Delay,
    ports,
};
use tritforge_spec::{
    bits::Bits,
    block::rhe_div::{Params, latency},
    numerics::rhe,
};

/// `sign · rhe(qmax·mag, a)`; mag ≤ a < 2^56, and 0 for a = 0.
pub fn quantise(mag: u64, negative: bool, a: u64, qmax: usize) -> i64 {
    let code = if a == 0 { 0 } else { rhe(u128::from(mag) * qmax as u128, a.into()) as i64 };
    if negative { -code } else { code }
}

ports! {
    /// Inputs of `rhe_div`.
    pub struct In { rst: bool, en: bool, in_valid: bool, in_mag: Bits, in_neg: u64, in_a: u64, in_tag: u64 }
    /// Outputs of `rhe_div`.
    pub struct Out { out_valid: bool, out_q: Bits, out_tag: u64 }
}

/// State of `rhe_div`: the codes are computed on entry and carried to the end.
pub struct RheDiv {
    params: Params,
    stages: Delay<(bool, Bits, u64)>,
}

impl Block for RheDiv {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, _power_up: PowerUp) -> Self {
        Self { params: params.clone(), stages: Delay::new(latency(params.qmax)) }
    }

    fn out(&self) -> Out {
        let (out_valid, out_q, out_tag) = self.stages.out().cloned().unwrap_or_default();
        Out { out_valid, out_q, out_tag }
    }

    fn step(&mut self, i: &In) {
        let p = &self.params;
        if i.en || i.rst {
            let code = |l: usize| quantise(i.in_mag.get(l * p.mag_bits, p.mag_bits), i.in_neg >> l & 1 != 0, i.in_a, p.qmax);
            let codes: Vec<i64> = (0..p.lanes).map(code).collect();
            self.stages.step(i.rst, Some((i.in_valid, Bits::pack_signed(p.code_bits(), &codes), i.in_tag)));
        }
    }
}
