//! Runs a template within limits. Jinja's engine counts steps, but one step may double a text, nest a list in itself or
//! compare two trees, so that few steps fill any memory. Here the compiled template is changed before it runs: every
//! instruction that builds or compares values becomes a call of a function of this file, which measures what goes in and
//! charges what comes out to one budget. Instructions without need in a chat template (blocks, imports, splats) are refused.
//!
//! What then holds: a container is a tree of at most [`NODES`] values and [`DEPTH`] levels and never holds a namespace, so
//! no operation on one is long; all texts that are ever built are at most [`BUDGET`] bytes together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::SystemTime;

use minijinja::machinery::{CompiledTemplate, Instruction, Instructions, TemplateConfig};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Rest, ValueKind, ValueOrKwargs};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, Value};

use super::print::{Style, write};

/// Bytes of text and values that one run may build and look at.
const BUDGET: usize = 1 << 28;
/// Steps of one run where no raw text is longer than `BUDGET / STEPS`.
const STEPS: usize = 1 << 18;
/// What one value is charged for besides its text: about the bytes and the time that it takes.
const NODE: usize = 16;
/// Levels of nested lists and maps.
const DEPTH: usize = 32;
/// Values in one container.
const NODES: usize = 20_000;
/// Largest number that a filter or method may be given as an option (indent, length of a batch).
const OPTION: i64 = 10_000;

/// Operators, as the names of the functions that stand for them.
const ADD: &str = "+";
const MUL: &str = "*";
const CONCAT: &str = "~";
const IN: &str = "in ";
const ITEM: &str = "[i]";
const LIST: &str = "[]";
const TUPLE: &str = "()";
const MAP: &str = "{}";
const SLICE: &str = "[:]";

/// Filters, tests and methods that templates may use, each with the name of the function that guards it.
const FILTERS: [(&str, &str); 43] = [
    ("abs", "|abs"),
    ("batch", "|batch"),
    ("bool", "|bool"),
    ("capitalize", "|capitalize"),
    ("count", "|count"),
    ("d", "|d"),
    ("default", "|default"),
    ("dictsort", "|dictsort"),
    ("e", "|e"),
    ("escape", "|escape"),
    ("first", "|first"),
    ("float", "|float"),
    ("groupby", "|groupby"),
    ("indent", "|indent"),
    ("int", "|int"),
    ("items", "|items"),
    ("join", "|join"),
    ("last", "|last"),
    ("length", "|length"),
    ("lines", "|lines"),
    ("list", "|list"),
    ("lower", "|lower"),
    ("map", "|map"),
    ("max", "|max"),
    ("min", "|min"),
    ("reject", "|reject"),
    ("rejectattr", "|rejectattr"),
    ("replace", "|replace"),
    ("reverse", "|reverse"),
    ("round", "|round"),
    ("safe", "|safe"),
    ("select", "|select"),
    ("selectattr", "|selectattr"),
    ("slice", "|slice"),
    ("sort", "|sort"),
    ("split", "|split"),
    ("string", "|string"),
    ("sum", "|sum"),
    ("title", "|title"),
    ("tojson", "|tojson"),
    ("trim", "|trim"),
    ("unique", "|unique"),
    ("upper", "|upper"),
];
const TESTS: [(&str, &str); 29] = [
    ("boolean", "?boolean"),
    ("defined", "?defined"),
    ("divisibleby", "?divisibleby"),
    ("endingwith", "?endingwith"),
    ("eq", "?eq"),
    ("equalto", "?equalto"),
    ("even", "?even"),
    ("false", "?false"),
    ("float", "?float"),
    ("ge", "?ge"),
    ("gt", "?gt"),
    ("in", "?in"),
    ("integer", "?integer"),
    ("iterable", "?iterable"),
    ("le", "?le"),
    ("lower", "?lower"),
    ("lt", "?lt"),
    ("mapping", "?mapping"),
    ("ne", "?ne"),
    ("none", "?none"),
    ("number", "?number"),
    ("odd", "?odd"),
    ("sameas", "?sameas"),
    ("sequence", "?sequence"),
    ("startingwith", "?startingwith"),
    ("string", "?string"),
    ("true", "?true"),
    ("undefined", "?undefined"),
    ("upper", "?upper"),
];
const METHODS: [(&str, &str); 28] = [
    ("capitalize", ".capitalize"),
    ("count", ".count"),
    ("endswith", ".endswith"),
    ("find", ".find"),
    ("get", ".get"),
    ("isalnum", ".isalnum"),
    ("isalpha", ".isalpha"),
    ("isascii", ".isascii"),
    ("isdigit", ".isdigit"),
    ("islower", ".islower"),
    ("isnumeric", ".isnumeric"),
    ("isspace", ".isspace"),
    ("isupper", ".isupper"),
    ("items", ".items"),
    ("join", ".join"),
    ("keys", ".keys"),
    ("lower", ".lower"),
    ("lstrip", ".lstrip"),
    ("replace", ".replace"),
    ("rfind", ".rfind"),
    ("rstrip", ".rstrip"),
    ("split", ".split"),
    ("splitlines", ".splitlines"),
    ("startswith", ".startswith"),
    ("strip", ".strip"),
    ("title", ".title"),
    ("upper", ".upper"),
    ("values", ".values"),
];
/// Filters that `map` may apply to each element: those whose result is no longer than a few times the element.
const MAPPED: [&str; 11] = ["trim", "upper", "lower", "string", "int", "float", "title", "capitalize", "length", "first", "last"];

/// What one run has left.
#[derive(Debug, Clone)]
struct Budget(Arc<AtomicUsize>);

impl Budget {
    fn charge(&self, amount: usize) -> Result<(), Error> {
        let left = self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(amount));
        left.map(drop).map_err(|_| refuse(format!("it builds more than {BUDGET} bytes")))
    }

    /// Size of a value, charged: bytes of its texts and [`NODE`] for each value.
    fn measure(&self, value: &Value) -> Result<usize, Error> {
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

    fn text(&self, value: &Value, style: Style) -> Result<String, Error> {
        self.measure(value)?;
        let mut out = String::new();
        write(value, style, &mut out)?;
        self.charge(out.len())?;
        Ok(out)
    }

    /// Measures what a filter or method is given: sizes whose product bounds every result, and options.
    fn arguments(&self, args: &[Value]) -> Result<(), Error> {
        let mut longest = [0, 1];
        for (place, arg) in args.iter().enumerate() {
            let size = self.measure(arg)?;
            longest[place.min(1)] = longest[place.min(1)].max(size);
            let options = arg.is_kwargs().then(|| Kwargs::try_from(arg.clone())).transpose()?;
            let named = options.iter().flat_map(|kwargs| kwargs.args().filter_map(|name| kwargs.peek::<Value>(name).ok()));
            let own = (place > 0).then(|| arg.clone());
            if named.chain(own).any(|option| option.as_i64().is_some_and(|number| number.abs() > OPTION)) {
                return Err(refuse(format!("an option above {OPTION}")));
            }
        }
        if longest[0].saturating_mul(longest[1]) > BUDGET {
            return Err(refuse("a filter or method on texts that are too long"));
        }
        Ok(())
    }
}

fn refuse(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail)
}

fn is_namespace(value: &Value) -> bool {
    value.as_object().is_some_and(|object| object.type_name().ends_with("Namespace"))
}

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
    let budget = Budget(Arc::new(AtomicUsize::new(BUDGET)));
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

fn compile(source: &str) -> Result<(Instructions<'_>, usize), Error> {
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
    let config = TemplateConfig { syntax_config: syntax, default_auto_escape: Arc::new(|_| AutoEscape::None) };
    let mut compiled = CompiledTemplate::new("chat template", source, &config)?;
    let mut longest_raw = 0;
    let mut at = 0;
    while let Some(instruction) = compiled.instructions.get_mut(at) {
        if let Instruction::EmitRaw(raw) = instruction {
            longest_raw = longest_raw.max(raw.len());
        }
        if let Err(what) = guarded(instruction) {
            let line = compiled.instructions.get_line(at).unwrap_or(0);
            return Err(Error::new(ErrorKind::SyntaxError, format!("{what} (line {line})")));
        }
        at += 1;
    }
    Ok((compiled.instructions, longest_raw))
}

/// Puts the call of a function of this file in the place of an instruction.
fn guarded(instruction: &mut Instruction<'_>) -> Result<(), String> {
    use Instruction as I;
    let known = |list: &[(&str, &'static str)], name: &str| list.iter().find(|(known, _)| *known == name).map(|&(_, guard)| guard);
    let count = |count: usize| u16::try_from(count).map(Some).map_err(|_| "more than 65535 values in one list".to_string());
    let call = |name, count| Ok(I::CallFunction(name, count));
    let next: Result<I<'_>, String> = match instruction {
        I::Add => call(ADD, Some(2)),
        I::Mul => call(MUL, Some(2)),
        I::StringConcat => call(CONCAT, Some(2)),
        I::Eq => call("==", Some(2)),
        I::Ne => call("!=", Some(2)),
        I::Gt => call(">", Some(2)),
        I::Gte => call(">=", Some(2)),
        I::Lt => call("<", Some(2)),
        I::Lte => call("<=", Some(2)),
        I::In => call(IN, Some(2)),
        I::GetItem => call(ITEM, Some(2)),
        I::Slice => call(SLICE, Some(4)),
        I::BuildList(Some(n)) => call(LIST, count(*n)?),
        I::BuildTuple(Some(n)) => call(TUPLE, count(*n)?),
        I::BuildMap(n) => call(MAP, count(2 * *n)?),
        I::ApplyFilter(name, Some(n), _) => match known(&FILTERS, name) {
            Some(guard) => call(guard, Some(*n)),
            None => Err(format!("the filter '{name}' is not known")),
        },
        I::PerformTest(name, Some(n), _) => match known(&TESTS, name) {
            Some(guard) => call(guard, Some(*n)),
            None => Err(format!("the test '{name}' is not known")),
        },
        I::CallMethod(name, Some(n)) => match known(&METHODS, name) {
            Some(guard) => call(guard, Some(*n)),
            None => Err(format!("the method '{name}' is not known")),
        },
        I::CompareAndPreserve(_) => Err("chained comparisons are not supported".into()),
        I::MergeKwargs(_) | I::UnpackLists(_) | I::BuildList(None) | I::BuildTuple(None) => {
            Err("unpacked arguments are not supported".into())
        }
        I::ApplyFilter(_, None, _)
        | I::PerformTest(_, None, _)
        | I::CallMethod(_, None)
        | I::CallFunction(_, None)
        | I::CallObject(None) => Err("unpacked arguments are not supported".into()),
        I::FastSuper | I::CallBlock(_) | I::LoadBlocks | I::Include(_) | I::ExportLocals => {
            Err("blocks, includes and imports are not supported".into())
        }
        _ => return Ok(()),
    };
    *instruction = next?;
    Ok(())
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

fn add_operators(environment: &mut Environment<'static>, budget: &Budget) {
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
        if base.is_undefined() {
            return Err(ErrorKind::UndefinedError.into());
        }
        base.get_item(&key)
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
    let items: Vec<Value> = match base.as_str() {
        Some(text) => text.chars().map(|character| Value::from(character.to_string())).collect(),
        None if matches!(base.kind(), ValueKind::Seq | ValueKind::Iterable) => base.try_iter()?.collect(),
        None => return Err(refuse(format!("a slice of {}", base.kind()))),
    };
    let length = items.len() as i64;
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let place =
        |given: Option<i64>, absent: i64| given.map_or(absent, |at| if at < 0 { at.saturating_add(length) } else { at }.clamp(low, high));
    let (mut at, end) = if step > 0 { (place(start, low), place(stop, high)) } else { (place(start, high), place(stop, low)) };
    let mut out = Vec::new();
    while (step > 0 && at < end) || (step < 0 && at > end) {
        out.push(items[at as usize].clone());
        at = at.saturating_add(step);
    }
    Ok(match base.as_str() {
        Some(_) => out.iter().filter_map(Value::as_str).collect::<String>().into(),
        None => out.into(),
    })
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

/// The guards of filters, tests and methods.
fn add_names(environment: &mut Environment<'static>, budget: &Budget) {
    for (name, guard) in FILTERS {
        let own = budget.clone();
        environment.add_function(guard, move |state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>| -> Result<Value, Error> {
            let args = args.into_values();
            own.arguments(&args)?;
            let mapped = args.get(1).and_then(Value::as_str);
            if name == "map" && mapped.is_some_and(|mapped| !MAPPED.contains(&mapped)) {
                return Err(refuse("'map' with this filter"));
            }
            let result = match (name, args.first()) {
                ("string", Some(value)) => own.text(value, Style::Python)?.into(),
                ("tojson", Some(value)) => own.text(value, Style::Json(indent(&args[1..])?))?.into(),
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
            // Tests of one value look at its kind only.
            for arg in args.iter().filter(|_| args.len() > 1) {
                own.measure(arg)?;
            }
            state.perform_test(name, &args)
        });
    }
    for (name, guard) in METHODS {
        let own = budget.clone();
        environment.add_function(guard, move |state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>| -> Result<Value, Error> {
            let args = args.into_values();
            own.arguments(&args)?;
            let Some((value, args)) = args.split_first() else { return Err(ErrorKind::UnknownMethod.into()) };
            let result = value.call_method(state, name, args)?;
            own.measure(&result)?;
            Ok(result)
        });
    }
}

/// The option `indent` of `tojson`.
fn indent(args: &[Value]) -> Result<Option<usize>, Error> {
    let Some(last) = args.last() else { return Ok(None) };
    let value = if last.is_kwargs() { Kwargs::try_from(last.clone())?.get::<Option<Value>>("indent")? } else { Some(last.clone()) };
    Ok(value.and_then(|value| value.as_usize()))
}

fn add_globals(environment: &mut Environment<'static>, budget: &Budget, now: SystemTime) {
    environment.remove_global("debug");
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(refuse(format!("the template refuses: {message}")))
    });
    environment.add_function("strftime_now", move |format: &str| -> Result<String, Error> {
        super::date::strftime(now, format).ok_or_else(|| refuse(format!("strftime_now cannot print '{format}'")))
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
