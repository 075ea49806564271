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
//! Each key may be left out. `reaction` is `failover`, `retry-same`, `give-up` or `ignore`, or a
//! list of those that are all right; `to` is an address, a prefix or a list of them and needs a
//! failover, `within` and `lockout` need a failover or a retry. The name of a
//! [profile](expect::Profile), as in `expect = "cisco-ios"`, stands for what LACs of that make
//! do. An expectation stands beside the fault of a rule under `[[lns]]` or `[[lns.lac]]` or of
//! `[default]`, not beside a fault within another, and holds for whoever is treated by that rule.
//! One that nothing could fulfil is a mistake, as `acknowledge` is beside a fault that sends no
//! StopCCN.

mod brief;
pub mod catalogue;
pub mod error;
pub mod expect;
pub mod fault;
mod file;
pub mod garble;
pub mod groups;
pub mod lac_name;
mod mistakes;
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
pub use groups::{Group, Groups};
pub use lac_name::LacName;
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
    /// The LNSs that are alternatives to each other.
    pub groups: Groups,
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
    /// What is expected of them; nothing without a treatment.
    pub expect: Option<Expectation>,
    /// The rules for single LACs, in the order of the file. No prefix is in two of them that have
    /// the same name, or none.
    pub lacs: Vec<LacRule>,
    /// Where the rule begins in its file.
    pub place: Place,
}

/// A rule for some LACs at the addresses of an [`LnsRule`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LacRule {
    /// The addresses; none where it is for all that have the name.
    pub prefixes: Vec<Prefix>,
    /// The names, where the rule is for some only. There is one where there are no addresses.
    pub name: Option<LacName>,
    /// The treatment.
    pub treatment: Treatment,
    /// What is expected of them.
    pub expect: Option<Expectation>,
    /// Where the rule begins in its file.
    pub place: Place,
}

/// A rule of either kind, or the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnyRule<'s> {
    /// Where it begins in its file, which the default does not.
    pub place: Option<Place>,
    /// The LNS addresses; none in the default, which is for all others.
    pub lns: &'s [Prefix],
    /// The LACs; none where it is for all others, or for all of a name.
    pub lac: &'s [Prefix],
    /// The names of LACs, where it is for some only.
    pub lac_name: Option<&'s LacName>,
    /// The treatment.
    pub treatment: &'s Treatment,
    /// What is expected of whoever is treated so.
    pub expect: Option<&'s Expectation>,
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
    /// How a LAC of that address and Host Name is treated at that LNS address: by the longest
    /// prefix of an LNS, and in it by the longest prefix of a LAC, where a rule without one is for
    /// all addresses; among several of that length by the first that has a name.
    ///
    /// This looks at every rule, and is there to check faster ways by.
    pub fn treatment(&self, lns: IpAddr, lac: IpAddr, host_name: Option<&[u8]>) -> &Treatment {
        let rules = self.rules.iter();
        let lnss = rules.filter_map(|rule| Some((longest(&rule.prefixes, lns)?, rule)));
        let Some((_, rule)) = lnss.max_by_key(|(length, _)| *length) else {
            return &self.default;
        };
        let lacs = rule.lacs.iter().rev().filter_map(|rule| {
            let is_of_name = |name: &LacName| host_name.is_some_and(|it| name.matches(it));
            let is_meant = rule.name.as_ref().is_none_or(is_of_name);
            let length = match rule.prefixes.as_slice() {
                [] => Some(0),
                prefixes => longest(prefixes, lac),
            };
            Some(((length.filter(|_| is_meant)?, rule.name.is_some()), rule))
        });
        // Of several that are alike the last one counts, which is the first one of the file.
        match lacs.max_by_key(|(precedence, _)| *precedence) {
            Some((_, rule)) => &rule.treatment,
            None => rule.treatment.as_ref().unwrap_or(&self.default),
        }
    }

    /// The default and every rule with a treatment, in the order that numbers them from 0.
    pub fn in_order(&self) -> impl Iterator<Item = AnyRule<'_>> {
        let default = AnyRule {
            place: None,
            lns: &[],
            lac: &[],
            lac_name: None,
            treatment: &self.default,
            expect: self.default_expect.as_ref(),
        };
        let rules = self.rules.iter().flat_map(|rule| {
            let lns = rule.prefixes.as_slice();
            let own = rule.treatment.iter().map(move |treatment| AnyRule {
                place: Some(rule.place),
                lns,
                lac: &[],
                lac_name: None,
                treatment,
                expect: rule.expect.as_ref(),
            });
            own.chain(rule.lacs.iter().map(move |rule| AnyRule {
                place: Some(rule.place),
                lns,
                lac: &rule.prefixes,
                lac_name: rule.name.as_ref(),
                treatment: &rule.treatment,
                expect: rule.expect.as_ref(),
            }))
        });
        std::iter::once(default).chain(rules)
    }

    /// The LNS addresses of rules that are in no group, where there are groups.
    pub fn ungrouped(&self) -> Vec<Prefix> {
        if self.groups.all().is_empty() {
            return Vec::new();
        }
        let prefixes = self.rules.iter().flat_map(|rule| &rule.prefixes);
        let ungrouped = prefixes.filter(|prefix| self.groups.leaves_out(**prefix));
        ungrouped.copied().collect()
    }

    /// Every treatment, in the order of [`in_order`](Self::in_order), with the place of its rule.
    pub fn treatments(&self) -> impl Iterator<Item = (Option<Place>, &Treatment)> {
        self.in_order().map(|rule| (rule.place, rule.treatment))
    }
}

/// The length of the longest prefix that contains the address.
fn longest(prefixes: &[Prefix], address: IpAddr) -> Option<u8> {
    let matching = prefixes.iter().filter(|prefix| prefix.contains(address));
    matching.map(|prefix| prefix.length()).max()
}

impl AnyRule<'_> {
    /// What in it takes more than the rewrite path has; `None` where that path can play it.
    pub fn needs_redirect(&self) -> Option<&'static str> {
        let name = self.lac_name.map(|_| "lac_name");
        name.or_else(|| self.treatment.needs_redirect())
    }
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

    /// The faults that can come of it, a cycle being none of its own.
    pub fn faults(&self) -> Vec<&Fault> {
        let own = match &self.fault {
            Fault::Cycle(_) => None,
            fault => Some(fault),
        };
        let nested = self.nested().flat_map(Self::faults);
        own.into_iter().chain(nested).collect()
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
            groups: Groups::default(),
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
