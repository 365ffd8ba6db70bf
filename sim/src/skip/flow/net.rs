//! All streams of the machine, and the processes between them.

use super::{link::Link, record::Record};
use crate::skip::{
    pieces::Segment,
    signals::{Command, from, into},
};
use tritforge_spec::top::STREAMS;

/// The processes, as bits: a block each, but for the weights' way from the read master to the sums, which is one.
pub mod process {
    pub const CTRL: u32 = 1;
    pub const READ: u32 = 1 << 1;
    pub const AUX: u32 = 1 << 2;
    pub const XLOAD: u32 = 1 << 4;
    pub const NORM: u32 = 1 << 5;
    pub const ROPE: u32 = 1 << 6;
    pub const HEADQ: u32 = 1 << 7;
    pub const KVWRITE: u32 = 1 << 8;
    pub const KVREAD: u32 = 1 << 9;
    pub const ATTN: u32 = 1 << 10;
    pub const SOFTMAX: u32 = 1 << 11;
    pub const ATTN_OUT: u32 = 1 << 12;
    pub const RESID: u32 = 1 << 13;
    pub const XSTORE: u32 = 1 << 14;
    pub const WRITE: u32 = 1 << 3;
    /// The last, so that it goes on when all has gone on that takes its sums.
    pub const WEIGHTS: u32 = 1 << 15;
    /// Each of them.
    pub const ALL: u32 = (1 << 16) - 1;
}

/// A word of the score/value engine's input.
#[derive(Clone, Copy, Debug, Default)]
pub struct KvWord {
    pub kind: u8,
    /// The last word of its vector; the last vector of K or V of its head.
    pub vector_end: bool,
    pub head_end: bool,
}

macro_rules! net {
    ($($field:ident: $word:ty, $from:literal.$out:literal -> $to:literal.$in:literal, $a:ident -> $b:ident;)*) => {
        /// The streams, by their consumers' names for them.
        #[derive(Clone)]
        pub struct Net {
            $(pub $field: Link<$word>,)*
            /// Processes that have something new to look at.
            pub wake: u32,
            pub record: Record,
        }

        impl Net {
            /// Nothing has moved on any stream.
            #[inline(always)]
            pub fn new(record: Record) -> Self {
                Self { $($field: Link::new(process::$a, process::$b),)* wake: process::ALL, record }
            }

            /// Keeps the times of all words from here on.
            pub fn watch(&mut self) {
                $(self.$field.log = Some(Vec::new());)*
            }

            /// The times of all words since [`Net::watch`], by the stream's number in the wiring table.
            pub fn times(&self) -> Vec<(usize, Vec<u64>)> {
                vec![$((number($from, $out, $to, $in), self.$field.log.clone().unwrap_or_default()),)*]
            }
        }
    };
}

net! {
    dseg: (Segment, u8), "ctrl"."dseg" -> "axi_read"."dseg", CTRL -> READ;
    wseg: (Segment, u8), "ctrl"."wseg" -> "axi_read"."wseg", CTRL -> READ;
    kseg: Segment, "kvread"."kseg" -> "axi_read"."kseg", KVREAD -> READ;
    route_w: u8, "axi_read"."w" -> "route_w"."in", WEIGHTS -> WEIGHTS;
    route_a: u8, "axi_read"."a" -> "route_a"."in", AUX -> AUX;
    consts: (), "route_w"."o0" -> "ctrl"."const", WEIGHTS -> CTRL;
    gain: (), "route_w"."o1" -> "norm"."gain", WEIGHTS -> NORM;
    packed: (), "route_w"."o2" -> "unpack"."in", WEIGHTS -> WEIGHTS;
    desc: (), "route_a"."o0" -> "ctrl"."desc", AUX -> CTRL;
    x: (), "route_a"."o1" -> "xload"."in", AUX -> XLOAD;
    kv_in: (), "route_a"."o2" -> "kvread"."in", AUX -> KVREAD;
    xload_cmd: Command, "ctrl"."xload" -> "xload"."cmd", CTRL -> XLOAD;
    norm_cmd: Command, "ctrl"."norm" -> "norm"."cmd", CTRL -> NORM;
    resid_cmd: Command, "ctrl"."resid" -> "resid"."cmd", CTRL -> RESID;
    unpack_cmd: Command, "ctrl"."unpack" -> "unpack"."cmd", CTRL -> WEIGHTS;
    tmac_cmd: Command, "ctrl"."tmac" -> "tmac"."cmd", CTRL -> WEIGHTS;
    rope_cmd: Command, "ctrl"."rope" -> "rope"."cmd", CTRL -> ROPE;
    headq_cmd: Command, "ctrl"."headq" -> "headq"."cmd", CTRL -> HEADQ;
    kvwrite_cmd: Command, "ctrl"."kvwrite" -> "kvwrite"."cmd", CTRL -> KVWRITE;
    kvread_cmd: Command, "ctrl"."kvread" -> "kvread"."cmd", CTRL -> KVREAD;
    attn_cmd: Command, "ctrl"."attn" -> "attn"."cmd", CTRL -> ATTN;
    xstore_cmd: (u16, u8), "ctrl"."xstore" -> "xstore"."cmd", CTRL -> XSTORE;
    x0: (), "xload"."xn" -> "norm"."x0", XLOAD -> NORM;
    xr: (), "xload"."xr" -> "resid"."x", XLOAD -> RESID;
    act: (), "norm"."act" -> "tmac"."act", NORM -> WEIGHTS;
    s0: (), "norm"."s0" -> "headq"."s", NORM -> HEADQ;
    s1: (), "norm"."s1" -> "resid"."s", NORM -> RESID;
    sum0: (), "tmac"."sum0" -> "rope"."sum", WEIGHTS -> ROPE;
    sum1: (), "tmac"."sum1" -> "resid"."sum", WEIGHTS -> RESID;
    pair: (), "rope"."pair" -> "headq"."pair", ROPE -> HEADQ;
    head_kv: (bool, bool), "headq"."kv" -> "kvwrite"."kv", HEADQ -> KVWRITE;
    q: bool, "headq"."q" -> "attn"."q", HEADQ -> ATTN;
    pb: bool, "kvwrite"."pb" -> "kvread"."pb", KVWRITE -> KVREAD;
    aseg: Segment, "kvwrite"."wseg" -> "axi_write"."aseg", KVWRITE -> WRITE;
    ad: (), "kvwrite"."wd" -> "axi_write"."ad", KVWRITE -> WRITE;
    kv: KvWord, "kvread"."kv" -> "attn"."kv", KVREAD -> ATTN;
    score: bool, "attn"."score" -> "softmax"."score", ATTN -> SOFTMAX;
    p: (), "softmax"."p" -> "attn"."p", SOFTMAX -> ATTN;
    sum: (), "softmax"."sum" -> "attn_out"."sum", SOFTMAX -> ATTN_OUT;
    acc: (), "attn"."acc" -> "attn_out"."acc", ATTN -> ATTN_OUT;
    o: (), "attn_out"."o" -> "norm"."x1", ATTN_OUT -> NORM;
    y: (), "resid"."y" -> "xstore"."y", RESID -> XSTORE;
    bseg: Segment, "xstore"."wseg" -> "axi_write"."bseg", XSTORE -> WRITE;
    bd: (), "xstore"."wd" -> "axi_write"."bd", XSTORE -> WRITE;
}

/// The number of a stream in the wiring table.
fn number(a: &str, out: &str, b: &str, input: &str) -> usize {
    let number = from(a, out);
    debug_assert_eq!(number, into(b, input));
    debug_assert!((number as usize) < STREAMS.len());
    number as usize
}
