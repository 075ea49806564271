//! Pictures of a report, as SVG that stands within HTML.
//!
//! Axes and texts are black, and the page gives them a colour that suits its background.

use std::fmt::Display;

use plotters::prelude::*;

use super::quantity::duration;
use crate::output::thousands;
use crate::track::findings::{Distribution, OverTime};

const SIZE: (u32, u32) = (800, 300);
const MARGIN: u32 = 12;
const LABEL_WIDTH: u32 = 64;
const LABEL_HEIGHT: u32 = 36;
/// Colours that can be told apart on white and on black, in the order of their use.
pub(super) const COLOURS: [(u8, u8, u8); 6] = [
    (0x1b, 0x86, 0xd8),
    (0xd8, 0x65, 0x1c),
    (0x2a, 0xa1, 0x5a),
    (0xb0, 0x5a, 0xc8),
    (0xb8, 0x95, 0x12),
    (0x80, 0x80, 0x80),
];
/// Labels of an axis with counts, beside that of 0.
const MOST_LABELS: u64 = 10;
/// The least duration that a logarithmic axis has.
const LEAST: f64 = 1e3;

/// Why there is no picture.
type Failed = String;

/// Attempts over time, a bar for each step.
pub(super) fn attempts(over_time: &OverTime) -> Result<String, Failed> {
    let OverTime {
        began: _,
        step_seconds,
        counts,
    } = over_time;
    let step = *step_seconds as f64;
    let end = (counts.len() as f64 * step).max(1.0);
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    // With fewer attempts than labels there would be labels between them.
    let labels = most.min(MOST_LABELS) as usize + 1;
    // Room for the label of the highest bar.
    let top = most as f64 * 1.05;
    // Axes are of floating point, since those of whole numbers overflow where they are short.
    let whole = |value: f64| match value.fract() {
        0.0 => thousands(value as u64),
        _ => String::new(),
    };
    draw(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(MARGIN)
            .margin_right(LABEL_WIDTH / 2)
            .x_label_area_size(LABEL_HEIGHT)
            .y_label_area_size(LABEL_WIDTH)
            .build_cartesian_2d(0.0..end, 0.0..top)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .max_light_lines(0)
            .bold_line_style(BLACK.mix(0.15))
            .x_label_formatter(&|seconds| match whole(*seconds) {
                seconds if seconds.is_empty() => seconds,
                seconds => format!("{seconds} s"),
            })
            .y_labels(labels)
            .y_label_formatter(&|count| whole(*count))
            .draw()
            .map_err(failed)?;
        let bars = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let bars = bars.map(|(place, count)| {
            let from = place as f64 * step;
            let corners = [(from, 0.0), (from + step, *count as f64)];
            Rectangle::new(corners, colour(0).filled())
        });
        chart.draw_series(bars).map_err(failed)?;
        Ok(())
    })
}

/// How many of all durations are no longer than one, a line for each distribution that is not
/// empty, in the colour of its place.
pub(super) fn within(distributions: &[&Distribution]) -> Result<String, Failed> {
    let nanoseconds = |value: u64| (value as f64).max(LEAST);
    let least = distributions.iter().filter_map(|durations| durations.min());
    let most = distributions.iter().filter_map(|durations| durations.max());
    // Whole decades, so that there is a label at both ends.
    let least = nanoseconds(least.min().unwrap_or(0)) * 0.8;
    let least = 10f64.powf(least.log10().floor());
    let most = nanoseconds(most.max().unwrap_or(0)) * 1.25;
    let most = 10f64.powf(most.log10().ceil());
    // More labels in more than three decades would run into each other.
    let digits: &[f64] = match most / least {
        0.0..1.1e3 => &[1.0, 2.0, 5.0, 10.0],
        _ => &[1.0, 10.0],
    };
    let is_round = |value: f64| {
        let decade = 10f64.powf(value.log10().floor());
        let mut round = digits.iter().map(|digit| digit * decade);
        round.any(|round| (value / round - 1.0).abs() < 1e-6)
    };
    draw(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(MARGIN)
            .margin_right(LABEL_WIDTH / 2)
            .x_label_area_size(LABEL_HEIGHT)
            .y_label_area_size(LABEL_WIDTH)
            .build_cartesian_2d((least..most).log_scale(), 0.0..1.0)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .max_light_lines(0)
            .bold_line_style(BLACK.mix(0.15))
            .x_label_formatter(&|value| match is_round(*value) {
                true => duration(value.round() as u64),
                false => String::new(),
            })
            .y_label_formatter(&|share| format!("{:.0} %", share * 100.0))
            .draw()
            .map_err(failed)?;
        for (place, durations) in distributions.iter().enumerate() {
            let (Some(min), Some(max)) = (durations.min(), durations.max()) else {
                continue;
            };
            let mut points = vec![(least, 0.0), (nanoseconds(min), 0.0)];
            let (mut share, mut below) = (0.0, 0);
            for (upper, count) in durations.buckets() {
                let at = nanoseconds(upper.min(max));
                points.push((at, share));
                below += count;
                share = below as f64 / durations.count() as f64;
                points.push((at, share));
            }
            points.push((most, share));
            let line = LineSeries::new(points, colour(place).stroke_width(2));
            chart.draw_series(line).map_err(failed)?;
        }
        Ok(())
    })
}

fn colour(place: usize) -> RGBColor {
    let (red, green, blue) = COLOURS[place % COLOURS.len()];
    RGBColor(red, green, blue)
}

fn failed(error: impl Display) -> Failed {
    error.to_string()
}

/// An area to draw on, as text once that is done.
fn draw(
    on: impl FnOnce(&DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Result<(), Failed>,
) -> Result<String, Failed> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        on(&area)?;
        area.present().map_err(failed)?;
    }
    Ok(svg)
}
