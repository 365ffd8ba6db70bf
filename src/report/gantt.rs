//! Stage Gantt of one token: a row a stage, a band a layer, time in cycles (and in microseconds above). Out: SVG.

use anyhow::anyhow;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// A stage's activity, cycles from the token's first doorbell.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    pub stage: &'static str,
    pub first: u64,
    pub end: u64,
}

const WIDTH: i32 = 1500;
const LEFT: i32 = 180;
const RIGHT: i32 = 30;
const TOP: i32 = 150;
const ROW: i32 = 34;
const INK: RGBColor = RGBColor(40, 40, 46);
const SOFT: RGBColor = RGBColor(120, 120, 128);
const LINE: RGBColor = RGBColor(222, 222, 228);
const BAND: RGBColor = RGBColor(246, 246, 249);

/// What a stage occupies: memory ports, ternary array, score/value engine, vector units.
const KINDS: [(&str, RGBColor); 4] = [
    ("memory ports", RGBColor(200, 150, 20)),
    ("ternary array", RGBColor(49, 92, 145)),
    ("score/value engine", RGBColor(31, 145, 120)),
    ("vector units", RGBColor(140, 80, 150)),
];

fn colour(stage: &str) -> RGBColor {
    let kind = match stage {
        "descriptor" | "constants" | "load x" | "kv write" | "store y" => 0,
        "qkv projection" | "o projection" => 1,
        "attention" | "attention output" => 2,
        _ => 3,
    };
    KINDS[kind].1
}

/// Distance of about `about` marks over `span`: 1, 2 or 5 times a power of ten.
fn tick_step(span: f64, about: f64) -> f64 {
    let raw = (span / about).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(raw.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= raw).unwrap_or(10.0 * power)
}

/// The figure; `layers`: layer, first cycle, end.
///
/// # Errors
/// What the drawing library reports.
pub fn svg(title: &str, subtitle: &str, bars: &[Bar], layers: &[(usize, u64, u64)], clock_mhz: f64) -> anyhow::Result<String> {
    let names: Vec<&str> = tritforge_sim::stats::names().filter(|n| bars.iter().any(|b| b.stage == *n)).collect();
    let height = TOP + ROW * names.len() as i32 + 90;
    let mut out = String::new();
    {
        let root = SVGBackend::with_string(&mut out, (WIDTH as u32, height as u32)).into_drawing_area();
        draw(&root, title, subtitle, bars, layers, clock_mhz, &names).map_err(|e| anyhow!("stage Gantt: {e}"))?;
    }
    Ok(out)
}

fn draw(
    root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    subtitle: &str,
    bars: &[Bar],
    layers: &[(usize, u64, u64)],
    clock_mhz: f64,
    names: &[&str],
) -> Result<(), Box<dyn std::error::Error>> {
    let font = |size: i32, ink: RGBColor| ("sans-serif", size).into_font().color(&ink);
    let at = |size, ink, h, v| font(size, ink).pos(Pos::new(h, v));
    let end = layers.iter().map(|l| l.2).max().unwrap_or(1).max(1);
    let x = |cycle: f64| LEFT + ((WIDTH - LEFT - RIGHT) as f64 * cycle / end as f64).round() as i32;
    let bottom = TOP + ROW * names.len() as i32;
    root.fill(&WHITE)?;
    root.draw_text(title, &font(28, INK), (30, 20))?;
    root.draw_text(subtitle, &font(15, SOFT), (30, 58))?;
    let mut at_x = 30;
    for (name, ink) in KINDS {
        root.draw(&Rectangle::new([(at_x, 86), (at_x + 16, 100)], ink.filled()))?;
        root.draw_text(name, &font(15, INK), (at_x + 24, 85))?;
        at_x += 60 + 9 * name.len() as i32;
    }
    for (i, &(layer, first, last)) in layers.iter().enumerate() {
        if i % 2 == 0 {
            root.draw(&Rectangle::new([(x(first as f64), TOP - 30), (x(last as f64), bottom)], BAND.filled()))?;
        }
        let middle = (x(first as f64) + x(last as f64)) / 2;
        root.draw_text(&format!("layer {layer}: {} cycles", last - first), &at(15, INK, HPos::Center, VPos::Center), (middle, TOP - 14))?;
    }
    for (row, name) in names.iter().enumerate() {
        let y = TOP + ROW * row as i32;
        root.draw_text(name, &at(16, INK, HPos::Right, VPos::Center), (LEFT - 14, y + ROW / 2))?;
        root.draw(&PathElement::new(vec![(LEFT, y + ROW), (WIDTH - RIGHT, y + ROW)], LINE))?;
        for bar in bars.iter().filter(|b| b.stage == *name) {
            let (a, b) = (x(bar.first as f64), x(bar.end as f64));
            root.draw(&Rectangle::new([(a, y + 7), (b.max(a + 2), y + ROW - 7)], colour(name).filled()))?;
        }
    }
    axis(root, end as f64, bottom, 1.0, "cycles from the doorbell of the first layer", &|v| x(v))?;
    axis(root, end as f64, bottom + 38, clock_mhz, &format!("microseconds at {clock_mhz} MHz"), &|v| x(v))?;
    root.present()?;
    Ok(())
}

/// A row of marks under the bars, `scale` cycles a unit.
fn axis(
    root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    end: f64,
    y: i32,
    scale: f64,
    label: &str,
    x: &dyn Fn(f64) -> i32,
) -> Result<(), Box<dyn std::error::Error>> {
    let text = |h| ("sans-serif", 14).into_font().color(&INK).pos(Pos::new(h, VPos::Top));
    let step = tick_step(end / scale, 8.0);
    let mut v = 0.0;
    while v <= end / scale {
        let at = x(v * scale);
        root.draw(&PathElement::new(vec![(at, y), (at, y + 6)], INK))?;
        root.draw_text(&format!("{}", (v * 1e6).round() / 1e6), &text(HPos::Center), (at, y + 9))?;
        v += step;
    }
    let lines: Vec<&str> = label.split(" from ").collect();
    root.draw_text(lines[0], &text(HPos::Right), (LEFT - 14, y + 9))?;
    Ok(())
}
