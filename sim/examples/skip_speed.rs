//! Speed of skip mode's timing alone: passes of one token each at the positions 0 to 39, memory of fixed latency, as `tritforge bench sim` has
//! it, but without values and without Verilator; of one layer, or of as many as a model has. For profiles.
//!
//! `cargo run --release -p tritforge-sim --example skip_speed [REPEATS] [LAYERS]`

use tritforge_sim::{
    memory::{MemConfig, Timing},
    skip::{ask, engine::Engine, machine::Machine, outside::Outside},
};
use tritforge_spec::{
    config::AccelConfig,
    hw::{AttnShape, Hw},
    image::Image,
    reference::random::RandomModel,
};

fn main() {
    let argument = |i, default| std::env::args().nth(i).map_or(default, |n| n.parse().unwrap());
    for (name, lanes) in [("small", 80), ("kv260", 320)] {
        measure(name, lanes, argument(1, 5), argument(2, 1));
    }
    every_cycle(argument(1, 5));
}

/// Hardware, memory and image of a random model.
fn machine(name: &str, lanes: usize, layers: usize) -> (Hw, MemConfig, Image) {
    let path = format!("{}/../configs/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let config = AccelConfig::from_toml(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut random = RandomModel::small(256, 4, 2, 64);
    random.shape.layers = layers;
    let hw = Hw::new(AccelConfig { lanes, batch: 1, ..config }, AttnShape { context: 512, ..random.shape.clone() }).unwrap();
    let int = random.build(1);
    let weights: Vec<_> = int.layers.iter().map(|l| &l.attn).collect();
    let image = Image::build(&hw, &weights, 0).unwrap();
    let timing = Timing::Fixed { latency: 40, beats: 1, cycles: 1, outstanding: 64 };
    let memory = MemConfig { timing, ..MemConfig::ideal(hw.ports(), hw.port_bits()) };
    (hw, memory, image)
}

/// With what is remembered.
fn measure(name: &str, lanes: usize, repeats: usize, layers: usize) {
    let (hw, mem, image) = machine(name, lanes, layers);
    for _ in 0..repeats {
        let start = std::time::Instant::now();
        let mut engine = Engine::new(&hw, &mem, image.layout.page_table(1));
        for pos in 0..40 {
            for layer in 0..layers {
                let d = image.layout.descriptor(layer, 0, pos, 1);
                engine.run(image.layout.descriptors, d, &mut |_, _| ()).unwrap();
                engine.rest(50);
            }
        }
        let s = start.elapsed().as_secs_f64();
        let e = engine.effort();
        println!(
            "{name}, {layers} layers: {} cycles, {} in passes from memory, {:.3} ms, {:.1} MHz",
            e.passed,
            e.repeated,
            s * 1e3,
            e.passed as f64 / s / 1e6
        );
    }
}

/// Without: every cycle of the smaller hardware is evaluated.
fn every_cycle(repeats: usize) {
    let (hw, mem, image) = machine("small", 80, 1);
    for _ in 0..repeats {
        let machine = Machine::new(&hw, &mem);
        let (mut outside, mut state) = (Outside::new(&hw, image.layout.page_table(1)), machine.state());
        let (start, mut cycles) = (std::time::Instant::now(), 0u64);
        for pos in 0..40 {
            outside.begin(image.layout.descriptors, vec![image.layout.descriptor(0, 0, pos, 1)]);
            machine.go(&mut state, &outside);
            while !machine.idle(&state) {
                let (_, asks) = machine.cycle(&mut state);
                cycles += 1;
                for question in ask::EACH.into_iter().filter(|q| asks & q != 0) {
                    let answer = outside.answer(question);
                    machine.answer(&mut state, &answer);
                }
            }
        }
        println!("small, every cycle: {cycles} cycles, {:.1} ns each", start.elapsed().as_secs_f64() * 1e9 / cycles as f64);
    }
}
