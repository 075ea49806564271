//! L2TP within PPPoE, MPLS or more tags than are looked through: it is counted as that, goes to
//! the host as it came, and is told of where a person reads along.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use xtask::lab::{Datagram, Lab, RawPort, Sccrq};

use crate::{
    request::{Refusal, datagram, expect, hex, nobody, nobody6, push},
    responder::{LIMIT, Responder, verdicts},
    trial,
    way::{WAYS, Way},
};

pub(crate) fn trials() -> Vec<Trial> {
    let trials = WAYS.map(|way| {
        let name = format!("what_l2tp_is_encapsulated_in_is_told::{way}");
        trial(name, &[], move || what_l2tp_is_encapsulated_in_is_told(way))
    });
    trials.into_iter().collect()
}

/// The frame with these octets for the EtherType of its packet.
fn within(layers: &[u8], frame: &[u8]) -> Vec<u8> {
    let (addresses, packet) = (&frame[..12], &frame[14..]);
    [addresses, layers, packet].concat()
}

/// Layers that lead to IPv4 and to IPv6, and what is said of them.
const LAYERS: [(&[u8], &[u8], &str); 5] = [
    (
        &[0x88, 0x64, 0x11, 0, 0, 7, 0, 0x7a, 0, 0x21],
        &[0x88, 0x64, 0x11, 0, 0, 7, 0, 0x8e, 0, 0x57],
        "within PPPoE",
    ),
    (
        &[0x88, 0x47, 0, 1, 0x21, 64],
        &[0x88, 0x47, 0, 1, 0x20, 64, 0, 2, 0x21, 64],
        "within MPLS",
    ),
    (
        &[0x81, 0, 0, 7, 0x88, 0x47, 0, 1, 0x21, 64],
        &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 8, 0x88, 0x47, 0, 1, 0x21, 64],
        "within MPLS",
    ),
    (
        &[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3, 0x08, 0x00],
        &[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3, 0x86, 0xdd],
        "behind more than two VLAN tags",
    ),
    (
        &[0x93, 0, 0, 1, 0x08, 0x00],
        &[0x93, 0, 0, 1, 0x86, 0xdd],
        "behind a tag of unknown EtherType 0x9300",
    ),
];

fn what_l2tp_is_encapsulated_in_is_told(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let responder = Responder::start(&lab, &[&way.flags()[..], &["-v"]].concat())?;
    let tap = RawPort::open(&lab.responder, Lab::INTERFACE)?;
    let sccrq = Sccrq::new(4242);
    let request = |from: SocketAddr, to: SocketAddr| datagram(from, to, sccrq.message().bytes());
    let v4 = request(nobody(40_000), (lab.lns(1), 1701).into());
    let v6 = request(nobody6(1701), (lab.lns6(2), 1701).into());
    let mut told = Vec::new();
    let from_v4 = "203.0.113.77:40000 to 192.0.2.1";
    let from_v6 = "[2001:db8:b::4d]:1701 to 2001:db8:1::2";
    for (to_v4, to_v6, says) in LAYERS {
        for (layers, request, who) in [(to_v4, &v4, from_v4), (to_v6, &v6, from_v6)] {
            let frame = within(layers, &request.frame());
            push(&port, &frame)?;
            let seen = tap.receive_if(LIMIT, |seen| {
                (!seen.outgoing && seen.bytes.ends_with(&request.payload)).then_some(seen.bytes)
            })?;
            let seen = seen.with_context(|| format!("{says}: it did not pass"))?;
            assert_eq!(hex(&seen), hex(&frame), "{says}");
            told.push(format!(
                "control message from {who} {says}: left to the host"
            ));
        }
    }
    // What holds no L2TP is other traffic, as before: the same to another port.
    let other = Datagram {
        destination: (lab.lns(1), 1703).into(),
        ..v4.clone()
    };
    for (layers, _, _) in LAYERS {
        push(&port, &within(layers, &other.frame()))?;
    }
    let reply = Refusal::DEFAULT.frame(&v4, &sccrq);
    expect(&port, "behind all of them", &v4.frame(), &reply)?;
    let report = responder.finish()?;
    let expected = verdicts([("answered", 1), ("encapsulated", told.len() as u64)]);
    assert_eq!(report.verdicts()?, expected);
    let said = report
        .said
        .iter()
        .filter_map(|line| line.split_once("eth1  "));
    let said: Vec<_> = said
        .map(|(_, said)| said)
        .filter(|said| said.starts_with("control message"))
        .collect();
    assert_eq!(said, told);
    let more = port.receive_if(Duration::from_millis(100), |frame| {
        (!frame.outgoing && frame.bytes.ends_with(&[0x30, 0x39])).then_some(())
    })?;
    assert_eq!(more, None, "something else was answered");
    Ok(())
}
