//! What became of a fault, in one line, the way a tester would say it.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use super::escape::plain;
use super::quantity::{counted, duration};
use crate::output::thousands;
use crate::track::findings::{Distribution, Doubt, FaultFindings, Findings, Reaction, Share};

/// What LACs did about one fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// The LNS and the fault.
    pub subject: String,
    /// What LACs did, each of it for itself.
    pub clauses: Vec<String>,
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.clauses.join(", "))
    }
}

/// A sentence for each fault that was met, in the order of the findings.
pub fn sentences(findings: &Findings) -> Vec<Sentence> {
    let names = Names::of(&findings.faults);
    let sentences = findings.faults.iter().map(|fault| Sentence {
        subject: names.subject(fault),
        clauses: clauses(fault),
    });
    sentences.collect()
}

/// What it takes to tell faults apart, of which there may be a hundred thousand.
struct Names<'f> {
    /// How many rules of a scenario call what they do at an LNS so.
    rules: HashMap<(u32, IpAddr, &'f str), u32>,
    is_one_scenario: bool,
}

impl<'f> Names<'f> {
    fn of(faults: &'f [FaultFindings]) -> Self {
        let mut rules = HashMap::new();
        for fault in faults {
            *rules.entry(Self::name(fault)).or_default() += 1;
        }
        let mut scenarios = faults.iter().map(|fault| fault.key.scenario);
        let first = scenarios.next();
        Self {
            rules,
            is_one_scenario: scenarios.all(|scenario| Some(scenario) == first),
        }
    }

    fn name(fault: &FaultFindings) -> (u32, IpAddr, &str) {
        (fault.key.scenario, fault.key.lns, &fault.fault)
    }

    /// The name of a fault, with as much of its key as that takes.
    fn subject(&self, fault: &FaultFindings) -> String {
        let key = fault.key;
        let mut subject = format!("LNS {}, {}", key.lns, plain(&fault.fault));
        if self
            .rules
            .get(&Self::name(fault))
            .is_some_and(|rules| *rules > 1)
        {
            subject.push_str(&format!(" (rule {})", key.rule));
        }
        if !self.is_one_scenario {
            subject.push_str(&format!(" (scenario {})", key.scenario));
        }
        subject
    }
}

fn clauses(fault: &FaultFindings) -> Vec<String> {
    let mut clauses = acknowledgements(fault);
    if fault.retransmissions_before > 0 {
        let again = counted(fault.retransmissions_before, "retransmission");
        clauses.push(match fault.answered {
            0 => again,
            _ => format!("{again} before the answer"),
        });
    }
    for reaction in Reaction::ALL {
        let share = fault.reactions.of(reaction);
        if share.attempts > 0 {
            clauses.push(reacted(fault, reaction, share));
        }
    }
    if !fault.lockout.is_empty() {
        let returns = counted(fault.lockout.count(), "return");
        clauses.push(format!("{returns} to the LNS{}", spread(&fault.lockout)));
    }
    if !fault.came_back.is_empty() {
        clauses.push(format!(
            "{} came back when taken for given up{}",
            thousands(fault.came_back.count()),
            spread(&fault.came_back),
        ));
    }
    if fault.tunnel_ids_reused > 0 {
        let reused = counted(fault.tunnel_ids_reused, "tunnel id");
        clauses.push(format!("{reused} used again"));
    }
    for doubt in Doubt::ALL {
        let unknown = fault.reactions.unknown(doubt);
        if unknown > 0 {
            let unknown = counted(unknown, "attempt");
            clauses.push(format!("{unknown} unknown: {}", reason(doubt)));
        }
    }
    if fault.open > 0 {
        let open = counted(fault.open, "attempt");
        clauses.push(format!("{open} not over"));
    }
    clauses
}

/// How LACs took the StopCCN, or just how many there were if there was nothing to acknowledge.
fn acknowledgements(fault: &FaultFindings) -> Vec<String> {
    let acknowledged = &fault.acknowledged;
    let all = counted(fault.lacs, "LAC");
    if acknowledged.is_empty() {
        return vec![all];
    }
    let median = match acknowledged.round_trip.median() {
        Some(median) => format!(" (median {})", duration(median)),
        None => String::new(),
    };
    let lacs = thousands(acknowledged.lacs);
    let mut clauses = vec![format!("{lacs} of {all} acknowledged{median}")];
    for (count, how) in [
        (acknowledged.zero_tunnel_id, "Tunnel ID 0"),
        (acknowledged.wrong_nr, "a wrong Nr"),
    ] {
        if count > 0 {
            let attempts = counted(count, "attempt");
            clauses.push(format!("{attempts} acknowledged with {how}"));
        }
    }
    for doubt in Doubt::ALL {
        let unknown = acknowledged.unknown(doubt);
        if unknown > 0 {
            let unknown = counted(unknown, "acknowledgement");
            clauses.push(format!("{unknown} unknown: {}", reason(doubt)));
        }
    }
    clauses
}

/// How many LACs reacted so, how often if that was more than once each, and how fast.
fn reacted(fault: &FaultFindings, reaction: Reaction, share: Share) -> String {
    let lacs = thousands(share.lacs);
    let times = (share.attempts != share.lacs).then_some(share.attempts);
    match reaction {
        Reaction::Failover => {
            let after = measured(times, &fault.failover_after);
            format!("{lacs} failed over{after}{}", targets(fault))
        }
        Reaction::RetrySame => {
            let after = measured(times, &fault.retry_after);
            format!("{lacs} retried the same LNS{after}")
        }
        Reaction::GiveUp => format!("{lacs} gave up{}", in_brackets(often(times))),
        Reaction::Ignore => {
            let then =
                |count: u64, what| (count > 0).then(|| format!("{} {what}", thousands(count)));
            let parts = [
                often(times),
                then(fault.reactions.ignored_then_failover, "then failed over"),
                then(
                    fault.reactions.ignored_then_retry_same,
                    "then retried the same LNS",
                ),
            ];
            let parts = in_brackets(parts.into_iter().flatten());
            format!("{lacs} ignored the answer{parts}")
        }
    }
}

/// Where LACs failed over to: the two most frequent addresses, or one and the rest.
fn targets(fault: &FaultFindings) -> String {
    let others = fault.failover_to_others;
    match fault.failover_to.as_slice() {
        [] => String::new(),
        [(only, _)] if others == 0 => format!(" to {only}"),
        [(one, first), (other, second)] if others == 0 => {
            let (first, second) = (thousands(*first), thousands(*second));
            format!(" to {one} ({first}) and {other} ({second})")
        }
        [(one, first), rest @ ..] => {
            let others = others + rest.iter().map(|(_, count)| count).sum::<u64>();
            let (first, others) = (thousands(*first), thousands(others));
            format!(" to {one} ({first}) and others ({others})")
        }
    }
}

/// Why nothing is known.
pub(super) fn reason(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::StillOpen => "the end came before",
        Doubt::EventsLost => "events were lost",
        Doubt::OutOfMemory => "the memory was full",
        Doubt::Parallel => "several tunnels at once",
        Doubt::Unordered => "no regular order or time, as of several tunnels at once",
        Doubt::Ambiguous => "another StopCCN may be meant",
        Doubt::GroupsChanged => "the groups of LNSs changed",
        Doubt::LeftToHost => "they were left to the host",
    }
}

/// How often, and after how long.
fn measured(times: Option<u64>, after: &Distribution) -> String {
    match often(times) {
        None => spread(after),
        Some(often) => in_brackets([often].into_iter().chain(quantiles(after))),
    }
}

/// Durations as one, if they look the same, or by their quantiles.
fn spread(durations: &Distribution) -> String {
    match (durations.min().map(duration), durations.max().map(duration)) {
        (Some(min), Some(max)) if min == max => format!(" after {min}"),
        _ => in_brackets(quantiles(durations)),
    }
}

fn quantiles(durations: &Distribution) -> Option<String> {
    let (median, p99) = (durations.median()?, durations.p99()?);
    Some(format!(
        "median {}, p99 {}",
        duration(median),
        duration(p99)
    ))
}

fn often(times: Option<u64>) -> Option<String> {
    times.map(|times| counted(times, "time"))
}

/// What there is, in brackets; nothing if there is nothing.
fn in_brackets(parts: impl IntoIterator<Item = String>) -> String {
    let parts: Vec<_> = parts.into_iter().collect();
    match parts.as_slice() {
        [] => String::new(),
        parts => format!(" ({})", parts.join(", ")),
    }
}
