//! The report for a terminal.

use super::quantity::counted;
use super::sentence::Sentence;
use super::{Report, caveats, escape, expectation, expectations, lac, message, sentences};
use crate::judge::{Judgements, Verdict};
use crate::output::{Palette, thousands, time};
use crate::track::findings::FaultFindings;

/// What stands between a subject and what is said of it.
const GAP: usize = 2;
/// Columns for how an expectation ended.
const VERDICT: usize = 10;
/// Different messages of LACs that are shown for each fault.
const MESSAGES_SHOWN: usize = 3;

/// Faults that an outline has.
const OUTLINED: usize = 20;
/// With more LACs than these an outline has nothing about single ones.
const LACS_OUTLINED: u64 = 3;

/// The report as text, several lines long.
pub fn text(report: &Report, palette: &Palette) -> String {
    headline(report, palette) + &body(report, usize::MAX, true, palette)
}

/// The report below the summary of its run, if there is anything in it: the first faults, and
/// what is not known.
pub fn outline(report: &Report, palette: &Palette) -> String {
    let findings = &report.findings;
    if findings.totals.attempts == 0 && report.judgements.is_empty() {
        return String::new();
    }
    let more = match findings.faults.len().saturating_sub(OUTLINED) {
        0 => String::new(),
        more => format!(
            "\n{} more are in the report: --report FILE\n",
            thousands(more as u64)
        ),
    };
    format!(
        "\n{}\n{}{more}",
        seen(report, palette),
        body(
            report,
            OUTLINED,
            findings.totals.lacs <= LACS_OUTLINED,
            palette
        )
    )
}

/// What became of the first faults and expectations, what single LACs did if that is asked for,
/// and what is not known.
fn body(report: &Report, most: usize, with_lacs: bool, palette: &Palette) -> String {
    let mut text = String::new();
    let mut sentences = sentences(&report.findings);
    sentences.truncate(most);
    for (sentence, fault) in sentences.iter_mut().zip(&report.findings.faults) {
        sentence.clauses.extend(messages(fault));
    }
    if !sentences.is_empty() {
        text.push('\n');
        text.push_str(&list(&sentences, palette));
    }
    text.push_str(&judged(&report.judgements, most, palette));
    let lacs = lac::sentences(report);
    if with_lacs && !lacs.is_empty() {
        let choices = lac::choices(&report.findings.selections);
        let choices = choices.map_or_else(String::new, |choices| {
            format!("\nLNSs are asked: {choices}")
        });
        text.push_str(&format!(
            "\n{}{choices}\n",
            palette.strong(&lac::title(report))
        ));
        text.push_str(&list(&lacs, palette));
    }
    let caveats = caveats(report);
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
    let facts = &report.facts;
    format!(
        "{}\n{} on {}, scenario {}, {} followed\n",
        seen(report, palette),
        facts.started(),
        escape::plain(&facts.interfaces.join(", ")),
        escape::plain(&facts.scenario),
        facts.followed(),
    )
}

/// Whether LACs did what was expected of them: up to `most` expectations, those that failed
/// first. Nothing where nothing was expected.
pub fn judged(judgements: &Judgements, most: usize, palette: &Palette) -> String {
    if judgements.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", palette.strong(&expectation::tally(judgements)));
    let mut all = expectations(judgements);
    all.sort_by_key(|expected| match expected.verdict {
        Verdict::Failed => 0,
        Verdict::NotSeen => 1,
        Verdict::Passed => 2,
    });
    for expected in all.iter().take(most) {
        let said = format!("{:VERDICT$}", expectation::said(expected.verdict));
        text.push_str(&match expected.verdict {
            Verdict::Failed => palette.alarming(&said),
            _ => said,
        });
        text.push_str(&format!("{}\n", expected.name));
        let breakers = expected.breakers.iter();
        for line in [&expected.clauses.join(", ")].into_iter().chain(breakers) {
            text.push_str(&format!("{:VERDICT$}  {line}\n", ""));
        }
    }
    let more = all.len().saturating_sub(most);
    if more > 0 {
        let more = counted(more as u64, "more expectation");
        text.push_str(&format!("{more} in the report\n"));
    }
    text
}

/// What was seen in all.
fn seen(report: &Report, palette: &Palette) -> String {
    let totals = &report.findings.totals;
    let seen = format!(
        "{} made {} and {} in {}",
        counted(totals.lacs, "LAC"),
        counted(totals.attempts, "attempt"),
        counted(totals.retransmissions, "retransmission"),
        time(report.facts.duration),
    );
    palette.strong(&seen)
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

/// What LACs sent beside SCCRQs, the most frequent messages by themselves.
fn messages(fault: &FaultFindings) -> Vec<String> {
    let messages = fault.messages.iter();
    let shown = messages
        .clone()
        .take(MESSAGES_SHOWN)
        .map(|counted_message| {
            let message = message::named(&counted_message.message);
            format!("sent {message} {}", counted(counted_message.count, "time"))
        });
    let mut clauses: Vec<_> = shown.collect();
    let others = messages.skip(MESSAGES_SHOWN).map(|message| message.count);
    let others = others.sum::<u64>() + fault.messages_left_out;
    if others > 0 {
        clauses.push(format!("sent {}", counted(others, "other message")));
    }
    clauses
}
