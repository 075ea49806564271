//! The report for programs, as one object in JSON.
//!
//! Its keys are an interface for others. As long as `schema` is 2 none of them goes away or
//! changes its meaning, but more may come. Counts are whole numbers, a key that ends in `_ns`
//! is in nanoseconds, one that ends in `_s` in seconds. What is not known is `null`.
//!
//! | key | meaning |
//! |---|---|
//! | `schema` | 2 |
//! | `started` | when the run began, in UTC, as RFC 3339 has it |
//! | `duration_s` | how long it took so far, to a thousandth |
//! | `interfaces` | the names of its interfaces |
//! | `scenario` | the name of the scenario |
//! | `followed_one_of` | of how many LACs one is followed: 1 where all are, `null` where none is |
//! | `observed_ns` | from the first event to the last one; `null` where there was none |
//! | `events` | events that were `seen`, `lost`, `forced` to be looked at while others of an earlier time might still come, or `unmatched` |
//! | `lacs` | LACs that were `seen` in all, are followed now (`open`), were `closed` at the bound of the memory |
//! | `attempts` | attempts that were `seen` in all, are not over (`open`), `reused` a tunnel id, were `forgotten` early; `retransmissions` of SCCRQs |
//! | `left_out` | `faults` that found no room, `outcomes` that nobody fetched in time, and `expectations` of former scenarios that made room for others, by how they had ended: `passed`, `failed`, `not-seen` |
//! | `selection` | LACs by how they choose an LNS: `unknown`, `single`, `preference`, `round-robin` |
//! | `attempts_over_time` | `counts` of attempts in steps of `step_s` each; the first attempt is in the first step |
//! | `caveats` | what the numbers do not have, a sentence each |
//! | `expectations` | an object for each expectation, in the order in which they came into force |
//! | `faults` | an object for each fault that was met, ordered by scenario, rule and LNS |
//! | `noisiest` | an object for each of the LACs with the most messages, most first, up to 100 |
//!
//! In a fault:
//!
//! | key | meaning |
//! |---|---|
//! | `scenario`, `rule` | their numbers; scenarios count from 0, and rule 0 is the default |
//! | `lns` | the address of the virtual LNS |
//! | `fault` | what it is called |
//! | `sentence` | what became of it, for people: its wording may change |
//! | `lacs`, `attempts` | that met it |
//! | `answered`, `open` | attempts that were answered, and that are not over |
//! | `retransmissions_before`, `retransmissions_after` | SCCRQs that came again before the first answer, and after it |
//! | `acknowledged` | attempts by the acknowledgement of the StopCCN: `zlb` and `piggyback` are right, `zero_tunnel_id` is a ZLB with Tunnel ID 0; then `wrong_nr`, `none`, `unknown`, and `unknown_because` of which reason; `lacs` that acknowledged in one of the first three ways, and the `round_trip` |
//! | `reactions` | `failover`, `retry-same`, `give-up` and `ignore`, each with its `attempts` and `lacs` |
//! | `ignored_then` | of the attempts under `ignore`, those followed by one at another LNS (`failover`) or the same one (`retry-same`) |
//! | `unknown` | attempts whose reaction is not known, by the reason: `still-open`, `events-lost`, `out-of-memory`, `parallel` (several tunnels at once), `unordered` (no regular order or time), `ambiguous`, `groups-changed`, `left-to-host` |
//! | `failover_after`, `retry_after` | from the answer to the last SCCRQ, or from the first SCCRQ where there was no answer, to the next attempt |
//! | `failover_to` | the `lns` that LACs turned to and the `attempts`, most first |
//! | `failover_to_others` | failovers to addresses that are not listed |
//! | `lockout` | how long LACs stayed away once they had turned to another LNS: from the answer, or from the last SCCRQ where there was none |
//! | `came_back` | how long LACs were quiet that had been taken for given up; what they did then is among `reactions` |
//! | `tunnel_ids_reused` | attempts with the tunnel id of an earlier one of the LAC at this LNS |
//! | `messages` | what LACs sent beside SCCRQs, most first: `message_type`, `result`, `error`, `text`, `count` |
//! | `messages_left_out` | messages that are not listed |
//!
//! In an expectation, which ends with its rule when another scenario comes into force, unless it
//! is there as well with the same addresses, treatment and terms:
//!
//! | key | meaning |
//! |---|---|
//! | `scenario`, `rule` | the numbers of the first rule that it belonged to |
//! | `place` | `line` and `column` of that rule in its file; `null` in the default, and in what was set on a running responder |
//! | `lns`, `lac` | lists of prefixes that the rule is for; an empty one is for all that have no rule |
//! | `lac_name` | the names of LACs that the rule is for, with `*` and `?`; missing where it is for all |
//! | `fault` | what it is called |
//! | `expect` | what is expected, as a scenario has it |
//! | `sentence` | all of that, for people: its wording may change |
//! | `verdict` | `passed`: every part was seen, and none was broken; `failed`: some part was broken for certain; `not-seen` otherwise |
//! | `attempts` | `seen` in all, `fulfilled` what was expected, were `broken`; `unknown` by the reason, as in a fault |
//! | `parts` | `reaction`, `to`, `within`, `acknowledge` and `lockout`: attempts of which it was `expected`, and how often it was `fulfilled` and `broken`. A lockout is when a LAC came back |
//! | `breakers` | the first that broke it |
//! | `breakers_left_out` | how often it was broken beside those |
//!
//! A breaker has `lac`, the `lns` and `at_s`, the seconds from the start to the attempt, the
//! number of `times` that it broke the same parts, and in `broken` an object for each part with
//! `part`, what was `measured_ns` where that is a time, and for people what was `seen` and what was
//! `expected`.
//!
//! In a LAC of `noisiest`:
//!
//! | key | meaning |
//! |---|---|
//! | `lac` | its address |
//! | `host_name`, `vendor_name`, `firmware` | what it said of itself in its last SCCRQ (RFC 2661 §4.4.3): up to 64 octets of each name, in which what cannot be printed is `\xNN`; `null` where it said nothing |
//! | `messages`, `attempts`, `retransmissions` | that it made: all messages, attempts, SCCRQs that came again |
//! | `order` | its LNSs, in the order of its first attempts at them |
//! | `selection` | how it chooses one: `unknown`, `single`, `preference`, `round-robin` |
//! | `parallel` | whether it had several tunnels under way, so that little is known of its reactions |
//! | `events_lost` | whether events of it may have been lost |
//! | `visits` | an object for each fault that it met: `scenario`, `rule`, `lns`, `attempts`, `open`, `retransmissions_before`, `retransmissions_after`, attempts that were `acknowledged` rightly or with a `wrong_nr` only, attempts by `reactions`, and those that are `unknown`; the `last` reaction, what followed the last attempt that was followed by one (`next_lns`, `next_after_ns`), and the last `lockout_ns` |
//!
//! Durations that were counted have `count`, `min_ns`, `median_ns`, `p99_ns` and `max_ns`.
//! The median and the 99th percentile are at most 1.6 % off. Addresses are texts. So are the
//! words of LACs, which are as they came: whoever shows them has to escape them.

mod expectation;
mod fault;
mod lac;

use std::time::Duration;

use serde::Serialize;

use self::expectation::Expectation;
use self::fault::Fault;
use self::lac::Lac;
use super::{Report, caveats, expectations, sentences};
use crate::track::findings::{OverTime, Selections, Totals};

/// The number of the form, to be raised when a key goes away or changes its meaning.
const SCHEMA: u32 = 2;

/// The report in JSON, indented, with a line break at the end.
pub fn json(report: &Report) -> String {
    let mut text = match serde_json::to_string_pretty(&Document::of(report)) {
        Ok(text) => text,
        // Texts, numbers, lists, and maps whose keys are texts can always be written.
        Err(error) => unreachable!("plain data is JSON: {error}"),
    };
    text.push('\n');
    text
}

#[derive(Serialize)]
struct Document<'r> {
    schema: u32,
    started: String,
    duration_s: f64,
    interfaces: &'r [String],
    scenario: &'r str,
    followed_one_of: Option<u64>,
    observed_ns: Option<u64>,
    events: Events,
    lacs: Lacs,
    attempts: Attempts,
    left_out: LeftOut,
    selection: Selection,
    attempts_over_time: Steps<'r>,
    caveats: Vec<String>,
    expectations: Vec<Expectation<'r>>,
    faults: Vec<Fault<'r>>,
    noisiest: Vec<Lac<'r>>,
}

#[derive(Serialize)]
struct Events {
    seen: u64,
    lost: u64,
    forced: u64,
    unmatched: u64,
}

#[derive(Serialize)]
struct Lacs {
    seen: u64,
    open: u64,
    closed: u64,
}

#[derive(Serialize)]
struct Attempts {
    seen: u64,
    retransmissions: u64,
    open: u64,
    reused: u64,
    forgotten: u64,
}

#[derive(Serialize)]
struct LeftOut {
    faults: u64,
    outcomes: u64,
    expectations: LeftExpectations,
}

#[derive(Serialize)]
struct LeftExpectations {
    passed: u64,
    failed: u64,
    #[serde(rename = "not-seen")]
    not_seen: u64,
}

#[derive(Serialize)]
struct Selection {
    unknown: u64,
    single: u64,
    preference: u64,
    #[serde(rename = "round-robin")]
    round_robin: u64,
}

#[derive(Serialize)]
struct Steps<'r> {
    step_s: u64,
    counts: &'r [u64],
}

impl<'r> Document<'r> {
    fn of(report: &'r Report) -> Self {
        let Report {
            facts,
            findings,
            judgements,
            lacs: noisiest,
        } = report;
        let Totals {
            events,
            events_lost,
            events_forced,
            events_unmatched,
            lacs,
            lacs_open,
            lacs_closed,
            attempts,
            retransmissions,
            attempts_open,
            tunnel_ids_reused,
            attempts_forgotten,
            faults_left_out,
            outcomes_left_out,
            memory: _,
            memory_limit: _,
        } = findings.totals;
        let Selections {
            unknown,
            single,
            preference,
            round_robin,
        } = findings.selections;
        let OverTime {
            began: _,
            step_seconds,
            ref counts,
        } = findings.attempts_over_time;
        let faults = findings.faults.iter().zip(sentences(findings));
        let expectations = judgements.all.iter().zip(expectations(judgements));
        Self {
            schema: SCHEMA,
            started: facts.started(),
            duration_s: seconds(facts.duration),
            interfaces: &facts.interfaces,
            scenario: &facts.scenario,
            followed_one_of: facts.followed_one_of(),
            observed_ns: findings
                .span
                .map(|(first, last)| last.saturating_sub(first)),
            events: Events {
                seen: events,
                lost: events_lost,
                forced: events_forced,
                unmatched: events_unmatched,
            },
            lacs: Lacs {
                seen: lacs,
                open: lacs_open,
                closed: lacs_closed,
            },
            attempts: Attempts {
                seen: attempts,
                retransmissions,
                open: attempts_open,
                reused: tunnel_ids_reused,
                forgotten: attempts_forgotten,
            },
            left_out: LeftOut {
                faults: faults_left_out,
                outcomes: outcomes_left_out,
                expectations: LeftExpectations {
                    passed: judgements.former.passed,
                    failed: judgements.former.failed,
                    not_seen: judgements.former.not_seen,
                },
            },
            selection: Selection {
                unknown,
                single,
                preference,
                round_robin,
            },
            attempts_over_time: Steps {
                step_s: step_seconds,
                counts,
            },
            caveats: caveats(report),
            expectations: expectations
                .map(|(judgement, expected)| Expectation::of(judgement, expected))
                .collect(),
            faults: faults
                .map(|(fault, sentence)| Fault::of(fault, &sentence))
                .collect(),
            noisiest: noisiest.iter().map(Lac::of).collect(),
        }
    }
}

/// Seconds to a thousandth.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}
