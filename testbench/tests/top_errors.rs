//! The accelerator's error paths, cycle model and Verilated RTL in lockstep: what goes wrong is reported with its code and place, every
//! run ends, and after a soft reset the next pass is right again.

use tritforge_sim::{
    clocked::PowerUp,
    host::{self, Op, Outcome, PORT_SHIFT},
    memory::Timing,
};
use tritforge_spec::{
    descriptor::{Descriptor, ErrorCode},
    hw::Hw,
    image::Image,
    random::Rng,
    reference::{KvCache, Reference, Saturations, random::RandomModel, random::residual_rows},
};
use tritforge_testbench::{
    builds::tops,
    machine::{self, Conditions, Pass},
};

const DIM: usize = 96;

struct Bed {
    hw: Hw,
    image: Image,
    pass: Pass,
}

/// The small top; one pass of two tokens.
fn bed() -> Bed {
    let hw = tops::named("small").hw;
    let int = RandomModel::small(DIM, 4, 2, 32).build(5);
    let image = Image::build(&hw, &[&int.layers[0].attn], 0).unwrap();
    let reference = Reference::new(&int, hw.config.rom_log2, hw.config.rom_bits);
    let x = residual_rows(&mut Rng::new(5), 2 * DIM);
    let y = reference.attention(0, &x, 0, &mut KvCache::new(&int).layers[0], &mut (), &mut Saturations::default());
    Bed { hw, image, pass: Pass { layer: 0, pos: 0, x, y } }
}

/// Status, error registers.
fn read_error() -> Vec<Op> {
    ["STATUS", "ERR_CODE", "ERR_ADDR_LO", "ERR_ADDR_HI"].map(|r| Op::Read(host::offset(r))).to_vec()
}

fn values(outcomes: &[Outcome]) -> Vec<u32> {
    outcomes.iter().filter_map(Outcome::value).collect()
}

fn conditions(seed: u64) -> Conditions {
    let timing = Timing::Fixed { latency: 9, beats: 2, cycles: 3, outstanding: 4 };
    Conditions { seed, timing, stalls: true, power_up: PowerUp::Random(seed), hard_resets: 0, soft_resets: 0 }
}

/// What goes wrong.
struct Fault {
    name: &'static str,
    /// Done after the set-up and before the pass.
    before: Vec<Op>,
    /// Undoes it, after the soft reset.
    after: Vec<Op>,
    descriptor: Descriptor,
    /// Super-words whose bytes answer SLVERR.
    fails: Option<u32>,
    code: ErrorCode,
    addr: u64,
}

fn check(bed: &Bed, rtl: &tritforge_testbench::harness::Lockstep<tritforge_sim::top::Top>, fault: Fault) {
    let (hw, layout, name) = (&bed.hw, &bed.image.layout, fault.name);
    let run = |d: Descriptor| host::run_pass(layout, vec![d], bed.pass.x.clone(), 2);
    let mut ops = host::setup(hw, layout);
    ops.extend(fault.before);
    ops.extend(run(fault.descriptor));
    // An error raises the interrupt before the pass is over: wait for its end.
    ops.push(Op::WaitIdle);
    ops.extend(read_error());
    let refused = ops.clone();
    ops.extend([Op::Write("CONTROL", 1), Op::WaitIdle, Op::Write("IRQ_STATUS", 3)]);
    ops.extend(fault.after);
    ops.extend(run(machine::descriptor(hw, layout, &bed.pass)));
    let beat = hw.port_bits() as u64 / 8;
    let failing = fault.fails.map(|at| u64::from(at) * beat..(u64::from(at) + 1) * beat);
    let seen = machine::observe(rtl, hw, &bed.image, ops, &conditions(7), failing.clone().into_iter().collect())
        .unwrap_or_else(|e| panic!("{name}: {e:#}"));
    let read = values(&seen.outcomes);
    // STATUS of the pass, then STATUS, ERR_CODE, ERR_ADDR, then STATUS of the second pass.
    let &[_, status, code, low, high, second] = &read[..] else { panic!("{name}: {read:x?}") };
    assert_eq!(status & 3, 2, "{name}: STATUS {status:#x}");
    assert_eq!(code, fault.code as u32, "{name}: ERR_CODE {code:#x}");
    assert_eq!(u64::from(low) | u64::from(high) << 32, fault.addr, "{name}: ERR_ADDR");
    println!("{name}: {} cycles", seen.cycles);
    if failing.is_none() {
        assert_eq!(second & 3, 0, "{name}: STATUS after the soft reset {second:#x}");
        assert_eq!(seen.outcomes.last(), Some(&Outcome::X(bed.pass.y.clone())), "{name}: the pass after the soft reset");
    }
    if fault.code == ErrorCode::WrongImage {
        let seen = machine::observe(rtl, hw, &bed.image, refused, &conditions(8), Vec::new()).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        assert_eq!(seen.reads, 0, "{name}: memory was read");
    }
}

#[test]
fn every_error_is_reported_with_its_place_and_the_next_pass_is_right() {
    let bed = bed();
    let Some(rtl) = machine::build(&bed.hw).unwrap() else { return };
    let (hw, layout) = (&bed.hw, &bed.image.layout);
    assert_eq!(PORT_SHIFT, 36);
    let good = machine::descriptor(hw, layout, &bed.pass);
    let word = hw.word_bits() / 8;
    // Constants and gains come before the packed rows of the layer segment.
    let packed = layout.layers[0] + (64 / word + DIM * 4 / word) as u32;
    let bad_at = 5;
    let at = (packed as usize + bad_at) * word;
    let right = bed.image.bytes[at..at + word].to_vec();
    let mut wrong = right.clone();
    wrong[3] = 243;
    let byte = |at: u32| u64::from(at) * hw.port_bits() as u64 / 8;
    let fault = |name, code, addr| Fault { name, before: Vec::new(), after: Vec::new(), descriptor: good, fails: None, code, addr };
    let hash = tritforge_spec::image::hw_hash(hw) as u32;
    let descriptors = layout.descriptors;
    let key = layout.pages + hw.kv().vector_at(0, 0) as u32;
    let faults = [
        Fault {
            before: vec![Op::Write("IMG_HW_HASH_LO", !hash)],
            after: vec![Op::Write("IMG_HW_HASH_LO", hash)],
            ..fault("wrong image", ErrorCode::WrongImage, 0)
        },
        Fault { descriptor: Descriptor { opcode: 9, ..good }, ..fault("unknown opcode", ErrorCode::BadOpcode, descriptors.into()) },
        Fault {
            descriptor: Descriptor { count: 5, ..good },
            ..fault("count above the batch", ErrorCode::BadDescriptor, descriptors.into())
        },
        Fault {
            before: vec![Op::Load(packed + bad_at as u32, wrong)],
            after: vec![Op::Load(packed + bad_at as u32, right)],
            ..fault("illegal weight byte", ErrorCode::BadWeight, bad_at as u64)
        },
        Fault { fails: Some(packed + 3), ..fault("weights answer SLVERR", ErrorCode::ReadError, byte(packed + 3)) },
        Fault {
            descriptor: Descriptor { pos: 18, ..good },
            fails: Some(key),
            ..fault("keys answer SLVERR", ErrorCode::ReadError, byte(key))
        },
        // A write is answered once a burst: the address is the burst's.
        Fault { fails: Some(layout.x_out + 1), ..fault("results answer SLVERR", ErrorCode::WriteError, byte(layout.x_out)) },
    ];
    for f in faults {
        check(&bed, &rtl, f);
    }
}
