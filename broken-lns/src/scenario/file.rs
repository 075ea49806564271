//! Reads a scenario from its file.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::num::NonZeroU16;
use std::path::Path;

use toml::de::DeTable;

use super::error::Reason;
use super::mistakes::Mistakes;
use super::reader::{Entry, Reader, Span, Table};
use super::source::Source;
use super::treatment::{FAULT, Scope, Within};
use super::{
    Groups, LacName, LacRule, LnsRule, Mistake, Prefix, Scenario, ScenarioError, Treatment,
};
use crate::refusal::Refusal;

/// The longest scenario file, in MiB: room for several hundred thousand rules, for which
/// checking takes about a GiB of memory.
pub(crate) const FILE_LIMIT: u64 = 32;

/// The values of `address`.
const ADDRESS: &str = "an address, a prefix, or a list of them";

/// The values of `lac_name`.
const LAC_NAME: &str = "a text of 1 to 64 octets without control characters, \
                        in which `*` stands for any octets and `?` for any one";

/// The most rules by name for the LACs at an LNS, each of which an SCCRQ is held against.
const NAMES_MAX: usize = 256;

/// Where a prefix was seen first, with a name or without; no prefix stands for all addresses.
type Seen = HashMap<(Option<Prefix>, Option<LacName>), Span>;

impl Scenario {
    /// Reads and checks a file.
    ///
    /// `flags` is the refusal that the command line describes: the default fault of a file
    /// without one, and the tunnel id of one that names none.
    ///
    /// # Errors
    ///
    /// [`ScenarioError`], with the first mistakes in the file and the number of all.
    pub fn load(path: &Path, flags: &Refusal) -> Result<Self, ScenarioError> {
        let text = Self::read(path)?;
        Self::parse(&path.display().to_string(), &text, flags)
    }

    /// Reads the text of a file, and leaves it to [`parse`](Self::parse) to check it.
    ///
    /// # Errors
    ///
    /// [`ScenarioError`], where the file cannot be read, is too long, or is not UTF-8.
    pub fn read(path: &Path) -> Result<String, ScenarioError> {
        let file = path.display().to_string();
        let limit = FILE_LIMIT << 20;
        let mut octets = Vec::new();
        let read = File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut octets));
        if let Err(cause) = read {
            return Err(ScenarioError::Read { file, cause });
        }
        if octets.len() as u64 > limit {
            return Err(ScenarioError::TooLong {
                file,
                limit: FILE_LIMIT,
            });
        }
        String::from_utf8(octets).map_err(|error| {
            let (text, _) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
            let text = String::from_utf8_lossy(text);
            let end = text.len()..text.len();
            let mut mistakes = Mistakes::default();
            mistakes.add(end, || Reason::NotText);
            refused(&file, &Source::new(&text), mistakes)
        })
    }

    /// Reads and checks a text, which errors call `file`; otherwise like [`load`](Self::load).
    ///
    /// # Errors
    ///
    /// [`ScenarioError::Mistakes`], with the first mistakes in the text and the number of all.
    pub fn parse(file: &str, text: &str, flags: &Refusal) -> Result<Self, ScenarioError> {
        let source = Source::new(text);
        let (root, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let mut mistakes = Mistakes::default();
            for error in errors {
                let span = error.span().unwrap_or(text.len()..text.len());
                mistakes.add(span, || Reason::Syntax(error.message().to_owned()));
            }
            return Err(refused(file, &source, mistakes));
        }
        let mut rules = Rules {
            source: &source,
            reader: Reader::default(),
            assigned_tunnel_id: flags.assigned_tunnel_id(),
            groups: Groups::default(),
        };
        let scenario = rules.scenario(&Table::root(&root), flags);
        match scenario {
            Some(scenario) if rules.reader.mistakes.count() == 0 => Ok(scenario),
            _ => Err(refused(file, &source, rules.reader.mistakes)),
        }
    }
}

/// The error that shows the first of these mistakes, in the order of the text.
fn refused(file: &str, source: &Source<'_>, mistakes: Mistakes) -> ScenarioError {
    let (first, more) = mistakes.into_first();
    let first = first.map(|(span, reason)| Mistake {
        place: source.place(span.start),
        reason,
        excerpt: source.excerpt(span),
    });
    ScenarioError::Mistakes {
        file: file.to_owned(),
        mistakes: first.collect(),
        more,
    }
}

/// Reads rules, and what holds for all of them.
struct Rules<'t> {
    source: &'t Source<'t>,
    reader: Reader,
    assigned_tunnel_id: NonZeroU16,
    groups: Groups,
}

impl Rules<'_> {
    /// The scenario that the whole text is.
    fn scenario(&mut self, root: &Table<'_>, flags: &Refusal) -> Option<Scenario> {
        let known = ["assigned_tunnel_id", "seed", "default", "group", "lns"];
        self.check_keys(root, &known);
        let assigned_tunnel_id = root.get("assigned_tunnel_id");
        if let Some(id) = assigned_tunnel_id.and_then(|entry| self.reader.tunnel_id(entry)) {
            self.assigned_tunnel_id = id;
        }
        let seed = match root.get("seed") {
            Some(entry) => self.reader.number(entry, 0..=u64::MAX),
            None => Some(0),
        };
        let groups = self.list(root, "group", "a list of groups, each under [[group]]");
        self.groups = Groups::read(&mut self.reader, self.source, groups);
        let mut default_expect = None;
        let default = match root.get("default") {
            Some(entry) => {
                let scope = self.scope(&[]);
                match entry.as_text() {
                    Some(_) => self.reader.nested(entry, scope),
                    None => {
                        let table = self.reader.table(entry, FAULT);
                        table.and_then(|table| {
                            let treatment = self.reader.treatment(&table, &["expect"], scope);
                            let of = treatment.as_ref();
                            let groups = &self.groups;
                            default_expect = self.reader.expectation(&table, of, &[], groups);
                            treatment
                        })
                    }
                }
            }
            None => {
                let refusal = flags.clone();
                Some(
                    refusal
                        .with_assigned_tunnel_id(self.assigned_tunnel_id)
                        .into(),
                )
            }
        };
        let mut seen = Seen::new();
        let rules = self.list(root, "lns", "a list of rules, each under [[lns]]");
        let rules = rules.filter_map(|entry| self.lns_rule(entry, &mut seen));
        let rules = rules.collect();
        Some(Scenario {
            assigned_tunnel_id: self.assigned_tunnel_id,
            seed: seed?,
            default: default?,
            default_expect,
            groups: self.groups.clone(),
            rules,
        })
    }

    /// The rule for some LNS addresses.
    fn lns_rule(&mut self, entry: Entry<'_>, seen: &mut Seen) -> Option<LnsRule> {
        let table = self.reader.table(entry, "a rule, under [[lns]]")?;
        let prefixes = self.prefixes(&table, None, seen);
        let mut seen = Seen::new();
        let lacs = self.list(&table, "lac", "a list of rules, each under [[lns.lac]]");
        let lacs = lacs.filter_map(|entry| self.lac_rule(entry, &prefixes, &mut seen));
        let lacs: Vec<LacRule> = lacs.collect();
        if lacs.iter().filter(|rule| rule.name.is_some()).count() > NAMES_MAX {
            let reason = Reason::TooManyNames { limit: NAMES_MAX };
            self.reader.complain(table.span.clone(), reason);
        }
        let treatment = self.own_treatment(&table, &prefixes);
        let of = treatment.as_ref();
        let groups = &self.groups;
        Some(LnsRule {
            expect: self.reader.expectation(&table, of, &prefixes, groups),
            treatment,
            prefixes,
            lacs,
            place: self.source.place(table.span.start),
        })
    }

    /// The treatment at an LNS; `None` where there are only rules for LACs, too.
    fn own_treatment(&mut self, table: &Table<'_>, lns: &[Prefix]) -> Option<Treatment> {
        let others = ["address", "expect", "lac"];
        let mut keys = table.keys();
        if table.has("lac") && keys.all(|(key, _)| ["address", "lac"].contains(&key)) {
            return None;
        }
        let scope = self.scope(lns);
        self.reader.treatment(table, &others, scope)
    }

    /// The rule for some LACs at these LNS addresses.
    fn lac_rule(&mut self, entry: Entry<'_>, lns: &[Prefix], seen: &mut Seen) -> Option<LacRule> {
        let table = self.reader.table(entry, "a rule, under [[lns.lac]]")?;
        let name = table.get("lac_name").map(|entry| self.lac_name(entry));
        let is_anywhere = name.is_some() && !table.has("address");
        let prefixes = match &name {
            Some(Some(name)) if is_anywhere => {
                self.check_new(table.span.clone(), None, Some(name), seen);
                Vec::new()
            }
            // Nobody knows whose place it would take.
            Some(None) if is_anywhere => Vec::new(),
            Some(None) => self.prefixes(&table, None, &mut Seen::new()),
            Some(Some(name)) => self.prefixes(&table, Some(name), seen),
            None => self.prefixes(&table, None, seen),
        };
        let scope = self.scope(lns);
        let others = ["address", "lac_name", "expect"];
        let treatment = self.reader.treatment(&table, &others, scope);
        let of = treatment.as_ref();
        let expect = self.reader.expectation(&table, of, lns, &self.groups);
        Some(LacRule {
            treatment: treatment?,
            expect,
            prefixes,
            name: name.flatten(),
            place: self.source.place(table.span.start),
        })
    }

    /// The names that a rule is about.
    fn lac_name(&mut self, entry: Entry<'_>) -> Option<LacName> {
        let name = entry.as_text().and_then(LacName::new);
        if name.is_none() {
            self.reader.expected(entry, LAC_NAME);
        }
        name
    }

    /// The addresses that a rule is about, none of which may have been seen before with that name.
    fn prefixes(
        &mut self,
        table: &Table<'_>,
        name: Option<&LacName>,
        seen: &mut Seen,
    ) -> Vec<Prefix> {
        let Some(entry) = table.get("address") else {
            self.reader.missing(table, "address", ADDRESS);
            return Vec::new();
        };
        let entries = self.reader.one_or_more(entry, ADDRESS);
        if entries.is_empty() {
            self.reader.wrong_length(entry, 0, ADDRESS);
        }
        let mut prefixes = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(prefix) = self.reader.prefix(entry) else {
                continue;
            };
            if self.check_new(entry.span(), Some(prefix), name, seen) {
                prefixes.push(prefix);
            }
        }
        prefixes
    }

    /// Whether there was no rule for these addresses with that name; complains otherwise.
    fn check_new(
        &mut self,
        span: Span,
        prefix: Option<Prefix>,
        name: Option<&LacName>,
        seen: &mut Seen,
    ) -> bool {
        let key = (prefix, name.cloned());
        let Some(first) = seen.get(&key) else {
            seen.insert(key, span);
            return true;
        };
        let first = self.source.place(first.start);
        let reason = match (prefix, name) {
            (Some(prefix), None) => Reason::Duplicate { prefix, first },
            _ => Reason::DuplicateName { first },
        };
        self.reader.complain(span, reason);
        false
    }

    /// The elements of a list of rules, none where it is missing.
    fn list<'t>(
        &mut self,
        table: &Table<'t>,
        key: &'static str,
        expected: &str,
    ) -> impl Iterator<Item = Entry<'t>> + use<'t> {
        let entry = table.get(key);
        let list = entry.and_then(|entry| self.reader.list(entry, expected));
        list.into_iter().flatten()
    }

    /// Complains about every key that is not one of these.
    fn check_keys(&mut self, table: &Table<'_>, known: &[&'static str]) {
        self.reader.only_keys(table, known);
    }

    /// What a treatment at these LNS addresses is read for.
    fn scope<'s>(&self, lns: &'s [Prefix]) -> Scope<'s> {
        Scope {
            assigned_tunnel_id: self.assigned_tunnel_id,
            lns,
            depth: 0,
            within: Within::Rule,
        }
    }
}

#[cfg(test)]
mod tests;
