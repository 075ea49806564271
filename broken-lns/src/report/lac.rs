//! What is said of single LACs: whom they ask, in which order, and what they choose by.

use std::net::IpAddr;

use super::Report;
use super::quantity::counted;
use super::sentence::Sentence;
use crate::lac_identity::Text;
use crate::output::thousands;
use crate::track::findings::{LacFindings, Selection, Selections};

/// LACs of which a document for people has a sentence.
const SHOWN: usize = 20;
/// LNSs of a LAC that are named.
const NAMED: usize = 8;

/// What stands above the sentences about single LACs.
pub(super) fn title(report: &Report) -> String {
    let (shown, all) = (shown(report).len() as u64, report.findings.totals.lacs);
    match shown < all {
        true => format!(
            "The {} with the most messages, of {}",
            counted(shown, "LAC"),
            thousands(all)
        ),
        false => "Single LACs".to_owned(),
    }
}

/// A sentence for each of the LACs with the most messages.
pub(super) fn sentences(report: &Report) -> Vec<Sentence> {
    shown(report).iter().map(sentence).collect()
}

fn shown(report: &Report) -> &[LacFindings] {
    report.lacs.get(..SHOWN).unwrap_or(&report.lacs)
}

pub(super) fn sentence(lac: &LacFindings) -> Sentence {
    let attempts = counted(lac.attempts, "attempt");
    let mut clauses = vec![match lac.retransmissions {
        0 => attempts,
        again => format!("{attempts} and {}", counted(again, "retransmission")),
    }];
    clauses.extend(choice(lac));
    if lac.parallel {
        clauses
            .push("several tunnels at once, so that little is known of its reactions".to_owned());
    }
    if lac.events_lost {
        clauses.push("events of it may have been lost".to_owned());
    }
    Sentence {
        subject: subject(lac),
        clauses,
    }
}

/// Its address, and what it calls itself.
fn subject(lac: &LacFindings) -> String {
    let name = lac.name.unwrap_or_default();
    let names = [name.host_name, name.vendor_name];
    let names: Vec<_> = names.iter().flatten().map(Text::to_string).collect();
    match names.as_slice() {
        [] => format!("LAC {}", lac.lac),
        names => format!("LAC {} ({})", lac.lac, names.join(", ")),
    }
}

/// Whom it asks, and how it chooses; nothing where that was not seen.
fn choice(lac: &LacFindings) -> Option<String> {
    let first = lac.order.first()?;
    Some(match lac.selection {
        Selection::Unknown if lac.order.len() == 1 => format!("asked {first}"),
        Selection::Unknown => format!("asked {}, in this order at first", named(&lac.order)),
        Selection::Single => format!("asks {first} and no other LNS"),
        Selection::Preference => format!("prefers {}, in this order", named(&lac.order)),
        Selection::RoundRobin => format!("asks {} in turn", named(&lac.order)),
    })
}

fn named(lnss: &[IpAddr]) -> String {
    let names: Vec<_> = lnss.iter().take(NAMED).map(IpAddr::to_string).collect();
    match lnss.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// How all LACs choose that are followed; nothing where that is known of none.
pub(super) fn choices(selections: &Selections) -> Option<String> {
    let Selections {
        unknown,
        single,
        preference,
        round_robin,
    } = *selections;
    if single + preference + round_robin == 0 {
        return None;
    }
    let choices = [
        (preference, "by preference"),
        (round_robin, "in turn"),
        (single, "ask one LNS only"),
        (unknown, "unknown"),
    ];
    let choices = choices.iter().filter(|(count, _)| *count > 0);
    let choices: Vec<_> = choices
        .map(|(count, how)| format!("{} {how}", thousands(*count)))
        .collect();
    Some(choices.join(", "))
}
