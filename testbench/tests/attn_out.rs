//! `attn_out`: lockstep, outputs against docs/numerics.md section 5 in plain 128-bit loops, and the cycles of reciprocals and beats.

use tritforge_sim::block::attn_out::{AttnOut, In, Out};
use tritforge_spec::{
    bits::Bits,
    block::{
        Contract,
        attn_out::{LATENCY, Params, RECIPROCAL_CYCLES, RECIPROCAL_LATENCY},
    },
    stall::hash,
};
use tritforge_testbench::harness::{Case, Lockstep, Stall};

type Sum = (Vec<u64>, i8);

/// A group: S of its heads and E, and the accumulators of each head.
struct Group {
    sum: Sum,
    acc: Vec<Vec<i64>>,
}

/// floor((x + 2^(s-1)) / 2^s) for s > 0, x·2^(-s) for s ≤ 0 (|s| up to 120 where the result fits).
fn shr(x: i128, s: i32) -> i128 {
    if s > 0 { (x + (1i128 << (s - 1))).div_euclid(1i128 << s) } else { x << -s }
}

/// Outputs of a group, and how many saturated.
fn oracle(group: &Group) -> (Vec<i64>, u64) {
    let mut saturated = 0;
    let mut o = Vec::new();
    for (&s, acc) in group.sum.0.iter().zip(&group.acc) {
        let mut n = 64 - s.leading_zeros() as i32;
        let mut s18 = shr(s.into(), n - 18);
        if s18 == 1 << 18 {
            s18 = 1 << 17;
            n += 1;
        }
        let r = (1i128 << 35) / s18;
        assert!(r > 1 << 17 && r <= 1 << 18);
        let shift = 19 + n - 18 - i32::from(group.sum.1);
        for &a in acc {
            let exact = match shift {
                80.. => 0,
                ..=-40 => (a as i128).signum() << 60,
                _ => shr(a as i128 * r, shift),
            };
            let y = exact.clamp(-(1 << 31), (1 << 31) - 1);
            saturated += (y != exact) as u64;
            o.push(y as i64);
        }
    }
    (o, saturated)
}

/// Groups whose sums and exponents cover their range; `ordinary` ones never saturate.
fn groups(p: &Params, n: usize, ordinary: bool, seed: u64) -> Vec<Group> {
    (0..n as u64)
        .map(|i| {
            let any = |what: u64, j: u64| hash(seed, what, i << 32 | j);
            let sum = |h: u64| {
                let bits = 24 + any(1, h) % 17;
                let low = any(2, h) % (1 << (bits - 1));
                // All ones rounds up to the next power of two.
                let low = if any(3, h) % 4 == 0 { (1 << (bits - 1)) - 1 - low % 4 } else { low };
                (1 << (bits - 1)) + low
            };
            let e = match (ordinary, any(4, 0) % 4) {
                (true, x) => -12 + x as i8,
                (false, 0) => -128,
                (false, 1) => 127,
                (false, 2) => any(5, 0) as i8,
                _ => (any(5, 0) % 40) as i8 - 20,
            };
            let acc = (0..p.group as u64)
                .map(|h| {
                    let size = if ordinary { 38 } else { 1 + any(6, h) % 47 };
                    (0..p.head_dim as u64)
                        .map(|d| match any(7, h << 16 | d) % 16 {
                            0 => 0,
                            1 if !ordinary => -(1 << 47),
                            _ => (any(8, h << 16 | d) as i64) >> (64 - size - 1),
                        })
                        .collect()
                })
                .collect();
            Group { sum: ((0..p.group as u64).map(sum).collect(), e), acc }
        })
        .collect()
}

fn beats(p: &Params, groups: &[Group]) -> Vec<Vec<i64>> {
    groups.iter().flat_map(|g| g.acc.iter().flat_map(|a| a.chunks(p.vec).map(<[i64]>::to_vec))).collect()
}

fn fill_sum(i: &mut In, s: &Sum) {
    (i.sum_s, i.sum_e) = (Bits::pack(40, &s.0), s.1);
}

fn fill_acc(i: &mut In, a: &[i64]) {
    i.acc_data = Bits::pack_signed(48, a);
}

fn outputs(p: &Params, o: &Out) -> Vec<i64> {
    (0..p.vec).map(|j| o.o_data.get_signed(32 * j, 32)).collect()
}

#[test]
fn outputs_are_the_numerics_under_every_stall() {
    for params in Params::examples() {
        let Some(rtl) = Lockstep::<AttnOut>::new(&params) else { return };
        for case in Case::all() {
            let groups = groups(&params, 24, false, case.seed);
            let sums: Vec<Sum> = groups.iter().map(|g| g.sum.clone()).collect();
            let acc = beats(&params, &groups);
            let run = rtl.bench(&case).input("sum", &sums, fill_sum).input("acc", &acc, |i, a| fill_acc(i, a)).run();
            let expected: Vec<i64> = groups.iter().flat_map(|g| oracle(g).0).collect();
            let found: Vec<i64> = run.values("o", |o| outputs(&params, o)).into_iter().flatten().collect();
            assert_eq!(found, expected, "{params:?} {case}");
        }
    }
}

#[test]
fn saturated_outputs_are_counted_and_stick() {
    let params = Params { group: 4, head_dim: 128, vec: 4 };
    let Some(rtl) = Lockstep::<AttnOut>::new(&params) else { return };
    for ordinary in [true, false] {
        let groups = groups(&params, 12, ordinary, 5);
        let sums: Vec<Sum> = groups.iter().map(|g| g.sum.clone()).collect();
        let acc = beats(&params, &groups);
        let (mut counted, mut sticky) = (0, false);
        let run = rtl
            .bench(&Case { stall: Stall::Both, ..Case::plain() })
            .input("sum", &sums, fill_sum)
            .input("acc", &acc, |i, a| fill_acc(i, a))
            .environment(|_: u64, out: &Out, _: &mut In| {
                counted += out.sat_inc as u64;
                sticky = out.sat;
            })
            .run();
        assert_eq!(run.beats("o").len(), acc.len());
        let expected: u64 = groups.iter().map(|g| oracle(g).1).sum();
        assert_eq!((counted, sticky), (expected, !ordinary));
        assert_eq!(expected > 0, !ordinary);
    }
}

#[test]
fn the_first_reciprocal_costs_its_latency_and_all_others_are_hidden() {
    let params = Params { group: 4, head_dim: 128, vec: 4 };
    let Some(rtl) = Lockstep::<AttnOut>::new(&params) else { return };
    let groups = groups(&params, 3, false, 9);
    let sums: Vec<Sum> = groups.iter().map(|g| g.sum.clone()).collect();
    let acc = beats(&params, &groups);
    let run = rtl.bench(&Case::plain()).input("sum", &sums, fill_sum).input("acc", &acc, |i, a| fill_acc(i, a)).run();
    // sum accepted in cycle 0: skid 1, load, length, normalise, round, 19 bits, hand over 24: the first beat is issued in cycle 25
    // and leaves after 4 stages and a cycle of fifo. 32 beats a head are more than 24 cycles: then a beat a cycle, over all groups.
    assert_eq!((RECIPROCAL_CYCLES, RECIPROCAL_LATENCY, LATENCY), (24, 25, 6));
    let first = RECIPROCAL_LATENCY + LATENCY - 1;
    assert_eq!(run.cycles_out("o"), (first..first + 3 * 4 * 32).collect::<Vec<_>>());
}

#[test]
fn reciprocals_of_a_whole_group_are_made_before_its_accumulators_come() {
    let params = Params { group: 5, head_dim: 80, vec: 4 };
    let Some(rtl) = Lockstep::<AttnOut>::new(&params) else { return };
    let groups = groups(&params, 1, false, 10);
    let acc = beats(&params, &groups);
    let start = RECIPROCAL_LATENCY + 4 * RECIPROCAL_CYCLES;
    let mut next = 0;
    let run = rtl
        .bench(&Case::plain())
        .input("sum", &[groups[0].sum.clone()], fill_sum)
        .environment(|cycle: u64, out: &Out, i: &mut In| {
            i.acc_valid = cycle >= start && next < acc.len();
            if i.acc_valid {
                fill_acc(i, &acc[next]);
                next += out.acc_ready as usize;
            }
        })
        .until(|cycle, _| cycle == start + 150)
        .run();
    // 20 beats a head, fewer than a reciprocal takes, yet none waits.
    assert_eq!(run.cycles_out("o"), (start + LATENCY..start + LATENCY + 100).collect::<Vec<_>>());
}
