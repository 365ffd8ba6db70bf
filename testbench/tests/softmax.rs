//! `softmax`: lockstep, the values against docs/numerics.md section 5 in plain 128-bit loops, latency, rate, and room.

use tritforge_sim::block::softmax::{In, Softmax};
use tritforge_spec::{
    bits::Bits,
    block::{
        Contract,
        softmax::{FIFO_DEPTH, LATENCY, Params, SUM_LATENCY},
    },
    stall::hash,
};
use tritforge_testbench::harness::{Case, Lockstep, Stall};

/// A scale as (m, e).
type Scale = (i128, i32);

/// One position of all heads.
#[derive(Clone, Debug)]
struct Position {
    dot: Vec<i64>,
    sq: Vec<Scale>,
    sk: Scale,
    sv: Scale,
    first: bool,
    last: bool,
}

fn bits(s: Scale) -> u64 {
    s.0 as u64 | (s.1 as u8 as u64) << 16
}

fn fill(i: &mut In, p: &Position) {
    i.score_dot = Bits::pack_signed(22, &p.dot);
    i.score_sq = Bits::pack(24, &p.sq.iter().map(|&s| bits(s)).collect::<Vec<_>>());
    i.score_sk = bits(p.sk) as u32;
    i.score_sv = bits(p.sv) as u32;
    i.score_first = p.first;
    i.score_last = p.last;
}

/// docs/numerics.md, section 1: floor((x + 2^(s-1)) / 2^s), x·2^(-s). s at most 120.
fn shr(x: i128, s: i32) -> i128 {
    if s > 0 { (x + (1i128 << (s - 1))).div_euclid(1i128 << s) } else { x << -s }
}

/// What the oracle expects: w and sh of every head a position, (S, E) a head, saturations.
#[derive(Default, Debug, PartialEq)]
struct Expected {
    w: Vec<Vec<u64>>,
    sh: Vec<Vec<u64>>,
    sums: Vec<(Vec<u64>, i32)>,
    saturated: u64,
}

fn oracle(p: &Params, positions: &[Position]) -> Expected {
    let (n, b) = (1i128 << p.rom_log2, p.rom_bits as i32);
    let rom: Vec<i128> = (0..n)
        .map(|i| {
            let centre = ((i as f64 + 0.5) * 4096.0 / n as f64 - 0.5) / 4096.0;
            (((centre.exp2() - 1.0) * (b as f64).exp2()).round() as i128).min((1 << b) - 1)
        })
        .collect();
    let mut expected = Expected::default();
    let (mut max, mut sum, mut exp) = (vec![0i128; p.group], vec![0i128; p.group], 0);
    for x in positions {
        let new_exp = if x.first { x.sv.1 } else { exp.max(x.sv.1) };
        let d_exp = if x.first { 0 } else { new_exp - exp };
        exp = new_exp;
        let (mut w, mut sh) = (Vec::new(), Vec::new());
        for g in 0..p.group {
            let product = x.dot[g] as i128 * x.sk.0 * x.sq[g].0;
            let s = -(x.sk.1 + x.sq[g].1 + 12);
            let exact = match s {
                64.. => 0,
                ..=-60 => product.signum() << 100,
                _ => shr(product, s),
            };
            let z = exact.clamp(-(1 << 23), (1 << 23) - 1);
            expected.saturated += (z != exact) as u64;
            let z_max = (z + 4095).div_euclid(4096);
            let new_max = if x.first { z_max } else { max[g].max(z_max) };
            let d_max = if x.first { 0 } else { new_max - max[g] };
            max[g] = new_max;
            let t = z - 4096 * new_max;
            let (whole, f) = (t.div_euclid(4096), t.rem_euclid(4096));
            let shift = b as i128 - 24 - whole;
            let pv = if shift >= 64 { 0 } else { shr((1 << b) + rom[(f * n / 4096) as usize], shift as i32) };
            let old = if x.first || d_max >= 41 { 0 } else { shr(sum[g], d_max as i32) };
            sum[g] = old + pv;
            let ws = 16 + exp - x.sv.1;
            w.push(if ws >= 64 { 0 } else { shr(pv * x.sv.0, ws) as u64 });
            sh.push((d_max as u64 + d_exp as u64).min(63));
        }
        expected.w.push(w);
        expected.sh.push(sh);
        if x.last {
            expected.sums.push((sum.iter().map(|&s| s as u64).collect(), exp));
        }
    }
    expected
}

/// Scores of a kind: their z, and the exponents of V, follow a pattern that is hard for some part of the block.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Natural,
    /// A new maximum at every position.
    Rising,
    Equal,
    /// One large score, then far below.
    Falling,
    /// z beyond 24 bits, both signs.
    Saturated,
    /// Scales anywhere, zero among them.
    Anything,
}

const KINDS: [Kind; 6] = [Kind::Natural, Kind::Rising, Kind::Equal, Kind::Falling, Kind::Saturated, Kind::Anything];

fn head(group: usize, kind: Kind, n: usize, seed: u64) -> Vec<Position> {
    let scale = |r: u64, low: i32, high: i32| (32768 + (r & 32767) as i128, low + ((r >> 20) % (high - low + 1) as u64) as i32);
    let wild = |r: u64| if r.is_multiple_of(7) { (0, -128) } else { scale(r >> 3, -128, 127) };
    let sq: Vec<Scale> = (0..group).map(|g| scale(hash(seed, 1, g as u64), -30, -27)).collect();
    (0..n)
        .map(|i| {
            let r = |what: u64, g: usize| hash(seed, what, (i * 64 + g) as u64);
            let any = |what, g| (r(what, g) % 4_129_025) as i64 - 2_064_512;
            let e_v = -20 + (r(5, 0) % 4) as i32;
            let (sk, mut sv) = (scale(r(2, 0), -20, -18), (scale(r(3, 0), 0, 0).0, e_v));
            let mut dot: Vec<i64> = (0..group).map(|g| any(4, g) / 16).collect();
            let (mut sq, mut sk) = (sq.clone(), sk);
            match kind {
                Kind::Natural => {}
                Kind::Rising => {
                    sk = (40000, -19);
                    sv.1 = (-128 + 3 * i as i32).min(127);
                    dot = (0..group)
                        .map(|g| (i as i64 - n as i64 / 2) * (4000 + 9000 * g as i64))
                        .map(|d| d.clamp(-2_064_512, 2_064_512))
                        .collect();
                }
                Kind::Equal => {
                    sk = (40000, -19);
                    dot = vec![77_777; group];
                }
                Kind::Falling => {
                    sk = (50000, -18);
                    dot = (0..group).map(|g| if i == 0 { 2_000_000 } else { -(any(4, g).abs()) }).collect();
                    sv.1 = if i % 5 == 4 { -128 } else { e_v };
                    if sv.1 == -128 {
                        sv.0 = 0;
                    }
                }
                Kind::Saturated => sk = scale(r(2, 0), -14, 20),
                Kind::Anything => {
                    sk = wild(r(2, 0));
                    sv = wild(r(3, 0));
                    sq = (0..group).map(|g| wild(r(6, g))).collect();
                    dot = (0..group).map(|g| if r(7, g) % 5 == 0 { 0 } else { any(4, g) }).collect();
                }
            }
            Position { dot, sq, sk, sv, first: i == 0, last: i == n - 1 }
        })
        .collect()
}

fn check(p: &Params, positions: &[Position], run: &tritforge_testbench::harness::Run<tritforge_sim::block::softmax::Out>, what: &str) {
    let expected = oracle(p, positions);
    let fields = |b: &Bits, width| (0..p.group).map(|g| b.get(g * width, width)).collect::<Vec<_>>();
    assert_eq!(run.values("p", |o| fields(&o.p_w, 25)), expected.w, "w, {what}");
    assert_eq!(run.values("p", |o| fields(&o.p_sh, 6)), expected.sh, "sh, {what}");
    assert_eq!(run.values("sum", |o| (fields(&o.sum_s, 40), o.sum_e as i32)), expected.sums, "sums, {what}");
}

#[test]
fn weights_shifts_and_sums_are_the_numerics_under_every_stall() {
    for params in Params::examples() {
        let Some(rtl) = Lockstep::<Softmax>::new(&params) else { return };
        for case in Case::all() {
            let mut positions = Vec::new();
            for (k, kind) in KINDS.into_iter().enumerate() {
                for (j, n) in [1, 2, 37, 90].into_iter().enumerate() {
                    positions.extend(head(params.group, kind, n, case.seed ^ (k * 8 + j) as u64));
                }
            }
            let run = rtl.bench(&case).input("score", &positions, fill).run();
            check(&params, &positions, &run, &format!("{params:?} {case}"));
        }
    }
}

#[test]
fn saturated_scores_are_counted_once_a_head_and_stick() {
    let params = Params { group: 4, rom_log2: 12, rom_bits: 23 };
    let Some(rtl) = Lockstep::<Softmax>::new(&params) else { return };
    for kind in [Kind::Natural, Kind::Saturated] {
        let positions = head(4, kind, 300, 11);
        let (mut counted, mut sticky) = (0, false);
        let run = rtl
            .bench(&Case { stall: Stall::Both, ..Case::plain() })
            .input("score", &positions, fill)
            .environment(|_: u64, out: &tritforge_sim::block::softmax::Out, _: &mut In| {
                counted += out.sat_inc as u64;
                sticky = out.sat;
            })
            .run();
        assert_eq!(run.beats("p").len(), 300);
        let expected = oracle(&params, &positions).saturated;
        assert_eq!((counted, sticky), (expected, expected > 0), "{kind:?}");
        assert_eq!(expected > 0, matches!(kind, Kind::Saturated), "{expected} {kind:?}");
    }
}

#[test]
fn a_position_a_cycle_and_the_stated_latencies() {
    let params = Params { group: 4, rom_log2: 12, rom_bits: 23 };
    let Some(rtl) = Lockstep::<Softmax>::new(&params) else { return };
    let mut positions = head(4, Kind::Natural, 100, 3);
    positions.extend(head(4, Kind::Rising, 60, 4));
    let run = rtl.bench(&Case::plain()).input("score", &positions, fill).run();
    // p: 1 skid + 11 stages + 1 fifo after the score; sum: 1 + 10 + 1. Nothing pauses between heads.
    assert_eq!((LATENCY, SUM_LATENCY), (13, 12));
    assert_eq!(run.cycles_in("score"), (0..160).collect::<Vec<_>>());
    assert_eq!(run.cycles_out("p"), (LATENCY..LATENCY + 160).collect::<Vec<_>>());
    assert_eq!(run.cycles_out("sum"), [99 + SUM_LATENCY, 159 + SUM_LATENCY]);
}

#[test]
fn it_takes_the_scores_of_a_whole_block_while_no_weight_leaves() {
    let params = Params { group: 1, rom_log2: 8, rom_bits: 15 };
    let Some(rtl) = Lockstep::<Softmax>::new(&params) else { return };
    let positions = head(1, Kind::Natural, 50, 5);
    let run = rtl
        .bench(&Case::plain())
        .input("score", &positions, fill)
        .environment(|_: u64, _: &tritforge_sim::block::softmax::Out, i: &mut In| i.p_ready = false)
        .until(|cycle, _| cycle == 100)
        .run();
    // 16 inside and two in the skid.
    assert_eq!(run.cycles_in("score").len(), FIFO_DEPTH + 2);
}

#[test]
fn a_third_head_waits_for_the_first_sum_and_only_its_last_position_does() {
    let params = Params { group: 1, rom_log2: 8, rom_bits: 15 };
    let Some(rtl) = Lockstep::<Softmax>::new(&params) else { return };
    let positions: Vec<Position> = (0..3).flat_map(|h| head(1, Kind::Natural, 5, h)).collect();
    let run = rtl
        .bench(&Case::plain())
        .input("score", &positions, fill)
        .environment(|cycle: u64, _: &tritforge_sim::block::softmax::Out, i: &mut In| i.sum_ready = cycle >= 60)
        .run();
    // 14 positions go at once; the fifteenth issues in cycle 61, after the first sum left in cycle 60.
    assert_eq!(run.cycles_out("p")[..14], (LATENCY..LATENCY + 14).collect::<Vec<_>>());
    assert_eq!(run.cycles_out("p")[14], 61 + LATENCY - 1);
    check(&params, &positions, &run, "waiting sums");
}
