use std::num::NonZeroU32;
use std::sync::mpsc::{Receiver, sync_channel};

use broken_lns_ebpf::wire::l2tp;

use super::*;
use crate::attempts::Attempts;
use crate::garble::garble;
use crate::refusal::Refusal;
use crate::retransmission::Retransmissions;
use crate::scenario::{Fault, Scenario};

const SECOND: u64 = 1_000_000_000;

/// From 10.0.0.1:1025 to 192.0.2.1, Ns 3, tunnel id 7, without a checksum.
const SCCRQ: [u8; 70] = [
    2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, // Ethernet
    0x45, 0, 0, 56, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1, // IPv4
    0x04, 0x01, 0x06, 0xa5, 0, 36, 0, 0, // UDP
    0xc8, 0x02, 0, 28, 0, 0, 0, 0, 0, 3, 0, 0, // L2TP
    0x80, 8, 0, 0, 0, 0, 0, 1, // Message Type: SCCRQ
    0x80, 8, 0, 0, 0, 9, 0, 7, // Assigned Tunnel ID: 7
];
const LNS: usize = 30;
const LAC: usize = 26;
const TUNNEL_ID: usize = 68;

/// The headers of a reply before its message: Ethernet, IPv4, UDP.
const HEADERS: usize = 14 + 20 + 8;

fn compiled(text: &str) -> Arc<Compiled> {
    let scenario = Scenario::parse("test", text, &Refusal::default()).expect(text);
    Arc::new(Compiled::new(&scenario).expect(text))
}

/// A scenario that does this for everybody.
fn default(text: &str) -> Arc<Compiled> {
    compiled(&format!("[default]\n{text}"))
}

/// A request with another tunnel id.
fn request(tunnel_id: u16) -> [u8; 70] {
    let mut frame = SCCRQ;
    frame[TUNNEL_ID..].copy_from_slice(&tunnel_id.to_be_bytes());
    frame
}

/// The ZLB of that LAC with this Tunnel ID and Nr.
fn zlb(tunnel_id: u16, nr: u16) -> Vec<u8> {
    let mut frame = SCCRQ[..HEADERS + l2tp::HEADER_LEN].to_vec();
    frame[17] = 40;
    frame[39] = 20;
    frame[45] = 12;
    frame[46..48].copy_from_slice(&tunnel_id.to_be_bytes());
    frame[52..54].copy_from_slice(&nr.to_be_bytes());
    frame
}

/// A player with a few frames, and what it counted.
struct Stage {
    player: Player,
    remote: Remote,
    umem: Umem,
    batch: Batch,
    counts: VerdictCounts,
}

impl Stage {
    fn new(compiled: Arc<Compiled>) -> Self {
        Self::with_room(compiled, 32, NonZeroU32::new(16).expect("not zero"))
    }

    fn with_room(compiled: Arc<Compiled>, frames: u32, pending: NonZeroU32) -> Self {
        let policy = Policy {
            mac: None,
            verify_checksum: false,
            avp_limit: u32::MAX,
        };
        let (player, remote) = Player::with_act(policy, Act::new(compiled, 0, pending), None);
        Self {
            player,
            remote,
            umem: Umem::new(frames).expect("a few frames"),
            batch: Batch::new(64),
            counts: [0; Verdict::COUNT],
        }
    }

    /// What is sent for these frames at that time.
    fn receive(&mut self, now: u64, frames: &[&[u8]]) -> Vec<Vec<u8>> {
        for frame in frames {
            let address = self.umem.take().expect("a free frame") + 256;
            self.umem.room(address)[..frame.len()].copy_from_slice(frame);
            let len = frame.len() as u32;
            self.batch.received.push(Packet { address, len });
        }
        self.player.notice();
        let (umem, batch) = (&mut self.umem, &mut self.batch);
        let counts = self.player.respond(now, umem, batch, |_| {});
        for (sum, count) in self.counts.iter_mut().zip(counts) {
            *sum += count;
        }
        self.sent()
    }

    /// What is due at that time.
    fn due(&mut self, now: u64) -> Vec<Vec<u8>> {
        self.player.notice();
        let (umem, batch) = (&mut self.umem, &mut self.batch);
        self.player.send_due(now, umem, batch, |_| {});
        self.sent()
    }

    fn sent(&mut self) -> Vec<Vec<u8>> {
        let packets: Vec<_> = self.batch.replies.drain(..).collect();
        let sent = packets.into_iter().map(|packet| {
            let frame = self.umem.room(packet.address)[..packet.len as usize].to_vec();
            self.umem.give(packet.address);
            frame
        });
        sent.collect()
    }

    fn verdict(&self, verdict: Verdict) -> u64 {
        self.counts[verdict as usize]
    }

    fn count(&self, sent: Sent) -> u64 {
        self.remote.sent()[sent as usize]
    }
}

/// The message of the only reply to the request, with 0 for Tunnel ID and Nr.
fn message(text: &str) -> Vec<u8> {
    let mut stage = Stage::new(default(text));
    let mut sent = stage.receive(0, &[&SCCRQ]);
    assert_eq!(
        (sent.len(), stage.verdict(Verdict::Answered)),
        (1, 1),
        "{text}"
    );
    let mut message = sent.remove(0).split_off(HEADERS);
    assert_eq!(message[10..12], [0, 4], "Nr of {text}");
    message[4..6].fill(0);
    message[10..12].fill(0);
    message
}

/// Result code and error code in the reply.
fn codes(frame: &[u8]) -> (u8, u8) {
    (frame[HEADERS + 27], frame[HEADERS + 29])
}

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
fn a_stop_ccn_is_sent_again_until_it_is_acknowledged() {
    for (acknowledgement, again) in [
        (zlb(12345, 1), 1),
        (zlb(0, 1), 1),
        (zlb(12345, 0), 5),
        (zlb(4711, 1), 5),
    ] {
        let mut stage = Stage::new(default("fault = \"refuse\"\nretransmit = true"));
        let first = stage.receive(0, &[&SCCRQ]);
        assert_eq!(first.len(), 1);
        assert_eq!(stage.due(SECOND), first);
        stage.receive(SECOND, &[&acknowledgement]);
        assert_eq!(stage.verdict(Verdict::Zlb), 1);
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
    stage.player.leave_to_host = Some(Box::new(move |mark| sender.try_send(*mark).is_ok()));
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
    assert!(stage.receive(4 * SECOND, &[&zlb(12345, 1)]).is_empty());
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
