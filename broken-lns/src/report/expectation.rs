//! What became of an expectation, the way a tester would say it.

use std::time::Duration;

use super::escape::plain;
use super::quantity::{counted, duration};
use super::sentence::reason;
use crate::judge::{Breach, Breaker, Judgement, Judgements, Part, Tally, Verdict};
use crate::output::{lacs, prefixes, thousands, time};
use crate::scenario::Expectation;
use crate::scenario::expect::{Lockout, Terms};
use crate::track::findings::{Acknowledgement, Doubt, Reaction};

/// An expectation in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Of whom, and what; no two have the same.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was seen, each of it for itself.
    pub clauses: Vec<String>,
    /// Who broke it, and how.
    pub breakers: Vec<String>,
}

/// Every expectation in words, in the order of the judgements.
pub fn expectations(judgements: &Judgements) -> Vec<Expected> {
    let mut all: Vec<_> = judgements.all.iter().map(Expected::of).collect();
    let mut names: Vec<_> = all.iter().map(|expected| expected.name.clone()).collect();
    names.sort_unstable();
    for (expected, judgement) in all.iter_mut().zip(&judgements.all) {
        let first = names.partition_point(|name| *name < expected.name);
        if names.get(first + 1) == Some(&expected.name) {
            let Judgement { scenario, rule, .. } = judgement;
            let key = format!(" (rule {rule} of scenario {scenario})");
            expected.name.push_str(&key);
        }
    }
    all
}

/// How many expectations there are, and how they ended.
pub(super) fn tally(judgements: &Judgements) -> String {
    let [passed, failed, not_seen] = [Verdict::Passed, Verdict::Failed, Verdict::NotSeen]
        .map(|verdict| (verdict, judgements.count(verdict)))
        .map(|(verdict, count)| format!("{} {}", thousands(count), said(verdict)));
    let all = counted(judgements.total(), "expectation");
    format!("{all}: {passed}, {failed}, {not_seen}")
}

/// How an expectation ended, in words.
pub(super) fn said(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Failed => "failed",
        Verdict::NotSeen => "not seen",
    }
}

impl Expected {
    fn of(judgement: &Judgement) -> Self {
        let breakers = judgement.breakers.iter();
        let mut breakers: Vec<_> = breakers.map(|breaker| broke(breaker, judgement)).collect();
        if judgement.breakers_left_out > 0 {
            let times = counted(judgement.breakers_left_out, "time");
            breakers.push(format!("others, {times}"));
        }
        Self {
            name: name(judgement),
            verdict: judgement.verdict(),
            clauses: clauses(judgement),
            breakers,
        }
    }
}

/// Of whom something is expected, and what that is.
fn name(judgement: &Judgement) -> String {
    let mut name = match judgement.lns.as_slice() {
        [] => "other LNSs".to_owned(),
        lns => format!("LNS {}", prefixes(lns, "")),
    };
    let lac_name = judgement.lac_name.as_ref();
    if !judgement.lac.is_empty() || lac_name.is_some() {
        name.push_str(&format!(", LAC {}", lacs(&judgement.lac, lac_name, "")));
    }
    let fault = plain(&judgement.treatment.brief());
    let terms = match &judgement.expectation {
        Expectation::Profile(profile) => format!("do as {} does", profile.name()),
        Expectation::Terms(terms) => demands(terms).join(", "),
    };
    format!("{name}, {fault}: {terms}")
}

/// What the terms ask of a LAC, each of it for itself.
fn demands(terms: &Terms) -> Vec<String> {
    let reactions = terms.reactions.iter().map(|reaction| match reaction {
        Reaction::Failover if !terms.to.is_empty() => format!("fail over to {}", to(terms)),
        reaction => demand(*reaction).to_owned(),
    });
    let mut reaction = either(reactions);
    if let Some(within) = terms.within {
        reaction.push_str(&format!(" within {}", exact(within)));
    }
    let acknowledge = terms.acknowledge.map(|is_wanted| match is_wanted {
        true => "acknowledge the StopCCN".to_owned(),
        false => "do not acknowledge the StopCCN".to_owned(),
    });
    let lockout = terms.lockout.iter();
    let lockout = lockout.map(|lockout| format!("stay away for {}", bounds(lockout)));
    let demands = [reaction]
        .into_iter()
        .filter(|reaction| !reaction.is_empty());
    demands.chain(acknowledge).chain(lockout).collect()
}

fn demand(reaction: Reaction) -> &'static str {
    match reaction {
        Reaction::Failover => "fail over",
        Reaction::RetrySame => "retry the same LNS",
        Reaction::GiveUp => "give up",
        Reaction::Ignore => "ignore the answer",
    }
}

fn to(terms: &Terms) -> String {
    either(terms.to.iter().map(ToString::to_string))
}

fn either(choices: impl Iterator<Item = String>) -> String {
    choices.collect::<Vec<_>>().join(" or ")
}

/// A time as a scenario has it, to the nanosecond.
fn exact(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

fn bounds(lockout: &Lockout) -> String {
    match (lockout.min.map(exact), lockout.max.map(exact)) {
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => "any time".to_owned(),
    }
}

/// How often it was as expected, and what is not known.
fn clauses(judgement: &Judgement) -> Vec<String> {
    let attempts = &judgement.attempts;
    let mut clauses = Vec::new();
    let mut as_expected = |fulfilled: u64, broken: u64, what| {
        let all = fulfilled + broken;
        if all > 0 {
            let all = counted(all, what);
            clauses.push(format!("{} of {all} as expected", thousands(fulfilled)));
        }
    };
    as_expected(attempts.fulfilled, attempts.broken, "attempt");
    let Tally {
        fulfilled, broken, ..
    } = judgement.part(Part::Lockout);
    as_expected(fulfilled, broken, "lockout");
    for doubt in Doubt::ALL {
        let unknown = attempts.unknown(doubt);
        if unknown > 0 {
            let unknown = counted(unknown, "attempt");
            clauses.push(format!("{unknown} unknown: {}", reason(doubt)));
        }
    }
    for part in judgement.missing() {
        clauses.push(match part {
            Part::Lockout => "nobody came back".to_owned(),
            Part::Acknowledge => "nothing to acknowledge was seen".to_owned(),
            _ => "no reaction was seen".to_owned(),
        });
    }
    if clauses.is_empty() {
        clauses.push("no attempt met it".to_owned());
    }
    clauses
}

/// What a LAC did, and what it should have done.
fn broke(breaker: &Breaker, judgement: &Judgement) -> String {
    let terms = judgement.terms(breaker.lns);
    let breaches = breaker.breaches.iter().map(|breach| {
        let expected = terms.as_ref().map(|terms| expected(breach.part(), terms));
        let seen = seen(breach);
        match expected {
            Some(expected) => format!("{seen} ({expected} expected)"),
            None => seen,
        }
    });
    let breaches = breaches.collect::<Vec<_>>().join(", ");
    let Breaker { lac, lns, at, .. } = breaker;
    let at = time(Duration::from_nanos(*at));
    let times = match breaker.times {
        1 => String::new(),
        times => format!("; {} in all", counted(times, "time")),
    };
    format!("LAC {lac} at {at}, LNS {lns}: {breaches}{times}")
}

/// What a LAC did.
pub(super) fn seen(breach: &Breach) -> String {
    match *breach {
        Breach::Reaction {
            reaction,
            next,
            quiet,
        } => {
            let reacted = match reaction {
                Reaction::Failover => "failed over",
                Reaction::RetrySame => "retried the same LNS",
                Reaction::GiveUp => "gave up",
                Reaction::Ignore => "ignored the answer",
            };
            match (reaction, next, quiet) {
                (Reaction::Failover, Some(next), _) => {
                    format!("{reacted} to {} after {}", next.lns, duration(next.after))
                }
                (_, Some(next), _) => {
                    format!("{reacted}, next attempt after {}", duration(next.after))
                }
                (_, None, Some(quiet)) => format!("{reacted}, nothing for {}", duration(quiet)),
                (_, None, None) => reacted.to_owned(),
            }
        }
        Breach::Target { lns } => format!("failed over to {lns}"),
        Breach::Late { after } => format!("next attempt after {}", duration(after)),
        Breach::Quiet { quiet } => format!("no next attempt for {}", duration(quiet)),
        Breach::Acknowledgement(how) => match how {
            Acknowledgement::Zlb | Acknowledgement::Piggyback => "acknowledged".to_owned(),
            Acknowledgement::ZeroTunnelId => "acknowledged with Tunnel ID 0".to_owned(),
            Acknowledgement::WrongNr => "acknowledged with a wrong Nr".to_owned(),
            Acknowledgement::None | Acknowledgement::Unknown(_) => "not acknowledged".to_owned(),
        },
        Breach::Lockout { length } => format!("came back after {}", duration(length)),
    }
}

/// What the terms say of a part.
pub(super) fn expected(part: Part, terms: &Terms) -> String {
    match part {
        Part::Reaction => either(
            terms
                .reactions
                .iter()
                .map(|reaction| demand(*reaction).to_owned()),
        ),
        Part::To => to(terms),
        Part::Within => {
            let within = terms.within.map(exact);
            format!("within {}", within.unwrap_or_default())
        }
        Part::Acknowledge => match terms.acknowledge {
            Some(false) => "no acknowledgement".to_owned(),
            _ => "acknowledgement".to_owned(),
        },
        Part::Lockout => terms.lockout.as_ref().map(bounds).unwrap_or_default(),
    }
}
