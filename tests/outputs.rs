//! What results may do to what is there: inputs stay, signals leave nothing, full and closed outputs are no crash, names from files
//! cannot steer a terminal.

mod support;

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::program::{self, Folder, refusal, stderr};
use support::{embedded, test_data};
use tritforge::model::gguf::{GgufWriter, Metadata, TensorType};

const SHAPE: &str = "layers=1,dim=64,heads=2,kv=1,head_dim=48,ffn=96,vocab=270,ctx=8";

fn tritforge(args: &[&str]) -> Output {
    program::tritforge().args(args).output().unwrap()
}

fn said(args: &[&str]) -> String {
    let mut command = program::tritforge();
    command.args(args);
    refusal(command)
}

/// All files of a folder with their bytes.
fn content(folder: &Folder) -> Vec<(String, Vec<u8>)> {
    folder.files().into_iter().map(|name| (name.clone(), fs::read(folder.0.join(name)).unwrap())).collect()
}

#[test]
fn no_file_that_convert_reads_is_replaced_by_force() {
    let from = program::root().join("tests/golden/hf/llama-tied-yarn");
    let folder = Folder::new("outputs-convert");
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.0.join(path.file_name().unwrap())).unwrap();
    }
    // It need not be one that is understood: it is read.
    fs::write(folder.file("tokenizer.json"), "{}").unwrap();
    let before = content(&folder);
    assert!(before.len() >= 3);
    for (name, _) in &before {
        let refused = said(&["convert", folder.0.to_str().unwrap(), &folder.file(name), "--type", "f32", "--force"]);
        assert!(refused.contains("expected another file than those that are read"), "{name}: {refused}");
    }
    assert!(content(&folder) == before);

    let (Some(model), Some(tokenizer)) = (test_data("llama2c/stories260K.bin"), test_data("llama2c/tok512.bin")) else { return };
    let folder = Folder::new("outputs-llama2c");
    fs::copy(model, folder.file("m.bin")).unwrap();
    fs::copy(tokenizer, folder.file("tok512.bin")).unwrap();
    let before = content(&folder);
    for name in ["m.bin", "tok512.bin"] {
        let refused = said(&["convert", &folder.file("m.bin"), &folder.file(name), "--type", "f32", "--force"]);
        assert!(refused.contains("expected another file than those that are read"), "{name}: {refused}");
    }
    assert!(content(&folder) == before);
}

#[test]
fn no_result_of_any_command_replaces_a_file_that_is_read() {
    let folder = Folder::new("outputs-inputs");
    let (model, config, text) = (folder.file("m.svg"), folder.file("c.toml"), folder.file("t.txt"));
    fs::copy(embedded("stories3m.tq2_0.gguf"), &model).unwrap();
    fs::copy(program::root().join("configs/small.toml"), &config).unwrap();
    fs::write(&text, "Once").unwrap();
    let (trace, link) = (folder.file("trace.safetensors"), folder.file("link.gguf"));
    let ids = ["--tokens", "1,5"];
    let traced = tritforge(&[&["trace", "--model", &model, "--out", &trace][..], &ids].concat());
    assert_eq!(traced.status.code(), Some(0), "{}", stderr(&traced));
    std::os::unix::fs::symlink(&model, &link).unwrap();
    let before = content(&folder);
    let sim = ["sim", "--model", &model, "--config", &config, "--tokens", "1,5", "--layers", "0..1", "--timing-only"];
    let diff = ["diff", "float", &trace, "--model", &model];
    let run = ["run", "--model", &model, "--greedy", "-n", "1"];
    let commands: [&[&str]; 10] = [
        &[&["trace", "--model", &model, "--out", &model][..], &ids].concat(),
        &[&["trace", "--model", &link, "--out", &model][..], &ids].concat(),
        &["inspect", &model, "--json", &model],
        &[&run[..], &ids, &["--json", &model]].concat(),
        &["run", "--model", &model, "--perplexity", &text, "--json", &text],
        &[&diff[..], &["--plot", &model]].concat(),
        &[&diff[..], &["--json", &trace]].concat(),
        &[&sim[..], &["--timeline", &model]].concat(),
        &[&sim[..], &["--gantt", &config]].concat(),
        &[&sim[..], &["--json", &config]].concat(),
    ];
    for args in commands {
        let out = tritforge(args);
        assert_eq!(out.status.code(), Some(2), "{args:?}: {}", stderr(&out));
        assert!(stderr(&out).contains("expected another file than those that are read"), "{args:?}: {}", stderr(&out));
        assert!(content(&folder) == before, "{args:?}");
    }
    // Its own older result it may replace.
    let json = folder.file("inspect.json");
    for _ in 0..2 {
        assert_eq!(tritforge(&["inspect", &model, "--json", &json]).status.code(), Some(0));
    }
}

#[test]
fn an_output_that_is_no_file_is_called_what_it_is() {
    let folder = Folder::new("outputs-kinds");
    let (here, new) = (folder.0.to_str().unwrap().to_owned(), folder.file("new/"));
    let model = embedded("stories3m.tq2_0.gguf").to_str().unwrap().to_owned();
    for (out, kind) in [(here.as_str(), "found a folder;"), ("/dev/null", "found a device or pipe;"), (&new, "found that of a folder;")] {
        let refused = said(&["convert", &model, out, "--type", "f16"]);
        assert!(refused.contains(kind) && !refused.contains("--force"), "{refused}");
        assert!(said(&["synth-model", "--shape", SHAPE, "--out", out]).contains(kind));
    }
    assert_eq!(folder.files().len(), 0);
}

#[test]
fn a_model_that_is_there_is_replaced_only_with_force() {
    let folder = Folder::new("outputs-force");
    let path = folder.file("m.gguf");
    fs::write(&path, "precious").unwrap();
    let args = ["synth-model", "--shape", SHAPE, "--out", &path];
    assert!(said(&args).contains("expected nothing there, found a file; give --out another name, or --force to replace it"));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    assert!(program::tritforge().args(args).arg("--force").output().unwrap().status.success());
    assert!(fs::read(&path).unwrap().starts_with(b"GGUF"));
}

#[test]
fn a_signal_ends_the_command_and_leaves_no_partial_file() {
    let folder = Folder::new("outputs-signals");
    // Takes minutes.
    let args = ["synth-model", "--shape", "3b", "--out", &folder.file("m.gguf")];
    let until = |what: &str, holds: &mut dyn FnMut() -> bool| {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    for (name, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        // Whoever runs the tests may ignore some of them.
        let mut command = Command::new("env");
        command.args(["--default-signal", env!("CARGO_BIN_EXE_tritforge")]).args(args).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        until("a partial file", &mut || folder.files().len() == 1);
        assert!(Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().signal(), Some(number));
        assert_eq!(folder.files(), [""; 0], "{name}");
    }
    // A signal that whoever started the command ignores stays ignored.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_tritforge")]).args(args).stderr(Stdio::null());
    let mut child = shell.spawn().unwrap();
    until("a partial file", &mut || folder.files().len() == 1);
    for name in ["HUP", "TERM"] {
        assert!(Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap().success());
    }
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    assert_eq!(folder.files(), [""; 0]);
}

#[test]
fn a_full_or_closed_output_is_no_crash() {
    let folder = Folder::new("outputs-full");
    let model = embedded("stories3m.tq2_0.gguf").to_str().unwrap().to_owned();
    let nothing = folder.file("nothing");
    fs::create_dir(&nothing).unwrap();
    let (gguf, trace) = (folder.file("m.gguf"), folder.file("t.safetensors"));
    let commands: [&[&str]; 6] = [
        &["convert", &model, &gguf, "--type", "tq1_0", "--force"],
        &["synth-model", "--shape", SHAPE, "--out", &gguf, "--force"],
        &["trace", "--model", &model, "--tokens", "1", "--out", &trace],
        &["gen", "--check", "--root", &nothing],
        &["inspect", &model],
        &["diff", "float", "f32", "--model", &model, "--tokens", "1,5"],
    ];
    for args in commands {
        let full = || File::options().write(true).open("/dev/full").unwrap();
        let out = program::tritforge().args(args).stdout(full()).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{args:?}: {}", stderr(&out));
        assert!(stderr(&out).contains("error: cannot write to standard output: No space left"), "{args:?}: {}", stderr(&out));
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let out = program::tritforge().args(args).stdout(writer).output().unwrap();
        assert_eq!((out.status.code(), stderr(&out).as_str()), (Some(141), ""), "{args:?}");
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    let out = program::tritforge().args(["inspect", &gguf, "--json", &gguf]).stderr(full).output().unwrap();
    assert_eq!(out.status.code(), Some(2));
}

/// A pipe cannot be mapped, and opening one that nobody writes to would wait for ever.
#[test]
fn a_pipe_as_an_input_is_refused_at_once() {
    let folder = Folder::new("pipe-in");
    let pipe = folder.file("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (args, expected) in [
        (vec!["inspect", &pipe], "expected a regular file, found a device or pipe; a model is mapped into memory"),
        (vec!["run", "--tokens", "1", "--model", "/dev/null"], "/dev/null: expected a regular file, found a device or pipe"),
        (vec!["diff", &pipe, &pipe], "file: expected a safetensors file, found no regular file"),
    ] {
        let said = said(&args);
        assert!(said.contains(expected), "{args:?}: {said}");
    }
}

#[test]
fn names_from_files_cannot_steer_a_terminal() {
    let folder = Folder::new("outputs-names");
    let own = folder.file("\u{1b}[2J");
    fs::create_dir(&own).unwrap();
    let mut file = GgufWriter::new();
    file.metadata("general.architecture", &Metadata::Text("\u{1b}[31m".into()));
    let bytes: Vec<u8> = (0..4 * 96).flat_map(|at| (at as f32 - 100.0).to_le_bytes()).collect();
    file.tensor("blk.0.\u{1b}[1m.weight", TensorType::F32, &[96, 4], &bytes);
    let model = format!("{own}/m.gguf");
    fs::write(&model, file.finish()).unwrap();
    let shards = format!("{own}/shards");
    fs::create_dir(&shards).unwrap();
    fs::copy(program::root().join("tests/golden/hf/mixtral/config.json"), format!("{shards}/config.json")).unwrap();
    let index = r#"{"weight_map": {"a": "\u001b[5m.safetensors"}}"#;
    fs::write(format!("{shards}/model.safetensors.index.json"), index).unwrap();
    let out = format!("{own}/out.gguf");
    let converted = tritforge(&["convert", &model, &out, "--type", "tq1_0", "--ternarise"]);
    assert_eq!(converted.status.code(), Some(0), "{}", stderr(&converted));
    for output in [
        converted,
        tritforge(&["convert", &model, &out, "--type", "q4_k"]),
        tritforge(&["inspect", &model, "--brief"]),
        tritforge(&["inspect", &shards]),
        tritforge(&["convert", &own, &folder.file("x.gguf"), "--type", "f32"]),
        tritforge(&["run", "--model", &model, "--tokens", "1"]),
    ] {
        let all = [output.stdout, output.stderr].concat();
        assert!(!all.is_empty() && !all.contains(&0x1b), "{}", String::from_utf8_lossy(&all).escape_debug());
    }
}
