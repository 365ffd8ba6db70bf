//! The judge against the golden file, and what must hold between its own ways to run. Needs only the repository.

mod support;

use support::{Trace, embedded, golden};
use tritforge::model::gguf::{Gguf, GgufFile, TensorType};
use tritforge::model::judge::{Judge, Options, arg_max, stages};
use tritforge::model::synth::{Synth, parse_shape};
use tritforge::model::{Model, Refusal, Tokenizer, text};

fn model() -> (Model, Tokenizer) {
    let file = GgufFile::open(&embedded("stories3m.tq2_0.gguf")).unwrap();
    let file = file.parse().unwrap();
    (Model::from_gguf(&file).unwrap(), Tokenizer::from_gguf(&file).unwrap())
}

fn synthetic(text: &str, seed: u64) -> Model {
    let (shape, tied) = parse_shape(text).unwrap();
    let file = Synth { shape, tied, seed, kind: TensorType::Tq2_0 }.build();
    Model::from_gguf(&Gguf::parse(&file).unwrap()).unwrap()
}

#[test]
fn judge_reproduces_the_golden_logits_and_greedy_text() {
    let golden = golden::read();
    let (model, tokenizer) = model();
    let judge = Judge::<f64>::new(&model, Options::default());
    for (index, prompt) in golden.prompts.iter().enumerate() {
        let ids = tokenizer.encode_prompt(&prompt.text).unwrap();
        assert_eq!(ids, prompt.prompt_ids);
        assert_eq!(judge.generate(&ids, prompt.greedy_ids.len()).unwrap(), prompt.greedy_ids);
        assert_eq!(tokenizer.decode(&prompt.greedy_ids).unwrap(), prompt.greedy_text);
        let logits = judge.forward(&prompt.greedy_ids, &mut judge.cache(), &mut ()).unwrap();
        for row in golden.logits.iter().filter(|row| row.prompt == index) {
            let found = logits.row(row.position);
            let worst = found.iter().zip(&row.logits).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-6, "prompt {index}, position {}: {worst}", row.position);
        }
    }
}

#[test]
fn judge_reproduces_every_golden_int8_code() {
    let golden = golden::read();
    let (model, _) = model();
    let judge = Judge::<f64>::new(&model, Options::default());
    let mut trace = Trace::default();
    judge.forward(&golden.trace_tokens, &mut judge.cache(), &mut trace).unwrap();
    assert_eq!(trace.codes.len(), 4 * model.shape.layers);
    for (stage, (_, codes)) in &trace.codes {
        let bytes: Vec<u8> = codes.iter().map(|&code| code as u8).collect();
        assert_eq!(golden.int8_crc32.get(stage), Some(&crc32fast::hash(&bytes)), "{stage}");
    }
}

#[test]
fn judge_reproduces_the_golden_losses() {
    let (model, tokenizer) = model();
    let judge = Judge::<f64>::new(&model, Options::default());
    let documents = text::read_documents(&embedded("own-stories.txt"), &tokenizer, model.shape.context).unwrap().ids;
    golden::assert_losses(&golden::read().own_stories, &judge.losses(&documents).unwrap());
}

#[test]
fn prefill_in_any_cuts_equals_decoding_bit_for_bit() {
    let model = synthetic("layers=2,dim=96,heads=6,kv=2,head_dim=32,ffn=160,vocab=50,ctx=24,tied=false", 11);
    let judge = Judge::<f64>::new(&model, Options { kv_bits: Some(8), residual_bits: Some(16) });
    let ids: Vec<u32> = (0..24).map(|i| i * 7 % 50).collect();
    let whole = judge.forward(&ids, &mut judge.cache(), &mut ()).unwrap();
    for cut in [1, 5, 23] {
        let mut cache = judge.cache();
        let mut found = Vec::new();
        for part in ids.chunks(cut) {
            found.extend(judge.forward(part, &mut cache, &mut ()).unwrap().values);
        }
        assert!(found == whole.values, "cut into parts of {cut}");
        assert_eq!(judge.cached(&cache), 24);
    }
}

#[test]
fn random_models_of_odd_shapes_keep_activations_in_range() {
    for text in [
        "layers=3,dim=64,heads=4,kv=1,head_dim=32,ffn=100,vocab=40,ctx=16",
        "layers=2,dim=160,heads=5,kv=1,head_dim=80,ffn=500,vocab=64,ctx=16,theta=500000,act=silu",
        "layers=2,dim=256,heads=2,kv=2,head_dim=128,ffn=768,vocab=64,ctx=16",
    ] {
        let model = synthetic(text, 4);
        let judge = Judge::<f64>::new(&model, Options::default());
        let mut trace = Trace::default();
        let logits = judge.forward(&(0..16).collect::<Vec<_>>(), &mut judge.cache(), &mut trace).unwrap();
        assert!(logits.values.iter().all(|x| x.abs() < 100.0), "{text}");
        for (stage, (_, values)) in &trace.floats {
            let most = values.iter().filter(|x| x.is_finite()).fold(0.0, |most: f64, x| most.max(x.abs()));
            assert!(most > 1e-3 && most < 1e4, "{text} {stage}: {most}");
        }
    }
}

#[test]
fn f32_agrees_with_f64_but_for_codes_that_flip() {
    let golden = golden::read();
    let (model, _) = model();
    let ids = &golden.prompts[0].greedy_ids;
    let exact = Judge::<f64>::new(&model, Options::default());
    let exact = exact.forward(ids, &mut exact.cache(), &mut ()).unwrap();
    let short = Judge::<f32>::new(&model, Options::default());
    let short = short.forward(ids, &mut short.cache(), &mut ()).unwrap();
    let worst = exact.values.iter().zip(&short.values).map(|(a, &b)| (a - f64::from(b)).abs()).fold(0.0, f64::max);
    let equal = (0..ids.len()).filter(|&t| arg_max(exact.row(t)) == arg_max(short.row(t))).count();
    println!("f32: worst logit difference {worst:.3}, arg-max equal at {equal} of {}", ids.len());
    // Measured over 3,072 positions by another program: up to 0.27, 0.4 % of the arg-max.
    assert!(worst > 0.0 && worst < 0.5);
    assert!(equal * 100 >= ids.len() * 97);
}

#[test]
fn rounding_options_round_what_they_say() {
    let x = [0.5, -1.0, 0.25, 0.1, 0.0, 0.0, 0.0, 0.0];
    assert_eq!(stages::round_heads(&x, 4, 4), [4.0f64, -7.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0].map(|c| c * (1.0 / 7.0)));
    assert_eq!(stages::round_to_fraction(0.3f64, 2), 0.25);
    assert_eq!(stages::round_to_fraction(0.375f64, 2), 0.5, "ties to even");
    assert_eq!(stages::round_to_fraction(0.125f64, 2), 0.0, "ties to even");
}

#[test]
fn quantise_rounds_ties_to_even_and_knows_the_floor_of_the_maximum() {
    let (codes, scale) = stages::quantise(&[127.0f64, 0.5, 1.5, 2.5, -0.5, -126.5]);
    assert_eq!((codes, scale), (vec![127, 0, 2, 2, 0, -126], 1.0));
    let (codes, scale) = stages::quantise(&[0.0f64, 4e-6]);
    assert_eq!(codes, [0, 51], "127 · 4e-6 / 1e-5 = 50.8");
    assert!((scale - 1e-5 / 127.0).abs() < 1e-20);
}

#[test]
fn wrong_ids_and_too_many_positions_are_refused() {
    let model = synthetic("layers=1,dim=64,heads=2,ffn=64,vocab=10,ctx=4", 1);
    let judge = Judge::<f64>::new(&model, Options::default());
    let refusal = |ids: &[u32]| judge.forward(ids, &mut judge.cache(), &mut ()).unwrap_err().refusal();
    assert_eq!(refusal(&[]), Some(Refusal::Vocabulary));
    assert_eq!(refusal(&[1, 10]), Some(Refusal::Vocabulary));
    assert_eq!(refusal(&[1; 5]), Some(Refusal::Bounds));
}
