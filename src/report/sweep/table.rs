//! The sweep as CSV and Markdown.

use std::fmt::Write;

use super::{RomSize, Sweep, over_all, synthetic_grid, text_grid};

/// One row a ROM, case and context.
pub fn synthetic_csv(s: &Sweep) -> String {
    let mut out = String::from("entries,bits,rom_bits,case,context,worst_over_rms,mean_over_rms\n");
    for r in &s.synthetic {
        let rom = r.rom;
        let _ =
            writeln!(out, "{},{},{},{},{},{:.6e},{:.6e}", rom.entries(), rom.bits, rom.total_bits(), r.case, r.context, r.worst, r.mean);
    }
    out
}

/// One row a ROM and KV width.
pub fn text_csv(s: &Sweep) -> String {
    let mut out = String::from("entries,bits,rom_bits,kv_bits,ppl_ratio,ratio_se,kl_nats_per_token,top1\n");
    for r in &s.text {
        let se = r.ratio_se.map_or(String::new(), |se| format!("{se:.6}"));
        let rom = r.rom;
        let _ = writeln!(
            out,
            "{},{},{},{},{:.6},{se},{:.6e},{:.5}",
            rom.entries(),
            rom.bits,
            rom.total_bits(),
            r.kv_bits,
            r.ratio,
            r.kl,
            r.top1
        );
    }
    out
}

/// Everything for people.
pub fn markdown(s: &Sweep, command: &str) -> String {
    let mut out = format!("# Softmax ROM: entries x bits\n\nMeasured by `{command}`; synthetic scores from seed {}.\n", s.seed);
    out += "\n## Where each width breaks\n\nThe fewest entries from which more do not lower the worst error by a fifth.\n\n";
    out += "| bits an entry | entries | ROM bits | worst error / RMS | mean error / RMS |\n|---|---|---|---|---|\n";
    for b in &s.breaks {
        let _ = writeln!(out, "| {} | {} | {} | {:.2e} | {:.2e} |", b.bits, b.entries, b.bits * b.entries, b.worst, b.mean);
    }
    out += "\nFor comparison, storing V in codes (f64 softmax, no ROM):\n\n| KV bits | worst error / RMS | mean error / RMS |\n|---|---|---|\n";
    for v in &s.values {
        let _ = writeln!(out, "| {} | {:.2e} | {:.2e} |", v.kv_bits, v.worst, v.mean);
    }
    out += "\n## Attention alone: worst error / RMS over all cases and contexts\n\n";
    grid(&mut out, &synthetic_grid(), |rom| over_all(&s.synthetic, rom).map(|(worst, _)| format!("{worst:.1e}")));
    out += "\n## Attention alone: mean error / RMS over all cases and contexts\n\n";
    grid(&mut out, &synthetic_grid(), |rom| over_all(&s.synthetic, rom).map(|(_, mean)| format!("{mean:.1e}")));
    for kv_bits in [8, 6, 4] {
        let row = |rom| s.text.iter().find(move |r| r.rom == rom && r.kv_bits == kv_bits);
        if !s.text.iter().any(|r| r.kv_bits == kv_bits) {
            continue;
        }
        let _ = writeln!(out, "\n## Text, KV {kv_bits} bits: perplexity ratio (KL, nats a token)\n");
        grid(&mut out, &text_grid(), |rom| row(rom).map(|r| format!("{:.4} ({:.1e})", r.ratio, r.kl)));
    }
    if let Some(least) = smallest_on_text(s, 8) {
        let _ = writeln!(out, "\nSmallest ROM whose KL at 8 KV bits is within a fifth of the least: {} x {}.", least.entries(), least.bits);
    }
    if let Some(f) = s.text_floor {
        let _ = writeln!(out, "\nFloor (judge with int8 K, V and rounded residual): ratio {:.4}, KL {:.1e}.", f.ratio, f.kl);
    }
    out
}

/// The ROM of the fewest bits whose divergence on text is within a fifth of the least.
fn smallest_on_text(s: &Sweep, kv_bits: usize) -> Option<RomSize> {
    let rows = || s.text.iter().filter(|r| r.kv_bits == kv_bits);
    let least = rows().map(|r| r.kl).fold(f64::INFINITY, f64::min);
    rows().filter(|r| r.kl <= 1.2 * least).map(|r| r.rom).min_by_key(|rom| rom.total_bits())
}

fn grid(out: &mut String, roms: &[RomSize], cell: impl Fn(RomSize) -> Option<String>) {
    let mut widths: Vec<u32> = roms.iter().map(|r| r.bits).collect();
    let mut sizes: Vec<u32> = roms.iter().map(|r| r.log2).collect();
    widths.dedup();
    sizes.sort_unstable();
    sizes.dedup();
    *out += "| bits \\ entries |";
    sizes.iter().for_each(|n| *out += &format!(" {} |", 1u32 << n));
    *out += "\n|---|";
    sizes.iter().for_each(|_| *out += "---|");
    for bits in widths {
        let _ = write!(out, "\n| {bits} |");
        for &log2 in &sizes {
            let _ = write!(out, " {} |", cell(RomSize { log2, bits }).unwrap_or_default());
        }
    }
    *out += "\n";
}
