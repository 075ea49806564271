//! An expectation in the report.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use super::seconds;
use crate::judge::{self, Judgement, Tally};
use crate::report::{Expected, expectation};
use crate::scenario::{LacName, Place, Prefix};
use crate::track::findings::Doubt;

#[derive(Serialize)]
pub(super) struct Expectation<'r> {
    scenario: u32,
    rule: u32,
    place: Option<Place>,
    lns: &'r [Prefix],
    lac: &'r [Prefix],
    #[serde(skip_serializing_if = "Option::is_none")]
    lac_name: Option<&'r LacName>,
    fault: String,
    expect: String,
    sentence: String,
    verdict: &'static str,
    attempts: Judged,
    parts: BTreeMap<&'static str, Part>,
    breakers: Vec<Breaker>,
    breakers_left_out: u64,
}

#[derive(Serialize)]
struct Judged {
    seen: u64,
    fulfilled: u64,
    broken: u64,
    unknown: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct Part {
    expected: u64,
    fulfilled: u64,
    broken: u64,
}

#[derive(Serialize)]
struct Breaker {
    lac: IpAddr,
    lns: IpAddr,
    at_s: f64,
    times: u64,
    broken: Vec<Broken>,
}

#[derive(Serialize)]
struct Broken {
    part: &'static str,
    measured_ns: Option<u64>,
    seen: String,
    expected: Option<String>,
}

impl<'r> Expectation<'r> {
    pub(super) fn of(judgement: &'r Judgement, expected: Expected) -> Self {
        let attempts = judgement.attempts;
        let parts = judge::Part::ALL.map(|part| {
            let Tally {
                expected,
                fulfilled,
                broken,
            } = judgement.part(part);
            let counts = Part {
                expected,
                fulfilled,
                broken,
            };
            (part.name(), counts)
        });
        let breakers = judgement.breakers.iter();
        Self {
            scenario: judgement.scenario,
            rule: judgement.rule,
            place: judgement.place.filter(|place| *place != Place::NOWHERE),
            lns: &judgement.lns,
            lac: &judgement.lac,
            lac_name: judgement.lac_name.as_ref(),
            fault: judgement.treatment.brief(),
            expect: judgement.expectation.to_string(),
            sentence: expected.name,
            verdict: expected.verdict.name(),
            attempts: Judged {
                seen: attempts.seen,
                fulfilled: attempts.fulfilled,
                broken: attempts.broken,
                unknown: Doubt::ALL
                    .map(|doubt| (doubt.name(), attempts.unknown(doubt)))
                    .into(),
            },
            parts: parts.into(),
            breakers: breakers
                .map(|breaker| Breaker::of(breaker, judgement))
                .collect(),
            breakers_left_out: judgement.breakers_left_out,
        }
    }
}

impl Breaker {
    fn of(breaker: &judge::Breaker, judgement: &Judgement) -> Self {
        let terms = judgement.terms(breaker.lns);
        let broken = breaker.breaches.iter().map(|breach| Broken {
            part: breach.part().name(),
            measured_ns: breach.measured(),
            seen: expectation::seen(breach),
            expected: terms
                .as_ref()
                .map(|terms| expectation::expected(breach.part(), terms)),
        });
        Self {
            lac: breaker.lac,
            lns: breaker.lns,
            at_s: seconds(Duration::from_nanos(breaker.at)),
            times: breaker.times,
            broken: broken.collect(),
        }
    }
}
