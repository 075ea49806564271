//! What adds up over all LACs, and the news that wait to be fetched.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use broken_lns_ebpf::wire::l2tp;

use super::fault::{Fault, FaultId, Faults, Origin, Rule};
use super::findings::{Durations, FaultKey, News, Outcome, OverTime, Reaction, Totals};
use crate::scenario::Groups;

/// News that wait to be fetched; the oldest are left out at the bound.
pub(super) const NEWS: usize = 8_192;
/// Attempts of a LAC that are remembered when they are over, where there is room for that, and
/// where there is not.
const REMEMBERED: usize = 32;
const REMEMBERED_AT_LEAST: usize = 6;
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
    pub(super) durations: Durations,
    /// The scenarios that were entered last.
    scenarios: VecDeque<Entered>,
    /// How many rules and ranges of grouped LNSs they have.
    rules: usize,
    news: VecDeque<News>,
    /// Until when events may have been lost.
    pub(super) lost_until: Option<u64>,
    /// Nanoseconds of quiet after which a LAC has given up.
    pub(super) patience: u64,
    /// Nanoseconds by which a busy machine delays what a LAC does.
    pub(super) jitter: u64,
    /// Attempts of a LAC that are remembered when they are over.
    pub(super) remembered: usize,
}

/// What is known of a scenario.
#[derive(Debug)]
struct Entered {
    number: u32,
    rules: Vec<Arc<Rule>>,
    groups: Groups,
    /// How often groups have changed before.
    edition: u16,
}

impl Entered {
    /// Its rules and ranges of grouped LNSs.
    fn size(&self) -> usize {
        self.rules.len() + self.groups.range_count()
    }
}

impl Ledger {
    pub(super) fn new(patience: u64, jitter: u64) -> Self {
        Self {
            faults: Faults::default(),
            totals: Totals::default(),
            over_time: OverTime::default(),
            durations: Durations::default(),
            scenarios: VecDeque::new(),
            rules: 0,
            news: VecDeque::new(),
            lost_until: None,
            patience,
            jitter,
            remembered: REMEMBERED,
        }
    }

    /// Has attempts that are over remembered for long or not: while there `is_room`, more of what
    /// was told of them can be withdrawn.
    pub(super) fn remember(&mut self, is_room: bool) {
        self.remembered = match is_room {
            true => REMEMBERED,
            false => REMEMBERED_AT_LEAST,
        };
    }

    pub(super) fn enter(&mut self, number: u32, rules: Vec<Rule>, groups: Groups) {
        let last = self.scenarios.front();
        let edition = last.map_or(0, |last| match last.groups == groups {
            true => last.edition,
            false => last.edition.wrapping_add(1),
        });
        let entered = Entered {
            edition,
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

    /// The fault with that key, new if need be, which the scenario has told by then; `None`
    /// where it is new and faults have `limit` octets already.
    pub(super) fn meet(&mut self, key: FaultKey, limit: usize) -> Option<FaultId> {
        let Self {
            faults, scenarios, ..
        } = self;
        faults.meet(key, limit, || {
            let mut scenarios = scenarios.iter();
            let entered = scenarios.find(|entered| entered.number == key.scenario)?;
            Some(Origin {
                rule: entered.rules.get(key.rule as usize).cloned(),
                group: entered.groups.group_of(key.lns),
                edition: entered.edition,
            })
        })
    }

    /// Whether the fault answers with a StopCCN; one that nobody entered may.
    pub(super) fn refuses(&self, fault: FaultId) -> bool {
        self.faults.get(fault).is_some_and(Fault::refuses)
    }

    /// Whether an answer of the fault may end an attempt at once.
    pub(super) fn ends_at_once(&self, fault: FaultId) -> bool {
        self.faults.get(fault).is_some_and(Fault::ends_at_once)
    }

    /// Whether the fault may treat attempts differently.
    pub(super) fn varies(&self, fault: FaultId) -> bool {
        self.faults.get(fault).is_none_or(Fault::varies)
    }

    /// The number of the group that the LNS of the fault was in when it was met. It is another
    /// one where the groups were others.
    pub(super) fn group_of(&self, fault: FaultId) -> u32 {
        self.faults.get(fault).map_or(0, Fault::group)
    }

    /// Whether the groups of LNSs changed since the scenario of the fault.
    pub(super) fn changed_groups(&self, fault: FaultId) -> bool {
        let edition = self.scenarios.front().map_or(0, |last| last.edition);
        let fault = self.faults.get(fault);
        fault.is_some_and(|fault| fault.origin.edition != edition)
    }

    /// Whether a message to that address and port is for the LNS of the fault, or goes to where
    /// its answers came from.
    pub(super) fn is_addressed(&self, fault: FaultId, lns: IpAddr, port: u16) -> bool {
        let Some(fault) = self.faults.get(fault) else {
            return false;
        };
        let source = fault.source();
        let is_port = port == l2tp::PORT || port == source.port;
        is_port && (lns == fault.key.lns || lns == source.other_address(fault.key.lns))
    }

    /// Counts for how long a LAC stayed away from the LNS of the fault.
    pub(super) fn count_lockout(&mut self, fault: FaultId, length: u64) {
        self.durations.lockout.add(length);
        self.faults.update(fault, |fault| fault.lockout.add(length));
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

    /// Keeps news until they are fetched.
    pub(super) fn tell(&mut self, news: News) {
        if let News::Concluded(Outcome {
            conclusion,
            next: Some(next),
            ..
        }) = news
            && conclusion.reaction() == Some(Reaction::Failover)
        {
            self.durations.failover.add(next.after);
        }
        if self.news.len() >= NEWS {
            self.news.pop_front();
            self.totals.outcomes_left_out += 1;
        }
        self.news.push_back(news);
    }

    /// The news since they were last fetched, in their order.
    pub(super) fn take_news(&mut self) -> Vec<News> {
        self.news.drain(..).collect()
    }

    /// Octets in use at the most, apart from those of the faults.
    pub(super) const BYTES: usize =
        NEWS * size_of::<News>() + STEPS * size_of::<u64>() + size_of::<Self>();
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
        let mut ledger = Ledger::new(1, 1);
        ledger.enter(0, Vec::new(), groups("192.0.2.1"));
        ledger.enter(1, Vec::new(), groups("192.0.2.2"));
        let mut met = |scenario, lns: [u8; 4]| {
            let lns = lns.into();
            let key = FaultKey {
                scenario,
                rule: 0,
                lns,
            };
            let fault = ledger.meet(key, usize::MAX).expect("there is room");
            (ledger.group_of(fault), ledger.changed_groups(fault))
        };
        let first = met(0, [192, 0, 2, 1]);
        let next = met(1, [192, 0, 2, 2]);
        assert!(first.1 && !next.1);
        let ungrouped = [met(0, [192, 0, 2, 2]), met(1, [192, 0, 2, 1])];
        let all = [first.0, next.0, ungrouped[0].0, ungrouped[1].0];
        assert!((1..4).all(|at| !all[..at].contains(&all[at])), "{all:?}");
        assert_eq!(met(0, [192, 0, 2, 3]), ungrouped[0]);
    }

    #[test]
    fn former_scenarios_go_when_their_rules_or_their_groups_are_many() {
        let rules = vec![
            Rule {
                fault: "silent".to_owned(),
                ..Rule::default()
            };
            RULES / 8
        ];
        let name = "all".to_owned();
        let lns = (0..RULES as u32 / 8).map(|bits| std::net::Ipv4Addr::from_bits(2 * bits));
        let lns = lns.map(|address| IpAddr::from(address).into()).collect();
        let groups = Groups::new(vec![Group { name, lns }]).expect("there is room");
        let known = |rules: &Vec<Rule>, groups: &Groups| {
            let mut ledger = Ledger::new(1, 1);
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
