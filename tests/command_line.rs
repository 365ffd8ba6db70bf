//! The program as a user meets it: exit codes, where output goes, what is left behind.

mod support;

use std::process::Output;

use support::program::{self, Folder, stderr};
use tritforge::model::Model;

fn tritforge(args: &[&str]) -> Output {
    program::tritforge().args(args).output().unwrap()
}

const SHAPE: &str = "layers=1,dim=64,heads=2,kv=1,head_dim=48,ffn=96,vocab=270,ctx=8";

#[test]
fn synth_model_writes_a_model_that_can_be_read_and_exits_with_0() {
    let folder = Folder::new("synth");
    let path = folder.file("m.gguf");
    let output = tritforge(&["synth-model", "--shape", SHAPE, "--seed", "9", "--type", "tq1_0", "--out", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let model = Model::open(path.as_ref()).unwrap();
    assert_eq!((model.shape.query_dim(), model.shape.kv_dim(), model.shape.vocab), (96, 48, 270));
    assert_eq!(folder.files().len(), 1, "no partial file is left");
}

#[test]
fn wrong_use_and_unusable_shapes_exit_with_2_and_one_message() {
    let folder = Folder::new("wrong");
    let out = folder.file("m.gguf");
    let mut found = String::new();
    for shape in [
        "",
        "layers=1",
        "layers=1,dim=64,heads=2,ffn",
        "layers=1,dim=64,heads=2,ffn=96,depth=2",
        "layers=1,dim=64,heads=2,ffn=96,dim=64",
        "layers=1,dim=-4,heads=2,ffn=96",
        "layers=1,dim=64,heads=0,ffn=96",
        "layers=1,dim=64,heads=6,kv=4,head_dim=32,ffn=96",
        "layers=1,dim=64,heads=2,head_dim=33,ffn=96",
        "layers=1,dim=64,heads=2,ffn=96,vocab=3",
        "layers=1,dim=64,heads=2,ffn=96,theta=nan",
        "layers=1,dim=64,heads=2,ffn=96,act=tanh",
        "layers=1,dim=64,heads=2,ffn=99999999999",
        "layers=1,dim=68,heads=3,ffn=96",
        "layers=16777216,dim=16777216,heads=2,ffn=16777216",
    ] {
        let output = tritforge(&["synth-model", "--shape", shape, "--out", &out]);
        assert_eq!(output.status.code(), Some(2), "{shape}");
        found += &format!("{shape}\n    {}", stderr(&output));
    }
    for (name, near) in [("q4k", "; did you mean q4_k?"), ("TQ20", "; did you mean tq2_0?"), ("ternary", "tq2_0, i2_s\n")] {
        let output = tritforge(&["synth-model", "--shape", SHAPE, "--type", name, "--out", &out]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(stderr(&output).contains(near), "{name}: {}", stderr(&output));
    }
    assert_eq!(tritforge(&["synth-model"]).status.code(), Some(2), "arguments are missing");
    assert_eq!(tritforge(&["no-such-command"]).status.code(), Some(2));
    assert_eq!(folder.files().len(), 0, "nothing is left behind");
    insta::assert_snapshot!(found);
}

#[test]
fn generated_files_are_the_contracts_and_a_wrong_one_is_named() {
    let root = env!("CARGO_MANIFEST_DIR");
    let output = tritforge(&["gen", "--check", "--root", root]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));

    let folder = Folder::new("gen");
    let own = folder.0.to_str().unwrap();
    assert_eq!(tritforge(&["gen", "--root", own]).status.code(), Some(0));
    assert_eq!(tritforge(&["gen", "--check", "--root", own]).status.code(), Some(0));
    std::fs::write(folder.file("docs/registers.md"), "by hand").unwrap();
    std::fs::remove_file(folder.file("rtl/generated/regmap_pkg.sv")).unwrap();
    let output = tritforge(&["gen", "--check", "--root", own]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("docs/registers.md differs from the contract; run `tritforge gen`"), "{said}");
    assert!(said.contains("rtl/generated/regmap_pkg.sv cannot be read") && said.lines().count() == 2, "{said}");

    let output = tritforge(&["gen", "--check", "--root", &folder.file("nothing")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("nothing: no such folder; give the project's root"), "{}", stderr(&output));
}

#[test]
fn an_output_that_cannot_be_written_exits_with_2_and_names_the_path() {
    let folder = Folder::new("unwritable");
    let target = folder.file("none/m.gguf");
    let output = tritforge(&["synth-model", "--shape", SHAPE, "--out", &target]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with(&format!("error: cannot write {target}: choose a writable folder")), "{}", stderr(&output));
    // A folder in the file's place: the complete neighbour cannot take its name, and is removed.
    let output = tritforge(&["synth-model", "--shape", SHAPE, "--out", folder.0.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(folder.files().len(), 0);
}

#[test]
fn a_reader_that_closes_the_pipe_is_no_error_and_no_check_that_held() {
    let mut child = program::tritforge()
        .args(["inspect", "models/stories3m.tq1_0.gguf"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(141), ""));
}
