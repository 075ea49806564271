//! What a worker tells of the LACs that are followed.

use broken_lns_ebpf::event::{Event, Kind};
use broken_lns_ebpf::sample::Sample;

use super::*;
use crate::scenario::Groups;
use crate::track::{Rule, Settings, Tracker};

/// From [2001:db8::1]:1025 to [2001:db8::2] in QinQ, Ns 3, Nr 1, tunnel id 7, without a checksum.
const V6: [u8; 98] = [
    2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xa8, 0, 100, 0x81, 0, 0x20, 200, 0x86,
    0xdd, // Ethernet
    0x60, 0, 0, 0, 0, 36, 17, 64, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, //
    0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, // IPv6
    0x04, 0x01, 0x06, 0xa5, 0, 36, 0, 0, // UDP
    0xc8, 0x02, 0, 28, 0, 0, 0, 0, 0, 3, 0, 1, // L2TP
    0x80, 8, 0, 0, 0, 0, 0, 1, // Message Type: SCCRQ
    0x80, 8, 0, 0, 0, 9, 0, 7, // Assigned Tunnel ID: 7
];

/// [`SCCRQ`] in QinQ with all the options that IPv4 has room for.
fn longest_headers() -> Vec<u8> {
    let mut frame = [&V6[..20], &SCCRQ[12..34], &[1; 40], &SCCRQ[34..]].concat();
    frame[22] = 0x4f;
    frame[25] = 96;
    frame
}

/// What is told of [`SCCRQ`].
fn told(time: u64, kind: Kind, verdict: Verdict) -> Event {
    let v4 = |octets: [u8; 4]| [u64::from(u32::from_ne_bytes(octets)), 0];
    Event {
        time,
        lac: v4([10, 0, 0, 1]),
        lns: v4([192, 0, 2, 1]),
        scenario: 0,
        rule: 0,
        frame_len: 70,
        lns_port: 1701,
        lac_port: 1025,
        vlan: 0,
        inner_vlan: 0,
        message_type: 1,
        tunnel_id: 0,
        assigned_tunnel_id: 7,
        ns: 3,
        nr: 0,
        verdict: verdict as u16,
        ip_version: 4,
        kind: kind as u8,
    }
}

fn follow(sample: Sample) -> Follow {
    Follow {
        sample,
        ..Follow::NOBODY
    }
}

fn stage(compiled: Arc<Compiled>) -> (Stage, WorkerEvents) {
    let mut stage = Stage::following(compiled, follow(Sample::ALL));
    let events = stage.remote.take_events().expect("LACs are followed");
    assert!(stage.remote.take_events().is_none(), "they were taken");
    (stage, events)
}

fn all(events: &mut WorkerEvents) -> Vec<Event> {
    let mut all = Vec::new();
    while !events.take(3, |event| all.push(*event)) {}
    assert_eq!(events.lost(), 0);
    all
}

#[test]
fn nothing_is_told_where_nobody_is_followed() {
    let mut stage = Stage::new(default("fault = \"refuse\""));
    assert_eq!(stage.receive(0, &[&SCCRQ]).len(), 1);
    assert!(stage.remote.take_events().is_none());
}

#[test]
fn a_verdict_is_told_with_all_by_which_its_request_is_known() {
    for (text, verdict) in [
        ("fault = \"refuse\"", Verdict::Answered),
        ("fault = \"refuse\"\nrepeat = 2", Verdict::Answered),
        ("fault = \"refuse\"\nloss = 1.0", Verdict::Lost),
        ("fault = \"refuse\"\ndelay = \"1s\"", Verdict::Deferred),
        ("fault = \"silent\"", Verdict::Silent),
    ] {
        let (mut stage, mut events) = stage(default(text));
        stage.receive(9, &[&SCCRQ]);
        let expected = [told(9, Kind::Decided, verdict)];
        assert_eq!(all(&mut events), expected, "{text}");
    }
}

#[test]
fn every_message_has_its_verdict_told() {
    for text in ["fault = \"refuse\"", "fault = \"refuse\"\nrepeat = 2"] {
        let (mut stage, mut events) = stage(default(text));
        let mut no_tunnel_id = SCCRQ;
        no_tunnel_id[67] = 99;
        stage.receive(9, &[&zlb(12345, 1), &no_tunnel_id, &request(8)]);
        let zlb = Event {
            frame_len: 54,
            message_type: 0,
            tunnel_id: 12345,
            assigned_tunnel_id: 0,
            ns: 3,
            nr: 1,
            ..told(9, Kind::Decided, Verdict::Zlb)
        };
        let malformed = Event {
            assigned_tunnel_id: 0,
            ..told(9, Kind::Decided, Verdict::NoTunnelId)
        };
        let refused = Event {
            assigned_tunnel_id: 8,
            ..told(9, Kind::Decided, Verdict::Answered)
        };
        assert_eq!(all(&mut events), [zlb, malformed, refused], "{text}");
    }
}

#[test]
fn rule_and_scenario_are_those_that_were_met() {
    let text = "[default]\nfault = \"silent\"\n\
                [[lns]]\naddress = \"192.0.2.9\"\nfault = \"silent\"\n\
                [[lns]]\naddress = \"192.0.2.1\"\nfault = \"refuse\"\ndelay = \"5s\"\n";
    let (mut stage, mut events) = stage(compiled(text));
    stage.receive(1, &[&SCCRQ]);
    stage.remote.set(default("fault = \"refuse\""), 6);
    stage.receive(SECOND, &[&SCCRQ]);
    // What is owed of the former scenario is sent as that one had it.
    assert_eq!(stage.due(6 * SECOND).len(), 1);
    let former = |event| Event { rule: 2, ..event };
    let expected = [
        former(told(1, Kind::Decided, Verdict::Deferred)),
        Event {
            scenario: 6,
            ..told(SECOND, Kind::Decided, Verdict::Answered)
        },
        former(told(6 * SECOND, Kind::Sent, Verdict::Answered)),
    ];
    assert_eq!(all(&mut events), expected);
}

/// Whatever stands before the message, nothing of its identity is lost meanwhile.
#[test]
fn a_reply_that_is_sent_later_or_again_is_told_like_its_request() {
    for frame in [&SCCRQ[..], &V6, &longest_headers()] {
        let text = "fault = \"refuse\"\ndelay = \"1s\"\nretransmit = true";
        let (mut stage, mut events) = stage(default(text));
        stage.receive(1, &[frame]);
        let [decided] = all(&mut events)[..] else {
            panic!("one verdict");
        };
        assert_eq!(decided.verdict(), Some(Verdict::Deferred));
        assert_eq!(usize::from(decided.frame_len), frame.len());
        for second in [1, 2, 4] {
            let now = second * SECOND + 1;
            assert_eq!(stage.due(now).len(), 1);
            let expected = Event {
                time: now,
                verdict: Verdict::Answered as u16,
                kind: Kind::Sent as u8,
                ..decided
            };
            assert_eq!(all(&mut events), [expected]);
        }
    }
}

#[test]
fn tags_and_both_families_are_told() {
    let (mut stage, mut events) = stage(default("fault = \"refuse\"\nrepeat = 2"));
    stage.receive(1, &[&V6]);
    let v6 = |last: u8| {
        let last = u64::from_ne_bytes([0, 0, 0, 0, 0, 0, 0, last]);
        [u64::from_ne_bytes([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0]), last]
    };
    let expected = Event {
        lac: v6(1),
        lns: v6(2),
        frame_len: 98,
        vlan: 100,
        inner_vlan: 0x20c8,
        nr: 1,
        ip_version: 6,
        ..told(1, Kind::Decided, Verdict::Answered)
    };
    assert_eq!(all(&mut events), [expected]);
}

#[test]
fn a_reply_that_is_lost_is_not_sent() {
    let text = "fault = \"refuse\"\ndelay = \"1s\"\nloss = 1.0\nretransmit = true";
    let (mut stage, mut events) = stage(default(text));
    stage.receive(0, &[&SCCRQ]);
    for second in 1..50 {
        assert!(stage.due(second * SECOND).is_empty());
    }
    let expected = [told(0, Kind::Decided, Verdict::Lost)];
    assert_eq!(all(&mut events), expected);
}

#[test]
fn only_lacs_in_the_sample_are_told_of() {
    let sample = Sample::one_of(4);
    let compiled = default("fault = \"refuse\"\ndelay = \"1s\"");
    let mut stage = Stage::following(compiled, follow(sample));
    let mut events = stage.remote.take_events().expect("some are followed");
    for last in 0..=255 {
        let mut frame = SCCRQ;
        frame[LAC + 3] = last;
        stage.receive(0, &[&frame]);
        assert_eq!(stage.due(SECOND).len(), 1);
    }
    let v4 = |last| [u64::from(u32::from_ne_bytes([10, 0, 0, last])), 0];
    let followed = (0..=255).map(v4).filter(|lac| sample.has(*lac));
    let twice: Vec<_> = followed.flat_map(|lac| [lac, lac]).collect();
    assert!((64..192).contains(&twice.len()));
    let told: Vec<_> = all(&mut events).iter().map(|event| event.lac).collect();
    assert_eq!(told, twice);
}

#[test]
fn what_finds_no_room_is_counted() {
    let (mut stage, mut events) = stage(default("fault = \"silent\""));
    let requests = [&SCCRQ[..]; 32];
    for _ in 0..(1 << 16) / 32 {
        stage.receive(0, &requests);
    }
    assert_eq!(stage.remote.events_lost(), 0);
    stage.receive(1, &requests[..3]);
    assert_eq!((stage.remote.events_lost(), events.lost()), (3, 3));
    assert!(!events.take(1, |event| assert_eq!(event.time, 0)));
    stage.receive(2, &requests[..2]);
    assert_eq!(events.lost(), 4);
}

/// The kernel half tells that it handed a request over, and the worker the rest.
#[test]
fn a_tracker_makes_one_attempt_of_all_that_is_told() {
    let (mut stage, mut events) = stage(default("fault = \"refuse\"\ndelay = \"1s\""));
    let mut tracker = Tracker::new(Settings::default());
    let rule = Rule {
        fault: "refuse after 1 s".to_owned(),
        refuses: true,
        ..Rule::default()
    };
    tracker.enter(0, vec![rule], Groups::default());
    for now in [SECOND, SECOND + SECOND / 2] {
        let heard = Event {
            verdict: Event::HANDED_OVER,
            assigned_tunnel_id: 7,
            ..told(now - 1, Kind::Heard, Verdict::Answered)
        };
        tracker.observe(&heard, &[]);
        stage.receive(now, &[&SCCRQ]);
        for event in all(&mut events) {
            tracker.observe(&event, &[]);
        }
    }
    assert_eq!(stage.due(3 * SECOND).len(), 2);
    for event in all(&mut events) {
        tracker.observe(&event, &[]);
    }
    tracker.advance(4 * SECOND);
    let findings = tracker.findings();
    assert_eq!(findings.totals.events, 6);
    assert_eq!(findings.totals.events_unmatched, 0);
    let [fault] = &findings.faults[..] else {
        panic!("one fault was met");
    };
    assert_eq!(
        (fault.lacs, fault.attempts, fault.answered, fault.open),
        (1, 1, 1, 1)
    );
    let again = (fault.retransmissions_before, fault.retransmissions_after);
    assert_eq!(again, (1, 0));
}
