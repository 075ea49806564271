//! A source that gets no more replies than it may have, whatever they are.

use broken_lns_ebpf::rate_limit::Limit;

use super::*;
use crate::rate_limit::RateLimit;

/// A stage with a limit of so many replies a second.
fn stage(text: &str, rate: u64) -> Stage {
    let mut stage = Stage::new(default(text));
    let limit = Limit {
        interval: SECOND / rate,
        seed: 1,
    };
    stage.player.rate_limit = RateLimit::alone(limit).expect("4 MiB");
    stage
}

/// A request of another LAC.
fn neighbour() -> [u8; 70] {
    let mut frame = request(1);
    frame[LAC + 3] = 2;
    frame
}

#[test]
fn requests_beyond_the_limit_have_no_reply() {
    for text in ["fault = \"refuse\"", "fault = \"unreachable\""] {
        let mut stage = stage(text, 3);
        let requests: Vec<_> = (1..=5).map(request).collect();
        let requests: Vec<&[u8]> = requests.iter().map(|frame| &frame[..]).collect();
        assert_eq!(stage.receive(1, &requests).len(), 3, "{text}");
        assert_eq!(stage.verdict(Verdict::RateLimited), 2);
        assert_eq!(stage.receive(1, &[&neighbour()]).len(), 1);
        assert_eq!(stage.receive(1 + SECOND / 3, &requests).len(), 1);
        assert_eq!(stage.verdict(Verdict::Answered), 5);
        assert_eq!(stage.verdict(Verdict::RateLimited), 6);
        let rate_limit = stage.player.rate_limit.as_ref().expect("it was set");
        assert_eq!(rate_limit.first(), Some([10, 0, 0, 1].into()));
    }
}

#[test]
fn copies_are_replies() {
    let mut stage = stage("fault = \"refuse\"\nrepeat = 4", 6);
    assert_eq!(stage.receive(1, &[&request(1)]).len(), 4);
    assert_eq!(stage.receive(1, &[&request(2)]).len(), 2);
    assert_eq!(stage.receive(1, &[&request(3)]).len(), 0);
    assert_eq!(stage.verdict(Verdict::Answered), 2);
    assert_eq!(stage.verdict(Verdict::RateLimited), 1);
    let sent = stage.remote.sent();
    assert_eq!(sent[Sent::Copies as usize], 3 + 1);
    assert_eq!(sent[Sent::HeldBack as usize], 2);
}

#[test]
fn deferred_replies_are_limited_when_they_are_due() {
    let mut stage = stage("fault = \"refuse\"\ndelay = \"1s\"\nrepeat = 2", 3);
    let requests = [request(1), request(2), request(3)];
    let requests: Vec<&[u8]> = requests.iter().map(|frame| &frame[..]).collect();
    assert_eq!(stage.receive(1, &requests).len(), 0);
    assert_eq!(stage.verdict(Verdict::Deferred), 3);
    assert_eq!(stage.due(1 + SECOND).len(), 3);
    let sent = stage.remote.sent();
    assert_eq!(sent[Sent::Later as usize], 2);
    assert_eq!(sent[Sent::Copies as usize], 1);
    assert_eq!(sent[Sent::HeldBack as usize], 1 + 2);
    assert_eq!(stage.umem.free(), 32);
}

#[test]
fn what_is_sent_again_is_limited() {
    let mut stage = stage("fault = \"refuse\"\nretransmit = true", 1);
    assert_eq!(stage.receive(1, &[&request(1)]).len(), 1);
    // Another one, half a second before the first is sent again.
    assert_eq!(stage.receive(1 + SECOND / 2, &[&request(2)]).len(), 0);
    assert_eq!(stage.verdict(Verdict::RateLimited), 1);
    assert_eq!(stage.due(1 + SECOND).len(), 1);
    assert_eq!(stage.due(1 + 2 * SECOND).len(), 0);
    assert_eq!(stage.receive(1 + 2 * SECOND, &[&request(3)]).len(), 1);
    assert_eq!(stage.due(1 + 3 * SECOND).len(), 1);
    let sent = stage.remote.sent();
    assert_eq!(sent[Sent::Again as usize], 2);
    assert_eq!(sent[Sent::HeldBack as usize], 1);
}
