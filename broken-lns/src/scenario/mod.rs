//! Who is treated how: the scenario, from its file to checked values.
//!
//! `file` reads a text into a [`Scenario`], with `reader` for its values and
//! `treatment` for its faults, and collects every mistake in it. `print` writes
//! a scenario as such a text again, and `catalogue` tells what there is to write.
//!
//! A rule may say what it expects of the LACs that meet it, beside its fault:
//!
//! ```toml
//! [[lns]]
//! address = "192.0.2.1"
//! fault = "refuse"
//! expect = { reaction = "failover", to = "192.0.2.2", within = "5s", acknowledge = true, lockout = { min = "55s", max = "65s" } }
//! ```
//!
//! Each key may be left out. `reaction` is `failover`, `retry-same`, `give-up` or `ignore`; `to`
//! is an address, a prefix or a list of them and needs a failover, and `within` needs a failover
//! or a retry. The name of a [profile](expect::Profile), as in `expect = "cisco-ios"`, stands for
//! what LACs of that make do. An expectation belongs to a rule under `[[lns]]` or `[[lns.lac]]`
//! or to `[default]`, not to a fault within another. A rule with a fault expects only what it
//! says itself; one of an LNS without a fault has the fault and the expectation of the default.

pub mod catalogue;
pub mod error;
pub mod expect;
pub mod fault;
mod file;
pub mod garble;
pub mod modifiers;
pub mod prefix;
mod print;
pub mod reaction;
mod reader;
mod source;
mod summary;
mod treatment;

use std::net::IpAddr;
use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

pub use error::{Mistake, ScenarioError};
pub use expect::Expectation;
pub use fault::Fault;
pub(crate) use file::FILE_LIMIT;
pub use modifiers::Modifiers;
pub use prefix::Prefix;
pub use summary::Summary;

use crate::refusal::Refusal;

/// How deep treatments may stand in each other.
pub const NESTING_MAX: usize = 8;

/// The rules, and what holds where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The tunnel id that every LNS claims to have assigned, unless its refusal has another.
    pub assigned_tunnel_id: NonZeroU16,
    /// What decisions by chance begin with, so that a run can be repeated.
    pub seed: u64,
    /// The treatment of everybody at an address without a rule.
    pub default: Treatment,
    /// What is expected of those.
    pub default_expect: Option<Expectation>,
    /// The rules for LNS addresses, in the order of the file. No prefix is in two of them.
    pub rules: Vec<LnsRule>,
}

/// A rule for some LNS addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LnsRule {
    /// The addresses; at least one.
    pub prefixes: Vec<Prefix>,
    /// The treatment of LACs without a rule; `None` stands for the default of the scenario.
    pub treatment: Option<Treatment>,
    /// What is expected of them; `None` where nothing is, or where the default holds.
    pub expect: Option<Expectation>,
    /// The rules for single LACs, in the order of the file. No prefix is in two of them.
    pub lacs: Vec<LacRule>,
    /// Where the rule begins in its file.
    pub place: Place,
}

/// A rule for some LACs at the addresses of an [`LnsRule`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LacRule {
    /// The addresses; at least one.
    pub prefixes: Vec<Prefix>,
    /// The treatment.
    pub treatment: Treatment,
    /// What is expected of them.
    pub expect: Option<Expectation>,
    /// Where the rule begins in its file.
    pub place: Place,
}

/// A fault with its modifiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Treatment {
    /// The fault.
    pub fault: Fault,
    /// Its modifiers.
    pub modifiers: Modifiers,
}

/// A place in a text, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl Place {
    /// The place of what was never in a file.
    pub const NOWHERE: Self = Self { line: 0, column: 0 };
}

impl Scenario {
    /// How that LAC is treated at that LNS address: by the longest prefix of an LNS, and in it
    /// by the longest prefix of a LAC.
    ///
    /// This looks at every rule, and is there to check faster ways by.
    pub fn treatment(&self, lns: IpAddr, lac: IpAddr) -> &Treatment {
        let rules = self.rules.iter();
        let Some(rule) = longest(rules, |rule| &rule.prefixes, lns) else {
            return &self.default;
        };
        match longest(rule.lacs.iter(), |rule| &rule.prefixes, lac) {
            Some(rule) => &rule.treatment,
            None => rule.treatment.as_ref().unwrap_or(&self.default),
        }
    }

    /// What is expected of that LAC at that LNS address, by the rule that [`treatment`] finds.
    ///
    /// [`treatment`]: Self::treatment
    pub fn expectation(&self, lns: IpAddr, lac: IpAddr) -> Option<&Expectation> {
        let rules = self.rules.iter();
        let Some(rule) = longest(rules, |rule| &rule.prefixes, lns) else {
            return self.default_expect.as_ref();
        };
        if let Some(rule) = longest(rule.lacs.iter(), |rule| &rule.prefixes, lac) {
            return rule.expect.as_ref();
        }
        match (&rule.expect, &rule.treatment) {
            (None, None) => self.default_expect.as_ref(),
            (own, _) => own.as_ref(),
        }
    }

    /// Every treatment, with the place of its rule, which the default has not.
    pub fn treatments(&self) -> impl Iterator<Item = (Option<Place>, &Treatment)> {
        let rules = self.rules.iter().flat_map(|rule| {
            let own = rule.treatment.iter();
            let own = own.map(|treatment| (Some(rule.place), treatment));
            let lacs = rule.lacs.iter();
            own.chain(lacs.map(|rule| (Some(rule.place), &rule.treatment)))
        });
        std::iter::once((None, &self.default)).chain(rules)
    }
}

/// The rule with the longest prefix that contains the address.
fn longest<'r, R>(
    rules: impl Iterator<Item = &'r R>,
    prefixes: impl Fn(&R) -> &[Prefix],
    address: IpAddr,
) -> Option<&'r R> {
    let matching = rules.filter_map(|rule| {
        let matching = prefixes(rule)
            .iter()
            .filter(|prefix| prefix.contains(address));
        Some((matching.map(|prefix| prefix.length()).max()?, rule))
    });
    let longest = matching.max_by_key(|(length, _)| *length);
    longest.map(|(_, rule)| rule)
}

impl Treatment {
    /// What in it takes time or memory, which only the redirect path has; `None` where all of it
    /// can be done at once and without remembering the LAC.
    pub fn needs_redirect(&self) -> Option<&'static str> {
        let Modifiers {
            delay,
            repeat,
            retransmit,
            phase,
            ..
        } = &self.modifiers;
        let own = match (&self.fault, phase) {
            _ if delay.is_some() => Some("delay"),
            _ if repeat.get() > 1 => Some("repeat"),
            _ if *retransmit => Some("retransmit"),
            (_, Some(phase)) if phase.first.is_some() => Some("first"),
            (_, Some(_)) => Some("for"),
            (Fault::Unreachable { .. }, None) => Some("unreachable"),
            (Fault::Cycle(_), None) => Some("cycle"),
            _ => None,
        };
        own.or_else(|| self.nested().find_map(Self::needs_redirect))
    }

    /// Whether it can come to `pass`.
    pub fn passes(&self) -> bool {
        matches!(self.fault, Fault::Pass) || self.nested().any(Self::passes)
    }

    /// The treatments that stand directly in this one.
    pub fn nested(&self) -> impl Iterator<Item = &Self> {
        let members = match &self.fault {
            Fault::Cycle(members) => members.as_slice(),
            _ => &[],
        };
        let otherwise = self
            .modifiers
            .chance
            .iter()
            .map(|chance| &*chance.otherwise);
        let then = self.modifiers.phase.iter().map(|phase| &*phase.then);
        members.iter().chain(otherwise).chain(then)
    }
}

impl From<Fault> for Treatment {
    /// The fault as it is.
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            modifiers: Modifiers::default(),
        }
    }
}

impl From<Refusal> for Scenario {
    /// Nothing but the refusal, for everybody.
    fn from(refusal: Refusal) -> Self {
        Self {
            assigned_tunnel_id: refusal.assigned_tunnel_id(),
            seed: 0,
            default: refusal.into(),
            default_expect: None,
            rules: Vec::new(),
        }
    }
}

impl From<Refusal> for Treatment {
    /// Nothing but the refusal.
    fn from(refusal: Refusal) -> Self {
        Fault::Refuse(refusal).into()
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}
