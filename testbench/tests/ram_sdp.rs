//! `ram_sdp`: model and RTL in lockstep, against an array in this file.

use tritforge_sim::{
    block::ram_sdp::{In, Out, RamSdp},
    clocked::PowerUp,
};
use tritforge_spec::{
    bits::Bits,
    block::{Contract, ram_sdp::Params},
    stall::hash,
};
use tritforge_testbench::harness::{Case, Lockstep};

#[test]
fn reads_give_what_was_written_before_slice_by_slice() {
    for params in Params::examples() {
        let Some(rtl) = Lockstep::<RamSdp>::new(&params) else { return };
        for power_up in [PowerUp::Zero, PowerUp::Random(9)] {
            let case = Case { power_up, ..Case::plain() };
            let depth = params.depth as u64;
            let slice = params.width / params.slices;
            let mut oracle = vec![Bits::zeros(params.width); params.depth];
            let mut expected: Option<Bits> = None;
            // First every word is written whole, then single slices are, while all is read at random.
            rtl.bench(&case)
                .levels_from(depth + 2)
                .environment(|cycle: u64, out: &Out, input: &mut In| {
                    if let Some(word) = &expected {
                        assert_eq!(out.rdata, *word, "{params:?} cycle {cycle}");
                    }
                    let draw = |what| hash(case.seed, what, cycle);
                    input.wdata = Bits::from_words(params.width, &[draw(0), draw(1)]);
                    let all = (1u64 << params.slices) - 1;
                    (input.we, input.waddr) = match cycle < depth {
                        true => (all, cycle as usize),
                        false => (draw(2) & all, (draw(3) % depth) as usize),
                    };
                    // A quarter of the reads goes to the word being written: forbidden, and shown by inverted slices.
                    input.raddr = match draw(4) % 4 {
                        0 => input.waddr,
                        _ => (draw(5) % depth) as usize,
                    };
                    input.re = cycle == depth || cycle > depth && draw(6) % 3 != 0;
                    if input.re {
                        let mut word = oracle[input.raddr].clone();
                        for bit in 0..params.width {
                            let clash = input.raddr == input.waddr && input.we >> (bit / slice) & 1 != 0;
                            word.set(bit, 1, (word.bit(bit) ^ clash) as u64);
                        }
                        expected = Some(word);
                    }
                    for s in (0..params.slices).filter(|s| input.we >> s & 1 != 0) {
                        oracle[input.waddr].put(s * slice, &input.wdata.slice(s * slice, slice));
                    }
                })
                .until(|cycle, _| cycle == depth + 3000)
                .run();
        }
    }
}
