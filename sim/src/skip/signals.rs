//! The wires between timing blocks: one bit a stream for valid and ready, one bit a level, and the few payloads that timing
//! depends on. In a cycle every block reads this cycle's bits and writes the next cycle's.

use super::pieces::Segment;
use tritforge_spec::top::STREAMS;

/// Whether two names are the same, at compile time.
pub(crate) const fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// The number of the stream that leaves `instance` as `stream`; fails to compile where the wiring table has none.
pub const fn from(instance: &str, stream: &str) -> u32 {
    let mut i = 0;
    while i < STREAMS.len() {
        if equal(STREAMS[i].0, instance) && equal(STREAMS[i].1, stream) {
            return i as u32;
        }
        i += 1;
    }
    panic!("the wiring table has no such stream")
}

/// The number of the stream that enters `instance` as `stream`.
pub const fn into(instance: &str, stream: &str) -> u32 {
    let mut i = 0;
    while i < STREAMS.len() {
        if equal(STREAMS[i].2, instance) && equal(STREAMS[i].3, stream) {
            return i as u32;
        }
        i += 1;
    }
    panic!("the wiring table has no such stream")
}

/// Levels that timing or the reports depend on, as bits of [`Signals::levels`].
pub mod level {
    pub const ARRAY_BUSY: u32 = 1;
    pub const WAIT_W: u32 = 1 << 1;
    pub const WAIT_ACT: u32 = 1 << 2;
    pub const WAIT_OUT: u32 = 1 << 3;
    pub const ATTN_BUSY: u32 = 1 << 4;
    pub const XSTORE_IDLE: u32 = 1 << 5;
    pub const KVWRITE_IDLE: u32 = 1 << 6;
    pub const WRITE_IDLE: u32 = 1 << 7;
    pub const CTRL_BUSY: u32 = 1 << 8;
    pub const FINISHED: u32 = 1 << 9;
    /// The pass buffer of `kvread` holds all vectors of the pass.
    pub const KV_COMPLETE: u32 = 1 << 10;
}

/// A command's control value: tokens of the pass, and whether it is the o-projection's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Command {
    pub n: u8,
    pub second: bool,
}

/// A word of the score/value engine's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KvWord {
    pub kind: u8,
    /// Of a header: its block is the last of its head.
    pub last: bool,
}

/// Payloads with a meaning for timing; each belongs to the stream it is named after and means something while that is valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Payload {
    pub wseg: (Segment, u8),
    pub dseg: (Segment, u8),
    pub w_dest: u8,
    pub a_dest: u8,
    /// Of whatever command `ctrl` offers.
    pub command: Command,
    /// Offset of the vectors that `xstore` writes.
    pub x_out: u16,
    /// A beat of `headq`: first and last of its vector.
    pub head_first: bool,
    pub head_last: bool,
    /// `kvwrite`'s word for the pass buffer is a scale.
    pub pb_scale: bool,
    pub aseg: Segment,
    pub bseg: Segment,
    pub kv: KvWord,
    pub score_last: bool,
}

/// All wires of one machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Signals {
    /// Bit of the stream's number in the wiring table: valid, ready, both (a word moves) in this cycle.
    pub valid: u64,
    pub ready: u64,
    pub moved: u64,
    pub levels: u32,
    pub payload: Payload,
    next_valid: u64,
    next_ready: u64,
    next_levels: u32,
}

impl Signals {
    /// A word of stream `s` moves in this cycle.
    #[inline(always)]
    pub fn moves(&self, s: u32) -> bool {
        self.moved >> s & 1 != 0
    }
    /// Stream `s` is valid in this cycle.
    #[inline(always)]
    pub fn is_valid(&self, s: u32) -> bool {
        self.valid >> s & 1 != 0
    }
    /// Stream `s` is ready in this cycle.
    #[inline(always)]
    pub fn is_ready(&self, s: u32) -> bool {
        self.ready >> s & 1 != 0
    }
    /// All levels of `mask` are high in this cycle.
    #[inline(always)]
    pub fn high(&self, mask: u32) -> bool {
        self.levels & mask == mask
    }
    /// Drives valid of stream `s` from the next cycle on.
    #[inline(always)]
    pub fn offer(&mut self, s: u32, on: bool) {
        self.next_valid = self.next_valid & !(1 << s) | (on as u64) << s;
    }
    /// Drives valid of the streams of `mask`: those of `on`.
    #[inline(always)]
    pub fn offer_only(&mut self, mask: u64, on: u64) {
        self.next_valid = self.next_valid & !mask | on;
    }
    /// Drives ready of stream `s` from the next cycle on.
    #[inline(always)]
    pub fn accept(&mut self, s: u32, on: bool) {
        self.next_ready = self.next_ready & !(1 << s) | (on as u64) << s;
    }
    /// Drives a level from the next cycle on.
    #[inline(always)]
    pub fn level(&mut self, bit: u32, on: bool) {
        self.next_levels = if on { self.next_levels | bit } else { self.next_levels & !bit };
    }
    /// The clock edge.
    #[inline(always)]
    pub fn edge(&mut self) {
        (self.valid, self.ready, self.levels) = (self.next_valid, self.next_ready, self.next_levels);
        self.moved = self.valid & self.ready;
    }
}
