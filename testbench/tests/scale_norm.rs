//! `scale_norm`: Scales against plain loops over docs/numerics.md section 1, for every bit length and at both ends of the exponent.

use tritforge_sim::block::scale_norm::{In, Out, ScaleNorm};
use tritforge_spec::{
    bits::mask,
    block::{
        Contract,
        scale_norm::{LATENCY, Params},
    },
    stall::hash,
};
use tritforge_testbench::harness::{Case, Lockstep};

/// norm(v, e), bit by bit: halve with round half up until 16 bits are left, or double.
fn plain(v: u64, e: i32) -> (u32, bool) {
    if v == 0 {
        return (0x80 << 16, false);
    }
    let n = (0..64).rev().find(|b| v >> b & 1 == 1).unwrap() + 1;
    let (mut m, mut e) = (u128::from(v), e + n - 16);
    if n > 16 {
        m = (m + (1 << (n - 17))) / (1 << (n - 16));
    } else {
        m *= 1 << (16 - n);
    }
    if m == 1 << 16 {
        (m, e) = (1 << 15, e + 1);
    }
    match e {
        128.. => (65535 | 127 << 16, true),
        ..-128 => (0x80 << 16, true),
        _ => (m as u32 | (e as u32 & 0xff) << 16, false),
    }
}

#[test]
fn scales_are_the_contracts_for_every_length_and_exponent() {
    for p in Params::examples() {
        let Some(rtl) = Lockstep::<ScaleNorm>::new(&p) else { return };
        let mut sent: Vec<(u32, bool)> = Vec::new();
        let mut saturated = 0;
        rtl.bench(&Case::plain())
            .levels_from(100)
            .environment(|cycle: u64, out: &Out, input: &mut In| {
                let r = |what: u64| hash(what, p.value_bits as u64, cycle);
                if let Some(i) = sent.len().checked_sub(LATENCY as usize) {
                    assert_eq!((out.out_scale, out.out_sat), sent[i], "{p:?} cycle {cycle}");
                    saturated += out.out_sat as u32;
                }
                input.en = r(0) % 4 != 0;
                input.in_valid = r(1) & 1 != 0;
                input.in_v = (r(2) & mask(p.value_bits)) >> (r(3) % (p.value_bits as u64 + 1)).min(63);
                if r(4) % 4 == 0 {
                    // All ones below the top: rounds up to the next power of two.
                    input.in_v = mask(p.value_bits) >> (r(3) % p.value_bits as u64);
                }
                input.in_e = (r(5) % 300) as i32 - 200;
                if input.en {
                    sent.push(plain(input.in_v, input.in_e));
                }
            })
            .until(|cycle, _| cycle == 20_000)
            .run();
        assert!(saturated > 100, "{p:?}: {saturated}");
    }
}
