//! Skip mode: the cycles of the machine without going through them (docs/skip.md).
//!
//! Timing depends on shapes, positions and the memory, never on data (docs/simulation.md). [`flow`] computes when each word of a pass moves;
//! what depends on a position is answered by [`outside`]; [`engine`] runs passes. Random pauses tell ports apart: there, and in tests, the
//! blocks' control ([`block`], cycle for cycle what step mode's blocks do) is wired to a [`machine`] that goes through the cycles. The data are
//! those of [`values`], which does to memory what a pass does.

pub mod block;
pub mod engine;
pub mod flow;
pub mod machine;
pub mod outside;
pub mod params;
pub mod parts;
pub mod pieces;
mod runs;
pub mod signals;
pub mod summary;
pub mod values;

/// What a machine may ask between two cycles, as bits; answered in this order.
pub mod ask {
    /// What the descriptor that was fetched says.
    pub const JOB: u32 = 1;
    /// The next block of the KV reader's output side.
    pub const BLOCK: u32 = 2;
    /// The segments of the next block of the KV reader's segment side.
    pub const SEGMENTS: u32 = 4;
    /// Where the KV writer's next vector lies.
    pub const PLACE: u32 = 8;
    /// The segment that the auxiliary side of the read master begins.
    pub const SEGMENT: u32 = 16;
    /// The length of the KV segment whose words the auxiliary side begins to deliver.
    pub const DELIVERY: u32 = 32;
    /// Positions of the block whose header the score/value engine took.
    pub const POSITIONS: u32 = 64;
    /// Each of them.
    pub const EACH: [u32; 7] = [JOB, BLOCK, SEGMENTS, PLACE, SEGMENT, DELIVERY, POSITIONS];
}
