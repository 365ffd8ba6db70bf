//! The judge in f64 against all results of an independent program for the embedded model. Needs `TRITFORGE_TEST_DATA`.
//! With `TRITFORGE_BLESS=1` the golden file of the repository is written anew from those results.

mod support;

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use support::golden::{self, Golden, LogitRow, Losses, Prompt};
use support::{Trace, embedded, test_data};
use tritforge::model::gguf::GgufFile;
use tritforge::model::judge::{Judge, Options};
use tritforge::model::{Model, Tokenizer, text};

/// Largest difference of a logit that the project allows itself.
const LOGIT_BOUND: f64 = 1e-6;
/// Largest difference of a traced stage, relative to the stage's largest value.
const STAGE_BOUND: f64 = 1e-10;

struct Reference {
    json: Value,
    bytes: Vec<u8>,
}

impl Reference {
    fn open() -> Option<Self> {
        let json = std::fs::read(test_data("models/reference.json")?).unwrap();
        let bytes = std::fs::read(test_data("models/reference.safetensors")?).unwrap();
        Some(Self { json: serde_json::from_slice(&json).unwrap(), bytes })
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).unwrap()
    }

    fn prompts(&self) -> Vec<Prompt> {
        serde_json::from_value(self.json["prompts"].clone()).unwrap()
    }

    fn losses(&self, name: &str) -> Losses {
        serde_json::from_value(self.json[name].clone()).unwrap()
    }
}

fn floats(tensors: &SafeTensors<'_>, name: &str) -> Vec<f64> {
    let tensor = tensors.tensor(name).unwrap();
    assert_eq!(tensor.dtype(), Dtype::F64, "{name}");
    tensor.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect()
}

fn ids(tensors: &SafeTensors<'_>, name: &str) -> Vec<u32> {
    tensors.tensor(name).unwrap().data().as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)).collect()
}

fn model() -> (Model, Tokenizer) {
    let file = GgufFile::open(&embedded("stories3m.tq1_0.gguf")).unwrap();
    let file = file.parse().unwrap();
    (Model::from_gguf(&file).unwrap(), Tokenizer::from_gguf(&file).unwrap())
}

#[test]
fn logits_of_every_position_agree_within_1e_6() {
    let Some(reference) = Reference::open() else { return };
    let tensors = reference.tensors();
    let (model, _) = model();
    let judge = Judge::<f64>::new(&model, Options::default());
    for prompt in 0..reference.prompts().len() {
        let tokens = ids(&tensors, &format!("prompt{prompt}.tokens"));
        let expected = floats(&tensors, &format!("prompt{prompt}.logits"));
        let found = judge.forward(&tokens, &mut judge.cache(), &mut ()).unwrap().values;
        assert_eq!(found.len(), expected.len());
        let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        println!("prompt {prompt}: worst difference of {} logits {worst:.1e}", found.len());
        assert!(worst < LOGIT_BOUND);
    }
}

#[test]
fn every_traced_stage_agrees_and_every_int8_code_is_equal() {
    let Some(reference) = Reference::open() else { return };
    let tensors = reference.tensors();
    let (model, _) = model();
    let judge = Judge::<f64>::new(&model, Options::default());
    let mut trace = Trace::default();
    judge.forward(&ids(&tensors, "trace.tokens"), &mut judge.cache(), &mut trace).unwrap();
    let mut seen = 0;
    for (name, tensor) in tensors.tensors() {
        let Some(stage) = name.strip_prefix("trace.").filter(|&name| name != "tokens") else { continue };
        seen += 1;
        if tensor.dtype() == Dtype::I8 {
            let (shape, codes) = &trace.codes[stage];
            assert_eq!(shape, tensor.shape(), "{stage}");
            assert!(codes.iter().map(|&c| c as u8).eq(tensor.data().iter().copied()), "{stage}");
            continue;
        }
        let (shape, found) = &trace.floats[stage];
        assert_eq!(shape, tensor.shape(), "{stage}");
        let expected = floats(&tensors, &name);
        let size = expected.iter().filter(|x| x.is_finite()).fold(0.0, |most: f64, x| most.max(x.abs()));
        for (at, (a, b)) in found.iter().zip(&expected).enumerate() {
            let equal = a == b || (a - b).abs() <= STAGE_BOUND * size;
            assert!(equal, "{stage}[{at}]: {a} and {b}");
        }
    }
    assert_eq!(seen, trace.floats.len() + trace.codes.len(), "stages of the reference and of the judge");
}

#[test]
fn losses_of_both_texts_agree_to_six_digits() {
    let Some(reference) = Reference::open() else { return };
    let (model, tokenizer) = model();
    let judge = Judge::<f64>::new(&model, Options::default());
    for (name, path) in [("own_stories", "models/own-stories.txt"), ("held_out", "models/held-out.txt")] {
        let Some(path) = test_data(path) else { return };
        let documents = text::read_documents(&path, &tokenizer, model.shape.context).unwrap().ids;
        golden::assert_losses(&reference.losses(name), &judge.losses(&documents).unwrap());
    }
}

#[test]
fn prompts_are_encoded_continued_and_decoded_exactly() {
    let Some(reference) = Reference::open() else { return };
    let (model, tokenizer) = model();
    let judge = Judge::<f64>::new(&model, Options::default());
    for prompt in reference.prompts() {
        let ids = tokenizer.encode_prompt(&prompt.text).unwrap();
        assert_eq!(ids, prompt.prompt_ids, "{}", prompt.text);
        let ids = judge.generate(&ids, prompt.greedy_ids.len()).unwrap();
        assert_eq!(ids, prompt.greedy_ids, "{}", prompt.text);
        assert_eq!(tokenizer.decode(&ids).unwrap(), prompt.greedy_text);
    }
}

#[test]
fn golden_file_of_the_repository_is_a_part_of_the_reference() {
    let Some(reference) = Reference::open() else { return };
    let expected = derive_golden(&reference);
    if std::env::var_os("TRITFORGE_BLESS").is_some() {
        let mut text = serde_json::to_string(&expected).unwrap();
        text.push('\n');
        std::fs::create_dir_all(golden::path().parent().unwrap()).unwrap();
        std::fs::write(golden::path(), text).unwrap();
    }
    let found = golden::read();
    // JSON's decimal floats may be read back one unit in the last place off: compared after the same trip.
    let expected: Golden = serde_json::from_str(&serde_json::to_string(&expected).unwrap()).unwrap();
    assert!(found == expected, "models/golden is stale: run this test with TRITFORGE_BLESS=1");
}

fn derive_golden(reference: &Reference) -> Golden {
    let tensors = reference.tensors();
    let prompts = reference.prompts();
    let mut logits = Vec::new();
    for (prompt, parts) in prompts.iter().enumerate() {
        let all = floats(&tensors, &format!("prompt{prompt}.logits"));
        let tokens = parts.greedy_ids.len();
        let vocab = all.len() / tokens;
        for position in [0, parts.prompt_ids.len() - 1, tokens - 1] {
            logits.push(LogitRow { prompt, position, logits: all[position * vocab..(position + 1) * vocab].to_vec() });
        }
    }
    let int8_crc32 = tensors
        .tensors()
        .into_iter()
        .filter(|(_, tensor)| tensor.dtype() == Dtype::I8)
        .map(|(name, tensor)| (name.trim_start_matches("trace.").to_owned(), crc32fast::hash(tensor.data())))
        .collect();
    Golden {
        format: golden::FORMAT.into(),
        prompts,
        logits,
        trace_tokens: ids(&tensors, "trace.tokens"),
        int8_crc32,
        own_stories: reference.losses("own_stories"),
    }
}
