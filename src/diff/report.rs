//! A comparison as people read it: a table of the rows that matter, then what they mean. In: a [`Comparison`]. Out: text.

use std::fmt::Write;

use super::compare::Stats;
use super::scene::{Diagnosis, Finding};
use super::{Comparison, Row, Verdict};

/// Rows of one verdict that are shown without `--all`.
const SHOWN_OF_A_KIND: usize = 6;
/// Diagnoses of one kind whose tensors are named.
const NAMED: usize = 6;
/// Smaller remainders than this are those of a parameter that was searched for.
const REMAINS: f64 = 1e-6;

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Equal => "equal",
        Verdict::Ties => "int8 ties",
        Verdict::Carried => "carried on",
        Verdict::Beyond => "BEYOND",
        Verdict::Parts => "PARTS",
        Verdict::Unlike => "UNLIKE",
        Verdict::OneSide => "one side",
    }
}

fn number(v: f64) -> String {
    match v {
        0.0 => "0".into(),
        v if (1e-3..1e5).contains(&v.abs()) => format!("{v:.4}"),
        v => format!("{v:.2e}"),
    }
}

/// Whether a row is shown without `--all`: the first rows of each kind, ends of the model, the head.
fn matters(row: &Row, seen: usize) -> bool {
    match row.verdict {
        Verdict::Equal => row.place.layer.is_none(),
        Verdict::OneSide => false,
        _ => seen < SHOWN_OF_A_KIND || row.place.layer.is_none(),
    }
}

/// The report.
pub fn text(c: &Comparison, all: bool) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, c, all);
    out
}

fn write(out: &mut String, c: &Comparison, all: bool) -> std::fmt::Result {
    for (side, about) in ["a", "b"].into_iter().zip(&c.sides) {
        writeln!(out, "{side}: {} of {} ({})", about.arithmetic, about.model, about.runtime)?;
    }
    let hashes = c.sides.each_ref().map(|about| &about.model_hash);
    if !hashes[0].is_empty() && !hashes[1].is_empty() && hashes[0] != hashes[1] {
        writeln!(out, "the models' files differ: {} and {}", hashes[0], hashes[1])?;
    }
    let t = &c.tolerances;
    let how = if c.stage_by_stage { "each stage from b's inputs" } else { "whole runs" };
    let whole = if c.stage_by_stage { String::new() } else { format!("{:e} in all, ", t.whole) };
    writeln!(
        out,
        "{} tokens, {how}; tolerance of max(|a|, |b|, RMS of a): {whole}{:e} a stage, {:e} more a position; measured\n",
        c.tokens.len(),
        t.stage,
        t.a_position
    )?;
    writeln!(
        out,
        "{:<24}{:>11}{:>11}{:>11}{:>11}{:>11}{:>11}  {:<11}",
        "tensor", "cosine", "max error", "relative", "RMS a", "RMS b", "stage", "verdict"
    )?;
    let mut seen = std::collections::HashMap::new();
    let mut hidden = 0;
    for row in &c.rows {
        let count = seen.entry(row.verdict as usize).or_insert(0);
        let shown = all || matters(row, *count);
        *count += 1;
        if !shown {
            hidden += 1;
            continue;
        }
        self::row(out, row)?;
    }
    if hidden > 0 {
        writeln!(out, "… {hidden} more rows; --all shows them")?;
    }
    for name in &c.unknown {
        writeln!(out, "not compared: '{name}' means nothing here (docs/trace.md)")?;
    }
    writeln!(out, "\n{}", conclusion(c))?;
    for text in diagnoses(&c.diagnoses, c.tolerances.stage.max(REMAINS)) {
        writeln!(out, "{text}")?;
    }
    for (tensor, limits) in c.diagnoses.iter().filter_map(|d| Some((&d.tensor, d.limits.as_ref()?))) {
        writeln!(out, "note: {tensor}: {limits}")?;
    }
    Ok(())
}

fn row(out: &mut String, row: &Row) -> std::fmt::Result {
    write!(out, "{:<24}", row.tensor)?;
    if let Some(s) = &row.stats {
        let stage = row.stage.as_ref().map_or("-".into(), |s| number(s.max_relative));
        let cosine = format!("{:.7}", s.cosine);
        write!(out, "{cosine:>11}{:>11}{:>11}", number(s.max_error), number(s.max_relative))?;
        write!(out, "{:>11}{:>11}{stage:>11}", number(s.rms[0]), number(s.rms[1]))?;
        write!(out, "  {}", word(row.verdict))?;
        if s.beyond > 0 && row.codes.is_none() {
            write!(out, ", {} of {}", s.beyond, s.elements)?;
        }
    } else {
        write!(out, "{:>66}  {}", "", word(row.verdict))?;
    }
    if let Some(codes) = row.codes.as_ref().filter(|codes| codes.differ > 0) {
        let kinds = [(codes.ties, "single steps at a tie"), (codes.carried, "carried on"), (codes.real, "other")];
        let kinds: Vec<String> = kinds.iter().filter(|(n, _)| *n > 0).map(|(n, text)| format!("{n} {text}")).collect();
        write!(out, ": {} of {} codes differ, {}", codes.differ, row.stats.as_ref().map_or(0, |s| s.elements), kinds.join(", "))?;
    }
    if let Some(note) = &row.note {
        write!(out, ": {note}")?;
    }
    writeln!(out)
}

/// Where an element parts.
fn element(s: &Stats) -> String {
    let Some(first) = &s.first else { return "by its stage alone".into() };
    let worst = s.worst.as_ref().map_or(String::new(), |w| format!("; worst at {}: {} and {}", w.place, w.values[0], w.values[1]));
    let all_at = s.all_at.as_ref().map_or(String::new(), |at| format!("; all {} beyond at {at}", s.beyond));
    format!("first at {}: {} and {}{worst}{all_at}", first.place, first.values[0], first.values[1])
}

fn conclusion(c: &Comparison) -> String {
    let count = |verdict| c.rows.iter().filter(|row| row.verdict == verdict).count();
    let find = |name: &Option<String>| name.as_ref().and_then(|name| c.rows.iter().find(|row| row.tensor == *name));
    if c.equal() {
        let compared = c.rows.len() - count(Verdict::OneSide);
        return format!("EQUAL within the tolerance: {compared} tensors ({} only on one side)", count(Verdict::OneSide));
    }
    let mut out = String::new();
    if let Some(row) = find(&c.first_beyond) {
        let codes = row.codes.as_ref().and_then(|codes| codes.first.clone());
        let figures = codes.or_else(|| row.stats.as_ref().map(element)).map_or(String::new(), |figures| format!(", {figures}"));
        out += &format!("first beyond the tolerance: {}{figures}\n", row.tensor);
    }
    match find(&c.first_parting) {
        None if c.only_ties => {
            let ties: usize = c.rows.iter().filter_map(|row| row.codes.as_ref()).map(|codes| codes.ties).sum();
            out += &format!(
                "PARTS ONLY BY INT8 TIES: {ties} codes differ by a single step at a tie, where both are right; every stage agrees from b's inputs"
            );
        }
        None => out += "PARTS BY WHAT ADDS UP: every stage agrees from b's inputs",
        Some(row) => {
            out += &format!("PARTS at {}", row.tensor);
            let stats = row.stage.as_ref().or(row.stats.as_ref());
            out += &match (&row.note, stats) {
                (Some(note), _) => format!(": {note}"),
                (None, Some(s)) if row.codes.is_none() => format!(", {}", element(s)),
                _ => String::new(),
            };
            if row.verdict == Verdict::Beyond {
                let why = if c.with_model { "what b holds is not enough to compute this stage" } else { "no --model" };
                out += &format!("\n({why}: whether the stage itself differs is not known, and nothing is diagnosed)");
            }
        }
    }
    out
}

/// Diagnoses, equal ones of several tensors together.
fn diagnoses(all: &[Diagnosis], tolerance: f64) -> Vec<String> {
    let remainders = |f: &Finding| format!("error {} -> {}", number(f.before), number(f.after));
    let explained = |f: &Finding| {
        let rest = if f.after > tolerance { "; this explains a part, what remains may be a second fault" } else { "" };
        remainders(f) + rest
    };
    let mut out: Vec<(String, String, Vec<&str>)> = Vec::new();
    for d in all {
        let texts: Vec<(String, String)> = match (&d.findings[..], &d.nearest) {
            ([], nearest) => {
                let nearest =
                    nearest.as_ref().map_or(String::new(), |f| format!("; the nearest is {} ({}), {}", f.name, f.what, remainders(f)));
                vec![("diagnosis: none of the usual suspects".into(), format!("{} ways tried{nearest}", d.tried))]
            }
            (findings, _) => findings.iter().map(|f| (format!("diagnosis: {}: {}", f.name, f.what), explained(f))).collect(),
        };
        for (what, figures) in texts {
            match out.iter_mut().find(|(other, _, _)| *other == what) {
                Some((_, _, tensors)) => tensors.push(&d.tensor),
                None => out.push((what, figures, vec![&d.tensor])),
            }
        }
    }
    let line = |(what, figures, tensors): (String, String, Vec<&str>)| {
        let more = tensors.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{what} [{}{more}: {figures}]", tensors[..tensors.len().min(NAMED)].join(", "))
    };
    out.into_iter().map(line).collect()
}
