//! `tritforge inspect`: counts of trits against plain loops over the weights that the model reader gives, and what users see.

mod support;

use support::parts::Parts;
use support::program::{self, Folder, stderr};
use tritforge::model::gguf::{Gguf, Metadata, TensorType};
use tritforge::model::survey::survey;
use tritforge::model::synth::{Synth, parse_shape};
use tritforge::model::{Model, TernaryTensor};

fn counted(tensor: &TernaryTensor) -> [u64; 3] {
    let mut counts = [0; 3];
    tensor.to_trits().iter().for_each(|&trit| counts[(trit + 1) as usize] += 1);
    counts
}

#[test]
fn trits_of_every_type_are_those_of_the_model_reader() {
    let text = "layers=2,dim=256,heads=2,kv=1,head_dim=128,ffn=512,vocab=300";
    let (shape, tied) = parse_shape(text).unwrap();
    for kind in [TensorType::Tq1_0, TensorType::Tq2_0, TensorType::I2S, TensorType::Q8_0, TensorType::F16, TensorType::F32] {
        let bytes = Synth { shape: shape.clone(), tied, seed: 3, kind }.build();
        let file = Gguf::parse(&bytes).unwrap();
        let model = Model::from_gguf(&file).unwrap();
        let tensors = survey(&file, &|_| {});
        assert_eq!(tensors.iter().map(|t| t.bytes).sum::<u64>(), file.tensors().iter().map(|t| t.stored_bytes).sum::<u64>());
        for (n, layer) in model.layers.iter().enumerate() {
            for (part, expected) in [("attn_q", &layer.q), ("attn_output", &layer.o), ("ffn_gate", &layer.gate), ("ffn_down", &layer.down)]
            {
                let name = format!("blk.{n}.{part}.weight");
                let trits = tensors.iter().find(|t| t.name == name).unwrap().trits.unwrap();
                assert_eq!([trits.minus, trits.zero, trits.plus], counted(expected), "{kind:?} {name}");
                assert_eq!(trits.scale, expected.scale, "{kind:?} {name}");
            }
        }
        let embedding = tensors.iter().find(|t| t.name == "token_embd.weight").unwrap();
        assert!(embedding.trits.is_none() && embedding.not_ternary.is_some(), "{kind:?}");
    }
}

#[test]
fn a_code_that_is_no_trit_is_named_and_no_accelerator_runs_it() {
    let (shape, tied) = parse_shape("layers=1,dim=256,heads=2,kv=1,head_dim=128,ffn=256,vocab=300").unwrap();
    let mut bytes = Synth { shape, tied, seed: 4, kind: TensorType::Tq2_0 }.build();
    let place = {
        let file = Gguf::parse(&bytes).unwrap();
        let stored = file.tensor_bytes(file.need_tensor("blk.0.attn_k.weight").unwrap());
        stored.as_ptr() as usize - bytes.as_ptr() as usize
    };
    bytes[place + 66 + 5] = 0xff;
    let folder = Folder::new("inspect-code");
    std::fs::write(folder.file("m.gguf"), &bytes).unwrap();
    let output = program::tritforge().args(["inspect", "--brief", &folder.file("m.gguf")]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().last().unwrap();
    assert!(last.contains("none: tensor 'blk.0.attn_k.weight' (TQ2_0), row 1, column 5 (block 1)"), "{text}");
}

#[test]
fn the_embedded_model_as_people_and_scripts_see_it() {
    let output = program::tritforge().args(["inspect", "models/stories3m.tq1_0.gguf"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
    let output = program::tritforge().args(["inspect", "models/stories3m.tq1_0.gguf", "--json", "-"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["ternary_elements"], 3_145_728);
    let output = program::tritforge().args(["inspect", "no-such.gguf"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn how_llama_turns_positions_is_shown_and_all_architectures_are_named() {
    let line = |path: &str| {
        let output = program::tritforge().args(["inspect", "--brief", path]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap().lines().nth(1).unwrap().to_owned()
    };
    let found = line("tests/golden/hf/llama-tied-yarn");
    assert!(found.contains("context 128, RoPE theta 100, YaRN scaling by 4 from context 32, epsilon"), "{found}");
    let folder = Folder::new("inspect-architecture");
    let other = Parts::model(TensorType::Tq2_0).set("general.architecture", Metadata::Text("qwen2".into()));
    std::fs::write(folder.file("other.gguf"), other.write()).unwrap();
    let found = line(&folder.file("other.gguf"));
    assert!(found.contains("expected 'llama' or 'bitnet' or 'bitnet-b1.58', found 'qwen2'; the nearest supported"), "{found}");
}

#[test]
fn published_shapes_are_known_by_name_and_can_be_changed() {
    let (shape, tied) = parse_shape("2b4t,layers=2").unwrap();
    assert_eq!((shape.layers, shape.dim, shape.kv_dim(), shape.vocab, tied), (2, 2560, 640, 128_256, true));
    let (shape, tied) = parse_shape("3b").unwrap();
    assert_eq!((shape.layers, shape.head_dim, shape.ffn, tied), (26, 100, 8640, false));
    assert!(parse_shape("layers=2,2b4t").is_err());
}

#[test]
fn a_negative_scale_and_blocks_of_zeros_count_as_the_reader_takes_them() {
    for kind in [TensorType::Tq1_0, TensorType::Tq2_0] {
        let block = kind.block_bytes() as usize;
        let parts = Parts::model(kind).spoil("blk.0.attn_q.weight", |stored| {
            for (n, block) in stored.chunks_exact_mut(block).enumerate() {
                let at = block.len() - 1;
                block[at] |= 0x80;
                if n == 1 {
                    // All zeros, and scale 0: every digit 1, every code 1.
                    block.fill(if kind == TensorType::Tq1_0 { 0x80 } else { 0x55 });
                    block[at - 1..].fill(0);
                }
            }
        });
        let bytes = parts.write();
        let file = Gguf::parse(&bytes).unwrap();
        let read = TernaryTensor::read(&file, file.need_tensor("blk.0.attn_q.weight").unwrap()).unwrap();
        let trits = survey(&file, &|_| {}).into_iter().find(|t| t.name == "blk.0.attn_q.weight").unwrap().trits.unwrap();
        assert_eq!(([trits.minus, trits.zero, trits.plus], trits.scale), (counted(&read), read.scale), "{kind:?}");
        assert!(trits.scale > 0.0 && trits.zero > 256);
    }
}
