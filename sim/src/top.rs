//! The top in step mode: every block, every cycle, wired by the same table from which the Verilog top is emitted
//! (`spec::top`). In: host side `s_*`, memory side `m_*`; out: the same and `irq`.

use crate::{
    axi::{read_channels, write_channels},
    block,
    clocked::{Block, PowerUp},
    ports,
    ports::Ports,
};
use tritforge_spec::{
    bits::Bits,
    block::{Dir, Port, Role},
    top::{self, LEVELS, OUTSIDE_CORE, Params, STREAMS},
};

ports! {
    /// Inputs of the top.
    pub struct In {
        rst: bool, s_awvalid: bool, s_awaddr: u16, s_wvalid: bool, s_wdata: u32, s_wstrb: u8, s_bready: bool,
        s_arvalid: bool, s_araddr: u16, s_rready: bool,
        m_arready: u32, m_rvalid: u32, m_rdata: Bits, m_rresp: u64, m_rlast: u32,
        m_awready: u32, m_wready: u32, m_bvalid: u32, m_bresp: u64,
    }
    /// Outputs of the top.
    pub struct Out {
        s_awready: bool, s_wready: bool, s_bvalid: bool, s_bresp: u8, s_arready: bool, s_rvalid: bool, s_rdata: u32, s_rresp: u8,
        irq: bool,
        m_arvalid: u32, m_araddr: Bits, m_arlen: Bits, m_arsize: Bits, m_arburst: u64, m_rready: u32,
        m_awvalid: u32, m_awaddr: Bits, m_awlen: Bits, m_awsize: Bits, m_awburst: u64,
        m_wvalid: u32, m_wdata: Bits, m_wstrb: Bits, m_wlast: u32, m_bready: u32,
    }
}

read_channels!(In, Out);
write_channels!(In, Out);

/// A block behind its ports as words.
trait Node {
    fn evaluate(&mut self);
    fn load(&self, field: usize, width: usize, words: &mut [u64]);
    fn store(&mut self, field: usize, width: usize, words: &[u64]);
    fn step(&mut self);
}

struct NodeOf<B: Block> {
    block: B,
    input: B::In,
    out: B::Out,
}

impl<B: Block> Node for NodeOf<B> {
    fn evaluate(&mut self) {
        self.out = self.block.out();
    }
    fn load(&self, field: usize, width: usize, words: &mut [u64]) {
        self.out.load(field, width, words);
    }
    fn store(&mut self, field: usize, width: usize, words: &[u64]) {
        self.input.store(field, width, words);
    }
    fn step(&mut self) {
        self.block.step(&self.input);
    }
}

/// Field `from.1` of node `from.0`'s outputs to field `to.1` of node `to.0`'s inputs.
#[derive(Clone, Copy, Debug)]
struct Wire {
    from: (usize, usize),
    to: (usize, usize),
    width: usize,
}

/// A stream: valid and payload forward, ready back.
struct StreamWires {
    valid: Wire,
    ready: Wire,
    payload: Vec<Wire>,
}

/// A field of the top and the node's field that it is: (top field, node, node field, width).
type External = (usize, usize, usize, usize);

/// A level output of a block that the reports read.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    node: usize,
    field: usize,
    width: usize,
}

/// The accelerator, cycle by cycle.
pub struct Top {
    nodes: Vec<Box<dyn Node>>,
    names: Vec<&'static str>,
    inputs_of: Vec<&'static [&'static str]>,
    outputs_of: Vec<&'static [&'static str]>,
    ports_of: Vec<Vec<Port>>,
    streams: Vec<StreamWires>,
    levels: Vec<Wire>,
    external_in: Vec<External>,
    external_out: Vec<External>,
    core_rst: (usize, usize),
    words: Vec<u64>,
}

fn index(names: &[&str], name: &str) -> usize {
    names.iter().position(|n| *n == name).unwrap_or_else(|| unreachable!("port {name} is in the contract but not in the model"))
}

impl Top {
    fn add<B: Block + 'static>(&mut self, name: &'static str, params: &B::Params, power_up: PowerUp) {
        use tritforge_spec::block::Contract;
        let block = B::new(params, power_up);
        let out = B::Out::default();
        self.nodes.push(Box::new(NodeOf { block, input: B::In::default(), out }));
        self.names.push(name);
        self.inputs_of.push(B::In::NAMES);
        self.outputs_of.push(B::Out::NAMES);
        self.ports_of.push(params.ports());
    }

    fn node(&self, name: &str) -> usize {
        index(&self.names, name)
    }

    fn wire(&self, from: (&str, &str), to: (&str, &str), width: usize) -> Wire {
        let (a, b) = (self.node(from.0), self.node(to.0));
        Wire { from: (a, index(self.outputs_of[a], from.1)), to: (b, index(self.inputs_of[b], to.1)), width }
    }

    /// Ports of a stream of a node: valid, ready, payload fields.
    fn stream(&self, node: &str, stream: &str) -> Vec<Port> {
        let of = |p: &&Port| matches!(&p.role, Role::Valid(s) | Role::Ready(s) | Role::Payload(s) if *s == stream);
        self.ports_of[self.node(node)].iter().filter(of).cloned().collect()
    }

    fn connect(&mut self) {
        for &(from, out, to, input) in STREAMS {
            let (a, b) = (self.stream(from, out), self.stream(to, input));
            let wires = StreamWires {
                valid: self.wire((from, a[0].name), (to, b[0].name), 1),
                ready: self.wire((to, b[1].name), (from, a[1].name), 1),
                payload: a[2..].iter().zip(&b[2..]).map(|(x, y)| self.wire((from, x.name), (to, y.name), x.width)).collect(),
            };
            self.streams.push(wires);
        }
        for &(from, out, to, input) in LEVELS {
            let width = self.ports_of[self.node(from)].iter().find(|p| p.name == out).map_or(1, |p| p.width);
            self.levels.push(self.wire((from, out), (to, input), width));
        }
        for (node, ports) in self.ports_of.iter().enumerate() {
            for port in ports.iter().filter(|p| top::is_external(self.names[node], p)) {
                match port.dir {
                    Dir::In => {
                        let field = index(self.inputs_of[node], port.name);
                        self.external_in.push((index(In::NAMES, port.name), node, field, port.width));
                    }
                    Dir::Out => {
                        let field = index(self.outputs_of[node], port.name);
                        self.external_out.push((index(Out::NAMES, port.name), node, field, port.width));
                    }
                }
            }
        }
        let widest = self.ports_of.iter().flatten().map(|p| p.width).max().unwrap_or(1);
        self.words = vec![0; widest.div_ceil(64) + 1];
        let regs = self.node(OUTSIDE_CORE);
        self.core_rst = (regs, index(self.outputs_of[regs], "core_rst"));
    }

    /// A handle on level output `port` of instance `instance`, for counters and reports.
    pub fn probe(&self, instance: &str, port: &str) -> Option<Probe> {
        let node = self.names.iter().position(|n| *n == instance)?;
        let field = self.outputs_of[node].iter().position(|n| *n == port)?;
        let width = self.ports_of[node].iter().find(|p| p.name == port)?.width;
        Some(Probe { node, field, width })
    }

    /// Output ports of all blocks: instance, port, handle. With them every stream is seen whole, since its ready is an output too.
    pub fn outputs(&self) -> impl Iterator<Item = (&'static str, &Port, Probe)> + '_ {
        self.ports_of.iter().enumerate().flat_map(move |(node, ports)| {
            ports.iter().filter(|p| p.dir == Dir::Out).filter_map(move |port| {
                let field = self.outputs_of[node].iter().position(|n| *n == port.name)?;
                Some((self.names[node], port, Probe { node, field, width: port.width }))
            })
        })
    }

    /// The probed value in this cycle (after [`Top::out`]); its lowest 64 bits.
    pub fn read(&self, probe: Probe) -> u64 {
        let mut words = vec![0; probe.width.div_ceil(64)];
        self.nodes[probe.node].load(probe.field, probe.width, &mut words);
        words[0]
    }

    /// Streams with their names: (producer, stream, valid, ready) of this cycle, for waves and timelines.
    pub fn handshakes(&self) -> impl Iterator<Item = (&'static str, &'static str, bool, bool)> + '_ {
        STREAMS.iter().zip(&self.streams).map(|(names, wires)| {
            let mut word = [0u64; 1];
            let mut bit = |(node, field): (usize, usize)| {
                self.nodes[node].load(field, 1, &mut word);
                word[0] & 1 == 1
            };
            (names.0, names.1, bit(wires.valid.from), bit(wires.ready.from))
        })
    }

    fn copy(nodes: &mut [Box<dyn Node>], words: &mut [u64], wire: &Wire) {
        nodes[wire.from.0].load(wire.from.1, wire.width, words);
        nodes[wire.to.0].store(wire.to.1, wire.width, words);
    }
}

impl Block for Top {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, power_up: PowerUp) -> Self {
        let hw = &params.hw;
        let mut top = Top {
            nodes: Vec::new(),
            names: Vec::new(),
            inputs_of: Vec::new(),
            outputs_of: Vec::new(),
            ports_of: Vec::new(),
            streams: Vec::new(),
            levels: Vec::new(),
            external_in: Vec::new(),
            external_out: Vec::new(),
            core_rst: (0, 0),
            words: Vec::new(),
        };
        top.add::<block::regs::Regs>("regs", &params.regs(), power_up);
        macro_rules! add {
            ($($name:literal: $module:ident :: $block:ident),* $(,)?) => {
                $(top.add::<block::$module::$block>($name, &hw.into(), power_up);)*
            };
        }
        add! {
            "ctrl": ctrl::Ctrl,
            "axi_read": axi_read::AxiRead,
            "route_w": route::Route,
            "route_a": route::Route,
            "xload": xload::Xload,
            "norm": norm::Norm,
            "unpack": unpack::Unpack,
            "tmac": tmac::Tmac,
            "rope": rope::Rope,
            "headq": headq::HeadQ,
            "kvwrite": kvwrite::KvWrite,
            "kvread": kvread::KvRead,
            "attn": attn::Attn,
            "softmax": softmax::Softmax,
            "attn_out": attn_out::AttnOut,
            "resid": resid::Resid,
            "xstore": xstore::Xstore,
            "axi_write": axi_write::AxiWrite,
        }
        top.connect();
        for node in &mut top.nodes {
            node.evaluate();
        }
        top
    }

    fn out(&self) -> Out {
        let mut out = Out::default();
        let mut words = vec![0; self.words.len()];
        for &(field, node, from, width) in &self.external_out {
            self.nodes[node].load(from, width, &mut words);
            out.store(field, width, &words);
        }
        out
    }

    fn step(&mut self, input: &In) {
        let words = &mut self.words;
        for s in &self.streams {
            Self::copy(&mut self.nodes, words, &s.ready);
            Self::copy(&mut self.nodes, words, &s.valid);
            if words[0] & 1 == 1 {
                for wire in &s.payload {
                    Self::copy(&mut self.nodes, words, wire);
                }
            }
        }
        for wire in &self.levels {
            Self::copy(&mut self.nodes, words, wire);
        }
        for &(field, node, to, width) in &self.external_in {
            input.load(field, width, words);
            self.nodes[node].store(to, width, words);
        }
        self.nodes[self.core_rst.0].load(self.core_rst.1, 1, words);
        let core_rst = input.rst || words[0] & 1 == 1;
        for (i, node) in self.nodes.iter_mut().enumerate() {
            let rst = if i == self.core_rst.0 { input.rst } else { core_rst };
            // Every model has `rst` as its first input.
            node.store(0, 1, &[u64::from(rst)]);
            node.step();
            node.evaluate();
        }
    }
}
