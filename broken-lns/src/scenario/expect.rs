//! What a LAC is expected to do about the fault of its rule.

mod meet;
mod profile;
mod read;

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use super::{Fault, Prefix, Treatment};
use crate::track::findings::Reaction;

pub use profile::Profile;

/// What is expected of the LACs that meet a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// What LACs of that make do, which depends on the fault.
    Profile(Profile),
    /// The same, whatever the fault is.
    Terms(Terms),
}

impl Expectation {
    /// What is expected of a LAC that is treated so at that LNS.
    ///
    /// It is `None` where a profile does not say, or says something else of each fault that the
    /// treatment may come to: which of them an attempt met is not told. A LAC that is left to
    /// the host is never judged, so that `pass` does not count among them.
    pub fn terms(&self, treatment: &Treatment, lns: IpAddr) -> Option<Cow<'_, Terms>> {
        let profile = match self {
            Self::Terms(terms) => return Some(Cow::Borrowed(terms)),
            Self::Profile(profile) => profile,
        };
        let faults = treatment.faults().into_iter();
        let faults = faults.filter(|fault| **fault != Fault::Pass);
        let mut terms = faults.map(|fault| profile.terms(fault, lns));
        let first = terms.next()??;
        let is_same = terms.all(|terms| terms.as_ref() == Some(&first));
        is_same.then_some(Cow::Owned(first))
    }
}

/// The terms of an expectation. What is `None` or empty is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What the LAC does about the answer, or the lack of one: one of these.
    pub reactions: Vec<Reaction>,
    /// Where it turns to, if it fails over.
    pub to: Vec<Prefix>,
    /// The longest time until its next attempt, if it fails over or tries again: from the
    /// answer, or from its first SCCRQ where it gets none.
    pub within: Option<Duration>,
    /// Whether it acknowledges the StopCCN.
    pub acknowledge: Option<bool>,
    /// How long it keeps away from the LNS.
    pub lockout: Option<Lockout>,
}

impl Terms {
    /// Whether a LAC has to make another attempt.
    pub fn demands_moving(&self) -> bool {
        let moves = |reaction| matches!(reaction, Reaction::Failover | Reaction::RetrySame);
        !self.reactions.is_empty() && self.reactions.iter().copied().all(moves)
    }
}

/// The bounds of a lockout, both included; at least one is there.
///
/// A lockout lasts from the answer to the last SCCRQ at an LNS, or from that SCCRQ where there
/// was no answer, to the next attempt at the same LNS, whether the LAC turned to others
/// meanwhile or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// The shortest.
    pub min: Option<Duration>,
    /// The longest; not shorter than `min`.
    pub max: Option<Duration>,
}

impl Lockout {
    /// Between so many seconds.
    const fn of_seconds(min: u64, max: u64) -> Self {
        Self {
            min: Some(Duration::from_secs(min)),
            max: Some(Duration::from_secs(max)),
        }
    }

    /// Whether a lockout of that length is as expected.
    pub fn contains(&self, length: Duration) -> bool {
        self.min.is_none_or(|min| length >= min) && self.max.is_none_or(|max| length <= max)
    }
}

#[cfg(test)]
mod tests;
