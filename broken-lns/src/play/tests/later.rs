//! What it sends later, and again.

use super::*;
use crate::attempts::Attempts;
use crate::retransmission::Retransmissions;

#[test]
fn a_delayed_reply_is_that_of_once_later() {
    let at_once = Stage::new(default("fault = \"refuse\"")).receive(0, &[&SCCRQ]);
    let mut stage = Stage::new(default("fault = \"refuse\"\ndelay = \"2s\""));
    assert!(stage.receive(SECOND, &[&SCCRQ]).is_empty());
    assert_eq!(stage.verdict(Verdict::Deferred), 1);
    assert_eq!(stage.player.next_due(), Some(3 * SECOND));
    assert!(stage.due(3 * SECOND - 1).is_empty());
    assert_eq!(stage.due(3 * SECOND), at_once);
    assert_eq!(stage.count(Sent::Later), 1);
    assert_eq!((stage.player.next_due(), stage.umem.free()), (None, 32));
}

#[test]
fn at_the_bound_the_oldest_debt_is_dropped_and_counted() {
    let delayed = default("fault = \"refuse\"\ndelay = \"1s\"");
    let bound = NonZeroU32::new(2).expect("not zero");
    let mut stage = Stage::with_room(delayed, 8, bound);
    for number in 1..=5 {
        stage.receive(number, &[&request(number as u16)]);
    }
    let sent = stage.due(2 * SECOND);
    let tunnels: Vec<_> = sent.iter().map(|frame| frame[HEADERS + 5]).collect();
    assert_eq!(tunnels, [4, 5]);
    assert_eq!(stage.count(Sent::Dropped), 3);
    assert_eq!(stage.verdict(Verdict::Deferred), 5);
}

#[test]
fn attempts_that_are_forgotten_at_the_bound_are_counted() {
    let mut stage = Stage::new(default("fault = \"refuse\"\nfirst = 1\nthen = \"silent\""));
    stage.player.acts.current.attempts = Attempts::new(NonZeroU32::MIN);
    let mut other = SCCRQ;
    other[LAC + 3] = 2;
    let answered = [&request(1), &request(2), &other, &request(3)]
        .map(|frame| stage.receive(0, &[frame]).len());
    // The third is of another LAC, for which the first one is forgotten, and so begins anew.
    assert_eq!(answered, [1, 0, 1, 1]);
    assert_eq!(stage.count(Sent::Forgotten), 2);
}

#[test]
fn a_stop_ccn_that_is_given_up_at_the_bound_is_counted() {
    let mut stage = Stage::new(default("fault = \"refuse\"\nretransmit = true"));
    stage.player.acts.current.waiting = Some(Retransmissions::new(NonZeroU32::MIN));
    for tunnel_id in 1..=3 {
        assert_eq!(stage.receive(0, &[&request(tunnel_id)]).len(), 1);
    }
    assert_eq!(stage.count(Sent::NotAgain), 2);
    let again = stage.due(SECOND);
    let tunnels: Vec<_> = again.iter().map(|frame| frame[HEADERS + 5]).collect();
    assert_eq!(tunnels, [3]);
}

#[test]
fn what_is_dropped_while_something_is_sent_is_counted() {
    let text = "fault = \"refuse\"\nretransmit = true\ndelay = \"1s\"";
    let mut stage = Stage::new(default(text));
    stage.player.acts.current.waiting = Some(Retransmissions::new(NonZeroU32::MIN));
    stage.receive(0, &[&request(1), &request(2)]);
    assert_eq!(stage.count(Sent::NotAgain), 0);
    assert_eq!(stage.due(SECOND).len(), 2);
    assert_eq!(stage.count(Sent::NotAgain), 1);
}

#[test]
fn a_debt_waits_for_a_free_frame() {
    let mut stage = Stage::new(default("fault = \"refuse\"\ndelay = \"1s\""));
    stage.receive(0, &[&SCCRQ]);
    let taken: Vec<_> = std::iter::from_fn(|| stage.umem.take()).collect();
    assert!(stage.due(SECOND).is_empty());
    for address in taken {
        stage.umem.give(address);
    }
    assert_eq!(stage.due(2 * SECOND).len(), 1);
}

#[test]
fn a_stop_ccn_is_sent_again_until_it_is_acknowledged() {
    for (acknowledged, again) in [(true, 1), (false, 5)] {
        let mut stage = Stage::new(default("fault = \"refuse\"\nretransmit = true"));
        let first = stage.receive(0, &[&SCCRQ]);
        assert_eq!(first.len(), 1);
        assert_eq!(stage.due(SECOND), first);
        if acknowledged {
            stage.acknowledge(SECOND + 1);
        }
        for second in 2..60 {
            for frame in stage.due(second * SECOND) {
                assert_eq!(frame, first[0]);
            }
        }
        assert_eq!(stage.count(Sent::Again), again);
    }
}

#[test]
fn a_delayed_stop_ccn_is_sent_again_after_its_delay() {
    let text = "fault = \"refuse\"\nretransmit = true\ndelay = \"10s\"";
    let mut stage = Stage::new(default(text));
    stage.receive(0, &[&SCCRQ]);
    let seconds: Vec<_> = (1..50)
        .filter(|second| !stage.due(second * SECOND).is_empty())
        .collect();
    assert_eq!(seconds, [10, 11, 13, 17, 25, 33]);
}

#[test]
fn a_change_acts_from_the_next_batch_on_and_keeps_what_is_owed() {
    let mut stage = Stage::new(default("fault = \"refuse\"\nresult = 4\ndelay = \"5s\""));
    stage.receive(0, &[&SCCRQ]);
    stage
        .remote
        .set(default("fault = \"refuse\"\nresult = 6"), 1);
    assert_eq!(codes(&stage.receive(SECOND, &[&SCCRQ])[0]), (6, 4));
    stage
        .remote
        .set(default("fault = \"refuse\"\nresult = 1\ndelay = \"1s\""), 2);
    assert!(stage.receive(2 * SECOND, &[&SCCRQ]).is_empty());
    let sent: Vec<_> = [3, 5].map(|second| stage.due(second * SECOND)).concat();
    let codes: Vec<_> = sent.iter().map(|frame| codes(frame)).collect();
    assert_eq!(codes, [(1, 4), (4, 4)]);
    assert!(!stage.player.acts.has_past());
    assert_eq!(stage.remote.hits().collect::<Vec<_>>(), [1]);
}

/// Octet by octet what the former scenario has it be, copies included, whatever is played by then.
#[test]
fn a_reply_that_is_owed_is_that_of_its_scenario() {
    let former = "result = 2\nmessage = \"Former\"\nassigned_tunnel_id = 4711\nrepeat = 2";
    let at_once = default(&format!("fault = \"refuse\"\n{former}"));
    let expected = Stage::new(at_once).receive(0, &[&SCCRQ]);
    assert_eq!(expected.len(), 2);
    for next in [
        "fault = \"refuse\"",
        "fault = \"silent\"",
        "fault = \"refuse\"\ndelay = \"9s\"",
        "fault = \"refuse\"\nretransmit = true",
    ] {
        let delayed = format!("fault = \"refuse\"\n{former}\ndelay = \"5s\"");
        let mut stage = Stage::new(default(&delayed));
        stage.receive(0, &[&SCCRQ]);
        stage.remote.set(default(next), 1);
        assert!(stage.due(5 * SECOND - 1).is_empty(), "{next}");
        assert_eq!(stage.due(5 * SECOND), expected, "{next}");
        assert_eq!(stage.count(Sent::Later), 1, "{next}");
        assert!(!stage.player.acts.has_past(), "{next}");
        assert_eq!((stage.player.next_due(), stage.umem.free()), (None, 32));
    }
}

#[test]
fn a_stop_ccn_of_a_former_scenario_is_sent_again_until_it_is_acknowledged() {
    let mut stage = Stage::new(default("fault = \"refuse\"\nretransmit = true"));
    let first = stage.receive(0, &[&SCCRQ]);
    stage.remote.set(default("fault = \"silent\""), 1);
    assert_eq!(stage.due(SECOND), first);
    assert!(stage.player.acts.has_past());
    assert_eq!(stage.due(3 * SECOND), first);
    stage.acknowledge(4 * SECOND);
    for second in 4..60 {
        assert!(stage.due(second * SECOND).is_empty(), "after {second} s");
    }
    assert!(!stage.player.acts.has_past());
}

#[test]
fn a_change_begins_attempts_anew() {
    let text = "fault = \"refuse\"\nfirst = 1\nthen = \"silent\"";
    let mut stage = Stage::new(default(text));
    assert_eq!(stage.receive(0, &[&request(1)]).len(), 1);
    assert_eq!(stage.receive(0, &[&request(2)]).len(), 0);
    stage.remote.set(default(text), 1);
    assert_eq!(stage.receive(0, &[&request(3)]).len(), 1);
}
