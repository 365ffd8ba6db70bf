//! Skip mode against step mode: every valid, ready and level between the blocks and every AXI handshake, in every cycle.

use tritforge_sim::clocked::PowerUp;
use tritforge_sim::memory::{MemConfig, Memory, Timing};
use tritforge_sim::skip::{
    ask,
    machine::{GO, Machine},
    outside::Outside,
    signals::level,
};
use tritforge_sim::system::{Mode, Pass, System};
use tritforge_spec::config::AccelConfig;
use tritforge_spec::hw::{AttnShape, Hw};
use tritforge_spec::image::Image;
use tritforge_spec::random::Rng;
use tritforge_spec::random_hw;
use tritforge_spec::reference::AttnParams;
use tritforge_spec::reference::random::{RandomModel, residual_rows};
use tritforge_spec::top::STREAMS;

fn config(name: &str) -> AccelConfig {
    let path = format!("{}/../configs/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    AccelConfig::from_toml(&std::fs::read_to_string(path).unwrap()).unwrap()
}

const LEVELS: [(&str, &str, u32); 10] = [
    ("tmac", "busy", level::ARRAY_BUSY),
    ("tmac", "wait_w", level::WAIT_W),
    ("tmac", "wait_act", level::WAIT_ACT),
    ("tmac", "wait_out", level::WAIT_OUT),
    ("attn", "busy", level::ATTN_BUSY),
    ("xstore", "idle", level::XSTORE_IDLE),
    ("kvwrite", "idle", level::KVWRITE_IDLE),
    ("axi_write", "idle", level::WRITE_IDLE),
    ("ctrl", "busy", level::CTRL_BUSY),
    ("ctrl", "finished", level::FINISHED),
];

/// Runs passes of `lengths` tokens in step mode, the timing machine beside it in every cycle.
fn check(name: &str, hw: &Hw, model: &RandomModel, lengths: &[usize], timing: Timing, stalls: Option<u64>, seed: u64) {
    let int = model.build(seed);
    let layers: Vec<&AttnParams> = int.layers.iter().map(|l| &l.attn).collect();
    let image = Image::build(hw, &layers, 0).unwrap();
    let config = MemConfig { timing, stalls, ..MemConfig::ideal(hw.ports(), hw.port_bits()) };
    let mut system = System::new(hw, &image, Memory::new(config.clone()).unwrap(), PowerUp::Random(seed)).unwrap();
    let machine = Machine::new(hw, &config);
    let mut state = machine.state();
    machine.rest(&mut state, system.cycle());
    let mut outside = Outside::new(hw, image.layout.page_table(hw.config.slots));
    // The page table's streams belong to the host.
    let compared: u64 = (0..STREAMS.len()).filter(|&i| STREAMS[i].0 != "regs").map(|i| 1 << i).sum();
    let probes: Vec<_> = LEVELS.iter().map(|l| (system.top.probe(l.0, l.1).unwrap(), l.2)).collect();
    let beats = system.top.probe("axi_read", "beats_inc").unwrap();
    let axi = [("axi_read", "m_arvalid"), ("axi_write", "m_awvalid"), ("axi_write", "m_wvalid")];
    let axi = axi.map(|(block, port)| system.top.probe(block, port).unwrap());
    let mut rng = Rng::new(seed);
    let mut pos = 0;
    for (i, &n) in lengths.iter().enumerate() {
        let layer = i % model.shape.layers;
        let x = residual_rows(&mut rng, n * hw.shape.dim);
        let descriptor = image.layout.descriptor(layer, 0, pos, n);
        let mut rung = false;
        let mut see = |cycle: u64, top: &tritforge_sim::top::Top| {
            let (mut valid, mut ready) = (0u64, 0u64);
            for (i, h) in top.handshakes().enumerate() {
                valid |= (h.2 as u64) << i;
                ready |= (h.3 as u64) << i;
            }
            if !rung && valid >> GO & 1 != 0 {
                rung = true;
                outside.begin(image.layout.descriptors, vec![descriptor]);
                machine.go(&mut state, &outside);
            }
            let s = &state.signals;
            for (i, names) in STREAMS.iter().enumerate().filter(|(i, _)| compared >> i & 1 != 0) {
                let bits = |v: u64, r: u64| (v >> i & 1, r >> i & 1);
                assert_eq!(
                    bits(s.valid, s.ready),
                    bits(valid, ready),
                    "{name} seed {seed} cycle {cycle}: (valid, ready) of {}.{} -> {}.{}: left skip, right step",
                    names.0,
                    names.1,
                    names.2,
                    names.3
                );
            }
            for (probe, bit) in &probes {
                assert_eq!(s.high(*bit), top.read(*probe) != 0, "{name} seed {seed} cycle {cycle}: level {bit:#x}");
            }
            let offered = machine.offered(&state);
            for (i, (expected, probe)) in offered.into_iter().zip(axi).enumerate() {
                // One simulated port stands for all.
                let expected = if machine.ports() == 1 { expected * ((1 << hw.ports()) - 1) } else { expected };
                assert_eq!(u64::from(expected), top.read(probe), "{name} seed {seed} cycle {cycle}: valid of {}", ["AR", "AW", "W"][i]);
            }
            let (bus, asks) = machine.cycle(&mut state);
            let got = top.read(beats);
            let expected = if machine.ports() == 1 { if bus.r != 0 { (1 << hw.ports()) - 1 } else { 0 } } else { u64::from(bus.r) };
            assert_eq!(expected, got, "{name} seed {seed} cycle {cycle}: beats");
            for question in ask::EACH {
                if asks & question != 0 {
                    let answer = outside.answer(question);
                    machine.answer(&mut state, &answer);
                }
            }
        };
        let got = system.pass(&Pass { layer, slot: 0, pos, x }, &mut see).unwrap();
        println!("{name} seed {seed}: layer {layer} position {pos} tokens {n}: {} cycles", got.stats.cycles);
        assert!(rung);
        assert!(machine.idle(&state));
        if layer + 1 == model.shape.layers {
            pos += n;
        }
    }
}

fn named(name: &str, [dim, heads, kv_heads, head_dim]: [usize; 4], lengths: &[usize], timing: Timing, stalls: Option<u64>) {
    let config = config(name);
    let mut random = RandomModel::small(dim, heads, kv_heads, head_dim);
    random.shape.layers = 2;
    random.kv_bits = config.kv_bits;
    let hw = Hw::new(config, AttnShape { context: 512, ..random.shape.clone() }).unwrap();
    check(name, &hw, &random, lengths, timing, stalls, 7);
}

const SLOW: Timing = Timing::Fixed { latency: 37, beats: 2, cycles: 3, outstanding: 4 };

#[test]
fn small_configuration() {
    named("small", [96, 4, 2, 32], &[3, 3, 4, 4, 1, 1, 4, 4, 4, 4, 4, 4, 1, 1], SLOW, None);
}

#[test]
fn two_bit_weights_and_ideal_memory() {
    named("two-bit", [160, 5, 1, 80], &[4, 4, 2, 2, 1, 1], Timing::Ideal, None);
}

#[test]
fn four_ports_320_lanes() {
    named("kv260", [256, 4, 2, 64], &[4, 4, 4, 4, 3, 3, 4, 4, 4, 4, 1, 1], SLOW, None);
}

#[test]
fn random_pauses_on_every_channel() {
    named("kv260", [256, 4, 2, 64], &[4, 4, 4, 4, 3, 3, 4, 4, 4, 4, 1, 1], SLOW, Some(3));
}

/// A memory drawn from a seed: ideal or slow, with or without random pauses.
fn memory(hw: &Hw, seed: u64) -> MemConfig {
    let mut r = Rng::new(seed ^ 0x5eed);
    let (cycles, latency) = (1 + r.below(3) as u32, 1 + r.below(80));
    let timing = match r.below(4) {
        0 => Timing::Ideal,
        _ => Timing::Fixed { latency, beats: 1 + r.below(cycles.into()) as u32, cycles, outstanding: 1 + r.below(8) as usize },
    };
    let stalls = (r.below(3) == 0).then_some(seed);
    MemConfig { timing, stalls, ..MemConfig::ideal(hw.ports(), hw.port_bits()) }
}

/// Random hardware, memory and passes: step mode, skip mode, and a machine that changes its mode from pass to pass give the same
/// statistics (so the same cycles), the same vectors and at the end the same memory.
fn same_in_all_modes(seed: u64) {
    let (hw, mut model) = random_hw::hardware(seed);
    model.shape.layers = 1 + (seed % 2) as usize;
    let hw = Hw::new(hw.config, AttnShape { layers: model.shape.layers, ..hw.shape }).unwrap();
    let int = model.build(seed);
    let layers: Vec<&AttnParams> = int.layers.iter().map(|l| &l.attn).collect();
    let image = Image::build(&hw, &layers, 0).unwrap();
    let config = memory(&hw, seed);
    let new = || System::new(&hw, &image, Memory::new(config.clone()).unwrap(), PowerUp::Random(seed)).unwrap();
    let mut systems = [new(), new(), new()];
    systems[1].set_mode(Mode::Skip);
    let mut r = Rng::new(seed);
    let mut pos = 0;
    while pos < 20 {
        let n = (1 + r.below(hw.config.batch as u64) as usize).min(hw.context() - pos);
        for layer in 0..layers.len() {
            let x = residual_rows(&mut r, n * hw.shape.dim);
            let mixed = if r.below(2) == 0 { Mode::Step } else { Mode::Skip };
            systems[2].set_mode(mixed);
            let [step, skip, other] =
                systems.each_mut().map(|s| s.pass(&Pass { layer, slot: 0, pos, x: x.clone() }, &mut |_, _| {}).unwrap());
            let place = format!("seed {seed}: layer {layer} position {pos} tokens {n}, {:?}, {:?}", hw.config, config);
            assert_eq!(skip.stats, step.stats, "{place}");
            assert_eq!(other.stats, step.stats, "{place}, mode {mixed:?}");
            assert_eq!(skip.y, step.y, "{place}");
            assert_eq!(other.y, step.y, "{place}, mode {mixed:?}");
        }
        pos += n;
    }
    let [step, skip, other] = &systems;
    assert!(skip.bench.memory.storage() == step.bench.memory.storage(), "seed {seed}: memory after skip mode");
    assert!(other.bench.memory.storage() == step.bench.memory.storage(), "seed {seed}: memory after both modes");
    assert_eq!([skip.cycle(), other.cycle()], [step.cycle(); 2], "seed {seed}");
}

/// `TRITFORGE_SEEDS` of them from `TRITFORGE_FIRST_SEED` on.
fn seeds(default: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let first = number("TRITFORGE_FIRST_SEED").unwrap_or(0);
    first..first + number("TRITFORGE_SEEDS").unwrap_or(default)
}

#[test]
fn all_modes_give_the_same_cycles_values_and_memory() {
    for seed in seeds(6) {
        println!("seed {seed}");
        same_in_all_modes(seed);
    }
}

#[test]
fn every_signal_of_every_cycle_on_random_hardware_memories_and_pauses() {
    for seed in seeds(12) {
        let (hw, model) = random_hw::hardware(seed);
        let config = memory(&hw, seed);
        let mut r = Rng::new(seed);
        let (mut lengths, mut pos) = (Vec::new(), 0);
        while pos < 24 && lengths.len() < 12 {
            lengths.push(1 + r.below(hw.config.batch as u64) as usize);
            pos += lengths[lengths.len() - 1];
        }
        check("drawn", &hw, &model, &lengths, config.timing, config.stalls, seed);
    }
}
