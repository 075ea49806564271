//! What the session knows of the LACs that are followed.

use std::collections::HashSet;

use anyhow::Result;
use broken_lns_ebpf::wire::l2tp;

use super::Session;
use crate::control::Work;
use crate::control::protocol::{Document, LacLine, Reacted, Reactions, Refused};
use crate::follow::{FollowError, Follower, Known, Questions};
use crate::garble::twist;
use crate::judge::Expectations;
use crate::metrics::Times;
use crate::report::{Facts, Format, Report};
use crate::scenario::{Scenario, Treatment};
use crate::track::{Rule, Source};

/// Reactions that are told of the last ones, and LACs of the noisiest and of the slowest ones.
const NOTICED: usize = 50;

/// LACs of which a report tells by themselves.
const REPORTED: usize = 100;

/// Why a scenario cannot be played by a responder that follows nobody.
///
/// An expectation that nobody holds LACs against would fail for none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the scenario says what to expect of LACs, and with --track none nobody is followed who could \
     do it; follow all with --track all, or some with --track 1/N, or take `expect` out of the \
     scenario"
)]
pub(super) struct NobodyJudges;

impl NobodyJudges {
    /// Fails where something is expected of LACs that nobody follows.
    pub(super) fn check(expectations: &Expectations, is_followed: bool) -> Result<(), Self> {
        match is_followed || expectations.is_empty() {
            true => Ok(()),
            false => Err(Self),
        }
    }
}

/// The rules of a scenario as whoever follows LACs has to know them.
pub(super) fn rules(scenario: &Scenario) -> Vec<Rule> {
    let treatments = scenario.treatments();
    treatments
        .map(|(_, treatment)| Rule {
            fault: treatment.brief(),
            refuses: treatment.refuses(),
            keeps_waiting: treatment.keeps_waiting(),
            varies: treatment.varies(),
            source: source(treatment),
        })
        .collect()
}

/// Where else than from the LNS answers come from.
fn source(treatment: &Treatment) -> Source {
    let twists = treatment.garbles().into_iter().map(twist);
    twists.fold(Source::RIGHT, |source, twist| Source {
        port: match twist.source_port() {
            l2tp::PORT => source.port,
            port => port,
        },
        address_invert: source.address_invert | twist.source_address_invert as u8,
    })
}

impl From<FollowError> for Refused {
    fn from(error: FollowError) -> Self {
        Self::because(error)
    }
}

impl Session {
    fn questions(&self) -> Result<Questions, Refused> {
        let follower = self.follower.as_ref().ok_or_else(|| {
            Refused::because(
                "no LAC is followed: the responder was started with --track none; start it with \
                 --track all, or with --track 1/N for one LAC of N",
            )
        })?;
        Ok(follower.questions())
    }

    /// What LACs did so far. The work fails where nobody answers in time.
    ///
    /// # Errors
    ///
    /// Where none is followed.
    pub(super) fn report_so_far(&self) -> Result<Work<Report>, Refused> {
        let (questions, facts) = (self.questions()?, self.facts());
        Ok(Box::new(move || {
            let known = questions.ask(|watch| watch.known(REPORTED))?;
            Ok(report(facts, known))
        }))
    }

    /// What LACs did in all; nothing where none is followed.
    ///
    /// # Errors
    ///
    /// Where whoever followed them is gone.
    pub(super) fn last_report(&mut self) -> Result<Option<Report>, FollowError> {
        let watch = self.follower.take().map(Follower::end).transpose()?;
        Ok(watch.map(|watch| report(self.facts(), watch.known(REPORTED))))
    }

    /// The facts of the run until now.
    fn facts(&self) -> Facts {
        Facts {
            started: self.started_at,
            duration: self.started.elapsed(),
            interfaces: self.interfaces.clone(),
            scenario: self.in_force().title(),
            sample: self.sample,
        }
    }

    pub(super) fn report_as(&self, format: Format) -> Result<Work<Document>, Refused> {
        let report = self.report_so_far()?;
        Ok(Box::new(move || {
            let text = report()?.render(format);
            Ok(Document { format, text })
        }))
    }

    /// What single LACs did; nothing where none is followed.
    pub(super) fn noticed(&self) -> Work<Option<Reactions>> {
        let questions = self.follower.as_ref().map(Follower::questions);
        let start = self.pace.began();
        Box::new(move || {
            let Some(questions) = questions else {
                return Ok(None);
            };
            let noticed = questions.ask(|watch| watch.noticed(NOTICED))?;
            let last = noticed.latest.iter();
            let mut seen = HashSet::new();
            let lacs = noticed.slowest.iter().chain(&noticed.noisiest);
            Ok(Some(Reactions {
                last: last
                    .filter_map(|outcome| Reacted::of(outcome, start))
                    .collect(),
                lacs: lacs
                    .filter(|lac| seen.insert(lac.lac))
                    .map(LacLine::from)
                    .collect(),
            }))
        })
    }

    /// How long LACs took; nothing where none is followed.
    pub(super) fn times(&self) -> Work<Option<Times>> {
        let questions = self.follower.as_ref().map(Follower::questions);
        Box::new(move || {
            let durations = questions.map(|questions| questions.ask(|watch| watch.durations()));
            Ok(durations.transpose()?.as_ref().map(Times::of))
        })
    }
}

fn report(facts: Facts, known: Known) -> Report {
    Report {
        facts,
        findings: known.findings,
        judgements: known.judgements,
        lacs: known.lacs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Refusal;

    #[test]
    fn it_is_known_where_answers_come_from() {
        let text = r#"
            [default]
            fault = "refuse"
            [[lns]]
            address = "192.0.2.1"
            fault = "garble"
            kind = "wrong-source-port"
            [[lns]]
            address = "192.0.2.2"
            fault = "cycle"
            faults = ["silent", { fault = "garble", kind = "wrong-source-address" }]
            [[lns]]
            address = "192.0.2.3"
            fault = "garble"
            kind = "wrong-nr"
            first = 3
            then = { fault = "garble", kind = "wrong-source-port" }
        "#;
        let scenario = Scenario::parse("test.toml", text, &Refusal::default());
        let rules = rules(&scenario.expect("all of this is right"));
        let sources = rules.iter().map(|rule| rule.source);
        let expected =
            [(1701, 0), (1702, 0), (1701, 1), (1702, 0)].map(|(port, address_invert)| Source {
                port,
                address_invert,
            });
        assert!(sources.eq(expected), "{rules:?}");
        for (lns, other) in [("192.0.2.2", "192.0.2.3"), ("2001:db8::1", "2001:db8::")] {
            let [lns, other] = [lns, other].map(|it| it.parse().expect("an address"));
            let source = rules[2].source;
            assert_eq!(source.other_address(lns), other);
            assert_eq!(source.other_address(other), lns);
            assert_eq!(Source::RIGHT.other_address(lns), lns);
        }
    }

    #[test]
    fn nobody_is_expected_to_do_what_nobody_sees() {
        for (expect, expected) in [("", Ok(())), ("expect = \"junos\"\n", Err(NobodyJudges))] {
            let text = format!("[default]\nfault = \"silent\"\n{expect}");
            let scenario = Scenario::parse("test.toml", &text, &Refusal::default());
            let expectations = Expectations::of(&scenario.expect("all of this is right"));
            assert_eq!(NobodyJudges::check(&expectations, false), expected);
            assert_eq!(NobodyJudges::check(&expectations, true), Ok(()));
        }
    }
}
