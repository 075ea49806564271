//! What adds up over all LACs, and the news that wait to be fetched.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use super::fault::{Fault, FaultId, Faults, Rule};
use super::findings::{Durations, FaultKey, News, Outcome, OverTime, Reaction, Totals};

/// News that wait to be fetched; the oldest are left out at the bound.
pub(super) const NEWS: usize = 32_768;
/// Steps of the attempts over time; at the bound two become one.
const STEPS: usize = 1024;
/// Scenarios whose rules are known whatever their size, since events of one come for a moment
/// after another is in force; and rules up to which more of them are.
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
    /// The rules of the scenarios that were entered last, by their numbers.
    scenarios: VecDeque<(u32, Vec<Arc<Rule>>)>,
    /// How many rules that are.
    rules: usize,
    news: VecDeque<News>,
    /// Until when events may have been lost.
    pub(super) lost_until: Option<u64>,
    /// Nanoseconds of quiet after which a LAC has given up.
    pub(super) patience: u64,
}

impl Ledger {
    pub(super) fn new(patience: u64) -> Self {
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
        }
    }

    pub(super) fn enter(&mut self, scenario: u32, rules: Vec<Rule>) {
        self.rules += rules.len();
        let rules = rules.into_iter().map(Arc::new).collect();
        self.scenarios.push_front((scenario, rules));
        while self.scenarios.len() > SCENARIOS
            && self.rules > RULES
            && let Some((_, oldest)) = self.scenarios.pop_back()
        {
            self.rules -= oldest.len();
        }
    }

    /// The fault with that key, new if need be, which the scenario has told by then; `None`
    /// where it is new and faults have `limit` octets already.
    pub(super) fn meet(&mut self, key: FaultKey, limit: usize) -> Option<FaultId> {
        let Self {
            faults, scenarios, ..
        } = self;
        faults.meet(key, limit, || {
            let (_, rules) = scenarios
                .iter()
                .find(|(number, _)| *number == key.scenario)?;
            rules.get(key.rule as usize).cloned()
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

    /// The number of the group that the LNS of the fault is in.
    pub(super) fn group_of(&self, _fault: FaultId) -> u32 {
        0
    }

    /// Whether the LNS of the fault is in another group now.
    pub(super) fn changed_groups(&self, _fault: FaultId) -> bool {
        false
    }

    /// Whether a message to that address and port is for the LNS of the fault, or goes to where
    /// its answers came from.
    pub(super) fn is_addressed(&self, fault: FaultId, lns: IpAddr, _port: u16) -> bool {
        let fault = self.faults.get(fault);
        fault.is_some_and(|fault| fault.key.lns == lns)
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
