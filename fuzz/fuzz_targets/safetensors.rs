//! Fuzz target: any bytes as a model that is not GGUF. The first byte chooses: `config.json` (its length in the next two bytes) and
//! one or two safetensors files, or a llama2.c checkpoint. Reading gives a model or an error, never a panic, and no memory in
//! proportion to a number in a file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tritforge_fuzz::model::import::{Import, huggingface, llama2c};
use tritforge_fuzz::model::llama::{Llama, LlamaModel, Wanted};
use tritforge_fuzz::model::quant::Arithmetic;
use tritforge_fuzz::model::weights::Model;

fn read(import: &Import, files: &[&[u8]]) {
    let Ok(gguf) = import.directory(files) else { return };
    for tensor in gguf.tensors() {
        assert_eq!(gguf.tensor_bytes(tensor).len() as u64, tensor.stored_bytes);
    }
    let _ = Model::from_gguf(&gguf);
    if let Ok(model) = LlamaModel::from_gguf(&gguf) {
        let llama = Llama::new(&model, Arithmetic::Ggml);
        let _ = llama.forward(&[0], &mut llama.cache(), Wanted::Last, &mut ());
    }
}

fuzz_target!(|bytes: &[u8]| {
    let [kind, low, high, rest @ ..] = bytes else { return };
    if kind % 4 == 3 {
        let _ = llama2c::is_llama2c(&bytes[1..]);
        if let Ok(import) = llama2c::import(&bytes[1..], None) {
            read(&import, &[&bytes[1..]]);
        }
        return;
    }
    let (config, file) = rest.split_at(rest.len().min(usize::from(u16::from_le_bytes([*low, *high]))));
    let (first, second) = file.split_at(file.len() / 2);
    let files = if kind % 4 == 2 { vec![first, second] } else { vec![file] };
    if let Ok(import) = huggingface::import(config, &files, "", &[]) {
        read(&import, &files);
    }
});
