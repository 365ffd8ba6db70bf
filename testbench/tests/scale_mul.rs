//! `scale_mul`: products against plain integers, mantissas without their top bit included, and the latency.

use tritforge_sim::block::scale_mul::{In, Out, ScaleMul};
use tritforge_spec::{
    block::{
        Contract,
        scale_mul::{LATENCY, Params},
    },
    stall::hash,
};
use tritforge_testbench::harness::{Case, Lockstep};

fn plain(a: u32, b: u32) -> (u32, bool) {
    let exponent = |s: u32| i32::from((s >> 16) as u8 as i8);
    let (v, mut e) = (u64::from(a & 0xffff) * u64::from(b & 0xffff), exponent(a) + exponent(b));
    if v == 0 {
        return (0x80 << 16, false);
    }
    let (mut m, mut odd) = (v, 0);
    while m >= 1 << 16 {
        (odd, m, e) = (m & 1, m >> 1, e + 1);
    }
    m += odd;
    while m < 1 << 15 {
        (m, e) = (m << 1, e - 1);
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
fn products_are_the_contracts_and_come_after_the_latency() {
    for p in Params::examples() {
        let Some(rtl) = Lockstep::<ScaleMul>::new(&p) else { return };
        let mut sent: Vec<(u32, bool)> = Vec::new();
        rtl.bench(&Case::plain())
            .levels_from(100)
            .environment(|cycle: u64, out: &Out, input: &mut In| {
                let r = |what: u64| hash(what, 7, cycle);
                if let Some(i) = sent.len().checked_sub(LATENCY as usize) {
                    assert_eq!((out.out_scale, out.out_sat), sent[i], "cycle {cycle}");
                }
                let scale = |random: u64, kind: u64| {
                    let m = match kind % 6 {
                        0 => 0,
                        1 => 0xffff,
                        2 => random as u32 & 0xffff,
                        3 => 0x8000,
                        _ => random as u32 & 0xffff | 0x8000,
                    };
                    m | (((random >> 20) as i8 >> (kind >> 8 & 1)) as u8 as u32) << 16
                };
                input.en = r(0) % 4 != 0;
                input.in_valid = r(1) & 1 != 0;
                (input.in_a, input.in_b) = (scale(r(2), r(3)), scale(r(4), r(5)));
                if input.en {
                    sent.push(plain(input.in_a, input.in_b));
                }
            })
            .until(|cycle, _| cycle == 20_000)
            .run();
    }
}
