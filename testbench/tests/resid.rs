//! `resid`: results and saturations against plain loops over docs/numerics.md section 6, and the cycles of every phase.

use tritforge_sim::block::resid::{In, Out, Resid};
use tritforge_spec::{
    bits::Bits,
    block::{Contract, resid::Params},
    stall::hash,
};
use tritforge_testbench::harness::{Case, Lockstep, Run, Stall};

struct Command {
    n: usize,
    /// n vectors of D.
    x: Vec<Vec<i64>>,
    scales: Vec<u32>,
    /// By row, then token.
    sums: Vec<Vec<i32>>,
}

fn scale(m: u64, e: i64) -> u32 {
    (m as u32 & 0xffff | 0x8000) | (e as u32 & 0xff) << 16
}

fn command(p: &Params, which: u64, seed: u64) -> Command {
    let r = |what: u64, i: u64| hash(seed ^ which << 32, what, i);
    let n = if which == 1 { p.batch } else { 1 + (r(0, 0) % p.batch as u64) as usize };
    let sized = |v: u64| i64::from(v as u32 as i32) >> (v >> 40 & 31);
    let x = (0..n as u64).map(|t| (0..p.dim as u64).map(|i| sized(r(1 + t, i))).collect()).collect();
    // Scales of every kind: sums that vanish, round, fit, and saturate; zero; exponents at their ends.
    let scales = (0..n as u64)
        .map(|t| match r(50, t) % 6 {
            0 => 0x80 << 16,
            1 => scale(r(51, t), r(52, t) as i64 % 128),
            _ => scale(r(51, t), -80 + (r(52, t) % 60) as i64),
        })
        .collect();
    let sum = |row: u64, t: u64| match r(60 + t, row) % 4 {
        0 => -(1 << 21),
        1 => (1 << 21) - 1,
        _ => (r(80 + t, row) as u32 as i32) >> (10 + (r(100 + t, row) % 22)),
    };
    let sums = (0..p.dim as u64).map(|row| (0..n as u64).map(|t| sum(row, t)).collect()).collect();
    Command { n, x, scales, sums }
}

/// mul(a, b) of packed Scales with normalised mantissas, and whether its exponent saturated.
fn product(a: u32, b: u32) -> (u32, bool) {
    let (v, e) = ((a & 0xffff) as u64 * (b & 0xffff) as u64, i32::from((a >> 16) as u8 as i8) + i32::from((b >> 16) as u8 as i8));
    if v == 0 {
        return (0x80 << 16, false);
    }
    let drop = 48 - v.leading_zeros() as i32;
    let (mut m, mut e) = ((v + (1 << (drop - 1))) >> drop, e + drop);
    if m == 1 << 16 {
        (m, e) = (1 << 15, e + 1);
    }
    match e {
        128.. => (65535 | 127 << 16, true),
        ..-128 => (0x80 << 16, true),
        _ => (m as u32 | (e as u32 & 0xff) << 16, false),
    }
}

/// The vectors after the add, and the number of saturations.
fn oracle(c: &Command, co: u32) -> (Vec<Vec<i64>>, u64) {
    let mut saturations = 0;
    let mut sat32 = |v: i128| {
        let y = v.clamp(i32::MIN.into(), i32::MAX.into());
        saturations += (y != v) as u64;
        y
    };
    let mut y = c.x.clone();
    let mut scale_saturations = 0;
    for (t, vector) in y.iter_mut().enumerate() {
        let (s, sat) = product(c.scales[t], co);
        scale_saturations += sat as u64;
        let (m, e) = (i128::from(s & 0xffff), i32::from((s >> 16) as u8 as i8));
        for (row, y) in vector.iter_mut().enumerate() {
            let wide = i128::from(c.sums[row][t]) * m;
            // A left shift of 64 keeps the sign and saturates like any longer one; right shifts of 100 round to 0 like longer ones.
            let shifted = match -e {
                right @ 1.. => (wide + (1i128 << (right.min(100) - 1))) >> right.min(100),
                left => wide << (-left).min(64),
            };
            let add = sat32(shifted);
            *y = sat32(i128::from(*y) + add) as i64;
        }
    }
    (y, saturations + scale_saturations)
}

fn groups(p: &Params, vectors: &[Vec<i64>]) -> Vec<Bits> {
    vectors.iter().flat_map(|v| v.chunks(p.vec)).map(|g| Bits::pack_signed(32, g)).collect()
}

fn run(rtl: &Lockstep<Resid>, p: &Params, case: &Case, commands: &[Command], co: u32, sat_inc: &mut u64) -> Run<Out> {
    let tokens: Vec<usize> = commands.iter().map(|c| c.n).collect();
    let x: Vec<Bits> = commands.iter().flat_map(|c| groups(p, &c.x)).collect();
    let scales: Vec<(usize, u32)> = commands.iter().flat_map(|c| c.scales.iter().copied().enumerate()).collect();
    let sums: Vec<(usize, i32)> = commands.iter().flat_map(|c| c.sums.iter().flat_map(|r| r.iter().copied().enumerate())).collect();
    rtl.bench(case)
        .input("cmd", &tokens, |i, &n| i.cmd_n = n)
        .input("x", &x, |i, g| i.x_data = g.clone())
        .input("s", &scales, |i, s| (i.s_token, i.s_scale) = *s)
        .input("sum", &sums, |i, s| (i.sum_token, i.sum_data) = *s)
        .environment(|cycle: u64, out: &Out, input: &mut In| {
            input.co = co;
            *sat_inc = u64::from(out.sat_inc) + if cycle == 0 { 0 } else { *sat_inc };
            assert!(!out.sat || *sat_inc > 0, "sat without a saturation");
        })
        .run()
}

#[test]
fn results_and_saturations_are_the_contracts_under_every_stall() {
    for p in Params::examples() {
        let Some(rtl) = Lockstep::<Resid>::new(&p) else { return };
        for (i, mut case) in Case::all().into_iter().enumerate() {
            case.seed ^= i as u64;
            let commands: Vec<Command> = (0..6).map(|c| command(&p, c, case.seed)).collect();
            let co = scale(hash(case.seed, 1, 1), [40, -10, 100, 20, -60, 30, 35, 60][i]);
            let (mut expected, mut saturations) = (Vec::new(), 0);
            for c in &commands {
                let (y, sat) = oracle(c, co);
                expected.extend(groups(&p, &y));
                saturations += sat;
            }
            let mut sat_inc = 0;
            let run = run(&rtl, &p, &case, &commands, co, &mut sat_inc);
            assert_eq!(run.values("y", |o| o.y_data.clone()), expected, "{p:?} {case}");
            assert_eq!(sat_inc, saturations, "{p:?} {case}");
        }
    }
}

#[test]
fn sums_are_taken_one_a_cycle_and_results_follow_their_rows() {
    for p in Params::examples() {
        let Some(rtl) = Lockstep::<Resid>::new(&p) else { return };
        let mut c = command(&p, 1, 3);
        c.n = p.batch;
        let (n, groups, vec) = (c.n as u64, (p.dim / p.vec) as u64, p.vec as u64);
        let run = run(&rtl, &p, &Case::plain(), &[c], scale(0, 0), &mut 0);
        // Vectors: skid 1, one group a cycle. Scales, beside them: skid 1, one a cycle, product 4.
        let ready = (1 + n * groups).max(1 + n - 1 + 4 + 1);
        // Two sums wait in the skid until then; afterwards one leaves, and one enters a cycle later, every cycle.
        let sums = n * p.dim as u64;
        let expected: Vec<u64> = (0..sums).map(|i| if i < 2 { i } else { ready + i - 1 }).collect();
        assert_eq!(run.cycles_in("sum"), expected, "{p:?}");
        // Sums that come every cycle hold the memory's read port, so groups are read after the last sum, one a cycle, the first
        // vector's as their rows are written (9 after their last sum), the others after the last row. Read 1, FIFO 1.
        let last_sum = ready + sums - 1;
        let written = |group: u64| last_sum - (groups - 1 - group) * n * vec + 9;
        let mut read = last_sum;
        let mut expected = Vec::new();
        for vector in 0..n {
            for group in 0..groups {
                read = (read + 1).max(written(if vector == 0 { group } else { groups - 1 }));
                expected.push(read + 2);
            }
        }
        assert_eq!(run.cycles_out("y"), expected, "{p:?}");
    }
}

#[test]
fn groups_of_token_0_leave_while_slow_sums_still_come() {
    let p = Params { vec: 4, token_bits: 2, batch: 3, dim: 32 };
    let Some(rtl) = Lockstep::<Resid>::new(&p) else { return };
    let mut c = command(&p, 1, 4);
    c.n = 1;
    c.x.truncate(1);
    c.scales.truncate(1);
    c.sums.iter_mut().for_each(|r| r.truncate(1));
    let case = Case { stall: Stall::IdleSource, seed: 12, ..Case::plain() };
    let run = run(&rtl, &p, &case, &[c], scale(0, 0), &mut 0);
    // A sum enters its skid, is taken a cycle later, written 9 later; its group is read then, if no sum is, and is out 2 later.
    let taken: Vec<u64> = run.cycles_in("sum").iter().map(|c| c + 1).collect();
    let mut read = 0;
    for (group, &out) in run.cycles_out("y").iter().enumerate() {
        read = (read + 1).max(taken[4 * group + 3] + 9);
        while taken.contains(&read) {
            read += 1;
        }
        assert_eq!(out, read + 2, "group {group}");
    }
}

#[test]
fn timing_does_not_depend_on_values() {
    let p = &Params::examples()[1];
    let Some(rtl) = Lockstep::<Resid>::new(p) else { return };
    let case = Case { stall: Stall::Both, ..Case::plain() };
    let mut all: Vec<Command> = (0..5).map(|c| command(p, c, 9)).collect();
    let first = run(&rtl, p, &case, &all, scale(0, 10), &mut 0);
    for c in &mut all {
        c.x.iter_mut().for_each(|v| v.fill(0));
        c.sums.iter_mut().for_each(|v| v.fill(0));
        c.scales.fill(0x80 << 16);
    }
    let second = run(&rtl, p, &case, &all, scale(0, 0), &mut 0);
    assert_eq!(first.cycles_out("y"), second.cycles_out("y"));
    assert_eq!(first.cycles, second.cycles);
}
