//! `rope`: model and RTL in lockstep; values against plain i128 loops of docs/numerics.md section 4, cycles itemised.

use std::f64::consts::{FRAC_PI_2, TAU};
use tritforge_sim::block::rope::{In, Rope};
use tritforge_spec::{
    block::{
        Contract,
        rope::{LATENCY, Params},
    },
    stall::hash,
};
use tritforge_testbench::harness::{Case, Lockstep};

/// Position of token 0 and tokens of each pass.
type Pass = (u32, u32);

fn passes(p: &Params, seed: u64) -> Vec<Pass> {
    let n = |i| 1 + (hash(seed, 1, i) % p.batch as u64) as u32;
    vec![(0, p.batch as u32), (8191 - 16 + n(0), n(1)), ((hash(seed, 2, 0) % 8000) as u32, n(2))]
}

/// Sums in the order of the rows: (token, sum), extremes among them.
fn sums(p: &Params, passes: &[Pass], seed: u64) -> Vec<(u32, i32)> {
    let mut all = Vec::new();
    for &(_, n) in passes {
        for _ in 0..p.all_heads() * p.head_dim {
            for token in 0..n {
                let h = hash(seed, 3, all.len() as u64);
                let data = match h % 8 {
                    0 => 2_080_768,
                    1 => -2_080_768,
                    _ => (h >> 8) as i32 % 2_080_768,
                };
                all.push((token, data));
            }
        }
    }
    all
}

/// The pairs as docs/numerics.md defines them, from the definition of every step and ROM entry.
fn oracle(p: &Params, theta: f64, passes: &[Pass], sums: &[(u32, i32)]) -> Vec<(u32, i64, i64)> {
    let s = |i: i128| (32768.0 * (FRAC_PI_2 * (i as f64 + 0.5) / 4096.0).sin()).round() as i128;
    let half = p.head_dim / 2;
    let mut at = 0;
    let mut out = Vec::new();
    for &(pos, n) in passes {
        let n = n as usize;
        for head in 0..2 * p.kv_heads + p.heads {
            for j in 0..half {
                let step = (2f64.powi(32) * theta.powf(-2.0 * j as f64 / p.head_dim as f64) / TAU).round() as i128 % (1 << 32);
                for t in 0..n {
                    let (a, b) = (sums[at + t].1 as i128, sums[at + n + t].1 as i128);
                    let phase = (pos as i128 + t as i128) * step % (1 << 32);
                    let i = phase / (1 << 18) % 4096;
                    let c = |i| s(4095 - i);
                    let (mut sin, mut cos) = match phase >> 30 {
                        0 => (s(i), c(i)),
                        1 => (c(i), -s(i)),
                        2 => (-s(i), -c(i)),
                        _ => (-c(i), s(i)),
                    };
                    if head >= p.kv_heads && head < 2 * p.kv_heads {
                        (sin, cos) = (0, 32768);
                    }
                    out.push((t as u32, (a * cos - b * sin) as i64, (b * cos + a * sin) as i64));
                }
                at += 2 * n;
            }
        }
    }
    assert_eq!(at, sums.len());
    out
}

fn theta(p: &Params) -> f64 {
    // As in Params::examples.
    match p.head_dim {
        32 | 128 => 500_000.0,
        _ => 10_000.0,
    }
}

fn set_cmd(i: &mut In, c: &Pass) {
    (i.cmd_pos, i.cmd_n) = *c;
}

fn set_sum(i: &mut In, s: &(u32, i32)) {
    (i.sum_token, i.sum_data) = *s;
}

#[test]
fn pairs_are_rotated_exactly_under_every_stall() {
    for p in Params::examples() {
        let Some(rtl) = Lockstep::<Rope>::new(&p) else { return };
        for case in Case::all() {
            let passes = passes(&p, case.seed);
            let sums = sums(&p, &passes, case.seed);
            let run = rtl.bench(&case).input("cmd", &passes, set_cmd).input("sum", &sums, set_sum).run();
            let found = run.values("pair", |o| (o.pair_token, o.pair_r0, o.pair_r1));
            assert_eq!(found, oracle(&p, theta(&p), &passes, &sums), "{p:?} {case}");
        }
    }
}

#[test]
fn a_sum_is_taken_every_cycle_and_a_pair_leaves_eight_cycles_after_its_second_sum() {
    let p = &Params::examples()[0];
    let Some(rtl) = Lockstep::<Rope>::new(p) else { return };
    let passes: Vec<Pass> = vec![(5, 3), (100, 1)];
    let sums = sums(p, &passes, 1);
    let run = rtl.bench(&Case::plain()).input("cmd", &passes, set_cmd).input("sum", &sums, set_sum).run();
    // Sum 0 and the command enter their skids in cycle 0; in cycle 1 the command starts, from cycle 2 on a sum leaves the skid every
    // cycle, also across passes. So the skid (two words) is full in cycle 2 only.
    let taken = run.cycles_in("sum");
    assert_eq!(taken[..4], [0, 1, 3, 4]);
    assert_eq!(*taken.last().unwrap(), sums.len() as u64);
    // A second sum leaves the skid in cycle 2 + its number; stages follow: LATENCY = 1 skid + 7 stages after it could be taken.
    let mut expected = Vec::new();
    let mut number = 0;
    for (_, n) in passes {
        for _ in 0..p.all_heads() * p.head_dim / 2 {
            expected.extend((0..n as u64).map(|t| 2 + number + n as u64 + t + LATENCY - 1));
            number += 2 * n as u64;
        }
    }
    assert_eq!(run.cycles_out("pair"), expected);
}
