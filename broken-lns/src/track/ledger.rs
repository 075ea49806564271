//! What adds up over all LACs, and the outcomes that wait to be fetched.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use super::fault::{Fault, FaultId, Faults, Rule};
use super::findings::{FaultKey, Outcome, OverTime, Totals};
use crate::scenario::Groups;

/// Outcomes that wait to be fetched; the oldest is left out at the bound.
pub(super) const OUTCOMES: usize = 65_536;
/// Steps of the attempts over time; at the bound two become one.
const STEPS: usize = 1024;
/// Scenarios that are known whatever their size, since events of one come for a moment after
/// another is in force; and rules and ranges of grouped LNSs up to which more of them are.
const SCENARIOS: usize = 4;
const RULES: usize = 1 << 18;
/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// The sums, which every LAC's history writes to.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) faults: Faults,
    pub(super) totals: Totals,
    pub(super) over_time: OverTime,
    /// The scenarios that were entered last.
    scenarios: VecDeque<Entered>,
    /// How many rules and ranges of grouped LNSs they have.
    rules: usize,
    outcomes: VecDeque<Outcome>,
    /// Until when events may have been lost.
    pub(super) lost_until: Option<u64>,
    /// Nanoseconds of quiet after which a LAC has given up.
    pub(super) patience: u64,
}

/// What is known of a scenario.
#[derive(Debug)]
struct Entered {
    number: u32,
    rules: Vec<Arc<Rule>>,
    groups: Groups,
}

impl Entered {
    /// Its rules and ranges of grouped LNSs.
    fn size(&self) -> usize {
        self.rules.len() + self.groups.range_count()
    }
}

impl Ledger {
    pub(super) fn new(patience: u64) -> Self {
        Self {
            faults: Faults::default(),
            totals: Totals::default(),
            over_time: OverTime::default(),
            scenarios: VecDeque::new(),
            rules: 0,
            outcomes: VecDeque::new(),
            lost_until: None,
            patience,
        }
    }

    pub(super) fn enter(&mut self, number: u32, rules: Vec<Rule>, groups: Groups) {
        let entered = Entered {
            number,
            rules: rules.into_iter().map(Arc::new).collect(),
            groups,
        };
        self.rules += entered.size();
        self.scenarios.push_front(entered);
        while self.scenarios.len() > SCENARIOS
            && self.rules > RULES
            && let Some(oldest) = self.scenarios.pop_back()
        {
            self.rules -= oldest.size();
        }
    }

    /// The group of an LNS in a scenario; `None` where it is in none, or nobody told of one.
    #[cfg_attr(not(test), expect(dead_code, reason = "for sequences within a group"))]
    pub(super) fn group_of(&self, scenario: u32, lns: IpAddr) -> Option<u16> {
        let mut scenarios = self.scenarios.iter();
        let entered = scenarios.find(|entered| entered.number == scenario)?;
        entered.groups.group_of(lns)
    }

    /// The fault with that key, new if need be, which the scenario has told by then; `None`
    /// where it is new and faults have `limit` octets already.
    pub(super) fn meet(&mut self, key: FaultKey, limit: usize) -> Option<FaultId> {
        let Self {
            faults, scenarios, ..
        } = self;
        faults.meet(key, limit, || {
            let mut scenarios = scenarios.iter();
            let entered = scenarios.find(|entered| entered.number == key.scenario)?;
            entered.rules.get(key.rule as usize).cloned()
        })
    }

    /// Whether the fault answers with a StopCCN; one that nobody entered may.
    pub(super) fn refuses(&self, fault: FaultId) -> bool {
        self.faults.get(fault).is_some_and(Fault::refuses)
    }

    /// Whether events may have been lost since a time.
    pub(super) fn lost_since(&self, time: u64) -> bool {
        self.lost_until.is_some_and(|until| time <= until)
    }

    /// Counts an attempt over time.
    pub(super) fn count_attempt(&mut self, time: u64) {
        self.totals.attempts += 1;
        let over_time = &mut self.over_time;
        if over_time.counts.is_empty() {
            over_time.began = time;
            over_time.step_seconds = 1;
        }
        let second = time.saturating_sub(over_time.began) / SECOND;
        while second / over_time.step_seconds >= STEPS as u64 {
            let pairs = over_time.counts.chunks(2);
            over_time.counts = pairs.map(|pair| pair.iter().sum()).collect();
            over_time.step_seconds *= 2;
        }
        let step = (second / over_time.step_seconds) as usize;
        if over_time.counts.len() <= step {
            over_time.counts.resize(step + 1, 0);
        }
        if let Some(count) = over_time.counts.get_mut(step) {
            *count += 1;
        }
    }

    /// Keeps an outcome until it is fetched.
    pub(super) fn tell(&mut self, outcome: Outcome) {
        if self.outcomes.len() >= OUTCOMES {
            self.outcomes.pop_front();
            self.totals.outcomes_left_out += 1;
        }
        self.outcomes.push_back(outcome);
    }

    /// The outcomes since they were last fetched, in the order in which they were reached.
    pub(super) fn take_outcomes(&mut self) -> Vec<Outcome> {
        self.outcomes.drain(..).collect()
    }

    /// Octets in use at the most, apart from those of the faults.
    pub(super) const BYTES: usize =
        OUTCOMES * size_of::<Outcome>() + STEPS * size_of::<u64>() + size_of::<Self>();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Group;

    #[test]
    fn an_lns_is_in_the_group_that_its_scenario_has() {
        let groups = |lns: &str| {
            let lns = vec![lns.parse().expect("an address")];
            let name = "isp-a".to_owned();
            Groups::new(vec![Group { name, lns }]).expect("one group")
        };
        let mut ledger = Ledger::new(1);
        ledger.enter(0, Vec::new(), groups("192.0.2.1"));
        ledger.enter(1, Vec::new(), groups("192.0.2.2"));
        let group_of = |scenario, lns: [u8; 4]| ledger.group_of(scenario, lns.into());
        assert_eq!(group_of(0, [192, 0, 2, 1]), Some(0));
        assert_eq!(group_of(0, [192, 0, 2, 2]), None);
        assert_eq!(group_of(1, [192, 0, 2, 1]), None);
        assert_eq!(group_of(1, [192, 0, 2, 2]), Some(0));
        assert_eq!(group_of(2, [192, 0, 2, 2]), None);
    }

    #[test]
    fn former_scenarios_go_when_their_rules_or_their_groups_are_many() {
        let rules = vec![
            Rule {
                fault: "silent".to_owned(),
                refuses: false
            };
            RULES / 8
        ];
        let name = "all".to_owned();
        let lns = (0..RULES as u32 / 8).map(|bits| std::net::Ipv4Addr::from_bits(2 * bits));
        let lns = lns.map(|address| IpAddr::from(address).into()).collect();
        let groups = Groups::new(vec![Group { name, lns }]).expect("there is room");
        let known = |rules: &Vec<Rule>, groups: &Groups| {
            let mut ledger = Ledger::new(1);
            for number in 0..20 {
                ledger.enter(number, rules.clone(), groups.clone());
            }
            ledger.scenarios.len()
        };
        assert_eq!(known(&Vec::new(), &Groups::default()), 20);
        assert_eq!(known(&rules, &Groups::default()), 8);
        assert_eq!(known(&Vec::new(), &groups), 8);
        assert_eq!(known(&rules, &groups), 4);
    }
}
