//! The table of drivers by kernels.

use std::{collections::BTreeMap, fmt};

use anyhow::Result;

use super::{
    cell::Cell,
    kernel::{Kernel, Series},
    nic::Nic,
    trial::Outcome,
};

/// What came of each cell.
#[derive(Debug, Default)]
pub(super) struct Table {
    cells: Vec<(Cell, String)>,
    releases: BTreeMap<Series, String>,
    failures: usize,
    notes: Vec<String>,
}

impl Table {
    /// Adds a cell that ran.
    pub(super) fn add(&mut self, cell: Cell, kernel: &Kernel, outcome: Result<Vec<Outcome>>) {
        self.releases
            .insert(cell.series, version(&kernel.release).to_owned());
        let text = match outcome {
            Ok(outcomes) => {
                let is_exact = outcomes.iter().all(Outcome::is_exact);
                self.failures += usize::from(!is_exact);
                summary(&outcomes)
            }
            Err(error) => {
                self.failures += 1;
                // The rest was told at once.
                self.notes.push(format!("{cell}: {}", error.root_cause()));
                "failed".to_owned()
            }
        };
        self.cells.push((cell, text));
    }

    /// Adds a cell that cannot run.
    pub(super) fn skip(&mut self, cell: Cell, why: &str) {
        self.notes.push(format!("{cell} skipped: {why}"));
        self.cells.push((cell, "skipped".to_owned()));
    }

    /// How many cells are not exact.
    pub(super) fn failures(&self) -> usize {
        self.failures
    }

    fn text(&self, nic: &Nic, series: Series) -> &str {
        let is_it = |cell: &Cell| cell.nic == *nic && cell.series == series;
        let found = self.cells.iter().find(|(cell, _)| is_it(cell));
        found.map_or("", |(_, text)| text)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let series: Vec<Series> = Series::ALL
            .into_iter()
            .filter(|series| self.cells.iter().any(|(cell, _)| cell.series == *series))
            .collect();
        let mut rows = vec![vec!["NIC".to_owned()]];
        rows[0].extend(series.iter().map(|series| {
            let release = self.releases.get(series);
            release.cloned().unwrap_or_else(|| series.to_string())
        }));
        for nic in &Nic::ALL {
            if self.cells.iter().any(|(cell, _)| cell.nic == *nic) {
                let cells = series.iter().map(|series| self.text(nic, *series));
                let cells = cells.map(str::to_owned);
                rows.push([nic.name.to_owned()].into_iter().chain(cells).collect());
            }
        }
        let width = |column: usize| {
            let texts = rows.iter().filter_map(|row| row.get(column));
            texts.map(|text| text.chars().count()).max().unwrap_or(0)
        };
        for row in &rows {
            let texts = row.iter().enumerate();
            let texts: Vec<String> = texts
                .map(|(column, text)| format!("{text:0$}", width(column)))
                .collect();
            writeln!(f, "{}", texts.join("  ").trim_end())?;
        }
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        Ok(())
    }
}

/// The version in a release: what comes before Debian's own.
fn version(release: &str) -> &str {
    let end = release.find(['+', '-']).unwrap_or(release.len());
    &release[..end]
}

/// How the responder attached in the ways of a cell, and which of them were not exact.
fn summary(outcomes: &[Outcome]) -> String {
    let mut attachments: Vec<String> = Vec::new();
    for outcome in outcomes {
        let attachment = outcome.attachment.to_string();
        let is_known = attachments
            .iter()
            .any(|known| known.starts_with(&attachment));
        if !is_known {
            attachments.retain(|known| !attachment.starts_with(known.as_str()));
            attachments.push(attachment);
        }
    }
    let inexact: Vec<String> = outcomes
        .iter()
        .filter(|outcome| !outcome.is_exact())
        .map(|outcome| {
            let tally = &outcome.tally;
            format!("{} {}/{}", outcome.way.name(), tally.received, tally.sent)
        })
        .collect();
    let result = match inexact.as_slice() {
        [] => "exact".to_owned(),
        _ => inexact.join(", "),
    };
    format!("{}: {result}", attachments.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{traffic::Tally, trial::Attachment, way::Way},
        *,
    };

    fn outcome(way: Way, zero_copy: Option<bool>, received: u64) -> Outcome {
        Outcome {
            way,
            attachment: Attachment {
                mode: "native".to_owned(),
                zero_copy,
            },
            tally: Tally {
                sent: 8,
                received,
                ..Tally::default()
            },
            answered: 8,
            acknowledgements: 0,
            untransmitted: 0,
            lost: String::new(),
        }
    }

    #[test]
    fn a_cell_says_how_it_attached_and_what_was_lost() {
        let exact = [
            outcome(Way::Rewrite, None, 8),
            outcome(Way::Redirect, Some(true), 8),
            outcome(Way::Auto, Some(false), 8),
        ];
        assert_eq!(summary(&exact), "native zero-copy, native copy: exact");
        let lost = [
            outcome(Way::Rewrite, None, 8),
            outcome(Way::Spin, Some(true), 0),
        ];
        assert_eq!(summary(&lost), "native zero-copy: spin 0/8");
    }

    #[test]
    fn a_row_is_a_nic_and_a_column_a_kernel() {
        let mut table = Table::default();
        table.skip(Cell::named("virtio/6.1").unwrap(), "there is no network");
        table.skip(Cell::named("igb/6.12").unwrap(), "there is no network");
        assert_eq!(
            table.to_string(),
            "NIC     6.1      6.12\n\
             virtio  skipped\n\
             igb              skipped\n\
             virtio/6.1 skipped: there is no network\n\
             igb/6.12 skipped: there is no network\n"
        );
        assert_eq!(table.failures(), 0);
    }

    #[test]
    fn a_version_is_what_comes_before_debians_own() {
        for (release, expected) in [
            ("6.12.117+deb13-amd64", "6.12.117"),
            ("6.1.0-50-amd64", "6.1.0"),
        ] {
            assert_eq!(version(release), expected);
        }
    }
}
