//! `regs`: model and RTL in lockstep under a bus master with random gaps; the map's answers against a plain table.

use std::collections::BTreeMap;
use tritforge_sim::block::regs::{In, Out, Regs};
use tritforge_spec::{
    block::{Contract, regs::Params},
    regmap::{Access, COUNTER_BASE, COUNTERS, INTERFACE_VERSION, MAGIC, REGISTERS},
    stall::{go, hash},
};
use tritforge_testbench::harness::{Case, Environment, Lockstep};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    Write(u16, u32, u8),
    Read(u16),
}

type Levels<'a> = Box<dyn FnMut(u64, &Out, &mut In) + 'a>;
/// Pulses of one cycle: five wait/busy bits, saturations, finished, beats a port.
type Pulses = ([u64; 5], u64, u64, u64);

/// One access after the other, each with random gaps; collects (value, response).
struct Master<'a> {
    ops: &'a [Op],
    seed: u64,
    gaps: bool,
    at: usize,
    aw: bool,
    w: bool,
    answers: &'a mut Vec<(u32, u8)>,
    levels: Levels<'a>,
}

impl Environment<Regs> for Master<'_> {
    fn drive(&mut self, cycle: u64, out: &Out, i: &mut In) {
        let may = |port| !self.gaps || go(self.seed, port, cycle);
        (i.s_awvalid, i.s_wvalid, i.s_arvalid, i.s_bready, i.s_rready) = (false, false, false, may(1), may(2));
        match self.ops.get(self.at).copied() {
            Some(Op::Write(addr, data, strb)) => {
                // A valid that has been raised stands: the gap comes before it.
                i.s_awvalid = !self.aw && may(3);
                i.s_wvalid = !self.w && may(4);
                (i.s_awaddr, i.s_wdata, i.s_wstrb) = (addr, data, strb);
                self.aw |= i.s_awvalid && out.s_awready;
                self.w |= i.s_wvalid && out.s_wready;
                if out.s_bvalid && i.s_bready {
                    self.answers.push((0, out.s_bresp));
                    (self.at, self.aw, self.w) = (self.at + 1, false, false);
                    i.s_awvalid = false;
                    i.s_wvalid = false;
                }
            }
            Some(Op::Read(addr)) => {
                i.s_arvalid = !self.aw && may(5);
                i.s_araddr = addr;
                self.aw |= i.s_arvalid && out.s_arready;
                if out.s_rvalid && i.s_rready {
                    self.answers.push((out.s_rdata, out.s_rresp));
                    (self.at, self.aw) = (self.at + 1, false);
                    i.s_arvalid = false;
                }
            }
            None => {}
        }
        (self.levels)(cycle, out, i);
    }

    fn reset(&mut self) {
        (self.at, self.aw, self.w) = (0, false, false);
        self.answers.clear();
    }
}

fn offset(name: &str) -> u16 {
    REGISTERS.iter().find(|r| r.name == name).unwrap().offset as u16
}

/// Runs `ops` and gives the answers.
fn answers(rtl: &Lockstep<Regs>, case: &Case, ops: &[Op], levels: impl FnMut(u64, &Out, &mut In)) -> Vec<(u32, u8)> {
    let mut answers = Vec::new();
    let master = Master {
        ops,
        seed: case.seed,
        gaps: case.stall.idles() || case.stall.presses(),
        at: 0,
        aw: false,
        w: false,
        answers: &mut answers,
        levels: Box::new(levels),
    };
    rtl.bench(case).environment(master).drain(3000).run();
    answers
}

#[test]
fn registers_answer_as_the_map_says_and_everything_else_with_slverr() {
    for p in Params::examples() {
        let Some(rtl) = Lockstep::<Regs>::new(&p) else { return };
        for case in Case::all() {
            let mut plain: BTreeMap<&str, u32> = BTreeMap::new();
            let (mut ops, mut expected) = (Vec::new(), Vec::new());
            let value = |i: u64| hash(case.seed, 1, i) as u32;
            for (i, r) in REGISTERS.iter().enumerate() {
                if matches!(r.name, "DOORBELL" | "CONTROL" | "PORT_SEL" | "PT_ENTRY") {
                    continue;
                }
                let v = value(i as u64);
                ops.push(Op::Write(r.offset as u16, v, 15));
                expected.push((0, if r.access == Access::ReadOnly { 2 } else { 0 }));
                ops.push(Op::Write(r.offset as u16, !v, 7));
                expected.push((0, 2));
                if r.access == Access::ReadWrite {
                    plain.insert(r.name, if r.name == "IRQ_MASK" { v & 3 } else { v });
                }
            }
            let fixed = BTreeMap::from([
                ("MAGIC", MAGIC),
                ("VERSION", INTERFACE_VERSION),
                ("HW_HASH_LO", p.hw_hash as u32),
                ("HW_HASH_HI", (p.hw_hash >> 32) as u32),
                ("NUM_HASH_LO", p.numerics_hash as u32),
                ("NUM_HASH_HI", (p.numerics_hash >> 32) as u32),
                ("CAPS0", 80 | 4 << 16 | 4 << 21 | 8 << 26 | u32::from(p.two_bit) << 30),
                ("CAPS1", p.ports as u32 | 128 << 6 | 256 << 16),
            ]);
            for r in REGISTERS {
                ops.push(Op::Read(r.offset as u16));
                expected.push((fixed.get(r.name).or(plain.get(r.name)).copied().unwrap_or(0), 0));
            }
            for addr in [0x002, 0x021, 0x074, 0x07c, 0x081, COUNTER_BASE as u16 + 8 * COUNTERS.len() as u16, 0xffc] {
                ops.extend([Op::Read(addr), Op::Write(addr, 1, 15)]);
                expected.extend([(0, 2), (0, 2)]);
            }
            assert_eq!(answers(&rtl, &case, &ops, |_, _, _| {}), expected, "{case}");
        }
    }
}

#[test]
fn a_write_that_would_do_nothing_is_refused_and_leaves_no_trace() {
    let p = Params::examples()[1].clone();
    let Some(rtl) = Lockstep::<Regs>::new(&p) else { return };
    let write = |name: &str, v: u32| Op::Write(offset(name), v, 15);
    let plain = ["DESC_PTR", "PT_INDEX", "IMG_HW_HASH_LO", "IMG_HW_HASH_HI", "IMG_NUM_HASH_LO", "IMG_NUM_HASH_HI"];
    let others = ["PORT_BASE_LO", "PORT_BASE_HI", "DOORBELL", "PT_ENTRY", "SNAPSHOT", "IRQ_MASK"];
    let names: Vec<&str> = plain.into_iter().chain(others).collect();
    // (busy, soft reset, what is refused)
    let states = [
        (false, false, &[][..]),
        (true, false, &["DESC_PTR", "DOORBELL", "PORT_BASE_LO", "PORT_BASE_HI"][..]),
        (false, true, &["PT_ENTRY", "DOORBELL", "PORT_BASE_LO", "PORT_BASE_HI"]),
        (true, true, &["DESC_PTR", "PT_ENTRY", "DOORBELL", "PORT_BASE_LO", "PORT_BASE_HI"]),
    ];
    for case in Case::all() {
        for (busy, soft_reset, refused) in states {
            let mut ops = vec![write("PORT_SEL", 2), write("CONTROL", u32::from(soft_reset))];
            let value = |name: &str| if name == "PT_INDEX" { p.pages as u32 - 1 } else { 0x5a5a_5a5a };
            ops.extend(names.iter().map(|name| write(name, value(name))));
            ops.extend(names.iter().map(|name| Op::Read(offset(name))));
            let mut entries = 0;
            let got = answers(&rtl, &case, &ops, |_, out, i| {
                // The masters never drain, so a soft reset lasts.
                (i.busy, i.read_idle, i.write_idle) = (busy, false, false);
                entries += u32::from(out.ptw_valid && i.ptw_ready);
                assert!(!out.go_valid, "no doorbell rings: the image is wrong");
            });
            let (writes, reads) = got[2..].split_at(names.len());
            for ((name, write), read) in names.iter().zip(writes).zip(reads) {
                let taken = !refused.contains(name);
                assert_eq!(write.1, if taken { 0 } else { 2 }, "{case} busy {busy} soft reset {soft_reset}: {name}");
                let kept = match *name {
                    "DOORBELL" | "PT_ENTRY" | "SNAPSHOT" => 0,
                    "IRQ_MASK" => 2,
                    other => value(other),
                };
                assert_eq!(*read, (if taken { kept } else { 0 }, 0), "{case} busy {busy} soft reset {soft_reset}: {name}");
            }
            assert_eq!(entries > 0, !soft_reset, "{case}: page table entries");
        }
    }
    // By value: no descriptors, no such port, no such page (an index may be kept, an entry would be lost).
    let pages = p.pages as u32;
    let entry = |index| [write("PT_INDEX", index), write("PT_ENTRY", 7)];
    let mut ops =
        vec![write("DOORBELL", 0x10000), write("PORT_SEL", p.ports as u32), write("PORT_BASE_LO", 4096), write("PORT_BASE_HI", 1)];
    ops.extend([entry(pages - 1), entry(pages), entry(0x10000), entry(u32::MAX), entry(0)].concat());
    for case in Case::all() {
        let mut entries = 0;
        let got = answers(&rtl, &case, &ops, |_, out, _| {
            entries += u32::from(out.ptw_valid);
            assert!(!out.ptw_valid || [pages - 1, 0].contains(&out.ptw_index.into()), "{case}: entry of page {}", out.ptw_index);
        });
        assert_eq!(got.iter().map(|a| a.1).collect::<Vec<_>>(), [2, 0, 2, 2, 0, 0, 0, 2, 0, 2, 0, 2, 0, 0], "{case}");
        assert!(entries >= 2, "{case}: the entries of pages that are there");
    }
}

#[test]
fn counters_are_frozen_together_and_count_what_the_pulses_say() {
    let p = Params::examples()[1].clone();
    let Some(rtl) = Lockstep::<Regs>::new(&p) else { return };
    let snapshot = Op::Write(offset("SNAPSHOT"), 1, 15);
    let mut ops = vec![snapshot];
    let counter = |i: usize| (COUNTER_BASE + 8 * i as u32) as u16;
    ops.extend((0..COUNTERS.len()).flat_map(|i| [Op::Read(counter(i)), Op::Read(counter(i) + 4)]));
    for port in 0..p.ports as u32 {
        ops.extend([Op::Write(offset("PORT_SEL"), port, 15), Op::Read(offset("PORT_BEATS_LO")), Op::Read(offset("PORT_BEATS_HI"))]);
    }
    let mut pulses = Vec::new();
    let got = answers(&rtl, &Case::plain(), &ops, |cycle, _, i| {
        let h = hash(3, 9, cycle);
        let bit = |n: u64| h >> n & 1 == 1;
        (i.array_busy, i.wait_w, i.wait_act, i.wait_out, i.attn_busy, i.finished) = (bit(0), bit(1), bit(2), bit(3), bit(4), bit(5));
        (i.sat0, i.sat1, i.sat2) = ((h >> 8 & 1) as u32, (h >> 12 & 3) as u32, (h >> 16 & 7) as u32);
        (i.sat3, i.sat4) = ((h >> 30 & 7) as u32, (h >> 34 & 3) as u32);
        i.beats_inc = (h >> 20 & 15) as u32;
        let sat = u64::from(i.sat0 + i.sat1 + i.sat2 + i.sat3 + i.sat4);
        pulses.push(([0, 1, 2, 3, 4].map(|n| h >> n & 1), sat, h >> 5 & 1, h >> 20 & 15));
    });
    // The write is taken in cycle 0 and acts in cycle 1: the copies hold what cycle 0 counted.
    let sum = |f: &dyn Fn(&Pulses) -> u64| f(&pulses[0]) as u32;
    let expected =
        [0, sum(&|p| p.0[0]), sum(&|p| p.0[1]), sum(&|p| p.0[2]), sum(&|p| p.0[3]), sum(&|p| p.0[4]), sum(&|p| p.1), sum(&|p| p.2)];
    for (i, want) in expected.into_iter().enumerate() {
        assert_eq!((got[1 + 2 * i].0, got[2 + 2 * i].0), (want, 0), "{}", COUNTERS[i].0);
    }
    for port in 0..p.ports {
        let at = 1 + 2 * COUNTERS.len() + 3 * port;
        assert_eq!((got[at + 1].0, got[at + 2].0), ((pulses[0].3 >> port & 1) as u32, 0), "beats of port {port}");
    }
}

#[test]
fn the_doorbell_rings_only_for_the_right_image_and_errors_keep_the_first() {
    let p = Params::examples()[0].clone();
    let Some(rtl) = Lockstep::<Regs>::new(&p) else { return };
    for case in Case::all() {
        let write = |name: &str, v: u64| Op::Write(offset(name), v as u32, 15);
        let read = |name: &str| Op::Read(offset(name));
        let ops = [
            write("DESC_PTR", 0x1234),
            write("IRQ_MASK", 3),
            write("DOORBELL", 5), // refused: hashes are 0
            read("ERR_CODE"),
            read("STATUS"),
            read("IRQ_STATUS"),
            write("CONTROL", 1), // soft reset clears the error
            read("STATUS"),      // may still be draining: not compared
            write("IRQ_STATUS", 3),
            write("IMG_HW_HASH_LO", p.hw_hash),
            write("IMG_HW_HASH_HI", p.hw_hash >> 32),
            write("IMG_NUM_HASH_LO", p.numerics_hash),
            write("IMG_NUM_HASH_HI", p.numerics_hash >> 32),
            write("PT_INDEX", 7),
            write("PT_ENTRY", 0xabcd),
            write("PT_INDEX", 8),
            write("PT_ENTRY", 0xef01),
            read("ERR_CODE"),
            read("STATUS"),
            write("DOORBELL", 5), // rings
        ];
        let mut answers = Vec::new();
        let master = Master {
            ops: &ops,
            seed: case.seed,
            gaps: case.stall.idles(),
            at: 0,
            aw: false,
            w: false,
            answers: &mut answers,
            levels: Box::new(|_, _, i| (i.read_idle, i.write_idle) = (true, true)),
        };
        let run = rtl.bench(&case).environment(master).drain(3000).run();
        assert_eq!(run.values("go", |o| (o.go_ptr, o.go_count)), [(0x1234, 5)], "{case}");
        assert_eq!(run.values("ptw", |o| (o.ptw_index, o.ptw_entry)), [(7, 0xabcd), (8, 0xef01)]);
        assert_eq!(run.values("ptr", |o| (o.ptr_index, o.ptr_entry)), [(7, 0xabcd), (8, 0xef01)]);
        assert_eq!(answers[3], (1, 0), "ERR_CODE is WRONG_IMAGE");
        assert_eq!(answers[4], (2, 0), "STATUS: error, not busy");
        assert_eq!(answers[5].0 & 2, 2, "IRQ_STATUS: error");
        assert_eq!(answers[17], (0, 0));
    }
}
