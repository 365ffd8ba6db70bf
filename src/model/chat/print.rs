//! Values as text: as Python prints them, and as JSON.

use std::fmt::Write;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As Python's `str`.
    Python,
    /// JSON in one line, or with this many spaces a level.
    Json(Option<usize>),
}

/// Writes a value that [`super::guard`] has measured: its depth and size are bounded.
///
/// # Errors
/// For JSON: a value that has no form there.
pub fn write(value: &Value, style: Style, out: &mut String) -> Result<(), Error> {
    match (value.kind(), value.as_str()) {
        (ValueKind::Undefined, _) if style == Style::Python => Ok(()),
        (_, Some(text)) if style == Style::Python => {
            out.push_str(text);
            Ok(())
        }
        _ => element(value, style, 0, out),
    }
}

fn element(value: &Value, style: Style, level: usize, out: &mut String) -> Result<(), Error> {
    let python = style == Style::Python;
    match value.kind() {
        ValueKind::Undefined if python => out.push_str("Undefined"),
        ValueKind::None | ValueKind::Undefined => out.push_str(if python { "None" } else { "null" }),
        ValueKind::Bool => out.push_str(match (value.is_true(), python) {
            (true, true) => "True",
            (true, false) => "true",
            (false, true) => "False",
            (false, false) => "false",
        }),
        ValueKind::String => quoted(value.as_str().unwrap_or_default(), python, out),
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter()?;
            list(('[', ']'), style, level, items, out, |item, out| element(&item, style, level + 1, out))?;
        }
        ValueKind::Map => {
            let keys = value.try_iter()?;
            list(('{', '}'), style, level, keys, out, |key, out| {
                match (python, key.as_str()) {
                    (false, None) => quoted(&key.to_string(), false, out),
                    _ => element(&key, style, level + 1, out)?,
                }
                out.push_str(": ");
                element(&value.get_item(&key)?, style, level + 1, out)
            })?;
        }
        ValueKind::Number => drop(write!(out, "{value}")),
        _ if python => drop(write!(out, "{value}")),
        _ => return Err(Error::new(ErrorKind::InvalidOperation, "a value that is no JSON")),
    }
    Ok(())
}

fn list<T>(
    (open, close): (char, char),
    style: Style,
    level: usize,
    items: impl Iterator<Item = T>,
    out: &mut String,
    mut item: impl FnMut(T, &mut String) -> Result<(), Error>,
) -> Result<(), Error> {
    let line = |out: &mut String, level: usize| {
        if let Style::Json(Some(indent)) = style {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * level));
        }
    };
    out.push(open);
    let mut any = false;
    for each in items {
        if any {
            out.push_str(if matches!(style, Style::Json(Some(_))) { "," } else { ", " });
        }
        any = true;
        line(out, level + 1);
        item(each, out)?;
    }
    if any {
        line(out, level);
    }
    out.push(close);
    Ok(())
}

fn quoted(text: &str, python: bool, out: &mut String) {
    let quote = if python && (!text.contains('\'') || text.contains('"')) { '\'' } else { '"' };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            '\u{8}' if !python => out.push_str("\\b"),
            '\u{c}' if !python => out.push_str("\\f"),
            _ if character == quote => out.extend(['\\', quote]),
            '\0'..='\x1f' if python => drop(write!(out, "\\x{:02x}", u32::from(character))),
            '\0'..='\x1f' => drop(write!(out, "\\u{:04x}", u32::from(character))),
            _ => out.push(character),
        }
    }
    out.push(quote);
}
