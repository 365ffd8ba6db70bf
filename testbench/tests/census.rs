//! Every block of the contract has its five files, its Verilog has the contract's ports, and all Verilog is clean for all tools.

use std::collections::BTreeSet;
use tritforge_rtl::leaves;
use tritforge_spec::block::{BLOCKS, Role};
use tritforge_testbench::harness::{Design, lint, workspace};

#[test]
fn every_block_has_its_five_files() {
    let mut missing = Vec::new();
    for block in BLOCKS {
        let x = block.stem;
        for file in [
            format!("spec/src/block/{x}.rs"),
            format!("sim/src/block/{x}.rs"),
            format!("rtl/verilog/{x}.sv"),
            format!("testbench/tests/{x}.rs"),
            format!("docs/blocks/{x}.md"),
        ] {
            if !workspace().join(&file).is_file() {
                missing.push(file);
            }
        }
        if leaves::source(x).is_none() {
            missing.push(format!("the line \"{x}\" of LEAVES in rtl/src/leaves.rs"));
        }
    }
    assert!(missing.is_empty(), "missing: {missing:#?}");
}

#[test]
fn every_verilog_file_is_embedded_and_every_stem_is_unique() {
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(workspace().join("rtl/verilog")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        files.extend(name.strip_suffix(".sv").map(str::to_owned));
    }
    let embedded: BTreeSet<String> = leaves::LEAVES.iter().map(|l| l.stem.to_owned()).collect();
    assert_eq!(files, embedded, "files of rtl/verilog and LEAVES of rtl/src/leaves.rs");
    assert_eq!(embedded.len(), leaves::LEAVES.len(), "a stem twice in LEAVES");
    let blocks: BTreeSet<&str> = BLOCKS.iter().map(|b| b.stem).collect();
    assert_eq!(blocks.len(), BLOCKS.len(), "a stem twice in BLOCKS");
}

#[test]
fn verilog_ports_are_the_contracts_in_name_direction_width_and_order() {
    for block in BLOCKS {
        let examples = (block.examples)();
        assert!(examples.len() >= 2, "{}: at least two examples expected", block.stem);
        let mut widths = BTreeSet::new();
        for interface in examples {
            let design = Design::from_interface(&interface).unwrap();
            let Some(found) = lint::ports(&design).unwrap() else { return };
            let expected: Vec<_> =
                interface.ports.iter().map(|p| lint::VerilogPort { name: p.name.to_owned(), dir: p.dir, width: p.width }).collect();
            assert_eq!(found, expected, "{} {:?}: Verilog (left), contract (right)", block.stem, interface.verilog_params);
            let params: Vec<i64> = interface.verilog_params.iter().map(|p| p.1).collect();
            widths.insert((interface.ports.iter().map(|p| p.width).collect::<Vec<_>>(), params));
        }
        assert!(widths.len() >= 2, "{}: examples with different widths or parameters expected", block.stem);
    }
}

#[test]
fn contract_ports_follow_the_naming_rules() {
    for block in BLOCKS {
        for interface in (block.examples)() {
            let at = |role: &Role| interface.ports.iter().position(|p| p.role == *role);
            assert_eq!(at(&Role::Clock), Some(0), "{}: clk first", block.stem);
            assert!(at(&Role::Reset).is_none_or(|i| i == 1), "{}: rst second", block.stem);
            for port in &interface.ports {
                assert!(port.width > 0, "{} {}: width 0", block.stem, port.name);
                // An AXI channel is named as in its standard: s_awvalid, m_rdata.
                let of = |s: &str| if s.starts_with("s_") || s.starts_with("m_") { s.to_owned() } else { format!("{s}_") };
                match &port.role {
                    Role::Valid(s) => assert_eq!(port.name, of(s) + "valid", "{}", block.stem),
                    Role::Ready(s) => assert_eq!(port.name, of(s) + "ready", "{}", block.stem),
                    Role::Payload(s) => assert!(port.name.starts_with(&of(s)), "{} {}", block.stem, port.name),
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn verilator_yosys_and_icarus_take_every_leaf_without_a_warning() {
    for leaf in leaves::LEAVES {
        let design = lint::leaf(leaf.stem).unwrap();
        lint::verilator(&design).unwrap();
        lint::yosys(&design).unwrap();
        lint::icarus(&design).unwrap();
    }
}

#[test]
fn verilator_takes_every_example_of_every_block_without_a_warning() {
    for block in BLOCKS {
        for interface in (block.examples)() {
            lint::verilator(&Design::from_interface(&interface).unwrap()).unwrap();
        }
    }
}
