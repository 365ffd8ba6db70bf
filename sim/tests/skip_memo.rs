//! Skip mode's memory against its machine: over random hardware, memories and passes, what the engine takes from its memory is
//! what the machine does when every cycle is evaluated, in the state of every part, every valid, ready and level at the end of
//! each piece, and every report within it.

use tritforge_sim::memory::{MemConfig, Timing};
use tritforge_sim::skip::engine::Engine;
use tritforge_spec::descriptor::Descriptor;
use tritforge_spec::image::Image;
use tritforge_spec::random::Rng;
use tritforge_spec::random_hw;
use tritforge_spec::reference::AttnParams;

/// Runs drawn passes on the hardware of `seed`; evaluated and passed cycles.
fn check(seed: u64, passes: usize) -> (u64, u64) {
    let (hw, random) = random_hw::hardware(seed);
    let model = random.build(seed);
    let layers: Vec<&AttnParams> = model.layers.iter().map(|l| &l.attn).collect();
    let image = Image::build(&hw, &layers, 0).unwrap();
    let mut rng = Rng::new(seed);
    let timing = match rng.below(4) {
        0 => Timing::Ideal,
        _ => {
            let cycles = 1 + rng.below(4) as u32;
            let beats = 1 + rng.below(cycles as u64) as u32;
            Timing::Fixed { latency: 1 + rng.below(90), beats, cycles, outstanding: 1 + rng.below(16) as usize }
        }
    };
    let config = MemConfig { timing, ..MemConfig::ideal(hw.ports(), hw.port_bits()) };
    println!("seed {seed}: {timing:?} {:?} {:?}", hw.config, hw.shape);
    let mut engine = Engine::new(&hw, &config, image.layout.page_table(hw.config.slots));
    let context = hw.config.context.min(hw.shape.context);
    let mut pos = 0;
    let mut left = passes;
    while left > 0 {
        // A doorbell with one pass, or with several behind each other.
        let several = if rng.below(3) == 0 { 1 + rng.below(5) as usize } else { 1 };
        let mut list = Vec::new();
        for _ in 0..several.min(left) {
            let n = (1 + rng.below(hw.config.batch as u64) as usize).min(context - pos);
            list.push(Descriptor {
                opcode: 1,
                version: 1,
                layer: 0,
                slot: 0,
                pos: pos as u16,
                count: n as u8,
                weights: image.layout.layers[0],
                x_in: image.layout.x_in,
                x_out: image.layout.x_out,
            });
            // On to the next tokens, mostly; back to an earlier position now and then.
            pos = if rng.below(5) == 0 { rng.below(pos as u64 + 1) as usize } else { pos + n };
            pos %= context;
        }
        left -= list.len();
        if let Err(difference) = engine.verify(image.layout.descriptors, list) {
            panic!("seed {seed}: {difference}");
        }
        engine.rest(rng.below(60));
        if rng.below(16) == 0 {
            engine.forget();
        }
    }
    let effort = engine.effort();
    (effort.evaluated, effort.passed)
}

#[test]
fn what_is_remembered_is_what_happens_on_random_hardware() {
    let count = std::env::var("TRITFORGE_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(16);
    let first = std::env::var("TRITFORGE_FIRST_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let (mut evaluated, mut passed) = (0, 0);
    for seed in first..first + count {
        let (e, p) = check(seed, 40);
        (evaluated, passed) = (evaluated + e, passed + p);
    }
    // A part slept through a piece for want of space, and was awake where the piece came again.
    check(2245, 40);
    println!("{evaluated} of {passed} cycles evaluated");
    assert!(evaluated < passed, "nothing came from memory");
}
