//! `kvread`: model and RTL in lockstep; segments and blocks against plain loops of docs/architecture.md, cycles itemised.

use std::collections::VecDeque;
use tritforge_sim::block::kvread::{In, KvRead, Out};
use tritforge_spec::{
    bits::Bits,
    block::{
        Contract,
        kvread::{LATENCY, PASS_LATENCY, Params, SEGMENT_LATENCY, SEGMENT_PERIOD},
    },
    kv::KvShape,
    stall::{go, hash, port_id},
};
use tritforge_testbench::harness::{Case, Environment, Lockstep, Run};

/// Layer, slot, position of token 0, tokens.
type Command = (u32, u32, u32, u32);
/// Kind, head, token, word, data.
type PassWord = (u32, u32, u32, u32, Bits);

struct Stimulus {
    commands: Vec<Command>,
    pages: Vec<(u32, u32)>,
    pass: Vec<PassWord>,
}

fn word(width: usize, seed: u64, at: u64) -> Bits {
    Bits::from_words(width, &(0..width.div_ceil(64) as u64).map(|i| hash(seed, i, at)).collect::<Vec<_>>())
}

/// A super-word of the memory.
fn memory(k: &KvShape, off: u32) -> Bits {
    word(k.word_bits, 77, off as u64)
}

fn words_of(k: &KvShape) -> (usize, usize) {
    let cpw = k.word_bits / (k.kv_bits * k.vec) * k.vec;
    (1024usize.div_ceil(k.word_bits), k.head_dim.div_ceil(cpw))
}

fn stimulus(k: &KvShape, seed: u64, commands: Vec<Command>) -> Stimulus {
    let (_, nw) = words_of(k);
    let pages = (0..k.slots * k.context / 16).map(|i| (i as u32, hash(seed, 1, i as u64) as u32)).chain([(60_000, 9)]).collect();
    let mut pass = Vec::new();
    for &(_, _, _, n) in &commands {
        for head in 0..2 * k.kv_heads as u32 {
            for token in 0..n {
                let (kind, head) = (head / k.kv_heads as u32, head % k.kv_heads as u32);
                for w in 0..nw as u32 {
                    pass.push((kind, head, token, w, word(k.word_bits, seed, pass.len() as u64)));
                }
                let mut scale = word(k.word_bits, seed, pass.len() as u64);
                scale.set(24, 8, 0);
                pass.push((kind, head, token, 127, scale));
            }
        }
    }
    Stimulus { commands, pages, pass }
}

fn commands(k: &KvShape, seed: u64) -> Vec<Command> {
    let draw = |i, n: u64| (hash(seed, 50, i) % n) as u32;
    let n = |i| 1 + draw(i, k.batch as u64);
    let pos = |i, n: u32| draw(i, (k.context as u64).min(70) - n as u64 + 1);
    vec![
        (0, 0, 0, k.batch as u32),
        (255, k.slots as u32 - 1, pos(1, n(2)), n(2)),
        (3, 0, k.context.min(64) as u32 - 16, 1),
        (draw(3, 256), draw(4, k.slots as u64), pos(5, n(6)), n(6)),
    ]
}

/// Offset and super-words.
type Segment = (u32, u32);
/// Kind and data.
type BlockWord = (u8, Bits);

/// All segments and all words of all blocks.
fn oracle(k: &KvShape, s: &Stimulus) -> (Vec<Segment>, Vec<BlockWord>) {
    let (sw, nw) = words_of(k);
    let (mut segments, mut out) = (Vec::new(), Vec::new());
    let mut passes = &s.pass[..];
    for &(layer, slot, pos, n) in &s.commands {
        let (mine, rest) = passes.split_at(2 * k.kv_heads * n as usize * (nw + 1));
        passes = rest;
        let of =
            |kind: u32, head: u32, token: u32, w: u32| &mine.iter().find(|p| (p.0, p.1, p.2, p.3) == (kind, head, token, w)).unwrap().4;
        for t in 0..n {
            for head in 0..k.kv_heads as u32 {
                let blocks = pos.div_ceil(16);
                for b in 0..blocks {
                    let page = s.pages[slot as usize * (k.context / 16) + b as usize].1;
                    let at = page.wrapping_add((layer * k.kv_heads as u32 + head) * (sw + 32 * nw) as u32);
                    let m = (pos - 16 * b).min(16) as usize;
                    let v = at.wrapping_add((sw + 16 * nw) as u32);
                    if m == 16 {
                        segments.push((at, (sw + 32 * nw) as u32));
                    } else {
                        segments.push((at, (sw + m * nw) as u32));
                        segments.push((v, (m * nw) as u32));
                    }
                    out.push((0, Bits::from_u64(k.word_bits, m as u64 | if b == 0 { 32 } else { 0 })));
                    out.extend((0..sw as u32).map(|i| (1, memory(k, at.wrapping_add(i)))));
                    out.extend((0..(m * nw) as u32).map(|i| (2, memory(k, at.wrapping_add(sw as u32 + i)))));
                    out.extend((0..(m * nw) as u32).map(|i| (3, memory(k, v.wrapping_add(i)))));
                }
                out.push((0, Bits::from_u64(k.word_bits, (t + 1) as u64 | 64 | if blocks == 0 { 32 } else { 0 })));
                let mut scales = Bits::zeros(sw * k.word_bits);
                for i in 0..=t {
                    for kind in 0..2 {
                        let lane = kind * 16 + i as usize;
                        let at = lane / (k.word_bits / 32) * k.word_bits + lane % (k.word_bits / 32) * 32;
                        scales.set(at, 32, of(kind as u32, head, i, 127).get(0, 32));
                    }
                }
                out.extend((0..sw).map(|i| (1, scales.slice(i * k.word_bits, k.word_bits))));
                for kind in 0..2 {
                    for i in 0..=t {
                        out.extend((0..nw as u32).map(|w| (2 + kind as u8, of(kind, head, i, w).clone())));
                    }
                }
            }
        }
    }
    (segments, out)
}

/// Memory behind kseg and in: words come in order, a word a cycle from `latency` cycles after the segment was taken, with random
/// pauses where `idles`. Commands wait until the page table is written.
struct Memory<'a> {
    k: &'a KvShape,
    s: &'a Stimulus,
    case: Case,
    latency: u64,
    /// The pass buffer's words wait until this cycle.
    pass_from: u64,
    /// Offset and earliest cycle.
    queue: VecDeque<(u32, u64)>,
    pages: usize,
    offered: bool,
}

impl<'a> Memory<'a> {
    fn new(k: &'a KvShape, s: &'a Stimulus, case: &Case) -> Self {
        Self { k, s, case: *case, latency: 5, pass_from: 0, queue: VecDeque::new(), pages: 0, offered: false }
    }
}

impl Environment<KvRead> for Memory<'_> {
    fn drive(&mut self, cycle: u64, o: &Out, i: &mut In) {
        self.pages += (i.pt_valid && o.pt_ready) as usize;
        i.cmd_valid &= self.pages == self.s.pages.len();
        i.pb_valid &= cycle >= self.pass_from;
        let may = !self.case.stall.idles() || self.offered || go(self.case.seed, port_id("in"), cycle);
        let ready = self.queue.front().is_some_and(|w| w.1 <= cycle);
        self.offered = ready && may;
        i.in_valid = self.offered;
        if self.offered {
            i.in_data = memory(self.k, self.queue[0].0);
            if o.in_ready {
                self.queue.pop_front();
                self.offered = false;
            }
        }
        if o.kseg_valid && i.kseg_ready {
            assert_eq!(o.kseg_dest, 2);
            self.queue.extend((0..o.kseg_beats).map(|b| (o.kseg_off.wrapping_add(b), cycle + self.latency)));
        }
    }

    fn reset(&mut self) {
        self.queue.clear();
        (self.pages, self.offered) = (0, false);
    }
}

fn run(rtl: &Lockstep<KvRead>, case: &Case, memory: Memory) -> Run<Out> {
    let s = memory.s;
    rtl.bench(case)
        .input("cmd", &s.commands, |i: &mut In, c| (i.cmd_layer, i.cmd_slot, i.cmd_pos, i.cmd_n) = *c)
        .input("pb", &s.pass, |i: &mut In, p| {
            (i.pb_kind, i.pb_head, i.pb_token, i.pb_word) = (p.0, p.1, p.2, p.3);
            i.pb_data = p.4.clone();
        })
        .input("pt", &s.pages, |i: &mut In, p| (i.pt_index, i.pt_entry) = *p)
        .environment(memory)
        .run()
}

#[test]
fn segments_and_blocks_are_those_of_the_layout_under_every_stall() {
    for p in Params::examples() {
        let k = &p.kv;
        let Some(rtl) = Lockstep::<KvRead>::new(&p) else { return };
        for case in Case::all() {
            let s = stimulus(k, case.seed, commands(k, case.seed));
            let run = run(&rtl, &case, Memory::new(k, &s, &case));
            let (segments, blocks) = oracle(k, &s);
            assert_eq!(run.values("kseg", |o| (o.kseg_off, o.kseg_beats)), segments, "{p:?} {case}");
            let found = run.values("kv", |o| (o.kv_kind, o.kv_data.clone()));
            assert_eq!(found.len(), blocks.len(), "{p:?} {case}");
            for (i, (f, b)) in found.iter().zip(&blocks).enumerate() {
                assert_eq!(f, b, "{p:?} {case} word {i}");
            }
        }
    }
}

#[test]
fn a_word_leaves_every_cycle_once_memory_gives_one_and_headers_cost_one_each() {
    let p = &Params::examples()[0];
    let k = &p.kv;
    let (sw, nw) = words_of(k);
    let Some(rtl) = Lockstep::<KvRead>::new(p) else { return };
    let case = Case::plain();
    let s = stimulus(k, 3, vec![(1, 0, 37, 1)]);
    let run = run(&rtl, &case, Memory::new(k, &s, &case));
    // Segments: LATENCY after the command was accepted; 37 positions are two full blocks and one of 5 positions, each head again. A full
    // block is one segment, the partial one two in consecutive cycles; the next block follows SEGMENT_PERIOD after.
    let mut segments = vec![run.cycles_in("cmd")[0] + SEGMENT_LATENCY];
    for gap in [SEGMENT_PERIOD, SEGMENT_PERIOD, 1, SEGMENT_PERIOD, SEGMENT_PERIOD, SEGMENT_PERIOD, 1] {
        segments.push(segments.last().unwrap() + gap);
    }
    assert_eq!(run.cycles_out("kseg"), segments);
    // The first word comes 5 cycles after its segment was taken and leaves 2 later; its header is long gone. From there on a word a cycle:
    // the skid covers the next headers.
    let first = segments[0] + 5 + LATENCY;
    let kv = run.cycles_out("kv");
    assert_eq!(kv[0], run.cycles_in("cmd")[0] + 3);
    let head = 2 * (sw + 32 * nw) + (sw + 10 * nw) + 3 + (1 + sw + 2 * nw);
    assert_eq!(kv.len(), 2 * head);
    assert_eq!(kv[1..], (first..first + 2 * head as u64 - 1).collect::<Vec<_>>());
}

#[test]
fn segments_are_asked_for_before_the_pass_buffer_is_filled_which_then_starts_at_once() {
    let p = &Params::examples()[0];
    let k = &p.kv;
    let (sw, nw) = words_of(k);
    let Some(rtl) = Lockstep::<KvRead>::new(p) else { return };
    let case = Case::plain();
    let s = stimulus(k, 4, vec![(1, 0, 16, 2)]);
    let memory = Memory { pass_from: 1000, ..Memory::new(k, &s, &case) };
    let run = rtl
        .bench(&case)
        .input("cmd", &s.commands, |i: &mut In, c| (i.cmd_layer, i.cmd_slot, i.cmd_pos, i.cmd_n) = *c)
        .input("pb", &s.pass, |i: &mut In, p| {
            (i.pb_kind, i.pb_head, i.pb_token, i.pb_word) = (p.0, p.1, p.2, p.3);
            i.pb_data = p.4.clone();
        })
        .input("pt", &s.pages, |i: &mut In, p| (i.pt_index, i.pt_entry) = *p)
        .environment(memory)
        .drain(1500)
        .run();
    // All four blocks (two tokens, two heads) were asked for at once.
    let first = run.cycles_in("cmd")[0] + SEGMENT_LATENCY;
    assert_eq!(run.cycles_out("kseg"), (0..4).map(|i| first + SEGMENT_PERIOD * i).collect::<Vec<_>>());
    // Token 0, head 0: its memory block leaves, then all waits for the last scale.
    let kv = run.cycles_out("kv");
    let block = 1 + sw + 32 * nw;
    assert!(kv[block - 1] < 1000);
    let last_scale = *run.cycles_in("pb").last().unwrap();
    assert_eq!(last_scale, 1000 + s.pass.len() as u64 - 1);
    assert_eq!(kv[block], last_scale + PASS_LATENCY);
    assert_eq!(kv.last(), Some(&(kv[block] + (kv.len() - block) as u64 - 1)), "then a word a cycle");
}

#[test]
fn passes_at_position_zero_read_no_memory() {
    let p = &Params::examples()[0];
    let Some(rtl) = Lockstep::<KvRead>::new(p) else { return };
    let case = Case::plain();
    let s = stimulus(&p.kv, 5, vec![(0, 0, 0, 1), (1, 0, 0, 3)]);
    let run = run(&rtl, &case, Memory::new(&p.kv, &s, &case));
    assert!(run.beats("kseg").is_empty());
    assert_eq!(run.values("kv", |o| (o.kv_kind, o.kv_data.clone())), oracle(&p.kv, &s).1);
}
