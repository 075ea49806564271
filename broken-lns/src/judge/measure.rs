//! One outcome held against what is expected.

use std::time::Duration;

use super::judgement::{Breach, Part};
use crate::scenario::expect::{Lockout, Terms};
use crate::track::findings::{Acknowledgement, Conclusion, Doubt, Next, Outcome, Reaction};

/// What is found of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is as expected.
    Fulfilled(Part),
    /// It is not, and that is certain.
    Broken(Breach),
    /// Nobody knows.
    Unknown(Part, Doubt),
}

impl Found {
    fn broken_if(is_broken: bool, breach: Breach) -> Self {
        match is_broken {
            true => Self::Broken(breach),
            false => Self::Fulfilled(breach.part()),
        }
    }
}

/// The parts that are expected of an attempt.
pub(super) fn expected(terms: &Terms) -> impl Iterator<Item = Part> {
    let is_expected = |part: &Part| match part {
        Part::Reaction => !terms.reactions.is_empty(),
        Part::To => !terms.to.is_empty(),
        Part::Within => terms.within.is_some(),
        Part::Acknowledge => terms.acknowledge.is_some(),
        Part::Lockout => terms.lockout.is_some(),
    };
    Part::ALL.into_iter().filter(is_expected)
}

/// Holds an attempt against the terms, in the order of the parts; what says nothing of a part
/// is left out.
pub(super) fn measure(terms: &Terms, outcome: &Outcome) -> Vec<Found> {
    let mut found = Vec::new();
    reaction(terms, outcome, &mut found);
    found.extend(acknowledgement(terms, outcome));
    if let (Some(bounds), Some(length)) = (&terms.lockout, retried_after(outcome)) {
        found.push(lockout(bounds, length));
    }
    found
}

/// What a LAC did, where it turned to, and how soon.
fn reaction(terms: &Terms, outcome: &Outcome, found: &mut Vec<Found>) {
    if terms.reactions.is_empty() {
        return;
    }
    let quiet = outcome.quiet.unwrap_or(0);
    let reaction = match outcome.conclusion {
        Conclusion::Unknown(doubt) => {
            found.push(Found::Unknown(Part::Reaction, doubt));
            // What it will do is open, but not that it will do it too late.
            let is_late = |within| Duration::from_nanos(quiet) > within;
            if terms.demands_moving() && terms.within.is_some_and(is_late) {
                found.push(Found::Broken(Breach::Quiet { quiet }));
            }
            return;
        }
        Conclusion::Reaction(reaction) => reaction,
    };
    let is_expected = terms.reactions.contains(&reaction);
    if reaction == Reaction::GiveUp && !is_expected && Duration::from_nanos(quiet) < patience(terms)
    {
        found.push(Found::Unknown(Part::Reaction, Doubt::StillOpen));
        return;
    }
    let breach = Breach::Reaction {
        reaction,
        next: outcome.next,
        quiet: outcome.quiet,
    };
    found.push(Found::broken_if(!is_expected, breach));
    let Some(Next { lns, after, .. }) = outcome.next.filter(|_| is_expected) else {
        return;
    };
    if reaction == Reaction::Failover && !terms.to.is_empty() {
        let is_elsewhere = !terms.to.iter().any(|to| to.contains(lns));
        found.push(Found::broken_if(is_elsewhere, Breach::Target { lns }));
    }
    let moves = matches!(reaction, Reaction::Failover | Reaction::RetrySame);
    if let Some(within) = terms.within.filter(|_| moves) {
        let is_late = Duration::from_nanos(after) > within;
        found.push(Found::broken_if(is_late, Breach::Late { after }));
    }
}

/// How long a LAC that shall make another attempt may be quiet without having broken that.
pub(super) fn patience(terms: &Terms) -> Duration {
    let waits = terms.reactions.contains(&Reaction::RetrySame);
    let lockout = terms.lockout.filter(|_| waits);
    let lockout = lockout.and_then(|Lockout { min, max }| max.or(min));
    terms.within.or(lockout).unwrap_or(Duration::ZERO)
}

/// Whether the StopCCN was acknowledged; nothing where none was sent.
fn acknowledgement(terms: &Terms, outcome: &Outcome) -> Option<Found> {
    let is_wanted = terms.acknowledge?;
    outcome.answered?;
    let seen = outcome.acknowledgement;
    Some(match (outcome.conclusion, seen) {
        (Conclusion::Unknown(Doubt::LeftToHost), _) => return None,
        // The acknowledgement may be among what was lost, or be that of another attempt.
        (Conclusion::Unknown(doubt @ (Doubt::EventsLost | Doubt::OutOfMemory)), _)
        | (_, Acknowledgement::Unknown(doubt)) => Found::Unknown(Part::Acknowledge, doubt),
        _ => Found::broken_if(
            seen.is_delivered() != is_wanted,
            Breach::Acknowledgement(seen),
        ),
    })
}

/// After how long a LAC tried the same LNS again without having turned to another one.
fn retried_after(outcome: &Outcome) -> Option<u64> {
    let next = outcome.next?;
    if next.lns != outcome.fault.lns {
        return None;
    }
    let answered = outcome.answered.filter(|answered| *answered <= next.at);
    Some(next.at.saturating_sub(answered.unwrap_or(outcome.last)))
}

/// Whether a LAC stayed away for as long as expected.
pub(super) fn lockout(bounds: &Lockout, length: u64) -> Found {
    let is_within = bounds.contains(Duration::from_nanos(length));
    Found::broken_if(!is_within, Breach::Lockout { length })
}
