//! The report in Markdown, with the tables of GitHub.

use super::escape::markdown as escaped;
use super::{Report, caveats, message, sentences};
use crate::output::thousands;
use crate::track::findings::{FaultFindings, Reaction};

/// The report in Markdown.
pub fn markdown(report: &Report) -> String {
    let mut text = "# broken-lns report\n\n".to_owned();
    let facts = report
        .listed()
        .map(|(name, value)| [name.to_owned(), value]);
    text.push_str(&table(&["", ""], &facts));

    let sentences = sentences(&report.findings);
    let faults = &report.findings.faults;
    if !faults.is_empty() {
        let said = sentences.iter().map(ToString::to_string);
        text.push_str("\n## What LACs did\n\n");
        text.push_str(&list(said));
        text.push_str("\nAttempts by reaction:\n\n");
        text.push_str(&reactions(faults));
    }

    let mut messages = Vec::new();
    for (fault, sentence) in faults.iter().zip(&sentences) {
        for counted in &fault.messages {
            messages.push([
                sentence.subject.clone(),
                message::named(&counted.message),
                thousands(counted.count),
            ]);
        }
        if fault.messages_left_out > 0 {
            messages.push([
                sentence.subject.clone(),
                "others".to_owned(),
                thousands(fault.messages_left_out),
            ]);
        }
    }
    if !messages.is_empty() {
        text.push_str("\n## What LACs sent beside SCCRQs\n\n");
        text.push_str(&table(&["fault", "message", "count"], &messages));
    }

    let caveats = caveats(&report.findings);
    if !caveats.is_empty() {
        text.push_str("\n## What the numbers do not have\n\n");
        text.push_str(&list(caveats));
    }
    text
}

/// The table of faults and reactions.
fn reactions(faults: &[FaultFindings]) -> String {
    let [failover, retry, give_up, ignore] = Reaction::ALL.map(Reaction::name);
    let titles = [
        "LNS", "fault", "attempts", failover, retry, give_up, ignore, "unknown", "not over",
    ];
    let rows = faults.iter().map(|fault| {
        let [failover, retry, give_up, ignore] =
            Reaction::ALL.map(|reaction| thousands(fault.reactions.of(reaction).attempts));
        [
            fault.key.lns.to_string(),
            fault.fault.clone(),
            thousands(fault.attempts),
            failover,
            retry,
            give_up,
            ignore,
            thousands(fault.reactions.unknown_total()),
            thousands(fault.open),
        ]
    });
    table(&titles, &rows.collect::<Vec<_>>())
}

/// A table, whose cells may have any text.
fn table<const COLUMNS: usize>(titles: &[&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let line = |cells: &[String; COLUMNS]| {
        let cells = cells.each_ref().map(|cell| escaped(cell));
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = line(&titles.map(str::to_owned));
    text.push_str(&format!("|{}\n", "---|".repeat(COLUMNS)));
    text.extend(rows.iter().map(line));
    text
}

/// A list, whose items may have any text behind their first word.
fn list(items: impl IntoIterator<Item = String>) -> String {
    let lines = items
        .into_iter()
        .map(|item| format!("- {}\n", escaped(&item)));
    lines.collect()
}
