//! What the numbers of a report do not have, and what that means.

use super::Report;
use super::quantity::counted;
use crate::output::thousands;
use crate::track::findings::Totals;

/// What the numbers do not have, a sentence each; none if there is nothing to say.
pub fn caveats(report: &Report) -> Vec<String> {
    let judgements = &report.judgements;
    let former = &judgements.former;
    let Totals {
        events,
        events_lost,
        events_forced,
        events_unmatched,
        lacs_closed,
        attempts_forgotten,
        faults_left_out,
        outcomes_left_out,
        memory_limit,
        ..
    } = report.findings.totals;
    let limit = memory_limit >> 20;
    // Where nothing is expected, nobody misses an outcome.
    let unjudged = match judgements.is_empty() {
        true => 0,
        false => outcomes_left_out + judgements.too_late,
    };
    let caveats = [
        (
            events_lost,
            format!(
                "{} of {} events were lost: attempts that may be concerned are unknown, and \
                 counts are too low by what was in them.",
                thousands(events_lost),
                thousands(events.saturating_add(events_lost)),
            ),
        ),
        (
            events_forced,
            format!(
                "{} could not wait for those before them: attempts that may be concerned are \
                 unknown.",
                counted(events_forced, "event"),
            ),
        ),
        (
            events_unmatched,
            format!(
                "{} of LACs that were not seen to ask: their requests came before the start, or \
                 were lost.",
                counted(events_unmatched, "event"),
            ),
        ),
        (
            lacs_closed,
            format!(
                "{} no longer followed, since the memory of {limit} MiB was full; one that \
                 came back counts as another one.",
                were(lacs_closed, "LAC"),
            ),
        ),
        (
            attempts_forgotten,
            format!(
                "{} forgotten early: a retransmission of one would count as an attempt.",
                were(attempts_forgotten, "attempt"),
            ),
        ),
        (
            faults_left_out,
            format!(
                "{} left out, since the memory of {limit} MiB was full; LACs that met one are \
                 not judged.",
                were(faults_left_out, "fault"),
            ),
        ),
        (
            judgements.left_out,
            format!(
                "{} not judged: there is no room for so many.",
                were(judgements.left_out, "expectation"),
            ),
        ),
        (
            former.count(),
            format!(
                "{} of former scenarios left to make room for others: {} passed, {} failed, \
                 {} not seen.",
                counted(former.count(), "expectation"),
                thousands(former.passed),
                thousands(former.failed),
                thousands(former.not_seen),
            ),
        ),
        (
            former.withdrawn,
            format!(
                "{} taken back of expectations that are not listed: what it had come to is \
                 counted all the same.",
                were(former.withdrawn, "attempt"),
            ),
        ),
        (
            unjudged,
            format!(
                "{} not judged, since what is expected of them was no longer known, or they were \
                 told too late.",
                were(unjudged, "attempt"),
            ),
        ),
    ];
    let said = caveats.into_iter().filter(|(count, _)| *count > 0);
    said.map(|(_, caveat)| caveat).collect()
}

fn were(count: u64, what: &str) -> String {
    let verb = if count == 1 { "was" } else { "were" };
    format!("{} {verb}", counted(count, what))
}
