//! Property: whatever is done to the bytes of a model file, reading and converting it gives a model or an error, never a panic.

mod support;

use proptest::prelude::*;
use support::parts::Parts;
use tritforge::model::convert::Options;
use tritforge::model::gguf::{Gguf, TensorType};
use tritforge::model::{Conversion, Model, Tokenizer};

/// Everything that reads a file; the result does not matter.
fn read_all(bytes: &[u8]) {
    let Ok(file) = Gguf::parse(bytes) else { return };
    for (key, value) in file.metadata() {
        assert!(file.get(key).is_some());
        let array = value.as_array();
        let sum = array.and_then(|a| a.strings()).map_or(0, |strings| strings.map(<[u8]>::len).sum::<usize>());
        assert!(sum <= bytes.len());
    }
    for tensor in file.tensors() {
        assert_eq!(file.tensor_bytes(tensor).len() as u64, tensor.stored_bytes);
    }
    let _ = Model::from_gguf(&file);
    let _ = Tokenizer::from_gguf(&file);
    for (kind, ternarise) in [(TensorType::Q5_1, false), (TensorType::Tq2_0, false), (TensorType::I2S, true)] {
        convert(&file, Options { kind, ternarise });
    }
}

/// A file is refused, or converted to one with the same tensors.
fn convert(file: &Gguf<'_>, options: Options) {
    let Ok(conversion) = Conversion::plan(file, options, &|_| {}) else { return };
    let mut out = Vec::new();
    if conversion.write(&mut out, &|_| {}).is_ok() {
        let converted = Gguf::parse(&out).unwrap();
        let names = |file: &Gguf<'_>| file.tensors().iter().map(|t| (t.name.to_owned(), t.sizes)).collect::<Vec<_>>();
        assert_eq!(names(&converted), names(file));
    }
}

fn file() -> &'static [u8] {
    static FILE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    FILE.get_or_init(|| Parts::model(TensorType::Tq1_0).write())
}

fn metadata_bytes() -> usize {
    Gguf::parse(file()).unwrap().metadata_bytes()
}

/// Byte values that counts, lengths and types are most sensitive to.
fn telling_byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), Just(0), Just(1), Just(0x7f), Just(0x80), Just(0xff)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_file_cut_anywhere_never_panics(cut in 0..file().len()) {
        read_all(&file()[..cut]);
    }

    #[test]
    fn a_file_with_changed_metadata_never_panics(
        changes in prop::collection::vec((0..metadata_bytes(), telling_byte()), 1..8),
    ) {
        let mut bytes = file().to_vec();
        changes.iter().for_each(|&(at, byte)| bytes[at] = byte);
        read_all(&bytes);
    }

    #[test]
    fn a_file_with_a_stretch_moved_never_panics(from in 0..metadata_bytes(), to in 0..metadata_bytes(), length in 1..64usize) {
        let mut bytes = file().to_vec();
        bytes.copy_within(from..from + length, to);
        read_all(&bytes);
    }

    #[test]
    fn changed_weights_never_panic(changes in prop::collection::vec((0..file().len() - metadata_bytes(), telling_byte()), 1..40)) {
        let mut bytes = file().to_vec();
        changes.iter().for_each(|&(at, byte)| bytes[metadata_bytes() + at] = byte);
        read_all(&bytes);
    }

    #[test]
    fn any_bytes_behind_a_valid_header_never_panic(
        tensors in 0..4u64,
        entries in 0..4u64,
        body in prop::collection::vec(telling_byte(), 0..400),
    ) {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(tensors.to_le_bytes());
        bytes.extend(entries.to_le_bytes());
        bytes.extend(body);
        read_all(&bytes);
    }

    #[test]
    fn every_text_is_encoded_and_comes_back(text in "\\PC{0,40}") {
        let parsed = Gguf::parse(file()).unwrap();
        let tokenizer = Tokenizer::from_gguf(&parsed).unwrap();
        let back = tokenizer.decode(&tokenizer.encode(&text).unwrap()).unwrap();
        let expected = if text.is_empty() { String::new() } else { format!(" {}", text.replace('\u{2581}', " ")) };
        prop_assert_eq!(back, expected);
    }
}
