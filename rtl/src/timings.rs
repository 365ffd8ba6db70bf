//! `docs/timings.md`: latency and rate of every block with a figure, from the constants of the contract.

use std::fmt::Write;
use tritforge_spec::{
    block::{
        Contract, attn, attn_out, axi_burst, axi_read, axi_write_port, ctrl, fifo, headq, kvread, kvwrite, norm, ram_sdp, regs, resid,
        rhe_div, rope, route, scale_mul, scale_norm, skid, softmax, tmac, unpack, xload, xstore,
    },
    config::AccelConfig,
    hw::{AttnShape, Hw},
};

/// A timing of a block: from what to what, in cycles of a hardware.
struct Timing {
    stem: &'static str,
    from: &'static str,
    to: &'static str,
    cycles: fn(&Hw) -> u64,
}

/// The timings in the order of the data flow; each is a constant or function of `spec/src/block/<stem>.rs`.
const TIMINGS: &[Timing] = &[
    t("skid", "word accepted", "`out_valid`, when empty", |_| skid::LATENCY),
    t("fifo", "word accepted", "`out_valid`, when empty; to 64 words deep", |_| fifo::Params { width: 8, depth: 64 }.latency()),
    t("fifo", "word accepted", "`out_valid`, when empty; deeper", |_| fifo::Params { width: 8, depth: 65 }.latency()),
    t("ram_sdp", "`re`", "`rdata`", |_| ram_sdp::LATENCY),
    t("rhe_div", "in", "out; int8 codes", |_| rhe_div::latency(127)),
    t("scale_norm", "in", "out", |_| scale_norm::LATENCY),
    t("scale_mul", "in", "out", |_| scale_mul::LATENCY),
    t("regs", "both masters idle after a soft reset", "core running", |_| regs::RESET_CYCLES),
    t("ctrl", "pass begins", "its last command issued, every block ready", |_| ctrl::ISSUE_CYCLES),
    t("axi_burst", "segment accepted", "its first burst", |_| axi_burst::LATENCY),
    t("axi_read", "segment accepted", "ARVALID", |hw| axi_read::Params::from(hw).request_latency()),
    t("axi_read_port", "segment accepted", "ARVALID", |hw| axi_read::Params::from(hw).port.request_latency()),
    t("axi_read_port", "R accepted", "weights valid", |hw| {
        let port = axi_read::Params::from(hw).port;
        port.data_latency(port.w_depth)
    }),
    t("axi_read_port", "R accepted", "other data valid", |hw| {
        let port = axi_read::Params::from(hw).port;
        port.data_latency(port.x_depth)
    }),
    t("axi_write_port", "segment accepted", "AWVALID and WVALID, its data waiting", |hw| {
        tritforge_spec::block::axi_write::Params::from(hw).port.request_latency()
    }),
    t("axi_write_port", "a burst's last beat accepted", "AWVALID", |_| axi_write_port::Params::ANNOUNCE_LATENCY),
    t("route", "word accepted", "valid of its output", |_| route::LATENCY),
    t("xload", "super-word accepted", "its first group", |_| xload::LATENCY),
    t("norm", "a vector's last beat accepted", "its statistics", |hw| norm::Params::from(hw).stat_latency()),
    t("norm", "statistics of a token", "its scale", |_| norm::SCALE_LATENCY),
    t("norm", "a code's beat issued", "code in the output FIFO", |hw| norm::Params::from(hw).code_latency()),
    t("unpack", "super-word leaves the skid", "its trits", |_| unpack::LATENCY),
    t("tmac", "a row's last array word accepted", "its first sum", |hw| tmac::Params::from(hw).latency()),
    t("rope", "a pair's second sum accepted", "`pair_valid`", |_| rope::LATENCY),
    t("headq", "a head's last pair accepted", "its first beat", |_| headq::LATENCY),
    t("kvwrite", "a word's last beat accepted", "`pb_valid`, `wd_valid`", |_| kvwrite::LATENCY),
    t("kvwrite", "a vector's first beat accepted", "its first segment", |_| kvwrite::SEGMENT_LATENCY),
    t("kvread", "command accepted", "its first segment", |_| kvread::SEGMENT_LATENCY),
    t("kvread", "a block's last segment", "the next block's", |_| kvread::SEGMENT_PERIOD),
    t("kvread", "word accepted", "`kv_valid`", |_| kvread::LATENCY),
    t("kvread", "the pass's last scale accepted", "first header of the pass buffer", |_| kvread::PASS_LATENCY),
    t("attn", "a position's last K word accepted", "its scores", |hw| attn::Params::from(hw).score_latency()),
    t("attn", "a head's last V word issued", "its first accumulators", |hw| attn::Params::from(hw).acc_latency()),
    t("attn", "a head's last V word issued", "the next head's first V word", |hw| attn::Params::from(hw).leaving_cycles()),
    t("attn", "a block of 16 positions begins", "it ends, `p` never late", |hw| attn::Params::from(hw).block_cycles(16)),
    t("softmax", "score accepted", "`p_valid`", |_| softmax::LATENCY),
    t("softmax", "a head's last score accepted", "`sum_valid`", |_| softmax::SUM_LATENCY),
    t("attn_out", "beat of `acc` accepted", "`o_valid`", |_| attn_out::LATENCY),
    t("attn_out", "`sum` accepted", "first beat of its first head issued", |_| attn_out::RECIPROCAL_LATENCY),
    t("resid", "sum leaves the skid", "its element written", |_| resid::SUM_LATENCY),
    t("xstore", "a word's last group accepted", "word at `wd`", |_| xstore::LATENCY),
];

const fn t(stem: &'static str, from: &'static str, to: &'static str, cycles: fn(&Hw) -> u64) -> Timing {
    Timing { stem, from, to, cycles }
}

/// Initiation interval of each block: what it takes and gives in steady state, nothing waiting.
const RATES: &[(&str, &str)] = &[
    (skid::Params::STEM, "a word a cycle"),
    (fifo::Params::STEM, "a word a cycle"),
    (ram_sdp::Params::STEM, "a read and a write a cycle"),
    (rhe_div::Params::STEM, "a word of LANES quotients a cycle"),
    (scale_norm::Params::STEM, "one a cycle"),
    (scale_mul::Params::STEM, "one a cycle"),
    (ctrl::Params::STEM, "a command a cycle"),
    (axi_burst::Params::STEM, "a burst a cycle"),
    ("axi_read_port", "a beat a cycle"),
    (axi_read::Params::STEM, "a super-word a cycle"),
    (axi_write_port::Params::STEM, "a beat a cycle"),
    ("axi_write", "a super-word a cycle"),
    (route::Params::STEM, "a word a cycle"),
    (xload::Params::STEM, "a group of VEC elements a cycle"),
    (norm::Params::STEM, "a group of VEC elements a cycle"),
    (unpack::Params::STEM, "an array word or a super-word a cycle, whichever is narrower"),
    (tmac::Params::STEM, "an array word a cycle; a row of fewer array words than tokens takes a cycle a token"),
    (rope::Params::STEM, "a sum a cycle: a pair every other cycle and token"),
    (headq::Params::STEM, "a pair a cycle in, a beat of VEC codes a cycle out"),
    (kvwrite::Params::STEM, "a beat a cycle and one for each vector's scale"),
    (kvread::Params::STEM, "a word a cycle, a header a block"),
    (attn::Params::STEM, "a KV word a cycle"),
    (softmax::Params::STEM, "a position of all heads of a group a cycle"),
    (attn_out::Params::STEM, "a beat of VEC elements a cycle"),
    (resid::Params::STEM, "a sum a cycle in, a group of VEC elements a cycle out"),
    (xstore::Params::STEM, "a group of VEC elements a cycle"),
];

/// A longer bar of the figure is cut.
const FIGURE_CYCLES: u64 = 64;

/// The named configurations with the shape of the embedded model.
fn hardware() -> Vec<Hw> {
    let configs =
        [include_str!("../../configs/small.toml"), include_str!("../../configs/two-bit.toml"), include_str!("../../configs/kv260.toml")];
    let shape = AttnShape { layers: 4, dim: 256, heads: 4, kv_heads: 2, head_dim: 64, context: 256, rope_theta: 10_000.0 };
    configs.iter().filter_map(|text| Hw::new(AccelConfig::from_toml(text).ok()?, shape.clone()).ok()).collect()
}

/// The page.
pub fn page(note: &str) -> String {
    let all = hardware();
    let mut t = format!(
        "# Timing of the blocks\n\n{note}\n\nCycles without stalls, from the constants of `spec/src/block/` that the cycle model, the Verilog and the tests share; \
         lockstep holds both to them, and each block's page itemises them. Where a count depends on the configuration it is given for the model of \
         `models/` (D 256, 4 heads, 2 KV heads, head dimension 64).\n\n| block | from | to |"
    );
    for hw in &all {
        let _ = write!(t, " {} |", hw.config.name);
    }
    t += &format!("\n|---|---|---|{}\n", "---|".repeat(all.len()));
    for timing in TIMINGS {
        let _ = write!(t, "| [{0}](blocks/{0}.md) | {1} | {2} |", timing.stem, timing.from, timing.to);
        for hw in &all {
            let _ = write!(t, " {} |", (timing.cycles)(hw));
        }
        t.push('\n');
    }
    t += "\n## Rates\n\nIn steady state, nothing waiting.\n\n| block | rate |\n|---|---|\n";
    for (stem, rate) in RATES {
        let _ = writeln!(t, "| [{stem}](blocks/{stem}.md) | {rate} |");
    }
    t += "\n## Figures\n\nConfiguration small: `|` the event, `>` what it leads to, a column a cycle.\n";
    let Some(small) = all.first() else { return t };
    let mut stem = "";
    for timing in TIMINGS {
        if timing.stem != stem {
            let _ = write!(t, "{}\n{}\n\n```\n", if stem.is_empty() { "" } else { "```\n" }, timing.stem);
            stem = timing.stem;
        }
        let cycles = (timing.cycles)(small);
        let dots = cycles.saturating_sub(1).min(FIGURE_CYCLES) as usize;
        let cut = if cycles > FIGURE_CYCLES { " … " } else { "" };
        let _ = writeln!(t, "|{}{cut}> {cycles:<4} {} -> {}", ".".repeat(dots), timing.from.replace('`', ""), timing.to.replace('`', ""));
    }
    t + "```\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use tritforge_spec::block::BLOCKS;

    #[test]
    fn every_block_has_a_timing_or_a_rate_and_every_line_is_of_a_block() {
        let stems: Vec<&str> = BLOCKS.iter().map(|b| b.stem).collect();
        for stem in &stems {
            assert!(TIMINGS.iter().any(|t| t.stem == *stem) || RATES.iter().any(|r| r.0 == *stem), "{stem} has no line in docs/timings.md");
        }
        for stem in TIMINGS.iter().map(|t| t.stem).chain(RATES.iter().map(|r| r.0)) {
            assert!(stems.contains(&stem), "{stem} is no block");
        }
        assert_eq!(hardware().len(), 3);
    }
}
