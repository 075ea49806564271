//! What a LAC is expected to do about the fault of its rule.

use std::time::Duration;

use super::error::Reason;
use super::modifiers::LASTING_MAX;
use super::reader::{Entry, Reader, Table};
use super::{Fault, Prefix};
use crate::codes::{ErrorCode, ResultCode};
use crate::track::findings::Reaction;

/// What is expected of the LACs that meet a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// What LACs of that make do, which depends on the fault.
    Profile(Profile),
    /// The same, whatever the fault is.
    Terms(Terms),
}

impl Expectation {
    /// What is expected where that fault is met; `None` where nothing is.
    pub fn terms(&self, fault: &Fault) -> Option<Terms> {
        match self {
            Self::Profile(profile) => profile.terms(fault),
            Self::Terms(terms) => Some(terms.clone()),
        }
    }
}

/// The terms of an expectation. What is `None` or empty is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What the LAC does about the answer.
    pub reaction: Option<Reaction>,
    /// Where it turns to by a failover.
    pub to: Vec<Prefix>,
    /// The longest time from the answer to its next attempt.
    pub within: Option<Duration>,
    /// Whether it acknowledges the StopCCN.
    pub acknowledge: Option<bool>,
    /// How long it locks the LNS out.
    pub lockout: Option<Lockout>,
}

/// The bounds of a lockout, both included; at least one is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// The shortest.
    pub min: Option<Duration>,
    /// The longest; not shorter than `min`.
    pub max: Option<Duration>,
}

impl Lockout {
    /// Between so many seconds, as clocks and timers of LACs are not exact.
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

/// A make of LACs with its settings of the factory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Cisco IOS and IOS-XE: fails over on silence, and on result 2 with error 4, 6, 7 or 9,
    /// and marks the peer busy for 60 s.
    CiscoIos,
    /// Juniper Junos and JunosE: fails over on silence and on a refusal, and locks the
    /// destination out for 300 s.
    Junos,
    /// Nokia SR OS: puts the tunnel on its denylist for 5 minutes on silence, and on
    /// result 1, 2, 4, 5 or 6.
    NokiaSrOs,
}

impl Profile {
    /// All of them.
    pub const ALL: &[Self] = &[Self::CiscoIos, Self::Junos, Self::NokiaSrOs];

    /// The name in a file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CiscoIos => "cisco-ios",
            Self::Junos => "junos",
            Self::NokiaSrOs => "nokia-sros",
        }
    }

    /// What such a LAC does where that fault is met; `None` where that is not known.
    pub fn terms(self, fault: &Fault) -> Option<Terms> {
        let fails_over = match fault {
            Fault::Silent => true,
            Fault::Refuse(refusal) => self.fails_over_on(refusal.result(), refusal.error()),
            _ => false,
        };
        let lockout = match self {
            Self::CiscoIos => Lockout::of_seconds(55, 65),
            Self::Junos | Self::NokiaSrOs => Lockout::of_seconds(295, 305),
        };
        fails_over.then_some(Terms {
            reaction: Some(Reaction::Failover),
            lockout: Some(lockout),
            ..Terms::default()
        })
    }

    /// Whether a StopCCN with these codes (RFC 2661 §4.4.2) has it turn to another LNS.
    fn fails_over_on(self, result: ResultCode, error: Option<ErrorCode>) -> bool {
        match self {
            Self::CiscoIos => result.0 == 2 && matches!(error, Some(ErrorCode(4 | 6 | 7 | 9))),
            Self::Junos => true,
            Self::NokiaSrOs => matches!(result.0, 1 | 2 | 4 | 5 | 6),
        }
    }
}

/// The values of `expect`, `to` and `lockout`.
const EXPECT: &str = "the name of a profile, or a table of what LACs shall do";
const TO: &str = "an address, a prefix, or a list of them";
const LOCKOUT: &str = "a table with `min`, `max`, or both";

impl Reader {
    /// What a rule expects, if it expects anything.
    pub(super) fn expectation(&mut self, table: &Table<'_>) -> Option<Expectation> {
        let entry = table.get("expect")?;
        if entry.as_text().is_some() {
            let profile = self.name(entry, "profile", Profile::ALL, Profile::name)?;
            return Some(Expectation::Profile(profile));
        }
        let table = self.table(entry, EXPECT)?;
        let known = ["reaction", "to", "within", "acknowledge", "lockout"];
        self.only_keys(&table, &known);
        if table.keys().next().is_none() {
            self.expected(entry, "a table with at least one of its keys");
        }
        let reaction = table
            .get("reaction")
            .and_then(|entry| self.name(entry, "reaction", &Reaction::ALL, Reaction::name));
        // A reaction that cannot be read leaves open what belongs to it.
        if reaction.is_some() || !table.has("reaction") {
            self.check_reaction(&table, reaction);
        }
        Some(Expectation::Terms(Terms {
            reaction,
            to: table
                .get("to")
                .map_or_else(Vec::new, |entry| self.targets(entry)),
            within: table
                .get("within")
                .and_then(|entry| self.time(entry, LASTING_MAX)),
            acknowledge: table
                .get("acknowledge")
                .and_then(|entry| self.switch(entry)),
            lockout: table.get("lockout").and_then(|entry| self.lockout(entry)),
        }))
    }

    /// Complains about terms that only another reaction could meet.
    fn check_reaction(&mut self, table: &Table<'_>, reaction: Option<Reaction>) {
        let moves = matches!(reaction, Some(Reaction::Failover | Reaction::RetrySame));
        for (key, fits, needs) in [
            (
                "to",
                reaction == Some(Reaction::Failover),
                "`reaction = \"failover\"`",
            ),
            (
                "within",
                moves,
                "`reaction = \"failover\"` or `reaction = \"retry-same\"`",
            ),
        ] {
            if let (Some(entry), false) = (table.get(key), fits) {
                self.complain(entry.span(), Reason::Alone { key, needs });
            }
        }
    }

    /// Where LACs shall turn to.
    fn targets(&mut self, entry: Entry<'_>) -> Vec<Prefix> {
        let entries = self.one_or_more(entry, TO);
        if entries.is_empty() {
            self.wrong_length(entry, 0, TO);
        }
        let prefixes = entries.into_iter().filter_map(|entry| self.prefix(entry));
        prefixes.collect()
    }

    /// The bounds of a lockout.
    fn lockout(&mut self, entry: Entry<'_>) -> Option<Lockout> {
        let table = self.table(entry, LOCKOUT)?;
        self.only_keys(&table, &["min", "max"]);
        if !table.has("min") && !table.has("max") {
            self.expected(entry, LOCKOUT);
            return None;
        }
        let min = table
            .get("min")
            .and_then(|entry| self.time(entry, LASTING_MAX));
        let last = table.get("max");
        let max = last.and_then(|entry| self.time(entry, LASTING_MAX));
        if let (Some(min), Some(max), Some(entry)) = (min, max, last)
            && max < min
        {
            let min = humantime::format_duration(min);
            self.expected(entry, format!("at least `min`, which is {min}"));
        }
        Some(Lockout { min, max })
    }

    /// Complains about every key that is not one of these.
    pub(super) fn only_keys(&mut self, table: &Table<'_>, known: &[&str]) {
        for (key, span) in table.keys() {
            if !known.contains(&key) {
                self.unknown_key(key, span, known);
            }
        }
    }
}

#[cfg(test)]
mod tests;
