//! GGUF versions and split models: what is read, and what is refused.

mod support;

use std::path::{Path, PathBuf};

use support::parts::Parts;
use tritforge::model::gguf::{Gguf, GgufFile, GgufWriter, Metadata, TensorType};
use tritforge::model::{Model, Refusal};

#[test]
fn version_2_is_read_as_version_3_and_others_are_refused() {
    let mut bytes = Parts::model(TensorType::Tq2_0).write();
    let expected = Model::from_gguf(&Gguf::parse(&bytes).unwrap()).unwrap();
    bytes[4] = 2;
    assert_eq!(Model::from_gguf(&Gguf::parse(&bytes).unwrap()).unwrap(), expected);
    for version in [0, 1, 4] {
        bytes[4] = version;
        assert_eq!(Gguf::parse(&bytes).unwrap_err().refusal(), Some(Refusal::Format), "version {version}");
    }
}

/// The bytes of part `no` of `count`: metadata in the first, every `count`-th tensor.
fn part(parts: &Parts, no: usize, count: usize) -> Vec<u8> {
    let mut file = GgufWriter::new();
    if no == 0 {
        for (key, value) in &parts.metadata {
            file.metadata(key, value);
        }
    }
    file.metadata("split.no", &Metadata::U32(no as u32));
    file.metadata("split.count", &Metadata::U32(count as u32));
    file.metadata("split.tensors.count", &Metadata::U32(parts.tensors.len() as u32));
    for tensor in parts.tensors.iter().skip(no).step_by(count) {
        file.tensor(&tensor.name, tensor.kind, &tensor.sizes, &tensor.stored);
    }
    file.finish()
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tritforge-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, no: usize, count: usize, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(format!("m-{:05}-of-{count:05}.gguf", no + 1));
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn load(path: &Path) -> Result<Model, tritforge::model::ModelError> {
    Model::open(path)
}

#[test]
fn a_split_model_is_the_model_whichever_part_is_named() {
    let parts = Parts::model(TensorType::Tq1_0);
    let expected = Model::from_gguf(&Gguf::parse(&parts.write()).unwrap()).unwrap();
    let folder = Folder::new("split");
    let paths: Vec<_> = (0..3).map(|no| folder.write(no, 3, &part(&parts, no, 3))).collect();
    for path in &paths {
        assert_eq!(load(path).unwrap(), expected);
    }
    let file = GgufFile::open(&paths[1]).unwrap();
    assert_eq!(file.parse().unwrap().tensors().len(), parts.tensors.len());
    assert_eq!(file.total_bytes(), paths.iter().map(|path| std::fs::metadata(path).unwrap().len()).sum::<u64>());
}

#[test]
fn parts_that_are_missing_or_of_another_model_are_refused() {
    let parts = Parts::model(TensorType::Tq1_0);
    let folder = Folder::new("bad-split");
    let first = folder.write(0, 2, &part(&parts, 0, 2));
    let message = |path: &Path| load(path).unwrap_err().to_string().replace(folder.0.to_str().unwrap(), "FOLDER");
    assert!(message(&first).starts_with("FOLDER/m-00002-of-00002.gguf: "), "{}", message(&first));
    assert!(message(&first).ends_with("put all files of the model into one folder"));

    folder.write(1, 2, &part(&parts, 0, 2));
    assert!(
        message(&first).starts_with("FOLDER/m-00002-of-00002.gguf: metadata 'split.no': expected 1, found 0; put all parts"),
        "{}",
        message(&first)
    );
    folder.write(1, 2, &part(&parts, 1, 3));
    assert!(
        message(&first).starts_with("FOLDER/m-00002-of-00002.gguf: metadata 'split.count': expected 2, found 3;"),
        "{}",
        message(&first)
    );
    let mut other = Parts::model(TensorType::Tq1_0);
    other.tensors.truncate(9);
    folder.write(1, 2, &part(&other, 1, 2));
    assert!(
        message(&first).starts_with("FOLDER/m-00001-of-00002.gguf: metadata 'split.tensors.count': expected 11, found 13;"),
        "{}",
        message(&first)
    );
    let mut twice = Parts::model(TensorType::Tq1_0);
    twice.tensors.rotate_left(1);
    folder.write(1, 2, &part(&twice, 1, 2));
    assert!(message(&first).contains("expected once, found twice"), "{}", message(&first));

    let alone = folder.0.join("m.gguf");
    std::fs::write(&alone, part(&parts, 0, 2)).unwrap();
    assert!(message(&alone).starts_with("metadata 'split.count': expected 1, found 2; put all parts"), "{}", message(&alone));
}

#[test]
fn a_type_that_is_not_read_names_the_nearest_that_is() {
    let mut file = GgufWriter::new();
    file.tensor("a", TensorType::F32, &[256], &[0; 1024]);
    let bytes = file.finish();
    // The directory's entry: name length, name, number of dimensions, one size, type.
    let at = 24 + 8 + 1 + 4 + 8;
    for (number, nearest) in
        [(20u32, "Q4_0"), (23, "Q4_K"), (21, "Q3_K"), (16, "Q2_K"), (39, "Q8_0"), (9, "Q8_0"), (28, "F32"), (99, "TQ1_0")]
    {
        let mut bytes = bytes.clone();
        bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        let error = Gguf::parse(&bytes).unwrap_err();
        assert_eq!(error.refusal(), Some(Refusal::Type));
        let remedy = error.to_string();
        assert!(remedy.rsplit_once("; ").unwrap().1.contains(nearest), "{remedy}");
    }
}
