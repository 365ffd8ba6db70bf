//! The interface of every hardware block: its ports in Verilog order, its parameters, its timing constants.
//! The cycle model, the Verilog, the test harness and the documentation all take them from here.

pub mod attn;
pub mod attn_out;
pub mod axi;
pub mod axi_burst;
pub mod axi_read;
pub mod axi_read_port;
pub mod axi_write;
pub mod axi_write_port;
pub mod ctrl;
pub mod fifo;
pub mod headq;
pub mod kvread;
pub mod kvwrite;
pub mod norm;
pub mod ram_sdp;
pub mod regs;
pub mod resid;
pub mod rhe_div;
pub mod rope;
pub mod route;
pub mod scale_mul;
pub mod scale_norm;
pub mod skid;
pub mod softmax;
pub mod tmac;
pub mod unpack;
pub mod xload;
pub mod xstore;

/// Every block that exists as `spec/src/block/X.rs`, `sim/src/block/X.rs`, `rtl/verilog/X.sv`, `testbench/tests/X.rs` and
/// `docs/blocks/X.md`. The census test holds all five and the Verilog ports to this list.
pub const BLOCKS: &[BlockEntry] = &[
    BlockEntry::of::<skid::Params>(),
    BlockEntry::of::<fifo::Params>(),
    BlockEntry::of::<ram_sdp::Params>(),
    BlockEntry::of::<rope::Params>(),
    BlockEntry::of::<ctrl::Params>(),
    BlockEntry::of::<regs::Params>(),
    BlockEntry::of::<softmax::Params>(),
    BlockEntry::of::<attn_out::Params>(),
    BlockEntry::of::<headq::Params>(),
    BlockEntry::of::<unpack::Params>(),
    BlockEntry::of::<tmac::Params>(),
    BlockEntry::of::<rhe_div::Params>(),
    BlockEntry::of::<scale_norm::Params>(),
    BlockEntry::of::<scale_mul::Params>(),
    BlockEntry::of::<norm::Params>(),
    BlockEntry::of::<resid::Params>(),
    BlockEntry::of::<xload::Params>(),
    BlockEntry::of::<xstore::Params>(),
    BlockEntry::of::<route::Params>(),
    BlockEntry::of::<axi_burst::Params>(),
    BlockEntry::of::<axi_read_port::Params>(),
    BlockEntry::of::<axi_read::Params>(),
    BlockEntry::of::<axi_write_port::Params>(),
    BlockEntry::of::<axi_write::Params>(),
    BlockEntry::of::<attn::Params>(),
    BlockEntry::of::<kvwrite::Params>(),
    BlockEntry::of::<kvread::Params>(),
];

/// Direction of a port, seen from the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dir {
    In,
    Out,
}

/// What a port means, and so when the harness drives or compares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    Clock,
    /// Synchronous, active high.
    Reset,
    /// `<stream>_valid`
    Valid(&'static str),
    /// `<stream>_ready`
    Ready(&'static str),
    /// A field of a stream's payload: means something only while the stream's valid is high.
    Payload(&'static str),
    /// Means something in every cycle.
    Level,
    /// As many equal parts as the port named here, of the same direction, has bits; part i means something while bit i
    /// of it is high. Payloads of parallel channels.
    Lanes(&'static str),
}

/// One port of a block; `name` is the Verilog name and the Rust field name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub name: &'static str,
    pub dir: Dir,
    /// Bits, at least 1.
    pub width: usize,
    pub role: Role,
}

impl Port {
    const fn new(name: &'static str, dir: Dir, width: usize, role: Role) -> Self {
        Self { name, dir, width, role }
    }

    /// The clock `clk`.
    pub const fn clk() -> Self {
        Self::new("clk", Dir::In, 1, Role::Clock)
    }

    /// The reset `rst`.
    pub const fn rst() -> Self {
        Self::new("rst", Dir::In, 1, Role::Reset)
    }

    /// An input that means something in every cycle.
    pub const fn level_in(name: &'static str, width: usize) -> Self {
        Self::new(name, Dir::In, width, Role::Level)
    }

    /// An output that means something, and is compared, in every cycle.
    pub const fn level_out(name: &'static str, width: usize) -> Self {
        Self::new(name, Dir::Out, width, Role::Level)
    }

    /// A port of parallel channels: part i means something while bit i of the port `valid`, of the same direction, is high.
    pub const fn lanes(name: &'static str, dir: Dir, width: usize, valid: &'static str) -> Self {
        Self::new(name, dir, width, Role::Lanes(valid))
    }

    /// The input stream `stream`: its valid, ready and payload ports, named by [`stream_names`].
    pub fn stream_in(stream: &'static StreamNames, widths: &[usize]) -> Vec<Self> {
        Self::stream(stream, widths, Dir::In)
    }

    /// The output stream `stream`, as [`Port::stream_in`].
    pub fn stream_out(stream: &'static StreamNames, widths: &[usize]) -> Vec<Self> {
        Self::stream(stream, widths, Dir::Out)
    }

    fn stream(s: &'static StreamNames, widths: &[usize], dir: Dir) -> Vec<Self> {
        assert_eq!(s.payload.len(), widths.len(), "stream {}: one width a payload field", s.name);
        let back = if dir == Dir::In { Dir::Out } else { Dir::In };
        let mut ports = vec![Self::new(s.valid, dir, 1, Role::Valid(s.name)), Self::new(s.ready, back, 1, Role::Ready(s.name))];
        for (name, &width) in s.payload.iter().zip(widths) {
            ports.push(Self::new(name, dir, width, Role::Payload(s.name)));
        }
        ports
    }
}

/// The port names of one ready/valid stream. Made by [`stream_names!`](crate::stream_names).
#[derive(Clone, Copy, Debug)]
pub struct StreamNames {
    pub name: &'static str,
    pub valid: &'static str,
    pub ready: &'static str,
    pub payload: &'static [&'static str],
}

/// `stream_names!("in", "data", "last")` names `in_valid`, `in_ready`, `in_data`, `in_last`.
#[macro_export]
macro_rules! stream_names {
    ($stream:literal $(, $field:literal)* $(,)?) => {
        &$crate::block::StreamNames {
            name: $stream,
            valid: concat!($stream, "_valid"),
            ready: concat!($stream, "_ready"),
            payload: &[$(concat!($stream, "_", $field)),*],
        }
    };
}

/// A module of numbered names, each a constant, with `ALL` of them as (name, number) for the generated Verilog package.
macro_rules! numbers {
    ($(#[$doc:meta])* $module:ident: $type:ty { $($name:ident = $value:expr),* $(,)? }) => {
        $(#[$doc])*
        pub mod $module {
            $(pub const $name: $type = $value;)*
            /// All names with their numbers.
            pub const ALL: &[(&str, $type)] = &[$((stringify!($name), $name)),*];
        }
    };
}
pub(crate) use numbers;

/// A file that a module reads with `$readmemh`: the Verilog string parameter `param` holds its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RomFile {
    pub param: &'static str,
    /// File name without folder; says what is inside, so that equal names have equal contents.
    pub file: String,
    /// One hexadecimal word a line, word 0 first.
    pub text: String,
}

impl RomFile {
    /// The file of `entries`.
    pub fn of(param: &'static str, file: String, entries: &[u32]) -> Self {
        let text = entries.iter().map(|e| format!("{e:x}\n")).collect();
        Self { param, file, text }
    }
}

/// What a block's parameters say about its interface.
pub trait Contract: Sized {
    /// File stem and Verilog module name.
    const STEM: &'static str;
    /// All ports in the order of the Verilog port list, `clk` first.
    fn ports(&self) -> Vec<Port>;
    /// Verilog parameters by name; those not listed keep their Verilog default.
    fn verilog_params(&self) -> Vec<(&'static str, i64)>;
    /// ROM files that the module reads with `$readmemh`; none by default.
    fn roms(&self) -> Vec<RomFile> {
        Vec::new()
    }
    /// At least two parameter sets with different widths: the census and the lint elaborate each.
    fn examples() -> Vec<Self>;
}

/// Ports and Verilog parameters of one parameter set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub stem: &'static str,
    pub ports: Vec<Port>,
    pub verilog_params: Vec<(&'static str, i64)>,
    pub roms: Vec<RomFile>,
}

impl Interface {
    /// The interface under `params`.
    pub fn of<P: Contract>(params: &P) -> Self {
        Self { stem: P::STEM, ports: params.ports(), verilog_params: params.verilog_params(), roms: params.roms() }
    }
}

/// A line of [`BLOCKS`].
pub struct BlockEntry {
    pub stem: &'static str,
    /// The interfaces of the block's example parameter sets.
    pub examples: fn() -> Vec<Interface>,
}

impl BlockEntry {
    /// The entry of the block whose parameters are `P`.
    pub const fn of<P: Contract>() -> Self {
        Self { stem: P::STEM, examples: || P::examples().iter().map(Interface::of).collect() }
    }
}
