//! The accelerator configurations that come with the program: name and TOML text.

/// 80 lanes fed by one 128-bit port.
pub const SMALL: &str = include_str!("../configs/small.toml");
/// 64 lanes, weights of two bits.
pub const TWO_BIT: &str = include_str!("../configs/two-bit.toml");
/// 320 lanes, four 128-bit ports at 250 MHz.
pub const KV260: &str = include_str!("../configs/kv260.toml");

/// All of them.
pub const NAMED: [(&str, &str); 3] = [("small", SMALL), ("two-bit", TWO_BIT), ("kv260", KV260)];
