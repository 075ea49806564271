//! Reads an expectation from its table.

use super::{Expectation, Lockout, Profile, Terms};
use crate::scenario::error::Reason;
use crate::scenario::modifiers::LASTING_MAX;
use crate::scenario::reader::{Entry, Reader, Table};
use crate::scenario::{Groups, Prefix, Treatment};
use crate::track::findings::Reaction;

/// The values of `expect`, `reaction`, `to` and `lockout`.
const EXPECT: &str = "the name of a profile, or a table of what LACs shall do";
const REACTION: &str = "the name of a reaction, or a list of them";
const TO: &str = "an address, a prefix, or a list of them";
const LOCKOUT: &str = "a table with `min`, `max`, or both";

impl Reader {
    /// What a rule expects, if it expects anything, of LACs that are treated so at these LNSs.
    pub(in crate::scenario) fn expectation(
        &mut self,
        table: &Table<'_>,
        treatment: Option<&Treatment>,
        lns: &[Prefix],
        groups: &Groups,
    ) -> Option<Expectation> {
        let entry = table.get("expect")?;
        if entry.as_text().is_some() {
            let profile = self.name(entry, "profile", Profile::ALL, Profile::name)?;
            let expectation = Expectation::Profile(profile);
            for (_, reason) in treatment
                .iter()
                .flat_map(|of| expectation.unmeetable(of, lns, groups))
            {
                self.complain(entry.span(), reason);
            }
            return Some(expectation);
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
        let expectation = Expectation::Terms(terms);
        for (key, reason) in treatment
            .iter()
            .flat_map(|of| expectation.unmeetable(of, lns, groups))
        {
            let entry = table.get(key).unwrap_or(entry);
            self.complain(entry.span(), reason);
        }
        Some(expectation)
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
    pub(in crate::scenario) fn only_keys(&mut self, table: &Table<'_>, known: &[&'static str]) {
        for (key, span) in table.keys() {
            if !known.contains(&key) {
                self.unknown_key(key, span, known.iter().copied());
            }
        }
    }
}
