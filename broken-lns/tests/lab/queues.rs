//! Several queues, several interfaces, and frames larger than a page.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use serde_json::Value;
use xtask::lab::{Avp, End, Lab, Mac, Peer, RawPort, Sccrq, connect};

use crate::{
    request::{Refusal, answer, datagram, expect, nobody, nobody6},
    responder::{LIMIT, Responder, verdicts},
    trial,
    way::{WAYS, Way},
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("every_queue_has_a_worker", &[], every_queue_has_a_worker),
        trial(
            "a_queue_without_a_worker_passes_its_requests",
            &[],
            a_queue_without_a_worker_passes_its_requests,
        ),
        trial(
            "more_queues_than_there_are_is_an_error",
            &[],
            more_queues_than_there_are_is_an_error,
        ),
    ];
    for way in WAYS {
        let name = format!("two_interfaces_are_answered_on::{way}");
        trials.push(trial(name, &[], move || {
            two_interfaces_are_answered_on(way)
        }));
        let name = format!("jumbo_interfaces_are_answered_on::{way}");
        trials.push(trial(name, &[], move || {
            jumbo_interfaces_are_answered_on(way)
        }));
    }
    trials
}

/// Requests from this many ports: that one of two queues gets none of them is out of the question.
const FLOWS: u16 = 64;

fn flow(lab: &Lab, number: u16) -> Vec<u8> {
    let payload = Sccrq::new(1 + number).message().bytes();
    datagram(nobody(10_000 + number), (lab.lns(1), 1701).into(), payload).frame()
}

/// The number of each queue that has a worker, and how many requests it answered.
fn queues(snapshot: &Value) -> Result<Vec<(u64, u64)>> {
    let queues = snapshot["interfaces"][0]["queues"].as_array();
    let queues = queues.context("no queues")?.iter().map(|queue| {
        let number = queue["queue"].as_u64().context("no number")?;
        Ok((number, queue["answered"].as_u64().context("no count")?))
    });
    queues.collect()
}

fn every_queue_has_a_worker() -> Result<()> {
    let plan = Lab::static_arp().queues(2).peer(Peer::Plain);
    let lab = plan.build()?;
    let port = lab.raw_port()?;
    let flags = ["--path", "redirect", "--xdp-mode", "native"];
    let responder = Responder::start(&lab, &flags)?;
    for number in 0..FLOWS {
        port.send(&flow(&lab, number))?;
    }
    let mut answered = BTreeSet::new();
    while let Some(reply) = answer(&port, Duration::from_millis(200))? {
        // Where the tunnel id stands in an untagged answer over IPv4.
        answered.insert(reply.bytes[46..48].to_vec());
    }
    assert_eq!(answered.len(), usize::from(FLOWS));
    let report = responder.finish()?;
    assert!(report.said("2 workers"), "{:?}", report.said);
    let flows = u64::from(FLOWS);
    assert_eq!(report.verdicts()?, verdicts([("answered", flows)]));
    let queues = queues(report.last()?)?;
    let numbers: Vec<u64> = queues.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [0, 1]);
    assert!(
        queues.iter().all(|(_, answered)| *answered > 0),
        "{queues:?}"
    );
    assert_eq!(
        queues.iter().map(|(_, answered)| answered).sum::<u64>(),
        flows
    );
    Ok(())
}

fn a_queue_without_a_worker_passes_its_requests() -> Result<()> {
    let plan = Lab::static_arp().queues(2).peer(Peer::Plain);
    let lab = plan.build()?;
    let port = lab.raw_port()?;
    let flags = [
        "--path",
        "redirect",
        "--xdp-mode",
        "native",
        "--queues",
        "1",
    ];
    let responder = Responder::start(&lab, &flags)?;
    let tap = RawPort::open(&lab.responder, Lab::INTERFACE)?;
    for number in 0..FLOWS {
        port.send(&flow(&lab, number))?;
    }
    let mut answered = 0;
    while answer(&port, Duration::from_millis(200))?.is_some() {
        answered += 1;
    }
    let mut passed = 0;
    while answer(&tap, Duration::from_millis(100))?.is_some() {
        passed += 1;
    }
    assert!(
        answered > 0 && passed > 0,
        "{answered} answered, {passed} passed"
    );
    let report = responder.finish()?;
    let left = "eth1: queue 1 has no worker, and requests for one that come there go to the host";
    assert!(report.said(left), "{:?}", report.said);
    assert!(
        report.said("ethtool -L eth1 combined 1"),
        "{:?}",
        report.said
    );
    let expected = verdicts([("answered", answered), ("no-socket", passed)]);
    assert_eq!(report.verdicts()?, expected);
    assert_eq!(answered + passed, u64::from(FLOWS));
    assert_eq!(queues(report.last()?)?, [(0, answered)]);
    Ok(())
}

fn more_queues_than_there_are_is_an_error() -> Result<()> {
    let lab = Lab::static_arp().queues(2).peer(Peer::Plain).build()?;
    for path in ["redirect", "auto"] {
        let report = Responder::spawn(&lab, &["--path", path, "--queues", "3"])?.end()?;
        assert_eq!(report.status.code(), Some(1));
        let error = "eth1 has 2 receive queues: --queues takes 1 to 2";
        assert!(report.said(error), "{:?}", report.said);
    }
    Ok(())
}

fn two_interfaces_are_answered_on(way: Way) -> Result<()> {
    const MACS: [Mac; 2] = [Mac([2, 0, 0, 0, 1, 1]), Mac([2, 0, 0, 0, 1, 2])];
    let lab = way.one_cable().build()?;
    let (peer, _) = lab.peer();
    let there = End::new(peer, "second").mac(MACS[0]);
    connect(&there, &End::new(&lab.responder, "eth2").mac(MACS[1]))?;
    let program = xtask::lab::PassProgram::attach(peer, "second")?;
    let ports = [lab.raw_port()?, RawPort::open(peer, "second")?];

    let flags = [&["-i", "eth1", "-i", "eth2"][..], &way.flags()].concat();
    let mut responder = Responder::start(&lab, &flags)?;
    responder
        .process()
        .wait_for_line("eth2: attached, ", LIMIT)?;
    let sccrq = Sccrq::new(7);
    let payload = sccrq.message().bytes();
    let first = datagram(nobody(1701), (lab.lns(1), 1701).into(), payload);
    let mut second = first.clone();
    (second.source_mac, second.destination_mac) = (MACS[0], MACS[1]);
    for (port, request, times) in [(&ports[0], &first, 2), (&ports[1], &second, 3)] {
        let reply = Refusal::DEFAULT.frame(request, &sccrq);
        for _ in 0..times {
            expect(port, "a request", &request.frame(), &reply)?;
        }
    }
    // The address of the one interface is no address of the other.
    ports[0].send(&second.frame())?;
    assert_eq!(answer(&ports[0], Duration::from_millis(100))?, None);
    let report = responder.finish()?;
    let expected = verdicts([("answered", 5), ("other-mac", 1)]);
    assert_eq!(report.verdicts()?, expected);
    for (index, name, answered) in [(0, "eth1", 2), (1, "eth2", 3)] {
        let interface = &report.last()?["interfaces"][index];
        assert_eq!(interface["name"], name);
        assert_eq!(interface["answered"], answered);
    }
    drop(program);
    Ok(())
}

/// With an MTU that wants several pages for a frame it attaches all the same, and answers all that
/// has its headers and its message in the first of them.
fn jumbo_interfaces_are_answered_on(way: Way) -> Result<()> {
    let lab = way.one_cable().mtu(9000).build()?;
    let port = lab.raw_port()?;
    let responder = Responder::start(&lab, &way.flags())?;
    let with_avps = |count: usize| {
        let mut sccrq = Sccrq::new(7);
        sccrq.extra = vec![Avp::new(60_000, vec![0x11; 900]); count];
        sccrq
    };
    for count in [0, 1, 2] {
        let sccrq = with_avps(count);
        let payload = sccrq.message().bytes();
        for request in [
            datagram(nobody(40_000), (lab.lns(1), 1701).into(), payload.clone()),
            datagram(nobody6(40_000), (lab.lns6(1), 1701).into(), payload.clone()),
        ] {
            let reply = Refusal::DEFAULT.frame(&request, &sccrq);
            expect(&port, &format!("{count} AVPs"), &request.frame(), &reply)?;
        }
    }
    let tap = RawPort::open(&lab.responder, Lab::INTERFACE)?;
    let payload = with_avps(8).message().bytes();
    let large = datagram(nobody(40_000), (lab.lns(1), 1701).into(), payload).frame();
    port.send(&large)?;
    let passed = answer(&tap, Duration::from_secs(2))?.context("it did not pass")?;
    assert_eq!(passed.bytes, large);
    assert_eq!(answer(&port, Duration::from_millis(100))?, None);
    let report = responder.finish()?;
    let expected = verdicts([("answered", 6), ("multi-buffer", 1)]);
    assert_eq!(report.verdicts()?, expected);
    Ok(())
}
