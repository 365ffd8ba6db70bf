//! `ctrl`: model and RTL in lockstep; every command of every pass in order, refused descriptors, and the cycles of a pass.

use tritforge_sim::{
    block::ctrl::{Ctrl, In, Out},
    clocked::{Block, PowerUp},
};
use tritforge_spec::{
    bits::Bits,
    block::{
        Contract,
        ctrl::{ISSUE_CYCLES, Params},
    },
    descriptor::Descriptor,
    stall::hash,
};
use tritforge_testbench::harness::{Case, Lockstep};

/// The super-words of a 64-byte record.
fn super_words(p: &Params, record: &[u32; 16]) -> Vec<Bits> {
    let per_word = p.word_bits / 32;
    (0..p.desc_words())
        .map(|w| {
            let mut bits = Bits::zeros(p.word_bits);
            for i in 0..per_word.min(16) {
                bits.set(32 * i, 32, record.get(w * per_word + i).copied().unwrap_or(0).into());
            }
            bits
        })
        .collect()
}

fn descriptor(p: &Params, seed: u64, i: u64) -> Descriptor {
    let r = |what, n: usize| (hash(seed, what, i) % n as u64) as u32;
    let count = 1 + r(0, p.batch);
    Descriptor {
        opcode: 1,
        version: 1,
        layer: r(1, p.layers) as u8,
        slot: r(2, p.slots) as u8,
        pos: r(3, p.context + 1 - count as usize) as u16,
        count: count as u8,
        weights: r(4, 1 << 30),
        x_in: r(5, 1 << 30),
        x_out: r(6, 1 << 30),
    }
}

fn constants(seed: u64, i: u64) -> [u32; 16] {
    std::array::from_fn(|w| hash(seed, 100 + w as u64, i) as u32 & if (6..10).contains(&w) { u32::MAX } else { 0xff_ffff })
}

/// Fields of a command that a pass issues twice: descriptor, constants, second time.
type BothNorms<'a> = dyn Fn(&Descriptor, &[u32; 16], bool) -> Vec<u64> + 'a;

struct Stimulus {
    go: Vec<(u32, u16)>,
    desc: Vec<Bits>,
    consts: Vec<Bits>,
    passes: Vec<(Descriptor, [u32; 16])>,
}

/// Three doorbells of 1, 3 and 2 descriptors.
fn stimulus(p: &Params, seed: u64) -> Stimulus {
    let mut s = Stimulus { go: Vec::new(), desc: Vec::new(), consts: Vec::new(), passes: Vec::new() };
    for (bell, count) in [1u16, 3, 2].into_iter().enumerate() {
        s.go.push((hash(seed, 7, bell as u64) as u32 >> 4, count));
        for _ in 0..count {
            let i = s.passes.len() as u64;
            let (d, c) = (descriptor(p, seed, i), constants(seed, i));
            s.desc.extend(super_words(p, &d.words()));
            s.consts.extend(super_words(p, &c));
            s.passes.push((d, c));
        }
    }
    s
}

/// The writers are idle, and were not in the cycle after the last command.
fn levels(seed: u64) -> impl FnMut(u64, &Out, &mut In) {
    move |cycle, _, input| {
        input.xstore_idle = hash(seed, 11, cycle) & 3 != 0;
        input.kvwrite_idle = hash(seed, 12, cycle) & 3 != 0;
        input.write_idle = hash(seed, 13, cycle) & 3 != 0;
    }
}

#[test]
fn every_pass_gives_its_commands_once_and_in_order() {
    for p in Params::examples() {
        let Some(rtl) = Lockstep::<Ctrl>::new(&p) else { return };
        for case in Case::all() {
            let s = stimulus(&p, case.seed);
            let run = rtl
                .bench(&case)
                .input("go", &s.go, |i, g| (i.go_ptr, i.go_count) = *g)
                .input("desc", &s.desc, |i, w| i.desc_data = w.clone())
                .input("const", &s.consts, |i, w| i.const_data = w.clone())
                .environment(levels(case.seed))
                .run();
            let each = |f: &dyn Fn(&Descriptor, &[u32; 16]) -> Vec<u64>| s.passes.iter().map(|(d, c)| f(d, c)).collect::<Vec<_>>();
            let twice = |f: &BothNorms| s.passes.iter().flat_map(|(d, c)| [f(d, c, false), f(d, c, true)]).collect::<Vec<_>>();
            let u = |v: usize| v as u64;

            let sections = [(p.desc_words(), 0), (p.gain1_words, 1), (p.qkv_words, 2), (p.gain2_words, 1), (p.o_words, 2)];
            let mut wanted = Vec::new();
            for (d, _) in &s.passes {
                let mut off = u64::from(d.weights);
                for (words, dest) in sections {
                    wanted.push(vec![off, u(words), dest]);
                    off += u(words);
                }
            }
            assert_eq!(run.values("wseg", |o| vec![u64::from(o.wseg_off), u64::from(o.wseg_beats), u64::from(o.wseg_dest)]), wanted);
            let got: Vec<Vec<u64>> = run
                .values("dseg", |o| vec![u64::from(o.dseg_off), u64::from(o.dseg_beats), u64::from(o.dseg_dest)])
                .into_iter()
                .filter(|s| s[2] == 1)
                .collect();
            assert_eq!(got, each(&|d, _| vec![u64::from(d.x_in), u64::from(d.count) * u(p.x_words), 1]));
            assert_eq!(run.values("xload", |o| vec![u64::from(o.xload_n)]), each(&|d, _| vec![d.count.into()]));
            let k = |second| if second { p.q_dim } else { p.dim };
            assert_eq!(
                run.values("norm", |o| vec![
                    u64::from(o.norm_groups),
                    o.norm_n.into(),
                    o.norm_src.into(),
                    o.norm_dest.into(),
                    o.norm_eps,
                    o.norm_c.into()
                ]),
                twice(&|d, c, second| {
                    let (eps, norm) = if second { (8, 4) } else { (6, 0) };
                    let side = u64::from(second);
                    let eps = u64::from(c[eps]) | u64::from(c[eps + 1]) << 32;
                    vec![u(k(second) / p.vec), d.count.into(), side, side, eps, c[norm].into()]
                })
            );
            let rows = |second| if second { p.dim } else { p.q_dim + 2 * p.kv_dim };
            let wpr = |second| if second { p.wpr_q } else { p.wpr_d };
            assert_eq!(
                run.values("unpack", |o| vec![u64::from(o.unpack_words)]),
                twice(&|_, _, second| vec![u(rows(second) * wpr(second))])
            );
            assert_eq!(
                run.values("tmac", |o| vec![
                    u64::from(o.tmac_acts),
                    o.tmac_wpr.into(),
                    o.tmac_rows.into(),
                    o.tmac_n.into(),
                    o.tmac_dest.into()
                ]),
                twice(&|d, _, second| {
                    let n = u64::from(d.count);
                    vec![n * u(k(second) / p.vec), u(wpr(second)), u(rows(second)), n, second.into()]
                })
            );
            assert_eq!(
                run.values("rope", |o| vec![u64::from(o.rope_pos), o.rope_n.into()]),
                each(&|d, _| vec![d.pos.into(), d.count.into()])
            );
            for n in [
                run.values("resid", |o| o.resid_n),
                run.values("headq", |o| o.headq_n),
                run.values("attn", |o| o.attn_n),
                run.values("kvwrite", |o| o.kvwrite_n),
                run.values("kvread", |o| o.kvread_n),
                run.values("xstore", |o| o.xstore_n),
            ] {
                assert_eq!(n, s.passes.iter().map(|(d, _)| d.count).collect::<Vec<_>>());
            }
            let place = |d: &Descriptor| (d.layer, d.slot, d.pos);
            let wanted: Vec<_> = s.passes.iter().map(|(d, _)| place(d)).collect();
            assert_eq!(run.values("kvwrite", |o| (o.kvwrite_layer, o.kvwrite_slot, o.kvwrite_pos)), wanted);
            assert_eq!(run.values("kvread", |o| (o.kvread_layer, o.kvread_slot, o.kvread_pos)), wanted);
            assert_eq!(run.values("xstore", |o| o.xstore_off), s.passes.iter().map(|(d, _)| d.x_out).collect::<Vec<_>>());
            // The layer's constants stand while its commands go out.
            let levels = run.values("headq", |o| [o.cq, o.ck, o.cv, o.co]);
            assert_eq!(levels, s.passes.iter().map(|(_, c)| [c[1], c[2], c[3], c[5]]).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_descriptor_that_does_not_check_stops_the_run_and_says_where() {
    let p = Params::examples()[1].clone();
    let Some(rtl) = Lockstep::<Ctrl>::new(&p) else { return };
    let good = descriptor(&p, 5, 0).words();
    let with = |word: usize, value: u32| {
        let mut d = good;
        d[word] = value;
        d
    };
    // (record, the field is at fault and not the opcode)
    let cases = [
        (with(0, 0x0102), false),
        (with(0, 0x0201), false),
        (with(0, 0x1_0101), true),
        (with(1, p.layers as u32), true),
        (with(1, 0x100), true),
        (with(2, p.slots as u32), true),
        (with(3, p.context as u32), true),
        (with(4, 0), true),
        (with(4, p.batch as u32 + 1), true),
        (with(8, 1), true),
        (with(15, 1 << 31), true),
    ];
    for (record, field) in cases {
        let desc: Vec<Bits> = [super_words(&p, &good), super_words(&p, &record), super_words(&p, &good)].concat();
        let consts = super_words(&p, &constants(5, 0));
        let mut last = Out::default();
        let run = rtl
            .bench(&Case::plain())
            .input("go", &[(1000, 3)], |i, g| (i.go_ptr, i.go_count) = *g)
            .input("desc", &desc[..2 * p.desc_words()], |i, w| i.desc_data = w.clone())
            .input("const", &consts, |i, w| i.const_data = w.clone())
            .environment(|_: u64, out: &Out, input: &mut In| {
                (input.xstore_idle, input.kvwrite_idle, input.write_idle) = (true, true, true);
                last = out.clone();
            })
            .run();
        assert_eq!(run.values("xstore", |o| o.xstore_n).len(), 1, "the pass before it completes");
        assert!(last.err && !last.busy, "{record:x?}");
        assert_eq!((last.err_field, last.err_off), (field, 1000 + p.desc_words() as u32), "{record:x?}");
    }
}

#[test]
fn a_pass_takes_the_stated_cycles() {
    let p = Params::examples()[1].clone();
    assert_eq!(p.desc_words(), 1);
    let Some(rtl) = Lockstep::<Ctrl>::new(&p) else { return };
    let s = stimulus(&p, 9);
    let run = rtl
        .bench(&Case::plain())
        .input("go", &s.go[..1], |i, g| (i.go_ptr, i.go_count) = *g)
        .input("desc", &s.desc[..1], |i, w| i.desc_data = w.clone())
        .input("const", &s.consts[..1], |i, w| i.const_data = w.clone())
        .environment(|_: u64, _: &Out, input: &mut In| (input.xstore_idle, input.kvwrite_idle, input.write_idle) = (true, true, true))
        .run();
    // 0 doorbell enters the skid, 1 taken, 2 claims dseg, 3 request, 4 word taken, 5 check, 6-10 five segments, 11 push,
    // 12 slot to job, 13 constants, 14-28 fifteen commands.
    assert_eq!(run.cycles_out("dseg")[0], 3);
    assert_eq!(run.cycles_out("wseg"), [6, 7, 8, 9, 10]);
    assert_eq!(run.cycles_out("dseg")[1], 14);
    assert_eq!(run.cycles_out("xstore"), [14 + ISSUE_CYCLES - 1]);
}

/// The longest distance between cycles in which something moves, and the number of movements, from the doorbell to the end of the
/// passes, with peers that answer after `wait` cycles of being asked. `finished` is seen in place of the end, a cycle later.
fn movements(p: &Params, passes: u16, wait: u64) -> (u64, u64) {
    let s = stimulus(p, 3);
    let mut ctrl = Ctrl::new(p, PowerUp::Zero);
    ctrl.step(&In { rst: true, ..In::default() });
    // Cycles for which each peer has been asked; words asked for, and sent.
    let mut asked = [0u64; 16];
    let (mut desc, mut consts, mut desc_sent, mut consts_sent) = (0, 0, 0, 0);
    let (mut cycle, mut last, mut longest, mut moves) = (0, 0, 0, 0);
    let mut finished = 0;
    while finished < u64::from(passes) {
        let o = ctrl.out();
        let mut i = In { go_valid: cycle == 0, go_ptr: 8, go_count: passes, ..In::default() };
        let mut answer = |peer: usize, is_asked: bool| {
            let now = is_asked && asked[peer] == wait;
            asked[peer] = if is_asked && !now { asked[peer] + 1 } else { 0 };
            now
        };
        i.dseg_ready = answer(0, o.dseg_valid);
        i.wseg_ready = answer(1, o.wseg_valid);
        i.xload_ready = answer(2, o.xload_valid);
        i.norm_ready = answer(3, o.norm_valid);
        i.resid_ready = answer(4, o.resid_valid);
        i.unpack_ready = answer(5, o.unpack_valid);
        i.tmac_ready = answer(6, o.tmac_valid);
        i.rope_ready = answer(7, o.rope_valid);
        i.headq_ready = answer(8, o.headq_valid);
        i.kvwrite_ready = answer(9, o.kvwrite_valid);
        i.kvread_ready = answer(10, o.kvread_valid);
        i.attn_ready = answer(11, o.attn_valid);
        i.xstore_ready = answer(12, o.xstore_valid);
        i.desc_valid = answer(13, o.desc_ready && desc_sent < desc);
        i.const_valid = answer(14, o.const_ready && consts_sent < consts);
        let quiet = answer(15, o.busy && !o.xstore_valid);
        (i.xstore_idle, i.kvwrite_idle, i.write_idle) = (quiet, quiet, quiet);
        i.desc_data = s.desc[desc_sent.min(s.desc.len() - 1)].clone();
        i.const_data = s.consts[consts_sent.min(s.consts.len() - 1)].clone();
        desc += if i.dseg_ready && o.dseg_dest == 0 { p.desc_words() } else { 0 };
        consts += if i.wseg_ready && o.wseg_dest == 0 { p.desc_words() } else { 0 };
        desc_sent += usize::from(i.desc_valid);
        consts_sent += usize::from(i.const_valid);
        finished += u64::from(o.finished);
        let moved = [
            i.dseg_ready,
            i.wseg_ready,
            i.xload_ready,
            i.norm_ready,
            i.resid_ready,
            i.unpack_ready,
            i.tmac_ready,
            i.rope_ready,
            i.headq_ready,
            i.kvwrite_ready,
            i.kvread_ready,
            i.attn_ready,
            i.xstore_ready,
            i.desc_valid,
            i.const_valid,
            o.finished,
        ];
        moves += moved.iter().filter(|&&m| m).count() as u64;
        if moved.contains(&true) || i.go_valid {
            longest = longest.max(cycle - last);
            last = cycle;
        }
        ctrl.step(&i);
        cycle += 1;
        assert!(cycle < 1000 * (wait + 10), "the run does not end");
    }
    (longest, moves)
}

#[test]
fn with_every_peer_late_the_bound_on_progress_is_reached_and_not_exceeded() {
    for word_bits in [128, 256, 512, 1024] {
        let p = Params { word_bits, ..Params::examples()[0].clone() };
        for wait in [1, 3, 100] {
            let bound = p.progress_bound(wait);
            // One pass: the fetch machine has nothing more to ask for after the last segment, while the other gets its constants.
            assert_eq!(movements(&p, 1, wait), (bound, p.moves_of_pass()), "{word_bits} bits, peers {wait} cycles late");
            let (longest, moves) = movements(&p, 3, wait);
            assert!(longest <= bound, "{word_bits} bits, peers {wait} cycles late: {longest}, bound {bound}");
            assert_eq!(moves, 3 * p.moves_of_pass());
        }
    }
}
