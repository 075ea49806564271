//! Rules for the same LACs that differ by the LAC's name.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Compiled, RuleId};
use crate::scenario::{LacName, LacRule, Prefix};

/// What decides by the name among rules whose addresses are the same.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// The rules by name, in the order in which they are tried.
    named: Vec<(LacName, RuleId)>,
    /// What holds for any other name, and for a LAC without one.
    pub(super) otherwise: Choice,
}

/// What holds for the LACs of a prefix: a rule, or where its number is beyond all rules, a link.
/// The link that another one leads to has a lower number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice(pub(super) u32);

impl Link {
    /// The first rule for that name.
    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<RuleId> {
        let mut named = self.named.iter();
        let (_, rule) = named.find(|(pattern, _)| pattern.matches(name))?;
        Some(*rule)
    }

    /// The rules by name.
    pub(super) fn rules(&self) -> impl Iterator<Item = RuleId> {
        self.named.iter().map(|(_, rule)| *rule)
    }
}

/// The rule that a request meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which one it is.
    pub rule: RuleId,
    /// Whether the name of the LAC decided on it.
    pub is_by_name: bool,
    /// Whether the rule is for LACs of that name only.
    pub is_named: bool,
}

impl Found {
    /// One that is found by addresses alone.
    pub(super) const fn by_address(rule: RuleId) -> Self {
        Self {
            rule,
            is_by_name: false,
            is_named: false,
        }
    }
}

impl Compiled {
    /// The rule for a LAC of that name, or without one.
    pub(super) fn rule_by_name<'c>(
        &'c self,
        mut link: &'c Link,
        host_name: Option<&[u8]>,
    ) -> Found {
        loop {
            let named = host_name.and_then(|name| link.find(name));
            let (rule, is_named) = match (named, link.otherwise) {
                (Some(rule), _) => (rule, true),
                (None, otherwise) => match self.link(otherwise) {
                    Some(outer) => {
                        link = outer;
                        continue;
                    }
                    None => (RuleId(otherwise.0), false),
                },
            };
            return Found {
                rule,
                is_by_name: true,
                is_named,
            };
        }
    }

    /// The link that is chosen; `None` where it is a rule.
    #[inline]
    pub(super) fn link(&self, choice: Choice) -> Option<&Link> {
        let link = (choice.0 as usize).checked_sub(self.rules.len())?;
        self.links.get(link)
    }
}

/// The rules for one prefix.
#[derive(Default)]
struct OfPrefix {
    named: Vec<(LacName, RuleId)>,
    unnamed: Option<RuleId>,
}

/// What holds for the LACs of each prefix that rules are about; for all others `own` does.
///
/// The longest prefix comes first, and where no name in it matches and no rule in it does
/// without, the next shorter one around it. `links` grows by what that takes, and the numbers of
/// links begin at `first`.
pub(super) fn choices<'r>(
    rules: impl Iterator<Item = (&'r LacRule, RuleId)>,
    own: RuleId,
    first: usize,
    links: &mut Vec<Link>,
) -> Vec<(Prefix, u32)> {
    // In this order a prefix comes before those that lie in it.
    let mut by_prefix = BTreeMap::<(IpAddr, u8), (Prefix, OfPrefix)>::new();
    for (rule, id) in rules {
        let everywhere = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let everywhere = everywhere.map(|address: IpAddr| Prefix::new(address, 0).ok());
        let any = everywhere.into_iter().flatten();
        let any = any.filter(|_| rule.prefixes.is_empty());
        for prefix in rule.prefixes.iter().copied().chain(any) {
            let key = (prefix.address(), prefix.length());
            let of_prefix = by_prefix.entry(key);
            let (_, of_prefix) = of_prefix.or_insert_with(|| (prefix, OfPrefix::default()));
            match &rule.name {
                Some(name) => of_prefix.named.push((name.clone(), id)),
                None => of_prefix.unnamed = Some(id),
            }
        }
    }
    let mut around: Vec<(Prefix, Choice)> = Vec::new();
    let chosen = by_prefix
        .into_values()
        .map(|(prefix, OfPrefix { named, unnamed })| {
            while around
                .pop_if(|(outer, _)| !outer.contains(prefix.address()))
                .is_some()
            {}
            let outer = around.last().map(|(_, choice)| *choice);
            let mut choice = match unnamed {
                Some(rule) => Choice(rule.0),
                None => outer.unwrap_or(Choice(own.0)),
            };
            if !named.is_empty() {
                links.push(Link {
                    named,
                    otherwise: choice,
                });
                choice = Choice((first + links.len() - 1) as u32);
            }
            around.push((prefix, choice));
            (prefix, choice.0)
        });
    chosen.collect()
}
