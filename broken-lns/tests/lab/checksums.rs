//! Requests of a real UDP socket, which leave the checksum to their interface: on a veth nobody
//! finishes it, unless an interface on the way cannot leave it either. Whatever is finished
//! where, a reply arrives with its own checksum.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, SocketAddr, UdpSocket},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use nix::sys::socket::{setsockopt, sockopt};
use xtask::lab::{Checksum, Datagram, Hop, Lab, MinimalLac, RawPort, Sccrq, Scratch, StopCcn};

use crate::{
    request::answer,
    responder::{LIMIT, Responder, text, verdicts},
    trial,
    way::Way,
};

pub(crate) fn trials() -> Vec<Trial> {
    let ways = [
        Way::new("auto", "auto"),
        Way::new("auto", "native"),
        Way::new("auto", "generic"),
        Way::new("rewrite", "native"),
        Way::new("redirect", "native"),
        Way::new("redirect", "generic"),
    ];
    let mut trials: Vec<Trial> = ways
        .into_iter()
        .map(|way| {
            let name = format!("a_socket_gets_what_has_a_right_checksum::{way}");
            trial(name, &[], move || {
                a_socket_gets_what_has_a_right_checksum(way)
            })
        })
        .collect();
    let native = ways.into_iter().filter(|way| way.mode != "generic");
    trials.extend(native.map(|way| {
        let name = format!("requests_that_are_sent_at_once_are_answered_each::{way}");
        trial(name, &[], move || {
            requests_that_are_sent_at_once_are_answered_each(way)
        })
    }));
    for mode in ["auto", "generic"] {
        let name = format!("what_may_spoil_checksums_is_warned_of::{mode}");
        trials.push(trial(name, &[], move || {
            what_may_spoil_checksums_is_warned_of(Way::new("rewrite", mode))
        }));
    }
    trials
}

/// The second address answers with a wrong checksum.
const SCENARIO: &str = r#"[default]
fault = "refuse"
result = 2

[[lns]]
address = ["192.0.2.2", "2001:db8:1::2"]
fault = "garble"
kind = "bad-udp-checksum"
"#;

/// The LAC's sockets, and what is on the wire at its end.
struct Lac {
    tap: RawPort,
    /// Over IPv4 and IPv6, with the LNS that answers well and the one that does not.
    sockets: [(MinimalLac, IpAddr, IpAddr); 2],
}

impl Lac {
    fn of(lab: &Lab) -> Result<Self> {
        Ok(Self {
            tap: RawPort::open(&lab.lac, Lab::LAC_INTERFACE)?,
            sockets: [
                (lab.minimal_lac(1701)?, lab.lns(1).into(), lab.lns(2).into()),
                (
                    lab.minimal_lac6(1701)?,
                    lab.lns6(1).into(),
                    lab.lns6(2).into(),
                ),
            ],
        })
    }

    /// What is on the wire next, and who sent it.
    fn on_the_wire(&self) -> Result<(SocketAddr, Checksum)> {
        let frame = answer(&self.tap, LIMIT)?.context("there is no answer on the wire")?;
        let datagram = Datagram::parse(&frame.bytes)?;
        Ok((datagram.source, datagram.checksum))
    }
}

/// Every set of interfaces, as those that leave checksums to others.
fn offloads() -> impl Iterator<Item = [bool; Hop::ALL.len()]> {
    (0..1 << Hop::ALL.len()).map(|bits| std::array::from_fn(|hop| bits >> hop & 1 != 0))
}

fn a_socket_gets_what_has_a_right_checksum(way: Way) -> Result<()> {
    let files = Scratch::new("checksums")?;
    let file = files.file("scenario.toml");
    fs::write(&file, SCENARIO)?;
    let lab = way.lab(Lab::routed()).build()?;
    let flags = [&way.flags()[..], &["--scenario", text(&file)?]].concat();
    let responder = Responder::start(&lab, &flags)?;
    let lac = Lac::of(&lab)?;
    let mut asked = 0;
    for on in offloads() {
        for (hop, on) in Hop::ALL.into_iter().zip(on) {
            lab.switch_tx_checksum(hop, on)?;
        }
        for (socket, right, wrong) in &lac.sockets {
            let what = format!("{right}, offloads {on:?}");
            asked += 1;
            let request = Sccrq::new(asked).message().bytes();
            socket.send(*wrong, &request)?;
            socket.send(*right, &request)?;
            let expected = [
                (SocketAddr::new(*wrong, 1701), Checksum::Wrong),
                (SocketAddr::new(*right, 1701), Checksum::Right),
            ];
            for expected in expected {
                let seen = lac.on_the_wire().with_context(|| what.clone())?;
                ensure!(seen == expected, "{what}: {seen:?} on the wire");
            }
            // The wrong one came before it, and is gone.
            let (from, payload) = socket.receive(LIMIT)?.with_context(|| what.clone())?;
            ensure!(from.ip() == *right, "{what}: the socket got that of {from}");
            assert_eq!(StopCcn::parse(&payload)?.tunnel_id, asked);
        }
    }
    let report = responder.finish()?;
    ensure!(!report.said("checksum of a reply"), "{:?}", report.said);
    let expected = verdicts([("answered", 2 * u64::from(asked))]);
    assert_eq!(report.verdicts()?, expected);
    Ok(())
}

/// A socket may leave it to its interface to cut what it sends into datagrams. Generic mode would
/// get them as one.
fn requests_that_are_sent_at_once_are_answered_each(way: Way) -> Result<()> {
    const REQUESTS: u16 = 8;
    let lab = way.one_cable().build()?;
    let responder = Responder::start(&lab, &way.flags())?;
    let socket = lab
        .lac
        .enter(|| UdpSocket::bind((lab.lac_address(), 1701)))??;
    socket.set_read_timeout(Some(LIMIT))?;
    let requests: Vec<_> = (1..=REQUESTS)
        .map(|tunnel_id| Sccrq::new(tunnel_id).message().bytes())
        .collect();
    let segment = i32::try_from(requests[0].len())?;
    setsockopt(&socket, sockopt::UdpGsoSegment, &segment)?;
    socket.send_to(&requests.concat(), (lab.lns(1), 1701))?;
    let mut answered = BTreeSet::new();
    for _ in 1..=REQUESTS {
        let mut payload = [0; 1500];
        let (len, _) = socket.recv_from(&mut payload)?;
        answered.insert(StopCcn::parse(&payload[..len])?.tunnel_id);
    }
    assert_eq!(answered, (1..=REQUESTS).collect());
    let report = responder.finish()?;
    let expected = verdicts([("answered", REQUESTS.into())]);
    assert_eq!(report.verdicts()?, expected);
    Ok(())
}

/// The warning comes before the loss: the router finishes a checksum that is finished already.
fn what_may_spoil_checksums_is_warned_of(way: Way) -> Result<()> {
    let lab = way.lab(Lab::routed()).build()?;
    lab.switch_tx_checksum(Hop::RouterToLac, false)?;
    let responder = Responder::start(&lab, &way.flags())?;
    let lac = Lac::of(&lab)?;
    for (socket, lns, _) in &lac.sockets {
        socket.send(*lns, &Sccrq::new(7).message().bytes())?;
        let seen = lac.on_the_wire()?;
        // No kernel that is known sends it as it was written; if one does some day, there is
        // nothing to warn of any more.
        assert_eq!(seen, (SocketAddr::new(*lns, 1701), Checksum::Wrong));
        assert!(socket.receive(Duration::from_millis(100))?.is_none());
    }
    let report = responder.finish()?;
    let warning = "the UDP checksum of a reply may be overwritten";
    assert!(report.said(warning), "{:?}", report.said);
    assert_eq!(report.verdicts()?, verdicts([("answered", 2)]));
    Ok(())
}
