//! The LNSs that one LAC treats as alternatives.
//!
//! One LAC may have thousands of subscribers whose tunnels lead to LNSs of different owners. It
//! turns from one LNS to another only within such a group. The LNSs that are in no group are
//! alternatives to each other, too.

mod read;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::prefix::{Prefix, bits};

/// The most groups of a scenario.
pub const GROUPS_MAX: usize = 4096;

/// The most addresses and prefixes in all of them.
pub const GROUPED_MAX: usize = 65_536;

/// LNSs that are alternatives to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The name, which no other group has.
    pub name: String,
    /// The addresses; at least one.
    pub lns: Vec<Prefix>,
}

/// The groups of a scenario, none of which have an address in common. A clone is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    inner: Arc<Inner>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Inner {
    groups: Vec<Group>,
    /// All addresses that are in a group, in order, none of them twice.
    ranges: Vec<Range>,
}

/// The addresses from one to another of the same family, and their group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: IpAddr,
    last: IpAddr,
    group: u16,
}

/// Why there are no such groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupsError {
    /// There are more than [`GROUPS_MAX`], or more prefixes in them than [`GROUPED_MAX`].
    TooMany,
    /// Some have addresses in common: pairs of their prefixes, the one that comes first before
    /// the other. No prefix is the second one of two pairs.
    Overlaps(Vec<[Member; 2]>),
}

/// A prefix of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// The index of the group.
    pub group: usize,
    /// The index of the prefix in it.
    pub prefix: usize,
}

impl Groups {
    /// These groups, numbered from 0.
    ///
    /// # Errors
    ///
    /// [`GroupsError`], where there are too many, or an address would be in several of them.
    pub fn new(groups: Vec<Group>) -> Result<Self, GroupsError> {
        let grouped = groups.iter().map(|group| group.lns.len()).sum::<usize>();
        if groups.len() > GROUPS_MAX || grouped > GROUPED_MAX {
            return Err(GroupsError::TooMany);
        }
        let mut members = Vec::with_capacity(grouped);
        for (group, one) in groups.iter().enumerate() {
            let prefixes = one.lns.iter().enumerate();
            members.extend(prefixes.map(|(prefix, of)| (*of, Member { group, prefix })));
        }
        // A prefix comes before those that lie in it.
        members
            .sort_unstable_by_key(|(prefix, member)| (prefix.address(), prefix.length(), *member));
        members.dedup_by_key(|(prefix, member)| (*prefix, member.group));
        let mut ranges: Vec<Range> = Vec::with_capacity(grouped);
        let mut overlaps = Vec::new();
        // The prefixes that the one which is looked at lies in.
        let mut around: Vec<(Prefix, Member)> = Vec::new();
        for (prefix, member) in members {
            let is_past = |last: &mut (Prefix, Member)| !last.0.contains(prefix.address());
            while around.pop_if(is_past).is_some() {}
            if around.is_empty() {
                ranges.push(Range {
                    first: prefix.address(),
                    last: prefix.last(),
                    group: member.group as u16,
                });
            }
            let others = around.iter().map(|(_, other)| *other);
            let others = others.filter(|other| other.group != member.group);
            overlaps.extend(others.map(|other| [other.min(member), other.max(member)]));
            around.push((prefix, member));
        }
        if !overlaps.is_empty() {
            overlaps.sort_unstable_by_key(|[first, second]| (*second, *first));
            overlaps.dedup_by_key(|[_, second]| *second);
            return Err(GroupsError::Overlaps(overlaps));
        }
        let inner = Arc::new(Inner { groups, ranges });
        Ok(Self { inner })
    }

    /// The group of an LNS; `None` where it is in none.
    pub fn group_of(&self, lns: IpAddr) -> Option<u16> {
        let ranges = &self.inner.ranges;
        let after = ranges.partition_point(|range| range.first <= lns);
        let range = ranges.get(after.checked_sub(1)?)?;
        (lns <= range.last).then_some(range.group)
    }

    /// The name of a group; empty where there is none of that number.
    pub fn name(&self, group: u16) -> &str {
        let group = self.inner.groups.get(usize::from(group));
        group.map_or("", |group| &group.name)
    }

    /// All of them, in the order of the file.
    pub fn all(&self) -> &[Group] {
        &self.inner.groups
    }

    /// The ranges of addresses that are remembered.
    pub(crate) fn range_count(&self) -> usize {
        self.inner.ranges.len()
    }

    /// Whether `to` holds an address to which a LAC can turn from one of `lns`.
    pub(super) fn has_alternative(&self, lns: Prefix, to: &[Prefix]) -> bool {
        let from = self.ranges_in(lns);
        let groups: HashSet<_> = from.iter().map(|range| range.group).collect();
        let is_grouped = self.ungrouped(lns) == 0;
        to.iter().any(|to| {
            // A single LNS is no alternative to itself.
            let has_itself = lns.is_single() && to.contains(lns.address());
            let others = |range: &Range| {
                let is_in_range = range.first <= lns.address() && lns.address() <= range.last;
                range.in_prefix(*to) > u128::from(has_itself && is_in_range)
            };
            let mut ranges = self.ranges_in(*to).iter();
            ranges.any(|range| groups.contains(&range.group) && others(range))
                || !is_grouped && self.ungrouped(*to) > has_itself.into()
        })
    }

    /// The group that has this one address and no other; `None` where there is none.
    pub(super) fn alone(&self, lns: Prefix) -> Option<&str> {
        let group = self.group_of(lns.address()).filter(|_| lns.is_single())?;
        let all = &self.all().get(usize::from(group))?.lns;
        all.iter().all(|one| *one == lns).then(|| self.name(group))
    }

    /// Which group an LNS is in, in words.
    pub(super) fn whereabouts(&self, lns: Prefix) -> String {
        let ranges = self.ranges_in(lns);
        let is_grouped = self.ungrouped(lns) == 0;
        match ranges {
            [] => "in no group".to_owned(),
            [range, others @ ..]
                if is_grouped && others.iter().all(|other| other.group == range.group) =>
            {
                format!("in group `{}`", self.name(range.group))
            }
            _ => "in more than one group".to_owned(),
        }
    }

    /// Whether no address of a prefix is in a group.
    pub(super) fn leaves_out(&self, lns: Prefix) -> bool {
        self.ranges_in(lns).is_empty()
    }

    /// The ranges that have addresses of a prefix.
    fn ranges_in(&self, prefix: Prefix) -> &[Range] {
        let ranges = &self.inner.ranges;
        let start = ranges.partition_point(|range| range.last < prefix.address());
        let end = ranges.partition_point(|range| range.first <= prefix.last());
        ranges.get(start..end).unwrap_or_default()
    }

    /// How many addresses of a prefix are in no group, as far as a number of 128 bits tells.
    fn ungrouped(&self, prefix: Prefix) -> u128 {
        let grouped = self.ranges_in(prefix).iter();
        grouped.fold(count(prefix.address(), prefix.last()), |all, range| {
            all.saturating_sub(range.in_prefix(prefix))
        })
    }
}

impl Range {
    /// How many of its addresses are in a prefix, which has some of them.
    fn in_prefix(&self, prefix: Prefix) -> u128 {
        let first = self.first.max(prefix.address());
        count(first, self.last.min(prefix.last()))
    }
}

/// The addresses from one to another of the same family; one less than all that IPv6 has, since
/// that is what 128 bits hold.
fn count(first: IpAddr, last: IpAddr) -> u128 {
    bits(last).saturating_sub(bits(first)).saturating_add(1)
}

#[cfg(test)]
mod tests;
