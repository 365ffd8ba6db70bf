//! Fuzz target: any bytes as a model file. Reading them gives a model or an error, never a panic, and no memory in
//! proportion to a number in the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tritforge_fuzz::model::convert::{Conversion, Options};
use tritforge_fuzz::model::gguf::{Gguf, TensorType};
use tritforge_fuzz::model::llama::{Llama, LlamaModel, Wanted};
use tritforge_fuzz::model::quant::Arithmetic;
use tritforge_fuzz::model::tokenizer::Tokenizer;
use tritforge_fuzz::model::weights::Model;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = Gguf::parse(bytes) else { return };
    for (key, value) in file.metadata() {
        assert!(file.get(key).is_some());
        if let Some(strings) = value.as_array().and_then(|array| array.strings()) {
            assert!(strings.map(<[u8]>::len).sum::<usize>() <= bytes.len());
        }
    }
    for tensor in file.tensors() {
        assert_eq!(file.tensor_bytes(tensor).len() as u64, tensor.stored_bytes);
    }
    let _ = Model::from_gguf(&file);
    if let Ok(model) = LlamaModel::from_gguf(&file) {
        let llama = Llama::new(&model, Arithmetic::Ggml);
        let _ = llama.forward(&[0], &mut llama.cache(), Wanted::Last, &mut ());
    }
    for (kind, ternarise) in [(TensorType::Q8_0, false), (TensorType::Q4K, false), (TensorType::Tq1_0, true), (TensorType::I2S, false)] {
        let Ok(conversion) = Conversion::plan(&file, Options { kind, ternarise }, &|_| {}) else { continue };
        let mut out = Vec::new();
        if conversion.write(&mut out, &|_| {}).is_ok() {
            assert_eq!(Gguf::parse(&out).map(|file| file.tensors().len()).ok(), Some(file.tensors().len()));
        }
    }
    if let Ok(tokenizer) = Tokenizer::from_gguf(&file) {
        let ids = tokenizer.encode("Once upon a time\u{1F999}").unwrap_or_default();
        assert!(tokenizer.decode(&ids).is_ok());
    }
});
