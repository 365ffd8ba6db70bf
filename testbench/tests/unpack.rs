//! `unpack`: model and RTL in lockstep, trits against plain arithmetic on the bytes, cycles, illegal bytes and where they lie.

use tritforge_sim::block::unpack::{In, Out, Unpack};
use tritforge_spec::{
    bits::Bits,
    block::{
        Contract,
        unpack::{LATENCY, Params},
    },
    config::Packing,
    stall::hash,
};
use tritforge_testbench::harness::{Case, Lockstep, Stall};

/// Sections of arbitrary bytes: `words` array words each, with what is left of the last super-word.
struct Sections {
    words: Vec<u32>,
    super_words: Vec<Bits>,
    trits: Vec<Bits>,
    first_bad: Option<u32>,
}

/// `bad_per_1000` of the bytes are illegal ones. The expected trits are made here, byte by byte, from the definition.
fn sections(p: &Params, seed: u64, count: u64, bad_per_1000: u64) -> Sections {
    let per_byte = p.packing.trits_per_byte();
    let (word_bytes, array_bytes) = (p.word_bits / 8, p.lanes / per_byte);
    let mut s = Sections { words: vec![], super_words: vec![], trits: vec![], first_bad: None };
    for section in 0..count {
        let words = (hash(seed, 1, section) % 9) as usize;
        let used = words * array_bytes;
        let bytes: Vec<u8> = (0..used.next_multiple_of(word_bytes))
            .map(|i| {
                let r = hash(seed, 100 + section, i as u64);
                let bad = r >> 32 & 1023 < bad_per_1000;
                match (p.packing, bad) {
                    (Packing::Base3, false) => (r % 243) as u8,
                    (Packing::Base3, true) => 243 + (r % 13) as u8,
                    (Packing::TwoBit, false) => (0..4).fold(0, |b, j| b << 2 | [0u8, 1, 3][(r >> (8 * j)) as usize % 3]),
                    (Packing::TwoBit, true) => 0b1000_0000u8.rotate_left(2 * (r % 4) as u32),
                }
            })
            .collect();
        for array_word in bytes[..used].chunks(array_bytes) {
            let codes: Vec<u64> = array_word.iter().flat_map(|&b| trits_of(p.packing, b)).collect();
            assert_eq!(codes.len(), p.lanes);
            s.trits.push(Bits::pack(2, &codes));
        }
        for (i, &b) in bytes[..used].iter().enumerate() {
            let legal = match p.packing {
                Packing::Base3 => b <= 242,
                Packing::TwoBit => (0..4).all(|j| b >> (2 * j) & 3 != 2),
            };
            if !legal && s.first_bad.is_none() {
                s.first_bad = Some((s.super_words.len() + i / word_bytes) as u32);
            }
        }
        s.words.push(words as u32);
        s.super_words.extend(bytes.chunks(word_bytes).map(|w| Bits::pack(8, &w.iter().map(|&b| b as u64).collect::<Vec<_>>())));
    }
    s
}

/// Codes 0, 1, 3 of the trits of a byte; zeros for an illegal one.
fn trits_of(packing: Packing, byte: u8) -> Vec<u64> {
    match packing {
        Packing::Base3 if byte > 242 => vec![0; 5],
        Packing::Base3 => (0..5).map(|j| [3, 0, 1][byte as usize / 3usize.pow(j) % 3]).collect(),
        Packing::TwoBit => {
            let codes: Vec<u64> = (0..4).map(|j| (byte >> (2 * j) & 3) as u64).collect();
            if codes.contains(&2) { vec![0; 4] } else { codes }
        }
    }
}

#[test]
fn trits_are_those_of_the_bytes_under_every_stall() {
    for params in Params::examples() {
        let Some(rtl) = Lockstep::<Unpack>::new(&params) else { return };
        for case in Case::all() {
            for bad in [0, 5] {
                let s = sections(&params, case.seed + bad, 60, bad);
                let mut last = Out::default();
                let run = rtl
                    .bench(&case)
                    .input("cmd", &s.words, |i, w| i.cmd_words = *w)
                    .input("in", &s.super_words, |i, w| i.in_data = w.clone())
                    .environment(|_: u64, out: &Out, _: &mut In| last = out.clone())
                    .run();
                assert_eq!(run.values("t", |o| o.t_trits.clone()), s.trits, "{params:?} {case}");
                assert_eq!(run.cycles_in("in").len(), s.super_words.len());
                assert_eq!((last.bad, last.bad_word), (s.first_bad.is_some(), s.first_bad.unwrap_or(0)), "{params:?} {case}");
            }
        }
    }
}

#[test]
fn every_byte_is_decoded_right() {
    for params in
        [Params { word_bits: 128, lanes: 80, packing: Packing::Base3 }, Params { word_bits: 64, lanes: 16, packing: Packing::TwoBit }]
    {
        let Some(rtl) = Lockstep::<Unpack>::new(&params) else { return };
        let bytes: Vec<u64> = (0..256).collect();
        let words: Vec<Bits> = bytes.chunks(params.word_bits / 8).map(|w| Bits::pack(8, w)).collect();
        let count = [256 * params.packing.trits_per_byte() as u32 / params.lanes as u32];
        let run =
            rtl.bench(&Case::plain()).input("cmd", &count, |i, w| i.cmd_words = *w).input("in", &words, |i, w| i.in_data = w.clone()).run();
        let found: Vec<u64> = run.beats("t").iter().flat_map(|b| (0..params.lanes).map(|j| b.out.t_trits.get(2 * j, 2))).collect();
        let expected: Vec<u64> = (0..=255).flat_map(|b| trits_of(params.packing, b)).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_word_a_cycle_after_the_latency_without_gaps_between_sections() {
    // (parameters, array words a super-word, super-words an array word)
    for (params, slices, parts) in [
        (Params { word_bits: 128, lanes: 80, packing: Packing::Base3 }, 1, 1),
        (Params { word_bits: 64, lanes: 5, packing: Packing::Base3 }, 8, 1),
        (Params { word_bits: 32, lanes: 64, packing: Packing::TwoBit }, 1, 4),
    ] {
        let Some(rtl) = Lockstep::<Unpack>::new(&params) else { return };
        // Two sections; the first leaves 3 array words of its second super-word unused where 8 fit.
        let words = [13u32, 16];
        let supers = [13u64, 16].map(|n| (n * parts).div_ceil(slices));
        let data: Vec<Bits> = (0..supers.iter().sum()).map(|_| Bits::zeros(params.word_bits)).collect();
        let run =
            rtl.bench(&Case::plain()).input("cmd", &words, |i, w| i.cmd_words = *w).input("in", &data, |i, w| i.in_data = w.clone()).run();
        // Command and first super-word are taken in cycle 0 and are in their skids in cycle 1, where the command is loaded.
        // In cycle 2 the first super-word leaves the skid; it is on t LATENCY later. From then on an array word a cycle,
        // or one every `parts` cycles, the last part counting.
        let expected: Vec<u64> = (0..29).map(|i| 2 + (i + 1) * parts - 1 + LATENCY).collect();
        assert_eq!(run.cycles_out("t"), expected, "{params:?}");
    }
}

#[test]
fn clear_forgets_the_illegal_byte_and_counts_from_there() {
    let params = Params { word_bits: 64, lanes: 5, packing: Packing::Base3 };
    let Some(rtl) = Lockstep::<Unpack>::new(&params) else { return };
    for stall in Stall::ALL {
        let case = Case { stall, ..Case::plain() };
        // Super-words of 8 array words; number 2 and 5 are illegal. The clear comes when three have been decoded.
        let data: Vec<Bits> = (0..8).map(|i| Bits::from_words(64, &[if i == 2 || i == 5 { u64::MAX } else { 0 }])).collect();
        let (mut seen, mut cleared_at) = (Vec::<(bool, bool, bool, u32)>::new(), None);
        let run = rtl
            .bench(&case)
            .input("cmd", &[64u32], |i, w| i.cmd_words = *w)
            .input("in", &data, |i, w| i.in_data = w.clone())
            .environment(|cycle: u64, out: &Out, input: &mut In| {
                let taken = seen.iter().filter(|(valid, ready, ..)| *valid && *ready).count();
                seen.push((out.t_valid, input.t_ready, out.bad, out.bad_word));
                // With 20 words taken and one on t, the decoder is within super-word 2.
                input.clear = taken == 20 && cleared_at.is_none();
                if input.clear {
                    cleared_at = Some(cycle);
                }
            })
            .run();
        assert_eq!(run.beats("t").len(), 64);
        let bad: Vec<(bool, u32)> = seen.iter().map(|s| (s.2, s.3)).collect();
        let at = cleared_at.unwrap() as usize;
        assert_eq!((bad[at], bad[at + 1].0), ((true, 2), false), "{case}");
        // The rest of super-word 2 is still to come and is number 0 now.
        assert_eq!(*bad.last().unwrap(), (true, 0), "{case}");
    }
}
