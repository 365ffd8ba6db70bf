//! Random models of many shapes: the file that is written is read back with the shape and the trits that were meant.

use tritforge::model::gguf::{Gguf, TensorType};
use tritforge::model::synth::{Synth, parse_shape};
use tritforge::model::{Activation, Model, Tokenizer};

fn build(text: &str, seed: u64, kind: TensorType) -> Vec<u8> {
    let (shape, tied) = parse_shape(text).unwrap();
    Synth { shape, tied, seed, kind }.build()
}

fn read(file: &[u8]) -> Model {
    Model::from_gguf(&Gguf::parse(file).unwrap()).unwrap()
}

#[test]
fn every_storage_type_gives_the_same_trits_and_nearly_the_same_scale() {
    let text = "layers=1,dim=256,heads=2,ffn=512,vocab=300";
    let kinds = TensorType::ALL.into_iter().filter(|kind| kind.keeps_ternary());
    let models: Vec<Model> = kinds.map(|kind| read(&build(text, 5, kind))).collect();
    assert_eq!(models.len(), 7);
    for model in &models {
        assert!(model.layers[0].down.to_trits() == models[0].layers[0].down.to_trits());
        assert!((model.layers[0].down.scale / models[0].layers[0].down.scale - 1.0).abs() < 4e-3);
    }
}

#[test]
fn shapes_whose_rows_fit_no_block_are_written_and_read_back() {
    for (text, group, query_dim) in [
        ("layers=2,dim=64,heads=4,kv=1,head_dim=32,ffn=100,vocab=40,ctx=16", 4, 128),
        ("layers=1,dim=250,heads=5,kv=1,head_dim=80,ffn=6912,vocab=8192,ctx=32,theta=500000,act=silu,tied=false", 5, 400),
        ("layers=1,dim=512,heads=1,head_dim=128,ffn=16384,vocab=4", 1, 128),
    ] {
        let file = build(text, 3, TensorType::Tq1_0);
        let model = read(&file);
        let shape = parse_shape(text).unwrap().0;
        assert_eq!(model.shape, shape, "{text}");
        assert_eq!((shape.group(), shape.query_dim()), (group, query_dim), "{text}");
        assert_eq!(model.output.is_some(), text.contains("tied=false"));
        assert_eq!(model.shape.activation == Activation::Silu, text.contains("act=silu"));
        let nonzero = model.layers[0].gate.to_trits().iter().filter(|&&t| t != 0).count() as f64;
        let share = nonzero / (shape.ffn * shape.dim) as f64;
        assert!((share - 2.0 / 3.0).abs() < 0.02, "{text}: {share}");
    }
}

#[test]
fn widths_that_fit_no_block_are_told_with_their_type() {
    let (shape, tied) = parse_shape("layers=1,dim=64,heads=2,head_dim=48,ffn=40,vocab=40").unwrap();
    let fallbacks = |kind| Synth { shape: shape.clone(), tied, seed: 1, kind }.fallbacks();
    assert_eq!(fallbacks(TensorType::Tq2_0), [(40, TensorType::F16), (64, TensorType::Q8_0), (96, TensorType::Q8_0)]);
    assert_eq!(fallbacks(TensorType::F16), []);
}

#[test]
fn every_type_can_be_had_and_only_those_that_keep_trits_make_a_model() {
    for (dim, fits) in [(256, 256), (64, 32), (40, 8)] {
        for kind in TensorType::ALL {
            let bytes = build(&format!("layers=1,dim={dim},heads=2,ffn=512,vocab=40"), 5, kind);
            let file = Gguf::parse(&bytes).unwrap();
            let stored = file.tensor("blk.0.attn_q.weight").unwrap().kind;
            assert_eq!(stored == kind, kind.block_elements() <= fits, "{} {dim}", kind.name());
            let all = file.tensors().iter().filter(|tensor| tensor.kind == kind).count();
            assert!(all > 0 || !512u64.is_multiple_of(kind.block_elements()), "{}", kind.name());
            assert_eq!(Model::from_gguf(&file).is_ok(), kind.keeps_ternary(), "{} {dim}", kind.name());
        }
    }
}

#[test]
fn the_file_depends_on_the_seed_and_on_nothing_else() {
    let text = "layers=1,dim=256,heads=2,ffn=256";
    assert!(build(text, 1, TensorType::Tq2_0) == build(text, 1, TensorType::Tq2_0));
    assert!(build(text, 1, TensorType::Tq2_0) != build(text, 2, TensorType::Tq2_0));
}

#[test]
fn the_tokenizer_of_a_random_model_turns_every_text_into_bytes_and_back() {
    let file = build("layers=1,dim=64,heads=1,ffn=64", 1, TensorType::F16);
    let tokenizer = Tokenizer::from_gguf(&Gguf::parse(&file).unwrap()).unwrap();
    let text = "Zoë likes\n\u{1F999}\u{7f}";
    let ids = tokenizer.encode(text).unwrap();
    assert_eq!(ids.len(), " ".len() + text.len());
    assert_eq!(tokenizer.decode(&ids).unwrap(), format!(" {text}"));
}
