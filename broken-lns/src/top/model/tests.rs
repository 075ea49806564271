use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::control::protocol::tests::{rule, status};
use crate::snapshot::QueueSnapshot;
use crate::track::findings::Reaction;

/// What a responder says `seconds` after its start, having answered so many on queue 0.
pub(in crate::top) fn sample(seconds: u64, answered: u64) -> Sample {
    let mut status = status();
    status.uptime_ms = seconds * 1000;
    let counters = &mut status.counters;
    counters.elapsed = Duration::from_secs(seconds);
    let interface = &mut counters.interfaces[0];
    interface.verdicts[Verdict::Answered as usize] = answered;
    interface.queues[0].answered = answered;
    let hits = answered / 2;
    Sample {
        status,
        rules: vec![
            rule(None, &[], &[], answered - hits),
            rule(
                Some((3, 1)),
                &["192.0.2.0/24", "192.0.3.1"],
                &["10.0.0.0/8"],
                hits,
            ),
        ],
        reactions: None,
    }
}

fn taken(samples: impl IntoIterator<Item = Sample>) -> Model {
    let mut model = Model::default();
    samples.into_iter().for_each(|sample| model.take(sample));
    model
}

fn rates(flow: &Flow) -> Vec<u64> {
    flow.rates().collect()
}

#[test]
fn one_sample_has_no_rates() {
    let model = taken([sample(10, 500)]);
    assert_eq!(
        (model.answered().total(), model.answered().per_second()),
        (500, 0.0)
    );
    assert!(rates(model.answered()).is_empty());
    assert!(model.rules().all(|(_, per_second)| per_second == 0.0));
    assert!(taken([]).status().is_none());
}

#[test]
fn two_samples_have_rates_over_the_time_in_between() {
    let model = taken([sample(10, 500), sample(12, 700), sample(14, 740)]);
    assert_eq!(rates(model.answered()), [20, 100]);
    assert_eq!(rates(model.received()), [20, 100]);
    let verdicts: Vec<_> = model
        .verdicts()
        .map(|(verdict, flow)| (verdict.label(), flow.total(), flow.per_second()))
        .collect();
    assert_eq!(
        verdicts,
        [
            ("answered", 740, 20.0),
            ("zlb", 1005, 0.0),
            ("length-too-long", 2, 0.0),
            ("other-traffic", 77, 0.0)
        ]
    );
    let [queue] = model.queues() else {
        panic!("there is one queue: {:?}", model.queues());
    };
    assert_eq!(
        (queue.interface.as_str(), queue.number, queue.dropped),
        ("eth1", 0, 9)
    );
    assert_eq!(rates(&queue.answered), [20, 100]);
    let rules: Vec<_> = model
        .rules()
        .map(|(rule, rate)| (rule.hits, rate))
        .collect();
    assert_eq!(rules, [(370, 10.0), (370, 10.0)]);
}

#[test]
fn counters_that_began_anew_have_no_rate_at_first() {
    let model = taken([sample(100, 50_000), sample(101, 50_100), sample(1, 7)]);
    assert_eq!(
        (model.answered().total(), rates(model.answered())),
        (7, vec![100])
    );
    let model = taken([sample(100, 50_000), sample(1, 7), sample(2, 17)]);
    assert_eq!(rates(model.answered()), [10]);
}

#[test]
fn another_responder_has_no_past() {
    let mut other = sample(110, 60_000);
    other.status.pid += 1;
    let mut model = taken([sample(99, 49_000), sample(100, 50_000)]);
    model.away(true, "it ended", UNIX_EPOCH);
    model.take(other);
    assert_eq!(
        (model.answered().total(), model.answered().per_second()),
        (60_000, 0.0)
    );
    assert!(rates(model.answered()).is_empty());
    assert_eq!(model.is_away(), None);
}

#[test]
fn what_was_not_there_before_has_no_rate() {
    let mut more = sample(11, 600);
    more.rules.push(rule(Some((9, 1)), &["192.0.2.9"], &[], 40));
    more.rules[1].lns.pop();
    more.status.counters.interfaces[0]
        .queues
        .push(QueueSnapshot {
            queue: 1,
            answered: 40,
            ..QueueSnapshot::default()
        });
    let model = taken([sample(10, 500), more]);
    let rates_of_rules: Vec<_> = model.rules().map(|(_, rate)| rate).collect();
    assert_eq!(rates_of_rules, [50.0, 0.0, 0.0]);
    let rates_of_queues: Vec<_> = model
        .queues()
        .iter()
        .map(|queue| queue.answered.per_second())
        .collect();
    assert_eq!(rates_of_queues, [100.0, 0.0]);
}

#[test]
fn away_is_since_the_first_time_and_for_the_last_reason() {
    let mut model = taken([sample(10, 500)]);
    let later = UNIX_EPOCH + Duration::from_secs(60);
    model.away(false, "it did not answer", UNIX_EPOCH);
    model.away(true, "there is no control socket; is it running?", later);
    assert_eq!(
        model.is_away(),
        Some(&Away {
            is_gone: true,
            since: UNIX_EPOCH,
            why: "there is no control socket".to_owned(),
        })
    );
    // What it said stays.
    assert_eq!(model.answered().total(), 500);
    model.take(sample(70, 600));
    assert_eq!(model.is_away(), None);
}

#[test]
fn a_panel_is_there_if_there_is_something_in_it() {
    let mut some = sample(10, 500);
    some.status.counters.interfaces[0].queues.clear();
    assert_eq!(
        taken([some.clone()]).panels(),
        [Panel::Verdicts, Panel::Rules]
    );
    some.reactions = Some(Reactions::default());
    assert_eq!(
        taken([some.clone()]).panels(),
        [Panel::Verdicts, Panel::Rules]
    );
    some.reactions = Some(reactions());
    assert_eq!(
        taken([some]).panels(),
        [Panel::Verdicts, Panel::Rules, Panel::Lacs, Panel::Reactions]
    );
}

/// What two LACs did.
pub(in crate::top) fn reactions() -> Reactions {
    let lacs = [
        ("198.51.100.2", 12, Some(1500)),
        ("2001:db8:a::2", 3400, None),
    ];
    Reactions {
        last: vec![Reacted {
            lac: "198.51.100.2".parse().expect("an address"),
            lns: "192.0.2.1".parse().expect("an address"),
            reaction: Reaction::Failover,
            next: Some("192.0.2.2".parse().expect("an address")),
            after_ns: Some(12_000_000),
            at_ns: 3_500_000_000,
        }],
        lacs: lacs
            .map(|(lac, messages, slowest)| LacLine {
                lac: lac.parse().expect("an address"),
                host_name: None,
                messages,
                slowest_ns: slowest.map(|milliseconds: u64| milliseconds * 1_000_000),
            })
            .to_vec(),
    }
}
