//! `xstore`: segments and words of every vector, zero padding, all strobes, and the cycles of each word.

use tritforge_sim::block::xstore::{In, Out, Xstore};
use tritforge_spec::{
    bits::Bits,
    block::{
        Contract,
        xstore::{LATENCY, Params},
    },
    stall::hash,
};
use tritforge_testbench::harness::{Case, Lockstep, Run};

struct Stimulus {
    /// Offset and vectors of each command.
    commands: Vec<(u32, usize)>,
    groups: Vec<Bits>,
    segments: Vec<(u32, u64)>,
    words: Vec<Bits>,
}

fn stimulus(p: &Params, tokens: &[usize], seed: u64) -> Stimulus {
    let p = &p.0;
    let per_word = p.word_bits / 32;
    let mut s = Stimulus { commands: Vec::new(), groups: Vec::new(), segments: Vec::new(), words: Vec::new() };
    for (c, &n) in tokens.iter().enumerate() {
        let off = hash(seed, 99, c as u64) as u32;
        s.commands.push((off, n));
        for t in 0..n {
            let element = |i: usize| if i < p.dim { hash(seed, (c * 100 + t) as u64, i as u64) & 0xffff_ffff } else { 0 };
            for first in (0..p.dim).step_by(p.vec) {
                s.groups.push(Bits::pack(32, &(first..first + p.vec).map(element).collect::<Vec<_>>()));
            }
            let before = s.words.len();
            for first in (0..p.dim).step_by(per_word) {
                s.words.push(Bits::pack(32, &(first..first + per_word).map(element).collect::<Vec<_>>()));
            }
            let beats = s.words.len() - before;
            s.segments.push((off.wrapping_add((t * beats) as u32), beats as u64));
        }
    }
    s
}

/// Runs, and holds `idle` to: every accepted command's segments and words were taken.
fn run(rtl: &Lockstep<Xstore>, case: &Case, s: &Stimulus, words: usize) -> Run<Out> {
    let (mut owed_segments, mut owed_words, mut commands) = (0, 0, 0);
    rtl.bench(case)
        .input("cmd", &s.commands, |i, c| (i.cmd_off, i.cmd_n) = *c)
        .input("y", &s.groups, |i, g| i.y_data = g.clone())
        .environment(|cycle: u64, out: &Out, i: &mut In| {
            if cycle == 0 {
                (owed_segments, owed_words, commands) = (0, 0, 0);
            }
            assert_eq!(out.idle, owed_segments == 0 && owed_words == 0, "cycle {cycle}");
            if i.cmd_valid && out.cmd_ready {
                owed_segments += s.commands[commands].1;
                owed_words += s.commands[commands].1 * words;
                commands += 1;
            }
            owed_segments -= (out.wseg_valid && i.wseg_ready) as usize;
            owed_words -= (out.wd_valid && i.wd_ready) as usize;
        })
        .run()
}

#[test]
fn segments_and_words_are_those_of_the_vectors_under_every_stall() {
    for p in Params::examples() {
        let Some(rtl) = Lockstep::<Xstore>::new(&p) else { return };
        let ones = vec![u64::MAX; 8];
        let strobes = Bits::from_words(p.0.word_bits / 8, &ones);
        for case in Case::all() {
            let max = 1 << p.0.token_bits;
            let s = stimulus(&p, &[1, max, 1, max, 2.min(max)], case.seed);
            let run = run(&rtl, &case, &s, p.0.vector_words());
            assert_eq!(run.values("wseg", |o| (o.wseg_off, o.wseg_beats)), s.segments, "{p:?} {case}");
            assert_eq!(run.values("wd", |o| o.wd_data.clone()), s.words, "{p:?} {case}");
            assert!(run.values("wd", |o| o.wd_strb.clone()).iter().all(|b| *b == strobes));
        }
    }
}

#[test]
fn a_group_is_taken_every_cycle_and_a_word_follows_its_last_group() {
    for p in Params::examples() {
        let Some(rtl) = Lockstep::<Xstore>::new(&p) else { return };
        let s = stimulus(&p, &[2, 2], 4);
        let run = run(&rtl, &Case::plain(), &s, p.0.vector_words());
        let p = &p.0;
        let (groups, per_word) = (p.dim / p.vec, p.word_bits / 32 / p.vec);
        // Two commands: one cycle between them, in which the first ends. The skid of y hides it from the source unless full.
        let mut expected = Vec::new();
        for vector in 0..4 {
            for last in (0..groups).filter(|g| (g + 1) % per_word == 0 || g + 1 == groups) {
                expected.push((vector * groups + last) as u64 + LATENCY + vector as u64 / 2);
            }
        }
        assert_eq!(run.cycles_out("wd"), expected, "{p:?}");
        // A vector's segment: its first group in the skid 1, register 1; one cycle between the commands.
        let segments: Vec<u64> = (0..4).map(|v| (v * groups) as u64 + 2 + v as u64 / 2).collect();
        assert_eq!(run.cycles_out("wseg"), segments, "{p:?}");
    }
}
