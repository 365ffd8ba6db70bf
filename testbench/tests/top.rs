//! The whole accelerator: cycle model and Verilated RTL in lockstep on random models, every shape that the contract names, under random
//! memories, stalls, power-up and resets; every result against the integer reference.

use tritforge_sim::{clocked::PowerUp, memory::Timing};
use tritforge_spec::{
    hw::{AttnShape, Hw},
    image::{Image, cache_contents},
    numerics::MAX_CONTEXT,
    random::Rng,
    reference::{AttnParams, KvCache, Reference, Saturations, random::RandomModel, random::residual_rows},
    top::Params,
};
use tritforge_testbench::{
    builds::{self, tops},
    harness::{Case, Lockstep},
    machine::{self, Conditions, Job, Pass},
};

/// A random model for `hw` with passes of these lengths from position `start` on in layer 0, the positions before it filled at random.
fn job(hw: &Hw, start: usize, lengths: &[usize], seed: u64) -> Job {
    let s = &hw.shape;
    let mut random = RandomModel::small(s.dim, s.heads, s.kv_heads, s.head_dim);
    random.shape = AttnShape { context: MAX_CONTEXT, ..s.clone() };
    random.kv_bits = hw.config.kv_bits;
    // Attention alone is run.
    random.ffn = 32;
    let int = random.build(seed);
    let layers: Vec<&AttnParams> = int.layers.iter().map(|l| &l.attn).collect();
    let image = Image::build(hw, &layers, 0).unwrap();
    let reference = Reference::new(&int, hw.config.rom_log2, hw.config.rom_bits);
    let (mut cache, mut rng) = (KvCache::new(&int), Rng::new(seed));
    let (mut passes, mut preload) = (Vec::new(), Vec::new());
    if start > 0 {
        // Scales as the model makes them, codes at random.
        let cache = &mut cache.layers[0];
        reference.attention(0, &residual_rows(&mut rng, s.dim), 0, cache, &mut (), &mut Saturations::default());
        let limit = (1 << (hw.config.kv_bits - 1)) - 1;
        let codes = start * s.kv_heads * s.head_dim;
        cache.k_codes = (0..codes).map(|_| rng.range(-limit, limit) as i8).collect();
        cache.v_codes = (0..codes).map(|_| rng.range(-limit, limit) as i8).collect();
        cache.k_scales = cache.k_scales.repeat(start);
        cache.v_scales = cache.v_scales.repeat(start);
        preload = cache_contents(hw, &image.layout, 0, cache);
    }
    let mut pos = start;
    for &n in lengths {
        let x = residual_rows(&mut rng, n * s.dim);
        let y = reference.attention(0, &x, pos, &mut cache.layers[0], &mut (), &mut Saturations::default());
        passes.push(Pass { layer: 0, pos, x, y });
        pos += n;
    }
    Job { image, passes, preload }
}

/// The top of this name of `builds::tops` on passes of these lengths, at most its batch, as often under other conditions.
fn lockstep(name: &str, lengths: &[usize], runs: u64) {
    let base = Case::seed(1);
    let hw = tops::named(name).hw;
    let lengths: Vec<usize> = lengths.iter().map(|&n| n.min(hw.config.batch)).collect();
    let work = job(&hw, 0, &lengths, base);
    let Some(rtl) = machine::build(&hw).unwrap() else { return };
    for run in 0..runs {
        let conditions = Conditions::of(base + run);
        let compared = machine::run(&rtl, &hw, &work, &conditions).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        println!("{name}: {conditions:?}: {} cycles, {} values", compared.cycles, compared.values);
    }
}

#[test]
fn group_2_head_dimension_32_batch_4() {
    lockstep("small", &[3, 4, 4, 4, 4, 1, 1], 4);
}

#[test]
fn two_bit_weights_group_5_head_dimension_80_heads_times_size_is_not_dim() {
    lockstep("two-bit", &[4, 2, 1], 3);
}

#[test]
fn pairs_of_choices_first_half() {
    for name in ["pairs 1", "pairs 2", "pairs 3", "pairs 4"] {
        lockstep(name, &[4, 1], 2);
    }
}

#[test]
fn pairs_of_choices_second_half() {
    for name in ["pairs 5", "pairs 6", "pairs 7", "pairs 8"] {
        lockstep(name, &[4, 1], 2);
    }
}

#[test]
fn a_planted_fault_of_one_bit_and_one_of_one_cycle_are_caught() {
    let hw = tops::named("small").hw;
    let work = job(&hw, 0, &[2], 3);
    let conditions = Conditions { seed: 3, timing: Timing::Ideal, stalls: false, power_up: PowerUp::Zero, hard_resets: 0, soft_resets: 0 };
    for (fault, port) in [("top: one bit", "port m_wdata"), ("top: one cycle", "port s_wready")] {
        let Some(rtl) = Lockstep::with_design(&Params::from(&hw), builds::faulty(fault)) else { return };
        let report = machine::run(&rtl.without_wave(), &hw, &work, &conditions).expect_err("the fault went unseen").to_string();
        println!("{report}");
        assert!(report.contains("differ") && report.contains(port), "{report}");
    }
}

#[test]
fn group_1_k_6912_and_position_8191_of_a_filled_cache() {
    let hw = tops::named("long").hw;
    assert_eq!((hw.group(), hw.shape.dim, hw.context()), (1, 6912, 8192));
    let seed = Case::seed(1);
    let works = [job(&hw, 0, &[3], seed), job(&hw, 8191, &[1], seed)];
    let Some(rtl) = machine::build(&hw).unwrap() else { return };
    let conditions =
        Conditions { seed, timing: Timing::Ideal, stalls: false, power_up: PowerUp::Random(seed), hard_resets: 0, soft_resets: 0 };
    for work in works {
        let compared = machine::run(&rtl, &hw, &work, &conditions).unwrap_or_else(|e| panic!("{e:#}"));
        println!("{} cycles, {} values", compared.cycles, compared.values);
    }
}

#[test]
fn kv260_configuration_group_4_head_dimension_128_k_16384() {
    let hw = tops::named("kv260").hw;
    assert_eq!((hw.group(), hw.shape.head_dim, hw.q_dim()), (4, 128, 16384));
    lockstep("kv260", &[3], 1);
}
