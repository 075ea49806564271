//! Reads groups from their tables.

use std::collections::HashMap;

use super::{GROUPED_MAX, GROUPS_MAX, Group, Groups, GroupsError, Member};
use crate::scenario::error::Reason;
use crate::scenario::reader::{Entry, Reader, Span, Table};
use crate::scenario::source::Source;

/// The values of `lns` and `name`.
const LNS: &str = "an address, a prefix, or a list of them";
const NAME: &str = "a text of 1 to 64 characters, none of them a control character";

/// The most characters of a name.
const NAME_MAX: usize = 64;

/// A group with the places of its name and of its prefixes.
struct Read {
    group: Group,
    name: Span,
    lns: Vec<Span>,
}

impl Groups {
    /// The groups of a file, each an entry. There are none where something is wrong with them,
    /// so that nobody complains of what follows from that.
    pub(in crate::scenario) fn read<'t>(
        reader: &mut Reader,
        source: &Source<'_>,
        entries: impl Iterator<Item = Entry<'t>>,
    ) -> Self {
        let before = reader.mistakes.count();
        let entries: Vec<_> = entries.collect();
        let last = entries.last().map(Entry::span);
        let read = entries.into_iter().filter_map(|entry| reader.group(entry));
        let read: Vec<_> = read.collect();
        reader.check_names(source, &read);
        let groups = read.iter().map(|one| one.group.clone()).collect();
        match Self::new(groups) {
            Ok(groups) if reader.mistakes.count() == before => return groups,
            Ok(_) => {}
            Err(GroupsError::TooMany) => {
                let reason = Reason::TooManyGroups {
                    groups: GROUPS_MAX,
                    grouped: GROUPED_MAX,
                };
                reader.complain(last.unwrap_or(0..0), reason);
            }
            Err(GroupsError::Overlaps(overlaps)) => {
                for [first, second] in overlaps {
                    reader.complain_of_overlap(source, &read, first, second);
                }
            }
        }
        Self::default()
    }
}

impl Reader {
    /// The group in a table; `None` where it has no name or no addresses.
    fn group(&mut self, entry: Entry<'_>) -> Option<Read> {
        let table = self.table(entry, "a group, under [[group]]")?;
        self.only_keys(&table, &["name", "lns"]);
        let name = self.group_name(&table);
        let Some(list) = table.get("lns") else {
            self.missing(&table, "lns", LNS);
            return None;
        };
        let entries = self.one_or_more(list, LNS);
        if entries.is_empty() {
            self.wrong_length(list, 0, LNS);
        }
        let lns = entries.into_iter().filter_map(|entry| {
            let prefix = self.prefix(entry)?;
            Some((prefix, entry.span()))
        });
        let (prefixes, spans) = lns.unzip();
        let (name, span) = name?;
        Some(Read {
            group: Group {
                name,
                lns: prefixes,
            },
            name: span,
            lns: spans,
        })
    }

    /// The name of a group, which is shown on terminals.
    fn group_name(&mut self, table: &Table<'_>) -> Option<(String, Span)> {
        let Some(entry) = table.get("name") else {
            self.missing(table, "name", NAME);
            return None;
        };
        let name = entry.as_text().filter(|name| {
            let length = name.chars().count();
            (1..=NAME_MAX).contains(&length) && !name.contains(char::is_control)
        });
        if name.is_none() {
            self.expected(entry, NAME);
        }
        Some((name?.to_owned(), entry.span()))
    }

    /// Complains about every name that a group before has.
    fn check_names(&mut self, source: &Source<'_>, read: &[Read]) {
        let mut seen = HashMap::new();
        for Read { group, name, .. } in read {
            match seen.get(group.name.as_str()) {
                None => {
                    seen.insert(group.name.as_str(), name.start);
                }
                Some(first) => {
                    let reason = Reason::DuplicateGroup {
                        name: group.name.clone(),
                        first: source.place(*first),
                    };
                    self.complain(name.clone(), reason);
                }
            }
        }
    }

    /// Complains about a prefix that has addresses of another group.
    fn complain_of_overlap(
        &mut self,
        source: &Source<'_>,
        read: &[Read],
        first: Member,
        second: Member,
    ) {
        let find = |member: Member| {
            let read = read.get(member.group)?;
            let prefix = read.group.lns.get(member.prefix)?;
            Some((read, *prefix, read.lns.get(member.prefix)?.clone()))
        };
        if let (Some((group, other, place)), Some((_, prefix, span))) = (find(first), find(second))
        {
            let reason = Reason::GroupsOverlap {
                prefix,
                other,
                group: group.group.name.clone(),
                first: source.place(place.start),
            };
            self.complain(span, reason);
        }
    }
}
