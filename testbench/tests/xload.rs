//! `xload`: both outputs get every element of every vector in order, and the cycles of each group.

use tritforge_sim::block::xload::Xload;
use tritforge_spec::{
    bits::Bits,
    block::{
        Contract,
        xload::{LATENCY, Params},
    },
    stall::hash,
};
use tritforge_testbench::harness::{Case, Lockstep, Run};

/// Commands and their super-words; elements beyond D are garbage. And the groups expected.
fn stimulus(p: &Params, tokens: &[usize], seed: u64) -> (Vec<Bits>, Vec<Bits>) {
    let per_word = p.word_bits / 32;
    let (mut words, mut groups) = (Vec::new(), Vec::new());
    for vector in 0..tokens.iter().sum::<usize>() {
        let element = |i: usize| hash(seed, vector as u64, i as u64) & 0xffff_ffff;
        for first in (0..p.dim).step_by(per_word) {
            words.push(Bits::pack(32, &(first..first + per_word).map(element).collect::<Vec<_>>()));
        }
        for first in (0..p.dim).step_by(p.vec) {
            groups.push(Bits::pack(32, &(first..first + p.vec).map(element).collect::<Vec<_>>()));
        }
    }
    (words, groups)
}

fn run(rtl: &Lockstep<Xload>, case: &Case, tokens: &[usize], words: &[Bits]) -> Run<tritforge_sim::block::xload::Out> {
    rtl.bench(case).input("cmd", tokens, |i, &n| i.cmd_n = n).input("in", words, |i, w| i.in_data = w.clone()).run()
}

#[test]
fn both_outputs_get_every_element_in_order_under_every_stall() {
    for p in Params::examples() {
        let Some(rtl) = Lockstep::<Xload>::new(&p) else { return };
        for case in Case::all() {
            let max = 1 << p.token_bits;
            let tokens = [1, max, 1, 2.min(max), max];
            let (words, groups) = stimulus(&p, &tokens, case.seed);
            let run = run(&rtl, &case, &tokens, &words);
            assert_eq!(run.values("xn", |o| o.xn_data.clone()), groups, "{p:?} {case}");
            assert_eq!(run.values("xr", |o| o.xr_data.clone()), groups, "{p:?} {case}");
        }
    }
}

#[test]
fn a_group_leaves_every_cycle_after_the_latency() {
    for p in Params::examples() {
        let Some(rtl) = Lockstep::<Xload>::new(&p) else { return };
        let tokens = [2, 1, 1, 2];
        let (words, groups) = stimulus(&p, &tokens, 3);
        let run = run(&rtl, &Case::plain(), &tokens, &words);
        // Command and first word enter their skids in cycle 0, the first group enters the output skid in cycle 1.
        // No bubble between words, vectors or commands.
        let expected: Vec<u64> = (LATENCY..LATENCY + groups.len() as u64).collect();
        assert_eq!(run.cycles_out("xn"), expected, "{p:?}");
        assert_eq!(run.cycles_out("xr"), expected, "{p:?}");
    }
}
