//! Compiles a template and puts calls of guarded functions in the place of every instruction that builds or compares values.
//! Instructions without need in a chat template (blocks, imports, unpacked arguments) are refused.

use std::sync::Arc;

use minijinja::machinery::{CompiledTemplate, Instruction, Instructions, TemplateConfig};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Error, ErrorKind};

use super::names::{ADD, CONCAT, FILTERS, IN, ITEM, LIST, MAP, METHODS, MUL, SLICE, TESTS, TUPLE};

/// The guarded instructions of a template, and the bytes of the longest text that one of them prints as it stands.
///
/// # Errors
/// What is wrong with the template, with the line.
pub fn compile(source: &str) -> Result<(Instructions<'_>, usize), Error> {
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
