//! `norm`: codes and scales against plain loops over docs/numerics.md section 2, and the cycles of every pass.

use tritforge_sim::block::norm::{In, Norm, Out};
use tritforge_spec::{
    bits::{Bits, clog2},
    block::{Contract, norm::Params},
    stall::hash,
};
use tritforge_testbench::harness::{Case, Lockstep, Run, Stall};

struct Command {
    groups: usize,
    n: usize,
    src: usize,
    dest: usize,
    eps: u64,
    c: u32,
    gains: Vec<i64>,
    vectors: Vec<Vec<i64>>,
}

/// Values whose size varies from vector to vector: full range, small, zero, one element alone, ties of the divider.
fn element(kind: u64, random: u64, i: usize) -> i64 {
    let full = random as u32 as i32;
    match kind % 7 {
        0 => full.into(),
        1 => (full >> 20).into(),
        2 => 0,
        3 => (full >> (random >> 40 & 31)).into(),
        4 if i == 5 => i32::MIN.into(),
        4 => (full >> 31).into(),
        5 => i32::MIN.into(),
        _ => (random % 255) as i64 - 127,
    }
}

fn command(p: &Params, which: u64, seed: u64) -> Command {
    let r = |what: u64, i: u64| hash(seed ^ which << 32, what, i);
    let largest = p.max_len / p.vec;
    let groups = if which == 0 { largest } else { 1 + (r(1, 0) % largest as u64) as usize };
    let n = if which == 1 { p.batch } else { 1 + (r(2, 0) % p.batch as u64) as usize };
    let len = groups * p.vec;
    let vectors = (0..n).map(|t| (0..len).map(|i| element(r(3, t as u64), r(4 + t as u64, i as u64), i)).collect()).collect();
    let gains = (0..len)
        .map(|i| match r(100, 0) % 3 {
            0 => (r(101, i as u64) % 131_071) as i64 - 65535,
            1 => {
                if r(101, i as u64) & 1 == 0 {
                    65535
                } else {
                    -65535
                }
            }
            _ => 1 << 15,
        })
        .collect();
    let eps = match r(102, 0) % 4 {
        // The contract has eps >= 1; with eps = 0 a zero vector counts as T = 1.
        0 => r(103, 0) & 1,
        1 => u64::MAX,
        _ => r(103, 0) >> (r(104, 0) % 64),
    };
    // Exponents mostly sane, sometimes at the ends so that the product saturates.
    let e = match r(105, 0) % 4 {
        0 => 127u8,
        1 => 0x80,
        _ => r(106, 0) as u8,
    };
    let c = (r(107, 0) as u32 & 0xffff | if r(110, 0) % 8 == 0 { 0 } else { 0x8000 }) | u32::from(e) << 16;
    Command { groups, n, src: r(108, 0) as usize & 1, dest: r(109, 0) as usize & 1, eps, c, gains, vectors }
}

fn commands(p: &Params, count: u64, seed: u64) -> Vec<Command> {
    (0..count).map(|i| command(p, i, seed)).collect()
}

/// norm(v, e): mantissa, exponent, saturated.
fn scale_of(v: u128, e: i32) -> (u128, i32, bool) {
    if v == 0 {
        return (0, -128, false);
    }
    let n = (128 - v.leading_zeros()) as i32;
    let (mut m, mut e) = if n <= 16 { (v << (16 - n), e - (16 - n)) } else { ((v + (1 << (n - 17))) >> (n - 16), e + n - 16) };
    if m == 1 << 16 {
        (m, e) = (1 << 15, e + 1);
    }
    match e {
        128.. => (65535, 127, true),
        ..-128 => (0, -128, true),
        _ => (m, e, false),
    }
}

/// Codes, packed scale and saturations of one vector.
fn oracle(x: &[i64], gains: &[i64], eps: u64, c: u32) -> (Vec<i64>, u32, u64) {
    let u: Vec<i128> = x.iter().zip(gains).map(|(x, g)| i128::from(*x) * i128::from(*g)).collect();
    let a = u.iter().map(|u| u.unsigned_abs()).max().unwrap();
    let code = |u: &i128| {
        if a == 0 {
            return 0;
        }
        let (q, rest) = (127 * u.unsigned_abs() / a, 127 * u.unsigned_abs() % a);
        let q = (q + u128::from(2 * rest > a || 2 * rest == a && q % 2 == 1)) as i64;
        if *u < 0 { -q } else { q }
    };
    let codes = u.iter().map(code).collect();
    let t = x.iter().map(|&x| u128::from(x.unsigned_abs()).pow(2)).sum::<u128>() + u128::from(eps);
    let t = t.max(1);
    let n = (128 - t.leading_zeros()) as i32;
    // ceil((n - 34) / 2), by counting.
    let mut k = -40;
    while 2 * k < n - 34 {
        k += 1;
    }
    let reduced = if k >= 0 { t >> (2 * k) } else { t << (-2 * k) };
    let mut root = (reduced as f64).sqrt() as u128;
    while root * root > reduced {
        root -= 1;
    }
    while (root + 1) * (root + 1) <= reduced {
        root += 1;
    }
    let d = (1u128 << 34) / root;
    let (am, ae, sat_a) = scale_of(a, 0);
    let (m, e, sat_m) = scale_of(am * d, ae - 34 - k);
    let (m, e, sat_c) = scale_of(m * u128::from(c & 0xffff), e + i32::from((c >> 16) as u8 as i8));
    (codes, m as u32 | (e as u32 & 0xff) << 16, [sat_a, sat_m, sat_c].iter().filter(|s| **s).count() as u64)
}

fn run(rtl: &Lockstep<Norm>, p: &Params, case: &Case, commands: &[Command], sat_inc: &mut u64) -> Run<Out> {
    let pack = |v: &[i64]| Bits::pack_signed(32, v);
    let per_word = p.word_bits / 32;
    let gains: Vec<Bits> = commands
        .iter()
        .flat_map(|c| c.gains.chunks(per_word))
        .map(|g| pack(&[g.to_vec(), vec![-1; per_word - g.len()]].concat()))
        .collect();
    let groups = |src: usize| -> Vec<Bits> {
        let of_source = commands.iter().filter(|c| c.src == src);
        of_source.flat_map(|c| c.vectors.iter().flat_map(|v| v.chunks(p.vec))).map(pack).collect()
    };
    let (x0, x1) = (groups(0), groups(1));
    *sat_inc = 0;
    rtl.bench(case)
        .input("cmd", commands, |i, c| {
            (i.cmd_groups, i.cmd_n, i.cmd_src, i.cmd_dest, i.cmd_eps, i.cmd_c) = (c.groups, c.n, c.src, c.dest, c.eps, c.c)
        })
        .input("gain", &gains, |i, g| i.gain_data = g.clone())
        .input("x0", &x0, |i, g| i.x0_data = g.clone())
        .input("x1", &x1, |i, g| i.x1_data = g.clone())
        .environment(|cycle: u64, out: &Out, _: &mut In| *sat_inc = out.sat_inc as u64 + if cycle == 0 { 0 } else { *sat_inc })
        .drain(400)
        .run()
}

#[test]
fn codes_and_scales_are_the_contracts_under_every_stall() {
    for p in Params::examples() {
        let Some(rtl) = Lockstep::<Norm>::new(&p) else { return };
        for (i, mut case) in Case::all().into_iter().enumerate() {
            case.seed ^= i as u64;
            let commands = commands(&p, 8, case.seed);
            let mut sat_inc = 0;
            let run = run(&rtl, &p, &case, &commands, &mut sat_inc);
            let (mut acts, mut scales, mut saturations) = (Vec::new(), [Vec::new(), Vec::new()], 0);
            for c in &commands {
                for (t, x) in c.vectors.iter().enumerate() {
                    let (codes, scale, sat) = oracle(x, &c.gains, c.eps, c.c);
                    acts.extend(codes.chunks(p.vec).enumerate().map(|(g, q)| (t, g, Bits::pack_signed(8, q))));
                    scales[c.dest].push((t, scale));
                    saturations += sat;
                }
            }
            assert_eq!(run.values("act", |o| (o.act_token, o.act_index, o.act_data.clone())), acts, "{p:?} {case}");
            assert_eq!(run.values("s0", |o| (o.s0_token, o.s0_scale)), scales[0], "{p:?} {case}");
            assert_eq!(run.values("s1", |o| (o.s1_token, o.s1_scale)), scales[1], "{p:?} {case}");
            assert_eq!(sat_inc, saturations, "{p:?} {case}");
        }
    }
}

#[test]
fn every_pass_takes_one_beat_a_cycle_and_the_stated_latency() {
    for p in Params::examples() {
        let Some(rtl) = Lockstep::<Norm>::new(&p) else { return };
        let mut c = command(&p, 0, 5);
        (c.n, c.src, c.dest) = (p.batch, 0, 0);
        c.vectors = (0..c.n).map(|t| (0..c.groups * p.vec).map(|i| hash(5, t as u64, i as u64) as i32 as i64).collect()).collect();
        let (groups, n) = (c.groups as u64, c.n as u64);
        let run = run(&rtl, &p, &Case::plain(), &[c], &mut 0);
        // Skids 1: gain group 0 leaves its skid in cycle 1, so x group 0 in cycle 2, then one a cycle.
        let last = |vector: u64| 2 + (vector + 1) * groups - 1;
        // A vector's statistics after its last group: products 6, tree, accumulation 1, written 1.
        let known = |vector: u64| last(vector) + 6 + clog2(p.vec) as u64 + 1 + 1;
        // A vector's codes after its statistics and after the codes before, one a cycle: products 6, division 10, FIFO 1.
        let mut issue = 0;
        let mut expected = Vec::new();
        for vector in 0..n {
            issue = known(vector).max(issue);
            expected.extend((issue..issue + groups).map(|cycle| cycle + 6 + 10 + 1));
            issue += groups;
        }
        assert_eq!(run.cycles_out("act"), expected, "{p:?}");
        // A scale: fetch 1, T 1, alignment 2, root 17, division 19, product 2, norm 3, times c 4, register 1; each starts when its
        // statistics are there and the last one's register is free.
        let mut expected = Vec::new();
        let mut free = 0;
        for vector in 0..n {
            let out = known(vector).max(free) + 1 + 1 + 2 + 17 + 19 + 2 + 3 + 4 + 1;
            expected.push(out);
            free = out;
        }
        assert_eq!(run.cycles_out("s0"), expected, "{p:?}");
    }
}

#[test]
fn timing_does_not_depend_on_values() {
    let p = &Params::examples()[1];
    let Some(rtl) = Lockstep::<Norm>::new(p) else { return };
    let case = Case { stall: Stall::Both, ..Case::plain() };
    let mut all = commands(p, 6, 9);
    let first = run(&rtl, p, &case, &all, &mut 0);
    for c in &mut all {
        (c.eps, c.c) = (77, 0x0012_8000);
        c.gains.fill(3);
        c.vectors.iter_mut().for_each(|v| v.fill(0));
    }
    let second = run(&rtl, p, &case, &all, &mut 0);
    for stream in ["act", "s0", "s1"] {
        assert_eq!(first.cycles_out(stream), second.cycles_out(stream), "{stream}");
    }
    assert_eq!(first.cycles, second.cycles);
}

#[test]
fn the_longest_and_largest_vector_overflows_nothing() {
    let p = Params { word_bits: 512, vec: 16, token_bits: 1, batch: 1, max_len: 16384 };
    let Some(rtl) = Lockstep::<Norm>::new(&p) else { return };
    for (x, gain, eps) in [(i64::from(i32::MIN), 65535, u64::MAX), (i32::MAX.into(), -65535, 1), (-1, 1, 1)] {
        let c =
            Command { groups: 1024, n: 1, src: 1, dest: 1, eps, c: 0x00f0_8000, gains: vec![gain; 16384], vectors: vec![vec![x; 16384]] };
        let (codes, scale, _) = oracle(&c.vectors[0], &c.gains, eps, c.c);
        let run = run(&rtl, &p, &Case::plain(), &[c], &mut 0);
        assert_eq!(run.values("s1", |o| o.s1_scale), [scale]);
        let expected: Vec<Bits> = codes.chunks(16).map(|q| Bits::pack_signed(8, q)).collect();
        assert_eq!(run.values("act", |o| o.act_data.clone()), expected);
        // Skids 1, one cycle behind the gains, 1024 groups; statistics 6 + 4 + 1 + 1; codes 6 + 10 + 1.
        assert_eq!(run.cycles_out("act"), (1 + 1 + 1023 + 12 + 17..1054 + 1024).collect::<Vec<_>>());
    }
}

#[test]
fn the_next_command_starts_two_cycles_after_the_last_scale() {
    let p = Params::examples()[1].clone();
    let Some(rtl) = Lockstep::<Norm>::new(&p) else { return };
    let mut commands = commands(&p, 2, 5);
    for c in &mut commands {
        let len = 4 * p.vec;
        (c.groups, c.n, c.src, c.dest) = (4, 1, 0, 0);
        c.gains.resize(len, 7);
        c.vectors = vec![vec![1; len]];
    }
    let run = run(&rtl, &p, &Case::plain(), &commands, &mut 0);
    let (acts, scales) = (run.cycles_out("act"), run.cycles_out("s0"));
    // Vectors 2..5, statistics 6 + 2 + 1 + 1, codes 6 + 10 + 1, scale 50; the codes are out before the scale.
    assert_eq!((acts[0], scales[0]), (5 + 10 + 17, 5 + 10 + 50));
    // The command ends in the cycle in which its scale stands at s0; then as from cycle 1 of the first.
    assert_eq!((acts[4], scales[1]), (scales[0] + acts[0], scales[0] + scales[0]));
}
