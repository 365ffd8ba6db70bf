//! BitNet as Hugging Face has it: packed weights, whose plain writer is here and must be read back, and masters (`golden/hf`), made ternary
//! by the definition.

mod support;

use std::path::PathBuf;

use half::bf16;
use serde_json::{Value, json};
use support::program::root;
use tritforge::model::gguf::{Gguf, TensorType};
use tritforge::model::import::huggingface;
use tritforge::model::quant::StoredMatrix;
use tritforge::model::synth::{Synth, parse_shape};
use tritforge::model::{Model, ModelError, ModelFile, TernaryTensor};

/// A model of floats, by `scripts/golden-hf.py`.
fn masters() -> PathBuf {
    root().join("tests/golden/hf/bitnet-masters")
}

/// A safetensors file: name, type, shape, bytes.
fn safetensors(tensors: &[(String, &str, Vec<usize>, Vec<u8>)]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, kind, shape, bytes) in tensors {
        let from = data.len();
        data.extend(bytes);
        header.insert(name.clone(), json!({"dtype": kind, "shape": shape, "data_offsets": [from, data.len()]}));
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn all(matrix: &StoredMatrix) -> Vec<f32> {
    (0..matrix.rows()).flat_map(|row| matrix.row(row)).collect()
}

/// Packs as the format says: byte p of column c holds rows p, p + n, p + 2n, p + 3n (n a quarter of the rows), lowest bits first.
fn packed(tensor: &TernaryTensor) -> Vec<u8> {
    let (quarter, trits) = (tensor.rows / 4, tensor.to_trits());
    let mut out = Vec::new();
    for p in 0..quarter {
        for col in 0..tensor.cols {
            out.push((0..4).map(|q| ((trits[(p + q * quarter) * tensor.cols + col] + 1) as u8) << (2 * q)).sum());
        }
    }
    out
}

/// A model's folder in memory: `config.json` and one file, `scale` what is stored as `weight_scale`.
fn packed_folder(model: &Model, class: &str, scale: &dyn Fn(f32) -> f32) -> (Value, Vec<u8>) {
    let s = &model.shape;
    let config = json!({
        "model_type": "bitnet", "hidden_size": s.dim, "num_hidden_layers": s.layers, "num_attention_heads": s.heads,
        "num_key_value_heads": s.kv_heads, "head_dim": s.head_dim, "intermediate_size": s.ffn, "vocab_size": s.vocab,
        "max_position_embeddings": s.context, "rms_norm_eps": f64::from(s.rms_epsilon), "rope_theta": f64::from(s.rope_theta),
        "hidden_act": "relu2", "tie_word_embeddings": model.output.is_none(),
        "quantization_config": {"quant_method": "bitnet", "linear_class": class, "quantization_mode": "offline"},
    });
    let mut tensors = vec![
        ("model.embed_tokens.weight".to_owned(), "F32", vec![s.vocab, s.dim], f32s(&all(&model.token_embd))),
        ("model.norm.weight".into(), "F32", vec![s.dim], f32s(&model.output_norm)),
    ];
    tensors.extend(model.output.as_ref().map(|head| ("lm_head.weight".into(), "F32", vec![s.vocab, s.dim], f32s(&all(head)))));
    for (n, layer) in model.layers.iter().enumerate() {
        let linear = [
            ("self_attn.q_proj", &layer.q),
            ("self_attn.k_proj", &layer.k),
            ("self_attn.v_proj", &layer.v),
            ("self_attn.o_proj", &layer.o),
            ("mlp.gate_proj", &layer.gate),
            ("mlp.up_proj", &layer.up),
            ("mlp.down_proj", &layer.down),
        ];
        for (part, tensor) in linear {
            let name = format!("model.layers.{n}.{part}.weight");
            tensors.push((format!("{name}_scale"), "F32", vec![1], f32s(&[scale(tensor.scale)])));
            tensors.push((name, "U8", vec![tensor.rows / 4, tensor.cols], packed(tensor)));
        }
        let norms = [
            ("input_layernorm", &layer.attn_norm),
            ("post_attention_layernorm", &layer.ffn_norm),
            ("self_attn.attn_sub_norm", &layer.attn_sub_norm),
            ("mlp.ffn_sub_norm", &layer.ffn_sub_norm),
        ];
        for (part, norm) in norms {
            tensors.push((format!("model.layers.{n}.{part}.weight"), "F32", vec![norm.len()], f32s(norm)));
        }
    }
    (config, safetensors(&tensors))
}

fn model(shape: &str) -> Model {
    let (shape, tied) = parse_shape(shape).unwrap();
    let bytes = Synth { shape, tied, seed: 11, kind: TensorType::F16 }.build();
    Model::from_gguf(&Gguf::parse(&bytes).unwrap()).unwrap()
}

fn imported(config: &Value, file: &[u8]) -> Result<Model, ModelError> {
    let import = huggingface::import(config.to_string().as_bytes(), &[file], "test", &[])?;
    Model::from_gguf(&import.directory(&[file])?)
}

#[test]
fn packed_weights_come_back_with_every_trit_scale_and_norm() {
    for (shape, kind) in [
        ("layers=2,dim=128,heads=4,kv=2,head_dim=64,ffn=384,vocab=50", TensorType::I2S),
        ("layers=1,dim=24,heads=6,kv=3,head_dim=4,ffn=40,vocab=20,tied=false", TensorType::Bf16),
    ] {
        let mut model = model(shape);
        // A scale that bf16 holds, and its inverse exactly so that both meanings of weight_scale can be tried.
        for layer in &mut model.layers {
            for tensor in [&mut layer.q, &mut layer.k, &mut layer.v, &mut layer.o, &mut layer.gate, &mut layer.up, &mut layer.down] {
                tensor.scale = 0.0625 * if tensor.rows > tensor.cols { 2.0 } else { 1.0 };
            }
        }
        let (config, file) = packed_folder(&model, "autobitlinear", &|s| s);
        assert!(imported(&config, &file).unwrap() == model, "{shape}");
        let (config, file) = packed_folder(&model, "bitlinear", &|s| 1.0 / s);
        assert!(imported(&config, &file).unwrap() == model, "{shape}, divided");
        let import = huggingface::import(config.to_string().as_bytes(), &[&file], "test", &[]).unwrap();
        let gguf = import.directory(&[&file]).unwrap();
        let tensor = gguf.need_tensor("blk.0.attn_k.weight").unwrap();
        assert_eq!((tensor.kind, tensor.origin), (kind, Some("packed U8")));
        assert_eq!(gguf.need_tensor("token_embd.weight").unwrap().origin, None);
    }
    // A scale that only f32 holds.
    let mut model = model("layers=1,dim=24,heads=6,kv=3,head_dim=4,ffn=40,vocab=20");
    model.layers[0].down.scale = 0.1;
    let (config, file) = packed_folder(&model, "autobitlinear", &|s| s);
    assert!(imported(&config, &file).unwrap() == model);
}

#[test]
fn masters_are_made_ternary_by_the_mean_of_their_magnitudes_and_said_to_be() {
    let folder = masters();
    let file = ModelFile::open_silently(&folder).unwrap();
    assert!(file.warnings()[0].starts_with("these are master weights, not the release: 14 matrices"), "{:?}", file.warnings());
    let model = Model::from_gguf(&file.parse().unwrap()).unwrap();
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let directory: Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    for (part, tensor) in [("self_attn.k_proj", &model.layers[1].k), ("mlp.down_proj", &model.layers[1].down)] {
        let entry = &directory[format!("model.layers.1.{part}.weight")];
        let [from, to] = [0, 1].map(|at| 8 + header + entry["data_offsets"][at].as_u64().unwrap() as usize);
        let masters: Vec<f32> = bytes[from..to].chunks(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect();
        let mean = masters.iter().map(|x| f64::from(x.abs())).sum::<f64>() / masters.len() as f64;
        let trits = tensor.to_trits();
        assert_eq!(tensor.scale, bf16::from_f64(mean).to_f32());
        for (at, x) in masters.iter().enumerate() {
            let quotient = f64::from(*x) / mean;
            let expected = if quotient.abs() < 0.5 { 0 } else { quotient.signum() as i8 };
            assert_eq!(trits[at], expected, "{part}, element {at}");
        }
    }
}

#[test]
fn bitnets_that_call_themselves_llama_are_read_by_the_names_of_their_norms() {
    let folder = masters();
    let file = std::fs::read(folder.join("model.safetensors")).unwrap();
    let mut config: Value = serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    config["hidden_act"] = json!("silu");
    config.as_object_mut().unwrap().remove("quantization_config");
    let expected = imported(&config, &file).unwrap();

    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&file[8..8 + length]).unwrap();
    let header = header.replace("self_attn.attn_sub_norm", "self_attn.inner_attn_ln").replace("mlp.ffn_sub_norm", "mlp.ffn_layernorm");
    let renamed = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &file[8 + length..]].concat();
    config["model_type"] = json!("llama");
    let refused = imported(&config, &renamed).unwrap_err().to_string();
    assert!(refused.contains("ffn_layernorm.weight': expected only tensors of the model"), "{refused}");
    config["weight_bits"] = json!(1);
    config["input_bits"] = json!(8);
    assert!(imported(&config, &renamed).unwrap() == expected);
    let import = huggingface::import(config.to_string().as_bytes(), &[&renamed], "test", &[]).unwrap();
    assert!(import.warnings[0].starts_with("the weights are published as floats: 14 matrices"), "{:?}", import.warnings);
    config["weight_bits"] = json!(2);
    let refused = imported(&config, &renamed).unwrap_err().to_string();
    assert!(refused.contains("config.json, 'weight_bits': expected 1, as BitNet b1.58 has it, found 2"), "{refused}");
}
