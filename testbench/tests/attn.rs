//! `attn`: lockstep, scores and accumulators against plain loops, and the cycles of blocks, scores and leaving accumulators.

use std::collections::VecDeque;
use tritforge_sim::block::attn::{Attn, In, Out};
use tritforge_spec::{
    bits::Bits,
    block::{Contract, attn::Params},
    stall::hash,
};
use tritforge_testbench::harness::{Case, Lockstep, Run, Stall};

/// One pass: tokens, and for each (token, KV head) in order the positions of each of its blocks.
struct Pass {
    n: usize,
    blocks: Vec<Vec<usize>>,
}

#[derive(Clone, Debug)]
struct Q {
    head: usize,
    token: usize,
    index: usize,
    last: bool,
    scale: u32,
    data: Vec<i64>,
}

type P = (Vec<u64>, Vec<u64>);

/// Score of a position: dot of every head, scale of q of every head, of k, of v, first, last.
#[derive(Clone, Debug, PartialEq)]
struct Score(Vec<i64>, Vec<u64>, u32, u32, bool, bool);

/// Everything that goes in, and what must come out.
#[derive(Default)]
struct Stimulus {
    cmd: Vec<usize>,
    q: Vec<Q>,
    kv: Vec<(u8, Bits)>,
    p: Vec<P>,
    scores: Vec<Score>,
    acc: Vec<i64>,
}

/// Arbitrary values; `calls` makes them differ.
struct Any {
    seed: u64,
    calls: u64,
}

impl Any {
    fn below(&mut self, n: u64) -> u64 {
        self.calls += 1;
        hash(self.seed, 9, self.calls) % n
    }
    fn code(&mut self, limit: i64) -> i64 {
        match self.below(8) {
            0 => limit,
            1 => -limit,
            _ => self.below(2 * limit as u64 + 1) as i64 - limit,
        }
    }
    fn scale(&mut self) -> u32 {
        (32768 + self.below(32768) as u32) | (self.below(256) as u32) << 16
    }
}

fn vector_words(p: &Params, codes: &[i64]) -> Vec<Bits> {
    codes
        .chunks(p.codes_per_word)
        .map(|chunk| {
            let mut word = Bits::zeros(p.word_bits);
            for (l, &c) in chunk.iter().enumerate() {
                word.set_signed(l * p.kv_bits, p.kv_bits, c);
            }
            word
        })
        .collect()
}

impl Stimulus {
    fn new(p: &Params, passes: &[Pass], seed: u64) -> Self {
        let mut s = Self::default();
        let mut any = Any { seed, calls: 0 };
        for pass in passes {
            s.cmd.push(pass.n);
            let heads = p.group * p.kv_heads;
            // q[head][token]
            let mut q = vec![vec![]; heads];
            for (head, of_head) in q.iter_mut().enumerate() {
                for token in 0..pass.n {
                    let codes: Vec<i64> = (0..p.head_dim).map(|_| any.code(127)).collect();
                    let scale = any.scale();
                    for (index, data) in codes.chunks(p.vec).enumerate() {
                        let last = (index + 1) * p.vec == p.head_dim;
                        s.q.push(Q { head, token, index, last, scale: if last { scale } else { 0 }, data: data.to_vec() });
                    }
                    of_head.push((codes, scale));
                }
            }
            assert_eq!(pass.blocks.len(), pass.n * p.kv_heads);
            for (i, blocks) in pass.blocks.iter().enumerate() {
                let (token, kv_head) = (i / p.kv_heads, i % p.kv_heads);
                let group: Vec<(Vec<i64>, u32)> = (0..p.group).map(|g| q[kv_head * p.group + g][token].clone()).collect();
                s.head(p, &mut any, blocks, &group);
            }
        }
        s
    }

    /// The blocks of one token and KV head.
    fn head(&mut self, p: &Params, any: &mut Any, blocks: &[usize], group: &[(Vec<i64>, u32)]) {
        let mut acc = vec![vec![0i128; p.head_dim]; p.group];
        for (b, &n) in blocks.iter().enumerate() {
            let (first, last) = (b == 0, b + 1 == blocks.len());
            let header = n as u64 | (first as u64) << 5 | (last as u64) << 6;
            // Bits above the header mean nothing.
            self.kv.push((0, Bits::from_u64(p.word_bits, header | any.below(1 << 20) << 7)));
            let scales: Vec<u64> = (0..32).map(|_| any.scale().into()).collect();
            let all = Bits::pack(32, &scales);
            for w in 0..p.scale_words() {
                self.kv.push((1, all.slice(w * p.word_bits, p.word_bits)));
            }
            let limit = (1 << (p.kv_bits - 1)) - 1;
            let vectors: Vec<Vec<i64>> = (0..2 * n).map(|_| (0..p.head_dim).map(|_| any.code(limit)).collect()).collect();
            let (k, v) = vectors.split_at(n);
            for (i, k) in k.iter().enumerate() {
                self.kv.extend(vector_words(p, k).into_iter().map(|w| (2, w)));
                let dot = group.iter().map(|(q, _)| q.iter().zip(k).map(|(q, k)| q * k).sum()).collect();
                let sq = group.iter().map(|&(_, s)| s.into()).collect();
                self.scores.push(Score(dot, sq, scales[i] as u32, scales[16 + i] as u32, first && i == 0, last && i == n - 1));
            }
            for v in v {
                self.kv.extend(vector_words(p, v).into_iter().map(|w| (3, w)));
                let w: Vec<u64> = (0..p.group).map(|_| any.below(1 << 25)).collect();
                let sh: Vec<u64> = (0..p.group).map(|_| if any.below(3) == 0 { any.below(64) } else { any.below(3) }).collect();
                for g in 0..p.group {
                    for (acc, v) in acc[g].iter_mut().zip(v) {
                        let old = if sh[g] > 0 { (*acc + (1 << (sh[g] - 1))) >> sh[g] } else { *acc };
                        *acc = old + w[g] as i128 * *v as i128;
                    }
                }
                self.p.push((w, sh));
            }
        }
        self.acc.extend(acc.iter().flatten().map(|&a| a as i64));
    }
}

fn fill_q(i: &mut In, q: &Q) {
    (i.q_head, i.q_token, i.q_index, i.q_last, i.q_scale) = (q.head, q.token, q.index, q.last, q.scale);
    i.q_data = Bits::pack_signed(8, &q.data);
}

fn fill_p(i: &mut In, p: &P) {
    (i.p_w, i.p_sh) = (Bits::pack(25, &p.0), Bits::pack(6, &p.1));
}

fn fill_kv(i: &mut In, kv: &(u8, Bits)) {
    (i.kv_kind, i.kv_data) = kv.clone();
}

fn check(p: &Params, s: &Stimulus, run: &Run<Out>, what: &str) {
    let scores = run.values("score", |o| {
        let dot = (0..p.group).map(|g| o.score_dot.get_signed(22 * g, 22)).collect();
        let sq = (0..p.group).map(|g| o.score_sq.get(24 * g, 24)).collect();
        Score(dot, sq, o.score_sk, o.score_sv, o.score_first, o.score_last)
    });
    assert_eq!(scores.len(), s.scores.len(), "scores, {what}");
    for (i, (found, expected)) in scores.iter().zip(&s.scores).enumerate() {
        assert_eq!(found, expected, "score {i}, {what}");
    }
    let acc: Vec<i64> =
        run.values("acc", |o| (0..p.vec).map(|j| o.acc_data.get_signed(48 * j, 48)).collect::<Vec<_>>()).into_iter().flatten().collect();
    assert_eq!(acc, s.acc, "accumulators, {what}");
}

/// Passes of every token count that the shape has, with full, partial and single blocks.
fn passes(p: &Params, seed: u64) -> Vec<Pass> {
    let mut any = Any { seed, calls: 1 << 32 };
    (0..2)
        .map(|i| {
            let n = if i == 0 { p.batch } else { 1 + any.below(p.batch as u64) as usize };
            let before = [0, 1, 3][any.below(3) as usize];
            let blocks = (0..n * p.kv_heads)
                .map(|i| {
                    let mut blocks = vec![16; before];
                    if any.below(2) == 0 {
                        blocks.push(1 + any.below(16) as usize);
                    }
                    // The positions of the pass itself.
                    blocks.push(1 + i / p.kv_heads);
                    blocks
                })
                .collect();
            Pass { n, blocks }
        })
        .collect()
}

#[test]
fn scores_and_accumulators_are_exact_under_every_stall() {
    for params in Params::examples() {
        let Some(rtl) = Lockstep::<Attn>::new(&params) else { return };
        for case in Case::all() {
            let s = Stimulus::new(&params, &passes(&params, case.seed), case.seed);
            let run = rtl
                .bench(&case)
                .input("cmd", &s.cmd, |i, &n| i.cmd_n = n)
                .input("q", &s.q, fill_q)
                .input("kv", &s.kv, fill_kv)
                .input("p", &s.p, fill_p)
                .run();
            check(&params, &s, &run, &format!("{params:?} {case}"));
        }
    }
}

fn params(group: usize, kv_heads: usize, head_dim: usize, vec: usize, word_bits: usize) -> Params {
    Params { group, kv_heads, head_dim, batch: 2, vec, kv_bits: 8, word_bits, codes_per_word: word_bits / 8 }
}

#[test]
fn a_super_word_a_cycle_with_no_bubble_between_k_v_blocks_and_heads() {
    // 2 words a vector, 8 words of scales, tree of 2 stages: score stage 5.
    let p = params(2, 2, 32, 4, 128);
    let Some(rtl) = Lockstep::<Attn>::new(&p) else { return };
    let pass = Pass { n: 1, blocks: vec![vec![16; 3]; 2] };
    let s = Stimulus::new(&p, &[pass], 1);
    let run = rtl
        .bench(&Case::plain())
        .input("cmd", &s.cmd, |i, &n| i.cmd_n = n)
        .input("q", &s.q, fill_q)
        .input("kv", &s.kv, fill_kv)
        .input("p", &s.p, fill_p)
        .run();
    check(&p, &s, &run, "plain");
    // cmd: accepted in cycle 0, taken in 1; q taken in cycles 2.., 4 heads x 8 beats, so kv is issued from cycle 34 on; two words wait
    // in the skid from cycles 0 and 1, all others come one cycle before their issue.
    let issue = |word: u64| 2 + 32 + word;
    let expected: Vec<u64> = (0..s.kv.len() as u64).map(|w| if w < 2 { w } else { issue(w) - 1 }).collect();
    assert_eq!(run.cycles_in("kv"), expected);
    // A block: header, 8 scales, 16 x 2 K, 16 x 2 V.
    assert_eq!((p.block_cycles(16), s.kv.len()), (73, 6 * 73));
    // Score of position i of block b: one cycle of fifo after stage 5 of its second K word.
    let score = |b: u64, i: u64| issue(73 * b + 9 + 2 * i + 1) + 5 + 1;
    let expected: Vec<u64> = (0..6).flat_map(|b| (0..16).map(move |i| score(b, i))).collect();
    assert_eq!(run.cycles_out("score"), expected);
    assert_eq!(p.score_latency(), 1 + 5 + 1);
    // 16 beats after a head's last V word: 3 stages, leave, read of the first word, output register.
    let expected: Vec<u64> = [3, 6].iter().flat_map(|blocks| (0..16).map(move |b| issue(73 * blocks - 1) + 6 + b)).collect();
    assert_eq!(run.cycles_out("acc"), expected);
    assert_eq!(p.acc_latency(), 6);
}

#[test]
fn v_waits_until_the_accumulators_of_the_head_before_have_left() {
    for (p, words) in [(params(2, 2, 32, 4, 128), 2), (params(2, 2, 32, 4, 512), 1)] {
        let Some(rtl) = Lockstep::<Attn>::new(&p) else { return };
        let s = Stimulus::new(&p, &[Pass { n: 1, blocks: vec![vec![16], vec![1]] }], 1);
        let run = rtl
            .bench(&Case::plain())
            .input("cmd", &s.cmd, |i, &n| i.cmd_n = n)
            .input("q", &s.q, fill_q)
            .input("kv", &s.kv, fill_kv)
            .input("p", &s.p, fill_p)
            .run();
        check(&p, &s, &run, "plain");
        let last_v = 34 + p.block_cycles(16) - 1;
        // Both shapes: 16 beats of 4. Several words: one cycle more, for the read of the first.
        assert_eq!(p.leaving_cycles(), 16 + if words == 1 { 4 } else { 5 });
        // The second head's V words are issued when the first's last beat is in the output register.
        let v = last_v + p.leaving_cycles();
        let expected: Vec<u64> =
            (0..16).map(|b| last_v + p.acc_latency() + b).chain((0..16).map(|b| v + words - 1 + p.acc_latency() + b)).collect();
        assert_eq!(run.cycles_out("acc"), expected);
    }
}

/// p of a position arrives `latency` cycles after its score was taken; the cycles from the first word's issue to the end of acc.
fn run_with_softmax(p: &Params, pass: Pass, latency: u64) -> Option<(Stimulus, Run<Out>)> {
    let rtl = Lockstep::<Attn>::new(p)?;
    let s = Stimulus::new(p, &[pass], 7);
    let mut due: VecDeque<u64> = VecDeque::new();
    let mut next = 0;
    let run = rtl
        .bench(&Case { stall: Stall::None, ..Case::plain() })
        .input("cmd", &s.cmd, |i, &n| i.cmd_n = n)
        .input("q", &s.q, fill_q)
        .input("kv", &s.kv, fill_kv)
        .environment(|cycle: u64, out: &Out, i: &mut In| {
            if out.score_valid {
                due.push_back(cycle + latency);
            }
            i.p_valid = due.front().is_some_and(|&d| cycle >= d);
            if i.p_valid {
                fill_p(i, &s.p[next]);
                if out.p_ready {
                    due.pop_front();
                    next += 1;
                }
            }
        })
        .run();
    check(p, &s, &run, "with a softmax");
    Some((s, run))
}

#[test]
fn with_the_latency_of_softmax_a_full_block_of_two_word_vectors_has_no_bubble() {
    let p = params(2, 1, 32, 4, 128);
    let Some((s, run)) = run_with_softmax(&p, Pass { n: 1, blocks: vec![vec![16; 4]] }, 13) else { return };
    // q: 2 heads x 8 beats from cycle 2 on. Then a word a cycle.
    let expected: Vec<u64> = (0..s.kv.len() as u64).map(|w| if w < 2 { w } else { 17 + w }).collect();
    assert_eq!(run.cycles_in("kv"), expected);
}

#[test]
fn with_the_latency_of_softmax_a_full_block_of_one_word_vectors_waits_five_cycles() {
    // lanes 32, tree of 3 stages. First K word issued at 0: score_valid at 3 + 3 + 1 = 7, p_valid at 20, in the skid 21: V at 21.
    // The 16 K words end at 15, so V waits 5 cycles from 16 on.
    let p = params(2, 1, 32, 4, 512);
    let Some((s, run)) = run_with_softmax(&p, Pass { n: 1, blocks: vec![vec![16; 4]] }, 13) else { return };
    let words = run.cycles_in("kv");
    let last = *words.last().unwrap();
    // 18 cycles before the first issue, less one for the skid; four blocks of 1 + 2 + 32, each with its 5.
    assert_eq!(s.kv.len() as u64, 4 * p.block_cycles(16));
    assert_eq!(last, 17 + 4 * (35 + 5) - 1);
}
