//! What was seen of real LACs and BNGs, and what may be said of it.

use broken_lns_ebpf::event::Event;
use broken_lns_ebpf::verdict::Verdict::{Answered, Silent};
use broken_lns_ebpf::wire::l2tp::{self, Message};

use super::wire::{MICROSECOND, MILLISECOND, SECOND, Talk, Way, lns_address};
use super::*;
use crate::scenario::Group;
use crate::track::findings::Reaction;

const PARALLEL: Conclusion = Conclusion::Unknown(Doubt::Parallel);
const FAILOVER: Conclusion = Conclusion::Reaction(Reaction::Failover);
const RETRY: Conclusion = Conclusion::Reaction(Reaction::RetrySame);
const GIVE_UP: Conclusion = Conclusion::Reaction(Reaction::GiveUp);

/// The LAC at an LNS that refuses, and from a port.
fn from_port(lns: u8, port: u16) -> Talk {
    Talk {
        lac: 1,
        lns,
        rule: 1,
        way: Way::Kernel,
        port,
    }
}

fn refusing(lns: u8) -> Talk {
    from_port(lns, 1701)
}

fn silent(lns: u8) -> Talk {
    Talk {
        rule: 2,
        ..refusing(lns)
    }
}

/// An attempt that is refused, and acknowledged after so long.
fn refused(events: &mut Vec<Event>, talk: Talk, time: u64, id: u16, acknowledged_after: u64) {
    talk.request(events, time, id, Answered);
    talk.zlb(events, time + acknowledged_after, 1);
}

/// What is concluded at last of these events, where LNSs are in these groups.
fn outcomes_in(groups: Groups, mut events: Vec<Event>, end: u64) -> (Tracker, Vec<Outcome>) {
    events.sort_by_key(|event| event.time);
    let mut tracker = Tracker::new(Settings::default());
    tracker.enter(0, rules(), groups);
    let mut news = Vec::new();
    for event in events {
        tracker.observe(&event, &[]);
        news.extend(tracker.take_news());
    }
    tracker.advance(end);
    tracker.finish(end, |told| news.push(told));
    let mut outcomes = settled(news);
    outcomes.sort_by_key(|outcome| outcome.began);
    (tracker, outcomes)
}

fn outcomes(events: Vec<Event>, end: u64) -> (Tracker, Vec<Outcome>) {
    outcomes_in(Groups::default(), events, end)
}

fn conclusions(outcomes: &[Outcome]) -> Vec<Conclusion> {
    outcomes.iter().map(|outcome| outcome.conclusion).collect()
}

#[test]
fn two_groups_of_one_lac_each_fail_over_within() {
    let group = |name: &str, lnss: [u8; 2]| Group {
        name: name.to_owned(),
        lns: lnss.map(|lns| lns_address(lns).into()).to_vec(),
    };
    let groups = Groups::new(vec![group("a", [1, 2]), group("b", [11, 12])]);
    let mut events = Vec::new();
    for (number, round) in [0, 30, 60].into_iter().enumerate() {
        let at = |tenths: u64| (10 + 10 * round + tenths) * 100 * MILLISECOND;
        let id = 4 * number as u16;
        refused(&mut events, refusing(1), at(0), id + 1, MILLISECOND);
        refused(&mut events, refusing(11), at(5), id + 2, MILLISECOND);
        refused(&mut events, refusing(2), at(10), id + 3, MILLISECOND);
        refused(&mut events, refusing(12), at(15), id + 4, MILLISECOND);
    }
    let (_, outcomes) = outcomes_in(groups.expect("disjoint"), events, 900 * SECOND);
    let to = |first: u8| {
        let those = outcomes
            .iter()
            .filter(|outcome| outcome.fault.lns == lns_address(first));
        those
            .map(|outcome| {
                (
                    outcome.conclusion,
                    outcome.next.map(|next| (next.lns, next.after)),
                )
            })
            .collect::<Vec<_>>()
    };
    let after_1s = |lns| (FAILOVER, Some((lns_address(lns), SECOND)));
    assert_eq!(to(1), [after_1s(2); 3]);
    assert_eq!(to(11), [after_1s(12); 3]);
}

#[test]
fn of_a_pool_nothing_is_claimed() {
    // Twenty subscribers a second, each of whom asks one of two LNSs and then the other one.
    let mut numbers = Numbers(0x1701);
    let mut events = Vec::new();
    for subscriber in 0..400_u16 {
        let time = SECOND + u64::from(subscriber) * 50 * MILLISECOND;
        let first = 1 + numbers.below(2) as u8;
        let id = 2 * subscriber;
        refused(
            &mut events,
            refusing(first),
            time,
            id + 1,
            200 * MICROSECOND,
        );
        let turned = time + 100 * MILLISECOND + numbers.below(MILLISECOND);
        refused(
            &mut events,
            refusing(3 - first),
            turned,
            id + 2,
            200 * MICROSECOND,
        );
    }
    let (tracker, outcomes) = outcomes(events, 900 * SECOND);
    assert_eq!(outcomes.len(), 800);
    // But of the very last one: nothing followed it.
    let known = outcomes
        .iter()
        .filter(|it| it.conclusion.reaction().is_some());
    let known: Vec<_> = known.map(|outcome| outcome.conclusion).collect();
    assert_eq!(known, [GIVE_UP]);
    let faults = tracker.findings().faults;
    let retried = faults
        .iter()
        .map(|fault| fault.reactions.of(Reaction::RetrySame));
    assert!(retried.into_iter().all(|share| share.attempts == 0));
}

#[test]
fn two_tunnels_at_once_are_no_failover() {
    for late in [100 * MILLISECOND, 800 * MILLISECOND] {
        let mut events = Vec::new();
        refused(&mut events, refusing(1), SECOND, 7, late);
        let second = SECOND + 400 * MICROSECOND;
        refused(&mut events, refusing(2), second, 8, late);
        let (tracker, outcomes) = outcomes(events, 900 * SECOND);
        assert_eq!(conclusions(&outcomes), [PARALLEL, GIVE_UP]);
        assert!(tracker.lacs().all(|lac| lac.parallel));
        let faults = tracker.findings().faults;
        assert_eq!(
            faults
                .iter()
                .map(|fault| fault.acknowledged.zlb)
                .sum::<u64>(),
            2
        );
    }
}

#[test]
fn the_same_tunnel_id_again_is_a_new_attempt() {
    // From another port: a client that ends after each refusal, and is started again.
    let mut events = Vec::new();
    for number in 0..14_u16 {
        let time = SECOND * u64::from(1 + 3 * number);
        from_port(1, 40_000 + number).request(&mut events, time, 64_773, Answered);
    }
    let (tracker, outcomes) = outcomes(events, 900 * SECOND);
    let totals = tracker.findings().totals;
    assert_eq!((totals.attempts, totals.retransmissions), (14, 0));
    assert_eq!(conclusions(&outcomes)[..13], [RETRY; 13]);

    // From the same port, where an acknowledgement came in between.
    let mut events = Vec::new();
    for number in 0..3 {
        refused(
            &mut events,
            refusing(1),
            SECOND * (1 + 3 * number),
            1,
            MILLISECOND,
        );
    }
    let (_, outcomes) = self::outcomes(events, 900 * SECOND);
    assert_eq!(conclusions(&outcomes), [RETRY, RETRY, GIVE_UP]);

    // Or a StopCCN of the LAC.
    let mut events = Vec::new();
    for number in 0..3 {
        let time = SECOND * (1 + 3 * number);
        silent(1).request(&mut events, time, 1, Silent);
        silent(1).stop_ccn(&mut events, time + SECOND, 0);
    }
    let (_, outcomes) = self::outcomes(events, 900 * SECOND);
    assert_eq!(conclusions(&outcomes), [RETRY, RETRY, GIVE_UP]);
}

#[test]
fn octets_that_differ_are_another_sccrq() {
    let sccrq = |tie_breaker: u8| {
        let mut message = Message::<100>::new()
            .avp(l2tp::MESSAGE_TYPE, &[&l2tp::SCCRQ.to_be_bytes()])
            .avp(l2tp::ASSIGNED_TUNNEL_ID, &[&[0, 1]])
            .avp(l2tp::TIE_BREAKER, &[&[tie_breaker; 8]]);
        message.finish().expect("it fits").to_vec()
    };
    let attempts = |tie_breakers: [u8; 3]| {
        let mut tracker = tracker();
        for (second, tie_breaker) in (1..).zip(tie_breakers) {
            let mut events = Vec::new();
            refusing(1).request(&mut events, second * SECOND, 1, Answered);
            tracker.observe(&events[0], &sccrq(tie_breaker));
        }
        let totals = tracker.findings().totals;
        (totals.attempts, totals.retransmissions)
    };
    assert_eq!(attempts([1, 1, 1]), (1, 2));
    assert_eq!(attempts([1, 2, 3]), (3, 0));
}

#[test]
fn the_end_is_the_reason_where_nothing_was_lost() {
    let mut events = Vec::new();
    refusing(1).request(&mut events, SECOND, 7, Answered);
    let (tracker, outcomes) = outcomes(events, SECOND + 100 * MILLISECOND);
    let unknown = Acknowledgement::Unknown(Doubt::StillOpen);
    assert_eq!(outcomes[0].acknowledgement, unknown);
    let acknowledged = &tracker.findings().faults[0].acknowledged;
    assert_eq!(acknowledged.unknown(Doubt::StillOpen), 1);
    assert_eq!(acknowledged.unknown.iter().sum::<u64>(), 1);
}

#[test]
fn whoever_says_anything_has_not_given_up() {
    let mut events = Vec::new();
    for second in [1, 2, 4, 8, 16] {
        silent(1).request(&mut events, second * SECOND, 7, Silent);
    }
    // It clears the tunnel, and repeats that until 46 s.
    for second in [31, 32, 34, 38, 46] {
        silent(1).stop_ccn(&mut events, second * SECOND, 0);
    }
    let told = |end| conclusions(&outcomes(events.clone(), end * SECOND).1);
    assert_eq!(told(645), [Conclusion::Unknown(Doubt::StillOpen)]);
    assert_eq!(told(646), [GIVE_UP]);
}

#[test]
fn what_a_lac_does_that_comes_back_is_its_reaction() {
    let mut events = Vec::new();
    refused(&mut events, refusing(1), SECOND, 7, MILLISECOND);
    refused(&mut events, refusing(2), 901 * SECOND, 8, MILLISECOND);
    let (tracker, outcomes) = outcomes(events, 1_000 * SECOND);
    assert_eq!(outcomes[0].conclusion, FAILOVER);
    let faults = tracker.findings().faults;
    assert_eq!(faults[0].reactions.of(Reaction::Failover).attempts, 1);
    assert_eq!(faults[0].reactions.of(Reaction::GiveUp).attempts, 0);
    assert_eq!(faults[0].came_back.count(), 1);
}

#[test]
fn tunnel_id_0_is_an_acknowledgement_of_its_own_kind() {
    let mut events = Vec::new();
    refusing(1).request(&mut events, SECOND, 7, Answered);
    refusing(1).zlb_for(&mut events, SECOND + 100 * MILLISECOND, 1, 0);
    let (tracker, outcomes) = outcomes(events, 900 * SECOND);
    assert_eq!(outcomes[0].acknowledgement, Acknowledgement::ZeroTunnelId);
    let acknowledged = &tracker.findings().faults[0].acknowledged;
    assert_eq!((acknowledged.zlb, acknowledged.zero_tunnel_id), (0, 1));
}
