//! The sweep as one SVG figure of four panels: error against ROM size with the breaks marked, against the peak's gap, against the context,
//! and divergence on text.

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::coord::ranged1d::AsRangedCoord;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::synthetic::{Case, GAPS};
use super::{BITS, RomSize, Sweep, over_all};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b, X> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, plotters::coord::combinators::LogCoord<f64>>>;

/// Description of the horizontal axis, how a value reads on it, and about how many do.
type XAxis<'x> = (&'x str, &'x dyn Fn(&f64) -> String, usize);

/// Width and height of the figure.
const SIZE: (u32, u32) = (1500, 1120);
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(40, 40, 46);
const SOFT: RGBColor = RGBColor(120, 120, 128);
/// Darker means more bits (viridis, its light end darkened for paper).
const COLOURS: [RGBColor; 7] = [
    RGBColor(200, 160, 0),
    RGBColor(106, 176, 62),
    RGBColor(31, 155, 120),
    RGBColor(33, 125, 142),
    RGBColor(49, 92, 145),
    RGBColor(72, 50, 132),
    RGBColor(60, 1, 70),
];
/// ROMs of the panels over gap and context.
const CHOSEN: [RomSize; 6] = [
    RomSize { log2: 2, bits: 4 },
    RomSize { log2: 4, bits: 6 },
    RomSize { log2: 6, bits: 8 },
    RomSize { log2: 8, bits: 16 },
    RomSize { log2: 10, bits: 16 },
    RomSize { log2: 12, bits: 23 },
];

fn colour(bits: u32) -> RGBColor {
    BITS.iter().position(|&b| b == bits).map_or(INK, |i| COLOURS[i])
}

fn font(size: u32, ink: RGBColor) -> TextStyle<'static> {
    (FONT, size).into_font().color(&ink)
}

/// A power of ten as people write it, other numbers shortly.
fn tick(v: f64) -> String {
    let e = v.log10().round();
    if (v / 10f64.powf(e) - 1.0).abs() > 1e-6 || (-2.0..=3.0).contains(&e) {
        return format!("{v}");
    }
    let digits = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let sign = if e < 0.0 { "⁻" } else { "" };
    let raised: String = format!("{}", e.abs()).chars().filter_map(|c| Some(digits[c.to_digit(10)? as usize])).collect();
    format!("10{sign}{raised}")
}

/// Range of a log axis around positive values.
fn around(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.filter(|v| *v > 0.0).fold((f64::INFINITY, 0f64), |(l, h), v| (l.min(v), h.max(v)));
    if high > 0.0 { (low / 1.8, high * 2.2) } else { (0.1, 1.0) }
}

/// The figure as SVG text; `subtitle` says where the numbers come from.
///
/// # Errors
/// What the drawing library reports.
pub fn svg(s: &Sweep, subtitle: &str) -> anyhow::Result<String> {
    let mut out = String::new();
    {
        let root = SVGBackend::with_string(&mut out, SIZE).into_drawing_area();
        draw(&root, s, subtitle).map_err(|e| anyhow!("plot of the softmax ROM sweep: {e}"))?;
    }
    Ok(out)
}

fn draw(root: &Area<'_>, s: &Sweep, subtitle: &str) -> Result<(), Box<dyn std::error::Error>> {
    root.fill(&WHITE)?;
    root.draw_text("How small may the softmax ROM be?", &font(30, INK), (34, 20))?;
    root.draw_text(subtitle, &font(16, SOFT), (34, 58))?;
    let (_, body) = root.split_vertically(84);
    let panels = body.split_evenly((2, 2));
    size_panel(&panels[0], s)?;
    gap_panel(&panels[1], s)?;
    text_panel(&panels[2], s)?;
    context_panel(&panels[3], s)?;
    root.present()?;
    Ok(())
}

fn panel<'a, 'b, X>(
    area: &'a Area<'b>,
    title: &str,
    x: X,
    y: (f64, f64),
) -> Result<Chart<'a, 'b, X::CoordDescType>, Box<dyn std::error::Error>>
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let chart = ChartBuilder::on(area)
        .margin(14)
        .margin_right(26)
        .caption(title, font(19, INK))
        .x_label_area_size(52)
        .y_label_area_size(78)
        .build_cartesian_2d(x, (y.0..y.1).log_scale())?;
    Ok(chart)
}

fn mesh<X>(chart: &mut Chart<'_, '_, X>, (x, x_label, x_labels): XAxis<'_>, y: &str) -> Result<(), Box<dyn std::error::Error>>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(228, 228, 232))
        .axis_style(SOFT)
        .label_style(font(15, INK))
        .axis_desc_style(font(16, INK))
        .x_desc(x)
        .y_desc(y)
        .x_label_formatter(&x_label)
        .x_labels(x_labels)
        .y_label_formatter(&|v| tick(*v))
        .draw()?;
    Ok(())
}

/// A dashed horizontal line with its name above or below the right end.
fn level<X>(chart: &mut Chart<'_, '_, X>, span: (f64, f64), y: f64, name: &str, above: bool) -> Result<(), Box<dyn std::error::Error>>
where
    X: Ranged<ValueType = f64>,
{
    chart.draw_series(DashedLineSeries::new([(span.0, y), (span.1, y)], 6, 5, SOFT.stroke_width(1)))?;
    let (side, off) = if above { (VPos::Bottom, 1.0) } else { (VPos::Top, 1.04) };
    let style = font(14, SOFT).pos(Pos::new(HPos::Right, side));
    chart.draw_series([Text::new(name.to_string(), (span.1, y / off), style)])?;
    Ok(())
}

/// Worst error against ROM bits, a line a width, its break ringed.
fn size_panel(area: &Area<'_>, s: &Sweep) -> Result<(), Box<dyn std::error::Error>> {
    let line = |bits: u32| -> Vec<(RomSize, f64)> {
        (2..=12).filter_map(|log2| Some((RomSize { log2, bits }, over_all(&s.synthetic, RomSize { log2, bits })?.0))).collect()
    };
    let levels = s.values.iter().map(|v| v.worst);
    let range = around(BITS.iter().flat_map(|&b| line(b)).map(|(_, e)| e).chain(levels));
    let span = (11.0, 180_000.0);
    let mut chart =
        panel(area, "a   Attention alone: worst error of all cases, contexts 256 to 8192", (span.0..span.1).log_scale(), range)?;
    mesh(&mut chart, ("bits of the ROM (entries x bits an entry)", &|v| tick(*v), 8), "worst error / RMS of the output")?;
    for v in &s.values {
        level(&mut chart, span, v.worst, &format!("storing V in {} bits costs this", v.kv_bits), true)?;
    }
    for bits in BITS {
        let points: Vec<(f64, f64)> = line(bits).iter().map(|(rom, e)| (f64::from(rom.total_bits()), *e)).collect();
        chart.draw_series(LineSeries::new(points.clone(), colour(bits).stroke_width(2)))?;
        chart.draw_series(points.iter().map(|&p| Circle::new(p, 3, colour(bits).filled())))?;
        let Some(&last) = points.last() else { continue };
        // Widths that break end in a level line, named behind it; the others end below each other, named under their last dot.
        let breaks_early = s.breaks.iter().any(|b| b.bits == bits && b.entries < 1024);
        let (at, pos) = if breaks_early {
            ((last.0 * 1.1, last.1), Pos::new(HPos::Left, VPos::Center))
        } else {
            ((last.0, last.1 / 1.3), Pos::new(HPos::Center, VPos::Top))
        };
        let name = if breaks_early { format!("{bits} bits") } else { bits.to_string() };
        chart.draw_series([Text::new(name, at, font(15, colour(bits)).pos(pos))])?;
    }
    for b in s.breaks.iter().filter(|b| b.entries < 4096) {
        let at = (f64::from(b.bits * b.entries), b.worst);
        chart.draw_series([Circle::new(at, 8, INK.stroke_width(2))])?;
        // The label stands left of the bundle of lines, with a leader to the ring.
        let label = (at.0 / (at.0 / 64.0).clamp(1.4, 3.4), at.1);
        chart.draw_series([PathElement::new([(label.0 * 1.03, label.1), (at.0 / 1.1, at.1)], INK.stroke_width(1))])?;
        let style = font(15, INK).pos(Pos::new(HPos::Right, VPos::Center));
        chart.draw_series([Text::new(format!("{} x {} breaks", b.entries, b.bits), label, style)])?;
    }
    Ok(())
}

/// A case's name where the axis says the rest.
fn short(case: &str) -> String {
    case.trim_start_matches("gap ").trim_start_matches("sink ").to_string()
}

/// Worst error against the shape of the scores at the longest context: gaps joined by a line, then sinks and one-hot.
fn gap_panel(area: &Area<'_>, s: &Sweep) -> Result<(), Box<dyn std::error::Error>> {
    let longest = s.synthetic.iter().map(|r| r.context).max().unwrap_or(0);
    let cases: Vec<String> = Case::all().into_iter().map(Case::name).collect();
    let points = |rom: RomSize| -> Vec<(f64, f64)> {
        let at = |case: &String| s.synthetic.iter().find(|r| r.rom == rom && r.context == longest && r.case == *case);
        cases.iter().enumerate().filter_map(|(i, case)| Some((i as f64, at(case)?.worst))).collect()
    };
    let range = around(CHOSEN.iter().flat_map(|&rom| points(rom)).map(|(_, e)| e));
    let title = format!("b   By the shape of the scores, context {longest}");
    let mut chart = panel(area, &title, -0.5..cases.len() as f64 - 0.5, range)?;
    let name = |v: &f64| cases.get(v.round() as usize).map_or(String::new(), |c| short(c));
    let described = "nats between the best score and the next  |  share of one sink  |  one-hot";
    mesh(&mut chart, (described, &name, cases.len()), "worst error / RMS of the output")?;
    for rom in CHOSEN {
        let all = points(rom);
        let (gaps, rest) = all.split_at(GAPS.len().min(all.len()));
        chart.draw_series(LineSeries::new(gaps.to_vec(), colour(rom.bits).stroke_width(2)))?;
        chart.draw_series(gaps.iter().map(|&p| Circle::new(p, 3, colour(rom.bits).filled())))?;
        chart.draw_series(rest.iter().map(|&p| TriangleMarker::new(p, 6, colour(rom.bits).filled())))?;
        // Named at the first gap where the smaller ROMs' lines begin to fall: there the lines stand apart.
        if let Some(&(x, y)) = gaps.get(3) {
            let style = font(15, colour(rom.bits)).pos(Pos::new(HPos::Center, VPos::Bottom));
            chart.draw_series([Text::new(format!("{} x {}", rom.entries(), rom.bits), (x, y * 1.2), style)])?;
        }
    }
    Ok(())
}

/// Worst error of all cases against the context.
fn context_panel(area: &Area<'_>, s: &Sweep) -> Result<(), Box<dyn std::error::Error>> {
    let line = |rom: RomSize| -> Vec<(f64, f64)> {
        let mut contexts: Vec<usize> = s.synthetic.iter().filter(|r| r.rom == rom).map(|r| r.context).collect();
        contexts.sort_unstable();
        contexts.dedup();
        let worst = |n| s.synthetic.iter().filter(|r| r.rom == rom && r.context == n).map(|r| r.worst).fold(0.0, f64::max);
        contexts.into_iter().map(|n| ((n as f64).log2(), worst(n))).collect()
    };
    let range = around(CHOSEN.iter().flat_map(|&rom| line(rom)).map(|(_, e)| e));
    let mut chart = panel(area, "d   Attention alone: worst error of all cases by context", 7.8..14.1, range)?;
    let positions = |v: &f64| format!("{}", v.exp2().round());
    mesh(&mut chart, ("context, positions", &positions, 7), "worst error / RMS of the output")?;
    lines(&mut chart, line)
}

/// One line for each of [`CHOSEN`], named at its right end; names that would touch are moved apart.
fn lines(
    chart: &mut Chart<'_, '_, plotters::coord::types::RangedCoordf64>,
    line: impl Fn(RomSize) -> Vec<(f64, f64)>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut names: Vec<(f64, f64, RomSize)> = Vec::new();
    for rom in CHOSEN {
        let points = line(rom);
        chart.draw_series(LineSeries::new(points.clone(), colour(rom.bits).stroke_width(2)))?;
        chart.draw_series(points.iter().map(|&p| Circle::new(p, 3, colour(rom.bits).filled())))?;
        names.extend(points.last().map(|&(x, y)| (x, y, rom)));
    }
    names.sort_by(|a, b| b.1.total_cmp(&a.1));
    // Names stand at least this factor of the log axis apart.
    let range = chart.y_range();
    let apart = (range.end / range.start).powf(1.0 / 22.0);
    let mut above = f64::INFINITY;
    for (x, y, rom) in names {
        let y = y.min(above / apart);
        above = y;
        let style = font(15, colour(rom.bits)).pos(Pos::new(HPos::Left, VPos::Center));
        chart.draw_series([Text::new(format!("{} x {}", rom.entries(), rom.bits), (x + 0.12, y), style)])?;
    }
    Ok(())
}

/// Divergence on text against ROM bits: a line a KV width through the best ROM of each size, a dot a ROM.
fn text_panel(area: &Area<'_>, s: &Sweep) -> Result<(), Box<dyn std::error::Error>> {
    let floor = s.text_floor.map(|f| f.kl);
    let range = around(s.text.iter().map(|r| r.kl).chain(floor));
    let span = (11.0, 180_000.0);
    let mut chart =
        panel(area, "c   On text: whole model in integers; line: the best ROM up to this size", (span.0..span.1).log_scale(), range)?;
    mesh(&mut chart, ("bits of the ROM (entries x bits an entry)", &|v| tick(*v), 8), "KL divergence from the f64 judge, nats a token")?;
    if s.text.is_empty() {
        let style = font(18, SOFT).pos(Pos::new(HPos::Center, VPos::Center));
        chart.draw_series([Text::new("not measured in this run".to_string(), (1400.0, (range.0 * range.1).sqrt()), style)])?;
        return Ok(());
    }
    if let Some(kl) = floor {
        level(&mut chart, span, kl, "floor: f64 with int8 K, V, rounded residual; no ROM", false)?;
    }
    for kv_bits in [4, 6, 8] {
        let mut rows: Vec<_> = s.text.iter().filter(|r| r.kv_bits == kv_bits).collect();
        rows.sort_by_key(|r| r.rom.total_bits());
        let mut best = f64::INFINITY;
        let mut hull = Vec::new();
        for r in &rows {
            if r.kl < best {
                best = r.kl;
                hull.push((f64::from(r.rom.total_bits()), r.kl));
            }
        }
        hull.push((span.1 * 0.6, best));
        chart.draw_series(LineSeries::new(hull, SOFT.stroke_width(1)))?;
        let dot = |r: &&super::text::Row| Circle::new((f64::from(r.rom.total_bits()), r.kl), 4, colour(r.rom.bits).filled());
        chart.draw_series(rows.iter().map(dot))?;
        let style = font(16, INK).pos(Pos::new(HPos::Right, VPos::Bottom));
        chart.draw_series([Text::new(format!("KV {kv_bits} bits"), (span.1 * 0.9, best * 1.6), style)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sweep::{breaks, synthetic, synthetic_grid};

    #[test]
    fn ticks_read_as_people_write_powers_of_ten() {
        assert_eq!([0.1, 1.0, 1000.0, 1e4, 1e-3, 1e-12].map(tick), ["0.1", "1", "1000", "10⁴", "10⁻³", "10⁻¹²"]);
    }

    #[test]
    fn the_figure_is_drawn_with_and_without_text_rows() {
        let (rows, values) = synthetic::run(&synthetic_grid(), &[256], 1, &|| ());
        let found = breaks(&rows);
        let mut s = Sweep { kind: "measured", seed: 1, synthetic: rows, values, text: vec![], text_floor: None, breaks: found };
        let figure = svg(&s, "a test").unwrap();
        assert!(figure.starts_with("<svg") && figure.contains("not measured in this run") && figure.contains("a test"));
        let rom = RomSize { log2: 4, bits: 8 };
        s.text.push(crate::report::sweep::text::Row { rom, kv_bits: 8, ratio: 1.0, ratio_se: None, kl: 1e-3, top1: 0.9 });
        assert!(svg(&s, "").unwrap().contains("KV 8 bits"));
    }
}
