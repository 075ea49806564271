//! What was measured, as tables for people and as JSON for programs.

use std::fmt::Write as _;

use serde::Serialize;

/// The least, the middle and the greatest of some values.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

/// One table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    /// What the columns are.
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Row>,
    /// Why windows were thrown away.
    pub(crate) thrown_away: Vec<String>,
}

/// One row of a table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    /// A value for each column; none where nothing could be measured.
    pub(crate) values: Vec<Option<f64>>,
    /// What the middle of a ratio ought to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<Target>,
}

/// What a value is.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    PerSecond,
    Nanoseconds,
    Ratio,
    Percent,
    Octets,
}

/// What a ratio ought to be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// How many reasons for throwing windows away are printed; all are in the JSON.
const SHOWN_REASONS: usize = 3;

/// The columns of a summary.
pub(crate) const SUMMARY: [&str; 3] = ["min", "median", "max"];

impl Summary {
    /// The summary of these values; `None` of none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            sorted[middle - 1].midpoint(sorted[middle])
        } else {
            sorted[middle]
        };
        Some(Self { min, median, max })
    }
}

impl Row {
    /// A row with a summary of these values.
    pub(crate) fn summary(name: impl Into<String>, unit: Unit, values: &[f64]) -> Self {
        let summary = Summary::of(values);
        let columns = [
            summary.map(|summary| summary.min),
            summary.map(|summary| summary.median),
            summary.map(|summary| summary.max),
        ];
        Self {
            name: name.into(),
            unit,
            values: columns.to_vec(),
            target: None,
        }
    }

    /// The same row with a target for its median.
    pub(crate) fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }
}

impl Table {
    /// The table as it is printed.
    pub(crate) fn shown(&self) -> String {
        let width = self.rows.iter().map(|row| row.name.chars().count() + 2);
        let width = width.max().unwrap_or(0).max(self.title.chars().count());
        let mut shown = format!("{:width$}", self.title);
        for column in &self.columns {
            // Writing to a string cannot fail.
            let _ = write!(shown, " {column:>11}");
        }
        for row in &self.rows {
            let _ = write!(shown, "\n  {:1$}", row.name, width - 2);
            for value in &row.values {
                let value = value.map_or_else(|| "-".to_owned(), |value| row.unit.shown(value));
                let _ = write!(shown, " {value:>11}");
            }
            if let Some(target) = row.target {
                let median = row.values.get(1).copied().flatten();
                let _ = write!(shown, "   {}", target.shown(row.unit, median));
            }
        }
        if !self.thrown_away.is_empty() {
            let _ = write!(shown, "\n  {} windows thrown away:", self.thrown_away.len());
            for reason in self.thrown_away.iter().take(SHOWN_REASONS) {
                let _ = write!(shown, "\n    {reason}");
            }
            if self.thrown_away.len() > SHOWN_REASONS {
                shown.push_str("\n    ...");
            }
        }
        shown
    }
}

impl Unit {
    fn shown(self, value: f64) -> String {
        match self {
            Self::PerSecond if value >= 1e6 => format!("{:.2} M/s", value / 1e6),
            Self::PerSecond if value >= 1e3 => format!("{:.0} k/s", value / 1e3),
            Self::PerSecond => format!("{value:.0} /s"),
            Self::Nanoseconds if value >= 1e6 => format!("{:.1} ms", value / 1e6),
            Self::Nanoseconds if value >= 1e3 => format!("{:.1} us", value / 1e3),
            Self::Nanoseconds => format!("{value:.0} ns"),
            Self::Ratio => format!("{value:.2}"),
            Self::Percent => format!("{value:.1} %"),
            Self::Octets => format!("{:.1} MiB", value / f64::from(1 << 20)),
        }
    }
}

impl Target {
    fn shown(self, unit: Unit, median: Option<f64>) -> String {
        let (words, limit, is_met) = match self {
            Self::AtLeast(limit) => ("at least", limit, median.map(|median| median >= limit)),
            Self::AtMost(limit) => ("at most", limit, median.map(|median| median <= limit)),
        };
        let verdict = match is_met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "not measured",
        };
        format!("{words} {}: {verdict}", unit.shown(limit))
    }
}
