//! Random hardware: configurations and model shapes drawn from a seed, all valid, small enough to simulate.

use crate::{
    config::{AccelConfig, Packing},
    hw::{AttnShape, Hw},
    random::Rng,
    reference::random::RandomModel,
};

/// Draws a configuration with a model shape; the next seed is tried where the two do not fit.
pub fn hardware(seed: u64) -> (Hw, RandomModel) {
    let mut r = Rng::new(seed);
    loop {
        let config = config(&mut r);
        let head_dim = [32, 48, 64, 80, 128][r.below(5) as usize];
        let (kv_heads, group) = (1 + r.below(2) as usize, [1, 2, 4, 5][r.below(4) as usize]);
        let dim = 16 * (4 + r.below(13) as usize);
        let shape = AttnShape {
            layers: 1,
            dim,
            heads: kv_heads * group,
            kv_heads,
            head_dim,
            context: 64,
            rope_theta: if r.below(2) == 0 { 10_000.0 } else { 500_000.0 },
        };
        let mut model = RandomModel::small(dim, shape.heads, kv_heads, head_dim);
        (model.shape, model.kv_bits) = (shape.clone(), config.kv_bits);
        if shape.heads * head_dim <= 512
            && let Ok(hw) = Hw::new(config, shape)
        {
            return (hw, model);
        }
    }
}

fn config(r: &mut Rng) -> AccelConfig {
    let mut pick = |list: &[usize]| list[r.below(list.len() as u64) as usize];
    let (ports, port_bits) = (pick(&[1, 1, 2, 4]), pick(&[64, 128, 128, 256]));
    let packing = if pick(&[0, 1]) == 0 { Packing::Base3 } else { Packing::TwoBit };
    let full = ports * port_bits / 8 * packing.trits_per_byte();
    let lanes = match pick(&[0, 0, 1, 2, 3]) {
        0 => full,
        1 => full / 2,
        2 => full / 4,
        _ => full * 2,
    };
    let burst = pick(&[4, 8, 16]);
    AccelConfig {
        name: "drawn".to_owned(),
        lanes,
        batch: pick(&[1, 2, 3, 4]),
        vec: pick(&[1, 2, 4, 8]),
        ports,
        port_bits,
        packing,
        rom_log2: pick(&[4, 6, 8, 12]) as u32,
        rom_bits: pick(&[8, 12, 15, 18]) as u32,
        kv_bits: pick(&[4, 6, 8, 8]),
        weight_fifo: burst * pick(&[1, 2, 8]),
        aux_fifo: burst * pick(&[1, 2, 8]),
        burst,
        outstanding: pick(&[1, 2, 4]),
        slots: pick(&[1, 2]),
        context: 64,
        clock_mhz: 100.0,
    }
}
