//! Area as yosys estimates it, and how wrong use is answered.

mod support;

use std::process::{Command, Output};

use support::program::{present, root, tritforge};
use tritforge_testbench::harness::yosys;

fn synth(arguments: &[&str]) -> Command {
    let mut command = tritforge();
    command.args(["synth", "--config"]).arg(root().join("configs/small.toml")).args(arguments);
    command
}

fn output(mut command: Command) -> Output {
    command.output().unwrap()
}

fn yosys_is_here() -> bool {
    present(yosys(), "yosys", "area")
}

#[test]
fn the_ternary_array_takes_no_multiplier_and_the_json_has_its_keys() {
    if !yosys_is_here() {
        return;
    }
    let done = output(synth(&["--target", "ecp5", "--blocks", "tmac,route_a,route_w", "--json", "-"]));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let json: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((json["kind"].as_str(), json["target"].as_str()), (Some("estimated"), Some("ecp5")));
    insta::assert_snapshot!("json_keys", support::key_tree(&json));
    let blocks = json["blocks"].as_array().unwrap();
    assert_eq!(blocks.iter().map(|b| b["name"].as_str().unwrap()).collect::<Vec<_>>(), ["route_w", "route_a", "tmac"]);
    for key in ["lut", "ff", "bram", "dsp"] {
        let sum: u64 = blocks.iter().map(|b| b[key].as_u64().unwrap()).sum();
        assert_eq!(json["total"][key].as_u64(), Some(sum), "{key}");
    }
    let tmac = &blocks[2];
    assert_eq!(tmac["dsp"], 0);
    assert!(tmac["lut"].as_u64() > Some(80) && tmac["ff"].as_u64() > Some(80), "{tmac}");
    let table = String::from_utf8_lossy(&done.stderr);
    assert!(
        table.contains("estimated area of small (hw ") && table.contains("on ecp5, a block at a time") && table.contains("total"),
        "{table}"
    );
}

#[test]
fn without_a_model_the_hardware_is_that_of_the_embedded_one() {
    if !yosys_is_here() {
        return;
    }
    // The hash holds every dimension of the model's shape.
    let hash = |more: &[&str]| {
        let done = output(synth(&[&["--target", "ecp5", "--blocks", "route_a", "--json", "-"], more].concat()));
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let json: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        json["hw_hash"].as_str().unwrap().to_owned()
    };
    let embedded = concat!(env!("CARGO_MANIFEST_DIR"), "/models/stories3m.tq1_0.gguf");
    assert_eq!(hash(&[]), hash(&["--model", embedded]));
}

#[test]
fn an_unknown_block_and_a_missing_yosys_exit_with_2_and_say_what_to_do() {
    let unknown = output(synth(&["--target", "gowin", "--blocks", "nothing"]));
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("no block 'nothing'; expected some of regs, ctrl"));
    // A folder without .tools and a PATH without anything.
    let mut command = synth(&["--target", "gowin", "--blocks", "route_a"]);
    command.current_dir(env!("CARGO_TARGET_TMPDIR")).env("PATH", "");
    let missing = output(command);
    assert_eq!(missing.status.code(), Some(2));
    let said = String::from_utf8_lossy(&missing.stderr);
    assert!(said.contains("yosys: not found in .tools/bin or on PATH; install it with `make tools`"), "{said}");
}
