//! Requests that no host may answer: each is counted under its verdict and gets no reply, while
//! the requests before and behind it are answered.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use xtask::lab::{Datagram, Lab, Mac, RawPort, Sccrq};

use crate::{
    packet::with_ipv4_header,
    request::{Refusal, datagram, expect, is_udp, nobody, nobody6},
    responder::{Responder, verdicts},
    trial,
    way::{WAYS, Way},
};

pub(crate) fn trials() -> Vec<Trial> {
    let tests = WAYS.map(|way| {
        let name = format!("only_whom_a_host_may_answer_gets_a_reply::{way}");
        trial(name, &[], move || {
            only_whom_a_host_may_answer_gets_a_reply(way)
        })
    });
    tests.into_iter().collect()
}

/// A frame that is an SCCRQ but for what is odd about it.
struct Unanswerable {
    verdict: &'static str,
    description: String,
    frame: Vec<u8>,
}

/// Nobody's IPv4 addresses: the first and the last of "this network", the loopback, groups, such
/// as are reserved, and broadcast.
const NO_HOSTS: [&str; 8] = [
    "0.0.0.0",
    "0.255.255.255",
    "127.0.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.254",
    "255.255.255.255",
];

/// Nobody's IPv6 addresses: unspecified, the loopback, such as stand for IPv4, and groups.
const NO_HOSTS6: [&str; 6] = [
    "::",
    "::1",
    "::203.0.113.77",
    "::ffff:203.0.113.77",
    "ff02::1",
    "ff0e::77",
];

/// All of them, between the LAC and the LNS of `v4` and of `v6` where nothing else is said.
fn unanswerable(v4: &Datagram, v6: &Datagram) -> Vec<Unanswerable> {
    let mut all = Vec::new();
    let mut add = |verdict, description: String, frame| {
        all.push(Unanswerable {
            verdict,
            description,
            frame,
        });
    };
    for (usual, addresses) in [(v4, &NO_HOSTS[..]), (v6, &NO_HOSTS6)] {
        let lns = usual.destination.ip();
        for mac in [
            Mac([0xFF; 6]),
            Mac([0x01, 0, 0x5E, 0, 0, 1]),
            Mac([0x33, 0x33, 0, 0, 0, 1]),
            Mac([0; 6]),
            Lab::RESPONDER_MAC,
        ] {
            let request = Datagram {
                source_mac: mac,
                ..usual.clone()
            };
            let what = format!("from MAC address {mac} to {lns}");
            add("bad-source", what, request.frame());
        }
        let from = |source: SocketAddr| Datagram {
            source,
            ..usual.clone()
        };
        let port_0 = SocketAddr::new(usual.source.ip(), 0);
        let what = format!("from {port_0}");
        add("bad-source", what, from(port_0).frame());
        let itself = SocketAddr::new(lns, 1025);
        let what = format!("from {itself} to itself");
        add("bad-source", what, from(itself).frame());
        for address in addresses {
            let address = address.parse().expect("an address");
            let from = from(SocketAddr::new(address, 1701));
            add("bad-source", format!("from {address}"), from.frame());
            let to = Datagram {
                destination: SocketAddr::new(address, 1701),
                ..usual.clone()
            };
            add("bad-destination", format!("to {address}"), to.frame());
        }
    }
    let ttl_0 = with_ipv4_header(v4, |header| header[8] = 0);
    add("zero-ttl", "TTL 0".to_owned(), ttl_0);
    let mut hop_limit_0 = v6.frame();
    hop_limit_0[21] = 0;
    add("zero-ttl", "hop limit 0".to_owned(), hop_limit_0);
    all
}

fn only_whom_a_host_may_answer_gets_a_reply(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let behind = RawPort::open(&lab.responder, Lab::INTERFACE)?;
    let responder = Responder::start(&lab, &way.flags())?;
    let request = |tunnel_id: u16| {
        let sccrq = Sccrq::new(tunnel_id);
        let payload = sccrq.message().bytes();
        let v4 = datagram(nobody(1701), (lab.lns(1), 1701).into(), payload.clone());
        let v6 = datagram(nobody6(1701), (lab.lns6(1), 1701).into(), payload);
        (sccrq, v4, v6)
    };
    let mut expected = verdicts([]);
    let mut count = |label: &str| *expected.entry(label.to_owned()).or_insert(0) += 1;
    let (_, v4, v6) = request(0xFFFF);
    for (number, odd) in unanswerable(&v4, &v6).iter().enumerate() {
        port.send(&odd.frame)?;
        count(odd.verdict);
        // A reply to it would come before the one to this request, which is known by its tunnel.
        let (sccrq, v4, v6) = request(1 + number as u16);
        for request in [v4, v6] {
            let reply = Refusal::DEFAULT.frame(&request, &sccrq);
            let what = format!("behind one {}", odd.description);
            expect(&port, &what, &request.frame(), &reply)?;
            count("answered");
        }
    }
    // The host gets none of them.
    let passed = behind.receive_if(Duration::from_millis(100), |seen| {
        (!seen.outgoing && is_udp(&seen.bytes)).then_some(seen.bytes)
    })?;
    ensure!(passed.is_none(), "passed to the host: {passed:02x?}");
    let report = responder.finish()?;
    assert_eq!(report.verdicts()?, expected);
    Ok(())
}
