//! `tritforge verify` as a script meets it: the embedded model's layers in lockstep with the Verilated RTL, and the keys of its JSON.

mod support;

use support::program::{present, root, tritforge};
use tritforge::compile::Target;
use tritforge_testbench::builds::tops;
use tritforge_testbench::harness::verilator;

#[test]
fn the_embedded_model_holds_in_lockstep_and_the_json_has_its_keys() {
    let (model, config) = (support::embedded("stories3m.tq1_0.gguf"), root().join("configs/small.toml"));
    // What the program builds is in the list of builds.
    assert_eq!(Target::open(&model, &config).unwrap().hw, tops::named("embedded").hw);
    if !present(verilator(), "verilator", "the embedded model in lockstep") {
        return;
    }
    let mut command = tritforge();
    command.args(["verify", "--model"]).arg(&model).arg("--config").arg(&config);
    let done = command.args(["--seconds", "0", "--runs", "1", "--seed", "4", "--json", "-"]).output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let json: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    insta::assert_snapshot!(support::key_tree(&json));
    assert_eq!((json["runs"].as_u64(), json["mismatches"].as_u64(), json["seed"].as_u64()), (Some(1), Some(0), Some(4)));
    // 3 passes of prompt and 2 decoded tokens over 4 layers, thousands of cycles each.
    assert!(json["cycles_compared"].as_u64() > Some(20_000), "{json}");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("0 mismatches"), "{said}");
}
