//! What is said of single LACs.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::report::duration;
use crate::track::findings::{LacFindings, Outcome, Reaction};

/// What single LACs did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reactions {
    /// What they did last, the latest first.
    pub last: Vec<Reacted>,
    /// The slowest and the noisiest of them, in no order, each once.
    pub lacs: Vec<LacLine>,
}

/// What a LAC did about an answer, or about the lack of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reacted {
    /// Who did it.
    pub lac: IpAddr,
    /// The virtual LNS that it was about.
    pub lns: IpAddr,
    /// What it was.
    pub reaction: Reaction,
    /// The LNS of the next attempt, if there was one.
    pub next: Option<IpAddr>,
    /// Nanoseconds from the answer to that, or from the SCCRQ, where there was no answer.
    pub after_ns: Option<u64>,
    /// When, in nanoseconds from the start of the responder on: the next attempt, if there was
    /// one, or else the answer, if there was one, or else the first SCCRQ.
    pub at_ns: u64,
}

/// What is known of one LAC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LacLine {
    /// Its address.
    pub lac: IpAddr,
    /// Its Host Name, escaped, where it is known.
    #[serde(default)]
    pub host_name: Option<String>,
    /// The messages that it sent.
    pub messages: u64,
    /// Nanoseconds that it took for its next attempt, at the most.
    pub slowest_ns: Option<u64>,
}

impl Reacted {
    /// What an attempt came to; nothing where that is not known. `start` is the start of the
    /// responder, on the clock of the outcome.
    pub fn of(outcome: &Outcome, start: u64) -> Option<Self> {
        let Outcome {
            began,
            answered,
            next,
            ..
        } = *outcome;
        let at = next.map(|next| next.at).or(answered).unwrap_or(began);
        Some(Self {
            lac: outcome.lac,
            lns: outcome.fault.lns,
            reaction: outcome.conclusion.reaction()?,
            next: next.map(|next| next.lns),
            after_ns: next.map(|next| next.after),
            at_ns: at.saturating_sub(start),
        })
    }
}

impl fmt::Display for Reacted {
    /// What it did, in a few words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elsewhere = self.next.filter(|next| *next != self.lns);
        match (self.reaction, elsewhere) {
            (Reaction::GiveUp, _) => f.write_str("gave up"),
            (Reaction::Ignore, _) if self.next.is_none() => f.write_str("ignored the answer"),
            (Reaction::Ignore, None) => f.write_str("ignored the answer, then again"),
            (Reaction::Ignore, Some(lns)) => write!(f, "ignored the answer, then to {lns}"),
            (_, Some(lns)) => write!(f, "failover to {lns}"),
            (_, None) => f.write_str("retry"),
        }?;
        match self.after_ns {
            Some(after) => write!(f, " after {}", duration(after)),
            None => Ok(()),
        }
    }
}

impl From<&LacFindings> for LacLine {
    fn from(lac: &LacFindings) -> Self {
        Self {
            lac: lac.lac,
            host_name: lac
                .name
                .and_then(|name| name.host_name)
                .map(|name| name.to_string()),
            messages: lac.messages,
            slowest_ns: lac.slowest,
        }
    }
}
