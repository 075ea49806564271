//! What events come to: a tracker, and what it tells as it goes along.

use std::collections::VecDeque;

use broken_lns_ebpf::event::Event;

use crate::judge::{Expectations, Judge, Judgements};
use crate::scenario::Groups;
use crate::track::findings::{Durations, Findings, LacFindings, News, Outcome};
use crate::track::{Rule, Settings, Tracker};

/// Outcomes that are kept for whoever wants to see the last ones.
const LATEST: usize = 100;

/// What is known of the LACs that are followed.
#[derive(Debug)]
pub struct Watch {
    tracker: Tracker,
    /// The last attempts that came to their end with a reaction, the latest first.
    latest: VecDeque<Outcome>,
    judge: Judge,
}

/// What there is to report.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// What LACs did.
    pub findings: Findings,
    /// Whether they did what was expected of them.
    pub judgements: Judgements,
    /// The LACs with the most messages, most first.
    pub lacs: Vec<LacFindings>,
}

/// What of single LACs is worth a look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Noticed {
    /// The last attempts that came to their end with a reaction, the latest first.
    pub latest: Vec<Outcome>,
    /// The LACs with the most messages, most first.
    pub noisiest: Vec<LacFindings>,
    /// The LACs that took the longest to react, the slowest first.
    pub slowest: Vec<LacFindings>,
}

impl Watch {
    /// What is known from `started` on, in nanoseconds of the monotonic clock: nothing.
    pub(super) fn new(settings: Settings, started: u64) -> Self {
        Self {
            tracker: Tracker::new(settings),
            latest: VecDeque::with_capacity(LATEST),
            judge: Judge::new(started),
        }
    }

    pub(super) fn enter(
        &mut self,
        scenario: u32,
        rules: Vec<Rule>,
        groups: Groups,
        expectations: Expectations,
    ) {
        self.tracker.enter(scenario, rules, groups);
        self.judge.enter(scenario, expectations);
    }

    pub(super) fn observe(&mut self, event: &Event, message: &[u8]) {
        self.tracker.observe(event, message);
        self.hear();
    }

    pub(super) fn lost(&mut self, count: u64, now: u64) {
        self.tracker.lost(count, now);
    }

    pub(super) fn forced(&mut self, now: u64) {
        self.tracker.forced(now);
    }

    pub(super) fn advance(&mut self, now: u64) {
        self.tracker.advance(now);
        self.hear();
    }

    fn hear(&mut self) {
        for news in self.tracker.take_news() {
            hear(&mut self.judge, &mut self.latest, news);
        }
    }

    pub(super) fn finish(&mut self, now: u64) {
        let Self {
            tracker,
            latest,
            judge,
        } = self;
        tracker.finish(now, |news| hear(judge, latest, news));
    }

    /// What there is to report, with `lacs` single LACs at the most.
    pub fn known(&self, lacs: usize) -> Known {
        Known {
            findings: self.tracker.findings(),
            judgements: self.judge.judgements().clone(),
            lacs: self.tracker.noisiest(lacs),
        }
    }

    /// What of single LACs is worth a look, `count` of each kind at the most.
    pub fn noticed(&self, count: usize) -> Noticed {
        Noticed {
            latest: self.latest.iter().take(count).copied().collect(),
            noisiest: self.tracker.noisiest(count),
            slowest: self.tracker.slowest(count),
        }
    }

    /// How long LACs took, over all faults.
    pub fn durations(&self) -> Durations {
        self.tracker.durations()
    }
}

/// Hands on what became known.
fn hear(judge: &mut Judge, latest: &mut VecDeque<Outcome>, news: News) {
    judge.hear(&news);
    match news {
        News::Concluded(outcome) if outcome.conclusion.reaction().is_some() => {
            latest.truncate(LATEST - 1);
            latest.push_front(outcome);
        }
        News::Concluded(_) => {}
        News::Withdrawn(outcome) => latest.retain(|known| *known != outcome),
    }
}
