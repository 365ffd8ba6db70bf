//! The whole accelerator: cycle model and Verilated RTL in lockstep on random models, every shape that the contract names, under random
//! memories, stalls, power-up and resets; every result against the integer reference.

use tritforge_sim::clocked::PowerUp;
use tritforge_sim::memory::Timing;
use tritforge_spec::{
    config::AccelConfig,
    hw::{AttnShape, Hw},
    image::Image,
    random::Rng,
    reference::{AttnParams, KvCache, Reference, Saturations, random::RandomModel, random::residual_rows},
};
use tritforge_testbench::{
    harness::Case,
    machine::{self, Conditions, Job, Pass},
};

fn config(name: &str) -> AccelConfig {
    let path = format!("{}/../configs/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    AccelConfig::from_toml(&std::fs::read_to_string(path).unwrap()).unwrap()
}

struct Shape {
    dim: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    context: usize,
}

/// A random model of one layer with passes of these lengths from position `start` on, the positions before it filled at random.
fn job(config: &AccelConfig, s: &Shape, start: usize, lengths: &[usize], seed: u64) -> (Hw, Job) {
    let mut random = RandomModel::small(s.dim, s.heads, s.kv_heads, s.head_dim);
    random.kv_bits = config.kv_bits;
    // Attention alone is run.
    random.ffn = 32;
    let int = random.build(seed);
    let hw = Hw::new(config.clone(), AttnShape { context: s.context, ..random.shape.clone() }).unwrap();
    let layers: Vec<&AttnParams> = int.layers.iter().map(|l| &l.attn).collect();
    let image = Image::build(&hw, &layers, 0).unwrap();
    let reference = Reference::new(&int, hw.config.rom_log2, hw.config.rom_bits);
    let (mut cache, mut rng) = (KvCache::new(&int), Rng::new(seed));
    let (mut passes, mut preload) = (Vec::new(), Vec::new());
    if start > 0 {
        // Scales as the model makes them, codes at random.
        let cache = &mut cache.layers[0];
        reference.attention(0, &residual_rows(&mut rng, s.dim), 0, cache, &mut (), &mut Saturations::default());
        let limit = (1 << (config.kv_bits - 1)) - 1;
        let codes = start * s.kv_heads * s.head_dim;
        cache.k_codes = (0..codes).map(|_| rng.range(-limit, limit) as i8).collect();
        cache.v_codes = (0..codes).map(|_| rng.range(-limit, limit) as i8).collect();
        cache.k_scales = cache.k_scales.repeat(start);
        cache.v_scales = cache.v_scales.repeat(start);
        preload = machine::cache_contents(&hw, &image.layout, 0, cache);
    }
    let mut pos = start;
    for &n in lengths {
        let x = residual_rows(&mut rng, n * s.dim);
        let y = reference.attention(0, &x, pos, &mut cache.layers[0], &mut (), &mut Saturations::default());
        passes.push(Pass { layer: 0, pos, x, y });
        pos += n;
    }
    (hw, Job { image, passes, preload })
}

fn lockstep(config: AccelConfig, shape: &Shape, lengths: &[usize], runs: u64) {
    let base = Case::seed(1);
    let (hw, work) = job(&config, shape, 0, lengths, base);
    let Some(rtl) = machine::build(&hw).unwrap() else { return };
    for run in 0..runs {
        let conditions = Conditions::of(base + run);
        let compared = machine::run(&rtl, &hw, &work, &conditions).unwrap_or_else(|e| panic!("{e:#}"));
        println!("{conditions:?}: {} cycles, {} values", compared.cycles, compared.values);
    }
}

#[test]
fn group_2_head_dimension_32_batch_4() {
    lockstep(config("small"), &Shape { dim: 96, heads: 4, kv_heads: 2, head_dim: 32, context: 64 }, &[3, 4, 4, 4, 4, 1, 1], 4);
}

#[test]
fn two_bit_weights_group_5_head_dimension_80_heads_times_size_is_not_dim() {
    let shape = Shape { dim: 160, heads: 5, kv_heads: 1, head_dim: 80, context: 32 };
    lockstep(AccelConfig { kv_bits: 4, ..config("two-bit") }, &shape, &[4, 2, 1], 3);
}

#[test]
fn a_planted_fault_of_one_bit_and_one_of_one_cycle_are_caught() {
    let (hw, work) = job(&config("small"), &Shape { dim: 96, heads: 4, kv_heads: 2, head_dim: 32, context: 64 }, 0, &[2], 3);
    let params = tritforge_spec::top::Params::from(&hw);
    let conditions = Conditions { seed: 3, timing: Timing::Ideal, stalls: false, power_up: PowerUp::Zero, hard_resets: 0, soft_resets: 0 };
    // One bit of the words that leave; one cycle of the register file's write channel, whose values stay right.
    for (from, to, port) in [
        ("  assign wd_data    = word_q;", "  assign wd_data    = word_q ^ W'(1);", "port m_wdata"),
        ("assign s_wready  = !w_q;", "assign s_wready  = !w_q && aw_q;", "port s_wready"),
    ] {
        let design = machine::design(&params).unwrap().with_fault(from, to).unwrap();
        let Some(rtl) = tritforge_testbench::harness::Lockstep::with_design(&params, design) else { return };
        let report = machine::run(&rtl, &hw, &work, &conditions).expect_err("the fault went unseen").to_string();
        println!("{report}");
        assert!(report.contains("differ") && report.contains(port), "{report}");
    }
}

#[test]
fn group_1_k_6912_and_position_8191_of_a_filled_cache() {
    let shape = Shape { dim: 6912, heads: 1, kv_heads: 1, head_dim: 32, context: 8192 };
    let config = AccelConfig { context: 8192, ..config("small") };
    let seed = Case::seed(1);
    let (hw, early) = job(&config, &shape, 0, &[3], seed);
    let (_, last) = job(&config, &shape, 8191, &[1], seed);
    let Some(rtl) = machine::build(&hw).unwrap() else { return };
    let conditions =
        Conditions { seed, timing: Timing::Ideal, stalls: false, power_up: PowerUp::Random(seed), hard_resets: 0, soft_resets: 0 };
    for work in [early, last] {
        let compared = machine::run(&rtl, &hw, &work, &conditions).unwrap_or_else(|e| panic!("{e:#}"));
        println!("{} cycles, {} values", compared.cycles, compared.values);
    }
}

#[test]
fn kv260_configuration_group_4_head_dimension_128_k_16384() {
    let shape = Shape { dim: 64, heads: 128, kv_heads: 32, head_dim: 128, context: 32 };
    lockstep(config("kv260"), &shape, &[3], 1);
}
