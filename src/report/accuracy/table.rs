//! The accuracy report as text.

use std::fmt::Write;

use super::{Accuracy, Floor, Variant};

/// A table for people.
pub fn text(a: &Accuracy) -> String {
    let mut out = String::new();
    let n = &a.numerics;
    let _ = writeln!(
        out,
        "{} documents, {} predictions; softmax ROM {} x {} bits, KV {} bits, F = {}, Fo = {}",
        a.documents,
        a.predictions,
        1u32 << n.rom_log2,
        n.rom_bits,
        n.kv_bits,
        n.res_frac,
        n.attn_frac
    );
    let _ = writeln!(
        out,
        "{:22} {:>9} {:>9} {:>9} {:>8} {:>8} {:>6} {:>6} {:>9}",
        "", "ppl", "ratio", "+-", "top1 %", "flips", "sure", "sat.", "KL nats"
    );
    let _ = writeln!(out, "{:22} {:>9.5}", "judge, f64", a.variants.whole.ppl_float);
    floor(&mut out, "floor: judge, f32", &a.floor.f32, a.variants.whole.ppl_float);
    floor(&mut out, "floor: int8 KV, resid.", &a.floor.kv8, a.variants.whole.ppl_float);
    variant(&mut out, "attention in integers", &a.variants.attention);
    variant(&mut out, "whole in integers", &a.variants.whole);
    let recalls: Vec<String> = a.shortlist.iter().map(|r| format!("{:.2} % at {}", 100.0 * r.recall, r.n)).collect();
    let _ = writeln!(out, "\nhead's shortlist holds the full arg-max: {}", recalls.join(", "));
    let _ = writeln!(out, "\n{:16} {:>11} {:>11} {:>7} {:>11} {:>11}", "stage", "worst", "its bound", "share", "rms", "elements");
    for (name, e) in &a.variants.whole.stages {
        let _ = writeln!(out, "{name:16} {:>11.3e} {:>11.3e} {:>7.3} {:>11.3e} {:>11}", e.worst, e.bound, e.share, e.rms, e.elements);
    }
    out
}

fn floor(out: &mut String, name: &str, f: &Floor, ppl: f64) {
    let _ = writeln!(
        out,
        "{name:22} {:>9.5} {:>9.5} {:>9} {:>8.2} {:>8} {:>6}",
        ppl * f.ratio,
        f.ratio,
        "",
        100.0 * f.top1,
        f.flips,
        f.flips_sure
    );
}

fn variant(out: &mut String, name: &str, v: &Variant) {
    let se = v.ratio_se.map_or(String::new(), |se| format!("{se:.5}"));
    let _ = writeln!(
        out,
        "{name:22} {:>9.5} {:>9.5} {se:>9} {:>8.2} {:>8} {:>6} {:>6} {:>9.2e}",
        v.ppl_int,
        v.ratio,
        100.0 * v.top1,
        v.flips,
        v.flips_sure,
        v.saturations,
        v.kl
    );
}
