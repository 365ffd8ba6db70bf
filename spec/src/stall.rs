//! Stalls and latencies drawn from a hash of (seed, port, cycle) instead of a sequential generator: what happens at one
//! cycle does not depend on which other cycles were evaluated. Also the source of all arbitrary test data.

/// splitmix64's output function (Steele, Lea, Flood 2014): a bijection of 64 bits in which every input bit reaches every output bit.
pub const fn mix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// 64 pseudo-random bits for `port` at `cycle` (or for transaction and beat packed by the caller) under `seed`.
pub const fn hash(seed: u64, port: u64, cycle: u64) -> u64 {
    mix(mix(mix(seed) ^ port) ^ cycle)
}

/// The number of a port: FNV-1a of its name, so that adding a port does not move the stalls of another.
pub const fn port_id(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut h = 0xcbf2_9ce4_8422_2325u64;
    let mut i = 0;
    while i < bytes.len() {
        h = (h ^ bytes[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    h
}

/// Cycles for which one density of stalls holds, so that FIFOs run full and empty and not only half way.
pub const PHASE_CYCLES: u64 = 64;

/// Whether a randomly stalled `port` goes (offers valid, or is ready) at `cycle`.
/// A phase of [`PHASE_CYCLES`] cycles goes always, 7 of 8, 4 of 8 or 1 of 8 cycles.
pub const fn go(seed: u64, port: u64, cycle: u64) -> bool {
    let of_8 = match hash(seed, !port, cycle / PHASE_CYCLES) % 4 {
        0 => 8,
        1 => 7,
        2 => 4,
        _ => 1,
    };
    hash(seed, port, cycle) % 8 < of_8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_splitmix64() {
        // First outputs of the published generator from state 0: its state after n steps is n times the increment.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn ports_stall_independently_and_about_three_of_eight_cycles() {
        let (a, b) = (port_id("in"), port_id("out"));
        let n = 64 * 4096;
        let (mut goes, mut both) = (0, 0);
        for cycle in 0..n {
            let (ga, gb) = (go(7, a, cycle), go(7, b, cycle));
            goes += ga as u64;
            both += (ga && gb) as u64;
        }
        // Mean of 8, 7, 4, 1 of 8: 5/8; two independent ports together 25/64.
        assert!((goes as f64 / n as f64 - 0.625).abs() < 0.02, "{goes} of {n}");
        assert!((both as f64 / n as f64 - 0.390625).abs() < 0.02, "{both} of {n}");
    }
}
