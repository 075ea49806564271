//! A StopCCN that comes from another port is acknowledged to that port.

use std::{
    fs,
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use xtask::lab::{ControlMessage, Namespace, Sccrq, Scratch, message_type};

use crate::{
    responder::{LIMIT, Responder, text},
    trial,
    way::{WAYS, Way},
};

pub(crate) fn trials() -> Vec<Trial> {
    let trials = WAYS.map(|way| {
        let name = format!("an_acknowledgement_to_the_other_port_ends_here::{way}");
        trial(name, &[], move || {
            an_acknowledgement_to_the_other_port_ends_here(way)
        })
    });
    trials.into()
}

/// The address of the box itself is one of an LNS, too, so that the host has to say of all that
/// gets to it whether somebody listens there.
fn an_acknowledgement_to_the_other_port_ends_here(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let files = Scratch::new("other-port")?;
    let scenario = files.file("scenario.toml");
    fs::write(
        &scenario,
        "[default]\nfault = \"garble\"\nkind = \"wrong-source-port\"\n",
    )?;
    let report = files.file("report.json");
    let flags = [
        &way.flags()[..],
        &["--scenario", text(&scenario)?, "--report", text(&report)?],
    ];
    let responder = Responder::start(&lab, &flags.concat())?;
    let lns = lab.responder_address();
    let [right, other] = [1701, 1702].map(|port| SocketAddr::from((lns, port)));

    let bind = || UdpSocket::bind((lab.lac_address(), 1701));
    let lac = lab.lac.enter(bind)??;
    lac.set_read_timeout(Some(LIMIT))?;
    lac.send_to(&Sccrq::new(7).message().bytes(), right)?;
    let mut octets = [0; 2048];
    let (len, from) = lac.recv_from(&mut octets).context("no answer")?;
    let stop = ControlMessage::parse(&octets[..len])?;
    ensure!(stop.message_type() == Some(message_type::STOPCCN));
    ensure!(from == other, "it comes from {from}");

    // Whom nobody listens to is told so, and the one who acknowledges is not.
    lac.connect(other)?;
    let zlb = ControlMessage::zlb(12345, 1, 1).bytes();
    lac.send(&zlb)?;
    lac.send(b"is anybody there?")?;
    let refused = lac.recv(&mut octets).err().map(|error| error.kind());
    ensure!(refused == Some(ErrorKind::ConnectionRefused), "{refused:?}");
    ensure!(nobody_listened(&lab.responder)? == 1);

    // Nor does somebody who listens get the acknowledgement.
    let listener = lab.responder.enter(|| UdpSocket::bind(other))??;
    listener.set_read_timeout(Some(LIMIT))?;
    lac.send(&zlb)?;
    lac.send(b"are you there?")?;
    let len = listener.recv(&mut octets).context("nothing gets through")?;
    ensure!(
        &octets[..len] == b"are you there?",
        "{:02x?}",
        &octets[..len]
    );

    let ended = responder.finish()?;
    assert_eq!(ended.count("/verdicts/answered")?, 1);
    assert_eq!(ended.count("/verdicts/zlb")?, 2);
    ensure!(ended.count("/verdicts/other-traffic")? >= 2);
    let report: Value = serde_json::from_slice(&fs::read(&report)?)?;
    assert_eq!(report["events"]["unmatched"], 0);
    assert_eq!(report["faults"][0]["acknowledged"]["zlb"], 1);
    Ok(())
}

/// How many datagrams came to a port of the namespace at which nobody listened.
fn nobody_listened(namespace: &Namespace) -> Result<u64> {
    // The counters of the namespace that the thread is in, and no other file of the process.
    let read = || fs::read_to_string("/proc/thread-self/net/snmp");
    let counters = namespace.enter(read)??;
    let mut rows = counters.lines().filter(|row| row.starts_with("Udp:"));
    let (names, values) = rows.next().zip(rows.next()).context("no UDP")?;
    let mut columns = names.split(' ').zip(values.split(' '));
    let count = columns.find_map(|(name, value)| (name == "NoPorts").then_some(value));
    Ok(count.context("no NoPorts")?.parse()?)
}
