//! `--any-mac` and `--verify-checksum`: which requests are answered at all.

use std::{net::IpAddr, time::Duration};

use anyhow::Result;
use libtest_mimic::Trial;
use xtask::lab::{Checksum, Datagram, Lab, Mac, Sccrq};

use crate::{
    packet::with_ipv4_header,
    request::{Refusal, answer, datagram, expect, nobody, nobody6},
    responder::{Responder, verdicts},
    trial,
    way::{WAYS, Way},
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for way in WAYS {
        let name = format!("any_mac_answers_for_neighbours::{way}");
        trials.push(trial(name, &[], move || {
            any_mac_answers_for_neighbours(way)
        }));
        let name = format!("checksums_are_checked_where_asked::{way}");
        trials.push(trial(name, &[], move || {
            checksums_are_checked_where_asked(way)
        }));
    }
    trials.push(trial(
        "unfinished_checksums_are_refused_where_asked",
        &[],
        unfinished_checksums_are_refused_where_asked,
    ));
    trials
}

/// On a mirror port frames are to others. Those to a group of stations are never answered.
fn any_mac_answers_for_neighbours(way: Way) -> Result<()> {
    const STRANGER: Mac = Mac([0x02, 0xAB, 0xCD, 0xEF, 0x01, 0x23]);
    const BROADCAST: Mac = Mac([0xFF; 6]);
    const MULTICAST: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let sccrq = Sccrq::new(7);
    let payload = sccrq.message().bytes();
    let requests: Vec<Datagram> = [Lab::RESPONDER_MAC, STRANGER, BROADCAST, MULTICAST]
        .into_iter()
        .flat_map(|destination_mac| {
            let v4 = datagram(nobody(1701), (lab.lns(1), 1701).into(), payload.clone());
            let v6 = datagram(nobody6(1701), (lab.lns6(1), 1701).into(), payload.clone());
            [v4, v6].map(|request| Datagram {
                destination_mac,
                ..request
            })
        })
        .collect();
    for (flags, answered) in [(&[][..], 2), (&["--any-mac"], 4)] {
        let responder = Responder::start(&lab, &[&way.flags(), flags].concat())?;
        let (ours, others) = requests.split_at(answered);
        for request in ours {
            let reply = Refusal::DEFAULT.frame(request, &sccrq);
            let what = format!("{flags:?}, to {}", request.destination_mac);
            expect(&port, &what, &request.frame(), &reply)?;
        }
        for request in others {
            port.send(&request.frame())?;
        }
        assert_eq!(answer(&port, Duration::from_millis(100))?, None);
        let report = responder.finish()?;
        let expected = [("answered", ours.len()), ("other-mac", others.len())]
            .map(|(label, count)| (label, count as u64));
        assert_eq!(report.verdicts()?, verdicts(expected), "{flags:?}");
    }
    Ok(())
}

/// A checksum of UDP or of the IPv4 header that is wrong or, over IPv6, not there keeps a request
/// from being answered only if that was asked for. Other control messages are held to the same.
fn checksums_are_checked_where_asked(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let sccrq = Sccrq::new(7);
    // Two lengths, since the last octet of an odd one is summed apart.
    let mut longer = sccrq.clone();
    longer.host_name.push('!');
    let cases: Vec<(Datagram, Vec<u8>, bool)> = [&sccrq, &longer]
        .into_iter()
        .flat_map(|sccrq| {
            let payload = sccrq.message().bytes();
            let v4 = datagram(nobody(1701), (lab.lns(1), 1701).into(), payload.clone());
            let v6 = datagram(nobody6(1701), (lab.lns6(1), 1701).into(), payload);
            let absent = |request: &Datagram| Datagram {
                checksum: Checksum::Absent,
                ..request.clone()
            };
            let wrong = |request: &Datagram| {
                let mut frame = request.frame();
                // The last octet, which is part of an AVP that nobody reads.
                *frame.last_mut().expect("a frame is never empty") ^= 0x10;
                frame
            };
            let with_options =
                |request: &Datagram, len| with_ipv4_header(request, |header| header.resize(len, 1));
            let wrong_header = |request: &Datagram, len| {
                let mut frame = with_options(request, len);
                frame[24] ^= 0x10;
                frame
            };
            [
                (v4.clone(), with_options(&v4, 60), true),
                (v4.clone(), wrong_header(&v4, 20), false),
                (v4.clone(), wrong_header(&v4, 24), false),
                (v4.clone(), wrong_header(&v4, 60), false),
                (absent(&v4), wrong_header(&absent(&v4), 20), false),
                (v4.clone(), v4.frame(), true),
                (v6.clone(), v6.frame(), true),
                (v4.clone(), absent(&v4).frame(), true),
                (v6.clone(), absent(&v6).frame(), false),
                (v4.clone(), wrong(&v4), false),
                (v6.clone(), wrong(&v6), false),
            ]
        })
        .collect();
    for (flags, checked) in [(&[][..], false), (&["--verify-checksum"], true)] {
        let responder = Responder::start(&lab, &[&way.flags(), flags].concat())?;
        let mut expected = verdicts([]);
        let mut count = |label: &str| *expected.entry(label.to_owned()).or_insert(0) += 1;
        for (request, frame, right) in &cases {
            if *right || !checked {
                let reply = Refusal::DEFAULT.frame(request, &sccrq);
                expect(&port, &format!("{flags:?}"), frame, &reply)?;
                count("answered");
            } else {
                port.send(frame)?;
                assert_eq!(answer(&port, Duration::from_millis(50))?, None);
                count("bad-checksum");
            }
        }
        let report = responder.finish()?;
        assert_eq!(report.verdicts()?, expected, "{flags:?}");
    }
    Ok(())
}

/// What the help warns of: over a veth the requests of local sockets carry checksums that an
/// offload was to finish. With the offload off they are whole.
fn unfinished_checksums_are_refused_where_asked() -> Result<()> {
    for (offload, label) in [(true, "bad-checksum"), (false, "answered")] {
        let lab = Lab::static_arp().lac_tx_checksum(offload).build()?;
        let responder = Responder::start(&lab, &["--verify-checksum"])?;
        let message = Sccrq::new(1).message().bytes();
        for (lac, lns) in [
            (lab.minimal_lac(0)?, IpAddr::from(lab.lns(1))),
            (lab.minimal_lac6(0)?, lab.lns6(1).into()),
        ] {
            lac.send(lns, &message)?;
            let answered = lac.receive(Duration::from_millis(200))?.is_some();
            assert_eq!(answered, !offload, "{lns}");
        }
        let report = responder.finish()?;
        assert_eq!(report.verdicts()?, verdicts([(label, 2)]));
    }
    Ok(())
}
