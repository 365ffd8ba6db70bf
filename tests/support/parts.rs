//! A model file in parts, to be spoilt one at a time: read from a random model, written again as GGUF.
#![allow(dead_code)]

use tritforge::model::gguf::{Gguf, GgufWriter, Metadata, TensorType, Value, ValueType};
use tritforge::model::synth::{Synth, parse_shape};

pub struct Tensor {
    pub name: String,
    pub kind: TensorType,
    pub sizes: Vec<u64>,
    pub stored: Vec<u8>,
}

pub struct Parts {
    pub metadata: Vec<(String, Metadata)>,
    pub tensors: Vec<Tensor>,
}

impl Parts {
    /// A small random model, ternary tensors of `kind`.
    pub fn model(kind: TensorType) -> Self {
        let (shape, tied) = parse_shape("layers=1,dim=256,heads=4,kv=2,ffn=256,vocab=300,ctx=16").unwrap();
        Self::read(&Synth { shape, tied, seed: 1, kind }.build())
    }

    pub fn read(file: &[u8]) -> Self {
        let file = Gguf::parse(file).unwrap();
        let metadata = file.metadata().map(|(key, value)| (key.to_owned(), to_metadata(value))).collect();
        let tensor = |tensor: &tritforge::model::gguf::TensorInfo<'_>| Tensor {
            name: tensor.name.to_owned(),
            kind: tensor.kind,
            sizes: tensor.sizes[..tensor.dimensions as usize].to_vec(),
            stored: file.tensor_bytes(tensor).to_vec(),
        };
        Self { metadata, tensors: file.tensors().iter().map(tensor).collect() }
    }

    pub fn write(&self) -> Vec<u8> {
        let mut file = GgufWriter::new();
        for (key, value) in &self.metadata {
            file.metadata(key, value);
        }
        for tensor in &self.tensors {
            file.tensor(&tensor.name, tensor.kind, &tensor.sizes, &tensor.stored);
        }
        file.finish()
    }

    /// Sets a key, new or old.
    pub fn set(mut self, key: &str, value: Metadata) -> Self {
        self.metadata.retain(|(other, _)| other != key);
        self.metadata.push((key.into(), value));
        self
    }

    /// The same model under another architecture's name.
    pub fn rename_architecture(mut self, name: &str) -> Self {
        for (key, value) in &mut self.metadata {
            if key == "general.architecture" {
                *value = Metadata::Text(name.into());
            } else if let Some(rest) = key.strip_prefix("bitnet-b1.58.") {
                *key = format!("{name}.{rest}");
            }
        }
        self
    }

    pub fn without_key(mut self, key: &str) -> Self {
        self.metadata.retain(|(other, _)| other != key);
        self
    }

    pub fn without_tensor(mut self, name: &str) -> Self {
        self.tensors.retain(|tensor| tensor.name != name);
        self
    }

    /// Replaces a tensor's stored form.
    pub fn store(mut self, name: &str, kind: TensorType, sizes: &[u64], stored: Vec<u8>) -> Self {
        self = self.without_tensor(name);
        self.tensors.push(Tensor { name: name.into(), kind, sizes: sizes.to_vec(), stored });
        self
    }

    /// Changes a tensor's stored bytes.
    pub fn spoil(mut self, name: &str, change: impl FnOnce(&mut [u8])) -> Self {
        let tensor = self.tensors.iter_mut().find(|tensor| tensor.name == name).unwrap();
        change(&mut tensor.stored);
        self
    }
}

fn to_metadata(value: Value<'_>) -> Metadata {
    match value.kind() {
        ValueType::U32 => Metadata::U32(value.as_u64().unwrap() as u32),
        ValueType::F32 => Metadata::F32(value.as_f64().unwrap() as f32),
        ValueType::Bool => Metadata::Bool(value.as_bool().unwrap()),
        ValueType::String => Metadata::Text(value.as_str().unwrap().into()),
        ValueType::Array => {
            let array = value.as_array().unwrap();
            match array.element {
                ValueType::String => Metadata::Texts(array.strings().unwrap().map(<[u8]>::to_vec).collect()),
                ValueType::F32 => Metadata::Floats(array.floats().unwrap().collect()),
                ValueType::I32 => Metadata::Ints(array.ints().unwrap().collect()),
                other => panic!("array of {other:?}"),
            }
        }
        other => panic!("{other:?}"),
    }
}
