//! The integer pipeline against the judge, on the embedded model and on random ones of other shapes.

mod support;

use serde::{Deserialize, Serialize};
use support::{embedded, golden, test_data};
use tritforge::compile::compile_model;
use tritforge::configs::NAMED;
use tritforge::model::gguf::{Gguf, GgufFile, TensorType};
use tritforge::model::judge::{Judge, Options};
use tritforge::model::synth::{self, Synth};
use tritforge::model::{Model, Tokenizer, text};
use tritforge::report::accuracy::{self, bars, stages};
use tritforge_spec::config::{AccelConfig, WIDTHS};
use tritforge_spec::reference::{KvCache, Reference, Saturations};

/// The default softmax ROM.
const ROM: (u32, u32) = (WIDTHS.rom_log2, WIDTHS.rom_bits);

#[test]
fn the_named_configurations_compute_these_integers() {
    for (name, text) in NAMED {
        let config = AccelConfig::from_toml(text).unwrap();
        assert_eq!((config.kv_bits, config.rom_log2, config.rom_bits), (WIDTHS.kv_bits, ROM.0, ROM.1), "{name}");
    }
}

fn open() -> (Model, Tokenizer) {
    let file = GgufFile::open(&embedded("stories3m.tq1_0.gguf")).unwrap();
    let file = file.parse().unwrap();
    (Model::from_gguf(&file).unwrap(), Tokenizer::from_gguf(&file).unwrap())
}

fn own_stories(tokenizer: &Tokenizer, length: usize) -> Vec<Vec<u32>> {
    text::read_documents(&embedded("own-stories.txt"), tokenizer, length).unwrap().ids
}

fn assert_stages(model: &Model, kv_bits: usize, rom: (u32, u32), ids: &[u32]) {
    let int = compile_model(model, None, kv_bits).unwrap();
    let judge = Judge::<f64>::new(model, Options::default());
    let found = stages::measure(&judge, &Reference::new(&int, rom.0, rom.1), ids).unwrap();
    assert_eq!(found.len(), 19);
    for (stage, e) in &found {
        assert!(e.share <= 1.0 && e.elements > 0, "{stage}, KV {kv_bits}: {e:?}");
        // A bound far above what occurs would show nothing; the scores' and the head's add up worst cases of a whole dot product.
        let tight = if ["kq", "result_output"].contains(stage) { 0.05 } else { 0.2 };
        assert!(e.share >= tight, "{stage}, KV {kv_bits}: {e:?}");
    }
}

#[test]
fn every_stage_stays_within_its_bound_on_the_embedded_model() {
    let (model, tokenizer) = open();
    let documents = own_stories(&tokenizer, 80);
    for (kv_bits, rom) in [(8, ROM), (6, (6, 12)), (4, (4, 8))] {
        assert_stages(&model, kv_bits, rom, &documents[kv_bits]);
    }
}

#[test]
fn every_stage_stays_within_its_bound_for_other_shapes() {
    for (seed, shape) in [
        "layers=2,dim=96,heads=5,kv=1,head_dim=80,ffn=160,vocab=300,theta=500000",
        "layers=1,dim=64,heads=4,kv=4,head_dim=32,ffn=96,vocab=300,act=silu",
        "layers=1,dim=160,heads=4,kv=1,head_dim=128,ffn=64,vocab=300,tied=false",
    ]
    .into_iter()
    .enumerate()
    {
        let (shape, tied) = synth::parse_shape(shape).unwrap();
        let file = Synth { shape, tied, seed: seed as u64, kind: TensorType::F16 }.build();
        let model = Model::from_gguf(&Gguf::parse(&file).unwrap()).unwrap();
        let ids: Vec<u32> = (0..40).map(|i| (i * 37 + 5) % 300).collect();
        for kv_bits in [8, 4] {
            assert_stages(&model, kv_bits, ROM, &ids);
        }
    }
}

#[test]
fn bars_hold_on_own_stories() {
    let (model, tokenizer) = open();
    let int = compile_model(&model, Some(&tokenizer), 8).unwrap();
    assert_eq!((int.res_frac, int.attn_frac), (22, 24));
    let result = accuracy::measure(&model, &int, ROM, &own_stories(&tokenizer, 96)[..4], &|| ()).unwrap();
    assert_eq!(bars::missed(&result), [""; 0]);
    assert_eq!((result.variants.whole.saturations, result.variants.attention.saturations), (0, 0));
    assert!(result.variants.whole.top1 > 0.97 && result.variants.whole.ratio_se.is_some());
    let recall: Vec<f64> = result.shortlist.iter().map(|r| r.recall).collect();
    assert!(recall.is_sorted() && recall.len() == 5 && recall[4] > 0.99, "{recall:?}");
    assert_eq!(keys(&serde_json::to_value(&result).unwrap()), KEYS);
}

/// The JSON that scripts rely on: every key, in order; lists and stages by their first entry.
const KEYS: &str = "documents floor{f32{flips flips_sure ratio top1} kv8{flips flips_sure ratio top1}} kind \
    numerics{attn_frac kv_bits res_frac rom_bits rom_log2} predictions shortlist[{n recall}] \
    variants{attention{flips flips_sure kl ppl_float ppl_int ratio ratio_se saturations \
    stages{attn_norm{bound elements rms share worst} attn_out attn_resid attn_sub_norm k_rope kq kq_soft kqv q_rope v} top1} \
    whole{flips flips_sure kl ppl_float ppl_int ratio ratio_se saturations \
    stages{attn_norm{bound elements rms share worst} attn_out attn_resid attn_sub_norm ffn_act ffn_gate ffn_norm ffn_out ffn_sub_norm ffn_up \
    k_rope kq kq_soft kqv l_out q_rope result_norm result_output v} top1}}";

fn keys(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            let sorted: std::collections::BTreeMap<_, _> = map.iter().collect();
            let of_stages = map.contains_key("attn_norm");
            let each = sorted.iter().enumerate().map(|(i, (key, value))| {
                let inner = if of_stages && i > 0 { String::new() } else { keys(value) };
                if inner.is_empty() || inner.starts_with('[') { format!("{key}{inner}") } else { format!("{key}{{{inner}}}") }
            });
            each.collect::<Vec<_>>().join(" ")
        }
        Value::Array(list) => list.first().map_or(String::new(), |v| format!("[{{{}}}]", keys(v))),
        _ => String::new(),
    }
}

#[test]
fn bars_hold_on_held_out_stories() {
    let Some(path) = test_data("models/held-out.txt") else { return };
    let (model, tokenizer) = open();
    let int = compile_model(&model, Some(&tokenizer), 8).unwrap();
    let documents = text::read_documents(&path, &tokenizer, 96).unwrap().ids;
    let result = accuracy::measure(&model, &int, ROM, &documents[..3], &|| ()).unwrap();
    assert_eq!(bars::missed(&result), [""; 0]);
}

#[test]
fn narrower_kv_diverges_more() {
    let (model, tokenizer) = open();
    let documents = &own_stories(&tokenizer, 64)[..3];
    let kl = [8, 6, 4].map(|bits| {
        let int = compile_model(&model, Some(&tokenizer), bits).unwrap();
        accuracy::measure(&model, &int, ROM, documents, &|| ()).unwrap().variants.whole.kl
    });
    assert!(kl[0] < kl[1] && kl[1] < kl[2], "{kl:?}");
}

/// The integer reference's own greedy text: what every integer backend must give.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct IntegerText {
    rom_log2: u32,
    rom_bits: u32,
    kv_bits: usize,
    prompts: Vec<Vec<u32>>,
    greedy_ids: Vec<Vec<u32>>,
}

#[test]
fn integer_text_is_the_recorded_one() {
    let (model, tokenizer) = open();
    let int = compile_model(&model, Some(&tokenizer), 8).unwrap();
    let reference = Reference::new(&int, ROM.0, ROM.1);
    let mut saturations = Saturations::default();
    let prompts: Vec<Vec<u32>> = golden::read().prompts.into_iter().map(|p| p.prompt_ids).collect();
    let greedy_ids = prompts.iter().map(|p| reference.generate(p, 200, &mut saturations).unwrap()).collect();
    assert_eq!(saturations, Saturations::default());
    let found = IntegerText { rom_log2: ROM.0, rom_bits: ROM.1, kv_bits: 8, prompts, greedy_ids };
    let path = embedded("golden/stories3m-integer.json");
    if std::env::var_os("TRITFORGE_BLESS").is_some() {
        std::fs::write(&path, serde_json::to_string(&found).unwrap() + "\n").unwrap();
        for ids in &found.greedy_ids {
            println!("{}\n", tokenizer.decode(ids).unwrap());
        }
    }
    let recorded: IntegerText = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(found, recorded);
}

#[test]
fn integer_prefill_equals_decode_on_the_embedded_model() {
    let (model, tokenizer) = open();
    let int = compile_model(&model, Some(&tokenizer), 6).unwrap();
    let reference = Reference::new(&int, 6, 12);
    let ids = &own_stories(&tokenizer, 24)[0];
    let mut saturations = Saturations::default();
    let whole = reference.forward(ids, &mut KvCache::new(&int), &mut (), &mut saturations).unwrap();
    let mut cache = KvCache::new(&int);
    let steps: Vec<i32> = ids.iter().flat_map(|&id| reference.forward(&[id], &mut cache, &mut (), &mut saturations).unwrap()).collect();
    assert_eq!(whole, steps);
}

#[test]
fn models_beyond_the_contract_are_refused_by_name() {
    let refuse = |shape: &str| {
        let (shape, tied) = synth::parse_shape(shape).unwrap();
        let file = Synth { shape, tied, seed: 1, kind: TensorType::F16 }.build();
        let model = Model::from_gguf(&Gguf::parse(&file).unwrap()).unwrap();
        compile_model(&model, None, 8).unwrap_err().to_string()
    };
    assert!(
        refuse("layers=1,dim=32,heads=2,kv=1,head_dim=24,ffn=32").starts_with("head size: expected a multiple of 16, 32 to 128, found 24")
    );
    assert!(refuse("layers=1,dim=32,heads=1,kv=1,head_dim=32,ffn=16385").starts_with("feed-forward length: expected at most 16384"));
}
