//! The Verilated RTL alone, with the outputs and inputs of its model: for speed runs and for programs that want the RTL as a machine.

use super::{
    build::{self, Flavor},
    design::Design,
    dut::{Dut, Library},
    streams::{Slot, array_len, slots},
};
use anyhow::Result;
use std::marker::PhantomData;
use tritforge_sim::{
    clocked::Block,
    host::Machine,
    ports::Ports,
    top::{In, Out, Top},
};
use tritforge_spec::block::Dir;

/// RTL behind the ports of `B`.
pub struct Solo<B: Block> {
    dut: Dut,
    inputs: Vec<Slot>,
    outputs: Vec<Slot>,
    in_words: Vec<u64>,
    out_words: Vec<u64>,
    ports: PhantomData<B>,
}

impl<B: Block> Solo<B> {
    /// Builds `design` in `flavor`, power-up zero. `None`, said aloud, without Verilator.
    ///
    /// # Errors
    /// The RTL does not build, or its ports are not the model's.
    pub fn new(design: &Design, flavor: Flavor) -> Result<Option<Self>> {
        let inputs = slots::<B::In>(design, Dir::In)?;
        let outputs = slots::<B::Out>(design, Dir::Out)?;
        let Some(path) = build::library(&design.into(), flavor)? else { return Ok(None) };
        let (ins, outs) = (array_len(&inputs), array_len(&outputs));
        let library = Library::load(&path, 0, ins, outs)?;
        let mut solo =
            Self { dut: Dut::new(&library, None), inputs, outputs, in_words: vec![0; ins], out_words: vec![0; outs], ports: PhantomData };
        solo.dut.low();
        solo.dut.get(&mut solo.out_words);
        Ok(Some(solo))
    }

    /// The outputs of this cycle.
    pub fn out(&self) -> B::Out {
        let mut out = B::Out::default();
        for slot in &self.outputs {
            out.store(slot.field, slot.port.width, slot.of(&self.out_words));
        }
        out
    }

    /// The clock edge that ends this cycle, with this cycle's inputs.
    pub fn step(&mut self, input: &B::In) {
        for slot in &self.inputs {
            input.load(slot.field, slot.port.width, &mut self.in_words[slot.at..slot.at + slot.words]);
        }
        self.dut.set(&self.in_words);
        self.dut.low();
        self.dut.high();
        self.dut.get(&mut self.out_words);
    }
}

impl Machine for Solo<Top> {
    fn out(&self) -> Out {
        Solo::out(self)
    }
    fn step(&mut self, input: &In) {
        Solo::step(self, input);
    }
}
