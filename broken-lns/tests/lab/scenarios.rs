//! The ready scenarios: each does at some of its addresses what its comments say.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use xtask::lab::{Checksum, ControlMessage, Datagram, Lab, RawFrame, RawPort, Sccrq, attribute};

use crate::{
    packet::icmp_unreachable,
    request::{Refusal, datagram, hex, is_udp, nobody, nobody6, push},
    responder::{LIMIT, Responder, verdicts},
    trial,
};

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 3] = [
        (
            "an_lns_that_recovers_refuses_three_attempts",
            an_lns_that_recovers_refuses_three_attempts,
        ),
        (
            "a_flaky_lns_refuses_one_attempt_in_ten_and_the_same_ones_again",
            a_flaky_lns_refuses_one_attempt_in_ten_and_the_same_ones_again,
        ),
        (
            "a_twisted_header_is_wrong_in_one_place",
            a_twisted_header_is_wrong_in_one_place,
        ),
    ];
    let mut trials = Vec::new();
    for path in PATHS {
        trials.extend(READY.iter().map(|ready| {
            let name = format!("it_does_what_it_says::{}::{path}", ready.file);
            trial(name, &[], move || it_does_what_it_says(ready, path))
        }));
        trials.extend(
            tests.map(|(name, test)| trial(format!("{name}::{path}"), &[], move || test(path))),
        );
    }
    trials
}

/// A test of one path.
type Test = fn(&'static str) -> Result<()>;

/// Where scenarios are played: as far as it can by the kernel half, and by workers alone.
const PATHS: [&str; 2] = ["auto", "redirect"];

/// A scenario, and what comes back from some of its addresses.
struct Ready {
    file: &'static str,
    answers: &'static [(&'static str, Answer)],
}

/// What comes back to a request.
enum Answer {
    /// A StopCCN.
    Refused(Refusal),
    /// The right StopCCN of the garbled zoo, changed by this.
    Garbled(fn(&mut Datagram)),
    /// The acknowledgement alone.
    Acknowledged,
    /// An ICMP message with this code from there.
    Unreachable(u8, [u8; 4]),
    /// Nothing: it is swallowed.
    Nothing,
    /// Nothing: it is left to the host.
    Passed,
}

use Answer::{Acknowledged, Garbled, Nothing, Passed, Refused, Unreachable};

/// A StopCCN without an error code.
const fn result(result: u16) -> Answer {
    Refused(Refusal {
        result,
        error: None,
        message: "",
        ..Refusal::DEFAULT
    })
}

/// A StopCCN with an error code and a message.
const fn error(result: u16, error: u16, message: &'static str) -> Answer {
    Refused(Refusal {
        result,
        error: Some(error),
        message,
        ..Refusal::DEFAULT
    })
}

/// What the garbled StopCCNs are like where they are right.
const RIGHT: Refusal = Refusal {
    result: 2,
    ..Refusal::DEFAULT
};

/// Where the AVPs of a right StopCCN are in its message.
const MESSAGE_TYPE: usize = 12;
const RESULT_CODE: usize = 20;
const ASSIGNED_TUNNEL_ID: usize = 44;

const READY: &[Ready] = &[
    Ready {
        file: "all-codes.toml",
        answers: &[
            ("192.0.2.0", result(0)),
            ("192.0.2.1", result(1)),
            ("192.0.2.2", result(2)),
            ("192.0.2.3", result(3)),
            ("192.0.2.4", result(4)),
            ("192.0.2.5", result(5)),
            ("192.0.2.6", result(6)),
            ("192.0.2.7", result(7)),
            ("192.0.2.8", result(8)),
            ("192.0.2.9", Nothing),
            ("198.51.100.0", error(2, 0, "error 0")),
            ("198.51.100.1", error(2, 1, "error 1")),
            ("198.51.100.2", error(2, 2, "error 2")),
            ("198.51.100.3", error(2, 3, "error 3")),
            ("198.51.100.4", error(2, 4, "error 4")),
            ("198.51.100.5", error(2, 5, "error 5")),
            ("198.51.100.6", error(2, 6, "error 6")),
            ("198.51.100.7", error(2, 7, "error 7")),
            ("198.51.100.8", error(2, 8, "error 8")),
            ("198.51.100.9", error(2, 9, "192.0.2.1,192.0.2.4")),
            ("198.51.100.10", error(2, 10, "error 10")),
            ("198.51.100.11", error(2, 11, "error 11")),
            ("198.51.100.12", error(2, 12, "error 12")),
            ("198.51.100.13", Nothing),
            ("2001:db8::2:4", error(2, 4, "result 00002, error 00004")),
            ("2001:db8::0:0", error(0, 0, "result 00000, error 00000")),
            (
                "2001:db8::ffff:1234",
                error(65535, 0x1234, "result 65535, error 04660"),
            ),
            ("2001:db8:1::2:4", Nothing),
        ],
    },
    Ready {
        file: "failover.toml",
        answers: &[
            ("192.0.2.1", error(2, 4, "No tunnels left")),
            ("192.0.2.2", Passed),
            ("192.0.2.3", Nothing),
            ("192.0.2.1", error(2, 4, "No tunnels left")),
        ],
    },
    Ready {
        file: "dead.toml",
        answers: &[
            ("192.0.2.1", Nothing),
            ("192.0.2.2", Unreachable(3, [192, 0, 2, 2])),
            ("192.0.2.3", Unreachable(1, [192, 0, 2, 254])),
            ("192.0.2.4", Unreachable(0, [203, 0, 113, 254])),
            ("192.0.2.5", Unreachable(13, [203, 0, 113, 254])),
            ("192.0.2.6", Acknowledged),
            ("192.0.2.7", Nothing),
        ],
    },
    Ready {
        file: "garbled-zoo.toml",
        answers: &[
            ("192.0.2.100", Refused(RIGHT)),
            // The tunnel id of every request here is 0x0701.
            ("192.0.2.2", Garbled(|it| it.payload[5] = 0x02)),
            ("192.0.2.4", Garbled(|it| it.payload[4..6].fill(0))),
            (
                "192.0.2.6",
                Garbled(|it| {
                    it.payload.truncate(ASSIGNED_TUNNEL_ID);
                    it.payload[3] = 44;
                }),
            ),
            (
                "192.0.2.8",
                Garbled(|it| {
                    it.payload.drain(RESULT_CODE..ASSIGNED_TUNNEL_ID);
                    it.payload[3] = 28;
                }),
            ),
            (
                "192.0.2.10",
                Garbled(|it| {
                    it.payload.drain(MESSAGE_TYPE..RESULT_CODE);
                    it.payload[3] = 44;
                }),
            ),
            (
                "192.0.2.12",
                Garbled(|it| it.payload[MESSAGE_TYPE..].rotate_left(RESULT_CODE - MESSAGE_TYPE)),
            ),
            ("192.0.2.14", Garbled(|it| it.payload[19] = 0)),
            (
                "192.0.2.16",
                Garbled(|it| {
                    it.payload.extend([0x80, 6, 0, 0, 0xFF, 0xFF]);
                    it.payload[3] = 58;
                }),
            ),
            (
                "192.0.2.18",
                Garbled(|it| {
                    let half = [0x80, 7, 0, 0, 0, 1, 0];
                    it.payload.splice(RESULT_CODE..ASSIGNED_TUNNEL_ID, half);
                    it.payload[3] = 35;
                }),
            ),
            (
                "192.0.2.20",
                Garbled(|it| it.payload[ASSIGNED_TUNNEL_ID..][..2].copy_from_slice(&[0x83, 0xFF])),
            ),
            (
                "192.0.2.22",
                Garbled(|it| it.payload[RESULT_CODE..][..2].copy_from_slice(&[0x80, 0])),
            ),
            ("192.0.2.24", Garbled(|it| it.payload[3] += 4)),
            ("192.0.2.26", Garbled(|it| it.payload[3] -= 4)),
            ("192.0.2.28", Garbled(|it| it.payload[9] = 1)),
            ("192.0.2.30", Garbled(|it| it.payload[11] = 0)),
            ("192.0.2.32", Garbled(|it| it.payload[1] = 3)),
            ("192.0.2.34", Garbled(|it| it.payload[0] = 0xC0)),
            (
                "192.0.2.36",
                Garbled(|it| it.payload[..2].copy_from_slice(&[0xFC, 0xF2])),
            ),
            (
                "192.0.2.38",
                Garbled(|it| {
                    let hidden = [0xC0, 10, 0, 0, 0, 9, 0x5A, 0xC3, 0x96, 0x3C];
                    it.payload.splice(ASSIGNED_TUNNEL_ID.., hidden);
                    it.payload[3] = 54;
                }),
            ),
            (
                "192.0.2.40",
                Garbled(|it| it.payload[RESULT_CODE + 6..][..2].copy_from_slice(&[2, 0])),
            ),
            ("192.0.2.42", Garbled(|it| it.payload.extend([0xFF; 16]))),
            ("192.0.2.44", Garbled(|it| it.payload.truncate(48))),
            (
                "192.0.2.46",
                Garbled(|it| it.payload[ASSIGNED_TUNNEL_ID - 1] = 0xFF),
            ),
            (
                "192.0.2.52",
                Garbled(|it| it.source.set_ip([192, 0, 2, 53].into())),
            ),
            ("192.0.2.54", Garbled(|it| it.source.set_port(1702))),
            ("192.0.2.56", Nothing),
        ],
    },
    Ready {
        file: "cisco.toml",
        answers: &[
            ("192.0.2.1", error(2, 4, "Internal error")),
            ("192.0.2.2", error(2, 6, "Closed for today")),
            ("192.0.2.3", error(2, 7, "Internal error")),
            ("192.0.2.4", error(2, 9, "192.0.2.254")),
            ("192.0.2.5", Nothing),
            ("192.0.2.11", result(1)),
            ("192.0.2.12", error(2, 3, "Internal error")),
            ("192.0.2.13", result(4)),
            ("192.0.2.14", result(6)),
            ("192.0.2.15", error(7, 7, "Internal error")),
            ("192.0.2.254", Passed),
        ],
    },
    // What is different after some minutes is the business of tests that need not wait for it.
    Ready {
        file: "juniper.toml",
        answers: &[
            ("192.0.2.1", error(2, 4, "Internal error")),
            ("192.0.2.2", Nothing),
            ("192.0.2.3", Passed),
            ("192.0.2.1", error(2, 4, "Internal error")),
        ],
    },
    Ready {
        file: "nokia.toml",
        answers: &[
            ("192.0.2.1", result(2)),
            ("192.0.2.2", error(2, 4, "Internal error")),
            ("192.0.2.3", error(2, 7, "Internal error")),
            ("192.0.2.11", result(1)),
            ("192.0.2.12", result(4)),
            ("192.0.2.13", error(5, 1, "")),
            ("192.0.2.14", result(6)),
            ("192.0.2.21", result(0)),
            ("192.0.2.22", result(3)),
            ("192.0.2.23", result(7)),
            ("192.0.2.24", result(8)),
            ("192.0.2.31", Nothing),
            ("192.0.2.254", Passed),
        ],
    },
];

impl Answer {
    /// The frame that answers `request`, which is the one that carries `sccrq`.
    fn frame(&self, request: &Datagram, sccrq: &Sccrq) -> Result<Option<Vec<u8>>> {
        Ok(Some(match *self {
            Refused(refusal) => refusal.frame(request, sccrq),
            Garbled(garble) => {
                let mut reply = Datagram::parse(&RIGHT.frame(request, sccrq))?;
                garble(&mut reply);
                reply.frame()
            }
            Acknowledged => {
                let zlb = ControlMessage::zlb(sccrq.tunnel_id, 0, sccrq.ns + 1);
                let mut reply = Datagram::parse(&RIGHT.frame(request, sccrq))?;
                reply.payload = zlb.bytes();
                reply.frame()
            }
            Unreachable(code, from) => icmp_unreachable(request, code, from.into()),
            Nothing | Passed => return Ok(None),
        }))
    }
}

/// A ready scenario by its name.
pub(crate) fn ready(file: &str) -> String {
    format!("{}/scenarios/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// From nobody to an LNS, over the same version of IP.
pub(crate) fn to_lns(lns: &str, sccrq: &Sccrq) -> Result<Datagram> {
    let lns: IpAddr = lns.parse().with_context(|| lns.to_owned())?;
    let from = match lns {
        IpAddr::V4(_) => nobody(1701),
        IpAddr::V6(_) => nobody6(1701),
    };
    let to = SocketAddr::new(lns, 1701);
    Ok(datagram(from, to, sccrq.message().bytes()))
}

/// The next frame from the other end with UDP, or with ICMP over IPv4.
fn next(port: &RawPort) -> Result<RawFrame> {
    let is_icmp = |frame: &[u8]| frame.get(12..14) == Some(&[8, 0]) && frame.get(23) == Some(&1);
    let frame = port.receive_if(LIMIT, |frame| {
        let is_answer = is_udp(&frame.bytes) || is_icmp(&frame.bytes);
        (!frame.outgoing && is_answer).then_some(frame)
    })?;
    frame.context("no answer")
}

/// One request to each address: what comes back is the answers in their order, and no more.
fn it_does_what_it_says(ready_scenario: &Ready, path: &str) -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let port = lab.raw_port()?;
    let file = ready(ready_scenario.file);
    let responder = Responder::start(&lab, &["--scenario", &file, "--path", path])?;
    let sccrq = Sccrq::new(0x0701);
    let (mut answered, mut silent, mut passed) = (0, 0, 0);
    for (lns, answer) in ready_scenario.answers {
        let request = to_lns(lns, &sccrq)?;
        push(&port, &request.frame())?;
        // Where nothing comes, the next thing that does is the answer of the next address.
        let Some(expected) = answer.frame(&request, &sccrq)? else {
            match answer {
                Passed => passed += 1,
                _ => silent += 1,
            }
            continue;
        };
        answered += 1;
        let reply = next(&port).with_context(|| lns.to_owned())?;
        ensure!(
            reply.bytes == expected,
            "{lns}: answered\n{}\ninstead of\n{}",
            hex(&reply.bytes),
            hex(&expected)
        );
    }
    let report = responder.finish()?;
    let expected = [
        ("answered", answered),
        ("silent", silent),
        ("passed", passed),
    ];
    let expected = expected.into_iter().filter(|(_, count)| *count > 0);
    assert_eq!(report.verdicts()?, verdicts(expected));
    Ok(())
}

/// At each LNS for itself. What is sent again is not another attempt. The first request of a LAC
/// that is well is lost, since a worker has it; whatever comes next is left to the host.
fn an_lns_that_recovers_refuses_three_attempts(path: &str) -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let port = lab.raw_port()?;
    let file = ready("refuse-three-times.toml");
    let responder = Responder::start(&lab, &["--scenario", &file, "--path", path])?;
    let refusal = error(2, 4, "Try again");
    let mut counts = [("answered", 0), ("silent", 0), ("passed", 0)];
    let (refused, lost, passed) = (0, 1, 2);
    // What is refused in between tells that the worker is done with what was lost.
    for (lns, tunnel_id, end) in [
        ("192.0.2.1", 1, refused),
        ("192.0.2.1", 1, refused),
        ("192.0.2.1", 2, refused),
        ("192.0.2.1", 3, refused),
        ("192.0.2.1", 4, lost),
        ("192.0.2.2", 4, refused),
        ("192.0.2.1", 4, passed),
        ("192.0.2.2", 5, refused),
        ("192.0.2.1", 5, passed),
        ("192.0.2.2", 6, refused),
        ("192.0.2.2", 7, lost),
        ("192.0.2.3", 7, refused),
        ("192.0.2.2", 7, passed),
    ] {
        counts[end].1 += 1;
        let sccrq = Sccrq::new(tunnel_id);
        let request = to_lns(lns, &sccrq)?;
        push(&port, &request.frame())?;
        if end == refused {
            let reply = next(&port)?;
            let expected = refusal.frame(&request, &sccrq)?;
            ensure!(
                Some(&reply.bytes) == expected.as_ref(),
                "attempt {tunnel_id} at {lns}: {}",
                hex(&reply.bytes)
            );
        }
    }
    // So is what a LAC that is well sends besides.
    let zlb = ControlMessage::zlb(9, 1, 1).bytes();
    for (lns, end) in [("192.0.2.1", "passed"), ("192.0.2.3", "zlb")] {
        let message = Datagram {
            payload: zlb.clone(),
            ..to_lns(lns, &Sccrq::new(1))?
        };
        push(&port, &message.frame())?;
        if end == "passed" {
            counts[passed].1 += 1;
        }
    }
    let report = responder.finish()?;
    let expected = counts.into_iter().chain([("zlb", 1)]);
    assert_eq!(report.verdicts()?, verdicts(expected));
    assert_eq!(report.count("/interfaces/0/sent/passes-next")?, 2);
    Ok(())
}

/// The attempts of two LACs that are refused in a run of `flaky.toml`, each asked for twice.
fn refused_by_a_flaky_lns(path: &str) -> Result<Vec<(SocketAddr, u16)>> {
    /// Attempts of each LAC.
    const ATTEMPTS: u16 = 500;
    let lab = Lab::static_arp().build()?;
    let port = lab.raw_port()?;
    let file = ready("flaky.toml");
    let responder = Responder::start(&lab, &["--scenario", &file, "--path", path])?;
    let lacs = [nobody(1701), ([203, 0, 113, 78], 1701).into()];
    for tunnel_id in 1..=ATTEMPTS {
        for lac in lacs {
            let request = Datagram {
                source: lac,
                ..to_lns("192.0.2.1", &Sccrq::new(tunnel_id))?
            };
            push(&port, &request.frame())?;
            push(&port, &request.frame())?;
        }
    }
    let report = responder.finish()?;
    let answered = report.count("/verdicts/answered")?;
    let asked = u64::from(ATTEMPTS) * 4;
    let passed = asked.saturating_sub(answered);
    assert_eq!(
        report.verdicts()?,
        verdicts([("answered", answered), ("passed", passed)])
    );
    let mut refused = Vec::new();
    for _ in 0..answered {
        let reply = Datagram::parse(&next(&port)?.bytes)?;
        let message = ControlMessage::parse(&reply.payload)?;
        let code = message.attribute(attribute::RESULT_CODE);
        let code = code.context("no result code")?;
        assert_eq!(code.value, b"\0\x02\0\x04Bad luck");
        refused.push((reply.destination, message.tunnel_id));
    }
    Ok(refused)
}

fn a_flaky_lns_refuses_one_attempt_in_ten_and_the_same_ones_again(path: &str) -> Result<()> {
    let refused = refused_by_a_flaky_lns(path)?;
    assert_eq!(refused_by_a_flaky_lns(path)?, refused);
    let attempts: BTreeSet<_> = refused.iter().collect();
    // What is sent again meets the same decision.
    assert_eq!(refused.len(), 2 * attempts.len());
    // A tenth of a thousand, give or take four standard deviations; by the seed it is the same
    // number each time.
    assert!((62..=138).contains(&attempts.len()), "{}", attempts.len());
    Ok(())
}

/// A checksum is wrong, and all the rest as in the right answer.
fn a_twisted_header_is_wrong_in_one_place(path: &str) -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let port = lab.raw_port()?;
    let file = ready("garbled-zoo.toml");
    let responder = Responder::start(&lab, &["--scenario", &file, "--path", path])?;
    let sccrq = Sccrq::new(0x0701);
    // In an IPv4 frame without tags.
    let (ip_sum, udp_sum) = (24..26, 40..42);
    for (lns, place) in [("192.0.2.48", udp_sum), ("192.0.2.50", ip_sum)] {
        let request = to_lns(lns, &sccrq)?;
        push(&port, &request.frame())?;
        let mut reply = next(&port).context(lns)?.bytes;
        let mut right = RIGHT.frame(&request, &sccrq);
        assert_ne!(reply[place.clone()], right[place.clone()], "{lns}");
        // Not 0, which would stand for no checksum.
        assert_ne!(reply[place.clone()], [0, 0], "{lns}");
        match Datagram::parse(&reply) {
            Ok(reply) => assert_eq!(reply.checksum, Checksum::Wrong, "{lns}"),
            Err(error) => assert_eq!(error.to_string(), "the IPv4 header checksum is wrong"),
        }
        reply[place.clone()].fill(0);
        right[place].fill(0);
        assert_eq!(reply, right, "{lns}");
    }
    let report = responder.finish()?;
    assert_eq!(report.verdicts()?, verdicts([("answered", 2)]));
    Ok(())
}
