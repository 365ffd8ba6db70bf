//! Emits the Verilog of the top: instances of the leaf modules, wired as `spec::top` says. In: the top's parameters; out: one module.

use std::fmt::Write;
use tritforge_spec::{
    block::{Contract, Dir, Port, Role},
    top::{self, Instance, LEVELS, OUTSIDE_CORE, Params, STREAMS, TIED_LOW, UNUSED},
};

/// The wiring does not hold together; says where.
#[derive(Debug, thiserror::Error)]
#[error("top: {}", .0.join("; "))]
pub struct WiringError(Vec<String>);

fn range(width: usize) -> String {
    if width == 1 { String::new() } else { format!("[{}:0] ", width - 1) }
}

/// Wire of an output port: instance and port name.
fn wire(instance: &str, port: &str) -> String {
    format!("{instance}__{port}")
}

/// What stands in the parentheses of `.port(…)`.
fn connection(instances: &[Instance], inst: &Instance, port: &Port) -> String {
    if top::is_external(inst.name, port) {
        return port.name.to_owned();
    }
    let core = inst.name != OUTSIDE_CORE;
    match &port.role {
        Role::Clock => "clk".to_owned(),
        Role::Reset => (if core { "core_rst" } else { "rst" }).to_owned(),
        // Ready of an output stream comes from the consumer; everything else of a stream from the producer.
        Role::Valid(s) | Role::Ready(s) | Role::Payload(s) => {
            if port.dir == Dir::Out {
                return wire(inst.name, port.name);
            }
            let peer = if matches!(port.role, Role::Ready(_)) {
                STREAMS.iter().find(|c| (c.0, c.1) == (inst.name, *s)).map(|c| (c.2, c.3))
            } else {
                STREAMS.iter().find(|c| (c.2, c.3) == (inst.name, *s)).map(|c| (c.0, c.1))
            };
            let Some((other, stream)) = peer else { return String::new() };
            let index = role_index(&inst.interface.ports, port);
            peer_port(instances, other, stream, index).map_or(String::new(), |name| wire(other, name))
        }
        Role::Lanes(_) => String::new(),
        Role::Level if port.dir == Dir::Out => wire(inst.name, port.name),
        Role::Level => {
            if TIED_LOW.contains(&(inst.name, port.name)) {
                return format!("{}'d0", port.width);
            }
            LEVELS.iter().find(|c| (c.2, c.3) == (inst.name, port.name)).map_or(String::new(), |c| wire(c.0, c.1))
        }
    }
}

/// Place of a port within its stream: 0 valid, 1 ready, then the payload fields.
fn role_index(ports: &[Port], port: &Port) -> usize {
    match &port.role {
        Role::Payload(s) => {
            2 + ports.iter().filter(|p| matches!(&p.role, Role::Payload(t) if t == s)).position(|p| p.name == port.name).unwrap_or(0)
        }
        Role::Ready(_) => 1,
        _ => 0,
    }
}

fn peer_port<'a>(instances: &'a [Instance], inst: &str, stream: &str, index: usize) -> Option<&'a str> {
    let ports = &instances.iter().find(|i| i.name == inst)?.interface.ports;
    let of = |p: &&Port| matches!(&p.role, Role::Valid(s) | Role::Ready(s) | Role::Payload(s) if *s == stream);
    ports.iter().filter(of).find(|p| role_index(ports, p) == index).map(|p| p.name)
}

/// The text of `tritforge_top.sv`.
///
/// # Errors
/// The blocks' ports and the connection table do not fit together.
pub fn emit(params: &Params) -> Result<String, WiringError> {
    let instances = params.instances();
    let faults = top::wiring_faults(&instances);
    if !faults.is_empty() {
        return Err(WiringError(faults));
    }
    let c = &params.hw.config;
    let s = &params.hw.shape;
    let mut t = String::new();
    let _ = writeln!(t, "// {}: the attention sub-layer accelerator, configuration {:?}.", top::STEM, c.name);
    let _ = writeln!(
        t,
        "// Model shape: {} layers, dim {}, {} heads, {} KV heads, head dimension {}; context {}.",
        s.layers,
        s.dim,
        s.heads,
        s.kv_heads,
        s.head_dim,
        params.hw.context()
    );
    let _ =
        writeln!(t, "// hw_hash {:016x}, numerics_hash {:016x}. Emitted by tritforge; do not edit.", params.hw_hash, params.numerics_hash);
    let _ = writeln!(t, "module {} #(", top::STEM);
    let roms = params.roms();
    for (i, rom) in roms.iter().enumerate() {
        let comma = if i + 1 < roms.len() { "," } else { "" };
        let _ = writeln!(t, "    parameter {} = \"{}\"{comma}", rom.param, rom.file);
    }
    t.push_str(") (\n");
    let ports = params.ports();
    for (i, p) in ports.iter().enumerate() {
        let dir = if p.dir == Dir::In { "input  logic" } else { "output logic" };
        let comma = if i + 1 < ports.len() { "," } else { "" };
        let _ = writeln!(t, "    {dir} {}{}{comma}", range(p.width), p.name);
    }
    t.push_str(");\n");
    for inst in &instances {
        for p in inst.interface.ports.iter().filter(|p| p.dir == Dir::Out && !top::is_external(inst.name, p)) {
            let _ = writeln!(t, "  logic {}{};", range(p.width), wire(inst.name, p.name));
        }
    }
    let _ = writeln!(t, "\n  // The core leaves reset after regs has drained the masters.");
    let _ = writeln!(t, "  wire core_rst = rst || {};\n", wire(OUTSIDE_CORE, "core_rst"));
    // Tools look for this name when they warn of outputs that nobody reads.
    let ends: Vec<String> = UNUSED.iter().map(|(inst, port)| wire(inst, port)).collect();
    let _ = writeln!(t, "  wire unused_ok = &{{1'b0, {}}};\n", ends.join(", "));
    for inst in &instances {
        let i = &inst.interface;
        let params: Vec<String> = i
            .verilog_params
            .iter()
            .map(|(name, v)| format!(".{name}({v})"))
            .chain(i.roms.iter().map(|rom| format!(".{0}({0})", rom.param)))
            .collect();
        let hash = if params.is_empty() { String::new() } else { format!("#({}) ", params.join(", ")) };
        let _ = writeln!(t, "  {} {hash}u_{} (", i.stem, inst.name);
        for (n, p) in i.ports.iter().enumerate() {
            let comma = if n + 1 < i.ports.len() { "," } else { "" };
            let _ = writeln!(t, "      .{}({}){comma}", p.name, connection(&instances, inst, p));
        }
        t.push_str("  );\n\n");
    }
    t.push_str("endmodule\n");
    Ok(t)
}
