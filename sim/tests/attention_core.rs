//! `attn`, `softmax` and `attn_out` wired together: the outputs of whole heads against the numerics position by position, under stalls,
//! and the cycles that a token takes.

use tritforge_sim::{
    block::{
        attn::{self, Attn},
        attn_out::{self, AttnOut},
        softmax::{self, Softmax},
    },
    clocked::{Block, PowerUp},
};
use tritforge_spec::{
    bits::Bits,
    block,
    numerics::{Scale, Softmax as State, SoftmaxRom, score, softmax as contract},
    stall::{go, hash},
};

const ROM_LOG2: u32 = 8;
const ROM_BITS: u32 = 15;

struct Core {
    attn: Attn,
    softmax: Softmax,
    out: AttnOut,
}

/// What the harness drives in a cycle.
#[derive(Default)]
struct Drive<'a> {
    cmd: Option<usize>,
    q: Option<&'a attn::In>,
    kv: Option<&'a (u8, Bits)>,
    o_ready: bool,
}

/// What moved in a cycle.
struct Moved {
    cmd: bool,
    q: bool,
    kv: bool,
    o: Option<Bits>,
}

impl Core {
    fn new(p: &block::attn::Params) -> Self {
        let power_up = PowerUp::Random(3);
        Self {
            attn: Attn::new(p, power_up),
            softmax: Softmax::new(&block::softmax::Params { group: p.group, rom_log2: ROM_LOG2, rom_bits: ROM_BITS }, power_up),
            out: AttnOut::new(&block::attn_out::Params { group: p.group, head_dim: p.head_dim, vec: p.vec }, power_up),
        }
    }

    fn step(&mut self, d: &Drive) -> Moved {
        let (a, s, o) = (self.attn.out(), self.softmax.out(), self.out.out());
        let mut i = d.q.cloned().unwrap_or_default();
        i.q_valid = d.q.is_some();
        (i.cmd_valid, i.cmd_n) = (d.cmd.is_some(), d.cmd.unwrap_or(0));
        i.kv_valid = d.kv.is_some();
        if let Some((kind, data)) = d.kv {
            (i.kv_kind, i.kv_data) = (*kind, data.clone());
        }
        (i.p_valid, i.p_w, i.p_sh) = (s.p_valid, s.p_w, s.p_sh);
        (i.score_ready, i.acc_ready) = (s.score_ready, o.acc_ready);
        self.softmax.step(&softmax::In {
            rst: false,
            score_valid: a.score_valid,
            score_dot: a.score_dot,
            score_sq: a.score_sq,
            score_sk: a.score_sk,
            score_sv: a.score_sv,
            score_first: a.score_first,
            score_last: a.score_last,
            p_ready: a.p_ready,
            sum_ready: o.sum_ready,
        });
        self.out.step(&attn_out::In {
            rst: false,
            sum_valid: s.sum_valid,
            sum_s: s.sum_s,
            sum_e: s.sum_e,
            acc_valid: a.acc_valid,
            acc_data: a.acc_data,
            o_ready: d.o_ready,
        });
        let moved = Moved {
            cmd: i.cmd_valid && a.cmd_ready,
            q: i.q_valid && a.q_ready,
            kv: i.kv_valid && a.kv_ready,
            o: (o.o_valid && d.o_ready).then_some(o.o_data),
        };
        self.attn.step(&i);
        moved
    }
}

/// How scores and scales run over the positions.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Natural,
    Rising,
    Equal,
    Falling,
    Saturated,
    /// V scales of zero among others, at the first position too.
    ZeroV,
}

const KINDS: [Kind; 6] = [Kind::Natural, Kind::Rising, Kind::Equal, Kind::Falling, Kind::Saturated, Kind::ZeroV];

/// One pass: what goes in and the outputs that must come out.
struct Pass {
    n: usize,
    q: Vec<attn::In>,
    kv: Vec<(u8, Bits)>,
    o: Vec<i64>,
}

fn code(seed: u64, at: u64, limit: i64) -> i8 {
    ((hash(seed, 1, at) % (2 * limit as u64 + 1)) as i64 - limit) as i8
}

/// K and V of a position: codes and scale of each.
type Position = (Vec<i8>, Scale, Vec<i8>, Scale);

fn q_codes(p: &block::attn::Params, seed: u64, head: usize, token: usize) -> Vec<i8> {
    (0..p.head_dim).map(|d| code(seed, (head * 16 + token) as u64 * 128 + d as u64, 127)).collect()
}

fn q_scale(head: usize, token: usize) -> Scale {
    Scale { m: 33000 + 31 * head as u16, e: -26 - (token % 3) as i8 }
}

fn position(p: &block::attn::Params, kind: Kind, seed: u64, head: usize, at: usize) -> Position {
    let limit = (1i64 << (p.kv_bits - 1)) - 1;
    let id = 1 << 40 | ((head * 8192 + at) as u64) << 8;
    let any = |seed: u64| -> Vec<i8> { (0..p.head_dim as u64).map(|d| code(seed, id + d, limit)).collect() };
    // Along the first query head's q: the score of such a K is large.
    let along = |size: i64| q_codes(p, seed, head * p.group, 0).iter().map(|&q| (i64::from(q.signum()) * size) as i8).collect();
    let r = hash(seed, 2, id);
    let k = match kind {
        Kind::Equal => along(limit.min(7)),
        Kind::Rising => along(at as i64 % limit + 1),
        Kind::Falling if at == 0 => along(limit),
        _ => any(seed),
    };
    let k_e = match kind {
        Kind::Natural | Kind::Equal => -19,
        Kind::Rising | Kind::Falling | Kind::ZeroV => -16,
        Kind::Saturated => -8,
    };
    let v_scale = match kind {
        Kind::ZeroV if at.is_multiple_of(3) => Scale::ZERO,
        Kind::Rising => Scale { m: 40000, e: (-100 + at as i32).min(20) as i8 },
        _ => Scale { m: 32768 + (r & 32767) as u16, e: -14 + (r >> 20 & 3) as i8 },
    };
    let k_scale = Scale { m: if matches!(kind, Kind::Equal) { 50000 } else { 32768 + (r >> 32 & 32767) as u16 }, e: k_e };
    (k, k_scale, any(seed ^ 1), v_scale)
}

/// Tokens 0..n at positions pos..; the memory holds positions 0..pos, the pass buffer the rest, in the order of `kvread`.
fn pass(p: &block::attn::Params, pos: usize, n: usize, kind: Kind, seed: u64) -> Pass {
    let rom = SoftmaxRom::new(ROM_LOG2, ROM_BITS);
    let mut stimulus = Pass { n, q: Vec::new(), kv: Vec::new(), o: Vec::new() };
    for head in 0..p.group * p.kv_heads {
        for token in 0..n {
            for (b, beat) in q_codes(p, seed, head, token).chunks(p.vec).enumerate() {
                let last = (b + 1) * p.vec == p.head_dim;
                let data: Vec<i64> = beat.iter().map(|&x| x.into()).collect();
                stimulus.q.push(attn::In {
                    q_head: head,
                    q_token: token,
                    q_index: b,
                    q_last: last,
                    q_scale: if last { q_scale(head, token).to_bits() } else { 0 },
                    q_data: Bits::pack_signed(8, &data),
                    ..Default::default()
                });
            }
        }
    }
    for token in 0..n {
        for head in 0..p.kv_heads {
            let all: Vec<Position> = (0..=pos + token).map(|at| position(p, kind, seed, head, at)).collect();
            let (before, own) = all.split_at(pos);
            let blocks: Vec<&[Position]> = before.chunks(16).chain([own]).collect();
            for (b, block) in blocks.iter().enumerate() {
                push_block(p, &mut stimulus.kv, b == 0, b + 1 == blocks.len(), block);
            }
            for h in head * p.group..(head + 1) * p.group {
                let (q, mut state, mut acc) = (q_codes(p, seed, h, token), State::default(), vec![0i64; p.head_dim]);
                for (k, k_scale, v, v_scale) in &all {
                    let dot = q.iter().zip(k).map(|(&q, &k)| i32::from(q) * i32::from(k)).sum();
                    let weight = state.step(&rom, score(dot, *k_scale, q_scale(h, token)).z, *v_scale);
                    for (acc, &v) in acc.iter_mut().zip(v) {
                        *acc = contract::accumulate(*acc, weight, v);
                    }
                }
                let r = state.finish();
                stimulus.o.extend(acc.iter().map(|&a| i64::from(contract::output(a, r).0)));
            }
        }
    }
    stimulus
}

fn push_block(p: &block::attn::Params, kv: &mut Vec<(u8, Bits)>, first: bool, last: bool, block: &[Position]) {
    let header = block.len() as u64 | (first as u64) << 5 | (last as u64) << 6;
    kv.push((0, Bits::from_u64(p.word_bits, header)));
    let mut scales = Bits::zeros(p.scale_words() * p.word_bits);
    for (i, (_, k_scale, _, v_scale)) in block.iter().enumerate() {
        scales.set(32 * i, 32, k_scale.to_bits().into());
        scales.set(512 + 32 * i, 32, v_scale.to_bits().into());
    }
    kv.extend((0..p.scale_words()).map(|w| (1, scales.slice(w * p.word_bits, p.word_bits))));
    let mut vector = |kind: u8, codes: &[i8]| {
        for chunk in codes.chunks(p.codes_per_word) {
            let mut word = Bits::zeros(p.word_bits);
            for (l, &c) in chunk.iter().enumerate() {
                word.set_signed(l * p.kv_bits, p.kv_bits, c.into());
            }
            kv.push((kind, word));
        }
    };
    block.iter().for_each(|x| vector(2, &x.0));
    block.iter().for_each(|x| vector(3, &x.2));
}

/// Runs passes one after the other; outputs, and the cycles from the issue of the first KV word to the last output of each pass.
fn run(p: &block::attn::Params, passes: &[Pass], stalls: Option<u64>) -> (Vec<i64>, Vec<u64>) {
    let mut core = Core::new(p);
    core.attn.step(&attn::In { rst: true, ..Default::default() });
    core.softmax.step(&softmax::In { rst: true, ..Default::default() });
    core.out.step(&attn_out::In { rst: true, ..Default::default() });
    let (mut outputs, mut spans, mut cycle) = (Vec::new(), Vec::new(), 0u64);
    for pass in passes {
        let (mut cmd, mut q, mut kv, mut left, mut start) = (Some(pass.n), 0, 0, pass.o.len(), 0);
        // A valid that waits stands.
        let (mut q_offered, mut kv_offered) = (false, false);
        let give_up = cycle + 2_000_000;
        while left > 0 {
            let goes = |port: u64| stalls.is_none_or(|seed| go(seed, port, cycle));
            q_offered |= goes(1);
            kv_offered |= goes(2);
            let drive = Drive { cmd, q: pass.q.get(q).filter(|_| q_offered), kv: pass.kv.get(kv).filter(|_| kv_offered), o_ready: goes(3) };
            let moved = core.step(&drive);
            if moved.cmd {
                cmd = None;
            }
            if moved.q {
                (q, q_offered) = (q + 1, false);
            }
            if moved.kv {
                (kv, kv_offered) = (kv + 1, false);
                // Two words wait in the skid for q; the third comes in the cycle after the first one's issue.
                if kv == 3 {
                    start = cycle - 1;
                }
            }
            if let Some(o) = moved.o {
                outputs.extend((0..p.vec).map(|j| o.get_signed(32 * j, 32)));
                left -= p.vec;
            }
            cycle += 1;
            assert!(cycle < give_up, "stuck: {kv} of {} KV words taken, {left} outputs missing", pass.kv.len());
        }
        spans.push(cycle - start);
    }
    (outputs, spans)
}

fn params(group: usize, kv_heads: usize, head_dim: usize, vec: usize, kv_bits: usize, word_bits: usize) -> block::attn::Params {
    block::attn::Params::from_widths(group, kv_heads, head_dim, 4, vec, kv_bits, word_bits)
}

fn shapes() -> Vec<block::attn::Params> {
    let mut all = Vec::new();
    for (i, head_dim) in [32, 64, 80, 128].into_iter().enumerate() {
        for (j, word_bits) in [128, 512].into_iter().enumerate() {
            for (k, kv_bits) in [4, 6, 8].into_iter().enumerate() {
                let group = [1, 4, 5, 2][(i + j + k) % 4];
                let vec = if (i + j + k) % 3 == 2 { 1 } else { 4 };
                all.push(params(group, 1 + (i + k) % 2, head_dim, vec, kv_bits, word_bits));
            }
        }
    }
    all
}

#[test]
fn whole_heads_are_the_numerics_for_every_shape_kind_and_context() {
    for (i, p) in shapes().iter().enumerate() {
        let seed = 100 + i as u64;
        // No memory at all, partial blocks, many blocks; one token and several.
        let contexts = [(0, 1), (0, 4), (1, 2), (16, 1), (45, 3)];
        for (j, kind) in KINDS.into_iter().enumerate() {
            let (pos, n) = contexts[(i + j) % contexts.len()];
            let passes = [pass(p, pos, n, kind, seed), pass(p, pos + n, 1, kind, seed + 1)];
            let expected: Vec<i64> = passes.iter().flat_map(|p| p.o.iter().copied()).collect();
            for stalls in [None, Some(seed ^ 77)] {
                let (found, _) = run(p, &passes, stalls);
                assert!(found == expected, "{p:?} {kind:?} position {pos}, {n} tokens, seed {seed}, stalls {stalls:?}");
            }
        }
    }
}

#[test]
fn a_long_context_is_exact_and_takes_its_words_and_the_stated_waits() {
    // A KV head of BitNet b1.58 2B4T with 512-bit super-words: NW 2, SW 2, TREE 3.
    let p = params(4, 1, 128, 4, 8, 512);
    let pass = pass(&p, 1008, 1, Kind::Natural, 5);
    let (found, spans) = run(&p, std::slice::from_ref(&pass), None);
    assert!(found == pass.o);
    // 63 blocks of 16 from memory, one block of one position.
    let words = 63 * p.block_cycles(16) + p.block_cycles(1);
    assert_eq!(words, 63 * 67 + 7);
    // The last block's V waits for p: 18 + TREE cycles after its K word instead of 1.
    let wait_p = 20;
    // Last V word issued in cycle v: the first acc comes in v + 6 and would be issued in attn_out in v + 7. The first V word was taken
    // with p in v - 1; p came out of softmax in v - 2, sum in v - 3, and R is ready 25 cycles later, in v + 22.
    let wait_r = 15;
    // 128 beats; the first leaves 6 + 6 cycles after the last V word.
    let leaving = 6 + 6 + 128 - 1;
    assert_eq!(spans[0], words + wait_p + wait_r + leaving);
}
