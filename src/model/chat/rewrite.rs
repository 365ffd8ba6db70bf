//! Compiles a template and puts calls of guarded functions in the place of every instruction that builds or compares values.
//! A call in front of every start of a loop looks at what it runs over.
//! Instructions without need in a chat template (blocks, imports, unpacked arguments) are refused.

use std::sync::Arc;

use minijinja::machinery::{CompiledTemplate, Instruction, Instructions, TemplateConfig};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Error, ErrorKind};

use super::names::{ADD, CONCAT, FILTERS, IN, ITEM, LIST, LOOP, MAP, METHODS, MUL, SLICE, TESTS, TUPLE};

/// The guarded instructions of a template, and the bytes of the longest text that one of them prints as it stands.
///
/// # Errors
/// What is wrong with the template, with the line.
pub fn compile(source: &str) -> Result<(Instructions<'_>, usize), Error> {
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
    let config = TemplateConfig { syntax_config: syntax, default_auto_escape: Arc::new(|_| AutoEscape::None) };
    let compiled = CompiledTemplate::new("chat template", source, &config)?;
    let mut longest_raw = 0;
    let plain = compiled.instructions;
    let places = places(&plain);
    let mut out = Instructions::new("chat template", source);
    for at in 0.. {
        let Some(mut instruction) = plain.get(at).cloned() else { break };
        if let Instruction::EmitRaw(raw) = &instruction {
            longest_raw = longest_raw.max(raw.len());
        }
        let line = plain.get_line(at).unwrap_or(0);
        if let Err(what) = guarded(&mut instruction) {
            return Err(Error::new(ErrorKind::SyntaxError, format!("{what} (line {line})")));
        }
        move_target(&mut instruction, &places);
        let line = u16::try_from(line).unwrap_or(u16::MAX);
        if matches!(instruction, Instruction::PushLoop(_)) {
            out.add_with_line(Instruction::CallFunction(LOOP, Some(1)), line);
        }
        out.add_with_line(instruction, line);
    }
    Ok((out, longest_raw))
}

/// Where each instruction, and the end, comes to stand with a call in front of every start of a loop. A jump to the start goes to
/// the call.
fn places(plain: &Instructions<'_>) -> Vec<u32> {
    let mut places = vec![0];
    while let Some(instruction) = plain.get(places.len() as u32 - 1) {
        let width = if matches!(instruction, Instruction::PushLoop(_)) { 2 } else { 1 };
        places.push(places[places.len() - 1] + width);
    }
    places
}

fn move_target(instruction: &mut Instruction<'_>, places: &[u32]) {
    use Instruction as I;
    match instruction {
        I::Iterate(target)
        | I::Jump(target)
        | I::JumpIfFalse(target)
        | I::JumpIfFalseOrPop(target)
        | I::JumpIfTrueOrPop(target)
        | I::BuildMacro(_, target, _) => *target = places[*target as usize],
        _ => {}
    }
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
        // Bit 1: recursive. A call of the loop would start it past its guard.
        I::PushLoop(flags) if *flags & 2 != 0 => Err("recursive loops are not supported".into()),
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
