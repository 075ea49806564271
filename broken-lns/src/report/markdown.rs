//! The report in Markdown, with the tables of GitHub.

use super::escape::markdown as escaped;
use super::table::Table;
use super::{Expected, Report, caveats, expectation, expectations, lac, sentences, table};

/// The report in Markdown.
pub fn markdown(report: &Report) -> String {
    let sentences = sentences(&report.findings);
    let faults = &report.findings.faults;
    let mut text = "# broken-lns report\n\n".to_owned();
    text.push_str(&rows(&table::facts(report)));
    if !report.judgements.is_empty() {
        text.push_str(&format!(
            "\n## What was expected\n\n{}\n\n",
            expectation::tally(&report.judgements)
        ));
        text.extend(expectations(&report.judgements).iter().map(judged));
    }
    if !faults.is_empty() {
        let said = sentences.iter().map(ToString::to_string);
        text.push_str("\n## What LACs did\n\n");
        text.push_str(&list(said));
        text.push_str("\nAttempts by reaction:\n\n");
        text.push_str(&rows(&table::reactions(faults)));
    }
    let messages = table::messages(faults, &sentences);
    if !messages.rows.is_empty() {
        text.push_str("\n## What LACs sent beside SCCRQs\n\n");
        text.push_str(&rows(&messages));
    }
    let lacs = lac::sentences(report);
    if !lacs.is_empty() {
        text.push_str(&format!("\n## {}\n\n", lac::title(report)));
        text.push_str(&list(lacs.iter().map(ToString::to_string)));
    }
    let caveats = caveats(report);
    if !caveats.is_empty() {
        text.push_str("\n## What the numbers do not have\n\n");
        text.push_str(&list(caveats));
    }
    text
}

/// An item for an expectation, and below it one for each that broke it.
fn judged(expected: &Expected) -> String {
    let verdict = expectation::said(expected.verdict);
    let (name, clauses) = (
        escaped(&expected.name),
        escaped(&expected.clauses.join(", ")),
    );
    let breakers = expected.breakers.iter();
    let breakers = breakers.map(|breaker| format!("  - {}\n", escaped(breaker)));
    format!(
        "- **{verdict}** {name}: {clauses}\n{}",
        breakers.collect::<String>()
    )
}

/// A table, whose cells may have any text.
fn rows(table: &Table) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<_> = cells.iter().map(|cell| escaped(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let titles: Vec<_> = table
        .titles
        .iter()
        .map(|title| (*title).to_owned())
        .collect();
    let mut text = line(&titles);
    text.push_str(&format!("|{}\n", "---|".repeat(titles.len())));
    text.extend(table.rows.iter().map(|cells| line(cells)));
    text
}

/// A list, whose items may have any text behind their first word.
fn list(items: impl IntoIterator<Item = String>) -> String {
    let lines = items
        .into_iter()
        .map(|item| format!("- {}\n", escaped(&item)));
    lines.collect()
}
