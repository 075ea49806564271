//! What is known of a responder: what it said last, and how that changed.

use std::time::SystemTime;

use broken_lns_ebpf::verdict::Verdict;

use super::flow::Flow;
use super::panel::Panel;
use crate::control::protocol::{LacLine, Reacted, Reactions, RuleLine, Status};
use crate::snapshot::{InterfaceSnapshot, Snapshot, XdpStatistics};

/// What a responder said at one instant.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What runs, and what it has counted.
    pub status: Status,
    /// Its rules.
    pub rules: Vec<RuleLine>,
    /// What it saw of single LACs, if it follows them.
    pub reactions: Option<Reactions>,
}

/// What is known of a responder.
#[derive(Clone, Debug, Default)]
pub struct Model {
    latest: Option<Sample>,
    received: Flow,
    answered: Flow,
    /// By verdict, over all interfaces.
    verdicts: Vec<Flow>,
    queues: Vec<Queue>,
    /// The hits a second of the rules, in their order.
    rule_rates: Vec<f64>,
    away: Option<Away>,
}

/// One queue with a worker.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    /// The interface that it is of.
    pub(super) interface: String,
    /// Its number there.
    pub(super) number: u32,
    /// The answers of its worker.
    pub(super) answered: Flow,
    /// The frames that its socket had no room for.
    pub(super) dropped: u64,
}

/// That the responder does not say anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Away {
    /// Whether it is not there, rather than silent.
    pub(super) is_gone: bool,
    /// Since when.
    pub(super) since: SystemTime,
    /// Why, in one sentence.
    pub(super) why: String,
}

impl Model {
    /// Takes what the responder said, or the one in its place.
    pub fn take(&mut self, sample: Sample) {
        let (status, counters) = (&sample.status, &sample.status.counters);
        let same = |before: &Sample| before.status.pid == status.pid;
        let before = self.latest.take().filter(same);
        if before.is_none() {
            *self = Self::default();
        }
        self.away = None;
        let seconds = before.as_ref().and_then(|before| {
            // Counters that began anew have less time behind them.
            let time = counters
                .elapsed
                .checked_sub(before.status.counters.elapsed)?;
            Some(time.as_secs_f64()).filter(|seconds| *seconds > 0.0)
        });
        self.received.take(counters.received(), seconds);
        self.answered.take(counters.answered(), seconds);
        self.verdicts.resize(Verdict::COUNT, Flow::default());
        for (flow, total) in self.verdicts.iter_mut().zip(counters.verdicts()) {
            flow.take(total, seconds);
        }
        self.take_queues(counters, seconds);
        let rules_before = before.map(|before| before.rules).unwrap_or_default();
        self.rule_rates = rule_rates(&sample.rules, &rules_before, seconds);
        self.latest = Some(sample);
    }

    fn take_queues(&mut self, counters: &Snapshot, seconds: Option<f64>) {
        let before = std::mem::take(&mut self.queues);
        let of_all = |interface: &InterfaceSnapshot| {
            let name = interface.name.clone();
            let queues = interface.queues.clone().into_iter();
            queues.map(move |queue| (name.clone(), queue))
        };
        let queues = counters.interfaces.iter().flat_map(of_all);
        self.queues = queues
            .map(|(interface, queue)| {
                let is_same =
                    |other: &&Queue| other.interface == interface && other.number == queue.queue;
                let same = before.iter().find(is_same);
                let mut answered = same.map(|same| same.answered.clone()).unwrap_or_default();
                let seconds = seconds.filter(|_| same.is_some());
                answered.take(queue.answered, seconds);
                let XdpStatistics {
                    rx_dropped,
                    rx_ring_full,
                    ..
                } = queue.xdp_statistics;
                Queue {
                    interface,
                    number: queue.queue,
                    answered,
                    dropped: rx_dropped + rx_ring_full,
                }
            })
            .collect();
    }

    /// Takes that the responder is gone or silent, for this reason. The first time counts.
    pub fn away(&mut self, is_gone: bool, why: &str, now: SystemTime) {
        self.away = Some(Away {
            is_gone,
            since: self.away.as_ref().map_or(now, |away| away.since),
            // The way out that an error shows is for those who start something.
            why: why.split(';').next().unwrap_or_default().to_owned(),
        });
    }

    /// The panels that there is something for, in their order.
    pub(super) fn panels(&self) -> Vec<Panel> {
        let reactions = self
            .latest
            .as_ref()
            .and_then(|latest| latest.reactions.as_ref());
        let has = |panel: &Panel| match panel {
            Panel::Verdicts | Panel::Rules => true,
            Panel::Queues => !self.queues.is_empty(),
            Panel::Lacs => reactions.is_some_and(|reactions| !reactions.lacs.is_empty()),
            Panel::Reactions => reactions.is_some_and(|reactions| !reactions.last.is_empty()),
        };
        Panel::ALL.into_iter().filter(has).collect()
    }

    pub(super) fn status(&self) -> Option<&Status> {
        self.latest.as_ref().map(|latest| &latest.status)
    }

    pub(super) fn is_away(&self) -> Option<&Away> {
        self.away.as_ref()
    }

    pub(super) fn received(&self) -> &Flow {
        &self.received
    }

    pub(super) fn answered(&self) -> &Flow {
        &self.answered
    }

    /// Every verdict that a frame had.
    pub(super) fn verdicts(&self) -> impl Iterator<Item = (Verdict, &Flow)> {
        let verdicts = Verdict::ALL.iter().copied().zip(&self.verdicts);
        verdicts.filter(|(_, flow)| flow.total() > 0)
    }

    pub(super) fn queues(&self) -> &[Queue] {
        &self.queues
    }

    /// Every rule with its hits a second.
    pub(super) fn rules(&self) -> impl Iterator<Item = (&RuleLine, f64)> {
        let rules = self.latest.iter().flat_map(|latest| &latest.rules);
        rules.zip(self.rule_rates.iter().copied())
    }

    pub(super) fn lacs(&self) -> impl Iterator<Item = &LacLine> {
        let latest = self.latest.iter();
        let reactions = latest.filter_map(|latest| latest.reactions.as_ref());
        reactions.flat_map(|reactions| &reactions.lacs)
    }

    pub(super) fn reactions(&self) -> impl Iterator<Item = &Reacted> {
        let latest = self.latest.iter();
        let reactions = latest.filter_map(|latest| latest.reactions.as_ref());
        reactions.flat_map(|reactions| &reactions.last)
    }
}

/// The hits a second of each rule; none of a rule that was not in its place before.
fn rule_rates(rules: &[RuleLine], before: &[RuleLine], seconds: Option<f64>) -> Vec<f64> {
    let before = before.iter().map(Some).chain(std::iter::repeat(None));
    let rates = rules.iter().zip(before).map(|(rule, before)| {
        let same = before.filter(|before| {
            (before.place, &before.lns) == (rule.place, &rule.lns)
                && (&before.lac, &before.lac_name) == (&rule.lac, &rule.lac_name)
        });
        match (same, seconds) {
            (Some(same), Some(seconds)) => rule.hits.saturating_sub(same.hits) as f64 / seconds,
            _ => 0.0,
        }
    });
    rates.collect()
}

#[cfg(test)]
pub(super) mod tests;
