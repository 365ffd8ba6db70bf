//! What one run of a template may build and look at: every value that goes into or comes out of an operation is measured and
//! charged here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use super::names::{COMPARED, PARTS, STRIPPED};
use super::print::{Printer, Style};

/// Bytes of text and values that one run may build and look at.
pub const BUDGET: usize = 1 << 28;
/// What one value is charged for besides its text: about the bytes and the time that it takes.
const NODE: usize = 16;
/// Levels of nested lists and maps.
const DEPTH: usize = 32;
/// Values in one container.
const NODES: usize = 20_000;
/// Bytes of a text that an operation may take apart into values.
pub const LONG: usize = 1 << 20;
/// Largest number that a filter or method may be given as an option (indent, length of a batch).
const OPTION: f64 = 10_000.0;

/// What one run has left.
#[derive(Debug, Clone)]
pub struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// All of it.
    pub fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(BUDGET)))
    }

    /// Takes `amount` bytes from it.
    ///
    /// # Errors
    /// Where less is left.
    pub fn charge(&self, amount: usize) -> Result<(), Error> {
        let left = self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(amount));
        left.map(drop).map_err(|_| refuse(format!("it builds more than {BUDGET} bytes")))
    }

    /// Size of a value, charged: bytes of its texts and [`NODE`] for each value.
    ///
    /// # Errors
    /// Where it is too large or deep, or a namespace.
    pub fn measure(&self, value: &Value) -> Result<usize, Error> {
        let (mut nodes, mut bytes) = (0, 0);
        self.walk(value, 0, &mut nodes, &mut bytes)?;
        Ok(bytes)
    }

    fn walk(&self, value: &Value, depth: usize, nodes: &mut usize, bytes: &mut usize) -> Result<(), Error> {
        *nodes += 1;
        if depth > DEPTH || *nodes > NODES {
            return Err(refuse(format!("a list or map of more than {DEPTH} levels or {NODES} values")));
        }
        let size = NODE + value.as_str().map_or(0, str::len);
        *bytes += size;
        self.charge(size)?;
        if is_namespace(value) {
            return Err(refuse("a namespace where a value is wanted"));
        }
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                for item in value.try_iter()? {
                    self.walk(&item, depth + 1, nodes, bytes)?;
                }
            }
            ValueKind::Map => {
                for key in value.try_iter()? {
                    self.walk(&key, depth + 1, nodes, bytes)?;
                    self.walk(&value.get_item(&key)?, depth + 1, nodes, bytes)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A value as text, charged while it is written.
    ///
    /// # Errors
    /// As [`Budget::measure`]; for JSON a value that has no form there.
    pub fn text(&self, value: &Value, style: Style) -> Result<String, Error> {
        self.measure(value)?;
        Printer::new(self, style).print(value)
    }

    /// Measures what the filter or method `name` is given: sizes whose product bounds every result, and options.
    ///
    /// # Errors
    /// As [`Budget::measure`]; texts whose product is too long, a text too long to take apart, too large a number.
    pub fn arguments(&self, name: &str, args: &[Value]) -> Result<(), Error> {
        let mut longest = [0, 1];
        for (place, arg) in args.iter().enumerate() {
            let size = self.measure(arg)?;
            longest[place.min(1)] = longest[place.min(1)].max(size);
            // Escaping prints a list before it lengthens the text: there everything counts.
            let whole = matches!(name, "e" | "escape");
            if PARTS.contains(&name) && (whole || arg.as_str().is_some()) && size > LONG {
                return Err(refuse(format!("'{name}' of a text above {LONG} bytes")));
            }
            if place == 0 && COMPARED.contains(&name) {
                // One text may be compared, and folded to lower case, with every other value.
                self.charge(size.saturating_mul(arg.len().unwrap_or(size / NODE)))?;
            }
            if let (true, Some(text), Some(set)) = (STRIPPED.contains(&name) && place == 1, args[0].as_str(), arg.as_str()) {
                self.charge(text.len().saturating_mul(set.len()))?;
            }
            let options = arg.is_kwargs().then(|| Kwargs::try_from(arg.clone())).transpose()?;
            let named = options.iter().flat_map(|kwargs| kwargs.args().filter_map(|name| kwargs.peek::<Value>(name).ok()));
            let own = (place > 0).then(|| arg.clone());
            if named.chain(own).any(|option| is_above(&option, OPTION)) {
                return Err(refuse(format!("an option above {OPTION}")));
            }
        }
        if longest[0].saturating_mul(longest[1]) > BUDGET {
            return Err(refuse("a filter or method on texts that are too long"));
        }
        Ok(())
    }
}

/// An error with this text.
pub fn refuse(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail)
}

/// Whether a value is a number beyond plus or minus `limit`, or no number at all in its kind (NaN).
fn is_above(value: &Value, limit: f64) -> bool {
    value.kind() == ValueKind::Number && !f64::try_from(value.clone()).is_ok_and(|number| number.abs() <= limit)
}

/// Whether a value is a namespace: the one kind that may hold itself.
pub fn is_namespace(value: &Value) -> bool {
    value.as_object().is_some_and(|object| object.type_name().ends_with("Namespace"))
}
