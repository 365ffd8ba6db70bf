//! `tritforge convert` as a user meets it: the embedded model through every ternary type, warnings, refusals, what is left behind.

mod support;

use std::process::Output;

use support::parts::Parts;
use support::program::{self, Folder, refusal, stderr};
use support::{embedded, test_data};
use tritforge::model::Model;
use tritforge::model::gguf::{GgufWriter, Metadata, TensorType};

fn tritforge(args: &[&str]) -> Output {
    program::tritforge().args(args).output().unwrap()
}

fn held(args: &[&str]) -> (String, String) {
    let out = tritforge(args);
    assert_eq!(out.status.code(), Some(0), "{args:?}: {}", stderr(&out));
    (String::from_utf8(out.stdout.clone()).unwrap(), stderr(&out))
}

fn said(args: &[&str]) -> String {
    let mut command = program::tritforge();
    command.args(args);
    refusal(command)
}

#[test]
fn the_embedded_model_keeps_trits_and_text_through_every_type() {
    let folder = Folder::new("convert-chain");
    let first = embedded("stories3m.tq2_0.gguf").to_str().unwrap().to_owned();
    let model = Model::open(first.as_ref()).unwrap();
    let text = |path: &str| held(&["run", "--model", path, "--prompt", "Once upon a time", "--greedy", "-n", "24", "--ids"]).0;
    let expected = text(&first);
    let mut input = first.clone();
    for (step, kind) in ["tq1_0", "i2_s", "f16", "tq2_0"].into_iter().enumerate() {
        let output = folder.file(&format!("{step}.gguf"));
        let (out, err) = held(&["convert", &input, &output, "--type", kind]);
        assert!(out.contains(&format!("28 in {}", kind.to_uppercase())) || kind == "f16" && out.contains("29 in F16"), "{out}");
        assert_eq!(err, "", "nothing is lost, so nothing is warned of");
        assert!(Model::open(output.as_ref()).unwrap() == model, "{kind}");
        assert_eq!(text(&output), expected, "{kind}");
        input = output;
    }
    let bytes = |path: &str| std::fs::read(path).unwrap();
    let (before, after) = (bytes(&first), bytes(&input));
    let data = |file: &[u8]| file[file.len() - 900_000..].to_vec();
    assert!(data(&before) == data(&after), "the last tensors' bytes are the first file's");
    assert_eq!(folder.files(), ["0.gguf", "1.gguf", "2.gguf", "3.gguf"]);
}

/// A Llama of one layer whose rows have `cols` elements; weight `bad` of the last matrix is no number.
fn llama(cols: u64, bad: Option<usize>) -> Vec<u8> {
    let mut file = GgufWriter::new();
    file.metadata("general.architecture", &Metadata::Text("llama".into()));
    for (key, value) in
        [("block_count", 1), ("embedding_length", cols as u32), ("feed_forward_length", cols as u32), ("context_length", 32)]
    {
        file.metadata(&format!("llama.{key}"), &Metadata::U32(value));
    }
    file.metadata("llama.attention.head_count", &Metadata::U32(4));
    file.metadata("llama.attention.layer_norm_rms_epsilon", &Metadata::F32(1e-5));
    let norm: Vec<u8> = (0..cols).flat_map(|_| 1f32.to_le_bytes()).collect();
    for name in ["output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"] {
        file.tensor(&format!("{name}.weight"), TensorType::F32, &[cols], &norm);
    }
    let names = [
        "token_embd",
        "blk.0.attn_q",
        "blk.0.attn_k",
        "blk.0.attn_v",
        "blk.0.attn_output",
        "blk.0.ffn_gate",
        "blk.0.ffn_up",
        "blk.0.ffn_down",
    ];
    for (seed, name) in names.into_iter().enumerate() {
        let value = |at: u64| ((at + 1 + 1000 * seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1 << 27) as f32 - 0.0625;
        let mut values: Vec<f32> = (0..cols * cols).map(value).collect();
        if let (Some(bad), "blk.0.ffn_down") = (bad, name) {
            values[bad] = f32::NAN;
        }
        let stored: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        file.tensor(&format!("{name}.weight"), TensorType::F32, &[cols, cols], &stored);
    }
    file.finish()
}

#[test]
fn ternarise_warns_first_says_what_it_did_and_the_file_runs() {
    let folder = Folder::new("convert-ternarise");
    let (input, output) = (folder.file("in.gguf"), folder.file("out.gguf"));
    std::fs::write(&input, llama(256, None)).unwrap();
    for kind in ["tq1_0", "tq2_0", "i2_s"] {
        let (out, err) = held(&["convert", &input, &output, "--type", kind, "--ternarise", "--force"]);
        let warning = "WARNING: --ternarise rounds trained weights to -s, 0, s. This is not training: the model will be bad.";
        assert_eq!(err.lines().next(), Some(warning));
        assert!(out.contains("rounded: 458752 weights of 7 tensors, ") && out.contains("the architecture stays 'llama'"), "{out}");
        let ids = held(&["run", "--model", &output, "--tokens", "1,2,3", "--greedy", "-n", "4", "--ids", "--ignore-eos"]).0;
        assert_eq!(ids.trim().split(',').count(), 4, "{ids}");
        let inspected = held(&["inspect", &output]).0;
        assert!(inspected.contains("architecture llama"), "{inspected}");
    }
    let trained = embedded("stories3m.tq1_0.gguf").to_str().unwrap().to_owned();
    let (out, _) = held(&["convert", &trained, &output, "--type", "tq2_0", "--ternarise", "--force"]);
    assert!(out.contains("nothing was rounded"), "{out}");
    assert!(Model::open(output.as_ref()).unwrap() == Model::open(trained.as_ref()).unwrap());
}

#[test]
fn losses_are_told() {
    let folder = Folder::new("convert-losses");
    let (small, output, again) = (folder.file("small.gguf"), folder.file("out.gguf"), folder.file("again.gguf"));
    let shape = "layers=1,dim=64,heads=2,kv=1,head_dim=48,ffn=96,vocab=270,ctx=8";
    held(&["synth-model", "--shape", shape, "--type", "f32", "--out", &small]);
    let mut found = String::new();
    let mut add = |args: &[&str]| {
        let (out, err) = held(&[&["convert"], args].concat());
        found += &format!("{}\n{out}{err}\n", args[2..].join(" "));
    };
    add(&[&small, &output, "--type", "q4_k"]);
    add(&[&output, &again, "--type", "q4_0", "--force"]);
    add(&[&small, &output, "--type", "tq1_0", "--force"]);
    add(&[&output, &again, "--type", "bf16", "--force"]);
    // The other architecture with ternary layers, which has another graph beside the judge's.
    let bytes = Parts::read(&std::fs::read(&small).unwrap()).rename_architecture("bitnet").write();
    std::fs::write(&small, bytes).unwrap();
    add(&[&small, &output, "--type", "q8_0", "--force"]);
    add(&[&small, &output, "--type", "q4_0", "--force"]);
    insta::assert_snapshot!(found.replace(folder.0.to_str().unwrap(), "DIR"));
}

#[test]
fn refusals_say_what_to_do_and_leave_no_file() {
    let folder = Folder::new("convert-refusals");
    let (good, bad, there, output) =
        (folder.file("good.gguf"), folder.file("bad.gguf"), folder.file("there.gguf"), folder.file("out.gguf"));
    std::fs::write(&good, llama(256, None)).unwrap();
    // The last element of the last tensor: everything before it has been written when it is found.
    std::fs::write(&bad, llama(256, Some(256 * 256 - 1))).unwrap();
    std::fs::write(&there, "mine").unwrap();
    std::fs::write(folder.file("text.gguf"), "no model").unwrap();
    let here = folder.0.to_str().unwrap().to_owned();
    let mut found = String::new();
    let mut add = |args: &[&str]| found += &format!("{}\n    {}", args.join(" "), said(&[&["convert"], args].concat()));
    add(&[&good, &output, "--type", "tq2_0"]);
    add(&[&good, &output, "--type", "q8_0", "--ternarise"]);
    add(&[&bad, &output, "--type", "q4_0"]);
    add(&[&bad, &output, "--type", "q4_k"]);
    add(&[&bad, &output, "--type", "tq1_0", "--ternarise"]);
    add(&[&good, &there, "--type", "f16"]);
    add(&[&good, &good, "--type", "f16", "--force"]);
    add(&[&good, &format!("{here}/./good.gguf"), "--type", "f16", "--force"]);
    add(&[&good, &here, "--type", "f16", "--force"]);
    add(&[&good, &folder.file("none/out.gguf"), "--type", "f16"]);
    add(&[&folder.file("none.gguf"), &output, "--type", "f16"]);
    add(&[&folder.file("text.gguf"), &output, "--type", "f16"]);
    add(&[&good, &output, "--type", "q4"]);
    assert_eq!(folder.files(), ["bad.gguf", "good.gguf", "text.gguf", "there.gguf"], "nothing is left behind");
    assert_eq!(std::fs::read(&there).unwrap(), b"mine");
    insta::assert_snapshot!(found.replace(&here, "DIR"));
    held(&["convert", &good, &there, "--type", "f16", "--force"]);
    assert_ne!(std::fs::read(&there).unwrap(), b"mine");
}

#[test]
fn help() {
    insta::assert_snapshot!(held(&["convert", "--help"]).0);
}

#[test]
fn a_llama2c_checkpoint_becomes_a_gguf_that_says_the_same() {
    let Some(checkpoint) = test_data("llama2c/stories260K.bin") else { return };
    let folder = Folder::new("convert-llama2c");
    let text = |path: &str| held(&["run", "--model", path, "--prompt", "Once upon a time", "--greedy", "-n", "32"]).0;
    let (checkpoint, output) = (checkpoint.to_str().unwrap(), folder.file("out.gguf"));
    held(&["convert", checkpoint, &output, "--type", "f32"]);
    assert_eq!(&std::fs::read(&output).unwrap()[..4], b"GGUF");
    assert_eq!(text(&output), text(checkpoint));
    held(&["convert", checkpoint, &output, "--type", "q8_0", "--force"]);
    assert_eq!(text(&output), text(test_data("gguf/stories260K.Q8_0.gguf").unwrap().to_str().unwrap()));
}

#[test]
fn safetensors_become_a_gguf_that_says_the_same() {
    let folder = Folder::new("convert-safetensors");
    let output = folder.file("out.gguf");
    for name in ["llama-tied-yarn", "mixtral", "bitnet-packed"] {
        let input = program::root().join("tests/golden/hf").join(name).to_str().unwrap().to_owned();
        let ids = |path: &str| {
            let rest = ["--tokens", "1,17,5,40,33,2,29,8", "--greedy", "-n", "24", "--ids", "--ignore-eos", "--arithmetic", "float"];
            held(&[&["run", "--model", path], &rest[..]].concat()).0
        };
        held(&["convert", &input, &output, "--type", "f32", "--force"]);
        assert_eq!(ids(&output), ids(&input), "{name}");
    }
    // One of the files that are read is no place to write to.
    let shard = folder.file("model.safetensors");
    let from = program::root().join("tests/golden/hf/mixtral");
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(from.join(file), folder.file(file)).unwrap();
    }
    let refused = said(&["convert", folder.0.to_str().unwrap(), &shard, "--type", "f32", "--force"]);
    assert!(refused.contains("expected another file than those that are read"), "{refused}");
    assert_eq!(std::fs::read(&shard).unwrap(), std::fs::read(from.join("model.safetensors")).unwrap());
}

#[test]
fn a_mixture_of_experts_runs_in_every_block_of_32() {
    let Some(mixture) = test_data("gguf/stories260K-moe4x.gguf") else { return };
    let folder = Folder::new("convert-mixture");
    let text = |path: &str| held(&["run", "--model", path, "--prompt", "Once upon a time", "--greedy", "-n", "16"]).0;
    let mixture = mixture.to_str().unwrap();
    let expected = text(mixture);
    let output = folder.file("out.gguf");
    for kind in ["bf16", "q8_0", "f32"] {
        held(&["convert", mixture, &output, "--type", kind, "--force"]);
        // Rounding to 8 bits does not change the first words of this model.
        assert_eq!(text(&output), expected, "{kind}");
    }
}
