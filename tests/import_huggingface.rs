//! Models of Hugging Face. Oracles: `transformers` itself (folders and expected logits in `golden/hf`, made by
//! `scripts/golden-hf.py`), and its files read here. The ternary weights of BitNet: `import_bitnet.rs`.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use half::bf16;
use serde::Deserialize;
use serde_json::{Value, json};
use support::program::{Folder, root, tritforge};
use tritforge::model::import::huggingface;
use tritforge::model::judge::arg_max;
use tritforge::model::quant::{Arithmetic, Matrix};
use tritforge::model::{AnyModel, Engine, ModelFile, Refusal, Tokenizer};

#[derive(Deserialize)]
struct Golden {
    prompt: Vec<u32>,
    models: BTreeMap<String, Said>,
}

#[derive(Deserialize)]
struct Said {
    ids: Vec<u32>,
    logits: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/hf/expected.json")).unwrap()
}

fn folder(name: &str) -> PathBuf {
    root().join("tests/golden/hf").join(name)
}

#[test]
fn logits_and_greedy_ids_are_those_of_transformers() {
    let Golden { prompt, models } = golden();
    assert_eq!(models.len(), 7);
    for (name, said) in models {
        let file = ModelFile::open_silently(&folder(&name)).unwrap();
        assert_eq!(file.format(), "safetensors");
        let gguf = file.parse().unwrap();
        let model = AnyModel::from_gguf(&gguf).unwrap();
        let mut engine = Engine::new(&model, Arithmetic::Float);
        let mut logits = engine.forward(&prompt).unwrap();
        let worst = logits.iter().zip(&said.logits).fold(0f64, |worst, (a, b)| worst.max((a - b).abs()));
        println!("{name}: largest difference of a logit {worst:.2e}");
        assert_eq!(logits.len(), said.logits.len());
        assert!(worst < 1e-5, "{name}: {worst}");
        for (at, &expected) in said.ids.iter().enumerate() {
            assert_eq!(arg_max(&logits) as u32, expected, "{name}, id {at}");
            logits = engine.forward(&[expected]).unwrap();
        }
        assert_eq!(file.warnings().len(), usize::from(name == "bitnet-masters"), "{name}");
    }
}

#[test]
fn heads_of_queries_and_keys_are_turned_from_halves_to_neighbours_and_nothing_else() {
    let folder = folder("llama-bias-llama3");
    let (file, bytes) = (ModelFile::open_silently(&folder).unwrap(), std::fs::read(folder.join("model.safetensors")).unwrap());
    let gguf = file.parse().unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let directory: Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let head_dim = 8;
    let turned = |row: usize| {
        let (head, at) = (row / head_dim, row % head_dim);
        head * head_dim + at / 2 + if at % 2 == 1 { head_dim / 2 } else { 0 }
    };
    for (theirs, ours, is_turned) in
        [("q_proj", "attn_q", true), ("k_proj", "attn_k", true), ("v_proj", "attn_v", false), ("o_proj", "attn_output", false)]
    {
        for end in ["weight", "bias"] {
            let entry = &directory[format!("model.layers.1.self_attn.{theirs}.{end}")];
            let from = 8 + header + entry["data_offsets"][0].as_u64().unwrap() as usize;
            let cols = entry["shape"].get(1).map_or(1, |cols| cols.as_u64().unwrap() as usize);
            let tensor = gguf.need_tensor(&format!("blk.1.{ours}.{end}")).unwrap();
            let (mut at, rows) = (0, entry["shape"][0].as_u64().unwrap());
            assert_eq!(tensor.elements(), rows * cols as u64);
            Matrix::new(&gguf, tensor).unwrap().for_each_value(|x| {
                let (row, col) = (at / cols, at % cols);
                let source = from + 2 * (if is_turned { turned(row) } else { row } * cols + col);
                assert_eq!(x, bf16::from_le_bytes([bytes[source], bytes[source + 1]]).to_f32(), "{theirs}.{end}, {row}, {col}");
                at += 1;
            });
        }
    }
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let llama: Value = serde_json::from_slice(&std::fs::read(folder("llama-bias-llama3/config.json")).unwrap()).unwrap();
    let weights = std::fs::read(folder("llama-bias-llama3/model.safetensors")).unwrap();
    let bitnet: Value = serde_json::from_slice(&std::fs::read(folder("bitnet-packed/config.json")).unwrap()).unwrap();
    let packed = std::fs::read(folder("bitnet-packed/model.safetensors")).unwrap();
    let mut found = String::new();
    let mut case = |what: &str, config: &Value, file: &[u8], changes: &[(&str, Value)]| {
        let mut config = config.clone();
        for (pointer, value) in changes {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            config.pointer_mut(parent).unwrap()[name] = value.clone();
        }
        let refusal = huggingface::import(config.to_string().as_bytes(), &[file], "m", &[]).err();
        writeln!(found, "{what}:\n    {}", refusal.map_or("taken".into(), |refusal| refusal.to_string())).unwrap();
    };
    for kind in ["qwen2", "qwen3_moe", "bitnet_v2", "ministral"] {
        case(&format!("model type {kind}"), &llama, &weights, &[("/model_type", json!(kind))]);
    }
    case("no size", &llama, &weights, &[("/hidden_size", Value::Null)]);
    case("a size that is a text", &llama, &weights, &[("/hidden_size", json!("24"))]);
    case("a size that is too large", &llama, &weights, &[("/vocab_size", json!(1u64 << 40))]);
    case("layers that are not there", &llama, &weights, &[("/num_hidden_layers", json!(1 << 24))]);
    case("one layer fewer", &llama, &weights, &[("/num_hidden_layers", json!(1))]);
    case("heads that do not divide", &llama, &weights, &[("/num_key_value_heads", json!(3))]);
    case("another shape", &llama, &weights, &[("/head_dim", json!(12))]);
    case("biases without a word", &llama, &weights, &[("/attention_bias", json!(false))]);
    case("tied to another head", &llama, &weights, &[("/tie_word_embeddings", json!(true))]);
    case("activation", &llama, &weights, &[("/hidden_act", json!("gelu"))]);
    case("epsilon 0", &llama, &weights, &[("/rms_norm_eps", json!(0))]);
    case("rope type", &llama, &weights, &[("/rope_parameters/rope_type", json!("longrope"))]);
    case("rope factors", &llama, &weights, &[("/rope_parameters/high_freq_factor", json!(0.5))]);
    case("part of a head turns", &llama, &weights, &[("/rope_parameters/partial_rotary_factor", json!(0.5))]);
    case("sliding window", &llama, &weights, &[("/sliding_window", json!(64))]);
    case("other quantisation", &llama, &weights, &[("/quantization_config", json!({"quant_method": "gptq"}))]);
    case("a cut file", &llama, &weights[..weights.len() - 1], &[]);
    case("no tensors", &llama, b"\x02\0\0\0\0\0\0\0{}", &[]);
    case("linear class", &bitnet, &packed, &[("/quantization_config/linear_class", json!("tritlinear"))]);
    case("masters that are packed", &bitnet, &packed, &[("/quantization_config/quantization_mode", json!("online"))]);
    case("norms before the linear layers", &bitnet, &packed, &[("/quantization_config/use_rms_norm", json!(true))]);
    case("layers left as floats", &bitnet, &packed, &[("/quantization_config/modules_to_not_convert", json!(["q_proj"]))]);
    case("scaled rope", &bitnet, &packed, &[("/rope_parameters/rope_type", json!("yarn"))]);
    let mut spoilt = packed.clone();
    let header = u64::from_le_bytes(spoilt[..8].try_into().unwrap()) as usize;
    let directory: Value = serde_json::from_slice(&spoilt[8..8 + header]).unwrap();
    let entry = &directory["model.layers.0.self_attn.v_proj.weight"]["data_offsets"][0];
    spoilt[8 + header + entry.as_u64().unwrap() as usize + 5] |= 0b11_00_00;
    case("code 3", &bitnet, &spoilt, &[]);
    insta::assert_snapshot!(found);
}

#[test]
fn folders_that_are_no_model_are_refused() {
    let folder = Folder::new("hf-folders");
    let open =
        |path: &Path| ModelFile::open_silently(path).map(drop).unwrap_err().to_string().replace(folder.0.to_str().unwrap(), "FOLDER");
    let mut found = vec![open(&folder.0)];
    std::fs::write(folder.0.join("config.json"), "{}").unwrap();
    found.push(open(&folder.0));
    std::fs::write(folder.0.join("a.safetensors"), [0; 9]).unwrap();
    found.push(open(&folder.0));
    found.push(open(&folder.0.join("a.safetensors")));
    std::fs::write(folder.0.join("b.safetensors"), [0; 9]).unwrap();
    found.push(open(&folder.0));
    for name in ["../a.safetensors", "c.bin", "none.safetensors"] {
        let index = json!({"weight_map": {"x": name}}).to_string();
        std::fs::write(folder.0.join("model.safetensors.index.json"), index).unwrap();
        found.push(open(&folder.0));
    }
    std::fs::write(folder.0.join("model.safetensors.index.json"), r#"{"weight_map": {}}"#).unwrap();
    found.push(open(&folder.0));
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn any_file_of_a_model_opens_all_of_it_and_its_tokenizer() {
    let folder = Folder::new("hf-tokenizer");
    for entry in std::fs::read_dir(self::folder("llama-tied-yarn")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.0.join(path.file_name().unwrap())).unwrap();
    }
    let mut vocabulary: Vec<String> = ["<unk>", "<s>", "</s>"].map(str::to_owned).to_vec();
    vocabulary.extend(('a'..='z').map(String::from));
    vocabulary.extend(["th".into(), "the".into()]);
    let ids: serde_json::Map<String, Value> = vocabulary.iter().enumerate().map(|(id, text)| (text.clone(), id.into())).collect();
    let special = |id: usize| json!({"id": id, "content": vocabulary[id], "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false});
    let tokenizer = json!({
        "version": "1.0", "added_tokens": [special(0), special(1), special(2)], "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "BPE", "vocab": ids, "merges": ["t h", "th e"], "unk_token": "<unk>"},
    });
    std::fs::write(folder.0.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let config = json!({"bos_token": "<s>", "eos_token": {"content": "</s>"}, "chat_template": "{{ messages[0].content }}"});
    std::fs::write(folder.0.join("tokenizer_config.json"), config.to_string()).unwrap();
    let whole = ModelFile::open_silently(&folder.0).unwrap();
    let part = ModelFile::open_silently(&folder.0.join("model-00002-of-00003.safetensors")).unwrap();
    let (whole, part) = (whole.parse().unwrap(), part.parse().unwrap());
    assert_eq!(whole.tensors().len(), part.tensors().len());
    for gguf in [whole, part] {
        let tokenizer = Tokenizer::from_gguf(&gguf).unwrap();
        assert_eq!(tokenizer.encode("the cat").unwrap(), [30, 5, 3, 22]);
        assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.chat_template()), (Some(1), Some(2), Some("{{ messages[0].content }}")));
    }
    // The same from a model without tokenizer that is given one.
    let said = |arguments: &[&str], model: &Path| {
        let out =
            tritforge().args(["run", "--greedy", "--ids", "--predict", "6"]).args(arguments).arg("--model").arg(model).output().unwrap();
        assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let ids = said(&["--tokens", "30,5,3,22"], &folder.0);
    assert_eq!(said(&["--prompt", "the cat"], &folder.0), ids);
    let given = folder.file("tokenizer.json");
    assert_eq!(said(&["--prompt", "the cat", "--tokenizer", &given], &self::folder("llama-tied-yarn")), ids);
    std::fs::write(folder.0.join("tokenizer_config.json"), "{").unwrap();
    let file = ModelFile::open_silently(&folder.0).unwrap();
    assert_eq!(file.warnings().len(), 1);
    assert_eq!(Tokenizer::from_gguf(&file.parse().unwrap()).unwrap_err().refusal(), Some(Refusal::Vocabulary));
}

#[test]
fn inspect_and_run_take_a_folder() {
    let path = folder("bitnet-packed");
    let out = tritforge().arg("inspect").arg(&path).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(text.contains("bitnet-packed: safetensors, "), "{text}");
    let line = text.lines().find(|line| line.starts_with("blk.0.attn_q.weight")).unwrap();
    assert!(line.contains(" I2_S ") && line.ends_with("(from packed U8)"), "{line}");
    let Golden { prompt, models } = golden();
    let ids = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let masters = "bitnet-masters";
    let mut run = tritforge();
    run.args(["run", "--greedy", "--ids", "--predict", "24", "--tokens", &ids(&prompt), "--model"]).arg(folder(masters));
    let out = run.output().unwrap();
    assert_eq!(String::from_utf8(out.stdout).unwrap().trim(), ids(&models[masters].ids));
    assert!(String::from_utf8(out.stderr).unwrap().starts_with("warning: these are master weights, not the release"));
}
