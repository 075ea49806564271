//! Whether a treatment leaves LACs anything with which they could fulfil an expectation.

use std::net::Ipv4Addr;

use super::{Expectation, Profile, Terms};
use crate::scenario::error::Reason;
use crate::scenario::fault::Sends;
use crate::scenario::{Fault, Groups, Prefix, Treatment};
use crate::track::findings::Reaction;

/// What is wrong, and the key that it is about; `expect` stands for all of them.
type Unmeetable = (&'static str, Reason);

impl Expectation {
    /// What of it nobody can fulfil who is treated so at these LNSs, or nobody can tell. No LNS
    /// stands for all that no rule is for.
    pub(crate) fn unmeetable(
        &self,
        treatment: &Treatment,
        lns: &[Prefix],
        groups: &Groups,
    ) -> Vec<Unmeetable> {
        let mut all = match self {
            Self::Profile(profile) => of_profile(*profile, treatment).into_iter().collect(),
            Self::Terms(terms) => of_terms(terms, treatment),
        };
        if all.is_empty() && !groups.all().is_empty() {
            let of_lns = |lns: &Prefix| self.nowhere_to_turn(treatment, *lns, groups);
            all.extend(lns.iter().find_map(of_lns));
        }
        all
    }

    /// What is wrong where a LAC has to fail over that can turn to nobody from that LNS.
    fn nowhere_to_turn(
        &self,
        treatment: &Treatment,
        lns: Prefix,
        groups: &Groups,
    ) -> Option<Unmeetable> {
        let terms = self.terms(treatment, lns.address())?;
        if terms.reactions != [Reaction::Failover] {
            return None;
        }
        if let Some(group) = groups.alone(lns) {
            let key = match self {
                Self::Profile(_) => "expect",
                Self::Terms(_) => "reaction",
            };
            let group = group.to_owned();
            return Some((key, Reason::AloneInGroup { lns, group }));
        }
        let is_met = terms.to.is_empty() || groups.has_alternative(lns, &terms.to);
        (!is_met).then(|| {
            let whereabouts = groups.whereabouts(lns);
            ("to", Reason::OtherGroup { lns, whereabouts })
        })
    }
}

/// What is wrong with a profile that does not say what LACs do about a treatment.
fn of_profile(profile: Profile, treatment: &Treatment) -> Option<Unmeetable> {
    let anywhere = Ipv4Addr::UNSPECIFIED.into();
    // What an LNS address spells is known only when that LNS is asked.
    let faults = judged(treatment).filter(|fault| **fault != Fault::CodeInAddress);
    let terms: Vec<_> = faults.map(|fault| profile.terms(fault, anywhere)).collect();
    let reason = if terms.contains(&None) || judged(treatment).next().is_none() {
        Reason::ProfileSilent { profile }
    } else if terms.iter().any(|other| Some(other) != terms.first()) {
        Reason::ProfileTorn { profile }
    } else {
        return None;
    };
    Some(("expect", reason))
}

/// What is wrong with terms that no LAC could fulfil that is treated so.
fn of_terms(terms: &Terms, treatment: &Treatment) -> Vec<Unmeetable> {
    let sends = |fault: &Fault| fault.name().sends();
    let unmeetable = |key, fault: &Fault, why| {
        let fault = fault.name();
        (key, Reason::Unmeetable { key, fault, why })
    };
    let Some(first) = judged(treatment).next() else {
        let why = "leaves LACs to the host";
        return vec![unmeetable("expect", &Fault::Pass, why)];
    };
    let mut all = Vec::new();
    let is_silent = judged(treatment).all(|fault| sends(fault) == Sends::Nothing);
    if terms.acknowledge.is_some() {
        // Where some attempts get a StopCCN and others an answer of another kind, nobody
        // tells which of them an attempt got.
        let other = judged(treatment).find(|fault| sends(fault) == Sends::Other);
        let other = other.or(is_silent.then_some(first));
        all.extend(other.map(|other| unmeetable("acknowledge", other, "sends no StopCCN")));
    }
    if is_silent && terms.reactions == [Reaction::Ignore] {
        let why = "sends nothing that could be ignored";
        all.push(unmeetable("reaction", first, why));
    }
    all
}

/// The faults of a treatment about which something can be expected.
fn judged(treatment: &Treatment) -> impl Iterator<Item = &Fault> {
    let faults = treatment.faults().into_iter();
    faults.filter(|fault| **fault != Fault::Pass)
}
