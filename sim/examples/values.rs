//! Time of one pass of skip mode's functional executor on a random model of a shape, one thread, by position.
//!
//! `cargo run --release -p tritforge-sim --example values [CONFIG DIM HEADS KV_HEADS HEAD_DIM]`; without arguments configs/small.toml and
//! the embedded model's shape.

use std::time::Instant;
use tritforge_sim::{
    host::Bench,
    memory::{MemConfig, Memory},
    skip::values::Executor,
};
use tritforge_spec::{
    config::AccelConfig,
    hw::Hw,
    image::{self, Image},
    random::Rng,
    reference::random::{RandomModel, residual_rows},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let path = args.first().cloned().unwrap_or_else(|| "configs/small.toml".into());
    let mut shape = [256, 4, 2, 64];
    for (to, from) in shape.iter_mut().zip(args.iter().skip(1)) {
        *to = from.parse()?;
    }
    let [dim, heads, kv_heads, head_dim] = shape;
    let config = AccelConfig::from_toml(&std::fs::read_to_string(&path)?)?;
    let mut random = RandomModel::small(dim, heads, kv_heads, head_dim);
    (random.kv_bits, random.ffn, random.shape.context) = (config.kv_bits, 16, 512);
    let model = random.build(1);
    let hw = Hw::new(config, random.shape.clone())?;
    let image = Image::build(&hw, &[&model.layers[0].attn], 0)?;
    let layout = image.layout.clone();
    let mut bench = Bench::new(&hw, &image, Memory::new(MemConfig::ideal(hw.ports(), hw.port_bits()))?);
    let mut executor = Executor::new(&hw)?;
    executor.set_pages(&layout.page_table(hw.config.slots));
    let x: Vec<u32> = residual_rows(&mut Rng::new(2), dim).iter().map(|&x| x as u32).collect();
    bench.load(layout.x_in, &image::words_to_bytes(&hw, &x));
    let positions = hw.context();
    for pos in 0..positions {
        executor.run(bench.memory.storage_mut(), &layout.descriptor(0, 0, pos, 1))?;
    }
    println!("{path}, D {dim}, {heads} heads, {kv_heads} KV heads, head dimension {head_dim}, one token a pass, measured:");
    for pos in [0, 40, 250, 500] {
        let runs = 20;
        // The least of many short groups: other work on the machine only adds.
        let mut best = f64::INFINITY;
        for _ in 0..200 {
            let begun = Instant::now();
            for _ in 0..runs {
                executor.run(bench.memory.storage_mut(), &layout.descriptor(0, 0, pos, 1))?;
            }
            best = best.min(begun.elapsed().as_secs_f64() / f64::from(runs));
        }
        println!("position {pos}: {:.1} microseconds", best * 1e6);
    }
    Ok(())
}
