//! The lab itself: what it builds works, and nothing of it is left afterwards.

use std::{
    net::IpAddr,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use xtask::{
    lab::{
        self, Avp, Capture, Checksum, ControlMessage, Datagram, Event, Lab, Mac, Namespace,
        Outcome, Peer, Process, RawPort, Sccrq, Tag, Target, Xl2tpd, attribute, message_type,
    },
    process::find,
};

const SOON: Duration = Duration::from_secs(5);

/// Runs `body` while something answers every SCCRQ that comes to the responder's interface,
/// frame by frame, with the given value of the Result Code AVP. It returns how many it answered.
fn while_refusing(lab: &Lab, result: &[u8], body: impl FnOnce() -> Result<()>) -> Result<usize> {
    let port = RawPort::open(&lab.responder, Lab::INTERFACE)?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let refusing = scope.spawn(|| -> Result<usize> {
            let mut answered = 0;
            while !stop.load(Ordering::Relaxed) {
                let step = Duration::from_millis(20);
                let reply = port.receive_if(step, |frame| answer(&frame.bytes, result))?;
                if let Some(reply) = reply {
                    port.send(&reply)?;
                    answered += 1;
                }
            }
            Ok(answered)
        });
        let outcome = body();
        stop.store(true, Ordering::Relaxed);
        let answered = refusing.join().expect("the stand-in does not panic");
        outcome.and(answered)
    })
}

fn answer(frame: &[u8], result: &[u8]) -> Option<Vec<u8>> {
    let request = Datagram::parse(frame).ok()?;
    let message = ControlMessage::parse(&request.payload).ok()?;
    if request.destination.port() != 1701 || message.message_type() != Some(message_type::SCCRQ) {
        return None;
    }
    let kind = message_type::STOPCCN.to_be_bytes();
    let reply = ControlMessage {
        tunnel_id: message.attribute(attribute::ASSIGNED_TUNNEL_ID)?.number()?,
        session_id: 0,
        ns: 0,
        nr: message.ns + 1,
        avps: vec![
            Avp::new(attribute::MESSAGE_TYPE, kind),
            Avp::new(attribute::RESULT_CODE, result),
            Avp::new(attribute::ASSIGNED_TUNNEL_ID, 12345_u16.to_be_bytes()),
        ],
    };
    let datagram = Datagram {
        source_mac: request.destination_mac,
        destination_mac: request.source_mac,
        tags: request.tags,
        source: request.destination,
        destination: request.source,
        checksum: Checksum::Right,
        payload: reply.bytes(),
    };
    Some(datagram.frame())
}

fn exists(name: &str) -> bool {
    Path::new("/run/netns").join(name).exists()
}

#[test]
fn what_is_dropped_is_gone() -> Result<()> {
    if !lab::is_possible(&[]) {
        return Ok(());
    }
    let namespace = Namespace::new("drop")?;
    let name = namespace.name().to_owned();
    assert!(exists(&name));

    let mut sleep = namespace.command("sleep");
    sleep.arg("60");
    let process = Process::spawn("sleep", sleep)?;
    let running = format!("/proc/{}", process.pid());
    assert!(Path::new(&running).exists());
    drop(process);
    assert!(!Path::new(&running).exists());

    let mut stubborn = namespace.command("sh");
    stubborn.args([
        "-c",
        "trap '' TERM; echo here; while true; do sleep 1; done",
    ]);
    let process = Process::spawn("sh", stubborn)?;
    process.wait_for_line("here", SOON)?;
    let brief = Duration::from_millis(50);
    assert!(process.wait_for_line("there", brief).is_err());
    let running = format!("/proc/{}", process.pid());
    drop(process);
    assert!(!Path::new(&running).exists());

    drop(namespace);
    assert!(!exists(&name));
    Ok(())
}

#[test]
fn leftovers_of_a_killed_run_are_swept() -> Result<()> {
    if !lab::is_possible(&[]) {
        return Ok(());
    }
    // No process has this id, the first beyond the largest.
    let name = "blns-4194305-0-lac";
    let added = Command::new("ip").args(["netns", "add", name]).status()?;
    ensure!(added.success());
    let mut sleep = Command::new("ip")
        .args(["netns", "exec", name, "sleep", "60"])
        .spawn()?;
    // Until it is in the namespace it does not belong to it.
    lab::until("the program to start", SOON, || {
        let pids = Command::new("ip").args(["netns", "pids", name]).output()?;
        Ok((!pids.stdout.is_empty()).then_some(()))
    })?;
    let ours = Namespace::new("mine")?;
    lab::sweep();
    assert!(!exists(name));
    assert!(exists(ours.name()));
    lab::until("the program to end", SOON, || Ok(sleep.try_wait()?))?;
    Ok(())
}

#[test]
fn both_topologies_carry_requests_and_answers() -> Result<()> {
    if !lab::is_possible(&["tcpdump", "tshark"]) {
        return Ok(());
    }
    for plan in [
        Lab::routed(),
        Lab::static_arp(),
        Lab::routed().queues(2).peer(Peer::Plain),
    ] {
        let lab = plan.lac_tx_checksum(false).build()?;
        let capture = Capture::start(&lab.lac, Lab::LAC_INTERFACE)?;
        let answered = while_refusing(&lab, b"\0\x02\0\x06no", || {
            for (lac, lns) in [
                (lab.minimal_lac(0)?, IpAddr::from(lab.lns(1))),
                (lab.minimal_lac(1701)?, lab.lns(8).into()),
                (lab.minimal_lac6(0)?, lab.lns6(1).into()),
            ] {
                let mut request = Sccrq::new(7);
                request.ns = 3;
                let refusal = lac.dial(lns, &request)?.refusal()?;
                assert_eq!((refusal.stop.result, refusal.stop.error), (2, Some(6)));
                assert_eq!(refusal.sent, 1);
            }
            Ok(())
        })?;
        assert_eq!(answered, 3);

        let recording = capture.stop()?;
        let fields = ["l2tp.result_code", "l2tp.tunnel"];
        let answers = recording.decode(&fields, "l2tp.avp.message_type == 4")?;
        assert_eq!(answers.len(), 3, "{answers:?}");
        assert_eq!(recording.complaints("udp")?, Vec::<String>::new());
    }
    Ok(())
}

#[test]
fn tags_are_seen_as_they_were_sent() -> Result<()> {
    if !lab::is_possible(&[]) {
        return Ok(());
    }
    let lab = Lab::routed().build()?;
    let there = lab.raw_port()?;
    let here = RawPort::open(&lab.responder, Lab::INTERFACE)?;
    for tags in [vec![], vec![Tag::c(5)], vec![Tag::s(100), Tag::c(4094)]] {
        let datagram = Datagram {
            source_mac: Lab::PEER_MAC,
            destination_mac: Mac([2, 9, 9, 9, 9, 9]),
            tags,
            source: (lab.lac_address(), 40_000).into(),
            destination: (lab.lns(1), 1701).into(),
            checksum: Checksum::Right,
            payload: Sccrq::new(5).message().bytes(),
        };
        let mut frame = datagram.frame();
        frame.extend([0; 7]);
        there.send(&frame)?;
        let seen = here
            .receive_if(SOON, |seen| (seen.bytes == frame).then_some(seen))?
            .with_context(|| format!("lost: {datagram:?}"))?;
        assert!(!seen.outgoing);
        assert_eq!(Datagram::parse(&seen.bytes)?, datagram);
    }
    Ok(())
}

#[test]
fn silence_and_bad_answers_are_told() -> Result<()> {
    if !lab::is_possible(&["tcpdump", "tshark"]) {
        return Ok(());
    }
    let lab = Lab::static_arp().build()?;
    let lac = lab.minimal_lac(40_000)?;
    let silent = lac.dial(lab.lns(1), &Sccrq::new(1))?;
    assert!(matches!(silent, Outcome::Silent { sent: 4 }));

    let port = RawPort::open(&lab.responder, Lab::INTERFACE)?;
    let good = Datagram {
        source_mac: Lab::RESPONDER_MAC,
        destination_mac: Lab::PEER_MAC,
        tags: Vec::new(),
        source: (lab.lns(1), 1701).into(),
        destination: lac.source()?,
        checksum: Checksum::Right,
        payload: Sccrq::new(1).message().bytes(),
    };
    let mut wrong_sum = good.frame();
    wrong_sum[40] ^= 1;
    let mut overrun = good.clone();
    // The length of the first AVP: now it ends far behind the message.
    overrun.payload[12] |= 0x03;
    let capture = Capture::start(&lab.lac, Lab::LAC_INTERFACE)?;
    for frame in [wrong_sum, overrun.frame(), good.frame()] {
        port.send(&frame)?;
    }
    let complaints = capture.stop()?.complaints("ip.src == 192.0.2.1")?;
    assert_eq!(complaints.len(), 2, "{complaints:?}");

    // The kernel keeps the one with the wrong sum from the socket; neither other is a StopCCN.
    assert!(lac.dial(lab.lns(1), &Sccrq::new(1)).is_err());
    assert!(lac.receive(SOON)?.is_some());
    assert_eq!(lac.receive(Duration::from_millis(100))?, None);
    Ok(())
}

#[test]
fn a_real_lac_is_refused_and_says_so() -> Result<()> {
    if !lab::is_possible(&["xl2tpd"]) {
        return Ok(());
    }
    let program = find("xl2tpd").context("it was there a moment ago")?;
    let lab = Lab::static_arp().build()?;
    let target = |number, redial| Target {
        name: format!("lns{number}"),
        lns: lab.lns(number),
        redial,
    };
    let targets = [target(1, Some(1)), target(2, None)];
    let xl2tpd = Xl2tpd::start(&program, &lab.lac, 1999, &targets)?;
    while_refusing(&lab, b"\0\x02\0\x06Go (away)", || {
        xl2tpd.dial("lns1")?;
        let codes = xl2tpd.wait_for("the codes", 0, SOON, |event| match event {
            Event::Closing {
                result,
                error,
                message,
            } => Some((result, error, message)),
            _ => None,
        })?;
        assert_eq!(codes, (2, Some(6), "Go (away)".to_owned()));
        let closed = |event| match event {
            Event::Closed { lns, remote, .. } => Some((lns, remote)),
            _ => None,
        };
        let redials = |event| matches!(event, Event::WillRedial { .. }).then_some(());
        xl2tpd.wait_for("when it dials again", 0, SOON, redials)?;
        let next = xl2tpd.wait_for("the next refusal", xl2tpd.mark(), SOON, closed)?;
        assert_eq!(next, (lab.lns(1), 12345));
        Ok(())
    })?;
    let mark = xl2tpd.mark();
    while_refusing(&lab, b"\0\0\0\x04", || {
        xl2tpd.dial("lns2")?;
        xl2tpd.wait_for("disbelief", mark, SOON, |event| {
            (event == Event::OutOfRange { result: 0 }).then_some(())
        })
    })?;
    Ok(())
}
