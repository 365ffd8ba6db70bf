//! The tops that the tests Verilate: those that the contract names, and more, so that any two choices meet in one of them.

use tritforge_spec::{
    config::{AccelConfig, Packing},
    hw::{AttnShape, Hw},
    numerics::MAX_CONTEXT,
};

/// A top by its name.
#[derive(Clone, Debug)]
pub struct Top {
    pub name: &'static str,
    pub hw: Hw,
}

/// Heads, KV heads, head dimension.
type Heads = (usize, usize, usize);

fn shape(dim: usize, (heads, kv_heads, head_dim): Heads, context: usize) -> AttnShape {
    AttnShape { layers: 1, dim, heads, kv_heads, head_dim, context, rope_theta: 500_000.0 }
}

fn config(name: &str) -> AccelConfig {
    let text = match name {
        "small" => include_str!("../../../configs/small.toml"),
        "two-bit" => include_str!("../../../configs/two-bit.toml"),
        _ => include_str!("../../../configs/kv260.toml"),
    };
    AccelConfig::from_toml(text).unwrap_or_else(|e| panic!("configs/{name}.toml: {e}"))
}

fn top(name: &'static str, config: AccelConfig, shape: AttnShape) -> Top {
    let hw = Hw::new(config, shape).unwrap_or_else(|e| panic!("top {name}: {e}"));
    Top { name, hw }
}

/// The tops of the named configurations and of the contract's limits.
fn named_configurations() -> Vec<Top> {
    vec![
        // Group 2, head dimension 32, heads x size is not the dimension.
        top("small", config("small"), shape(96, (4, 2, 32), 64)),
        // Group 5, head dimension 80.
        top("two-bit", AccelConfig { kv_bits: 4, ..config("two-bit") }, shape(160, (5, 1, 80), 32)),
        // Rows of 6912, position 8191.
        top("long", AccelConfig { context: MAX_CONTEXT, ..config("small") }, shape(6912, (1, 1, 32), MAX_CONTEXT)),
        // Group 4, head dimension 128, sub-norm and rows of 16384.
        top("kv260", config("kv260"), shape(64, (128, 32, 128), 32)),
        // The model of models/.
        top("embedded", config("small"), AttnShape { layers: 4, rope_theta: 10_000.0, ..shape(256, (4, 2, 64), 256) }),
    ]
}

/// Name, packing, lanes, (ports, port bits), batch, vec, KV bits, (log2 of the softmax ROM's entries, its bits), FIFO depth in bursts, (burst,
/// outstanding), slots, dim, heads.
type Row = (&'static str, Packing, usize, (usize, usize), usize, usize, usize, (u32, u32), usize, (usize, usize), usize, usize, Heads);

/// Drawn so that with those above every pair of choices that take different paths through the hardware occurs: `testbench/tests/builds.rs`.
fn pairs() -> Vec<Top> {
    use Packing::{Base3, TwoBit};
    #[rustfmt::skip]
    let rows: [Row; 8] = [
        ("pairs 1", TwoBit, 128, (2, 64), 1, 1, 4, (4, 18), 1, (4, 1), 2, 64, (2, 2, 32)),
        ("pairs 2", Base3, 80, (1, 256), 1, 1, 8, (12, 8), 1, (4, 1), 2, 192, (4, 2, 48)),
        ("pairs 3", Base3, 80, (1, 64), 1, 2, 8, (4, 12), 4, (16, 4), 2, 96, (5, 1, 80)),
        ("pairs 4", Base3, 40, (2, 64), 4, 2, 6, (4, 12), 1, (4, 1), 1, 112, (2, 2, 80)),
        ("pairs 5", TwoBit, 64, (1, 256), 4, 1, 8, (4, 8), 4, (16, 8), 1, 128, (2, 1, 64)),
        ("pairs 6", TwoBit, 128, (4, 64), 1, 4, 4, (4, 8), 1, (16, 1), 1, 128, (4, 1, 32)),
        ("pairs 7", TwoBit, 128, (4, 64), 3, 1, 8, (12, 8), 4, (4, 1), 2, 64, (4, 1, 32)),
        ("pairs 8", TwoBit, 128, (1, 128), 2, 2, 6, (8, 8), 1, (4, 8), 1, 112, (1, 1, 80)),
    ];
    let of = |(name, packing, lanes, (ports, port_bits), batch, vec, kv_bits, rom, depth, (burst, outstanding), slots, dim, heads): Row| {
        let config = AccelConfig {
            name: name.to_owned(),
            lanes,
            batch,
            vec,
            ports,
            port_bits,
            packing,
            rom_log2: rom.0,
            rom_bits: rom.1,
            kv_bits,
            weight_fifo: depth * burst,
            aux_fifo: depth * burst,
            burst,
            outstanding,
            slots,
            context: 64,
            clock_mhz: 100.0,
        };
        top(name, config, shape(dim, heads, 64))
    };
    rows.map(of).into()
}

/// All tops.
pub fn all() -> Vec<Top> {
    named_configurations().into_iter().chain(pairs()).collect()
}

/// The top of this name. Panics for a name that is not in the list.
pub fn named(name: &str) -> Top {
    all().into_iter().find(|t| t.name == name).unwrap_or_else(|| panic!("no top {name:?} in testbench/src/builds/tops.rs"))
}
