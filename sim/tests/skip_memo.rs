//! Skip mode's memory against its machine: over random hardware, memories and passes, what the engine takes from its memory is
//! what the machine does when every cycle is evaluated, in the state of every part, every valid, ready and level at the end of
//! each piece, and every report within it.

use tritforge_sim::memory::{MemConfig, Timing};
use tritforge_sim::skip::engine::{Effort, Engine};
use tritforge_spec::image::Image;
use tritforge_spec::random::Rng;
use tritforge_spec::random_hw;
use tritforge_spec::reference::AttnParams;

/// Runs drawn passes on the hardware of `seed`.
fn check(seed: u64, passes: usize) -> Effort {
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
            list.push(image.layout.descriptor(0, 0, pos, n));
            // On to the next tokens, mostly; back to an earlier position now and then.
            pos = if rng.below(5) == 0 { rng.below(pos as u64 + 1) as usize } else { pos + n };
            pos %= context;
        }
        left -= list.len();
        // The layers of a model come to the same position one after another.
        for _ in 0..if rng.below(3) == 0 { 3 } else { 1 } {
            if let Err(difference) = engine.verify(image.layout.descriptors, list.clone()) {
                panic!("seed {seed}: {difference}");
            }
            engine.rest(rng.below(60));
        }
        if rng.below(16) == 0 {
            engine.forget();
        }
    }
    engine.effort()
}

#[test]
fn what_is_remembered_is_what_happens_on_random_hardware() {
    let count = std::env::var("TRITFORGE_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(16);
    let first = std::env::var("TRITFORGE_FIRST_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut sum = Effort::default();
    for seed in first..first + count {
        let effort = check(seed, 40);
        sum.evaluated += effort.evaluated;
        sum.repeated += effort.repeated;
        sum.passed += effort.passed;
    }
    // A part slept through a piece for want of space, and was awake where the piece came again.
    check(2245, 40);
    println!("{sum:?}");
    assert!(sum.evaluated < sum.passed && sum.repeated > 0, "nothing came from memory");
}
