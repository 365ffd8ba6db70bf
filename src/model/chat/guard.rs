//! Runs a template within limits. Jinja's engine counts steps, but one step may double a text, nest a list in itself or
//! compare two trees, so that few steps fill any memory. So the compiled template is changed before it runs (`rewrite.rs`):
//! every instruction that builds or compares values becomes a call of a function of this file or of `operators.rs`, which
//! measures what goes in and charges what comes out to one budget (`budget.rs`).
//!
//! What then holds: a container is a tree of a bounded number of values and levels and never holds a namespace, so no
//! operation on one is long; all texts that are ever built are bounded together, and so are the characters that are looked at.
//! Printing and indenting are charged before the text is there, other results right after: these are at most three times what went
//! in, or the product of two sizes that is held below the budget.

use std::time::SystemTime;

use minijinja::value::{Kwargs, Rest, ValueOrKwargs};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, Value};

use super::budget::{BUDGET, Budget, refuse};
use super::names::{FILTERS, MAPPED, METHODS, TESTS};
use super::operators::add_operators;
use super::print::Style;
use super::rewrite::compile;

/// Steps of one run where no raw text is longer than `BUDGET / STEPS`.
const STEPS: usize = 1 << 18;
/// Bytes of a date's format.
const FORMAT: usize = 1 << 10;

/// Parses and compiles a template, to see whether it can run.
///
/// # Errors
/// What is wrong with it, with the line.
pub fn check(source: &str) -> Result<(), Error> {
    compile(source).map(drop)
}

/// Runs a template.
///
/// # Errors
/// What it did wrong, with the line.
pub fn run(source: &str, context: Value, now: SystemTime) -> Result<String, Error> {
    let budget = Budget::new();
    let mut environment = environment(&budget, now);
    let (instructions, longest_raw) = compile(source)?;
    environment.set_fuel(Some(STEPS.min(BUDGET / longest_raw.max(1)) as u64));
    let mut out = String::new();
    {
        let mut output = minijinja::machinery::make_string_output(&mut out);
        let blocks = std::collections::BTreeMap::new();
        minijinja::machinery::eval(&environment, &instructions, context, &blocks, &mut output, AutoEscape::None)?;
    }
    Ok(out)
}

fn environment(budget: &Budget, now: SystemTime) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_debug(false);
    let own = budget.clone();
    environment.set_formatter(move |out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value| {
        out.write_str(&own.text(value, Style::Python)?).map_err(Error::from)
    });
    add_operators(&mut environment, budget);
    add_names(&mut environment, budget);
    add_globals(&mut environment, budget, now);
    environment
}

/// The guards of filters, tests and methods.
fn add_names(environment: &mut Environment<'static>, budget: &Budget) {
    for (name, guard) in FILTERS {
        let own = budget.clone();
        environment.add_function(guard, move |state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>| -> Result<Value, Error> {
            let args = args.into_values();
            own.arguments(name, &args)?;
            let mapped = args.get(1).and_then(Value::as_str);
            if name == "map" && mapped.is_some_and(|mapped| !MAPPED.contains(&mapped)) {
                return Err(refuse("'map' with this filter"));
            }
            let result = match (name, args.first()) {
                ("string", Some(value)) => own.text(value, Style::Python)?.into(),
                ("tojson", Some(value)) => own.text(value, Style::Json(option(&args[1..], "indent")?))?.into(),
                ("indent", Some(value)) => {
                    let Some(text) = value.as_str() else { return Err(refuse(format!("'indent' of {}", value.kind()))) };
                    let lines = 1 + text.bytes().filter(|byte| *byte == b'\n').count();
                    own.charge(lines.saturating_mul(option(&args[1..], "width")?.unwrap_or(4)))?;
                    state.apply_filter(name, &args)?
                }
                _ => state.apply_filter(name, &args)?,
            };
            own.measure(&result)?;
            Ok(result)
        });
    }
    for (name, guard) in TESTS {
        let own = budget.clone();
        environment.add_function(guard, move |state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>| -> Result<bool, Error> {
            let args = args.into_values();
            // Tests of one value look at its kind, or at a text's characters.
            for arg in &args {
                match args.len() {
                    1 => own.charge(arg.as_str().map_or(0, str::len))?,
                    _ => _ = own.measure(arg)?,
                }
            }
            state.perform_test(name, &args)
        });
    }
    for (name, guard) in METHODS {
        let own = budget.clone();
        environment.add_function(guard, move |state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>| -> Result<Value, Error> {
            let args = args.into_values();
            own.arguments(name, &args)?;
            let Some((value, args)) = args.split_first() else { return Err(ErrorKind::UnknownMethod.into()) };
            let result = value.call_method(state, name, args)?;
            own.measure(&result)?;
            Ok(result)
        });
    }
}

/// The first option of a filter, which may be given by its name.
fn option(args: &[Value], name: &str) -> Result<Option<usize>, Error> {
    let given = |value: &&Value| !value.is_kwargs() && !value.is_none() && !value.is_undefined();
    let value = match (args.first().filter(given), args.last()) {
        (Some(first), _) => Some(first.clone()),
        (None, Some(last)) if last.is_kwargs() => Kwargs::try_from(last.clone())?.get::<Option<Value>>(name)?,
        _ => None,
    };
    Ok(value.and_then(|value| value.as_usize()))
}

fn add_globals(environment: &mut Environment<'static>, budget: &Budget, now: SystemTime) {
    environment.remove_global("debug");
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(refuse(format!("the template refuses: {message}")))
    });
    let own = budget.clone();
    environment.add_function("strftime_now", move |format: &str| -> Result<String, Error> {
        if format.len() > FORMAT {
            return Err(refuse(format!("strftime_now of a format above {FORMAT} bytes")));
        }
        let text = super::date::strftime(now, format).ok_or_else(|| refuse(format!("strftime_now cannot print '{format}'")))?;
        own.charge(format.len() + text.len())?;
        Ok(text)
    });
    for name in ["namespace", "dict", "range"] {
        let Some(plain) = environment.globals().find(|(known, _)| *known == name).map(|(_, value)| value) else { continue };
        let own = budget.clone();
        environment.add_function(name, move |state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>| -> Result<Value, Error> {
            let args = args.into_values();
            for arg in &args {
                own.measure(arg)?;
            }
            let value = plain.call(state, &args)?;
            if name != "namespace" {
                own.measure(&value)?;
            }
            Ok(value)
        });
    }
}
