//! The operators of templates, on measured values.

use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::budget::{Budget, LONG, is_namespace, refuse};
use super::names::{ADD, CONCAT, IN, ITEM, LIST, LOOP, MAP, MUL, SLICE, TUPLE};
use super::print::Style;

/// Adds a function of two measured values.
fn binary(
    environment: &mut Environment<'static>,
    budget: &Budget,
    name: &'static str,
    work: impl Fn(&Budget, &Value, &Value) -> Result<Value, Error> + Send + Sync + 'static,
) {
    let budget = budget.clone();
    environment.add_function(name, move |a: Value, b: Value| -> Result<Value, Error> {
        budget.measure(&a)?;
        budget.measure(&b)?;
        work(&budget, &a, &b)
    });
}

type Comparison = fn(&Value, &Value) -> bool;

/// Adds a function for each operator.
pub fn add_operators(environment: &mut Environment<'static>, budget: &Budget) {
    let comparisons: [(&str, Comparison); 6] = [
        ("==", |a, b| a == b),
        ("!=", |a, b| a != b),
        (">", |a, b| a > b),
        (">=", |a, b| a >= b),
        ("<", |a, b| a < b),
        ("<=", |a, b| a <= b),
    ];
    for (name, compare) in comparisons {
        binary(environment, budget, name, move |_, a, b| Ok(compare(a, b).into()));
    }
    binary(environment, budget, ADD, add);
    binary(environment, budget, MUL, mul);
    binary(environment, budget, CONCAT, |budget, a, b| {
        let text = budget.text(a, Style::Python)? + &budget.text(b, Style::Python)?;
        Ok(text.into())
    });
    let own = budget.clone();
    environment.add_function(IN, move |state: &mut State<'_, '_>, item: Value, container: Value| -> Result<bool, Error> {
        own.measure(&item)?;
        // A name may be looked for in a namespace.
        if !is_namespace(&container) {
            own.measure(&container)?;
        }
        state.perform_test("in", &[item, container])
    });
    let own = budget.clone();
    environment.add_function(ITEM, move |base: Value, key: Value| -> Result<Value, Error> {
        own.measure(&key)?;
        // A text's characters are counted, and an iterable is run, up to the place.
        match base.kind() {
            ValueKind::Iterable => _ = own.measure(&base)?,
            _ => own.charge(base.as_str().map_or(0, str::len))?,
        }
        if base.is_undefined() {
            return Err(ErrorKind::UndefinedError.into());
        }
        base.get_item(&key)
    });
    let own = budget.clone();
    environment.add_function(LOOP, move |items: Value| -> Result<Value, Error> {
        // A loop counts a text's characters before its first step.
        own.charge(items.as_str().map_or(0, str::len))?;
        Ok(items)
    });
    let own = budget.clone();
    environment.add_function(SLICE, move |base: Value, start: Value, stop: Value, step: Value| -> Result<Value, Error> {
        own.measure(&base)?;
        slice(&base, start.as_i64(), stop.as_i64(), if step.is_none() { 1 } else { step.as_i64().unwrap_or(0) })
    });
    for name in [LIST, TUPLE] {
        let own = budget.clone();
        environment.add_function(name, move |items: Rest<Value>| -> Result<Value, Error> {
            let list = Value::from(items.0);
            own.measure(&list)?;
            Ok(list)
        });
    }
    let own = budget.clone();
    environment.add_function(MAP, move |items: Rest<Value>| -> Result<Value, Error> {
        for item in items.iter() {
            own.measure(item)?;
        }
        let map = Value::from_pairs(items.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())));
        own.measure(&map)?;
        Ok(map)
    });
}

fn add(budget: &Budget, a: &Value, b: &Value) -> Result<Value, Error> {
    let sequence = |value: &Value| matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable);
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        budget.charge(a.len() + b.len())?;
        return Ok([a, b].concat().into());
    }
    if sequence(a) && sequence(b) {
        let list: Value = a.try_iter()?.chain(b.try_iter()?).collect::<Vec<Value>>().into();
        budget.measure(&list)?;
        return Ok(list);
    }
    arithmetic(a, b, "+", i64::checked_add, |a, b| a + b)
}

fn mul(budget: &Budget, a: &Value, b: &Value) -> Result<Value, Error> {
    let (text, times) = if a.as_str().is_some() { (a, b) } else { (b, a) };
    if let (Some(text), Some(times)) = (text.as_str(), times.as_i64()) {
        let times = usize::try_from(times).unwrap_or(0);
        budget.charge(text.len().saturating_mul(times))?;
        return Ok(text.repeat(times).into());
    }
    arithmetic(a, b, "*", i64::checked_mul, |a, b| a * b)
}

/// Python's slice of a text or list.
fn slice(base: &Value, start: Option<i64>, stop: Option<i64>, step: i64) -> Result<Value, Error> {
    if step == 0 {
        return Err(refuse("a slice with step 0"));
    }
    if let Some(text) = base.as_str() {
        return text_slice(text, start, stop, step);
    }
    if !matches!(base.kind(), ValueKind::Seq | ValueKind::Iterable) {
        return Err(refuse(format!("a slice of {}", base.kind())));
    }
    let items: Vec<Value> = base.try_iter()?.collect();
    Ok(places(items.len(), start, stop, step).map(|at| items[at].clone()).collect::<Vec<_>>().into())
}

/// A part in one piece is cut out of the text; only others need its characters apart.
fn text_slice(text: &str, start: Option<i64>, stop: Option<i64>, step: i64) -> Result<Value, Error> {
    if step == 1 {
        let mut places = places(text.chars().count(), start, stop, 1);
        let Some(first) = places.next() else { return Ok("".into()) };
        let count = 1 + places.count();
        let from = |text: &str, at: usize| text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte);
        let rest = &text[from(text, first)..];
        return Ok(rest[..from(rest, count)].into());
    }
    if text.len() > LONG {
        return Err(refuse(format!("a slice with step {step} of a text above {LONG} bytes")));
    }
    let characters: Vec<char> = text.chars().collect();
    Ok(places(characters.len(), start, stop, step).map(|at| characters[at]).collect::<String>().into())
}

/// The places of a slice among `length` items, in order.
fn places(length: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> impl Iterator<Item = usize> {
    let length = length as i64;
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let place =
        |given: Option<i64>, absent: i64| given.map_or(absent, |at| if at < 0 { at.saturating_add(length) } else { at }.clamp(low, high));
    let (start, end) = if step > 0 { (place(start, low), place(stop, high)) } else { (place(start, high), place(stop, low)) };
    let inside = move |at: &i64| (step > 0 && *at < end) || (step < 0 && *at > end);
    std::iter::successors(Some(start), move |at| Some(at.saturating_add(step))).take_while(inside).map(|at| at as usize)
}

fn arithmetic(a: &Value, b: &Value, sign: &str, whole: fn(i64, i64) -> Option<i64>, real: fn(f64, f64) -> f64) -> Result<Value, Error> {
    if a.kind() != ValueKind::Number || b.kind() != ValueKind::Number {
        return Err(refuse(format!("'{sign}' between {} and {}", a.kind(), b.kind())));
    }
    if a.is_integer() && b.is_integer() {
        let result = a.as_i64().zip(b.as_i64()).and_then(|(a, b)| whole(a, b));
        return result.map(Value::from).ok_or_else(|| refuse(format!("a result of '{sign}' beyond 64 bits")));
    }
    Ok(real(f64::try_from(a.clone())?, f64::try_from(b.clone())?).into())
}
