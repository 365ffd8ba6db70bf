//! `headq`: model and RTL in lockstep; codes and scales against plain i128 loops of docs/numerics.md sections 1 and 4, cycles itemised.

use tritforge_sim::block::headq::{HeadQ, In, Out};
use tritforge_spec::{
    bits::Bits,
    block::{
        Contract,
        headq::{LATENCY, Params},
    },
    stall::hash,
};
use tritforge_testbench::harness::{Case, Lockstep, Stall};

/// `{e, m}` of a Scale, unpacked.
type Unpacked = (i128, i128);

fn norm((v, e): (i128, i128)) -> Unpacked {
    let (mut v, mut e) = (v, e);
    if v == 0 {
        return (0, -128);
    }
    let n = 128 - v.leading_zeros() as i128;
    if n <= 16 {
        (v, e) = (v << (16 - n), e - (16 - n));
    } else {
        (v, e) = ((v + (1 << (n - 17))) >> (n - 16), e + n - 16);
    }
    if v == 1 << 16 {
        (v, e) = (1 << 15, e + 1);
    }
    match e {
        128.. => (65535, 127),
        -128..=127 => (v, e),
        _ => (0, -128),
    }
}

fn mul(a: Unpacked, b: Unpacked) -> Unpacked {
    norm((a.0 * b.0, a.1 + b.1))
}

fn unpack(bits: u32) -> Unpacked {
    (bits as i128 & 0xffff, (bits >> 16) as u8 as i8 as i128)
}

fn pack(s: Unpacked) -> u32 {
    s.0 as u32 | (s.1 as i8 as u8 as u32) << 16
}

/// Rounded half to even.
fn rhe(n: i128, d: i128) -> i128 {
    let (q, r) = (n / d, n % d);
    q + (2 * r > d || 2 * r == d && q % 2 == 1) as i128
}

/// Stimulus of some passes.
struct Stimulus {
    n: Vec<u32>,
    scales: Vec<(u32, u32)>,
    pairs: Vec<(u32, i64, i64)>,
    /// cq, ck, cv.
    constants: [u32; 3],
}

fn scale(h: u64, wide: bool) -> u32 {
    let e = if wide { (h >> 32) as u8 } else { (h >> 32) as u8 % 16 };
    0x8000 | (h as u32 & 0x7fff) | (e as u32) << 16
}

fn stimulus(p: &Params, seed: u64, n: Vec<u32>) -> Stimulus {
    let mut s =
        Stimulus { n: n.clone(), scales: Vec::new(), pairs: Vec::new(), constants: [1, 2, 3].map(|i| scale(hash(seed, 9, i), true)) };
    for &n in &n {
        for t in 0..n {
            s.scales.push((t, scale(hash(seed, 8, s.scales.len() as u64), true)));
        }
        for head in 0..p.all_heads() {
            // Magnitudes of all sizes, whole heads of zeros, ties of the division among them.
            let bits = 1 + hash(seed, 7, head as u64) % 37;
            for _ in 0..p.head_dim / 2 {
                for t in 0..n {
                    let draw = |k| {
                        let h = hash(seed, k, s.pairs.len() as u64);
                        let m = match (hash(seed, 6, (head as u64) << 8 | t as u64) % 8, h % 16) {
                            (0, _) => 0,
                            (1, _) => h as i64 >> 8 & 1,
                            (_, 0) => (1 << bits) - 1,
                            (_, 1) => (1 << bits) / 2,
                            _ => (h >> 8) as i64 & ((1 << bits) - 1),
                        };
                        if h >> 60 & 1 != 0 { -m } else { m }
                    };
                    s.pairs.push((t, draw(4), draw(5)));
                }
            }
        }
    }
    s
}

/// What a vector is, its token and codes, its scale: which (0 K, 1 V, 2 Q), head, token.
type Vector = (usize, u32, u32, Vec<i64>, u32);

fn oracle(p: &Params, s: &Stimulus) -> Vec<Vector> {
    let mut out = Vec::new();
    let (mut pairs, mut scales) = (s.pairs.iter(), s.scales.iter());
    for &n in &s.n {
        let sx: Vec<u32> = (0..n).map(|_| scales.next().unwrap().1).collect();
        for h in 0..p.all_heads() {
            let mut r = vec![vec![0i64; p.head_dim]; n as usize];
            for j in 0..p.head_dim / 2 {
                for row in &mut r {
                    let &(_, r0, r1) = pairs.next().unwrap();
                    (row[j], row[j + p.head_dim / 2]) = (r0, r1);
                }
            }
            let (which, head, c) = match h {
                _ if h < p.kv_heads => (0, h, s.constants[1]),
                _ if h < 2 * p.kv_heads => (1, h - p.kv_heads, s.constants[2]),
                _ => (2, h - 2 * p.kv_heads, s.constants[0]),
            };
            let limit = match (which, p.kv_bits) {
                (2, _) | (_, 8) => 127,
                (_, 6) => 31,
                _ => 7,
            };
            for (t, row) in r.iter().enumerate() {
                let a = row.iter().map(|x| x.abs()).max().unwrap() as i128;
                let code = |x: i64| if a == 0 { 0 } else { rhe(limit * x.abs() as i128, a) as i64 * x.signum() };
                let codes = row.iter().map(|&x| code(x)).collect();
                let scale = mul(mul(norm((a, 0)), unpack(sx[t])), unpack(c));
                out.push((which, head as u32, t as u32, codes, pack(scale)));
            }
        }
    }
    out
}

/// Vectors from the beats of both outputs, in the order of each.
fn vectors(p: &Params, run: &tritforge_testbench::harness::Run<Out>) -> Vec<Vector> {
    let mut out: Vec<Vector> = Vec::new();
    let kv = run.beats("kv").iter().map(|b| {
        (b.cycle, b.out.kv_kind as usize, b.out.kv_head, b.out.kv_token, b.out.kv_index, b.out.kv_last, b.out.kv_scale, &b.out.kv_data)
    });
    let q =
        run.beats("q").iter().map(|b| (b.cycle, 2, b.out.q_head, b.out.q_token, b.out.q_index, b.out.q_last, b.out.q_scale, &b.out.q_data));
    let mut all: Vec<_> = kv.chain(q).collect();
    all.sort_by_key(|b| b.0);
    for (i, (_, which, head, token, index, last, scale, data)) in all.into_iter().enumerate() {
        assert_eq!(index as usize, i % p.beats());
        assert_eq!(last, i % p.beats() == p.beats() - 1);
        let codes = (0..p.vec).map(|v| Bits::get_signed(data, 8 * v, 8));
        if index == 0 {
            out.push((which, head, token, Vec::new(), 0));
        }
        let vector = out.last_mut().unwrap();
        assert_eq!((vector.0, vector.1, vector.2), (which, head, token));
        vector.3.extend(codes);
        match last {
            true => vector.4 = scale,
            false => assert_eq!(scale, 0),
        }
    }
    out
}

macro_rules! bench {
    ($rtl:expr, $case:expr, $s:expr) => {
        $rtl.bench($case)
            .input("cmd", &$s.n, |i: &mut In, n| i.cmd_n = *n)
            .input("s", &$s.scales, |i: &mut In, s| (i.s_token, i.s_scale) = *s)
            .input("pair", &$s.pairs, |i: &mut In, p| (i.pair_token, i.pair_r0, i.pair_r1) = *p)
            .environment(|_: u64, _: &Out, i: &mut In| [i.cq, i.ck, i.cv] = $s.constants)
    };
}

#[test]
fn codes_and_scales_are_exact_under_every_stall() {
    for p in Params::examples() {
        let Some(rtl) = Lockstep::<HeadQ>::new(&p) else { return };
        for case in Case::all() {
            let n = (0..3).map(|i| 1 + (hash(case.seed, 1, i) % p.batch as u64) as u32).collect();
            let s = stimulus(&p, case.seed, n);
            let run = bench!(rtl, &case, s).run();
            assert_eq!(vectors(&p, &run), oracle(&p, &s), "{p:?} {case}");
        }
    }
}

#[test]
fn exponents_that_leave_their_range_are_counted_once_each() {
    let p = &Params::examples()[2];
    let Some(rtl) = Lockstep::<HeadQ>::new(p) else { return };
    let case = Case::plain();
    let mut s = stimulus(p, 5, vec![3, 2]);
    // s_x·A overflows for token 0 and underflows for token 1; the constant brings nothing back.
    for (i, x) in s.scales.iter_mut().enumerate() {
        x.1 = [0x7f8000, 0x808000, 0x008000][i % 3];
    }
    s.constants = [0xf18000; 3];
    let mut expected = 0;
    for (pass, &n) in s.n.iter().enumerate() {
        for (i, v) in oracle(p, &s).iter().enumerate() {
            let first: usize = s.n[..pass].iter().sum::<u32>() as usize * p.all_heads();
            if !(first..first + n as usize * p.all_heads()).contains(&i) {
                continue;
            }
            let at = s.n[..pass].iter().sum::<u32>() + v.2;
            let head = i - first;
            let head = head / n as usize;
            let pairs = s.n[..pass].iter().map(|&n| n as usize * p.all_heads() * p.head_dim / 2).sum::<usize>()
                + head * p.head_dim / 2 * n as usize;
            let a = s.pairs[pairs..pairs + p.head_dim / 2 * n as usize].iter().filter(|x| x.0 == v.2);
            let a = a.map(|x| x.1.abs().max(x.2.abs())).max().unwrap() as i128;
            let overflows = |a: Unpacked, b: Unpacked| {
                let bits = 128 - (a.0 * b.0).leading_zeros() as i128;
                let e = a.1 + b.1 + bits - 16;
                (a.0 * b.0 != 0 && !(-128..=127).contains(&e)) as u32
            };
            let (a, x, c) = (norm((a, 0)), unpack(s.scales[at as usize].1), unpack(s.constants[0]));
            expected += overflows(a, x) + overflows(mul(a, x), c);
        }
    }
    let mut found = 0;
    let mut sticky = false;
    bench!(rtl, &case, s)
        .environment(|_: u64, o: &Out, i: &mut In| {
            [i.cq, i.ck, i.cv] = s.constants;
            found += o.sat_inc;
            sticky = o.sat;
        })
        .run();
    assert!(expected > 0);
    assert_eq!((found, sticky), (expected, true));
}

#[test]
fn a_head_leaves_fifteen_cycles_after_its_last_pair_a_beat_a_cycle() {
    let p = &Params::examples()[0];
    let Some(rtl) = Lockstep::<HeadQ>::new(p) else { return };
    let n = 3;
    let s = stimulus(p, 2, vec![n]);
    let run = bench!(rtl, &Case::plain(), s).run();
    // Pairs: two into the skid before the command starts (cycle 1, first taken from the skid in cycle 2), then one a cycle.
    let pairs = run.cycles_in("pair");
    assert_eq!(pairs[..3], [0, 1, 3]);
    assert_eq!(*pairs.last().unwrap(), s.pairs.len() as u64);
    // A head is 32 pairs of 3 tokens = 96 cycles in, 3 x 16 beats = 48 out: first beat LATENCY after the head's last pair was
    // accepted: skid 1, magnitude 1, absmax 1, full 1, read 1, divider 10. The head's last pair k is accepted in cycle k + 1.
    let head = (p.head_dim / 2) as u64 * n as u64;
    let mut expected = Vec::new();
    for h in 0..p.all_heads() as u64 {
        let first = (h + 1) * head - 1 + 1 + LATENCY;
        expected.extend(first..first + p.beats() as u64 * n as u64);
    }
    let found: Vec<u64> = run.cycles_out("kv").into_iter().chain(run.cycles_out("q")).collect();
    assert_eq!(found, expected);
}

#[test]
fn nothing_leaves_before_the_last_token_scale_came() {
    let p = &Params::examples()[0];
    let Some(rtl) = Lockstep::<HeadQ>::new(p) else { return };
    let s = stimulus(p, 3, vec![2]);
    let run = rtl
        .bench(&Case::plain())
        .input("cmd", &s.n, |i: &mut In, n| i.cmd_n = *n)
        .input("pair", &s.pairs, |i: &mut In, p| (i.pair_token, i.pair_r0, i.pair_r1) = *p)
        .environment(|cycle: u64, _: &Out, i: &mut In| {
            [i.cq, i.ck, i.cv] = s.constants;
            // The two scales in cycles 10 and 500.
            i.s_valid = cycle == 10 || cycle == 500;
            (i.s_token, i.s_scale) = s.scales[(cycle == 500) as usize];
        })
        .until(|cycle, _| cycle == 1200)
        .run();
    // Accepted in 500, leaves the skid in 501, counted from 502 on, when the first read starts: 11 stages.
    assert_eq!(run.cycles_out("kv")[0], 502 + 11);
    // Both buffers were full: 2 heads of 32 x 2 pairs, and two in the skid.
    assert_eq!(run.cycles_in("pair").iter().filter(|&&c| c < 500).count(), 2 * 64 + 2);
    assert_eq!(vectors(p, &run), oracle(p, &s));
}

#[test]
fn timing_does_not_depend_on_values() {
    for p in &Params::examples()[..3] {
        let Some(rtl) = Lockstep::<HeadQ>::new(p) else { return };
        let case = Case { stall: Stall::Both, ..Case::plain() };
        let cycles = [21, 22].map(|seed| {
            let s = stimulus(p, seed, vec![1, p.batch as u32]);
            let run = bench!(rtl, &case, s).run();
            (run.cycles_out("kv"), run.cycles_out("q"), run.cycles_in("pair").to_vec())
        });
        assert_eq!(cycles[0], cycles[1], "{p:?}");
    }
}

#[test]
fn the_contracts_most_heads_are_counted_right() {
    // 255 query heads with a KV head each: 765 heads a pass.
    let p = Params { head_dim: 32, heads: 255, kv_heads: 255, batch: 1, vec: 16, kv_bits: 8 };
    let Some(rtl) = Lockstep::<HeadQ>::new(&p) else { return };
    let s = stimulus(&p, 6, vec![1, 1]);
    let run = bench!(rtl, &Case::plain(), s).run();
    assert_eq!(vectors(&p, &run), oracle(&p, &s));
}
