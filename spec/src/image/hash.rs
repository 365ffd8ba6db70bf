//! The hashes by which hardware and image know each other: of what shapes the hardware, of the numerics, of the model file.

use crate::{hw::Hw, regmap::INTERFACE_VERSION, rom};
use sha2::{Digest, Sha256};

/// Version of docs/numerics.md; part of every numerics hash.
pub const NUMERICS_VERSION: u32 = 1;

fn short_hash(parts: &[&[u8]]) -> u64 {
    let mut h = Sha256::new();
    for part in parts {
        h.update((part.len() as u64).to_le_bytes());
        h.update(part);
    }
    u64::from_le_bytes(h.finalize()[..8].try_into().unwrap_or_default())
}

/// Hash of a model's bytes: those of its file, or of all files of a split one.
pub fn model_hash(parts: &[&[u8]]) -> u64 {
    short_hash(parts)
}

/// Hash of everything that shapes the hardware: configuration (not its name, not its clock) and model shape.
pub fn hw_hash(hw: &Hw) -> u64 {
    let bytes: Vec<u8> = hw.numbers().iter().flat_map(|&(_, n)| (n as u64).to_le_bytes()).collect();
    short_hash(&[b"tritforge hw", &INTERFACE_VERSION.to_le_bytes(), &bytes, &hw.shape.rope_theta.to_bits().to_le_bytes()])
}

/// Hash of the numerics contract and the ROMs that this hardware holds.
pub fn numerics_hash(hw: &Hw) -> u64 {
    let bytes = |words: Vec<u32>| words.into_iter().flat_map(u32::to_le_bytes).collect::<Vec<u8>>();
    short_hash(&[
        b"tritforge numerics",
        &NUMERICS_VERSION.to_le_bytes(),
        &bytes(rom::softmax_rom(hw.config.rom_log2, hw.config.rom_bits)),
        &bytes(rom::sine_rom()),
        &bytes(rom::rope_steps(hw.shape.rope_theta, hw.shape.head_dim)),
        &[hw.config.kv_bits as u8],
    ])
}
