//! Cycles of one layer's decode pass against the position, on the cycle model, a point a position. Timing depends on no value, so none is
//! computed. Out: points and their SVG.

use anyhow::{Context as _, anyhow};
use plotters::prelude::*;
use serde::Serialize;
use tritforge_sim::clocked::PowerUp;
use tritforge_sim::memory::{MemConfig, Memory};
use tritforge_sim::system::{Mode, System};

use crate::compile::Target;

/// One configuration's curve.
#[derive(Clone, Debug, Serialize)]
pub struct Curve {
    pub kind: &'static str,
    pub config: String,
    pub hw_hash: String,
    pub clock_mhz: f64,
    /// Positions already in the cache, cycles of the pass, cycles in which the score/value engine took a KV word.
    pub points: Vec<(usize, u64, u64)>,
}

/// Simulates decode passes of layer 0 at about `count` positions from 0 to the context's end.
///
/// # Errors
/// The hardware reported an error.
pub fn measure(target: &Target, memory: MemConfig, count: usize) -> anyhow::Result<Curve> {
    let hw = &target.hw;
    let image = target.image()?;
    let mut system = System::new(hw, &image, Memory::new(memory)?, PowerUp::Zero)?;
    system.set_mode(Mode::Skip);
    let last = hw.context().min(hw.shape.context) - 1;
    let mut positions: Vec<usize> = (0..count).map(|i| i * last / (count - 1).max(1)).collect();
    positions.dedup();
    let mut points = Vec::new();
    for pos in positions {
        let stats = system.time(0, 0, pos, 1)?;
        points.push((pos, stats.cycles, stats.attention_busy));
    }
    let (config, clock_mhz) = (hw.config.name.clone(), hw.config.clock_mhz);
    Ok(Curve { kind: "simulated", config, hw_hash: format!("{:016x}", image.hw_hash), clock_mhz, points })
}

const SIZE: (u32, u32) = (1500, 620);
const INK: RGBColor = RGBColor(40, 40, 46);
const SOFT: RGBColor = RGBColor(120, 120, 128);
const COLOURS: [RGBColor; 4] = [RGBColor(49, 92, 145), RGBColor(200, 120, 20), RGBColor(31, 145, 120), RGBColor(140, 80, 150)];

/// What stands below the figure's title.
pub fn subtitle(model: &str, memory: &str) -> String {
    format!("simulated; layer 0 of {model}, memory {memory} cycles; timing depends on no value")
}

/// The figure.
///
/// # Errors
/// What the drawing library reports.
pub fn svg(curves: &[Curve], subtitle: &str) -> anyhow::Result<String> {
    let mut out = String::new();
    {
        let root = SVGBackend::with_string(&mut out, SIZE).into_drawing_area();
        draw(&root, curves, subtitle).map_err(|e| anyhow!("plot of cycles against context: {e}"))?;
    }
    Ok(out)
}

fn draw(
    root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    curves: &[Curve],
    subtitle: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let font = |size: i32, ink: RGBColor| ("sans-serif", size).into_font().color(&ink);
    let all = || curves.iter().flat_map(|c| &c.points);
    let right = all().map(|p| p.0).max().context("no point")? as f64;
    let top = all().map(|p| p.1).max().unwrap_or(1) as f64 * 1.1;
    root.fill(&WHITE)?;
    root.draw_text("What context costs: one decoded token through one layer's attention sub-layer", &font(28, INK), (30, 20))?;
    root.draw_text(subtitle, &font(15, SOFT), (30, 58))?;
    let (_, body) = root.split_vertically(90);
    let mut chart = ChartBuilder::on(&body)
        .margin_right(40)
        .margin_left(20)
        .margin_bottom(14)
        .x_label_area_size(56)
        .y_label_area_size(86)
        .build_cartesian_2d(0.0..(right * 1.02).max(1.0), 0.0..top)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(226, 226, 232))
        .axis_style(SOFT)
        .x_desc("positions in the KV cache before this token")
        .y_desc("cycles, doorbell to interrupt")
        .x_label_formatter(&|v| format!("{v:.0}"))
        .y_label_formatter(&|v| format!("{v:.0}"))
        .label_style(font(16, INK))
        .axis_desc_style(font(18, INK))
        .draw()?;
    for (i, c) in curves.iter().enumerate() {
        let ink = COLOURS[i % COLOURS.len()];
        // Curves may lie on each other: later ones are drawn thinner.
        let width = 7u32.saturating_sub(2 * i as u32).max(2);
        let line = c.points.iter().map(|p| (p.0 as f64, p.1 as f64));
        let slope = match (c.points.first(), c.points.last()) {
            (Some(a), Some(b)) if b.0 > a.0 => (b.1 as f64 - a.1 as f64) / (b.0 - a.0) as f64,
            _ => 0.0,
        };
        chart
            .draw_series(LineSeries::new(line.clone(), ink.stroke_width(width)))?
            .label(format!("{} (hw {}): {slope:.2} cycles a position", c.config, &c.hw_hash[..8]))
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 26, y)], ink.stroke_width(width)));
        chart.draw_series(line.map(|p| Circle::new(p, 4, ink.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .legend_area_size(34)
        .margin(14)
        .border_style(SOFT)
        .background_style(WHITE)
        .label_font(font(16, INK))
        .draw()?;
    root.present()?;
    Ok(())
}
