//! An oracle of the attention sub-layer, written in i128 from docs/numerics.md alone: it shares no function with `numerics` or
//! `reference`, only the parameters of the model. Scales are (m, e) pairs.

use std::f64::consts::PI;
use tritforge_spec::numerics::Scale;
use tritforge_spec::random::Rng;
use tritforge_spec::reference::random::{RandomModel, residual_rows};
use tritforge_spec::reference::{IntModel, LayerCache, Norm, Reference, Saturations, TernaryRows};

type S = (i128, i128);

fn floor_div(n: i128, d: i128) -> i128 {
    n.div_euclid(d)
}

/// floor((x + 2^(s−1)) / 2^s), exact left shift for s ≤ 0. Right shifts past 100 give what the definition gives: 0.
fn shr(x: i128, s: i128) -> i128 {
    if s <= 0 {
        x * (1i128 << -s)
    } else if s > 100 {
        0
    } else {
        floor_div(x + (1i128 << (s - 1)), 1i128 << s)
    }
}

fn rhe(n: i128, d: i128) -> i128 {
    let (q, r) = (n / d, n % d);
    if 2 * r > d || (2 * r == d && q % 2 == 1) { q + 1 } else { q }
}

fn clamp(x: i128, bits: u32) -> i128 {
    x.max(-(1i128 << (bits - 1))).min((1i128 << (bits - 1)) - 1)
}

fn bitlen(x: i128) -> i128 {
    let mut n = 0;
    while x >> n > 0 {
        n += 1;
    }
    n
}

fn norm(v: i128, e: i128) -> S {
    let n = bitlen(v);
    if n == 0 {
        return (0, -128);
    }
    let (mut m, mut e) = if n <= 16 { (v << (16 - n), e - (16 - n)) } else { (shr(v, n - 16), e + n - 16) };
    if m == 65536 {
        (m, e) = (32768, e + 1);
    }
    match e {
        _ if e > 127 => (65535, 127),
        _ if e < -128 => (0, -128),
        _ => (m, e),
    }
}

fn mul(a: S, b: S) -> S {
    norm(a.0 * b.0, a.1 + b.1)
}

fn pair(s: Scale) -> S {
    (s.m.into(), s.e.into())
}

fn root(x: i128) -> i128 {
    let mut r = (x as f64).sqrt() as i128;
    while r * r > x {
        r -= 1;
    }
    while (r + 1) * (r + 1) <= x {
        r += 1;
    }
    r
}

fn code(limit: i128, r: i128, a: i128) -> i128 {
    if a == 0 { 0 } else { r.signum() * rhe(limit * r.abs(), a) }
}

/// Section 2.
fn rms_norm(x: &[i128], p: &Norm) -> (Vec<i128>, S) {
    let u: Vec<i128> = x.iter().zip(&p.gain).map(|(x, &g)| x * i128::from(g)).collect();
    let a = u.iter().map(|u| u.abs()).max().unwrap();
    let q = u.iter().map(|&u| code(127, u, a)).collect();
    let t = x.iter().map(|x| x * x).sum::<i128>() + i128::from(p.eps);
    let n = bitlen(t);
    let k = -floor_div(-(n - 34), 2);
    let reduced = if k >= 0 { floor_div(t, 1 << (2 * k)) } else { t * (1 << (-2 * k)) };
    let d = (1i128 << 34) / root(reduced);
    let a = norm(a, 0);
    (q, mul(norm(a.0 * d, a.1 - 34 - k), pair(p.c)))
}

/// Section 3.
fn linear(w: &TernaryRows, q: &[i128]) -> Vec<i128> {
    (0..w.rows).map(|r| (0..w.cols).map(|k| i128::from(w.trits[r * w.cols + k]) * q[k]).sum()).collect()
}

/// Section 4: one head's rotation at `pos`.
fn rope(head: &[i128], pos: u64, theta: f64) -> Vec<i128> {
    let hd = head.len();
    let mut r = vec![0; hd];
    for j in 0..hd / 2 {
        let step = (2f64.powi(32) * theta.powf(-2.0 * j as f64 / hd as f64) / (2.0 * PI)).round() as u64;
        let phase = (pos * (step % (1 << 32))) % (1 << 32);
        let (quadrant, i) = (phase >> 30, phase >> 18 & 4095);
        let rom = |i: u64| (32768.0 * (PI / 2.0 * (i as f64 + 0.5) / 4096.0).sin()).round() as i128;
        let (s, c) = (rom(i), rom(4095 - i));
        let (sin, cos) = [(s, c), (c, -s), (-s, -c), (-c, s)][quadrant as usize];
        r[j] = head[j] * cos - head[j + hd / 2] * sin;
        r[j + hd / 2] = head[j + hd / 2] * cos + head[j] * sin;
    }
    r
}

fn head_codes(r: &[i128], limit: i128, s_x: S, c: Scale) -> (Vec<i128>, S) {
    let a = r.iter().map(|r| r.abs()).max().unwrap();
    (r.iter().map(|&r| code(limit, r, a)).collect(), mul(mul(norm(a, 0), s_x), pair(c)))
}

/// Section 5: one query head over all its positions.
fn attend(q: &[i128], s_q: S, kv: &[Position], rom: (i128, i128)) -> Vec<i128> {
    let (n_log2, b) = rom;
    let (mut max, mut sum, mut exp) = (0, 0, 0);
    let mut acc = vec![0i128; q.len()];
    for (pos, p) in kv.iter().enumerate() {
        let dot: i128 = q.iter().zip(&p.k).map(|(q, k)| q * k).sum();
        let shift = -(p.s_k.1 + s_q.1 + 12);
        let product = dot * p.s_k.0 * s_q.0;
        let z = clamp(shr(product, shift.max(-60)), 24);
        let mz = -floor_div(-z, 4096);
        let new_max = if pos == 0 { mz } else { mz.max(max) };
        let d_max = if pos == 0 { 0 } else { new_max - max };
        let t = z - 4096 * new_max;
        let (whole, f) = (floor_div(t, 4096), t.rem_euclid(4096));
        let index = f >> (12 - n_log2);
        let entries = (1i128 << n_log2) as f64;
        let centre = ((index as f64 + 0.5) * 4096.0 / entries - 0.5) / 4096.0;
        let entry = (((2f64.powf(centre) - 1.0) * 2f64.powi(b as i32)).round() as i128).min((1 << b) - 1);
        let probability = shr((1 << b) + entry, b - 24 - whole);
        sum = shr(sum, d_max) + probability;
        let new_exp = if pos == 0 { p.s_v.1 } else { exp.max(p.s_v.1) };
        let d_exp = if pos == 0 { 0 } else { new_exp - exp };
        let w = shr(probability * p.s_v.0, 16 + new_exp - p.s_v.1);
        let sh = (d_max + d_exp).min(63);
        for (acc, v) in acc.iter_mut().zip(&p.v) {
            *acc = shr(*acc, sh) + w * v;
        }
        (max, exp) = (new_max, new_exp);
    }
    let mut n = bitlen(sum);
    let mut s18 = shr(sum, n - 18);
    if s18 == 1 << 18 {
        (s18, n) = (1 << 17, n + 1);
    }
    let r = (1i128 << 35) / s18;
    acc.iter().map(|acc| clamp(shr(acc * r, (19 + (n - 18) - exp).max(-50)), 32)).collect()
}

#[derive(Clone)]
struct Position {
    k: Vec<i128>,
    s_k: S,
    v: Vec<i128>,
    s_v: S,
}

fn wide(codes: &[i8]) -> Vec<i128> {
    codes.iter().map(|&c| c.into()).collect()
}

/// The whole sub-layer for tokens that follow the positions in `cache`.
fn attention(model: &IntModel, x: &[i32], cache: &LayerCache, rom: (i128, i128)) -> Vec<i32> {
    let (s, p) = (&model.shape, &model.layers[0].attn);
    let (hd, limit) = (s.head_dim, (1i128 << (model.kv_bits - 1)) - 1);
    let mut kv: Vec<Vec<Position>> = (0..s.kv_heads)
        .map(|h| {
            let one = |pos| {
                let ((k, s_k), (v, s_v)) = (cache.key(pos, h), cache.value(pos, h));
                Position { k: wide(k), s_k: pair(s_k), v: wide(v), s_v: pair(s_v) }
            };
            (0..cache.positions()).map(one).collect()
        })
        .collect();
    let mut y = Vec::new();
    for (t, x) in x.chunks_exact(s.dim).enumerate() {
        let pos = (cache.positions() + t) as u64;
        let x: Vec<i128> = x.iter().map(|&x| x.into()).collect();
        let (q8, s_x) = rms_norm(&x, &p.norm);
        let (q, k, v) = (linear(&p.q, &q8), linear(&p.k, &q8), linear(&p.v, &q8));
        for h in 0..s.kv_heads {
            let (k, s_k) = head_codes(&rope(&k[h * hd..][..hd], pos, s.rope_theta), limit, s_x, p.c_k);
            let v: Vec<i128> = v[h * hd..][..hd].iter().map(|v| v * 32768).collect();
            let (v, s_v) = head_codes(&v, limit, s_x, p.c_v);
            kv[h].push(Position { k, s_k, v, s_v });
        }
        let mut o = Vec::new();
        for h in 0..s.heads {
            let (q, s_q) = head_codes(&rope(&q[h * hd..][..hd], pos, s.rope_theta), 127, s_x, p.c_q);
            o.extend(attend(&q, s_q, &kv[h / (s.heads / s.kv_heads)], rom));
        }
        let (q8, s_x) = rms_norm(&o, &p.sub_norm);
        let scale = mul(s_x, pair(p.c_o));
        for (x, acc) in x.iter().zip(linear(&p.o, &q8)) {
            let add = clamp(shr(acc * scale.0, -scale.1), 32);
            y.push(clamp(x + add, 32) as i32);
        }
    }
    y
}

/// Random codes and scales for `n` positions.
fn filled_cache(model: &IntModel, n: usize, r: &mut Rng) -> LayerCache {
    let limit = (1i64 << (model.kv_bits - 1)) - 1;
    let mut cache = LayerCache::new(model.shape.kv_heads, model.shape.head_dim);
    for _ in 0..n * model.shape.kv_heads {
        cache.k_codes.extend((0..model.shape.head_dim).map(|_| r.range(-limit, limit) as i8));
        cache.v_codes.extend((0..model.shape.head_dim).map(|_| r.range(-limit, limit) as i8));
        cache.k_scales.push(Scale { m: r.range(32768, 65535) as u16, e: r.range(-23, -20) as i8 });
        cache.v_scales.push(Scale { m: r.range(32768, 65535) as u16, e: r.range(-4, -1) as i8 });
    }
    cache
}

struct Case {
    dim: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    kv_bits: usize,
    rom: (u32, u32),
    cached: usize,
    tokens: usize,
}

fn check(case: Case, seed: u64) {
    let mut random = RandomModel::small(case.dim, case.heads, case.kv_heads, case.head_dim);
    random.kv_bits = case.kv_bits;
    random.ffn = 32;
    let model = random.build(seed);
    let mut r = Rng::new(seed ^ 0xfeed);
    let mut cache = filled_cache(&model, case.cached, &mut r);
    let x = residual_rows(&mut r, case.tokens * case.dim);
    let want = attention(&model, &x, &cache, (case.rom.0.into(), case.rom.1.into()));
    let mut saturations = Saturations::default();
    let reference = Reference::new(&model, case.rom.0, case.rom.1);
    let got = reference.attention(0, &x, case.cached, &mut cache, &mut (), &mut saturations);
    assert_eq!(got, want, "seed {seed}");
    assert_eq!(saturations.total(), 0, "seed {seed}");
    assert_eq!(cache.positions(), case.cached + case.tokens);
}

#[test]
fn attention_equals_the_oracle_for_every_group_head_size_and_kv_width() {
    for (seed, (heads, kv_heads, head_dim, dim)) in
        [(2, 2, 32, 64), (4, 1, 32, 160), (5, 1, 80, 96), (4, 1, 128, 256), (10, 2, 32, 48), (8, 2, 80, 64), (1, 1, 128, 128)]
            .into_iter()
            .enumerate()
    {
        for (kv_bits, rom) in [(8, (8, 16)), (6, (4, 8)), (4, (12, 23)), (8, (2, 4))] {
            check(Case { dim, heads, kv_heads, head_dim, kv_bits, rom, cached: 0, tokens: 5 }, seed as u64);
        }
    }
}

#[test]
fn attention_equals_the_oracle_at_position_8191() {
    check(Case { dim: 64, heads: 4, kv_heads: 1, head_dim: 32, kv_bits: 8, rom: (8, 16), cached: 8190, tokens: 2 }, 7);
}

#[test]
fn attention_equals_the_oracle_at_the_widest_rows() {
    check(Case { dim: 16384, heads: 1, kv_heads: 1, head_dim: 32, kv_bits: 8, rom: (6, 12), cached: 3, tokens: 1 }, 8);
    check(Case { dim: 32, heads: 128, kv_heads: 128, head_dim: 128, kv_bits: 8, rom: (6, 12), cached: 3, tokens: 1 }, 9);
}

#[test]
fn saturation_is_counted_and_clamped() {
    let model = RandomModel::small(64, 2, 2, 32).build(3);
    let reference = Reference::new(&model, 8, 16);
    let mut cache = LayerCache::new(2, 32);
    let mut saturations = Saturations::default();
    let x: Vec<i32> = (0..64).map(|i| if i % 2 == 0 { i32::MAX } else { i32::MIN }).collect();
    let y = reference.attention(0, &x, 0, &mut cache, &mut (), &mut saturations);
    assert!(saturations.residuals > 0 && y.iter().any(|&y| y == i32::MAX || y == i32::MIN));
}

#[test]
fn the_reciprocal_of_the_largest_sum_is_the_least_of_its_range() {
    use tritforge_spec::numerics::softmax::Softmax;
    let largest = Softmax { sum: ((1 << 18) - 1) << 7, empty: false, ..Softmax::default() };
    assert_eq!(largest.finish().r, 1 << 17);
    let smallest = Softmax { sum: 1 << 24, empty: false, ..Softmax::default() };
    assert_eq!(smallest.finish().r, 1 << 18);
}
