//! The tables of a document, before they are drawn.

use super::sentence::Sentence;
use super::{Report, message};
use crate::output::thousands;
use crate::track::findings::{FaultFindings, Reaction};

/// Titles, and rows with a cell for each. Cells may have any text.
pub(super) struct Table {
    pub(super) titles: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

/// The facts of the run and of what was seen.
pub(super) fn facts(report: &Report) -> Table {
    let rows = report.listed().into_iter();
    Table {
        titles: vec!["", ""],
        rows: rows
            .map(|(name, value)| vec![name.to_owned(), value])
            .collect(),
    }
}

/// Attempts by fault and reaction.
pub(super) fn reactions(faults: &[FaultFindings]) -> Table {
    let mut titles = vec!["LNS", "fault", "attempts"];
    titles.extend(Reaction::ALL.map(Reaction::name));
    titles.extend(["unknown", "not over"]);
    let row = |fault: &FaultFindings| {
        let mut row = vec![fault.key.lns.to_string(), fault.fault.clone()];
        let reacted = Reaction::ALL.map(|reaction| fault.reactions.of(reaction).attempts);
        let counts = [fault.attempts]
            .into_iter()
            .chain(reacted)
            .chain([fault.reactions.unknown_total(), fault.open]);
        row.extend(counts.map(thousands));
        row
    };
    Table {
        titles,
        rows: faults.iter().map(row).collect(),
    }
}

/// Messages of LACs by fault.
pub(super) fn messages(faults: &[FaultFindings], sentences: &[Sentence]) -> Table {
    let mut rows = Vec::new();
    for (fault, sentence) in faults.iter().zip(sentences) {
        let mut row = |message, count| {
            rows.push(vec![sentence.subject.clone(), message, thousands(count)]);
        };
        for counted in &fault.messages {
            row(message::named(&counted.message), counted.count);
        }
        if fault.messages_left_out > 0 {
            row("others".to_owned(), fault.messages_left_out);
        }
    }
    Table {
        titles: vec!["fault", "message", "count"],
        rows,
    }
}
