use tritforge_sim::{
    memory::{MemConfig, Timing},
    skip::{
        flow::{Flow, Paces, Params},
        outside::{Asked, Outside},
    },
};
use tritforge_spec::{
    config::AccelConfig,
    hw::{AttnShape, Hw},
    image::Image,
    reference::random::RandomModel,
};
fn main() {
    let repeats: usize = std::env::args().nth(1).map_or(5, |n| n.parse().unwrap());
    for (name, lanes) in [("small", 80), ("kv260", 320)] {
        if std::env::args().nth(2).is_some_and(|n| n != name) {
            continue;
        }
        let path = format!("{}/../configs/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let config = AccelConfig::from_toml(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut random = RandomModel::small(256, 4, 2, 64);
        random.shape.layers = 1;
        let hw = Hw::new(AccelConfig { lanes, batch: 1, ..config }, AttnShape { context: 512, ..random.shape.clone() }).unwrap();
        let int = random.build(1);
        let weights: Vec<_> = int.layers.iter().map(|l| &l.attn).collect();
        let image = Image::build(&hw, &weights, 0).unwrap();
        let timing = Timing::Fixed { latency: 40, beats: 1, cycles: 1, outstanding: 64 };
        let mem = MemConfig { timing, ..MemConfig::ideal(hw.ports(), hw.port_bits()) };
        for _ in 0..repeats {
            let params = Params::new(&hw, &mem);
            let (mut record, mut tails) = (Default::default(), tritforge_sim::skip::flow::Tails::default());
            let mut outside = Outside::new(&hw, image.layout.page_table(1));
            let start = std::time::Instant::now();
            let (mut cycles, mut now, mut n) = (0, 0, 0);
            for pos in 0..40 {
                outside.begin(image.layout.descriptors, vec![image.layout.descriptor(0, 0, pos, 1)]);
                let first = outside.first_descriptor();
                let mut flow = Flow::new(&params, now, Paces::default(), first, std::mem::take(&mut record));
                let end = flow.run(&mut Asked::new(&mut outside), &mut tails).unwrap();
                let s = flow.summary(end);
                n += s.levels.len();
                flow.keep_tail(&s, end, &mut tails);
                record = flow.record();
                cycles += end - now;
                now = end + 50;
            }
            let s = start.elapsed().as_secs_f64();
            println!("{name}: {cycles} cycles, {:.3} ms, {:.1} MHz, {n} level runs", s * 1e3, cycles as f64 / s / 1e6);
        }
    }
}
