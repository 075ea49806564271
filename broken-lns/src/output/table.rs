//! Tables: a row of titles, and rows below it, with every column as wide as its widest cell.

use anstyle::Style;

use super::{Palette, styled};

/// What stands between two columns.
const GAP: &str = "  ";

/// The side of its column that a cell stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// As texts do.
    Left,
    /// As numbers do.
    Right,
}

/// A table that grows by rows.
#[derive(Clone, Debug)]
pub(super) struct Table<'t> {
    columns: Vec<(&'t str, Side)>,
    rows: Vec<(Vec<String>, Style)>,
}

impl<'t> Table<'t> {
    /// A table with these titles.
    pub(super) fn new(columns: Vec<(&'t str, Side)>) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row with a cell for each column.
    pub(super) fn row(&mut self, cells: Vec<String>, style: Style) {
        self.rows.push((cells, style));
    }

    /// The table as text.
    pub(super) fn text(&self, palette: &Palette) -> String {
        let titles = self.columns.iter().map(|(title, _)| (*title).to_owned());
        let titles = (titles.collect(), palette.strong);
        let rows: Vec<_> = std::iter::once(&titles).chain(&self.rows).collect();
        let widths: Vec<_> = (0..self.columns.len())
            .map(|column| {
                let cells = rows.iter().filter_map(|(cells, _)| cells.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let lines = rows
            .iter()
            .map(|(cells, style)| styled(&self.line(cells, &widths), *style) + "\n");
        lines.collect()
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let columns = self.columns.iter().zip(widths).zip(cells);
        let cells = columns.map(|(((_, side), width), cell)| match side {
            Side::Left => format!("{cell:width$}"),
            Side::Right => format!("{cell:>width$}"),
        });
        let line = cells.collect::<Vec<_>>().join(GAP);
        line.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(vec![
            ("name", Side::Left),
            ("count", Side::Right),
            ("meaning", Side::Left),
        ]);
        let cells = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        table.row(cells(["a", "1,000,000", "first"]), Style::new());
        table.row(cells(["second", "-", ""]), Style::new());
        assert_eq!(
            table.text(&Palette::default()),
            "name        count  meaning\n\
             a       1,000,000  first\n\
             second          -\n"
        );
    }

    #[test]
    fn titles_and_rows_have_styles() {
        let palette = Palette::coloured();
        let mut table = Table::new(vec![("name", Side::Left)]);
        table.row(vec!["none".to_owned()], palette.faint);
        assert_eq!(
            table.text(&palette),
            "\x1b[1mname\x1b[0m\n\x1b[2mnone\x1b[0m\n"
        );
    }
}
