//! The room for expectations: how much one takes, and which are left out where there is no more.

use std::collections::HashSet;
use std::sync::Arc;

use super::judgement::{Judgement, Left, Verdict};
use super::{EXPECTATIONS, Judge, Rules};
use crate::scenario::{Expectation, Fault, Prefix, Treatment};

/// Octets of all expectations together: those of the largest scenario have room, unless each of
/// its rules is far longer than rules are.
pub(super) const OCTETS: usize = 256 << 20;

/// The place of an expectation that was left out.
pub(super) const LEFT_OUT: u32 = u32::MAX;

/// Octets that an expectation takes, with what makes it what it is. Breakers are bounded by their
/// number.
pub(super) fn octets(judgement: &Judgement, identity: &str) -> usize {
    /// What the index takes for one, half empty, and what the system takes for a piece of memory.
    const INDEX: usize = 2 * size_of::<(String, u32)>() + 64;
    let Judgement {
        lns,
        lac,
        lac_name,
        treatment,
        expectation,
        ..
    } = judgement;
    let prefixes = lns.capacity() + lac.capacity();
    let name = lac_name.as_ref().map_or(0, |name| name.to_string().len());
    size_of::<Judgement>()
        + INDEX
        + identity.len()
        + prefixes * size_of::<Prefix>()
        + name
        + of_treatment(treatment)
        + match expectation {
            Expectation::Profile(_) => 0,
            Expectation::Terms(terms) => {
                terms.reactions.capacity() + terms.to.capacity() * size_of::<Prefix>()
            }
        }
}

/// Octets that a treatment takes beside its own size.
fn of_treatment(treatment: &Treatment) -> usize {
    let whole = |treatment: &Treatment| size_of::<Treatment>() + of_treatment(treatment);
    let Treatment { fault, modifiers } = treatment;
    let of_fault = match fault {
        Fault::Refuse(refusal) | Fault::Garble { refusal, .. } => refusal.message().len(),
        Fault::Cycle(members) => members.iter().map(whole).sum(),
        Fault::Silent
        | Fault::Pass
        | Fault::CodeInAddress
        | Fault::Unreachable { .. }
        | Fault::Acknowledge => 0,
    };
    let otherwise = modifiers.chance.as_ref().map(|it| whole(&it.otherwise));
    let then = modifiers.phase.as_ref().map(|it| whole(&it.then));
    of_fault + otherwise.unwrap_or(0) + then.unwrap_or(0)
}

impl Judge {
    /// Whether there is room for so many more expectations of so many octets.
    pub(super) fn has_room(&self, count: usize, octets: usize) -> bool {
        self.judgements.all.len() + count <= EXPECTATIONS
            && self.octets.saturating_add(octets) <= OCTETS
    }

    /// Makes room by leaving out what is not wanted any more: first those of which nothing was
    /// seen, and of each kind those that came into force first. How they ended stays known.
    pub(super) fn make_room(&mut self, count: usize, octets: usize, wanted: &HashSet<u32>) {
        // More than is needed, so that it need not be done each time.
        let (count, octets) = (count + EXPECTATIONS / 8, octets.saturating_add(OCTETS / 8));
        let all = (0..).zip(&self.judgements.all);
        let former: Vec<(u32, bool)> = all
            .filter(|(place, _)| !wanted.contains(place))
            .map(|(place, judgement)| (place, judgement.is_untouched()))
            .collect();
        let (mut number, mut taken) = (self.judgements.all.len(), self.octets);
        let mut gone = HashSet::new();
        for is_untouched in [true, false] {
            for (place, _) in former.iter().filter(|(_, it)| *it == is_untouched) {
                if number + count <= EXPECTATIONS && taken.saturating_add(octets) <= OCTETS {
                    break;
                }
                number -= 1;
                taken -= self.sizes.get(*place as usize).copied().unwrap_or(0);
                gone.insert(*place);
            }
        }
        if !gone.is_empty() {
            self.leave_out(&gone);
        }
    }

    fn leave_out(&mut self, gone: &HashSet<u32>) {
        let mut places = vec![LEFT_OUT; self.judgements.all.len()];
        let (mut next, mut old) = (0, 0..);
        let sizes = std::mem::take(&mut self.sizes);
        let all = std::mem::take(&mut self.judgements.all);
        for (judgement, size) in all.into_iter().zip(sizes) {
            let place = old.next().unwrap_or(LEFT_OUT);
            if gone.contains(&place) {
                self.judgements.former.add(judgement.verdict());
                self.breakers = self.breakers.saturating_sub(judgement.breakers.len());
                self.octets = self.octets.saturating_sub(size);
                continue;
            }
            if let Some(new) = places.get_mut(place as usize) {
                *new = next;
            }
            next += 1;
            self.judgements.all.push(judgement);
            self.sizes.push(size);
        }
        let moved = |place: u32| places.get(place as usize).copied().unwrap_or(LEFT_OUT);
        self.places.retain(|_, place| {
            *place = moved(*place);
            *place != LEFT_OUT
        });
        self.places.shrink_to_fit();
        // Scenarios that follow each other go on to share their rules.
        let mut last: Option<(Rules, Rules)> = None;
        for rules in self.scenarios.values_mut() {
            let new = match &last {
                Some((old, new)) if Arc::ptr_eq(old, rules) => Arc::clone(new),
                _ => rules
                    .iter()
                    .map(|(rule, place)| (*rule, moved(*place)))
                    .collect(),
            };
            last = Some((std::mem::replace(rules, Arc::clone(&new)), new));
        }
    }
}

impl Left {
    fn add(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Passed => &mut self.passed,
            Verdict::Failed => &mut self.failed,
            Verdict::NotSeen => &mut self.not_seen,
        } += 1;
    }
}
