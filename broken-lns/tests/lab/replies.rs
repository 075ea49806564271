//! Replies octet by octet: every shape of request that is answered, on every way.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use libtest_mimic::Trial;
use xtask::lab::{self, Avp, Checksum, ControlMessage, Datagram, Lab, Sccrq, Tag};

use crate::{
    packet::with_ipv4_header,
    request::{Refusal, answer, datagram, expect, nobody, nobody6},
    responder::{Responder, verdicts},
    trial,
    way::{WAYS, Way},
};

pub(crate) fn trials() -> Vec<Trial> {
    let octets = WAYS.map(|way| {
        let name = format!("every_octet_of_a_reply_is_right::{way}");
        trial(name, &[], move || every_octet_of_a_reply_is_right(way))
    });
    let sockets = WAYS.map(|way| {
        let name = format!("lacs_with_sockets_are_refused::{way}");
        trial(name, &[], move || lacs_with_sockets_are_refused(way))
    });
    octets.into_iter().chain(sockets).collect()
}

/// A frame, and the SCCRQ in it with the datagram around that: what the reply depends on.
struct Request {
    description: &'static str,
    frame: Vec<u8>,
    datagram: Datagram,
    sccrq: Sccrq,
}

impl Request {
    fn new(description: &'static str, datagram: Datagram, sccrq: Sccrq) -> Self {
        Self {
            description,
            frame: datagram.frame(),
            datagram,
            sccrq,
        }
    }

    /// The same datagram in another frame.
    fn in_frame(self, frame: Vec<u8>) -> Self {
        Self { frame, ..self }
    }
}

fn requests() -> Vec<Request> {
    let lns: SocketAddr = ([192, 0, 2, 1], 1701).into();
    let lns6: SocketAddr = ([0x2001, 0xdb8, 1, 0, 0, 0, 0, 1], 1701).into();
    let usual = Sccrq::new(0xCAFE);
    let with = |sccrq: &Sccrq, from: SocketAddr| {
        let to = if from.is_ipv4() { lns } else { lns6 };
        datagram(from, to, sccrq.message().bytes())
    };
    let v4 = with(&usual, nobody(40_000));
    let v6 = with(&usual, nobody6(40_000));
    let request = |description, datagram: &Datagram| {
        Request::new(description, datagram.clone(), usual.clone())
    };
    let tagged = |datagram: &Datagram, tags: &[Tag]| Datagram {
        tags: tags.to_vec(),
        ..datagram.clone()
    };
    let qinq = [Tag::s(100), Tag::c(7)];
    let old_qinq = |protocol| {
        let outer = Tag {
            protocol,
            control: 100,
        };
        [outer, Tag::c(7)]
    };
    let padded = |datagram: &Datagram| [datagram.frame(), vec![0xEE; 18]].concat();
    let summed = |datagram: &Datagram, checksum| Datagram {
        checksum,
        ..datagram.clone()
    };

    let mut requests = vec![
        request("IPv4 from another port", &v4),
        request("IPv4 from port 1701", &with(&usual, nobody(1701))),
        request("IPv4 from port 1", &with(&usual, nobody(1))),
        request("IPv6 from another port", &v6),
        request("IPv6 from port 1701", &with(&usual, nobody6(1701))),
        request("802.1Q over IPv4", &tagged(&v4, &[Tag::c(4094)])),
        request("802.1Q over IPv6", &tagged(&v6, &[Tag::c(1)])),
        request("QinQ over IPv4", &tagged(&v4, &qinq)),
        request("QinQ over IPv6", &tagged(&v6, &qinq)),
        request("two tags of 802.1Q", &tagged(&v4, &[Tag::c(3), Tag::c(4)])),
        request("a tag with priority", &tagged(&v4, &[Tag::c(0xE007)])),
        request(
            "QinQ with 0x9100 over IPv4",
            &tagged(&v4, &old_qinq(0x9100)),
        ),
        request(
            "QinQ with 0x9200 over IPv6",
            &tagged(&v6, &old_qinq(0x9200)),
        ),
        request(
            "a tag of 0x9100 alone",
            &tagged(&v4, &old_qinq(0x9100)[..1]),
        ),
        request("padded over IPv4", &v4).in_frame(padded(&v4)),
        request("padded over IPv6", &v6).in_frame(padded(&v6)),
        request("padded over QinQ", &tagged(&v6, &qinq)).in_frame(padded(&tagged(&v6, &qinq))),
        request("no checksum", &summed(&v4, Checksum::Absent)),
    ];
    requests.extend([4, 20, 40].map(|octets| {
        let no_operation = |header: &mut Vec<u8>| header.resize(20 + octets, 1);
        request("IPv4 options", &v4).in_frame(with_ipv4_header(&v4, no_operation))
    }));
    let unusual = |header: &mut Vec<u8>| {
        // Expedited forwarding, an identification, may be fragmented, on its last hop.
        (header[1], header[8]) = (0xB8, 1);
        header[4..8].copy_from_slice(&[0xBE, 0xEF, 0, 0]);
    };
    requests.push(request("an unusual IPv4 header", &v4).in_frame(with_ipv4_header(&v4, unusual)));
    for (description, datagram) in [
        ("an unfinished checksum over IPv4", &v4),
        ("an unfinished checksum over IPv6", &v6),
    ] {
        let mut frame = datagram.frame();
        let checksum = frame.len() - datagram.payload.len() - 2;
        frame[checksum] ^= 0x55;
        requests.push(request(description, datagram).in_frame(frame));
    }
    let mut labelled = v6.frame();
    // A traffic class, a flow label, and the last hop.
    labelled[14..18].copy_from_slice(&[0x6B, 0x81, 0x23, 0x45]);
    labelled[21] = 1;
    requests.push(request("an unusual IPv6 header", &v6).in_frame(labelled));

    for (description, sccrq) in unusual_messages() {
        for from in [nobody(40_000), nobody6(40_000)] {
            requests.push(Request::new(description, with(&sccrq, from), sccrq.clone()));
        }
    }
    for (description, message) in shuffled_messages(&usual) {
        requests.push(request(
            description,
            &datagram(nobody(40_000), lns, message.bytes()),
        ));
    }
    let mut trailing = v4.clone();
    trailing.payload.extend([0xFF; 33]);
    requests.push(request("a datagram longer than its message", &trailing));
    requests
}

/// Requests whose reply differs, or that are larger than any reply.
fn unusual_messages() -> Vec<(&'static str, Sccrq)> {
    let usual = Sccrq::new(1);
    let vendor = |attribute, mandatory| Avp {
        mandatory,
        hidden: false,
        vendor: 9,
        attribute,
        value: vec![0xAB; 9],
    };
    vec![
        (
            "the last tunnel id",
            Sccrq {
                tunnel_id: 0xFFFF,
                ..usual.clone()
            },
        ),
        (
            "an Ns before the wrap",
            Sccrq {
                ns: 0xFFFF,
                ..usual.clone()
            },
        ),
        (
            "AVPs of vendors",
            Sccrq {
                extra: vec![vendor(9, true), vendor(0, false)],
                ..usual.clone()
            },
        ),
        (
            "an unknown mandatory AVP",
            Sccrq {
                extra: vec![Avp::new(60_000, [1, 2, 3])],
                ..usual.clone()
            },
        ),
        (
            "a request of nearly one MTU",
            Sccrq {
                extra: vec![Avp::new(11, [7; 1000]), Avp::new(8, [0x41; 300])],
                ..usual
            },
        ),
    ]
}

/// The AVPs of a request in other orders, and as few of them as can be answered.
fn shuffled_messages(sccrq: &Sccrq) -> Vec<(&'static str, ControlMessage)> {
    let message = sccrq.message();
    let kind = message.avps[0].clone();
    let tunnel = message.avps[4].clone();
    let others: Vec<Avp> = [&message.avps[1..4], &message.avps[5..]].concat();
    let of = |avps: Vec<Avp>| ControlMessage {
        avps,
        ..message.clone()
    };
    vec![
        (
            "the tunnel id first",
            of([vec![kind.clone(), tunnel.clone()], others.clone()].concat()),
        ),
        (
            "the tunnel id last",
            of([vec![kind.clone()], others, vec![tunnel.clone()]].concat()),
        ),
        (
            "the tunnel id alone",
            of(vec![kind.clone(), tunnel.clone()]),
        ),
        (
            "the tunnel id behind forty others",
            of([vec![kind], vec![Avp::new(5, [0; 8]); 40], vec![tunnel]].concat()),
        ),
    ]
}

fn every_octet_of_a_reply_is_right(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let responder = Responder::start(&lab, &way.flags())?;
    let requests = requests();
    for Request {
        description,
        frame,
        datagram,
        sccrq,
    } in &requests
    {
        let expected = Refusal::DEFAULT.frame(datagram, sccrq);
        expect(&port, description, frame, &expected)?;
    }
    // One answer each, and nothing behind the last of them.
    assert_eq!(answer(&port, Duration::from_millis(100))?, None);
    let report = responder.finish()?;
    let expected = verdicts([("answered", requests.len() as u64)]);
    assert_eq!(report.verdicts()?, expected);
    let by_path = match way.path {
        "rewrite" => (requests.len() as u64, 0),
        _ => (0, requests.len() as u64),
    };
    let counted = (report.count("/rewritten")?, report.count("/redirected")?);
    assert_eq!(counted, by_path);
    Ok(())
}

/// LACs that send through sockets, so that their own system has to accept the reply: over both
/// versions of IP, through the router and without, from port 1701 and from another.
fn lacs_with_sockets_are_refused(way: Way) -> Result<()> {
    for plan in [Lab::routed(), Lab::static_arp()] {
        let lab = way.lab(plan).build()?;
        let responder = Responder::start(&lab, &way.flags())?;
        let mut dialled = 0;
        for number in 1..=8 {
            let lacs = [
                (lab.minimal_lac(1701)?, lab.lns(number).into()),
                (lab.minimal_lac6(1701)?, lab.lns6(number).into()),
                (lab.minimal_lac(0)?, lab.lns(number).into()),
                (
                    lab.minimal_lac6(0)?,
                    std::net::IpAddr::from(lab.lns6(number)),
                ),
            ];
            for (lac, lns) in lacs {
                let mut request = Sccrq::new(1000 + dialled);
                request.ns = dialled;
                let refusal = lac.dial(lns, &request)?.refusal()?;
                let expected = Refusal::DEFAULT.message(request.tunnel_id, request.ns);
                assert_eq!(refusal.payload, expected.bytes());
                assert_eq!(refusal.sent, 1);
                dialled += 1;
            }
        }
        lab::pause(Duration::from_millis(100))?;
        let report = responder.finish()?;
        let dialled = u64::from(dialled);
        let expected = verdicts([("answered", dialled), ("zlb", dialled)]);
        assert_eq!(report.verdicts()?, expected);
        assert_eq!(report.lost_by_driver()?, 0);
    }
    Ok(())
}
