//! The whole machine against the integer reference: every value of every pass, prefill and decode, several configurations and shapes.

use tritforge_sim::clocked::PowerUp;
use tritforge_sim::host::Op;
use tritforge_sim::memory::{MemConfig, Memory, Timing};
use tritforge_sim::system::{Pass, System};
use tritforge_spec::config::AccelConfig;
use tritforge_spec::hw::{AttnShape, Hw};
use tritforge_spec::image::Image;
use tritforge_spec::random::Rng;
use tritforge_spec::reference::random::{RandomModel, residual_rows};
use tritforge_spec::reference::{AttnParams, KvCache, Reference, Saturations};

fn config(name: &str) -> AccelConfig {
    let path = format!("{}/../configs/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    AccelConfig::from_toml(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Runs `lengths` passes one after the other through all layers and compares every value.
fn check(config: AccelConfig, [dim, heads, kv_heads, head_dim]: [usize; 4], lengths: &[usize], timing: Timing, seed: u64) {
    let mut random = RandomModel::small(dim, heads, kv_heads, head_dim);
    random.shape.layers = 2;
    random.kv_bits = config.kv_bits;
    let int = random.build(seed);
    let shape = AttnShape { context: 512, ..random.shape.clone() };
    let hw = Hw::new(config, shape).unwrap();
    let layers: Vec<&AttnParams> = int.layers.iter().map(|l| &l.attn).collect();
    let image = Image::build(&hw, &layers, 0).unwrap();
    let memory = Memory::new(MemConfig { timing, ..MemConfig::ideal(hw.ports(), hw.port_bits()) }).unwrap();
    let mut system = System::new(&hw, &image, memory, PowerUp::Random(seed)).unwrap();
    let reference = Reference::new(&int, hw.config.rom_log2, hw.config.rom_bits);
    let mut cache = KvCache::new(&int);
    let mut rng = Rng::new(seed);
    let mut pos = 0;
    for &n in lengths {
        let mut x = residual_rows(&mut rng, n * dim);
        for layer in 0..2 {
            let y = reference.attention(layer, &x, pos, &mut cache.layers[layer], &mut (), &mut Saturations::default());
            let got = system.pass(&Pass { layer, slot: 0, pos, x: x.clone() }, &mut |_, _| {}).unwrap();
            println!("seed {seed}: layer {layer} position {pos} tokens {n}: {} cycles", got.stats.cycles);
            assert_eq!(got.y, y, "seed {seed} layer {layer} position {pos}");
            x = y;
        }
        pos += n;
    }
}

const SLOW: Timing = Timing::Fixed { latency: 37, beats: 2, cycles: 3, outstanding: 4 };

#[test]
fn small_configuration_gives_the_references_bits() {
    check(config("small"), [96, 4, 2, 32], &[3, 4, 1, 4, 4, 4, 1, 1], SLOW, 11);
}

#[test]
fn two_bit_weights_and_ideal_memory() {
    check(config("two-bit"), [160, 5, 1, 80], &[4, 2, 1], Timing::Ideal, 12);
}

#[test]
fn four_ports_320_lanes() {
    check(config("kv260"), [256, 4, 2, 64], &[4, 4, 3, 4, 4, 1], SLOW, 13);
}

/// Cycles of every pass of a seed's model and input.
fn cycles(seed: u64) -> Vec<u64> {
    let random = RandomModel::small(96, 4, 2, 32);
    let int = random.build(seed);
    let hw = Hw::new(config("small"), AttnShape { context: 64, ..random.shape.clone() }).unwrap();
    let image = Image::build(&hw, &[&int.layers[0].attn], 0).unwrap();
    let memory = Memory::new(MemConfig { timing: SLOW, ..MemConfig::ideal(hw.ports(), hw.port_bits()) }).unwrap();
    let mut system = System::new(&hw, &image, memory, PowerUp::Random(seed)).unwrap();
    let mut rng = Rng::new(seed);
    let mut pos = 0;
    [3, 4, 1, 4, 4, 1]
        .map(|n| {
            let x = residual_rows(&mut rng, n * 96);
            pos += n;
            system.pass(&Pass { layer: 0, slot: 0, pos: pos - n, x }, &mut |_, _| {}).unwrap().stats.cycles
        })
        .to_vec()
}

#[test]
fn timing_does_not_depend_on_values() {
    let first = cycles(21);
    for seed in [22, 23] {
        assert_eq!(cycles(seed), first, "seed {seed}");
    }
}

#[test]
fn an_access_that_the_registers_refuse_ends_the_run_and_names_the_register() {
    let hw = Hw::new(config("small"), AttnShape { context: 64, ..RandomModel::small(96, 4, 2, 32).shape }).unwrap();
    let int = RandomModel::small(96, 4, 2, 32).build(1);
    let image = Image::build(&hw, &[&int.layers[0].attn], 0).unwrap();
    let refused = |op: Op| {
        let memory = Memory::new(MemConfig::ideal(hw.ports(), hw.port_bits())).unwrap();
        let mut system = System::new(&hw, &image, memory, PowerUp::Zero).unwrap();
        system.bench.push([op]);
        system.pass(&Pass { layer: 0, slot: 0, pos: 0, x: vec![1; 96] }, &mut |_, _| {}).unwrap_err().to_string()
    };
    let write = refused(Op::Write("VERSION", 2));
    assert!(write.contains("the write of register VERSION: expected response 0 (OKAY), found 2"), "{write}");
    let read = refused(Op::Read(0x0fc));
    assert!(read.contains("the read of register 0x0fc: expected response 0 (OKAY), found 2"), "{read}");
}
