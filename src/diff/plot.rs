//! Error against depth as an SVG figure: one point a tensor in the order of computation. In: a [`Comparison`]. Out: SVG text.

use anyhow::anyhow;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Comparison, Row, Verdict};
use crate::model::judge::{Place, Stage};

const SIZE: (u32, u32) = (1500, 760);
const INK: RGBColor = RGBColor(40, 40, 46);
const SOFT: RGBColor = RGBColor(120, 120, 128);
const WHOLE: RGBColor = RGBColor(49, 92, 145);
const STAGE: RGBColor = RGBColor(31, 145, 120);
const TIES: RGBColor = RGBColor(200, 140, 20);
const PARTS: RGBColor = RGBColor(190, 40, 50);
/// Left edge of the legend.
const LEGEND: i32 = 1180;
/// What is drawn for 0.
const LEAST: f64 = 1e-18;

type Drawn = Result<(), Box<dyn std::error::Error>>;

/// The figure.
///
/// # Errors
/// What the drawing library reports.
pub fn svg(c: &Comparison) -> anyhow::Result<String> {
    let mut out = String::new();
    {
        let root = SVGBackend::with_string(&mut out, SIZE).into_drawing_area();
        draw(&root, c).map_err(|e| anyhow!("plot of error against depth: {e}"))?;
    }
    Ok(out)
}

fn font(size: i32, ink: RGBColor) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&ink)
}

fn whole(row: &Row) -> Option<f64> {
    row.stats.as_ref().map(|s| s.max_relative)
}

fn stage(row: &Row) -> Option<f64> {
    row.stage.as_ref().map(|s| s.max_relative)
}

fn draw(root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>, c: &Comparison) -> Drawn {
    let rows: Vec<&Row> = c.rows.iter().filter(|row| row.stats.is_some()).collect();
    let values = || rows.iter().flat_map(|row| [whole(row), stage(row)]).flatten().filter(|v| *v > 0.0 && v.is_finite());
    let t = &c.tolerances;
    let positions = c.first_position + c.tokens.len();
    let of_whole = t.of_whole(positions);
    let marks = [of_whole, t.stage];
    let low = values().chain(marks).fold(f64::INFINITY, f64::min) / 5.0;
    let high = values().chain(marks).fold(0.0, f64::max) * 5.0;
    root.fill(&WHITE)?;
    root.draw_text("Where two executions part: error against depth", &font(28, INK), (30, 20))?;
    let name = |about: &crate::trace::About| format!("{} of {} ({})", about.arithmetic, about.model, about.runtime);
    let subtitle = format!("measured; a: {}; b: {}; {} tokens", name(&c.sides[0]), name(&c.sides[1]), c.tokens.len());
    root.draw_text(&subtitle, &font(15, SOFT), (30, 58))?;
    let (_, body) = root.split_vertically(90);
    let right = rows.len() as f64;
    let mut chart = ChartBuilder::on(&body)
        .margin_right(30)
        .margin_left(16)
        .margin_bottom(12)
        .x_label_area_size(56)
        .y_label_area_size(86)
        .build_cartesian_2d(-0.5..right, (low.max(LEAST)..high.min(1e18)).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(228, 228, 232))
        .axis_style(SOFT)
        .x_labels(0)
        .y_desc("largest error, relative")
        .x_desc("tensors in the order of computation; first of each layer marked; on the axis: no error")
        .y_label_formatter(&|v| format!("{v:.0e}"))
        .label_style(font(15, INK))
        .axis_desc_style(font(17, INK))
        .draw()?;
    // A thin line and a number where each layer begins, as many numbers as fit.
    let begins: Vec<(usize, usize)> = (0..rows.len())
        .filter_map(|i| Some((i, rows[i].place.layer?)))
        .filter(|&(i, layer)| i == 0 || rows[i - 1].place.layer != Some(layer))
        .collect();
    let each = begins.len().div_ceil(24).max(1);
    for (i, layer) in begins.iter().copied().filter(|(_, layer)| layer % each == 0) {
        let x = i as f64 - 0.5;
        chart.draw_series([PathElement::new([(x, low.max(LEAST)), (x, high)], RGBColor(214, 214, 220).stroke_width(1))])?;
        let style = font(14, SOFT).pos(Pos::new(HPos::Left, VPos::Top));
        chart.draw_series([Text::new(format!("layer {layer}"), (x + right * 0.003, high / 1.3), style)])?;
    }
    let mut levels = vec![(t.stage, "tolerance of one stage", STAGE)];
    match c.stage_by_stage {
        // One line where both are one.
        false if of_whole == t.stage => levels[0].1 = "tolerance of one stage and of whole runs",
        false => levels.push((of_whole, "tolerance of whole runs", WHOLE)),
        true => {}
    }
    let rotated = t.of_stage(Place { layer: Some(0), stage: Stage::QRope }, positions);
    if rotated > t.stage * 1.5 {
        levels.push((rotated, "tolerance of q_rope and k_rope", STAGE));
    }
    for (level, name, ink) in levels {
        chart.draw_series(DashedLineSeries::new([(-0.5, level), (right, level)], 6, 5, ink.stroke_width(1)))?;
        // Below its line, as the next one may be near.
        let (v, y) = if level == rotated { (VPos::Top, level / 1.1) } else { (VPos::Bottom, level * 1.1) };
        let style = font(14, ink).pos(Pos::new(HPos::Right, v));
        chart.draw_series([Text::new(format!("{name} {level:.1e}"), (right, y), style)])?;
    }
    let floor = |v: f64| if v > 0.0 { v.min(high) } else { low.max(LEAST) };
    let points = |get: fn(&Row) -> Option<f64>| -> Vec<(f64, f64)> {
        rows.iter().enumerate().filter_map(|(i, row)| Some((i as f64, floor(get(row)?)))).collect()
    };
    // Name, colour, and the width of its line, 0 for a dot.
    let mut legend: Vec<(&str, RGBColor, u32)> = Vec::new();
    let has_stages = rows.iter().any(|row| row.stage.is_some());
    if has_stages {
        chart.draw_series(LineSeries::new(points(stage), STAGE.stroke_width(1)))?;
        legend.push(("one stage, from b's inputs", STAGE, 1));
        chart.draw_series(points(stage).into_iter().map(|p| Circle::new(p, 2, STAGE.filled())))?;
    }
    if !c.stage_by_stage {
        chart.draw_series(LineSeries::new(points(whole), WHOLE.stroke_width(2)))?;
        legend.push(("whole runs", WHOLE, 2));
    }
    let marked = |kinds: &'static [Verdict]| -> Vec<(f64, f64)> {
        let marked = rows.iter().enumerate().filter(|(_, row)| kinds.contains(&row.verdict));
        marked.filter_map(|(i, row)| Some((i as f64, floor(whole(row)?)))).collect()
    };
    for (kinds, name, ink) in
        [(&[Verdict::Ties][..], "int8 codes: single steps at a tie", TIES), (&[Verdict::Parts, Verdict::Beyond][..], "parts", PARTS)]
    {
        let found = marked(kinds);
        if !found.is_empty() {
            chart.draw_series(found.into_iter().map(|p| Circle::new(p, 5, ink.filled())))?;
            legend.push((name, ink, 0));
        }
    }
    if let Some(i) = c.first_parting.as_ref().and_then(|name| rows.iter().position(|row| row.tensor == *name)) {
        let y = floor(whole(rows[i]).unwrap_or(0.0));
        let left = i as f64 > right * 0.7;
        let style = font(16, PARTS).pos(Pos::new(if left { HPos::Right } else { HPos::Left }, VPos::Bottom));
        let x = i as f64 + right * if left { -0.008 } else { 0.008 };
        chart.draw_series([Text::new(format!("first: {}", rows[i].tensor), (x, y * 1.15), style)])?;
    }
    for (i, (name, ink, width)) in legend.into_iter().enumerate() {
        let y = 22 + 17 * i as i32;
        if width > 0 {
            root.draw(&PathElement::new([(LEGEND, y), (LEGEND + 26, y)], ink.stroke_width(width)))?;
        } else {
            root.draw(&Circle::new((LEGEND + 13, y), 5, ink.filled()))?;
        }
        root.draw_text(name, &font(14, INK).pos(Pos::new(HPos::Left, VPos::Center)), (LEGEND + 36, y))?;
    }
    root.present()?;
    Ok(())
}
