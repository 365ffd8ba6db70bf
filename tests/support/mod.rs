//! Where tests find the embedded model, and data that is not part of the project.
#![allow(dead_code)]

pub mod golden;
pub mod parts;
pub mod program;
pub mod pypi;

use std::io::Write;
use std::path::PathBuf;

use tritforge::model::judge::{Observer, Place, Real, Values};

/// A file under `models/`.
pub fn embedded(name: &str) -> PathBuf {
    program::root().join("models").join(name)
}

/// Says aloud that a test, or a part of one, is skipped.
pub fn skipped(why: &str) {
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    // Not eprintln!: the test runner swallows what a passing test prints.
    let _ = std::io::stderr().write_all(format!("SKIPPED {name}: {why}\n").as_bytes());
}

/// A file under the folder that `TRITFORGE_TEST_DATA` names; `None`, said aloud, where it is not set.
pub fn test_data(name: &str) -> Option<PathBuf> {
    match std::env::var_os("TRITFORGE_TEST_DATA") {
        Some(folder) => Some(PathBuf::from(folder).join(name)),
        None => {
            skipped(&format!("needs {name}; set TRITFORGE_TEST_DATA (see models/README.md)"));
            None
        }
    }
}

/// The keys of a JSON value, one path a line; a list stands for its first element.
pub fn key_tree(value: &serde_json::Value) -> String {
    fn visit(value: &serde_json::Value, path: &str, out: &mut String) {
        use serde_json::Value;
        match value {
            Value::Object(fields) => fields.iter().for_each(|(key, v)| visit(v, &format!("{path}.{key}"), out)),
            Value::Array(items) if !items.is_empty() => visit(&items[0], &format!("{path}[]"), out),
            other => {
                let kind = match other {
                    Value::Null => "null",
                    Value::Bool(_) => "bool",
                    Value::Number(_) => "number",
                    Value::String(_) => "text",
                    _ => "empty list",
                };
                *out += &format!("{} {kind}\n", path.trim_start_matches('.'));
            }
        }
    }
    let mut out = String::new();
    visit(value, "", &mut out);
    out
}

/// Keeps every stage of one pass: floats as f64, codes as i8, by name.
#[derive(Default)]
pub struct Trace {
    pub floats: std::collections::BTreeMap<String, (Vec<usize>, Vec<f64>)>,
    pub codes: std::collections::BTreeMap<String, (Vec<usize>, Vec<i8>)>,
}

impl<F: Real> Observer<F> for Trace {
    fn see(&mut self, place: Place, shape: &[usize], values: Values<'_, F>) {
        match values {
            Values::Float(values) => {
                let values = values.iter().map(|v| v.to_f64().unwrap()).collect();
                self.floats.insert(place.to_string(), (shape.to_vec(), values));
            }
            Values::Int8 { codes, .. } => {
                self.codes.insert(place.to_string(), (shape.to_vec(), codes.to_vec()));
            }
        }
    }
}
