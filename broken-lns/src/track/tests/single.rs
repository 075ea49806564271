//! One LAC, and one thing that is easily taken for another.

use broken_lns_ebpf::event::Event;
use broken_lns_ebpf::sample::Sample;
use broken_lns_ebpf::verdict::Verdict;
use broken_lns_ebpf::wire::l2tp::{self, Message};

use super::wire::{MICROSECOND, MILLISECOND, SECOND, Talk, Way, lac_address, lns_address};
use super::*;
use crate::track::Source;
use crate::track::findings::{
    Acknowledgement, Conclusion, Doubt, LacMessage, MessageCount, Outcome, Reaction,
};

const FAILOVER: Conclusion = Conclusion::Reaction(Reaction::Failover);
const RETRY: Conclusion = Conclusion::Reaction(Reaction::RetrySame);
const IGNORE: Conclusion = Conclusion::Reaction(Reaction::Ignore);
const GIVE_UP: Conclusion = Conclusion::Reaction(Reaction::GiveUp);
const OPEN: Conclusion = Conclusion::Unknown(Doubt::StillOpen);
const PARALLEL: Conclusion = Conclusion::Unknown(Doubt::Parallel);

/// LAC 1 at an LNS, by a rule: 1 refuses, 2 is silent, 3 refuses late.
fn at(lns: u8, rule: u32, way: Way) -> Talk {
    Talk {
        lac: 1,
        lns,
        rule,
        way,
    }
}

pub(super) fn kernel(lns: u8) -> Talk {
    at(lns, 1, Way::Kernel)
}

fn silent(lns: u8) -> Talk {
    at(lns, 2, Way::Kernel)
}

/// The tracker after these events and until `end`, and the outcomes.
fn follow(mut events: Vec<Event>, end: u64) -> (Tracker, Vec<Outcome>) {
    let mut tracker = super::tracker();
    events.sort_by_key(|event| event.time);
    for event in events {
        tracker.observe(&event, &[]);
        tracker.advance(event.time);
    }
    tracker.advance(end);
    let mut outcomes = tracker.take_outcomes();
    tracker.finish(end, |outcome| outcomes.push(outcome));
    (tracker, outcomes)
}

/// What these requests come to: each a talk, a time, a tunnel id and a verdict.
fn conclusions(requests: &[(Talk, u64, u16, Verdict)], end: u64) -> Vec<(u16, Conclusion)> {
    let mut events = Vec::new();
    for (talk, time, id, verdict) in requests {
        talk.request(&mut events, *time, *id, *verdict);
    }
    let (_, outcomes) = follow(events, end);
    let mut conclusions: Vec<(u16, Conclusion)> = outcomes
        .iter()
        .map(|outcome| (outcome.tunnel_id, outcome.conclusion))
        .collect();
    conclusions.sort_by_key(|(id, _)| *id);
    conclusions
}

use Verdict::{Answered, Deferred, Passed, Silent};

#[test]
fn the_end_proves_nothing() {
    let one = [(kernel(1), SECOND, 7, Answered)];
    assert_eq!(conclusions(&one, 600 * SECOND), [(7, OPEN)]);
    assert_eq!(conclusions(&one, 601 * SECOND), [(7, GIVE_UP)]);
    // It left after an answer, which is a reaction; silence may not be over yet.
    let two = |talk: fn(u8) -> Talk, verdict| {
        [
            (talk(1), SECOND, 7, verdict),
            (talk(2), 32 * SECOND, 8, verdict),
        ]
    };
    let end = 33 * SECOND;
    assert_eq!(
        conclusions(&two(kernel, Answered), end),
        [(7, FAILOVER), (8, OPEN)]
    );
    assert_eq!(
        conclusions(&two(silent, Silent), end),
        [(7, OPEN), (8, OPEN)]
    );
    assert_eq!(
        conclusions(&two(silent, Silent), 42 * SECOND),
        [(7, FAILOVER), (8, OPEN)]
    );
}

#[test]
fn tunnels_side_by_side_are_no_failover() {
    // The second SCCRQ was on its way when the first one was answered.
    let refused = [
        (kernel(1), SECOND, 7, Answered),
        (kernel(2), SECOND + 20 * MICROSECOND, 8, Answered),
    ];
    let expected = [(7, GIVE_UP), (8, GIVE_UP)];
    assert_eq!(conclusions(&refused, 700 * SECOND), expected);
    // Each is tried again at its own LNS.
    let again = [
        (kernel(1), 31 * SECOND, 9, Answered),
        (kernel(2), 31 * SECOND + 20 * MICROSECOND, 10, Answered),
    ];
    assert_eq!(
        conclusions(&[refused, again].concat(), 700 * SECOND),
        [(7, RETRY), (8, RETRY), (9, GIVE_UP), (10, GIVE_UP)]
    );
    // Which of the two is followed by a third LNS cannot be known.
    let third = [(kernel(3), 31 * SECOND, 9, Answered)];
    assert_eq!(
        conclusions(&[&refused[..], &third].concat(), 700 * SECOND),
        [(7, PARALLEL), (8, PARALLEL), (9, GIVE_UP)]
    );
    // The first one is not over when the second one begins, as it is repeated later.
    let silent = [
        (silent(1), SECOND, 7, Silent),
        (silent(2), SECOND + 500 * MILLISECOND, 8, Silent),
        (silent(1), 2 * SECOND, 7, Silent),
        (silent(2), 2 * SECOND + 500 * MILLISECOND, 8, Silent),
    ];
    assert_eq!(conclusions(&silent, 700 * SECOND), expected);
}

#[test]
fn an_answer_that_comes_after_the_next_attempt_did_not_cause_it() {
    let mut events = Vec::new();
    // A worker takes 30 us, in which the LAC dials its other LNS.
    at(1, 1, Way::Worker).request(&mut events, SECOND, 7, Answered);
    events[1].time = SECOND + 100 * MICROSECOND;
    at(2, 1, Way::Worker).request(&mut events, SECOND + 70 * MICROSECOND, 8, Answered);
    let (tracker, outcomes) = follow(events, 700 * SECOND);
    assert!(outcomes.iter().all(|outcome| outcome.conclusion == GIVE_UP));
    assert!(tracker.lac(lac_address(1)).expect("known").parallel);
}

#[test]
fn who_has_an_answer_does_not_wait_for_the_answers_to_its_retransmissions() {
    // Each of its SCCRQs is answered four seconds later; it goes on after the first answer.
    let (first, second) = (at(1, 3, Way::Worker), at(2, 3, Way::Worker));
    let mut events = Vec::new();
    for (talk, began, id) in [(first, 0, 7), (second, 4_100, 8), (first, 64_000, 9)] {
        for (asked, answered) in [(0, 4_000), (1_000, 5_000), (3_500, 7_500)] {
            talk.request(&mut events, (began + asked) * MILLISECOND, id, Deferred);
            talk.sent(&mut events, (began + answered) * MILLISECOND, id);
        }
    }
    let (tracker, outcomes) = follow(events, 90 * SECOND);
    let told: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            let lockout = outcome.lockout.map(|lockout| lockout.length);
            (outcome.tunnel_id, outcome.conclusion, lockout)
        })
        .collect();
    let locked_out = Some(60 * SECOND);
    assert_eq!(
        told,
        [
            (7, FAILOVER, None),
            (8, FAILOVER, None),
            (9, OPEN, locked_out)
        ]
    );
    assert!(
        !tracker
            .lac(lac_address(1))
            .expect("it is followed")
            .parallel
    );
}

#[test]
fn a_request_that_crosses_the_answer_does_not_wait_for_another_one() {
    // Its second SCCRQ is on the way when the first one is answered, and is answered in turn when
    // the LAC has gone on.
    let (first, second) = (at(1, 3, Way::Worker), at(2, 2, Way::Kernel));
    let mut events = Vec::new();
    first.request(&mut events, 0, 7, Deferred);
    first.sent(&mut events, 4_000 * MILLISECOND, 7);
    first.request(&mut events, 4_020 * MILLISECOND, 7, Deferred);
    second.request(&mut events, 4_120 * MILLISECOND, 8, Silent);
    first.sent(&mut events, 8_020 * MILLISECOND, 7);
    first.request(&mut events, 64_000 * MILLISECOND, 9, Deferred);
    let (tracker, outcomes) = follow(events, 90 * SECOND);
    let one = outcomes.iter().find(|outcome| outcome.tunnel_id == 7);
    let one = one.expect("it was left");
    assert_eq!(one.conclusion, FAILOVER);
    let next = one.next.expect("it went on");
    assert_eq!((next.lns, next.after), (lns_address(2), 120 * MILLISECOND));
    let lac = tracker.lac(lac_address(1)).expect("it is followed");
    assert!(!lac.parallel);
    assert_eq!(lac.visits[0].lockout, Some(60 * SECOND));
}

#[test]
fn a_retransmission_may_cross_the_answer_but_two_ignore_it() {
    let talk = at(1, 3, Way::Kernel);
    let with = |count: u64| {
        let mut events = Vec::new();
        talk.request(&mut events, SECOND, 7, Deferred);
        talk.sent(&mut events, 2 * SECOND, 7);
        for number in 1..=count {
            talk.request(&mut events, 2 * SECOND + number * MICROSECOND, 7, Deferred);
        }
        let (_, outcomes) = follow(events, 700 * SECOND);
        assert_eq!(outcomes[0].retransmissions_after, count as u32);
        outcomes[0].conclusion
    };
    assert_eq!([with(0), with(1), with(2)], [GIVE_UP, GIVE_UP, IGNORE]);
}

#[test]
fn who_ignores_the_answer_is_followed_further() {
    let mut events = Vec::new();
    for time in [1, 2, 4, 8, 16, 24] {
        kernel(1).request(&mut events, time * SECOND, 7, Answered);
    }
    kernel(2).request(&mut events, 32 * SECOND, 8, Answered);
    let (tracker, outcomes) = follow(events, 50 * SECOND);
    assert_eq!(outcomes[0].conclusion, IGNORE);
    let next = outcomes[0].next.expect("it went on");
    assert_eq!((next.lns, next.after), (lns_address(2), 8 * SECOND));
    let fault = &tracker.findings().faults[0];
    assert_eq!(fault.reactions.ignored_then_failover, 1);
    assert_eq!((fault.fault.as_str(), fault.lacs), ("refuse 2/4", 1));
}

#[test]
fn a_tunnel_id_that_comes_back_is_a_new_attempt() {
    let mut events = Vec::new();
    for time in [1, 32, 64] {
        kernel(1).request(&mut events, time * SECOND, 7, Answered);
    }
    // At another LNS it is nothing special.
    kernel(2).request(&mut events, 65 * SECOND, 7, Answered);
    let (tracker, outcomes) = follow(events, 700 * SECOND);
    let findings = tracker.findings();
    assert_eq!(findings.totals.tunnel_ids_reused, 1);
    assert_eq!(findings.faults[0].tunnel_ids_reused, 1);
    assert_eq!(findings.totals.retransmissions, 1);
    let conclusions: Vec<Conclusion> = outcomes.iter().map(|o| o.conclusion).collect();
    assert_eq!(conclusions, [RETRY, FAILOVER, GIVE_UP]);
}

#[test]
fn a_request_that_is_left_to_the_host_is_judged_by_nobody() {
    let passed = [
        (kernel(1), SECOND, 7, Answered),
        (kernel(2), 2 * SECOND, 8, Passed),
    ];
    assert_eq!(
        conclusions(&passed, 700 * SECOND),
        [(7, FAILOVER), (8, Conclusion::Unknown(Doubt::LeftToHost))]
    );
}

#[test]
fn who_comes_back_had_not_given_up() {
    let mut events = Vec::new();
    kernel(1).request(&mut events, SECOND, 7, Answered);
    let (tracker, _) = follow(events.clone(), 700 * SECOND);
    let share = |tracker: &Tracker| tracker.findings().faults[0].reactions.of(Reaction::GiveUp);
    assert_eq!((share(&tracker).attempts, share(&tracker).lacs), (1, 1));
    kernel(1).request(&mut events, 701 * SECOND, 8, Answered);
    let (tracker, outcomes) = follow(events, 702 * SECOND);
    assert_eq!(outcomes[0].conclusion, GIVE_UP);
    assert_eq!((share(&tracker).attempts, share(&tracker).lacs), (0, 0));
    let came_back = &tracker.findings().faults[0].came_back;
    assert_eq!(
        (came_back.count(), came_back.max()),
        (1, Some(700 * SECOND))
    );
}

#[test]
fn a_late_acknowledgement_counts_for_its_attempt() {
    let mut events = Vec::new();
    kernel(1).request(&mut events, SECOND, 7, Answered);
    kernel(2).request(&mut events, SECOND + MILLISECOND, 8, Answered);
    kernel(1).zlb(&mut events, SECOND + 2 * MILLISECOND, 1);
    // A wrong one, and the right one after it.
    kernel(2).zlb(&mut events, SECOND + 3 * MILLISECOND, 7);
    kernel(2).zlb(&mut events, SECOND + 4 * MILLISECOND, 1);
    let (tracker, outcomes) = follow(events, 700 * SECOND);
    let expected = [
        (7, Acknowledgement::Zlb, Some(2 * MILLISECOND)),
        (8, Acknowledgement::Zlb, Some(3 * MILLISECOND)),
    ];
    let seen = outcomes
        .iter()
        .map(|o| (o.tunnel_id, o.acknowledgement, o.round_trip));
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    for fault in tracker.findings().faults {
        let counted = fault.acknowledged;
        assert_eq!((counted.zlb, counted.wrong_nr, counted.none), (1, 0, 0));
        assert_eq!((counted.lacs, counted.round_trip.count()), (1, 1));
    }
}

#[test]
fn a_round_trip_is_not_measured_where_the_stopccn_was_sent_twice() {
    let mut events = Vec::new();
    kernel(1).request(&mut events, SECOND, 7, Answered);
    kernel(1).sent(&mut events, 2 * SECOND, 7);
    kernel(1).zlb(&mut events, 2 * SECOND + MILLISECOND, 1);
    kernel(1).zlb(&mut events, 2 * SECOND + 2 * MILLISECOND, 1);
    let (_, outcomes) = follow(events, 700 * SECOND);
    assert_eq!(outcomes[0].acknowledgement, Acknowledgement::Zlb);
    assert_eq!(
        (outcomes[0].round_trip, outcomes[0].answered),
        (None, Some(SECOND))
    );
}

#[test]
fn an_acknowledgement_may_be_handed_over() {
    let mut events = Vec::new();
    kernel(1).request(&mut events, SECOND, 7, Answered);
    kernel(1).zlb(&mut events, SECOND + MILLISECOND, 1);
    events[1].verdict = Event::HANDED_OVER;
    let (tracker, outcomes) = follow(events, 700 * SECOND);
    assert_eq!(outcomes[0].acknowledgement, Acknowledgement::Zlb);
    let findings = tracker.findings();
    assert_eq!(
        (
            findings.faults[0].messages.len(),
            findings.totals.events_unmatched
        ),
        (0, 0)
    );
}

#[test]
fn what_the_lac_says_is_counted_without_its_retransmissions() {
    let mut events = Vec::new();
    kernel(1).request(&mut events, SECOND, 7, Answered);
    for time in [2, 3] {
        kernel(1).stop_ccn(&mut events, time * SECOND, 0);
    }
    // Another LAC that never asked.
    let stranger = Talk {
        lac: 2,
        ..kernel(1)
    };
    stranger.stop_ccn(&mut events, 4 * SECOND, 0);
    let mut message = Message::<64>::new()
        .avp(l2tp::MESSAGE_TYPE, &[&l2tp::STOP_CCN.to_be_bytes()])
        .avp(l2tp::RESULT_CODE, &[&[0, 6, 0, 0], b"bye"]);
    let message = message.finish().expect("fits");
    let mut tracker = super::tracker();
    for event in &events {
        tracker.observe(event, message);
    }
    tracker.finish(5 * SECOND, |_| ());
    let findings = tracker.findings();
    let message = LacMessage {
        message_type: 4,
        result: Some(6),
        error: Some(0),
        text: Some("bye".to_owned()),
    };
    let expected = [MessageCount { message, count: 1 }];
    assert_eq!(findings.faults[0].messages, expected);
    // A StopCCN with Nr 0 acknowledges nothing.
    assert_eq!(findings.faults[0].acknowledged.piggyback, 0);
    assert_eq!(
        (findings.totals.events, findings.totals.events_unmatched),
        (4, 1)
    );
}

#[test]
fn only_the_sample_is_followed() {
    let sample = Sample::one_of(2);
    let mut tracker = Tracker::new(Settings {
        sample,
        ..Settings::default()
    });
    let mut events = Vec::new();
    for lac in 0..100 {
        Talk { lac, ..kernel(1) }.request(&mut events, SECOND, 7, Answered);
    }
    for event in &events {
        tracker.observe(event, &[]);
    }
    tracker.finish(SECOND, |_| ());
    let expected = events.iter().filter(|event| sample.has(event.lac)).count();
    assert_eq!(tracker.findings().totals.lacs, expected as u64);
    assert!((30..70).contains(&expected));
}

#[test]
fn the_noisiest_come_first() {
    let mut events = Vec::new();
    for lac in 1..=5 {
        for number in 0..lac {
            let time = SECOND * u64::from(10 * number + 10 - lac);
            let id = number as u16 + 1;
            Talk { lac, ..kernel(1) }.request(&mut events, time, id, Answered);
        }
    }
    let (tracker, _) = follow(events, 60 * SECOND);
    let addresses = |lacs: Vec<LacFindings>| lacs.iter().map(|lac| lac.lac).collect::<Vec<_>>();
    let expected = |lacs: [u32; 2]| lacs.map(lac_address);
    assert_eq!(addresses(tracker.noisiest(2)), expected([5, 4]));
    assert_eq!(tracker.noisiest(0), []);
    assert_eq!(tracker.noisiest(9).len(), 5);
}

#[test]
fn a_lockout_belongs_to_the_fault_that_it_was_for() {
    let mut events = Vec::new();
    kernel(1).request(&mut events, SECOND, 7, Answered);
    kernel(2).request(&mut events, 2 * SECOND, 8, Answered);
    silent(1).request(&mut events, 62 * SECOND, 9, Silent);
    let (_, outcomes) = follow(events, 80 * SECOND);
    let of = |id| outcomes.iter().find(|outcome| outcome.tunnel_id == id);
    let lockout = of(9).expect("it is told").lockout.expect("it came back");
    assert_eq!((lockout.fault.rule, lockout.length), (1, 61 * SECOND));
    assert_eq!(of(8).expect("it is told").lockout, None);
}

#[test]
fn quiet_is_told_where_it_is_certain() {
    let quiet = |events, end| {
        let (_, outcomes) = follow(events, end);
        let outcomes = outcomes.iter();
        let mut quiet: Vec<_> = outcomes
            .map(|outcome| (outcome.tunnel_id, outcome.quiet))
            .collect();
        quiet.sort_unstable();
        quiet
    };
    let mut events = Vec::new();
    kernel(1).request(&mut events, SECOND, 7, Answered);
    assert_eq!(quiet(events.clone(), 31 * SECOND), [(7, Some(30 * SECOND))]);
    assert_eq!(
        quiet(events.clone(), 900 * SECOND),
        [(7, Some(600 * SECOND))]
    );
    // What it did next is no quiet, whether it is sure to be a reaction or not.
    silent(2).request(&mut events, 2 * SECOND, 8, Silent);
    silent(3).request(&mut events, 9 * SECOND, 9, Silent);
    assert_eq!(
        quiet(events, 10 * SECOND),
        [(7, None), (8, None), (9, Some(SECOND))]
    );
    // Two at once: the third may follow either, and nothing followed the third.
    let mut events = Vec::new();
    for (lns, time, id) in [(1, 1, 7), (2, 1, 8), (3, 2, 9)] {
        kernel(lns).request(&mut events, time * SECOND, id, Answered);
    }
    assert_eq!(
        quiet(events, 10 * SECOND),
        [(7, None), (8, None), (9, Some(8 * SECOND))]
    );
}

/// The name of a fault that is met when so many scenarios came after its own, each with that
/// many rules.
fn name_after(scenarios: u32, rules: usize) -> String {
    let mut tracker = Tracker::new(Settings::default());
    for number in 0..=scenarios {
        let rule = Rule {
            fault: format!("fault {number}"),
            refuses: true,
            source: Source::RIGHT,
        };
        tracker.enter(number, vec![rule; rules]);
    }
    let mut events = Vec::new();
    at(1, 0, Way::Kernel).request(&mut events, SECOND, 7, Answered);
    tracker.observe(&events[0], &[]);
    tracker.finish(2 * SECOND, |_| ());
    tracker.findings().faults.remove(0).fault
}

#[test]
fn the_rules_of_former_scenarios_are_known_for_a_while() {
    assert_eq!(name_after(0, 1), "fault 0");
    assert_eq!(name_after(100_000, 1), "fault 0");
    // Of large ones the last four are.
    assert_eq!(name_after(3, 1 << 17), "fault 0");
    assert_eq!(name_after(4, 1 << 17), "rule 0 of scenario 0");
}

#[test]
fn a_malformed_request_is_no_event_that_fits_nothing() {
    let mut events = Vec::new();
    kernel(1).request(&mut events, SECOND, 0, Verdict::NoTunnelId);
    let (tracker, outcomes) = follow(events, 2 * SECOND);
    let totals = tracker.findings().totals;
    assert_eq!((totals.events, totals.events_unmatched), (1, 0));
    assert_eq!((totals.lacs, outcomes.len()), (0, 0));
}
