//! `regs`: the AXI4-Lite register file. In: the host's five channels, status and error levels, counter pulses. Out: doorbell,
//! page table writes, port bases, core reset, interrupt. The map itself is in [`crate::regmap`].

use super::{Contract, Port, StreamNames, axi::OFFSET_BITS, ctrl::COUNT_BITS, kvwrite::PAGE_BITS};
use crate::hw::Hw;
use crate::regmap::{
    CAPS0_BATCH, CAPS0_KV_BITS, CAPS0_LANES, CAPS0_TWO_BIT, CAPS0_VEC, CAPS1_CONTEXT, CAPS1_PORT_BITS, CAPS1_PORTS, Field,
};
use crate::stream_names;

/// AXI channel names have no underscore before the signal: `s_awvalid`.
macro_rules! axi_names {
    ($channel:literal $(, $field:literal)*) => {
        &StreamNames {
            name: $channel,
            valid: concat!($channel, "valid"),
            ready: concat!($channel, "ready"),
            payload: &[$(concat!($channel, $field)),*],
        }
    };
}

/// Parameters of `regs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    pub ports: usize,
    pub lanes: usize,
    pub batch: usize,
    pub vec: usize,
    pub kv_bits: usize,
    pub two_bit: bool,
    pub port_bits: usize,
    pub context: usize,
    /// Entries of the page table.
    pub pages: usize,
    pub hw_hash: u64,
    pub numerics_hash: u64,
    /// Bits of the saturation counts a cycle of `norm`, `headq`, `softmax`, `attn_out`, `resid`.
    pub sat_bits: [usize; 5],
}

/// Cycles that the core stays in reset after the masters have drained.
pub const RESET_CYCLES: u64 = 4;
/// AXI response for an access that did nothing.
pub const SLVERR: u8 = 2;

impl Params {
    /// Cycles that `stop` stands at most after a soft reset, when both masters are drained at the latest after `wait` cycles: the wait,
    /// the cycle that sees it, the reset. Proven for any `wait` (docs/formal.md).
    pub fn soft_reset_bound(wait: u64) -> u64 {
        wait + 1 + RESET_CYCLES
    }

    /// The register file of `hw`, with the hashes that an image must carry.
    pub fn new(hw: &Hw, hw_hash: u64, numerics_hash: u64, sat_bits: [usize; 5]) -> Self {
        let c = &hw.config;
        Params {
            ports: c.ports,
            lanes: c.lanes,
            batch: c.batch,
            vec: c.vec,
            kv_bits: c.kv_bits,
            two_bit: c.packing == crate::config::Packing::TwoBit,
            port_bits: c.port_bits,
            context: hw.context(),
            pages: hw.kv().pages(),
            hw_hash,
            numerics_hash,
            sat_bits,
        }
    }

    /// Value of CAPS0.
    pub fn caps0(&self) -> u32 {
        let fields = [(CAPS0_LANES, self.lanes), (CAPS0_BATCH, self.batch), (CAPS0_VEC, self.vec), (CAPS0_KV_BITS, self.kv_bits)].map(put);
        fields.into_iter().sum::<u32>() | CAPS0_TWO_BIT.put(self.two_bit.into())
    }

    /// Value of CAPS1.
    pub fn caps1(&self) -> u32 {
        [(CAPS1_PORTS, self.ports), (CAPS1_PORT_BITS, self.port_bits), (CAPS1_CONTEXT, self.context)].map(put).into_iter().sum()
    }
}

fn put((field, value): (Field, usize)) -> u32 {
    field.put(value as u32)
}

impl Contract for Params {
    const STEM: &'static str = "regs";

    fn ports(&self) -> Vec<Port> {
        let level_in = |names: &[(&'static str, usize)]| names.iter().map(|&(n, w)| Port::level_in(n, w)).collect::<Vec<_>>();
        let mut p = vec![Port::clk(), Port::rst()];
        p.extend(Port::stream_in(axi_names!("s_aw", "addr"), &[12]));
        p.extend(Port::stream_in(axi_names!("s_w", "data", "strb"), &[32, 4]));
        p.extend(Port::stream_out(axi_names!("s_b", "resp"), &[2]));
        p.extend(Port::stream_in(axi_names!("s_ar", "addr"), &[12]));
        p.extend(Port::stream_out(axi_names!("s_r", "data", "resp"), &[32, 2]));
        p.extend(["irq", "core_rst", "stop"].map(|n| Port::level_out(n, 1)));
        p.push(Port::level_out("base", 64 * self.ports));
        p.extend(Port::stream_out(stream_names!("go", "ptr", "count"), &[OFFSET_BITS, COUNT_BITS]));
        p.extend(Port::stream_out(stream_names!("ptw", "index", "entry"), &[PAGE_BITS, OFFSET_BITS]));
        p.extend(Port::stream_out(stream_names!("ptr", "index", "entry"), &[PAGE_BITS, OFFSET_BITS]));
        p.extend(level_in(&[("busy", 1), ("finished", 1), ("ctrl_err", 1), ("ctrl_err_field", 1), ("ctrl_err_off", OFFSET_BITS)]));
        p.extend(level_in(&[("read_idle", 1), ("read_err", 1), ("read_err_port", 5), ("read_err_addr", 64)]));
        p.extend(level_in(&[("write_idle", 1), ("write_err", 1), ("write_err_port", 5), ("write_err_addr", 64)]));
        p.extend(level_in(&[("bad", 1), ("bad_word", 32), ("array_busy", 1), ("wait_w", 1), ("wait_act", 1), ("wait_out", 1)]));
        p.extend(level_in(&[("attn_busy", 1), ("sat0", self.sat_bits[0]), ("sat1", self.sat_bits[1]), ("sat2", self.sat_bits[2])]));
        p.extend(level_in(&[("sat3", self.sat_bits[3]), ("sat4", self.sat_bits[4])]));
        p.push(Port::level_in("beats_inc", self.ports));
        p
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        let part = |hash: u64, index: u32| i64::from((hash >> (16 * index)) as u16);
        vec![
            ("P", self.ports as i64),
            ("LANES", self.lanes as i64),
            ("BATCH", self.batch as i64),
            ("VEC", self.vec as i64),
            ("KVB", self.kv_bits as i64),
            ("TWO_BIT", i64::from(self.two_bit)),
            ("PW", self.port_bits as i64),
            ("CONTEXT", self.context as i64),
            ("PAGES", self.pages as i64),
            ("HW_HASH_0", part(self.hw_hash, 0)),
            ("HW_HASH_1", part(self.hw_hash, 1)),
            ("HW_HASH_2", part(self.hw_hash, 2)),
            ("HW_HASH_3", part(self.hw_hash, 3)),
            ("NUM_HASH_0", part(self.numerics_hash, 0)),
            ("NUM_HASH_1", part(self.numerics_hash, 1)),
            ("NUM_HASH_2", part(self.numerics_hash, 2)),
            ("NUM_HASH_3", part(self.numerics_hash, 3)),
            ("SW0", self.sat_bits[0] as i64),
            ("SW1", self.sat_bits[1] as i64),
            ("SW2", self.sat_bits[2] as i64),
            ("SW3", self.sat_bits[3] as i64),
            ("SW4", self.sat_bits[4] as i64),
        ]
    }

    fn examples() -> Vec<Self> {
        let base = Params {
            ports: 1,
            lanes: 80,
            batch: 4,
            vec: 4,
            kv_bits: 8,
            two_bit: false,
            port_bits: 128,
            context: 256,
            pages: 16,
            hw_hash: 0x8123_4567_89ab_cdef,
            numerics_hash: 0xfedc_ba98_7654_3210,
            sat_bits: [1, 1, 1, 1, 1],
        };
        vec![base.clone(), Params { ports: 4, two_bit: true, pages: 40, sat_bits: [1, 2, 3, 3, 2], ..base }]
    }
}
