//! `tritforge trace` and `tritforge diff` as people run them: verdicts, exit codes, files, refusals.

mod support;

use std::process::Output;

use support::parts::Parts;
use support::program::{Folder, refusal, stderr, tritforge};
use tritforge::model::gguf::{Metadata, TensorType};
use tritforge::model::judge::{Place, Stage};
use tritforge::trace::file;

const MODEL: &str = "models/stories3m.tq2_0.gguf";

fn run(args: &[&str]) -> Output {
    tritforge().args(args).output().unwrap()
}

/// Standard output and exit code of `diff`.
fn diff(args: &[&str]) -> (String, Option<i32>) {
    let out = run(&[&["diff"], args].concat());
    assert!(out.status.code().is_some_and(|code| code < 2), "{args:?}: {}", stderr(&out));
    (String::from_utf8(out.stdout).unwrap(), out.status.code())
}

fn trace(path: &str, out: &str, more: &[&str]) {
    let done = run(&[&["trace", "--path", path, "--out", out], more].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
}

/// The first story as far as the model's context goes.
fn story() -> String {
    let text = std::fs::read_to_string(support::embedded("own-stories.txt")).unwrap();
    text.chars().take(480).collect()
}

#[test]
fn an_execution_is_equal_to_itself_and_to_its_own_trace() {
    let folder = Folder::new("diff-itself");
    let file = folder.file("float.safetensors");
    let pass = ["--model", MODEL, "--tokens", "1,403,407,261"];
    trace("float", &file, &pass);
    for sides in [["float", "float"], ["float", file.as_str()], [file.as_str(), "f64"], ["integer", "integer"]] {
        let (said, code) = diff(&[&sides[..], &pass].concat());
        assert!(said.contains("EQUAL within the tolerance: ") && code == Some(0), "{sides:?}: {said}");
    }
    // Two files need no model.
    let (said, code) = diff(&[&file, &file]);
    assert!(said.contains("EQUAL within the tolerance: 95 tensors (0 only on one side)") && code == Some(0), "{said}");
}

#[test]
fn the_judge_in_f32_parts_from_f64_by_int8_ties_alone() {
    let folder = Folder::new("diff-ties");
    let (json, plot) = (folder.file("ties.json"), folder.file("ties.svg"));
    let story = story();
    let args = ["float", "f32", "--model", MODEL, "--prompt", &story];
    let (said, code) = diff(&[&args[..], &["--json", &json, "--plot", &plot]].concat());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("PARTS ONLY BY INT8 TIES") && said.contains("1 single steps at a tie"), "{said}");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(json["only_ties"], true);
    assert!(json["first_parting"].is_null() && json["diagnoses"].as_array().unwrap().is_empty());
    assert!(json["rows"][1]["stage"]["max_relative"].as_f64().unwrap() < 1e-5);
    assert!(std::fs::read_to_string(plot).unwrap().starts_with("<svg"));
    assert_eq!(diff(&[&args[..], &["--allow-ties"]].concat()).1, Some(0));
    let (said, _) = diff(&[&args[..], &["--stage-by-stage"]].concat());
    assert!(said.contains("PARTS ONLY BY INT8 TIES") || said.contains("EQUAL"), "{said}");
}

#[test]
fn the_cycle_model_is_equal_to_the_integer_reference_also_from_the_judges_inputs() {
    let args = ["--model", MODEL, "--config", "configs/small.toml", "--tokens", "1,403,407,261,378,20,33,9,11,60"];
    let (said, code) = diff(&[&["integer", "sim"][..], &args].concat());
    assert!(said.contains("EQUAL within the tolerance: 35 tensors (44 only on one side)") && code == Some(0), "{said}");
    let (sim, _) = diff(&[&["sim", "float", "--stage-by-stage", "--all"][..], &args].concat());
    let (integer, _) = diff(&[&["integer", "float", "--stage-by-stage", "--all"][..], &args].concat());
    let residuals = |said: &str| said.lines().filter(|line| line.contains(".attn_resid ")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(residuals(&sim), residuals(&integer));
    assert_eq!(residuals(&sim).len(), 4);
    assert!(!sim.contains("PARTS at") && !integer.contains("PARTS at"), "{integer}");
}

/// The integer path shows no values before rounding: they are computed from what it does show, on either side.
#[test]
fn codes_of_the_integer_reference_differ_from_the_judges_by_ties_alone() {
    let args = ["--model", MODEL, "--prompt", "Once upon a time there was"];
    let (said, _) = diff(&[&["float", "integer", "--stage-by-stage"][..], &args].concat());
    assert!(said.contains("PARTS ONLY BY INT8 TIES: 4 codes differ by a single step at a tie"), "{said}");
    assert!(said.contains("codes -100 and -99, before rounding -99.501316 and -99.501316"), "{said}");
    assert!(!said.contains("codes carried on") && !said.contains(" other"), "{said}");
    // Whole runs: a difference that came in with the values is no tie, though one of them lies at a boundary.
    for sides in [["float", "integer"], ["integer", "float"]] {
        let (said, _) = diff(&[&sides[..], &args].concat());
        assert!(said.contains("blk.0.attn_sub_norm_q8") && said.contains("362 of 1792 codes differ, 362 carried on"), "{said}");
        assert!(said.contains("PARTS BY WHAT ADDS UP: every stage agrees from b's inputs") && !said.contains(" other"), "{said}");
    }
    let (said, _) = diff(&[&["integer", "float", "--stage-by-stage"][..], &args].concat());
    assert!(!said.contains("PARTS at") && !said.contains(" other"), "{said}");
}

#[test]
fn a_spoilt_copy_of_the_model_is_told_from_it_with_its_fault() {
    let folder = Folder::new("diff-copy");
    let copy = folder.file("copy.gguf");
    let parts = Parts::read(&std::fs::read(support::embedded("stories3m.tq2_0.gguf")).unwrap());
    let gain = parts.tensors.iter().find(|t| t.name == "blk.2.ffn_norm.weight").unwrap();
    assert_eq!(gain.kind, TensorType::F32);
    let (sizes, ones) = (gain.sizes.clone(), 1f32.to_le_bytes().repeat(gain.sizes[0] as usize));
    std::fs::write(&copy, parts.store("blk.2.ffn_norm.weight", TensorType::F32, &sizes, ones).write()).unwrap();
    let args = ["float", "float", "--model", MODEL, "--model-b", &copy, "--tokens", "1,403,407"];
    let (said, code) = diff(&args);
    assert_eq!(code, Some(1));
    for expected in [
        "the models' files differ: ",
        "PARTS at blk.2.ffn_norm, first at token 0, element 0: ",
        "diagnosis: missing norm weight: ffn_norm: not multiplied [blk.2.ffn_norm: error ",
    ] {
        assert!(said.contains(expected), "expected {expected:?} in {said}");
    }
    assert!(said.contains("carried on") && said.matches("diagnosis").count() == 1, "{said}");
}

/// Heads of which neighbours turn by the angles that `turned` shows for the neighbours of `stored`, after a change of order and before its undoing.
fn turned_in_halves(stored: &[f64], turned: &[f64], size: usize) -> Vec<f64> {
    let halves: Vec<usize> = (0..size).map(|i| i % (size / 2) * 2 + i / (size / 2)).collect();
    let mut out = vec![0.0; stored.len()];
    for ((stored, turned), out) in stored.chunks(size).zip(turned.chunks(size)).zip(out.chunks_mut(size)) {
        for pair in 0..size / 2 {
            let [a, b, c, d] = [stored[2 * pair], stored[2 * pair + 1], turned[2 * pair], turned[2 * pair + 1]];
            let (cos, sin) = ((a * c + b * d) / (a * a + b * b), (a * d - b * c) / (a * a + b * b));
            let (i, j) = (halves[2 * pair], halves[2 * pair + 1]);
            (out[i], out[j]) = (stored[i] * cos - stored[j] * sin, stored[j] * cos + stored[i] * sin);
        }
    }
    out
}

#[test]
fn neighbours_that_turn_in_hugging_faces_order_are_named() {
    let folder = Folder::new("diff-halves");
    let (good, bad) = (folder.file("good.safetensors"), folder.file("bad.safetensors"));
    let pass = ["--model", "tests/golden/hf/llama-bias-llama3", "--tokens", "1,5,9,20,33,7"];
    trace("f64", &good, &pass);
    let mut spoilt = file::read(good.as_ref()).unwrap();
    for layer in 0..spoilt.layers() {
        for (before, after) in [(Stage::Q, Stage::QRope), (Stage::K, Stage::KRope)] {
            let at = |stage| Place { layer: Some(layer), stage };
            let stored = spoilt.get(at(before)).unwrap().values.clone();
            let after = spoilt.get_mut(at(after)).unwrap();
            let size = after.shape[2];
            after.values = turned_in_halves(&stored, &after.values, size);
        }
    }
    std::fs::write(&bad, file::bytes(&spoilt).unwrap()).unwrap();
    let (said, code) = diff(&[&["f64", bad.as_str(), "--stage-by-stage"], &pass[..2]].concat());
    let named: Vec<&str> = said.lines().filter(|line| line.starts_with("diagnosis: ") && line.contains("q_rope")).collect();
    assert!(code == Some(1) && named.len() == 1, "{said}");
    assert!(named[0].contains("RoPE turns other pairs: interleaved (2j with 2j + 1) in Hugging Face's order of rows"), "{said}");
}

#[test]
fn wrong_use_gives_one_message_and_exit_code_2() {
    let folder = Folder::new("diff-wrong");
    let file = folder.file("a.safetensors");
    trace("f32", &file, &["--model", MODEL, "--tokens", "1,2,3"]);
    let other = folder.file("b.safetensors");
    std::fs::write(&other, "no trace").unwrap();
    let text = folder.file("plot.png");
    let model = ["--model", MODEL, "--tokens", "1,2,3"];
    let cases: Vec<(Vec<&str>, &str)> = vec![
        (vec!["float", "flaot"], "'flaot': expected a path of ours (float, judge, "),
        (vec!["float", "f32"], "--model: expected the model's file for a path of ours"),
        (vec!["float", &other, "--model", MODEL], "file: expected a safetensors file, found"),
        (vec!["float", "f32", "--model", MODEL], "expected --prompt or --tokens, found neither"),
        (
            [vec!["float", &file], vec!["--model", MODEL, "--tokens", "1,2"]].concat(),
            "tokens: expected the same on both sides, found [1, 2] of",
        ),
        ([vec!["float", "ggml"], model.to_vec()].concat(), "path 'ggml': expected llama or bitnet, found 'bitnet-b1.58'"),
        ([vec!["float", "sim"], model.to_vec()].concat(), "path 'sim': expected --config FILE"),
        ([vec!["float", "f32", "--tolerance=-1"], model.to_vec()].concat(), "--tolerance: expected a number, 0 or more, found -1"),
        ([vec!["float", "f32", "--tolerance", "nan"], model.to_vec()].concat(), "--tolerance: expected a number, 0 or more, found NaN"),
        ([vec!["float", "f32", "--plot", &text], model.to_vec()].concat(), "expected a name that ends in .svg"),
        (vec![&file, &file, "--stage-by-stage"], "--stage-by-stage: expected --model"),
        (vec!["float", "f32", "--model", MODEL, "--tokens", "1,2,600"], "token id: expected below the vocabulary's 512, found 600"),
    ];
    for (args, expected) in cases {
        let mut command = tritforge();
        command.arg("diff").args(&args);
        let said = refusal(command);
        assert!(said.contains(expected), "{args:?}: expected {expected:?}, said {said:?}");
    }
}

/// llama.cpp's arithmetic with sums in f32 and in f64: nothing of the graph differs, whatever rounding turns.
#[test]
fn llama_cpps_arithmetic_parts_from_its_wide_sums_at_no_stage() {
    let folder = Folder::new("diff-wide");
    let file = folder.file("bitnet.gguf");
    let mut parts = Parts::read(&std::fs::read(support::embedded("stories3m.tq2_0.gguf")).unwrap());
    for (key, value) in &mut parts.metadata {
        *key = key.replace("bitnet-b1.58.", "bitnet.");
        if key == "general.architecture" {
            *value = Metadata::Text("bitnet".into());
        }
    }
    std::fs::write(&file, parts.write()).unwrap();
    let story = story();
    for more in [&[][..], &["--stage-by-stage"]] {
        let (said, _) = diff(&[&["ggml", "wide", "--model", &file, "--prompt", &story], more].concat());
        assert!(!said.contains("PARTS at"), "{said}");
        assert!(said.contains("every stage agrees from b's inputs") || said.contains("EQUAL within"), "{said}");
    }
}

/// Every path fed with a trace of a model of another width.
#[test]
fn llama_cpps_rounding_in_blocks_is_named_beside_the_judges() {
    let folder = Folder::new("diff-blocks");
    let file = folder.file("bitnet.gguf");
    std::fs::write(&file, Parts::read(&std::fs::read(MODEL).unwrap()).rename_architecture("bitnet").write()).unwrap();
    let (said, code) = diff(&["judge", "ggml", "--model", &file, "--tokens", "1,403,407,261,378,432,383"]);
    let named: Vec<&str> = said.lines().filter(|line| line.starts_with("diagnosis: ")).collect();
    assert!(code == Some(1) && named.len() == 1, "{said}");
    assert!(named[0].contains("llama.cpp's rounding of activations: to int8 in blocks of 256"), "{said}");
}

#[test]
fn a_trace_of_another_model_is_refused_or_told() {
    let folder = Folder::new("diff-other");
    let (other, file) = (folder.file("other.gguf"), folder.file("other.safetensors"));
    let shape = "layers=4,dim=128,heads=2,kv=1,head_dim=64,ffn=256";
    assert!(run(&["synth-model", "--shape", shape, "--out", &other]).status.success());
    trace("float", &file, &["--model", &other, "--tokens", "1,2,3"]);
    for path in ["float", "f32", "f64", "integer", "sim"] {
        let args = [path, file.as_str(), "--model", MODEL, "--config", "configs/small.toml"];
        let (said, code) = diff(&args);
        assert!(said.contains("PARTS at inp_embd: shapes [3, 256] and [3, 128]") && code == Some(1), "{path}: {said}");
        assert!(!said.contains("diagnosis"), "{path}: {said}");
        let mut fed = tritforge();
        fed.arg("diff").args(args).arg("--stage-by-stage");
        if ["integer", "sim"].contains(&path) {
            let said = refusal(fed);
            assert!(said.contains("of the model's width, found some missing or other"), "{path}: {said}");
        } else {
            assert_eq!(fed.output().unwrap().status.code(), Some(1), "{path}");
        }
    }
}

#[test]
fn a_tolerance_decides_what_is_equal() {
    let args = ["float", "f32", "--model", MODEL, "--tokens", "1,403,407,261"];
    assert_eq!(diff(&[&args[..], &["--tolerance", "1e-9"]].concat()).1, Some(1));
    assert_eq!(diff(&[&args[..], &["--tolerance", "0.9"]].concat()).1, Some(0));
}
