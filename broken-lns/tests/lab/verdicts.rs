//! Every frame is counted once, under its verdict, and ends as that verdict has it.

use std::{net::UdpSocket, time::Duration};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use xtask::lab::{Avp, ControlMessage, Lab, RawFrame, RawPort, Sccrq, attribute, message_type};

use crate::{
    kind::{Fate, kinds},
    request::{Refusal, answer, datagram, expect, hex, is_udp, nobody, nobody6, push},
    responder::{Responder, verdicts},
    trial,
    way::{WAYS, Way},
};

/// How often every kind of frame is sent.
const ROUNDS: usize = 3;

const SOON: Duration = Duration::from_secs(2);

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for way in WAYS {
        trials.push(trial(
            format!("every_kind_of_frame_is_counted_and_ends_as_it_must::{way}"),
            &[],
            move || every_kind_of_frame_is_counted_and_ends_as_it_must(way),
        ));
        trials.push(trial(
            format!("a_listener_gets_what_passes::{way}"),
            &[],
            move || a_listener_gets_what_passes(way),
        ));
    }
    for (path, kernel, worker) in [
        ("rewrite", [2, 40, 64].as_slice(), [].as_slice()),
        ("redirect", &[], &[2, 40, 64, 65, 100]),
        ("auto", &[2, 40, 64], &[65, 100]),
    ] {
        let name = format!("messages_of_many_avps::{path}");
        trials.push(trial(name, &[], move || {
            messages_of_many_avps(path, kernel, worker)
        }));
    }
    for way in [WAYS[2], WAYS[3]] {
        let name = format!("a_full_socket_is_counted::{way}");
        trials.push(trial(name, &[], move || a_full_socket_is_counted(way)));
    }
    trials
}

fn every_kind_of_frame_is_counted_and_ends_as_it_must(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    // An ICMP error for every frame that deserves one: no limit for any type but one that nobody
    // sends here, which a list of types has to name.
    lab.responder.set("net/ipv4/icmp_ratemask", "0")?;
    lab.responder.set("net/ipv6/icmp/ratemask", "127")?;
    let port = lab.raw_port()?;
    let responder = Responder::start(&lab, &way.flags())?;
    let tap = RawPort::open(&lab.responder, Lab::INTERFACE)?;

    let kinds = kinds();
    for _ in 0..ROUNDS {
        for frame in kinds.iter().flat_map(|kind| &kind.frames) {
            push(&port, frame)?;
        }
    }
    let expected = kinds
        .iter()
        .map(|kind| (kind.verdict, kind.frames.len() * ROUNDS))
        .map(|(verdict, count)| (verdict, count as u64));
    let expected = verdicts(expected);
    let of_fate = |wanted: fn(&Fate) -> bool| {
        let kinds = kinds.iter().filter(move |kind| wanted(&kind.fate));
        kinds.count() * ROUNDS
    };
    let answered = of_fate(|fate| *fate == Fate::Answered);
    let delivered = of_fate(|fate| matches!(fate, Fate::Delivered(_)));

    // What passes is seen behind the program, each frame as it was sent.
    for round in 0..ROUNDS {
        for kind in &kinds {
            if matches!(kind.fate, Fate::Answered | Fate::Consumed) {
                continue;
            }
            for frame in &kind.frames {
                let seen = tap.receive_if(SOON, |seen| {
                    (!seen.outgoing && is_udp(&seen.bytes)).then_some(seen.bytes)
                })?;
                let what = format!("round {round}, {}: {}", kind.verdict, kind.description);
                let seen = seen.with_context(|| format!("{what}: it did not pass"))?;
                ensure!(
                    seen == *frame,
                    "{what}: passed\n{}\ninstead of\n{}",
                    hex(&seen),
                    hex(frame)
                );
            }
        }
    }
    let more = tap.receive_if(Duration::from_millis(100), |seen| {
        (!seen.outgoing && is_udp(&seen.bytes)).then_some(seen.bytes)
    })?;
    assert_eq!(more, None, "something passed that should not");

    let report = responder.finish()?;
    assert_eq!(report.verdicts()?, expected);
    // What the box sent: the answers, and its system's word on what it got and nobody wanted.
    let (mut answers, mut errors) = (0, 0);
    while let Some(frame) = port.receive(Duration::from_millis(100))? {
        match frame {
            RawFrame { outgoing: true, .. } => {}
            frame if is_udp(&frame.bytes) => answers += 1,
            frame if is_unreachable(&frame.bytes) => errors += 1,
            _ => {}
        }
    }
    assert_eq!((answers, errors), (answered, delivered));
    assert_eq!(report.lost_by_driver()?, 0);
    Ok(())
}

/// Whether an untagged frame carries an ICMP error about a port that nobody listens on.
fn is_unreachable(frame: &[u8]) -> bool {
    match frame.get(12..14) {
        Some([0x08, 0x00]) => frame.get(23) == Some(&1) && frame.get(34..36) == Some(&[3, 3]),
        Some([0x86, 0xDD]) => frame.get(20) == Some(&58) && frame.get(54..56) == Some(&[1, 4]),
        _ => false,
    }
}

/// A socket on port 1701 of the box gets every message that is none of ours, fragments put
/// together, as if no program were there.
fn a_listener_gets_what_passes(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    // Its system takes a datagram to it from a frame to all, unless told not to.
    for version in ["ipv4", "ipv6"] {
        let interface = format!("net/{version}/conf/{}", Lab::INTERFACE);
        let parameter = format!("{interface}/drop_unicast_in_l2_multicast");
        lab.responder.set(&parameter, "1")?;
    }
    let listen = || UdpSocket::bind("[::]:1701");
    let listener = lab.responder.enter(listen)??;
    listener.set_read_timeout(Some(SOON))?;
    let responder = Responder::start(&lab, &way.flags())?;
    let mut buffer = [0; 2048];
    for kind in kinds() {
        for frame in &kind.frames {
            port.send(frame)?;
        }
        if let Fate::Delivered(payload) = &kind.fate {
            let what = || format!("{}, {}", kind.verdict, kind.description);
            let length = listener.recv(&mut buffer).with_context(what)?;
            assert_eq!(hex(&buffer[..length]), hex(payload), "{}", what());
        }
    }
    listener.set_read_timeout(Some(Duration::from_millis(100)))?;
    assert!(listener.recv(&mut buffer).is_err(), "something is left");
    responder.finish().map(drop)
}

/// The kernel half walks 64 AVPs. What has more goes to the worker where there is one, which
/// walks all of them, and finds all that may be wrong with them.
fn messages_of_many_avps(path: &str, kernel: &[usize], worker: &[usize]) -> Result<()> {
    // Where `auto` rewrites in generic mode, since it sees that it can.
    let lab = Lab::static_arp().peer_in_box().build()?;
    let port = lab.raw_port()?;
    let flags = ["--path", path, "--xdp-mode", "generic"];
    let responder = Responder::start(&lab, &flags)?;
    let request = |avps: usize| {
        let sccrq = Sccrq::new(avps as u16);
        let kind = Avp::new(attribute::MESSAGE_TYPE, message_type::SCCRQ.to_be_bytes());
        let tunnel = Avp::new(attribute::ASSIGNED_TUNNEL_ID, sccrq.tunnel_id.to_be_bytes());
        let others = vec![Avp::new(60_000, [1, 2, 3, 4]); avps - 2];
        let message = ControlMessage {
            avps: [vec![kind], others, vec![tunnel]].concat(),
            ..sccrq.message()
        };
        (sccrq, message.bytes())
    };
    let mut expected = verdicts([]);
    let mut count = |label: &str| *expected.entry(label.to_owned()).or_insert(0) += 1;
    let (lns, lns6) = ((lab.lns(1), 1701).into(), (lab.lns6(1), 1701).into());
    for avps in [2, 40, 64, 65, 100] {
        let (sccrq, payload) = request(avps);
        for request in [
            datagram(nobody(40_000), lns, payload.clone()),
            datagram(nobody6(40_000), lns6, payload.clone()),
        ] {
            if kernel.contains(&avps) || worker.contains(&avps) {
                let reply = Refusal::DEFAULT.frame(&request, &sccrq);
                expect(&port, &format!("{avps} AVPs"), &request.frame(), &reply)?;
                count("answered");
            } else {
                port.send(&request.frame())?;
                count("too-many-avps");
            }
        }
    }
    let (_, whole) = request(100);
    let mut short = whole.clone();
    let mut zero = whole.clone();
    let end = whole.len();
    short[end - 7] = 5;
    zero[end - 2..].fill(0);
    let mut cut = whole;
    cut[end - 7] = 9;
    for (label, payload) in [
        ("short-avp", short),
        ("truncated-avp", cut),
        ("zero-tunnel-id", zero),
    ] {
        port.send(&datagram(nobody(40_000), lns, payload).frame())?;
        count(if worker.is_empty() {
            "too-many-avps"
        } else {
            label
        });
    }
    assert_eq!(answer(&port, Duration::from_millis(100))?, None);
    let report = responder.finish()?;
    assert_eq!(report.verdicts()?, expected);
    assert_eq!(report.count("/rewritten")?, 2 * kernel.len() as u64);
    assert_eq!(report.count("/redirected")?, 2 * worker.len() as u64);
    Ok(())
}

/// While the command does not run at all, frames fill its socket, and then are lost: of each of
/// them the end says which.
fn a_full_socket_is_counted(way: Way) -> Result<()> {
    const SENT: u64 = 5000;
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let mut responder = Responder::start(&lab, &way.flags())?;
    let payload = Sccrq::new(7).message().bytes();
    let request = datagram(nobody(40_000), (lab.lns(1), 1701).into(), payload).frame();
    responder.process().signal(Signal::SIGSTOP)?;
    for _ in 0..SENT {
        push(&port, &request)?;
    }
    responder.process().signal(Signal::SIGCONT)?;
    let mut answers = 0;
    while answer(&port, Duration::from_millis(300))?.is_some() {
        answers += 1;
    }
    let report = responder.finish()?;
    let lost = report.count("/verdicts/socket-full")?;
    assert!(answers > 0 && lost > 0, "{answers} answers, {lost} lost");
    let expected = verdicts([("answered", answers), ("socket-full", SENT - answers)]);
    assert_eq!(report.verdicts()?, expected);
    Ok(())
}
