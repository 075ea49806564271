//! What a worker does about a request at once.

use std::sync::mpsc::{Receiver, sync_channel};

use super::*;
use crate::garble::garble;
use crate::scenario::Fault;

#[test]
fn every_fault_has_its_message() {
    let refusal = "fault = \"refuse\"\nresult = 2\nerror = \"none\"\nassigned_tunnel_id = 1";
    let expected: &[u8] = &[
        0xc8, 0x02, 0, 36, 0, 0, 0, 0, 0, 0, 0, 0, // header
        0x80, 8, 0, 0, 0, 0, 0, 4, // Message Type: StopCCN
        0x80, 8, 0, 0, 0, 1, 0, 2, // Result Code: 2
        0x80, 8, 0, 0, 0, 9, 0, 1, // Assigned Tunnel ID: 1
    ];
    assert_eq!(message(refusal), expected);
    assert_eq!(
        message("fault = \"acknowledge\""),
        [0xc8, 0x02, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0]
    );
    let message = message("fault = \"code-in-address\"");
    assert_eq!(message[20..30], [0x80, 35, 0, 0, 0, 1, 0, 2, 0, 1]);
    assert_eq!(message[30..55], *b"result 00002, error 00001");
}

#[test]
fn a_garbled_reply_is_the_garbled_message() {
    for kind in [
        "missing-result-code",
        "trailing-junk",
        "truncated",
        "version-3",
    ] {
        let text = format!("fault = \"garble\"\nkind = \"{kind}\"");
        let scenario = format!("[default]\n{text}");
        let scenario = Scenario::parse("test", &scenario, &Refusal::default()).expect("valid");
        let Fault::Garble { kind, refusal } = &scenario.default.fault else {
            panic!("it is garbled");
        };
        let expected = garble(*kind, refusal).expect("short").message;
        assert_eq!(message(&text), expected, "{kind:?}");
    }
}

#[test]
fn nothing_is_sent_for_silence_and_for_what_is_left_to_the_host() {
    for fault in ["silent", "pass"] {
        let mut stage = Stage::new(default(&format!("fault = \"{fault}\"")));
        assert!(stage.receive(0, &[&SCCRQ]).is_empty());
        assert_eq!(stage.verdict(Verdict::Silent), 1);
        assert_eq!(stage.umem.free(), 32);
        let not_passed = u64::from(fault == "pass");
        assert_eq!(stage.count(Sent::NotPassed), not_passed);
    }
}

#[test]
fn an_unreachable_quotes_the_request_at_once_and_its_headers_later() {
    for (modifiers, now, quoted) in [("", 0, 56), ("\ndelay = \"1s\"", SECOND, 56)] {
        let mut stage = Stage::new(default(&format!("fault = \"unreachable\"{modifiers}")));
        let mut sent = stage.receive(0, &[&SCCRQ]);
        sent.extend(stage.due(now));
        let [frame] = sent.as_slice() else {
            panic!("one message for {modifiers}");
        };
        assert_eq!(frame[34..36], [3, 3], "port unreachable");
        assert_eq!(frame[42..], SCCRQ[14..14 + quoted]);
    }
}

#[test]
fn rules_are_found_by_address_and_counted() {
    let mut stage = Stage::new(compiled(
        "[default]\nfault = \"silent\"\n\
         [[lns]]\naddress = \"192.0.2.0/24\"\nfault = \"refuse\"\nresult = 4\n\
         [[lns.lac]]\naddress = \"10.0.0.2\"\nfault = \"refuse\"\nresult = 6\n",
    ));
    let (mut other_lns, mut other_lac) = (SCCRQ, SCCRQ);
    other_lns[LNS + 2] = 3;
    other_lac[LAC + 3] = 2;
    let sent = stage.receive(0, &[&SCCRQ, &other_lns, &other_lac]);
    let codes: Vec<_> = sent.iter().map(|frame| codes(frame)).collect();
    assert_eq!(codes, [(4, 4), (6, 4)]);
    assert_eq!(stage.remote.hits().collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn copies_are_sent_as_far_as_there_are_frames() {
    let repeated = default("fault = \"refuse\"\nrepeat = 5");
    let mut stage = Stage::with_room(repeated, 3, NonZeroU32::MIN);
    let sent = stage.receive(0, &[&SCCRQ]);
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|frame| *frame == sent[0]));
    assert_eq!(
        (stage.count(Sent::Copies), stage.count(Sent::NoFrame)),
        (2, 2)
    );
    assert_eq!(stage.verdict(Verdict::Answered), 1);
}

#[test]
fn a_lost_reply_is_lost() {
    let mut stage = Stage::new(default("fault = \"refuse\"\nloss = 1.0"));
    assert!(stage.receive(0, &[&SCCRQ]).is_empty());
    assert_eq!(
        (stage.verdict(Verdict::Lost), stage.count(Sent::Lost)),
        (1, 1)
    );
    assert_eq!(stage.umem.free(), 32);
}

#[test]
fn a_cycle_goes_on_with_each_attempt() {
    let text = "fault = \"cycle\"\nfaults = [{ fault = \"refuse\", result = 4 }, \"silent\"]";
    let mut stage = Stage::new(default(text));
    let met: Vec<_> = [1, 1, 2, 3, 4]
        .iter()
        .map(|tunnel_id| stage.receive(0, &[&request(*tunnel_id)]).len())
        .collect();
    assert_eq!(met, [1, 1, 0, 1, 0]);
}

/// What the player marks for the host from now on.
fn marks(stage: &mut Stage) -> Receiver<Mark> {
    let (sender, marks) = sync_channel(2);
    stage.leave_to_host(move |mark, _| sender.try_send(*mark).is_ok());
    marks
}

#[test]
fn a_healed_lac_is_marked_for_all_that_it_sends() {
    let text = "fault = \"refuse\"\nfirst = 1\nthen = \"pass\"";
    let mut stage = Stage::new(default(text));
    let marks = marks(&mut stage);
    assert_eq!(stage.receive(0, &[&request(1)]).len(), 1);
    assert!(marks.try_recv().is_err());
    // The third one finds no room.
    let requests = [&request(2), &request(3), &request(4)];
    assert!(stage.receive(0, &requests.map(|it| &it[..])).is_empty());
    let mark = marks.try_recv().expect("it is healed");
    assert_eq!(mark.lac[0].to_ne_bytes()[..4], [10, 0, 0, 1]);
    assert_eq!(mark.lns[0].to_ne_bytes()[..4], [192, 0, 2, 1]);
    assert_eq!((mark.scenario, mark.tunnel_id), (0, 0));
    assert_eq!(stage.count(Sent::PassesNext), 2);
    assert_eq!(stage.count(Sent::NotPassed), 1);
}

#[test]
fn an_attempt_that_a_cycle_leaves_to_the_host_is_marked_alone() {
    let text = "fault = \"cycle\"\nfaults = [\"pass\", \"refuse\"]";
    let mut stage = Stage::new(default(text));
    let marks = marks(&mut stage);
    assert_eq!(stage.receive(0, &[&request(5), &request(6)]).len(), 1);
    assert_eq!(marks.try_recv().map(|mark| mark.tunnel_id), Ok(5));
    assert!(marks.try_recv().is_err());
}

#[test]
fn the_same_seed_and_frames_are_the_same_replies() {
    let run = |seed: u64| {
        let mut stage = Stage::new(compiled(&format!(
            "seed = {seed}\n[default]\nfault = \"refuse\"\nloss = 0.3\nprobability = 0.5\n\
             otherwise = {{ fault = \"refuse\", result = 4, delay = \"1s\", jitter = \"1s\" }}"
        )));
        let mut sent = Vec::new();
        for number in 1..200 {
            sent.extend(stage.receive(number * SECOND / 10, &[&request(number as u16)]));
            sent.extend(stage.due(number * SECOND / 10));
        }
        sent
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_packet_that_is_longer_than_its_room_has_none() {
    for text in ["fault = \"refuse\"", "fault = \"silent\""] {
        let mut stage = Stage::new(default(text));
        let address = stage.umem.take().expect("a free frame") + 4000;
        let len = 97;
        stage.batch.received.push(Packet { address, len });
        assert!(stage.receive(0, &[]).is_empty());
        assert_eq!(stage.verdict(Verdict::NoRoom), 1);
        assert_eq!(stage.umem.free(), 32);
    }
}
