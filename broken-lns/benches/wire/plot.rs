//! Goodput against offered load, as a picture.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::load::Curve;

const SIZE: (u32, u32) = (800, 480);
const COLOURS: [RGBColor; 3] = [
    RGBColor(0x1b, 0x6c, 0xa8),
    RGBColor(0xc8, 0x55, 0x0c),
    RGBColor(0x55, 0x55, 0x55),
];

/// Draws the curves into an SVG file. Both axes are logarithmic, since the paths are far apart:
/// what collapses under overload bends down at the right.
pub(crate) fn draw(path: &Path, curves: &[Curve]) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| anyhow!("cannot draw {}: {error}", path.display());
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let least = points()
        .map(|point| point.0.min(point.1))
        .fold(f64::MAX, f64::min);
    let most = points()
        .map(|point| point.0.max(point.1))
        .fold(0.0, f64::max);
    if most <= 0.0 {
        return Err(failed(&"nothing was measured"));
    }
    let range = || (least * 0.8..most * 1.25).log_scale();

    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(|error| failed(&error))?;
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(range(), range())
        .map_err(|error| failed(&error))?;
    // 1, 2 and 5 of each decade: more would run into each other.
    let is_round = |value: f64| {
        let decade = 10f64.powf(value.log10().floor());
        [1.0, 2.0, 5.0, 10.0]
            .map(|digit| decade * digit)
            .iter()
            .any(|round| (value / round - 1.0).abs() < 1e-6)
    };
    let label = |value: &f64| {
        if !is_round(*value) {
            String::new()
        } else if *value >= 1e6 {
            format!("{} M", value / 1e6)
        } else {
            format!("{} k", value / 1e3)
        }
    };
    chart
        .configure_mesh()
        .max_light_lines(0)
        .bold_line_style(BLACK.mix(0.1))
        .x_desc("requests offered a second")
        .y_desc("answers a second")
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .draw()
        .map_err(|error| failed(&error))?;
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        let line =
            LineSeries::new(curve.points.iter().copied(), colour.stroke_width(2)).point_size(3);
        chart
            .draw_series(line)
            .map_err(|error| failed(&error))?
            .label(curve.name.as_str())
            .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(BLACK)
        .background_style(WHITE)
        .draw()
        .map_err(|error| failed(&error))?;
    area.present().map_err(|error| failed(&error))
}
