//! Reads an expectation from its table, and checks that something could fulfil it.

use std::net::Ipv4Addr;

use super::{Expectation, Lockout, Profile, Terms};
use crate::scenario::error::Reason;
use crate::scenario::fault::Sends;
use crate::scenario::modifiers::LASTING_MAX;
use crate::scenario::reader::{Entry, Reader, Table};
use crate::scenario::{Fault, Prefix, Treatment};
use crate::track::findings::Reaction;

/// The values of `expect`, `reaction`, `to` and `lockout`.
const EXPECT: &str = "the name of a profile, or a table of what LACs shall do";
const REACTION: &str = "the name of a reaction, or a list of them";
const TO: &str = "an address, a prefix, or a list of them";
const LOCKOUT: &str = "a table with `min`, `max`, or both";

impl Reader {
    /// What a rule expects, if it expects anything, of LACs that are treated so.
    pub(in crate::scenario) fn expectation(
        &mut self,
        table: &Table<'_>,
        treatment: Option<&Treatment>,
    ) -> Option<Expectation> {
        let entry = table.get("expect")?;
        if entry.as_text().is_some() {
            let profile = self.name(entry, "profile", Profile::ALL, Profile::name)?;
            if let Some(treatment) = treatment {
                self.check_profile(entry, profile, treatment);
            }
            return Some(Expectation::Profile(profile));
        }
        let table = self.table(entry, EXPECT)?;
        let known = ["reaction", "to", "within", "acknowledge", "lockout"];
        self.only_keys(&table, &known);
        if table.keys().next().is_none() {
            self.expected(entry, "a table with at least one of its keys");
        }
        let reactions = match table.get("reaction") {
            Some(entry) => self.reactions(entry),
            None => Some(Vec::new()),
        };
        // A reaction that cannot be read leaves open what belongs to it.
        if let Some(reactions) = &reactions {
            self.check_reactions(&table, reactions);
        }
        let terms = Terms {
            reactions: reactions.unwrap_or_default(),
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
        };
        if let Some(treatment) = treatment {
            self.check_terms(entry, &table, &terms, treatment);
        }
        Some(Expectation::Terms(terms))
    }

    /// Complains about a profile that does not say what LACs do about a treatment.
    fn check_profile(&mut self, entry: Entry<'_>, profile: Profile, treatment: &Treatment) {
        let anywhere = Ipv4Addr::UNSPECIFIED.into();
        // What an LNS address spells is known only when that LNS is asked.
        let faults = judged(treatment).filter(|fault| **fault != Fault::CodeInAddress);
        let terms: Vec<_> = faults.map(|fault| profile.terms(fault, anywhere)).collect();
        if terms.contains(&None) || judged(treatment).next().is_none() {
            self.complain(entry.span(), Reason::ProfileSilent { profile });
        } else if terms.iter().any(|other| Some(other) != terms.first()) {
            self.complain(entry.span(), Reason::ProfileTorn { profile });
        }
    }

    /// Complains about terms that no LAC could fulfil that is treated so.
    fn check_terms(
        &mut self,
        entry: Entry<'_>,
        table: &Table<'_>,
        terms: &Terms,
        treatment: &Treatment,
    ) {
        let sends = |fault: &Fault| fault.name().sends();
        let mut complain = |entry: Option<Entry<'_>>, fault: Option<&Fault>, why| {
            if let (Some(entry), Some(fault)) = (entry, fault) {
                let (key, fault) = (entry.key(), fault.name());
                self.complain(entry.span(), Reason::Unmeetable { key, fault, why });
            }
        };
        let Some(first) = judged(treatment).next() else {
            let pass = Some(&Fault::Pass);
            complain(Some(entry), pass, "leaves LACs to the host");
            return;
        };
        let is_silent = judged(treatment).all(|fault| sends(fault) == Sends::Nothing);
        if terms.acknowledge.is_some() {
            // Where some attempts get a StopCCN and others an answer of another kind, nobody
            // tells which of them an attempt got.
            let other = judged(treatment).find(|fault| sends(fault) == Sends::Other);
            let other = other.or(is_silent.then_some(first));
            complain(table.get("acknowledge"), other, "sends no StopCCN");
        }
        if is_silent && terms.reactions == [Reaction::Ignore] {
            let why = "sends nothing that could be ignored";
            complain(table.get("reaction"), Some(first), why);
        }
    }

    /// Complains about terms that only another reaction could meet.
    fn check_reactions(&mut self, table: &Table<'_>, reactions: &[Reaction]) {
        let fails_over = reactions.contains(&Reaction::Failover);
        let moves = fails_over || reactions.contains(&Reaction::RetrySame);
        let to_move = "`reaction = \"failover\"` or `reaction = \"retry-same\"`";
        for (key, fits, needs) in [
            ("to", fails_over, "`reaction = \"failover\"`"),
            ("within", moves, to_move),
            // Without a reaction, any will do.
            ("lockout", moves || !table.has("reaction"), to_move),
        ] {
            if let (Some(entry), false) = (table.get(key), fits) {
                self.complain(entry.span(), Reason::Alone { key, needs });
            }
        }
    }

    /// What LACs may do; `None` where something of it cannot be read.
    fn reactions(&mut self, entry: Entry<'_>) -> Option<Vec<Reaction>> {
        let entries = self.one_or_more(entry, REACTION);
        if entries.is_empty() {
            self.wrong_length(entry, 0, REACTION);
            return None;
        }
        let mut reactions = Vec::with_capacity(entries.len());
        for entry in entries {
            let reaction = self.name(entry, "reaction", &Reaction::ALL, Reaction::name);
            reactions.push(reaction);
        }
        reactions.into_iter().collect()
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
    pub(in crate::scenario) fn only_keys(&mut self, table: &Table<'_>, known: &[&str]) {
        for (key, span) in table.keys() {
            if !known.contains(&key) {
                self.unknown_key(key, span, known);
            }
        }
    }
}

/// The faults of a treatment about which something can be expected.
fn judged(treatment: &Treatment) -> impl Iterator<Item = &Fault> {
    let faults = treatment.faults().into_iter();
    faults.filter(|fault| **fault != Fault::Pass)
}
