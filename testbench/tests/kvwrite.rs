//! `kvwrite`: model and RTL in lockstep; the memory image and the pass buffer's words against plain loops of docs/architecture.md.

use std::collections::BTreeMap;
use tritforge_sim::block::kvwrite::{In, KvWrite, Out};
use tritforge_spec::{
    bits::Bits,
    block::{
        Contract,
        kvwrite::{LATENCY, Params, SEGMENT_LATENCY},
    },
    kv::KvShape,
    stall::hash,
};
use tritforge_testbench::harness::{Case, Lockstep, Run};

/// Layer, slot, position of token 0, tokens.
type Command = (u32, u32, u32, u32);

struct Beat {
    kind: u32,
    head: u32,
    token: u32,
    index: u32,
    last: bool,
    scale: u32,
    codes: Vec<i64>,
}

struct Stimulus {
    commands: Vec<Command>,
    beats: Vec<Beat>,
    pages: Vec<(u32, u32)>,
}

fn stimulus(k: &KvShape, seed: u64, commands: Vec<Command>) -> Stimulus {
    let mut s = Stimulus { commands, beats: Vec::new(), pages: Vec::new() };
    for i in 0..k.slots * k.context / 16 {
        s.pages.push((i as u32, hash(seed, 1, i as u64) as u32 & 0x0fff_ffff));
    }
    // Beyond the table: dropped.
    s.pages.push(((k.slots * k.context / 16) as u32, 5));
    s.pages.push((65535, 6));
    let beats = (k.head_dim / k.vec) as u32;
    for &(_, _, _, n) in &s.commands {
        for head in 0..2 * k.kv_heads as u32 {
            for token in 0..n {
                for index in 0..beats {
                    let at = s.beats.len() as u64;
                    let limit = (1 << (k.kv_bits - 1)) - 1;
                    let code = |v| (hash(seed, 2 + v, at) % (2 * limit + 1)) as i64 - limit as i64;
                    let codes = (0..k.vec as u64).map(code).collect();
                    let last = index == beats - 1;
                    let scale = if last { hash(seed, 100, at) as u32 & 0xff_ffff } else { 0 };
                    let (kind, head) = (head / k.kv_heads as u32, head % k.kv_heads as u32);
                    s.beats.push(Beat { kind, head, token, index, last, scale, codes });
                }
            }
        }
    }
    s
}

fn commands(k: &KvShape, seed: u64) -> Vec<Command> {
    let draw = |i, n: u64| (hash(seed, 50, i) % n) as u32;
    let n = |i| 1 + draw(i, k.batch.min(k.context) as u64);
    let pos = |i, n: u32| draw(i, k.context as u64 - n as u64 + 1);
    let b = k.batch as u32;
    vec![
        (0, 0, k.context as u32 - b, b),
        (255, k.slots as u32 - 1, pos(1, n(2)), n(2)),
        (draw(3, 256), draw(4, k.slots as u64), pos(5, n(6)), n(6)),
    ]
}

/// Words of the pass buffer in order: kind, head, token, word, data.
type PassWord = (u32, u32, u32, u32, Bits);

/// The memory's written bytes by (super-word, byte), and the words of the pass buffer.
fn oracle(k: &KvShape, s: &Stimulus) -> (BTreeMap<(u64, usize), u8>, Vec<PassWord>) {
    let (mut memory, mut pass) = (BTreeMap::new(), Vec::new());
    let cpw = k.word_bits / (k.kv_bits * k.vec) * k.vec;
    let nw = k.head_dim.div_ceil(cpw);
    let sw = 1024usize.div_ceil(k.word_bits);
    let beats = k.head_dim / k.vec;
    let mut vectors = s.beats.chunks(beats);
    for &(layer, slot, pos, n) in &s.commands {
        for _ in 0..2 * k.kv_heads as u32 * n {
            let vector = vectors.next().unwrap();
            let (first, last) = (&vector[0], vector.last().unwrap());
            let p = (pos + first.token) as usize;
            let page = s.pages[slot as usize * (k.context / 16) + p / 16].1 as u64;
            let block = page + ((layer as usize * k.kv_heads + first.head as usize) * (sw + 32 * nw)) as u64;
            let codes: Vec<i64> = vector.iter().flat_map(|b| b.codes.clone()).collect();
            for w in 0..nw {
                let mut bits = vec![false; k.word_bits];
                for (i, &c) in codes.iter().enumerate().skip(w * cpw).take(cpw) {
                    for b in 0..k.kv_bits {
                        bits[(i % cpw) * k.kv_bits + b] = c >> b & 1 != 0;
                    }
                }
                let bytes: Vec<u8> = bits.chunks(8).map(|c| c.iter().rev().fold(0, |x, &b| x << 1 | b as u8)).collect();
                let at = block + (sw + (first.kind as usize * 16 + p % 16) * nw + w) as u64;
                let mut word = Bits::zeros(k.word_bits);
                for (i, &b) in bytes.iter().enumerate() {
                    word.set(8 * i, 8, b as u64);
                    memory.insert((at, i), b);
                }
                pass.push((first.kind, first.head, first.token, w as u32, word));
            }
            let bit = (first.kind as usize * 16 + p % 16) * 32;
            for i in 0..4 {
                let at = (block + (bit / k.word_bits) as u64, bit % k.word_bits / 8 + i);
                memory.insert(at, (last.scale >> (8 * i)) as u8);
            }
            pass.push((first.kind, first.head, first.token, 127, Bits::from_u64(32, last.scale as u64)));
        }
    }
    (memory, pass)
}

fn found(k: &KvShape, run: &Run<Out>) -> (BTreeMap<(u64, usize), u8>, Vec<PassWord>) {
    let mut memory = BTreeMap::new();
    let mut words = run.beats("wd").iter();
    for (off, beats) in run.values("wseg", |o| (o.wseg_off, o.wseg_beats)) {
        for b in 0..beats {
            let w = &words.next().expect("fewer words than the segments say").out;
            for i in (0..k.word_bits / 8).filter(|&i| w.wd_strb.bit(i)) {
                memory.insert((off as u64 + b as u64, i), w.wd_data.get(8 * i, 8) as u8);
            }
        }
    }
    assert!(words.next().is_none(), "more words than the segments say");
    let pass = run.values("pb", |o| {
        let data = if o.pb_word == 127 { o.pb_data.slice(0, 32) } else { o.pb_data.clone() };
        (o.pb_kind, o.pb_head, o.pb_token, o.pb_word, data)
    });
    (memory, pass)
}

/// The page table goes in first; the vectors come after it.
fn run(rtl: &Lockstep<KvWrite>, case: &Case, s: &Stimulus) -> Run<Out> {
    // Vectors are held back until the table is written.
    let mut sent = 0;
    rtl.bench(case)
        .input("cmd", &s.commands, |i: &mut In, c| (i.cmd_layer, i.cmd_slot, i.cmd_pos, i.cmd_n) = *c)
        .input("pt", &s.pages, |i: &mut In, p| (i.pt_index, i.pt_entry) = *p)
        .input("kv", &s.beats, |i: &mut In, b| {
            (i.kv_kind, i.kv_head, i.kv_token, i.kv_index, i.kv_last, i.kv_scale) = (b.kind, b.head, b.token, b.index, b.last, b.scale);
            i.kv_data = Bits::pack_signed(8, &b.codes);
        })
        .environment(|cycle: u64, o: &Out, i: &mut In| {
            if cycle == 0 {
                sent = 0;
            }
            if sent < s.pages.len() {
                i.kv_valid = false;
            }
            sent += (i.pt_valid && o.pt_ready) as usize;
        })
        .run()
}

#[test]
fn memory_and_pass_buffer_hold_every_code_and_scale_under_every_stall() {
    for p in Params::examples() {
        let k = &p.kv;
        let Some(rtl) = Lockstep::<KvWrite>::new(&p) else { return };
        for case in Case::all() {
            let s = stimulus(k, case.seed, commands(k, case.seed));
            let run = run(&rtl, &case, &s);
            let ((memory, pass), (m, q)) = (oracle(k, &s), found(k, &run));
            assert_eq!(q, pass, "{p:?} {case}");
            assert!(m == memory, "{p:?} {case}: memory differs");
        }
    }
}

#[test]
fn words_leave_three_cycles_after_their_last_beat_and_segments_six_after_the_first() {
    let p = &Params::examples()[0];
    let k = &p.kv;
    let Some(rtl) = Lockstep::<KvWrite>::new(p) else { return };
    let s = stimulus(k, 3, vec![(1, 0, 20, 2)]);
    let run = run(&rtl, &Case::plain(), &s);
    // 16 beats of 4 codes a vector, 16 codes a word: a word every 4 beats, then one cycle for the scale: 17 cycles a vector.
    let accepted = run.cycles_in("kv");
    let mut words = Vec::new();
    let mut segments = Vec::new();
    // The first beat leaves the skid one cycle after it was accepted; the others follow a cycle each.
    let first = accepted[0] + 1;
    for v in 0..(2 * k.kv_heads * 2) as u64 {
        let start = first + 17 * v;
        // Word w's last beat 4w + 3 leaves the skid in start + 4w + 3; LATENCY counts from its acceptance at the earliest one before.
        words.extend((0..4).map(|w| start + 4 * w + 3 + LATENCY - 1));
        words.push(start + 16 + LATENCY - 1);
        segments.extend([start + SEGMENT_LATENCY - 1, start + SEGMENT_LATENCY]);
    }
    assert_eq!(run.cycles_out("wd"), words);
    assert_eq!(run.cycles_out("pb"), words);
    assert_eq!(run.cycles_out("wseg"), segments);
}

#[test]
fn idle_is_low_from_the_command_to_the_last_word_and_segment() {
    let p = &Params::examples()[0];
    let Some(rtl) = Lockstep::<KvWrite>::new(p) else { return };
    let s = stimulus(&p.kv, 4, vec![(1, 0, 7, 1)]);
    let mut idle = Vec::new();
    let run = rtl
        .bench(&Case::plain())
        .input("pt", &s.pages, |i: &mut In, p| (i.pt_index, i.pt_entry) = *p)
        .input("kv", &s.beats, |i: &mut In, b| {
            (i.kv_kind, i.kv_head, i.kv_token, i.kv_index, i.kv_last, i.kv_scale) = (b.kind, b.head, b.token, b.index, b.last, b.scale);
            i.kv_data = Bits::pack_signed(8, &b.codes);
        })
        .environment(|cycle: u64, o: &Out, i: &mut In| {
            idle.push(o.idle);
            i.cmd_valid = cycle == 50;
            (i.cmd_layer, i.cmd_slot, i.cmd_pos, i.cmd_n) = s.commands[0];
            i.kv_valid &= cycle > 60;
            // No segment leaves before cycle 400.
            i.wseg_ready = cycle >= 400;
        })
        .until(|cycle, _| cycle == 500)
        .run();
    // Idle until the command is in its skid; the last word or segment left in `end`; the command ends one cycle later.
    let end = (["wseg", "wd", "pb"].map(|s| *run.cycles_out(s).last().unwrap())).into_iter().max().unwrap();
    let expected: Vec<bool> = (0..=500).map(|c| c <= 50 || c > end + 1).collect();
    assert_eq!(idle, expected);
}
