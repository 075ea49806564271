//! Whether LACs do what a scenario expects of them.
//!
//! A [`Judge`] is told of each scenario that comes into force and of each outcome that the
//! tracker reaches. It holds one against the other, and knows no clock. An outcome that turns
//! out to be uncertain is withdrawn, and what came of it is taken back.
//!
//! Only what is certain breaks an expectation. Where events were lost, several tunnels were
//! under way, or the end came first, an attempt counts as unknown. One thing is certain before
//! the end: a LAC that has been quiet for longer than `within` is too late, whatever it will do.
//!
//! An expectation has passed when every part of it was seen and none was broken. A lockout is
//! seen when a LAC comes back to the LNS, be it from another one or because it tries the same
//! again; one that never comes back breaks nothing. It belongs to the fault for which the LAC
//! had gone, also where another scenario is in force by then.
//!
//! When a scenario is replaced, what came of its expectations stays, and attempts that met it
//! are still judged by it, as long as there is room: then those of former scenarios are left out,
//! and only the number of those that passed or failed is kept. An expectation that is in the next one just as before, with the same
//! addresses, treatment and terms, is the same and goes on: so `reload` of a file that did not
//! change begins nothing anew, and a change at one LNS leaves the others alone.

mod judgement;
mod measure;
mod room;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use broken_lns_ebpf::maps;

pub use self::judgement::{
    Attempts, Breach, Breaker, Failed, Judgement, Judgements, Left, Part, Tally, Verdict,
};
use self::measure::Found;
use self::room::LEFT_OUT;
use crate::scenario::expect::Terms;
use crate::scenario::{Expectation, LacName, Place, Prefix, Scenario, Treatment};
use crate::track::findings::{FaultKey, News, Outcome};

/// Expectations that there is room for: those of the largest scenario.
const EXPECTATIONS: usize = maps::MAX_RULES as usize;
/// Rules of former scenarios whose expectations are known.
const RULES: usize = 1 << 20;
/// Former scenarios that are known.
const SCENARIOS: usize = 1 << 16;
/// Breakers that are kept of one expectation, and of all together.
const BREAKERS: usize = 20;
const BREAKERS_OF_ALL: usize = 1 << 16;

/// Holds what LACs do against what is expected of them, in bounded memory.
#[derive(Debug)]
pub struct Judge {
    /// When the run started, in nanoseconds of the clock that the outcomes have.
    started: u64,
    judgements: Judgements,
    /// The place of an expectation, by all that makes it what it is.
    places: HashMap<String, u32>,
    /// The octets that each expectation takes, and all of them.
    sizes: Vec<usize>,
    octets: usize,
    /// The rules that expect something, with the places of what they do, by scenario.
    scenarios: BTreeMap<u32, Rules>,
    /// How many rules that are, those that are shared counted once.
    rules: usize,
    /// Breakers that are kept.
    breakers: usize,
}

/// Numbers of rules, ascending, each with the place of its expectation. Scenarios that follow
/// each other share them where they are the same.
type Rules = Arc<[(u32, u32)]>;

/// What a scenario expects, by the numbers of its rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectations(Vec<Expected>);

/// A rule that expects something.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    rule: u32,
    place: Option<Place>,
    lns: Vec<Prefix>,
    lac: Vec<Prefix>,
    lac_name: Option<LacName>,
    treatment: Treatment,
    expectation: Expectation,
}

impl Expectations {
    /// What that scenario expects.
    pub fn of(scenario: &Scenario) -> Self {
        let rules = (0..).zip(scenario.in_order());
        let expected = rules.filter_map(|(rule, of)| {
            Some(Expected {
                rule,
                place: of.place,
                lns: of.lns.to_vec(),
                lac: of.lac.to_vec(),
                lac_name: of.lac_name.cloned(),
                treatment: of.treatment.clone(),
                expectation: of.expect?.clone(),
            })
        });
        Self(expected.collect())
    }

    /// Whether nothing is expected.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How long a LAC has to be quiet before it may be taken for one that gave up, so that all
    /// that is expected can be seen: the longest that anything lets LACs wait.
    pub fn patience(&self) -> Duration {
        let terms = self.0.iter().filter_map(|of| match &of.expectation {
            Expectation::Terms(terms) => Some(measure::patience(terms)),
            // A profile has LACs fail over at once.
            Expectation::Profile(_) => None,
        });
        terms.max().unwrap_or(Duration::ZERO)
    }
}

impl Expected {
    /// The number of its rule, and nothing that was seen of it so far.
    fn judgement(self, scenario: u32) -> (u32, Judgement) {
        let judgement = Judgement {
            scenario,
            rule: self.rule,
            place: self.place,
            lns: self.lns,
            lac: self.lac,
            lac_name: self.lac_name,
            treatment: self.treatment,
            expectation: self.expectation,
            attempts: Attempts::default(),
            parts: [Tally::default(); 5],
            breakers: Vec::new(),
            breakers_left_out: 0,
        };
        (self.rule, judgement)
    }
}

impl Judge {
    /// A judge who has heard nothing. `started` is when the run started, in nanoseconds of the
    /// monotonic clock; breaches are timed from there.
    pub fn new(started: u64) -> Self {
        Self {
            started,
            judgements: Judgements::default(),
            places: HashMap::new(),
            sizes: Vec::new(),
            octets: 0,
            scenarios: BTreeMap::new(),
            rules: 0,
            breakers: 0,
        }
    }

    /// A scenario came into force under that number, which is higher than all before.
    pub fn enter(&mut self, number: u32, expectations: Expectations) {
        let mut new = Vec::new();
        let mut wanted = HashSet::new();
        let mut octets = 0_usize;
        for expected in expectations.0 {
            let (rule, judgement) = expected.judgement(number);
            let identity = judgement.identity();
            match self.places.get(&identity) {
                Some(place) => drop(wanted.insert(*place)),
                None => octets = octets.saturating_add(room::octets(&judgement, &identity)),
            }
            new.push((rule, judgement, identity));
        }
        if !self.has_room(new.len() - wanted.len().min(new.len()), octets) {
            let count = new.len() - wanted.len().min(new.len());
            self.make_room(count, octets, &wanted);
        }
        let mut rules = Vec::with_capacity(new.len());
        for (rule, judgement, identity) in new {
            if let Some(place) = self.place(judgement, identity) {
                rules.push((rule, place));
            }
        }
        let last = self.scenarios.values().next_back();
        let rules = match last.filter(|last| ***last == *rules) {
            Some(last) => last.clone(),
            None => {
                self.rules += rules.len();
                rules.into()
            }
        };
        self.scenarios.insert(number, rules);
        while self.scenarios.len() > 1 && (self.scenarios.len() > SCENARIOS || self.rules > RULES) {
            self.forget_oldest();
        }
    }

    /// Forgets which rules of the oldest scenario expect something.
    fn forget_oldest(&mut self) {
        let Some((_, oldest)) = self.scenarios.pop_first() else {
            return;
        };
        // Only scenarios that follow each other share their rules.
        let next = self.scenarios.values().next();
        if next.is_none_or(|next| !Arc::ptr_eq(next, &oldest)) {
            self.rules = self.rules.saturating_sub(oldest.len());
        }
    }

    /// The place of an expectation, new or not; `None` where there is no room.
    fn place(&mut self, judgement: Judgement, identity: String) -> Option<u32> {
        if let Some(place) = self.places.get(&identity) {
            return Some(*place);
        }
        let octets = room::octets(&judgement, &identity);
        if !self.has_room(1, octets) {
            self.judgements.left_out += 1;
            return None;
        }
        let place = u32::try_from(self.judgements.all.len()).ok()?;
        self.judgements.all.push(judgement);
        self.sizes.push(octets);
        self.octets += octets;
        self.places.insert(identity, place);
        Some(place)
    }

    /// Something became known of an attempt.
    pub fn hear(&mut self, news: &News) {
        let (outcome, change) = match news {
            News::Concluded(outcome) => (outcome, Change::Count),
            News::Withdrawn(outcome) => (outcome, Change::TakeBack),
        };
        self.judge(outcome.fault, outcome, change, |terms| {
            let expected = measure::expected(terms).collect();
            (expected, measure::measure(terms, outcome))
        });
        if let Some(lockout) = outcome.lockout {
            self.judge(lockout.fault, outcome, change, |terms| {
                let bounds = terms.lockout.iter();
                let found = bounds.map(|bounds| measure::lockout(bounds, lockout.length));
                (Vec::new(), found.collect())
            });
        }
    }

    /// Keeps what is found of the attempt in the expectation of a fault, or takes it back.
    fn judge(
        &mut self,
        fault: FaultKey,
        outcome: &Outcome,
        change: Change,
        find: impl FnOnce(&Terms) -> (Vec<Part>, Vec<Found>),
    ) {
        let Some(place) = self.find(fault) else {
            return;
        };
        if place == LEFT_OUT {
            let judgements = &mut self.judgements;
            match change {
                Change::Count => judgements.too_late += 1,
                Change::TakeBack => judgements.former.withdrawn += 1,
            }
            return;
        }
        let Some(judgement) = self.judgements.all.get_mut(place as usize) else {
            return;
        };
        let Some((expected, found)) = judgement.terms(fault.lns).map(|terms| find(&terms)) else {
            return;
        };
        judgement.count(&expected, &found, change);
        let breaches = found.iter().filter_map(|found| match found {
            Found::Broken(breach) => Some(*breach),
            _ => None,
        });
        let breaches: Vec<_> = breaches.collect();
        if !breaches.is_empty() {
            let breaker = Breaker {
                lac: outcome.lac,
                lns: fault.lns,
                at: outcome.began.saturating_sub(self.started),
                breaches,
                times: 1,
            };
            match change {
                Change::Count => {
                    let has_room = self.breakers < BREAKERS_OF_ALL;
                    self.breakers += usize::from(judgement.blame(breaker, has_room));
                }
                Change::TakeBack => self.breakers -= usize::from(judgement.acquit(&breaker)),
            }
        }
    }

    /// The place of the expectation of a fault.
    fn find(&mut self, fault: FaultKey) -> Option<u32> {
        let Some(rules) = self.scenarios.get(&fault.scenario) else {
            let first = self.scenarios.keys().next();
            let is_left = first.is_some_and(|first| fault.scenario < *first);
            self.judgements.too_late += u64::from(is_left);
            return None;
        };
        let at = rules.binary_search_by_key(&fault.rule, |(rule, _)| *rule);
        let (_, place) = rules.get(at.ok()?)?;
        Some(*place)
    }

    /// What came of each expectation so far.
    pub fn judgements(&self) -> &Judgements {
        &self.judgements
    }
}

/// Whether something is counted or taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Count,
    TakeBack,
}

impl Change {
    /// Changes a count by so much.
    fn apply(self, count: &mut u64, by: bool) {
        *count = match self {
            Self::Count => count.saturating_add(by.into()),
            Self::TakeBack => count.saturating_sub(by.into()),
        };
    }
}

impl Judgement {
    /// All that makes it what it is.
    fn identity(&self) -> String {
        let Self {
            lns,
            lac,
            lac_name,
            treatment,
            expectation,
            ..
        } = self;
        format!("{lns:?} {lac:?} {lac_name:?} {treatment} {expectation}")
    }

    /// Whether nothing was seen of it.
    fn is_untouched(&self) -> bool {
        self.attempts == Attempts::default() && self.parts == [Tally::default(); 5]
    }

    /// Counts what was found of an attempt, or takes it back.
    fn count(&mut self, expected: &[Part], found: &[Found], change: Change) {
        for part in expected {
            change.apply(&mut self.parts[*part as usize].expected, true);
        }
        let (mut is_fulfilled, mut is_broken, mut doubt) = (false, false, None);
        for found in found {
            let (part, broken) = match found {
                Found::Fulfilled(part) => (*part, false),
                Found::Broken(breach) => (breach.part(), true),
                Found::Unknown(_, why) => {
                    doubt = doubt.or(Some(*why));
                    continue;
                }
            };
            let tally = &mut self.parts[part as usize];
            change.apply(&mut tally.broken, broken);
            change.apply(&mut tally.fulfilled, !broken);
            if part != Part::Lockout {
                is_broken |= broken;
                is_fulfilled |= !broken;
            }
        }
        let attempts = &mut self.attempts;
        change.apply(&mut attempts.seen, !expected.is_empty());
        match doubt {
            _ if is_broken => change.apply(&mut attempts.broken, true),
            Some(doubt) => change.apply(&mut attempts.unknown[doubt as usize], true),
            None => change.apply(&mut attempts.fulfilled, is_fulfilled),
        }
    }

    /// Keeps who broke it, if there is room; whether that took any.
    fn blame(&mut self, breaker: Breaker, has_room: bool) -> bool {
        if let Some(known) = self
            .breakers
            .iter_mut()
            .find(|known| known.is_like(&breaker))
        {
            known.times += 1;
            return false;
        }
        let has_room = has_room && self.breakers.len() < BREAKERS;
        match has_room {
            true => self.breakers.push(breaker),
            false => self.breakers_left_out += 1,
        }
        has_room
    }

    /// Takes back that somebody broke it; whether nothing is left to blame them for.
    fn acquit(&mut self, breaker: &Breaker) -> bool {
        let Some(at) = self
            .breakers
            .iter()
            .position(|known| known.is_like(breaker))
        else {
            self.breakers_left_out = self.breakers_left_out.saturating_sub(1);
            return false;
        };
        let is_last = self.breakers[at].times <= 1;
        match is_last {
            true => drop(self.breakers.remove(at)),
            false => self.breakers[at].times -= 1,
        }
        is_last
    }
}

impl Breaker {
    /// Whether it is the same LAC, which broke the same parts.
    fn is_like(&self, other: &Self) -> bool {
        let parts = |breaker: &Self| {
            breaker
                .breaches
                .iter()
                .map(Breach::part)
                .collect::<Vec<_>>()
        };
        self.lac == other.lac && parts(self) == parts(other)
    }
}

#[cfg(test)]
pub(crate) mod tests;
