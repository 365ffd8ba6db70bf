//! `tritforge sim` as a user meets it: the JSON adds up, the wave holds the handshakes, wrong input gives one message and exit code 2.

mod support;

use std::collections::HashMap;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use support::program::{Folder, tritforge};

const MODEL: &str = "models/stories3m.tq1_0.gguf";

fn sim(config: &str, args: &[&str]) -> Output {
    tritforge().args(["sim", "--model", MODEL, "--config", config]).args(args).output().unwrap()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

#[test]
fn json_holds_what_scripts_rely_on_and_every_cycle_is_in_one_cause() {
    for (config, memory) in [("configs/small.toml", "40"), ("configs/kv260.toml", "100,1/2,4"), ("configs/two-bit.toml", "ideal")] {
        let run = |mode: &[&str]| {
            let args = ["--tokens", "1,403,407,261,378", "--decode", "2", "--layers", "1..3", "--memory", memory, "--json", "-"];
            let out = sim(config, &[&args, mode].concat());
            assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
            serde_json::from_slice::<Value>(&out.stdout).unwrap()
        };
        let json = run(&["--mode", "step"]);
        // The other modes differ in what says how they were run, and in nothing else.
        let same = |mode: &[&str], values: bool| {
            let mut other = run(mode);
            for key in ["command", "mode", "remembered", "counters"] {
                assert_ne!(other[key], json[key], "{config} {mode:?}: {key}");
                other[key] = json[key].clone();
            }
            if !values {
                assert_eq!(number(&std::mem::replace(&mut other["values_checked"], json["values_checked"].clone())), 0);
            }
            assert_eq!(other, json, "{config} {mode:?}");
        };
        same(&[], true);
        same(&["--timing-only"], false);
        if memory == "40" {
            insta::assert_debug_snapshot!([
                keys(&json),
                keys(&json["layers"][0]),
                keys(&json["layers"][0]["waits"]),
                keys(&json["layers"][0]["stages"])
            ]);
        }
        assert_eq!(json["kind"], "simulated");
        let layers = json["layers"].as_array().unwrap();
        assert_eq!(layers.iter().map(|l| number(&l["layer"])).collect::<Vec<_>>(), [1, 2]);
        let sum = |waits: &Value| waits.as_object().unwrap().values().map(number).sum::<u64>();
        for of in layers.iter().chain([&json["prefill"], &json["decode"]]) {
            assert_eq!(sum(&of["waits"]), number(&of["cycles"]), "{config}: causes add up to the cycles: {of}");
        }
        let total: u64 = layers.iter().map(|l| number(&l["cycles"])).sum();
        assert_eq!(total, number(&json["cycles"]));
        assert_eq!(total, number(&json["prefill"]["cycles"]) + number(&json["decode"]["cycles"]));
        // 5 prompt tokens in passes of 4 and 1, and 2 decoded: 4 passes of 2 layers. Rows of 256 trits: Q 256, K 128, V 128, O 256.
        let lanes = if config.contains("small") {
            80usize
        } else if config.contains("kv260") {
            320
        } else {
            64
        };
        let words = 768 * 256usize.div_ceil(lanes) as u64;
        let computing: u64 = layers.iter().map(|l| number(&l["waits"]["computing"])).sum();
        assert_eq!(computing, 4 * 2 * words, "{config}: array words");
        let mhz = json["clock_mhz"].as_f64().unwrap();
        let speed = 2.0 * mhz * 1e6 / number(&json["decode"]["cycles"]) as f64;
        assert!((json["tokens_per_second"].as_f64().unwrap() / speed - 1.0).abs() < 1e-9);
        let share = json["bound_share"].as_f64().unwrap();
        assert!(share > 0.1 && share <= 1.0, "{config}: {share} of the memory bound");
        for c in json["counters"].as_array().unwrap().iter().filter(|c| !c["recorder"].is_null()) {
            assert_eq!(c["hardware"], c["recorder"], "{config}: {}", c["name"]);
        }
    }
}

#[test]
fn the_wave_holds_every_sum_of_the_projections_and_only_its_window() {
    let folder = Folder::new("wave");
    let path = folder.file("w.vcd");
    let out = sim("configs/kv260.toml", &["--tokens", "1,403", "--layers", "0..1", "--wave", &path]);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    // Two tokens of 512 rows of Q, K, V, then of 256 rows of O.
    assert_eq!(handshakes(&path, ("tmac", "sum0_valid"), ("rope", "sum_ready")).0, 1024);
    assert_eq!(handshakes(&path, ("tmac", "sum1_valid"), ("resid", "sum_ready")).0, 512);
    let out = sim("configs/kv260.toml", &["--tokens", "1,403", "--layers", "0..1", "--wave", &path, "--wave-cycles", "200..300"]);
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(handshakes(&path, ("tmac", "sum0_valid"), ("rope", "sum_ready")).1, 100, "cycles in the window");
}

#[test]
fn a_wave_of_the_last_pass_is_the_same_whether_those_before_it_were_stepped_or_skipped() {
    let folder = Folder::new("wave-skip");
    let wave = |mode: &str| {
        let path = folder.file(mode);
        let args = ["--tokens", "1,403,407", "--decode", "3", "--layers", "0..2", "--wave-cycles", "29000..32000", "--wave"];
        let out = sim("configs/small.toml", &[&args[..], &[&path, "--mode", mode]].concat());
        assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
        path
    };
    let (step, skip) = (wave("step"), wave("skip"));
    for (valid, ready) in [
        (("tmac", "sum0_valid"), ("rope", "sum_ready")),
        (("kvread", "kv_valid"), ("attn", "kv_ready")),
        (("norm", "act_valid"), ("tmac", "act_ready")),
    ] {
        let expected = handshakes(&step, valid, ready);
        assert_eq!(expected.1, 3000);
        assert_eq!(handshakes(&skip, valid, ready), expected, "{valid:?}");
    }
}

#[test]
fn a_wave_in_fst_holds_every_change_of_the_same_wave_in_vcd() {
    let folder = Folder::new("fst");
    let run = |name: &str| {
        let path = folder.file(name);
        let arguments = ["--tokens", "1", "--layers", "0..1", "--wave-cycles", "300..600", "--wave", &path];
        let out = sim("configs/small.toml", &arguments);
        assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
        path
    };
    let (vcd, fst) = (changes_of_vcd(&run("w.vcd")), changes_of_fst(&run("w.FST")));
    assert!(vcd.len() > 1000, "{} changes", vcd.len());
    assert_eq!(vcd, fst);
}

/// Time, path of the signal, bits: in the order of time and path.
type Changes = std::collections::BTreeSet<(u64, String, String)>;

fn changes_of_vcd(path: &str) -> Changes {
    let mut parser = vcd::Parser::new(std::io::BufReader::new(std::fs::File::open(path).unwrap()));
    let header = parser.parse_header().unwrap();
    assert_eq!(header.timescale, Some((1, vcd::TimescaleUnit::PS)));
    let mut names = HashMap::new();
    fn visit(items: &[vcd::ScopeItem], scope: &str, names: &mut HashMap<vcd::IdCode, String>) {
        for item in items {
            match item {
                vcd::ScopeItem::Scope(s) => visit(&s.items, &format!("{scope}{}.", s.identifier), names),
                vcd::ScopeItem::Var(v) => drop(names.insert(v.code, format!("{scope}{}", v.reference))),
                _ => {}
            }
        }
    }
    visit(&header.items, "", &mut names);
    let (mut now, mut found) = (0, Changes::new());
    for command in parser {
        match command.unwrap() {
            vcd::Command::Timestamp(t) => now = t,
            vcd::Command::ChangeScalar(id, value) => drop(found.insert((now, names[&id].clone(), value.to_string()))),
            vcd::Command::ChangeVector(id, value) => drop(found.insert((now, names[&id].clone(), value.to_string()))),
            other => panic!("{other:?}"),
        }
    }
    found
}

fn changes_of_fst(path: &str) -> Changes {
    use fst_reader::{FstFilter, FstHierarchyEntry, FstReader, FstSignalValue};
    let mut reader = FstReader::open(std::io::BufReader::new(std::fs::File::open(path).unwrap())).unwrap();
    assert_eq!(reader.get_header().timescale_exponent, -12);
    let (mut scopes, mut names) = (Vec::new(), HashMap::new());
    reader
        .read_hierarchy(|entry| match entry {
            FstHierarchyEntry::Scope { name, .. } => scopes.push(name),
            FstHierarchyEntry::UpScope => drop(scopes.pop()),
            FstHierarchyEntry::Var { name, handle, .. } => drop(names.insert(handle.get_index(), format!("{}.{name}", scopes.join(".")))),
            _ => {}
        })
        .unwrap();
    let mut found = Changes::new();
    reader
        .read_signals(&FstFilter::all(), |time, handle, value| {
            let FstSignalValue::String(bits) = value else { panic!("a real") };
            let bits = String::from_utf8(bits.to_vec()).unwrap();
            // Before its first change a signal is unknown.
            if !bits.contains('x') {
                found.insert((time, names[&handle.get_index()].clone(), bits));
            }
            Ok::<(), std::convert::Infallible>(())
        })
        .unwrap();
    found
}

/// Cycles in which both signals are 1, and all cycles of a wave. A cycle's values are those at the falling edge of its clock.
fn handshakes(path: &str, valid: (&str, &str), ready: (&str, &str)) -> (usize, usize) {
    let mut parser = vcd::Parser::new(std::io::BufReader::new(std::fs::File::open(path).unwrap()));
    let header = parser.parse_header().unwrap();
    let code = |s: (&str, &str)| header.find_var(&["top", s.0, s.1]).unwrap_or_else(|| panic!("{s:?} is not in the wave")).code;
    let (clk, valid, ready) = (header.find_var(&["top", "clk"]).unwrap().code, code(valid), code(ready));
    let mut now = HashMap::new();
    let (mut both, mut cycles) = (0, 0);
    for command in parser {
        let vcd::Command::ChangeScalar(id, value) = command.unwrap() else { continue };
        now.insert(id, value);
        if id == clk && value == vcd::Value::V0 {
            cycles += 1;
            both += usize::from([valid, ready].iter().all(|s| now.get(s) == Some(&vcd::Value::V1)));
        }
    }
    (both, cycles)
}

#[test]
fn timeline_gantt_and_context_plot_are_written() {
    let folder = Folder::new("timeline");
    let (timeline, gantt, context) = (folder.file("t.json"), folder.file("g.svg"), folder.file("c.svg"));
    let args = ["--tokens", "1", "--layers", "0..1", "--timeline", &timeline, "--gantt", &gantt, "--context-plot", &context];
    let out = sim("configs/small.toml", &args);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let trace: Value = serde_json::from_slice(&std::fs::read(timeline).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let spans: Vec<&str> = events.iter().filter(|e| e["ph"] == "X").map(|e| e["name"].as_str().unwrap()).collect();
    let expected = [
        "descriptor",
        "constants",
        "load x",
        "norm",
        "qkv projection",
        "rope and quantise",
        "kv write",
        "attention",
        "attention output",
        "sub-norm",
        "o projection",
        "store y",
    ];
    assert_eq!(spans, expected);
    assert!(std::fs::read_to_string(gantt).unwrap().contains("simulated; configuration small"));
    let context = std::fs::read_to_string(context).unwrap();
    assert!(context.contains("layer 0 of models/stories3m.tq1_0.gguf, memory 40 cycles"));
    assert_eq!(context.matches("<circle").count(), 33, "a point a position");
}

#[test]
fn a_model_as_hugging_face_publishes_it_is_simulated_by_ids_without_a_tokenizer() {
    for config in ["configs/small.toml", "configs/kv260.toml"] {
        let model = ["--model", "tests/golden/hf/bitnet-packed", "--config", config];
        let done = tritforge().arg("sim").args(model).args(["--tokens", "1,5,9", "--decode", "2"]).output().unwrap();
        let said = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success() && said.contains("equal the integer reference bit for bit"), "{config}: {said}");
        assert!(said.contains("the model has no tokenizer that can be used): [1, 5, 9"), "{config}: {said}");
    }
}

#[test]
fn wrong_input_gives_one_message_and_exit_code_2() {
    let folder = Folder::new("refused");
    let (lanes, unknown) = (folder.file("lanes.toml"), folder.file("unknown.toml"));
    let small = std::fs::read_to_string("configs/small.toml").unwrap();
    std::fs::write(&lanes, small.replace("lanes = 80", "lanes = 81")).unwrap();
    std::fs::write(&unknown, format!("{small}turbo = true\n")).unwrap();
    let short = folder.file("short.toml");
    std::fs::write(&short, small.replace("context = 2048", "context = 16")).unwrap();
    let slow = folder.file("slow.toml");
    std::fs::write(&slow, small.replace("burst = 16", "burst = 1").replace("outstanding = 4", "outstanding = 1")).unwrap();
    let s = "configs/small.toml";
    let many = vec!["5"; 257].join(",");
    let wave = folder.file("w.vcd");
    let cases: &[(&str, &[&str])] = &[
        (s, &["--tokens", &many]),
        (s, &["--tokens", "1,2", "--decode", "300"]),
        (&short, &["--tokens", "1,2,3", "--decode", "14"]),
        (s, &["--tokens", "1,512"]),
        (s, &["--tokens", "1", "--layers", "3..9"]),
        (s, &["--tokens", "1", "--layers", "2"]),
        (s, &["--tokens", "1", "--memory", "fast"]),
        (s, &["--tokens", "1", "--memory", "0"]),
        (s, &["--tokens", "1", "--memory", "40,3/2"]),
        // 3,300 beats of weights one after another, a million cycles each.
        (&slow, &["--tokens", "1", "--memory", "1000000", "--timing-only"]),
        (s, &["--tokens", "1", "--timing-only", "--mode", "step"]),
        (s, &["--tokens", "1", "--wave", &wave, "--wave-cycles", "9..3"]),
        (s, &["--tokens", "1", "--layers", "0..1", "--wave", &wave, "--wave-cycles", "900000..900001"]),
        (&lanes, &["--tokens", "1"]),
        (&unknown, &["--tokens", "1"]),
        ("configs/missing.toml", &["--tokens", "1"]),
    ];
    let mut found = String::new();
    for (config, args) in cases {
        let out = sim(config, args);
        assert_eq!(out.status.code(), Some(2), "{config} {args:?}");
        assert!(out.stdout.is_empty(), "{config} {args:?}: nothing but the error");
        found += &String::from_utf8(out.stderr).unwrap();
    }
    assert!(!Path::new(&wave).exists(), "a refused wave leaves no file");
    insta::assert_snapshot!(found.replace(folder.0.to_str().unwrap(), "DIR"));
}
