//! The messages of section "bad input" that need no model file of their own (those are in bad_model.rs): images, packed weights,
//! configurations, missing tools, outputs that cannot be written. Each names the item, what was expected and found, and the remedy; the
//! texts are snapshots, so a change of one is seen.

mod support;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use support::program::{Folder, refusal, root, tritforge};
use support::skipped;
use tritforge_spec::config::AccelConfig;
use tritforge_spec::hw::{AttnShape, Hw};
use tritforge_spec::image::Image;
use tritforge_spec::pack::Section;
use tritforge_spec::reference::AttnParams;
use tritforge_spec::reference::random::RandomModel;

fn config(name: &str) -> String {
    fs::read_to_string(root().join(format!("configs/{name}.toml"))).unwrap()
}

#[test]
fn an_image_that_does_not_belong_to_the_hardware_or_is_damaged() {
    let random = RandomModel::small(64, 2, 1, 32);
    let int = random.build(4);
    let layers: Vec<&AttnParams> = int.layers.iter().map(|l| &l.attn).collect();
    let hw = |text: String, shape: AttnShape| Hw::new(AccelConfig::from_toml(&text).unwrap(), shape).unwrap();
    let small = hw(config("small"), random.shape.clone());
    let image = Image::build(&small, &layers, 7).unwrap();
    let first = image.layout.layers[0] as usize * small.word_bits() / 8;
    let mut found = String::new();
    let mut add = |case: &str, hw: &Hw, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = image.bytes.clone();
        change(&mut bytes);
        let said = Image::parse(hw, &bytes).expect_err(case).to_string();
        // Hashes and checksums follow every change of the contract.
        let hidden = |word: &str| match word.strip_prefix("0x") {
            Some(digits) if digits.len() > 6 => format!("HASH{}", digits.trim_start_matches(|c: char| c.is_ascii_hexdigit())),
            _ => word.to_owned(),
        };
        let words: Vec<String> = said.split(' ').map(hidden).collect();
        writeln!(found, "{case}\n    {}", words.join(" ")).unwrap();
    };
    add("empty", &small, &|b| b.clear());
    add("cut", &small, &|b| b.truncate(first + 5));
    add("no image", &small, &|b| b[..8].copy_from_slice(b"GGUF\x03\0\0\0"));
    add("another version", &small, &|b| b[8] = 9);
    add("damaged table", &small, &|b| b[50] ^= 1);
    add("damaged weights", &small, &|b| b[first + 70] ^= 4);
    add("another configuration", &hw(config("kv260"), random.shape.clone()), &|_| {});
    add("another softmax ROM", &hw(config("small").replace("rom_bits = 15", "rom_bits = 12"), random.shape.clone()), &|_| {});
    add("another model's shape", &hw(config("small"), AttnShape { dim: 96, ..random.shape.clone() }), &|_| {});
    insta::assert_snapshot!(found);
}

#[test]
fn a_byte_that_codes_no_trits_in_the_packed_stream() {
    let mut found = String::new();
    for (name, byte) in [("small", 243), ("small", 255), ("two-bit", 0b10)] {
        let section = Section::of(&AccelConfig::from_toml(&config(name)).unwrap(), 3, 100).unwrap();
        let mut bytes = section.pack(&[1; 300]).unwrap();
        bytes[21] = byte;
        writeln!(found, "{name}: {byte}\n    {}", section.unpack(&bytes).unwrap_err()).unwrap();
        bytes.pop();
        writeln!(found, "{name}: a byte short\n    {}", section.unpack(&bytes).unwrap_err()).unwrap();
    }
    insta::assert_snapshot!(found);
}

#[test]
fn configurations_out_of_range_or_contradicting_the_model() {
    let folder = Folder::new("configs");
    let path = folder.0.join("c.toml");
    let small = config("small");
    let mut found = String::new();
    let mut add = |from: &str, to: &str, model: &Path| {
        assert!(small.contains(from), "{from}");
        fs::write(&path, small.replace(from, to)).unwrap();
        let mut command = tritforge();
        command.arg("emit").arg("--model").arg(model).arg("--config").arg(&path).arg("--out").arg(folder.0.join("bundle"));
        writeln!(found, "{from} -> {to}\n{}", refusal(command)).unwrap();
    };
    let embedded = support::embedded("stories3m.tq1_0.gguf");
    for (from, to) in [
        ("\"small\"", "\"\""),
        ("\"small\"", "\"two\\nlines\""),
        ("lanes = 80", "lanes = 81"),
        ("lanes = 80", "lanes = \"many\""),
        ("lanes = 80\n", ""),
        ("batch = 4", "batch = 17"),
        ("vec = 4", "vec = 3"),
        ("vec = 4", "vec = 8"),
        ("ports = 1", "ports = 33"),
        ("port_bits = 128", "port_bits = 100"),
        ("\"base3\"", "\"base4\""),
        ("rom_log2 = 8", "rom_log2 = 13"),
        ("rom_bits = 15", "rom_bits = 2"),
        ("kv_bits = 8", "kv_bits = 7"),
        ("weight_fifo = 64", "weight_fifo = 0"),
        ("aux_fifo = 64", "aux_fifo = 8"),
        ("burst = 16", "burst = 12"),
        ("outstanding = 4", "outstanding = 0"),
        ("slots = 1", "slots = 0"),
        ("context = 2048", "context = 0"),
        ("clock_mhz = 100.0", "clock_mhz = nan"),
    ] {
        add(from, to, &embedded);
    }
    // Valid each for itself, but the contract's dimensions end at 16384, in steps of 16, and heads at 128.
    for shape in ["layers=1,dim=72,heads=2,head_dim=32,ffn=32,vocab=8,ctx=8", "layers=1,dim=64,heads=2,head_dim=144,ffn=32,vocab=8,ctx=8"] {
        let model = folder.0.join("m.gguf");
        let made = tritforge().args(["synth-model", "--shape", shape, "--type", "f16", "--force", "--out"]).arg(&model).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        add("name = \"small\"", &format!("name = \"small, {shape}\""), &model);
    }
    assert_eq!(folder.files(), ["c.toml", "m.gguf"], "no bundle, no part of one");
    insta::assert_snapshot!(found.replace(folder.0.to_str().unwrap(), "DIR"));
}

#[test]
fn a_tool_that_is_missing() {
    let mut found = String::new();
    // A folder without .tools and a PATH without anything.
    for arguments in [
        &["synth", "--config", "configs/small.toml", "--target", "ecp5", "--blocks", "route_a"][..],
        &["verify", "--model", "models/stories3m.tq1_0.gguf", "--config", "configs/small.toml"],
        &["verify", "--random-configs", "1"],
    ] {
        if arguments[0] == "verify" && root().join(".tools/bin/verilator").exists() {
            skipped("verify without Verilator: the project's own is found without PATH");
            continue;
        }
        let mut command = tritforge();
        let absolute = |a: &&str| if a.contains('/') { root().join(a).into_os_string() } else { (*a).into() };
        command.args(arguments.iter().map(absolute)).current_dir(env!("CARGO_TARGET_TMPDIR")).env("PATH", "").env_remove("CI");
        writeln!(found, "{}\n    {}", arguments.join(" "), refusal(command)).unwrap();
    }
    if !root().join(".tools/bin/verilator").exists() {
        insta::assert_snapshot!(found);
    }
}

/// The program where no file may grow beyond `blocks` of 512 bytes: what a full disk answers, without a disk.
fn on_a_full_disk(blocks: u32, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.current_dir(root()).args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
    command.arg(env!("CARGO_BIN_EXE_tritforge")).args(arguments);
    command
}

const SIM: [&str; 9] =
    ["sim", "--model", "models/stories3m.tq1_0.gguf", "--config", "configs/small.toml", "--tokens", "1", "--layers", "0..1"];

#[test]
fn a_full_disk_leaves_no_partial_output() {
    let folder = Folder::new("full");
    let out = |name: &str| folder.file(name);
    let (bundle, model, demo) = (out("bundle"), out("m.gguf"), out("demo"));
    let emit = ["emit", "--model", "models/stories3m.tq1_0.gguf", "--config", "configs/small.toml", "--out", &bundle];
    let shape = "layers=1,dim=64,heads=2,kv=1,head_dim=48,ffn=96,vocab=270,ctx=8";
    let mut found = String::new();
    let mut add = |what: &str, blocks: u32, arguments: &[&str]| {
        let out = on_a_full_disk(blocks, arguments).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{what}: {out:?}");
        // What ran before may have said its results.
        let said = String::from_utf8(out.stderr).unwrap();
        writeln!(found, "{what}\n    {}", said.lines().find(|line| line.starts_with("error: ")).unwrap_or(&said)).unwrap();
    };
    // The image is larger, all sources are smaller: the bundle breaks off in the middle.
    add("emit", 200, &emit);
    add("synth-model", 4, &["synth-model", "--shape", shape, "--out", &model]);
    for option in ["--json", "--timeline", "--gantt", "--wave"] {
        add(&format!("sim {option}"), 1, &[&SIM[..], &[option, &out("result")]].concat());
    }
    assert_eq!(folder.files(), [""; 0], "nothing stays of a broken output");
    add("demo", 200, &["demo", "--out", &demo, "--docs", "0", "--decode", "1"]);
    assert_eq!(fs::read_dir(&demo).unwrap().count(), 0, "no partial file of the demo");
    insta::assert_snapshot!(found.replace(folder.0.to_str().unwrap(), "DIR"));
}

#[test]
fn results_that_standard_output_does_not_take() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = tritforge();
    let out = command.args(SIM).args(["--json", "-"]).stdout(full).output().unwrap();
    assert_eq!(out.status.code(), Some(2), "{out:?}");
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(said.contains("error: cannot write JSON to standard output: No space left on device"), "{said}");
}

#[test]
fn a_place_that_cannot_be_written() {
    // Below a file and in the kernel's own tree nothing can be made, by root neither.
    let folder = Folder::new("place");
    let file = folder.0.join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("x").into_os_string().into_string().unwrap();
    let mut found = String::new();
    for place in [below.as_str(), "/proc/tritforge"] {
        for arguments in [
            &["emit", "--model", "models/stories3m.tq1_0.gguf", "--config", "configs/small.toml", "--out", place][..],
            &["demo", "--out", place],
            &["synth-model", "--shape", "layers=1,dim=64,heads=2,ffn=96,vocab=270,ctx=8", "--out", place],
        ] {
            let mut command = tritforge();
            command.args(arguments);
            writeln!(found, "{} --out {place}\n    {}", arguments[0], refusal(command)).unwrap();
        }
    }
    assert_eq!(folder.files(), ["file"]);
    insta::assert_snapshot!(found.replace(folder.0.to_str().unwrap(), "DIR"));
}
