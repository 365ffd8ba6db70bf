//! The parts of the machine that sleep and wake on their own, as bits of masks: the blocks, `axi_read` and `kvread` as two each, the memory's
//! channels. A part is due in a cycle if it may go on by itself or a word moves on one of its streams; any other would stay as
//! it is, so it is not evaluated.

use super::signals::{equal, level};
use tritforge_spec::top::STREAMS;

pub const MEMORY_READ: u32 = 1;
pub const MEMORY_WRITE: u32 = 1 << 1;
pub const ROUTE_W: u32 = 1 << 2;
pub const ROUTE_A: u32 = 1 << 3;
pub const AXI_READ: u32 = 1 << 4;
pub const AUX: u32 = 1 << 5;
pub const AXI_WRITE: u32 = 1 << 6;
pub const SOFTMAX: u32 = 1 << 7;
pub const ATTN_OUT: u32 = 1 << 8;
pub const ATTN: u32 = 1 << 9;
pub const KVREAD: u32 = 1 << 10;
pub const KVWRITE: u32 = 1 << 11;
pub const HEADQ: u32 = 1 << 12;
pub const ROPE: u32 = 1 << 13;
pub const TMAC: u32 = 1 << 14;
pub const UNPACK: u32 = 1 << 15;
pub const NORM: u32 = 1 << 16;
pub const XLOAD: u32 = 1 << 17;
pub const RESID: u32 = 1 << 18;
pub const XSTORE: u32 = 1 << 19;
pub const CTRL: u32 = 1 << 20;
/// The side of `kvread` that fills its pass buffer.
pub const FILL: u32 = 1 << 21;
/// Number of parts.
pub const PARTS: usize = 22;
/// All of them.
pub const ALL: u32 = (1 << PARTS) - 1;

/// Instances and their parts; of those in two parts by stream, see [`part`].
const INSTANCES: [(&str, u32); 18] = [
    ("route_w", ROUTE_W),
    ("route_a", ROUTE_A),
    ("axi_write", AXI_WRITE),
    ("softmax", SOFTMAX),
    ("attn_out", ATTN_OUT),
    ("attn", ATTN),
    ("kvread", KVREAD),
    ("kvwrite", KVWRITE),
    ("headq", HEADQ),
    ("rope", ROPE),
    ("tmac", TMAC),
    ("unpack", UNPACK),
    ("norm", NORM),
    ("xload", XLOAD),
    ("resid", RESID),
    ("xstore", XSTORE),
    ("ctrl", CTRL),
    // What the host drives is driven from outside.
    ("regs", 0),
];

/// The part at one end of a stream.
const fn part(instance: &str, stream: &str) -> u32 {
    if equal(instance, "axi_read") {
        return if equal(stream, "wseg") || equal(stream, "w") { AXI_READ } else { AUX };
    }
    if equal(instance, "kvread") && equal(stream, "pb") {
        return FILL;
    }
    let mut i = 0;
    while i < INSTANCES.len() {
        if equal(INSTANCES[i].0, instance) {
            return INSTANCES[i].1;
        }
        i += 1;
    }
    panic!("the wiring table names an instance that is no part")
}

/// The parts at both ends of each stream.
pub const ENDS: [u32; STREAMS.len()] = {
    let (mut all, mut i) = ([0; STREAMS.len()], 0);
    while i < STREAMS.len() {
        all[i] = part(STREAMS[i].0, STREAMS[i].1) | part(STREAMS[i].2, STREAMS[i].3);
        i += 1;
    }
    all
};

/// The streams that begin or end at one of `parts`.
pub const fn streams(parts: u32) -> u64 {
    let (mut all, mut i) = (0, 0);
    while i < STREAMS.len() {
        if ENDS[i] & parts != 0 {
            all |= 1 << i;
        }
        i += 1;
    }
    all
}

/// The levels that `parts` drive or read.
pub const fn levels(parts: u32) -> u32 {
    const IDLE: [(u32, u32); 3] = [(XSTORE, level::XSTORE_IDLE), (KVWRITE, level::KVWRITE_IDLE), (AXI_WRITE, level::WRITE_IDLE)];
    let mut all = 0;
    if parts & TMAC != 0 {
        all |= level::ARRAY_BUSY | level::WAIT_W | level::WAIT_ACT | level::WAIT_OUT;
    }
    if parts & ATTN != 0 {
        all |= level::ATTN_BUSY;
    }
    if parts & CTRL != 0 {
        all |= level::CTRL_BUSY | level::FINISHED;
    }
    if parts & (FILL | KVREAD) != 0 {
        all |= level::KV_COMPLETE;
    }
    let mut i = 0;
    while i < IDLE.len() {
        if parts & (IDLE[i].0 | CTRL) != 0 {
            all |= IDLE[i].1;
        }
        i += 1;
    }
    all
}
