//! The top: which blocks there are and what is connected to what. The Verilog top is emitted from this table; the cycle model's
//! `sim/src/top.rs` wires the same streams, and lockstep holds the two together.
//! In: AXI4-Lite slave `s_*`; out: AXI4 masters `m_*` (P ports), `irq`.

use crate::{
    block::{self, Contract, Dir, Interface, Port, Role, RomFile},
    hw::Hw,
    image,
};

/// Module name of the emitted top.
pub const STEM: &str = "tritforge_top";

/// An instance of a block.
pub struct Instance {
    pub name: &'static str,
    pub interface: Interface,
}

/// Output stream `.1` of instance `.0` feeds input stream `.3` of instance `.2`; fields go by position.
pub const STREAMS: &[(&str, &str, &str, &str)] = &[
    ("regs", "go", "ctrl", "go"),
    ("regs", "ptw", "kvwrite", "pt"),
    ("regs", "ptr", "kvread", "pt"),
    ("ctrl", "dseg", "axi_read", "dseg"),
    ("ctrl", "wseg", "axi_read", "wseg"),
    ("kvread", "kseg", "axi_read", "kseg"),
    ("axi_read", "w", "route_w", "in"),
    ("axi_read", "a", "route_a", "in"),
    ("route_w", "o0", "ctrl", "const"),
    ("route_w", "o1", "norm", "gain"),
    ("route_w", "o2", "unpack", "in"),
    ("route_a", "o0", "ctrl", "desc"),
    ("route_a", "o1", "xload", "in"),
    ("route_a", "o2", "kvread", "in"),
    ("ctrl", "xload", "xload", "cmd"),
    ("ctrl", "norm", "norm", "cmd"),
    ("ctrl", "resid", "resid", "cmd"),
    ("ctrl", "unpack", "unpack", "cmd"),
    ("ctrl", "tmac", "tmac", "cmd"),
    ("ctrl", "rope", "rope", "cmd"),
    ("ctrl", "headq", "headq", "cmd"),
    ("ctrl", "kvwrite", "kvwrite", "cmd"),
    ("ctrl", "kvread", "kvread", "cmd"),
    ("ctrl", "attn", "attn", "cmd"),
    ("ctrl", "xstore", "xstore", "cmd"),
    ("xload", "xn", "norm", "x0"),
    ("xload", "xr", "resid", "x"),
    ("norm", "act", "tmac", "act"),
    ("norm", "s0", "headq", "s"),
    ("norm", "s1", "resid", "s"),
    ("unpack", "t", "tmac", "t"),
    ("tmac", "sum0", "rope", "sum"),
    ("tmac", "sum1", "resid", "sum"),
    ("rope", "pair", "headq", "pair"),
    ("headq", "kv", "kvwrite", "kv"),
    ("headq", "q", "attn", "q"),
    ("kvwrite", "pb", "kvread", "pb"),
    ("kvwrite", "wseg", "axi_write", "aseg"),
    ("kvwrite", "wd", "axi_write", "ad"),
    ("kvread", "kv", "attn", "kv"),
    ("attn", "score", "softmax", "score"),
    ("softmax", "p", "attn", "p"),
    ("softmax", "sum", "attn_out", "sum"),
    ("attn", "acc", "attn_out", "acc"),
    ("attn_out", "o", "norm", "x1"),
    ("resid", "y", "xstore", "y"),
    ("xstore", "wseg", "axi_write", "bseg"),
    ("xstore", "wd", "axi_write", "bd"),
];

/// Output level `.1` of instance `.0` drives input level `.3` of instance `.2`.
pub const LEVELS: &[(&str, &str, &str, &str)] = &[
    ("regs", "base", "axi_read", "base"),
    ("regs", "base", "axi_write", "base"),
    ("regs", "stop", "axi_read", "stop"),
    ("regs", "stop", "axi_write", "stop"),
    ("ctrl", "cq", "headq", "cq"),
    ("ctrl", "ck", "headq", "ck"),
    ("ctrl", "cv", "headq", "cv"),
    ("ctrl", "co", "resid", "co"),
    ("xstore", "idle", "ctrl", "xstore_idle"),
    ("kvwrite", "idle", "ctrl", "kvwrite_idle"),
    ("axi_write", "idle", "ctrl", "write_idle"),
    ("ctrl", "busy", "regs", "busy"),
    ("ctrl", "finished", "regs", "finished"),
    ("ctrl", "err", "regs", "ctrl_err"),
    ("ctrl", "err_field", "regs", "ctrl_err_field"),
    ("ctrl", "err_off", "regs", "ctrl_err_off"),
    ("axi_read", "idle", "regs", "read_idle"),
    ("axi_read", "err", "regs", "read_err"),
    ("axi_read", "err_port", "regs", "read_err_port"),
    ("axi_read", "err_addr", "regs", "read_err_addr"),
    ("axi_read", "beats_inc", "regs", "beats_inc"),
    ("axi_write", "idle", "regs", "write_idle"),
    ("axi_write", "err", "regs", "write_err"),
    ("axi_write", "err_port", "regs", "write_err_port"),
    ("axi_write", "err_addr", "regs", "write_err_addr"),
    ("unpack", "bad", "regs", "bad"),
    ("unpack", "bad_word", "regs", "bad_word"),
    ("tmac", "busy", "regs", "array_busy"),
    ("tmac", "wait_w", "regs", "wait_w"),
    ("tmac", "wait_act", "regs", "wait_act"),
    ("tmac", "wait_out", "regs", "wait_out"),
    ("attn", "busy", "regs", "attn_busy"),
    ("norm", "sat_inc", "regs", "sat0"),
    ("headq", "sat_inc", "regs", "sat1"),
    ("softmax", "sat_inc", "regs", "sat2"),
    ("attn_out", "sat_inc", "regs", "sat3"),
    ("resid", "sat_inc", "regs", "sat4"),
];

/// Input levels that are tied to 0 in this version.
pub const TIED_LOW: &[(&str, &str)] = &[("unpack", "clear")];

/// Sticky saturation levels: the counters carry the same fact to the host, so they end here.
pub const UNUSED: &[(&str, &str)] = &[("norm", "sat"), ("headq", "sat"), ("softmax", "sat"), ("attn_out", "sat"), ("resid", "sat")];

/// The instance that stays out of the core's reset: it makes it.
pub const OUTSIDE_CORE: &str = "regs";

/// The top of one hardware.
#[derive(Clone, Debug)]
pub struct Params {
    pub hw: Hw,
    pub hw_hash: u64,
    pub numerics_hash: u64,
}

impl From<&Hw> for Params {
    fn from(hw: &Hw) -> Self {
        Params { hw: hw.clone(), hw_hash: image::hw_hash(hw), numerics_hash: image::numerics_hash(hw) }
    }
}

/// Widths of the saturation counts a cycle that reach `regs`, in the order sat0..sat4.
pub fn sat_bits(hw: &Hw) -> [usize; 5] {
    let width = |ports: Vec<Port>| ports.iter().find(|p| p.name == "sat_inc").map_or(1, |p| p.width);
    [
        width(block::norm::Params::from(hw).ports()),
        width(block::headq::Params::from(hw).ports()),
        width(block::softmax::Params::from(hw).ports()),
        width(block::attn_out::Params::from(hw).ports()),
        width(block::resid::Params::from(hw).ports()),
    ]
}

impl Params {
    /// The register file of this top.
    pub fn regs(&self) -> block::regs::Params {
        block::regs::Params::new(&self.hw, self.hw_hash, self.numerics_hash, sat_bits(&self.hw))
    }

    /// All instances in the order of the data flow.
    pub fn instances(&self) -> Vec<Instance> {
        let hw = &self.hw;
        macro_rules! list {
            ($($name:literal: $module:ident),* $(,)?) => {
                vec![$(Instance { name: $name, interface: Interface::of(&block::$module::Params::from(hw)) }),*]
            };
        }
        let mut all = vec![Instance { name: "regs", interface: Interface::of(&self.regs()) }];
        all.extend(list! {
            "ctrl": ctrl,
            "axi_read": axi_read,
            "route_w": route,
            "route_a": route,
            "xload": xload,
            "norm": norm,
            "unpack": unpack,
            "tmac": tmac,
            "rope": rope,
            "headq": headq,
            "kvwrite": kvwrite,
            "kvread": kvread,
            "attn": attn,
            "softmax": softmax,
            "attn_out": attn_out,
            "resid": resid,
            "xstore": xstore,
            "axi_write": axi_write,
        });
        all
    }
}

/// A port that leaves the top: the host's side and the interrupt of `regs`, the memory's side of the AXI masters.
pub fn is_external(instance: &str, port: &Port) -> bool {
    match instance {
        "regs" => port.name.starts_with("s_") || port.name == "irq",
        "axi_read" | "axi_write" => port.name.starts_with("m_"),
        _ => false,
    }
}

impl Contract for Params {
    const STEM: &'static str = STEM;

    fn ports(&self) -> Vec<Port> {
        let mut ports = vec![Port::clk(), Port::rst()];
        for instance in self.instances() {
            let name = instance.name;
            ports.extend(instance.interface.ports.into_iter().filter(|p| is_external(name, p)));
        }
        ports
    }

    fn verilog_params(&self) -> Vec<(&'static str, i64)> {
        Vec::new()
    }

    /// The instances' ROMs; equal parameter names must mean equal files.
    fn roms(&self) -> Vec<RomFile> {
        let mut roms: Vec<RomFile> = Vec::new();
        for rom in self.instances().into_iter().flat_map(|i| i.interface.roms) {
            if !roms.iter().any(|r| r.param == rom.param) {
                roms.push(rom);
            }
        }
        roms
    }

    fn examples() -> Vec<Self> {
        let configs = [include_str!("../../configs/small.toml"), include_str!("../../configs/kv260.toml")];
        configs
            .iter()
            .filter_map(|text| {
                let config = crate::config::AccelConfig::from_toml(text).ok()?;
                let shape =
                    crate::hw::AttnShape { layers: 2, dim: 96, heads: 4, kv_heads: 2, head_dim: 32, context: 256, rope_theta: 10_000.0 };
                Some(Self::from(&Hw::new(config, shape).ok()?))
            })
            .collect()
    }
}

/// What is wrong with the wiring: a stream or level that is unknown, of another width, driven twice or not at all.
pub fn wiring_faults(instances: &[Instance]) -> Vec<String> {
    let mut faults = Vec::new();
    let ports_of = |name: &str| instances.iter().find(|i| i.name == name).map(|i| &i.interface.ports[..]).unwrap_or(&[]);
    let payload = |inst: &str, stream: &str, dir: Dir| -> Option<Vec<usize>> {
        let ports = ports_of(inst);
        let valid = ports.iter().find(|p| matches!(&p.role, Role::Valid(s) if *s == stream))?;
        let widths = ports.iter().filter(|p| matches!(&p.role, Role::Payload(s) if *s == stream)).map(|p| p.width);
        (valid.dir == dir).then(|| widths.collect())
    };
    for (from, out, to, input) in STREAMS {
        let (a, b) = (payload(from, out, Dir::Out), payload(to, input, Dir::In));
        if a.is_none() || a != b {
            faults.push(format!("{from}.{out} {a:?} -> {to}.{input} {b:?}"));
        }
    }
    let level = |inst: &str, name: &str, dir: Dir| {
        ports_of(inst).iter().find(|p| p.name == name && p.role == Role::Level && p.dir == dir).map(|p| p.width)
    };
    for (from, out, to, input) in LEVELS {
        let (a, b) = (level(from, out, Dir::Out), level(to, input, Dir::In));
        if a.is_none() || a != b {
            faults.push(format!("level {from}.{out} {a:?} -> {to}.{input} {b:?}"));
        }
    }
    for instance in instances {
        for port in &instance.interface.ports {
            let uses = match &port.role {
                Role::Clock | Role::Reset => 1,
                _ if is_external(instance.name, port) => 1,
                Role::Valid(s) if port.dir == Dir::Out => STREAMS.iter().filter(|c| (c.0, c.1) == (instance.name, *s)).count(),
                Role::Valid(s) => STREAMS.iter().filter(|c| (c.2, c.3) == (instance.name, *s)).count(),
                Role::Ready(_) | Role::Payload(_) | Role::Lanes(_) => 1,
                Role::Level if port.dir == Dir::In => {
                    LEVELS.iter().filter(|c| (c.2, c.3) == (instance.name, port.name)).count()
                        + TIED_LOW.iter().filter(|c| **c == (instance.name, port.name)).count()
                }
                // An output may drive several inputs, or none where that is said.
                Role::Level => {
                    let driven = LEVELS.iter().any(|c| (c.0, c.1) == (instance.name, port.name));
                    usize::from(driven || UNUSED.contains(&(instance.name, port.name)) || port.name == "core_rst")
                }
            };
            if uses != 1 {
                faults.push(format!("{}.{} is connected {uses} times", instance.name, port.name));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_of_every_block_is_connected_once_with_its_width() {
        let examples = Params::examples();
        assert_eq!(examples.len(), 2);
        for top in examples {
            assert_eq!(wiring_faults(&top.instances()), Vec::<String>::new());
        }
    }
}
