//! What a worker captures of the LACs that are followed.

use broken_lns_ebpf::captured::{Captured, Direction, SNAP_LEN};
use broken_lns_ebpf::sample::Sample;

use super::*;
use crate::capture::Source as _;

/// Time, scenario, rule, verdict, direction, and the octets.
type Shown = (u64, u32, u32, Option<Verdict>, Option<Direction>, Vec<u8>);

fn stage_with(compiled: Arc<Compiled>, octets: u32) -> (Stage, WorkerFrames) {
    let follow = Follow {
        sample: Sample::ALL,
        capture: Some(octets),
    };
    let mut stage = Stage::following(compiled, follow);
    let frames = stage.remote.take_frames().expect("they are captured");
    assert!(stage.remote.take_frames().is_none(), "they were taken");
    (stage, frames)
}

fn stage(compiled: Arc<Compiled>) -> (Stage, WorkerFrames) {
    stage_with(compiled, 1 << 16)
}

fn all(frames: &mut WorkerFrames) -> Vec<Shown> {
    let mut all = Vec::new();
    let mut take = |captured: &Captured, octets: &[u8]| {
        assert_eq!(captured.len as usize, octets.len());
        all.push((
            captured.time,
            captured.scenario,
            captured.rule,
            captured.verdict(),
            captured.direction(),
            octets.to_vec(),
        ));
    };
    while !frames.take(2, &mut take) {}
    assert_eq!(frames.lost(), 0);
    all
}

fn request_of(time: u64, verdict: Verdict, octets: &[u8]) -> Shown {
    let direction = Some(Direction::Request);
    (time, 0, 0, Some(verdict), direction, octets.to_vec())
}

fn reply_of(time: u64, verdict: Verdict, octets: &[u8]) -> Shown {
    let direction = Some(Direction::Reply);
    (time, 0, 0, Some(verdict), direction, octets.to_vec())
}

#[test]
fn nothing_is_captured_unless_it_is_wanted() {
    let follow = Follow {
        sample: Sample::ALL,
        ..Follow::NOBODY
    };
    let mut stage = Stage::following(default("fault = \"refuse\""), follow);
    assert!(stage.remote.take_frames().is_none());
    let follow = Follow {
        capture: Some(1 << 16),
        ..Follow::NOBODY
    };
    let mut stage = Stage::following(default("fault = \"refuse\""), follow);
    assert!(stage.remote.take_frames().is_none(), "of nobody");
}

#[test]
fn a_request_is_captured_as_it_came_and_its_reply_behind_it() {
    for (text, copies) in [
        ("fault = \"refuse\"", 1),
        ("fault = \"refuse\"\nrepeat = 3", 3),
        ("fault = \"unreachable\"", 1),
    ] {
        let (mut stage, mut frames) = stage(default(text));
        let sent = stage.receive(9, &[&SCCRQ]);
        assert_eq!(sent.len(), copies);
        let mut expected = vec![request_of(9, Verdict::Answered, &SCCRQ)];
        let replies = sent.iter();
        expected.extend(replies.map(|reply| reply_of(9, Verdict::Answered, reply)));
        assert_eq!(all(&mut frames), expected, "{text}");
    }
}

#[test]
fn a_request_without_a_reply_is_captured_with_its_verdict() {
    for (text, verdict) in [
        ("fault = \"silent\"", Verdict::Silent),
        ("fault = \"refuse\"\nloss = 1.0", Verdict::Lost),
    ] {
        let (mut stage, mut frames) = stage(default(text));
        let zlb = zlb(12345, 1);
        stage.receive(9, &[&SCCRQ, &zlb]);
        let expected = [
            request_of(9, verdict, &SCCRQ),
            request_of(9, Verdict::Zlb, &zlb),
        ];
        assert_eq!(all(&mut frames), expected, "{text}");
    }
}

#[test]
fn a_reply_that_is_sent_later_or_again_is_captured_when_it_is_sent() {
    let text = "fault = \"refuse\"\ndelay = \"1s\"\nretransmit = true";
    let (mut stage, mut frames) = stage(default(text));
    stage.receive(1, &[&SCCRQ]);
    let verdict = Verdict::Deferred;
    assert_eq!(all(&mut frames), [request_of(1, verdict, &SCCRQ)]);
    for second in [1, 2, 4] {
        let now = second * SECOND + 1;
        let sent = stage.due(now);
        assert_eq!(all(&mut frames), [reply_of(now, verdict, &sent[0])]);
    }
}

#[test]
fn frames_name_the_rule_that_was_met_and_its_scenario() {
    let text = "[[lns]]\naddress = \"192.0.2.1\"\nfault = \"refuse\"\ndelay = \"5s\"";
    let (mut stage, mut frames) = stage(compiled(text));
    stage.receive(1, &[&SCCRQ]);
    stage.remote.set(default("fault = \"silent\""), 6);
    stage.receive(2, &[&SCCRQ]);
    stage.due(6 * SECOND);
    let named: Vec<_> = all(&mut frames)
        .into_iter()
        .map(|(time, scenario, rule, ..)| (time, scenario, rule))
        .collect();
    assert_eq!(named, [(1, 0, 1), (2, 6, 0), (6 * SECOND, 0, 1)]);
}

#[test]
fn a_long_request_is_captured_as_far_as_there_is_room() {
    let (mut stage, mut frames) = stage(default("fault = \"silent\""));
    let mut long = SCCRQ.to_vec();
    long.resize(SNAP_LEN + 100, 0xee);
    stage.receive(1, &[&long]);
    let mut taken = 0;
    frames.take(9, &mut |captured, octets| {
        assert_eq!(captured.len as usize, SNAP_LEN + 100);
        assert_eq!(octets, &long[..SNAP_LEN]);
        taken += 1;
    });
    assert_eq!(taken, 1);
}

/// An entry has 32 + 70 octets, and nine of them fit, wherever in the ring they begin.
#[test]
fn what_finds_no_room_is_counted() {
    let (mut stage, mut frames) = stage_with(default("fault = \"silent\""), 1000);
    let mut number = 0;
    for turn in 1..=20 {
        let first = number + 1;
        for _ in 0..12 {
            number += 1;
            stage.receive(0, &[&request(number)]);
        }
        assert_eq!(frames.lost(), 3 * turn);
        let mut expected = first;
        let is_all = frames.take(100, &mut |_, octets| {
            assert_eq!(octets, request(expected));
            expected += 1;
        });
        assert!(is_all && expected == first + 9);
    }
}
