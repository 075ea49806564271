//! The report for a terminal.

use super::quantity::counted;
use super::sentence::Sentence;
use super::{Report, caveats, escape, sentences};
use crate::output::{Palette, time};

/// What stands between a subject and what is said of it.
const GAP: usize = 2;

/// The report as text, several lines long.
pub fn text(report: &Report, palette: &Palette) -> String {
    let mut text = headline(report, palette);
    let sentences = sentences(&report.findings);
    if !sentences.is_empty() {
        text.push('\n');
        text.push_str(&list(&sentences, palette));
    }
    let caveats = caveats(&report.findings);
    if !caveats.is_empty() {
        text.push('\n');
    }
    for caveat in caveats {
        text.push_str(&palette.alarming(&caveat));
        text.push('\n');
    }
    text
}

/// What was seen in all, and in which run.
fn headline(report: &Report, palette: &Palette) -> String {
    let totals = &report.findings.totals;
    let facts = &report.facts;
    let seen = format!(
        "{} made {} and {} in {}",
        counted(totals.lacs, "LAC"),
        counted(totals.attempts, "attempt"),
        counted(totals.retransmissions, "retransmission"),
        time(facts.duration),
    );
    format!(
        "{}\n{} on {}, scenario {}, {} followed\n",
        palette.strong(&seen),
        facts.started(),
        escape::plain(&facts.interfaces.join(", ")),
        escape::plain(&facts.scenario),
        facts.followed(),
    )
}

/// A line for each clause, with all clauses at the same column.
fn list(sentences: &[Sentence], palette: &Palette) -> String {
    let subjects = sentences.iter().map(|sentence| &sentence.subject);
    let width = subjects.map(|subject| subject.chars().count()).max();
    let width = width.unwrap_or(0) + GAP;
    let mut text = String::new();
    for Sentence { subject, clauses } in sentences {
        // The style adds octets that take no column.
        text.push_str(&palette.strong(subject));
        text.push_str(&" ".repeat(width - subject.chars().count()));
        text.push_str(&clauses.join(&format!("\n{:width$}", "")));
        text.push('\n');
    }
    text
}
