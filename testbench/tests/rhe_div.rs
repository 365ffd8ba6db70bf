//! `rhe_div`: codes against plain 128-bit division for every QMAX, ties and edges included, and the latency with and without pauses.

use tritforge_sim::block::rhe_div::{In, Out, RheDiv};
use tritforge_spec::{
    bits::{Bits, mask},
    block::{
        Contract,
        rhe_div::{Params, latency},
    },
    stall::hash,
};
use tritforge_testbench::harness::{Case, Lockstep};

/// Magnitudes up to a: ends, ties of the rounding, and arbitrary ones.
fn magnitude(p: &Params, a: u64, r: u64) -> u64 {
    let (a, q) = (u128::from(a), p.qmax as u128);
    let m = match r % 5 {
        0 => a,
        1 => 0,
        // (2k + 1)·a / (2·qmax) is a tie where it is an integer.
        2 => (2 * (u128::from(r >> 8) % q) + 1) * a / (2 * q),
        _ => u128::from(r >> 3) % (a + 1),
    };
    m as u64
}

fn plain(p: &Params, m: u64, negative: bool, a: u64) -> i64 {
    if a == 0 {
        return 0;
    }
    let (n, d) = (u128::from(m) * p.qmax as u128, u128::from(a));
    let up = 2 * (n % d) > d || 2 * (n % d) == d && n / d % 2 == 1;
    let q = (n / d) as i64 + up as i64;
    if negative { -q } else { q }
}

#[test]
fn codes_are_exact_and_come_after_the_latency() {
    for p in Params::examples() {
        let Some(rtl) = Lockstep::<RheDiv>::new(&p) else { return };
        for paused in [false, true] {
            let mut sent: Vec<(Vec<i64>, u64)> = Vec::new();
            let mut enabled = 0;
            let mut seen = 0;
            rtl.bench(&Case::plain())
                .levels_from(if paused { 200 } else { latency(p.qmax) })
                .environment(|cycle: u64, out: &Out, input: &mut In| {
                    let r = |what: u64| hash(what, p.qmax as u64, cycle);
                    // What came in `latency` enabled cycles ago stands at the output.
                    if enabled >= latency(p.qmax) as usize {
                        let (codes, tag) = &sent[enabled - latency(p.qmax) as usize];
                        assert_eq!((&out.out_q, out.out_tag), (&Bits::pack_signed(p.code_bits(), codes), *tag), "{p:?} cycle {cycle}");
                        seen += 1;
                    }
                    input.en = !paused || r(0) % 3 != 0;
                    input.in_valid = r(1) & 1 != 0;
                    input.in_a = if r(2) % 9 == 0 { 0 } else { (r(3) & mask(p.mag_bits)) >> (r(4) % p.mag_bits as u64) };
                    // Even multiples of 2·qmax make ties exact.
                    if r(5) % 3 == 0 {
                        input.in_a -= input.in_a % (2 * p.qmax as u64);
                    }
                    let mags: Vec<u64> = (0..p.lanes as u64).map(|l| magnitude(&p, input.in_a, r(10 + l))).collect();
                    input.in_neg = r(6) & mask(p.lanes);
                    input.in_tag = r(7) & mask(p.tag_bits);
                    input.in_mag = Bits::pack(p.mag_bits, &mags);
                    if input.en {
                        let code = |(l, &m): (usize, &u64)| plain(&p, m, input.in_neg >> l & 1 != 0, input.in_a);
                        sent.push((mags.iter().enumerate().map(code).collect(), input.in_tag));
                        enabled += 1;
                    }
                })
                .until(|cycle, _| cycle == 20_000)
                .run();
            assert!(seen > 10_000);
        }
    }
}

#[test]
fn valid_travels_with_its_word_and_reset_clears_it() {
    let p = &Params::examples()[0];
    let Some(rtl) = Lockstep::<RheDiv>::new(p) else { return };
    for case in Case::all() {
        let mut valid = Vec::new();
        rtl.bench(&case)
            .levels_from(latency(p.qmax))
            .environment(|cycle: u64, out: &Out, input: &mut In| {
                if cycle == 0 {
                    valid.clear();
                }
                let expected = valid.len().checked_sub(latency(p.qmax) as usize).is_some_and(|i| valid[i]);
                assert_eq!(out.out_valid, expected, "cycle {cycle}");
                input.en = true;
                input.in_valid = hash(case.seed, 1, cycle) & 1 != 0;
                valid.push(input.in_valid);
            })
            .until(|cycle, _| cycle == 500)
            .run();
    }
}

#[test]
fn every_pair_of_eight_bits_divides_exactly() {
    for qmax in [127, 31, 7] {
        let p = &Params { mag_bits: 8, qmax, lanes: 1, tag_bits: 16 };
        let Some(rtl) = Lockstep::<RheDiv>::new(p) else { return };
        let pairs: Vec<(u64, u64)> = (0..256).flat_map(|a| (0..=a).map(move |m| (m, a))).collect();
        let last = pairs.len() as u64 + latency(qmax);
        let mut seen = 0;
        rtl.bench(&Case::plain())
            .levels_from(latency(qmax))
            .environment(|cycle: u64, out: &Out, input: &mut In| {
                input.en = true;
                if let Some(&(m, a)) = pairs.get(cycle as usize) {
                    (input.in_valid, input.in_a, input.in_neg, input.in_tag) = (true, a, cycle & 1, cycle & 0xffff);
                    input.in_mag = Bits::from_u64(8, m);
                }
                if out.out_valid {
                    let (m, a) = pairs[seen];
                    let code = plain(p, m, seen & 1 == 1, a);
                    assert_eq!((out.out_q.get_signed(0, p.code_bits()), out.out_tag), (code, seen as u64 & 0xffff), "{m} / {a}");
                    seen += 1;
                }
            })
            .until(|cycle, _| cycle == last)
            .run();
        assert_eq!(seen, pairs.len());
    }
}
