//! The embedded model and public vocabulary vectors through the reader: weights, shape, tokenizer.

mod support;

use support::parts::Parts;
use support::{embedded, test_data};
use tritforge::model::gguf::{Gguf, GgufFile, Metadata, TensorType};
use tritforge::model::{Activation, Model, Tokenizer};

#[test]
fn both_storage_types_of_the_embedded_model_give_the_same_weights() {
    let one = Model::open(&embedded("stories3m.tq1_0.gguf")).unwrap();
    let two = Model::open(&embedded("stories3m.tq2_0.gguf")).unwrap();
    assert!(one == two);
}

#[test]
fn shape_of_the_embedded_model_is_as_its_documentation_says() {
    let shape = Model::open(&embedded("stories3m.tq2_0.gguf")).unwrap().shape;
    assert_eq!((shape.layers, shape.dim, shape.ffn), (4, 256, 768));
    assert_eq!((shape.heads, shape.kv_heads, shape.head_dim), (4, 2, 64));
    assert_eq!((shape.vocab, shape.context), (512, 256));
    assert_eq!((shape.rope_theta, shape.rms_epsilon), (10000.0, 1e-5));
    assert_eq!(shape.activation, Activation::Relu2);
}

/// The public vectors separate texts by this line and end each text with a newline.
const SEPARATOR: &str = "\n__ggml_vocab_test__\n";

#[test]
fn encoding_equals_the_public_sentencepiece_vectors_and_decodes_back() {
    let Some(path) = test_data("vocab/ggml-vocab-llama-spm.gguf") else {
        return;
    };
    let file = GgufFile::open(&path).unwrap();
    let tokenizer = Tokenizer::from_gguf(&file.parse().unwrap()).unwrap();
    let texts = std::fs::read_to_string(path.with_extension("gguf.inp")).unwrap();
    let expected = std::fs::read_to_string(path.with_extension("gguf.out")).unwrap();
    let expected: Vec<Vec<u32>> = expected.lines().map(|line| line.split_whitespace().map(|id| id.parse().unwrap()).collect()).collect();
    let texts: Vec<&str> = texts.split(SEPARATOR).collect();
    assert_eq!(texts.len(), expected.len() + 1, "the last separator ends the file");
    for (text, expected) in texts.iter().zip(&expected) {
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(&ids, expected, "{text:?}");
        let back = tokenizer.decode(&ids).unwrap();
        assert_eq!(back.strip_prefix(' ').unwrap_or(&back), *text);
    }
}

#[test]
fn encoding_a_long_text_without_any_space_stays_fast() {
    let file = GgufFile::open(&embedded("stories3m.tq2_0.gguf")).unwrap();
    let tokenizer = Tokenizer::from_gguf(&file.parse().unwrap()).unwrap();
    let text = "abé\u{1F999}".repeat(100_000);
    let ids = tokenizer.encode(&text).unwrap();
    assert_eq!(tokenizer.decode(&ids).unwrap(), format!(" {text}"));
}

#[test]
fn head_size_comes_from_key_length_else_from_rope_else_from_the_dimension() {
    let key = |name: &str| format!("bitnet-b1.58.{name}");
    let head_dim = |parts: &Parts| Model::from_gguf(&Gguf::parse(&parts.write()).unwrap()).unwrap().shape.head_dim;
    // The tensors have 4 heads of 64 at dimension 256, so all three ways must give 64.
    let mut parts = Parts::model(TensorType::Tq2_0);
    for without in ["attention.value_length", "attention.key_length", "rope.dimension_count"] {
        assert_eq!(head_dim(&parts), 64);
        parts = parts.without_key(&key(without));
    }
    assert_eq!(head_dim(&parts), 64);
    // A wrong key length is believed before the others, so the contradiction is noticed.
    let parts = Parts::model(TensorType::Tq2_0).set(&key("attention.key_length"), Metadata::U32(32));
    assert!(Model::from_gguf(&Gguf::parse(&parts.write()).unwrap()).is_err());
}
