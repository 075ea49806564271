//! Draws what is known of a responder, on a screen of any size.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::widgets::{RenderDirection, Sparkline, Widget as _};

use super::model::{Away, Model};
use super::panel::{Cell, Panel, Row};
use super::ui::Ui;
use crate::output::{losses, rate, thousands, time};

/// Lines above the panels, of which the last is empty where nothing was lost.
const HEAD: u16 = 4;

/// Lines of a panel without the focus, where there is not enough room for all: its titles, and
/// the rows that matter most.
const SHORT: u16 = 4;

/// Columns between two columns.
const GAP: u16 = 1;

const TITLES: Style = Style::new().bold();
const FOCUS: Style = Style::new().reversed();
const FAINT: Style = Style::new().dim();
const ALARMING: Style = Style::new().fg(Color::Yellow);

const KEYS: &str = "q quit  s sort  / filter  Tab panel  ↑↓ scroll  p pause  ? help";

const HELP: [&str; 14] = [
    "q, Ctrl-C     quit",
    "Tab           go to the next panel, Shift-Tab to the one before;",
    "              it gets the room that the others leave",
    "s             sort this panel by the next column: name, rate, count",
    "/             show only rows with the text you type; Enter keeps it, Esc ends it",
    "↑ ↓ k j       scroll this panel by a row; Page Up, Page Down, Home, End by more",
    "p             pause, and go on",
    "",
    "Rates are those of the last second, counts those since the start or the last",
    "`broken-lns reset`. A frame has exactly one verdict; those that no frame had are",
    "left out. What a queue dropped found no room in the ring of its socket. A rule",
    "goes by its line and column in the scenario's file.",
    "",
    "Any key goes back.",
];

/// Draws all of it.
pub(super) fn draw(buffer: &mut Buffer, model: &Model, ui: &mut Ui) {
    let area = buffer.area;
    head(buffer, model, ui);
    let panels = Rect {
        y: area.y.saturating_add(HEAD),
        height: area.height.saturating_sub(HEAD + 1),
        ..area
    };
    if ui.shows_help() {
        for (line, y) in HELP.iter().zip(panels.top()..panels.bottom()) {
            put(buffer, area.x, y, area.width, line, Style::new());
        }
    } else {
        draw_panels(buffer, panels, model, ui);
    }
    if area.height > HEAD {
        foot(buffer, area.bottom() - 1, ui);
    }
}

/// Who it is, what it plays or why it does not, what it did in all, and what was lost.
fn head(buffer: &mut Buffer, model: &Model, ui: &Ui) {
    let Some(status) = model.status() else {
        return;
    };
    let interfaces: Vec<_> = status.interfaces.iter().map(|i| i.name.as_str()).collect();
    let name = format!(
        "broken-lns {} on {}, process {}, running for {}{}",
        status.broken_lns,
        interfaces.join(", "),
        status.pid,
        time(status.uptime()),
        if ui.is_paused() { " -- paused" } else { "" },
    );
    let (plays, style) = match model.is_away() {
        Some(about) => (away(about), ALARMING.reversed()),
        None => (status.scenario.to_string(), Style::new()),
    };
    let (received, answered) = (model.received(), model.answered());
    let rates = format!(
        "received {} ({}/s)  answered {} ({}/s)",
        thousands(received.total()),
        rate(received.per_second()),
        thousands(answered.total()),
        rate(answered.per_second()),
    );
    let losses = losses(&status.counters).collect::<Vec<_>>().join("  ");
    let lines = [
        (name, TITLES),
        (plays, style),
        (rates, Style::new()),
        (losses, ALARMING),
    ];
    let area = buffer.area;
    for ((line, style), y) in lines.into_iter().zip(area.top()..area.bottom()) {
        put(buffer, area.x, y, area.width, &line, style);
    }
}

/// That the responder is gone or silent, since when, and why.
fn away(about: &Away) -> String {
    // Date and time to the second, as in 2026-11-25T14:03:22Z.
    let since = humantime::format_rfc3339_seconds(about.since).to_string();
    let since = since.get(11..19).unwrap_or_default().to_owned();
    let what = if about.is_gone {
        "is gone"
    } else {
        "does not answer"
    };
    format!("the responder {what} since {since} UTC ({})", about.why)
}

/// The keys, or the filter while there is one.
fn foot(buffer: &mut Buffer, y: u16, ui: &Ui) {
    let filter = ui.filter(ui.focus());
    let (text, style) = if ui.edits_filter() {
        let text = format!("filter: {filter}_  (Enter keeps it, Esc ends it)");
        (text, TITLES)
    } else if filter.is_empty() {
        (KEYS.to_owned(), FAINT)
    } else {
        (format!("filter: {filter}  (Esc ends it)  {KEYS}"), FAINT)
    };
    let area = buffer.area;
    put(buffer, area.x, y, area.width, &text, style);
}

/// All panels that there is something for.
fn draw_panels(buffer: &mut Buffer, area: Rect, model: &Model, ui: &mut Ui) {
    let panels: Vec<_> = model
        .panels()
        .into_iter()
        .map(|panel| (panel, panel.rows(model, ui.filter(panel), ui.sort(panel))))
        .collect();
    let needs: Vec<_> = panels
        .iter()
        .map(|(_, rows)| u16::try_from(rows.len() + 1).unwrap_or(u16::MAX))
        .collect();
    let focus = panels.iter().position(|(panel, _)| *panel == ui.focus());
    let mut y = area.y;
    for ((panel, rows), height) in
        panels
            .iter()
            .zip(heights(&needs, focus.unwrap_or(0), area.height))
    {
        let area = Rect { y, height, ..area };
        draw_panel(buffer, area, *panel, rows, ui);
        y += height;
    }
}

/// The height of each panel, with what each needs, where there is room for `room` lines: a few
/// lines for each, then as much as it needs for the one with the focus, then for the others.
fn heights(needs: &[u16], focus: usize, room: u16) -> Vec<u16> {
    let mut left = room;
    let mut heights = vec![0_u16; needs.len()];
    let mut give = |height: &mut u16, wanted: u16| {
        let more = wanted.saturating_sub(*height).min(left);
        *height += more;
        left -= more;
    };
    // The focus comes first everywhere, so that it is seen wherever anything is.
    let order = || std::iter::once(focus).chain((0..needs.len()).filter(move |at| *at != focus));
    for limit in [SHORT, u16::MAX] {
        for at in order() {
            if let (Some(height), Some(need)) = (heights.get_mut(at), needs.get(at)) {
                give(height, (*need).min(limit));
            }
        }
    }
    heights
}

/// The titles of a panel, and the rows that there is room for.
fn draw_panel(buffer: &mut Buffer, area: Rect, panel: Panel, rows: &[Row<'_>], ui: &mut Ui) {
    if area.height == 0 {
        return;
    }
    let style = if panel == ui.focus() { FOCUS } else { TITLES };
    buffer.set_style(Rect { height: 1, ..area }, style);
    let columns = panel.columns();
    for (at, (column, (x, width))) in columns.iter().zip(places(panel, area)).enumerate() {
        let mark = if at == ui.sort(panel) { "▼" } else { "" };
        let is_filtered = !ui.filter(panel).is_empty() && at + 1 == columns.len();
        let filtered = if is_filtered { " (filtered)" } else { "" };
        let title = format!("{}{mark}{filtered}", column.title);
        put_cell(buffer, x, area.y, width, &title, column.is_number, style);
    }
    let seen = usize::from(area.height - 1);
    let first = ui.first_row(panel, rows.len(), seen);
    let rows = rows.iter().skip(first).take(seen);
    for (row, y) in rows.zip(area.y + 1..) {
        let style = if row.is_alarming() {
            ALARMING
        } else {
            Style::new()
        };
        let cells = row.cells().into_iter().zip(columns);
        for ((cell, column), (x, width)) in cells.zip(places(panel, area)) {
            match cell {
                Cell::Text(text) => put_cell(buffer, x, y, width, &text, column.is_number, style),
                Cell::Rates(rates) => Sparkline::default()
                    .data(rates)
                    .direction(RenderDirection::RightToLeft)
                    .render(
                        Rect {
                            x,
                            y,
                            width,
                            height: 1,
                        },
                        buffer,
                    ),
            }
        }
    }
}

/// Where each column begins, and how wide it is.
fn places(panel: Panel, area: Rect) -> impl Iterator<Item = (u16, u16)> {
    let mut x = area.left();
    panel.columns().iter().map(move |column| {
        let left = area.right().saturating_sub(x);
        let width = column.width.unwrap_or(left).min(left);
        let place = (x, width);
        x = x
            .saturating_add(width)
            .saturating_add(GAP)
            .min(area.right());
        place
    })
}

/// Writes a cell: a number at the right, a text at the left.
fn put_cell(
    buffer: &mut Buffer,
    x: u16,
    y: u16,
    width: u16,
    text: &str,
    is_number: bool,
    style: Style,
) {
    let length = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
    let space = if is_number {
        width.saturating_sub(length)
    } else {
        0
    };
    put(buffer, x + space, y, width - space, text, style);
}

/// Writes a text, and no more of it than `width` columns hold.
fn put(buffer: &mut Buffer, x: u16, y: u16, width: u16, text: &str, style: Style) {
    if width > 0 {
        buffer.set_stringn(x, y, text, usize::from(width), style);
    }
}

#[cfg(test)]
mod tests;
