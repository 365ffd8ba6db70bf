//! Models that are split over several files. In: the path of one file, or the bytes of all. Out: the paths of all, or
//! one directory over all. llama.cpp names the files `NAME-00001-of-00003.gguf`; `split.no` and `split.count` in each
//! say which it is, the first one holds the metadata.

use std::path::{Path, PathBuf};

use super::{Gguf, parse};
use crate::model::error::{ModelError, Refusal};

const NO: &str = "split.no";
const COUNT: &str = "split.count";
const TENSORS: &str = "split.tensors.count";
/// Digits of a number in a file's name.
const DIGITS: usize = 5;

const REMEDY: &str = "put all parts of one model into one folder, named NAME-00001-of-0000N.gguf and so on";

/// The paths of all parts where `path` is named as one of several, in order; else `path` alone.
pub(super) fn paths(path: &Path) -> Vec<PathBuf> {
    match named(path) {
        Some((prefix, count)) if count > 1 => {
            (1..=count).map(|part| path.with_file_name(format!("{prefix}-{part:0DIGITS$}-of-{count:0DIGITS$}.gguf"))).collect()
        }
        _ => vec![path.to_owned()],
    }
}

/// What precedes `-00001-of-00003.gguf` in the name, and how many parts there are.
fn named(path: &Path) -> Option<(&str, u32)> {
    let (rest, count) = path.file_name()?.to_str()?.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (prefix, part) = rest.rsplit_once('-')?;
    let number = |text: &str| (text.len() == DIGITS).then(|| text.parse::<u32>().ok()).flatten();
    let (part, count) = (number(part)?, number(count)?);
    (part >= 1 && part <= count).then_some((prefix, count))
}

/// One directory over all `parts`, in order; `name` of a part is for its errors.
///
/// # Errors
/// As [`Gguf::parse`] for each part; [`Refusal::Contradiction`] where the parts are not those of one model.
pub(super) fn parse_parts<'a>(parts: &[&'a [u8]], name: impl Fn(usize) -> String) -> Result<Gguf<'a>, ModelError> {
    let of_part = |index: usize| {
        let name = (parts.len() > 1).then(|| name(index));
        move |error: ModelError| match &name {
            Some(name) => error.within(name),
            None => error,
        }
    };
    let mut whole = Gguf::parse(parts[0]).map_err(of_part(0))?;
    check(&whole, COUNT, parts.len(), 1).map_err(of_part(0))?;
    if parts.len() == 1 {
        return Ok(whole);
    }
    check(&whole, NO, 0, usize::MAX).map_err(of_part(0))?;
    for (index, bytes) in parts.iter().enumerate().skip(1) {
        let part = Gguf::parse(bytes).map_err(of_part(index))?;
        check(&part, COUNT, parts.len(), usize::MAX).and_then(|()| check(&part, NO, index, usize::MAX)).map_err(of_part(index))?;
        whole.tensors.extend(part.tensors.iter().map(|tensor| super::TensorInfo { part: index as u32, ..*tensor }));
        whole.data.extend(part.data);
        whole.metadata_bytes += part.metadata_bytes;
    }
    check(&whole, TENSORS, whole.tensors.len(), whole.tensors.len()).map_err(of_part(0))?;
    whole.tensor_order = parse::tensor_order(&whole.tensors)?;
    Ok(whole)
}

/// The value under `key` must be `expected`; `absent` stands for it where the file has no such key.
fn check(file: &Gguf<'_>, key: &str, expected: usize, absent: usize) -> Result<(), ModelError> {
    let found = file.get_u64(key)?;
    if found.map_or(absent as u64, |found| found) == expected as u64 {
        return Ok(());
    }
    let found = found.map_or("nothing".into(), |found| found.to_string());
    Err(ModelError::refused(Refusal::Contradiction, format!("metadata '{key}'"), expected.to_string(), found, REMEDY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_are_found_from_the_name_of_any() {
        let parts = paths(Path::new("/m/a-b-00002-of-00003.gguf"));
        let expected = ["/m/a-b-00001-of-00003.gguf", "/m/a-b-00002-of-00003.gguf", "/m/a-b-00003-of-00003.gguf"];
        assert_eq!(parts, expected.map(PathBuf::from));
        for alone in
            ["m.gguf", "a-00001-of-00001.gguf", "a-00004-of-00003.gguf", "a-0001-of-0003.gguf", "a-00000-of-00002.gguf", "-of-.gguf"]
        {
            assert_eq!(paths(Path::new(alone)), [PathBuf::from(alone)]);
        }
    }
}
