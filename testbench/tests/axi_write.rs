//! `axi_write` before a memory: bytes of both clients, priority without interleaving, rate, idle, stop, first error.

use tritforge_sim::{
    block::axi_write::{AxiWrite, In, Out},
    memory::{MemConfig, Timing},
};
use tritforge_spec::{
    bits::Bits,
    block::{Contract, axi_write::Params},
    stall::hash,
};
use tritforge_testbench::{
    axi::{Behind, bases, byte_at, memories},
    harness::{Bench, Case, Design, Environment, Lockstep, Stall, four_state},
};

type Seg = (u32, u32);
/// Data and strobes of a super-word.
type Word = (Bits, Bits);

/// Super-words of the memory; client a writes the lower half, b the upper.
const WORDS: u64 = 400;

struct Writes {
    segs: [Vec<Seg>; 2],
    words: [Vec<Word>; 2],
}

impl Writes {
    fn new(p: &Params, n: u64, seed: u64) -> Self {
        let (half, longest) = (WORDS / 2, (p.port.burst as u64 + 3).min(140));
        let segs = [0, 1].map(|client| {
            let one = |i| {
                let beats = hash(seed, 2 + client, i) % longest;
                ((client * half + hash(seed, 4 + client, i) % (half - beats)) as u32, beats as u32)
            };
            (0..n).map(one).collect::<Vec<Seg>>()
        });
        let words = [0, 1].map(|client: usize| {
            let total: u64 = segs[client].iter().map(|s| s.1 as u64).sum();
            let random = |what, i| (0..16).map(|w| hash(seed, what + 16 * client as u64 + w, i)).collect::<Vec<_>>();
            let strb = |i| if i % 2 == 0 { vec![u64::MAX; 8] } else { random(200, i) };
            let word = |i| (Bits::from_words(p.word_bits(), &random(100, i)), Bits::from_words(p.word_bits() / 8, &strb(i)));
            (0..total).map(word).collect::<Vec<Word>>()
        });
        Self { segs, words }
    }

    /// Asserts every byte of every port.
    fn assert_written(&self, p: &Params, base: &[u64], behind: &Behind, what: &str) {
        let bytes = p.port.port_bits / 8;
        for (port, &base) in base.iter().enumerate() {
            let mut good: Vec<u8> = (0..WORDS * bytes as u64).map(|i| byte_at(base + i)).collect();
            for (segs, words) in self.segs.iter().zip(&self.words) {
                let mut words = words.iter();
                for off in segs.iter().flat_map(|&(off, n)| off..off + n) {
                    let (data, strb) = words.next().unwrap();
                    for byte in (0..bytes).filter(|b| strb.bit(port * bytes + b)) {
                        good[off as usize * bytes + byte] = data.get(8 * (port * bytes + byte), 8) as u8;
                    }
                }
            }
            let mut found = vec![0; good.len()];
            behind.memory.borrow().storage().read(base, &mut found);
            let first = (0..good.len()).find(|&i| good[i] != found[i]);
            assert_eq!(first, None, "first byte of port {port} that differs: {what}");
        }
        behind.assert_rules_held();
        assert!(behind.memory.borrow().idle(), "{what}");
    }
}

fn bench<'a>(rtl: &'a Lockstep<AxiWrite>, case: &Case, w: &'a Writes) -> Bench<'a, AxiWrite> {
    rtl.bench(case)
        .input("aseg", &w.segs[0], |i, s| (i.aseg_off, i.aseg_beats) = *s)
        .input("ad", &w.words[0], |i, d| (i.ad_data, i.ad_strb) = d.clone())
        .input("bseg", &w.segs[1], |i, s| (i.bseg_off, i.bseg_beats) = *s)
        .input("bd", &w.words[1], |i, d| (i.bd_data, i.bd_strb) = d.clone())
        .drain(2500)
}

#[test]
fn every_byte_of_both_clients_is_written_to_every_memory_under_every_stall() {
    for params in Params::examples() {
        let Some(rtl) = Lockstep::<AxiWrite>::new(&params) else { return };
        let base = bases(params.ports, params.port.port_bits);
        let bytes = WORDS as usize * params.port.port_bits / 8;
        for (i, case) in Case::all().into_iter().enumerate() {
            let w = Writes::new(&params, 20, case.seed);
            let config = memories(params.ports, params.port.port_bits, case.seed).remove((i / 2 + i) % 4);
            let behind = Behind::new(config, base.clone(), bytes);
            let mut drive = behind.clone();
            let (mut idle, mut memory_idle) = (false, false);
            bench(&rtl, &case, &w)
                .environment(|cycle: u64, out: &Out, input: &mut In| {
                    // Idle means that every byte is in memory and answered.
                    assert!(!out.idle || drive.memory.borrow().idle() || cycle == 0);
                    Environment::<AxiWrite>::drive(&mut drive, cycle, out, input);
                    if input.rst {
                        Environment::<AxiWrite>::reset(&mut drive);
                    }
                    (idle, memory_idle) = (out.idle, drive.memory.borrow().idle());
                })
                .run();
            w.assert_written(&params, &base, &behind, &format!("{params:?} {case}"));
            assert!(idle && memory_idle);
        }
    }
}

#[test]
fn after_stop_and_idle_it_can_be_reset_while_the_memory_runs_on() {
    for params in Params::examples() {
        let Some(rtl) = Lockstep::<AxiWrite>::new(&params) else { return };
        let base = bases(params.ports, params.port.port_bits);
        for seed in 0..8 {
            let case = Case { stall: Stall::ALL[seed as usize % 4], seed: hash(Case::seed(1), 5, seed), ..Case::plain() };
            let w = Writes::new(&params, 20, case.seed);
            let config = memories(params.ports, params.port.port_bits, case.seed).remove(seed as usize % 4);
            let stop_at = 10 + hash(case.seed, 6, 0) % 200;
            let behind = Behind::new(config, base.clone(), WORDS as usize * params.port.port_bits / 8).stop_at(stop_at);
            bench(&rtl, &case, &w).environment(behind.clone()).run();
            assert_eq!(*behind.lost.borrow(), Some(false), "{params:?} {case}: transactions under way at idle");
            w.assert_written(&params, &base, &behind, &format!("{params:?} {case}"));
        }
    }
}

fn two_ports() -> Params {
    Params::examples().swap_remove(0)
}

/// Cycles in which W beats of port 0 passed, with the super-word that they belong to.
fn run_plain(params: &Params, config: MemConfig, w: &Writes) -> Option<Vec<(u64, u64)>> {
    let rtl = Lockstep::<AxiWrite>::new(params)?;
    let mut behind = Behind::new(config, vec![0, 1 << 32], 2048 * 16);
    let mut passed = Vec::new();
    bench(&rtl, &Case::plain(), w)
        .environment(|cycle: u64, out: &Out, input: &mut In| {
            Environment::<AxiWrite>::drive(&mut behind, cycle, out, input);
            if out.m_wvalid & input.m_wready & 1 != 0 {
                passed.push((cycle, out.m_wdata.get(0, 32)));
            }
        })
        .run();
    behind.assert_rules_held();
    Some(passed)
}

#[test]
fn kv_vectors_and_scales_are_written_a_beat_a_cycle_with_many_responses_outstanding() {
    let params = two_ports();
    // A vector of two super-words and a scale, 60 times.
    let segs: Vec<Seg> = (0..60).flat_map(|i| [(100 + 2 * i, 2), (i, 1)]).collect();
    let words: Vec<Word> = (0..180).map(|i| (Bits::from_u64(256, i), Bits::from_u64(32, 0xffff_ffff))).collect();
    let w = Writes { segs: [segs, vec![]], words: [words, vec![]] };
    let timing = Timing::Fixed { latency: 20, beats: 1, cycles: 1, outstanding: 64 };
    let Some(passed) = run_plain(&params, MemConfig { timing, ..MemConfig::ideal(2, 128) }, &w) else { return };
    // Segment taken in 0: skid 1, grant; data pass in 2 and 3, counted in 4, while the burst generator is at 1 + 3 = 4: AW in 5; this
    // memory takes W one cycle after AW. Then a beat a cycle.
    let expected: Vec<_> = (0..180).map(|i| (6 + i, i)).collect();
    assert_eq!(passed, expected);
}

#[test]
fn client_a_goes_before_b_and_a_segment_is_not_interleaved() {
    let params = two_ports();
    let word = |i: u64| (Bits::from_u64(256, i), Bits::from_u64(32, u64::MAX));
    // Both come in cycle 0; a's second segment passes b's second.
    let w = Writes {
        segs: [vec![(0, 4), (8, 4)], vec![(100, 4), (108, 4)]],
        words: [(0..8).map(word).collect(), (100..108).map(word).collect()],
    };
    let Some(passed) = run_plain(&params, MemConfig::ideal(2, 128), &w) else { return };
    let order: Vec<u64> = passed.iter().map(|p| p.1).collect();
    assert_eq!(order, [0, 1, 2, 3, 4, 5, 6, 7, 100, 101, 102, 103, 104, 105, 106, 107]);
}

#[test]
fn the_first_failed_burst_is_kept_with_its_port_and_address() {
    let params = two_ports();
    let Some(rtl) = Lockstep::<AxiWrite>::new(&params) else { return };
    let mut config = MemConfig::ideal(2, 128);
    config.errors = vec![(1 << 32) + 16 * 20..(1 << 32) + 16 * 21, 16 * 40..16 * 41];
    let mut behind = Behind::new(config, vec![0, 1 << 32], 2048 * 16);
    let words: Vec<Word> = (0..64).map(|i| (Bits::from_u64(256, i), Bits::from_u64(32, u64::MAX))).collect();
    let w = Writes { segs: [vec![(0, 64)], vec![]], words: [words, vec![]] };
    let mut last = (false, false, 0, 0);
    let mut at_idle = None;
    bench(&rtl, &Case::plain(), &w)
        .environment(|cycle: u64, out: &Out, input: &mut In| {
            Environment::<AxiWrite>::drive(&mut behind, cycle, out, input);
            last = (out.idle, out.err, out.err_port, out.err_addr);
            if cycle > 10 && out.idle && at_idle.is_none() {
                at_idle = Some(out.err);
            }
        })
        .run();
    assert_eq!(last, (true, true, 1, (1 << 32) + 16 * 16));
    assert_eq!(at_idle, Some(true), "the error is known when idle rises");
}

#[test]
fn nothing_undefined_leaves_it_in_four_state_simulation() {
    let design = Design::of(&Params::examples()[0]).unwrap();
    // Distributed and block RAM.
    for depth in [16, 70] {
        let Some(said) = four_state(&design, "axi_write_x", &[("DEPTH", depth)]).unwrap() else { return };
        assert_eq!(said, "PASS 9", "DEPTH {depth}");
    }
}
