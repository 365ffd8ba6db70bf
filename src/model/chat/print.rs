//! Values as text: as Python prints them, and as JSON.

use std::fmt::Write;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use super::budget::Budget;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As Python's `str`.
    Python,
    /// JSON in one line, or with this many spaces a level.
    Json(Option<usize>),
}

/// Bytes that are written before they are charged; one line's indent, at most the largest option times the deepest level, may
/// come on top.
const CHUNK: usize = 1 << 16;

/// Writes one value that [`Budget::measure`] has seen: its depth and size are bounded, but not its text, which escapes and
/// indents lengthen. So the text is charged while it grows.
pub struct Printer<'a> {
    budget: &'a Budget,
    style: Style,
    out: String,
    charged: usize,
}

impl<'a> Printer<'a> {
    /// With nothing written.
    pub fn new(budget: &'a Budget, style: Style) -> Self {
        Self { budget, style, out: String::new(), charged: 0 }
    }

    /// The value's text.
    ///
    /// # Errors
    /// Where the budget ends; for JSON: a value that has no form there.
    pub fn print(mut self, value: &Value) -> Result<String, Error> {
        match (value.kind(), value.as_str()) {
            (ValueKind::Undefined, _) if self.is_python() => {}
            (_, Some(text)) if self.is_python() => {
                self.budget.charge(text.len())?;
                return Ok(text.into());
            }
            _ => self.element(value, 0)?,
        }
        self.budget.charge(self.out.len() - self.charged)?;
        Ok(self.out)
    }

    fn is_python(&self) -> bool {
        self.style == Style::Python
    }

    /// Charges what was written, by [`CHUNK`]s.
    fn settle(&mut self) -> Result<(), Error> {
        let grown = self.out.len() - self.charged;
        if grown >= CHUNK {
            self.budget.charge(grown)?;
            self.charged = self.out.len();
        }
        Ok(())
    }

    fn element(&mut self, value: &Value, level: usize) -> Result<(), Error> {
        let python = self.is_python();
        match value.kind() {
            ValueKind::Undefined if python => self.out.push_str("Undefined"),
            ValueKind::None | ValueKind::Undefined => self.out.push_str(if python { "None" } else { "null" }),
            ValueKind::Bool => self.out.push_str(match (value.is_true(), python) {
                (true, true) => "True",
                (true, false) => "true",
                (false, true) => "False",
                (false, false) => "false",
            }),
            ValueKind::String => self.quoted(value.as_str().unwrap_or_default())?,
            ValueKind::Seq | ValueKind::Iterable => {
                self.list(('[', ']'), level, value.try_iter()?, |own, item| own.element(&item, level + 1))?;
            }
            ValueKind::Map => {
                self.list(('{', '}'), level, value.try_iter()?, |own, key| {
                    own.key(&key, level + 1)?;
                    own.out.push_str(": ");
                    own.element(&value.get_item(&key)?, level + 1)
                })?;
            }
            ValueKind::Number => drop(write!(self.out, "{value}")),
            _ if python => drop(write!(self.out, "{value}")),
            _ => return Err(Error::new(ErrorKind::InvalidOperation, "a value that is no JSON")),
        }
        self.settle()
    }

    /// A map's key: in JSON always a text, so no list or map.
    fn key(&mut self, key: &Value, level: usize) -> Result<(), Error> {
        if self.is_python() || key.as_str().is_some() {
            return self.element(key, level);
        }
        match key.kind() {
            ValueKind::None | ValueKind::Bool | ValueKind::Number => self.quoted(&key.to_string()),
            kind => Err(Error::new(ErrorKind::InvalidOperation, format!("{kind} as a key of JSON"))),
        }
    }

    fn list<T>(
        &mut self,
        (open, close): (char, char),
        level: usize,
        items: impl Iterator<Item = T>,
        mut item: impl FnMut(&mut Self, T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.out.push(open);
        let mut any = false;
        for each in items {
            if any {
                self.out.push_str(if matches!(self.style, Style::Json(Some(_))) { "," } else { ", " });
            }
            any = true;
            self.line(level + 1)?;
            item(self, each)?;
        }
        if any {
            self.line(level)?;
        }
        self.out.push(close);
        Ok(())
    }

    /// A new line and its indent, where the style has them.
    fn line(&mut self, level: usize) -> Result<(), Error> {
        if let Style::Json(Some(indent)) = self.style {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', indent * level));
        }
        self.settle()
    }

    fn quoted(&mut self, text: &str) -> Result<(), Error> {
        let python = self.is_python();
        let quote = if python && (!text.contains('\'') || text.contains('"')) { '\'' } else { '"' };
        self.out.push(quote);
        for character in text.chars() {
            match character {
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\\' => self.out.push_str("\\\\"),
                '\u{8}' if !python => self.out.push_str("\\b"),
                '\u{c}' if !python => self.out.push_str("\\f"),
                _ if character == quote => self.out.extend(['\\', quote]),
                '\0'..='\x1f' if python => drop(write!(self.out, "\\x{:02x}", u32::from(character))),
                '\0'..='\x1f' => drop(write!(self.out, "\\u{:04x}", u32::from(character))),
                _ => self.out.push(character),
            }
            self.settle()?;
        }
        self.out.push(quote);
        Ok(())
    }
}
