//! Interfaces that lie on others or are ports of them.

use std::time::Duration;

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use xtask::lab::{self, Lab, Mac, Peer, RawPort, Sccrq, Tag};

use crate::{
    Skip,
    request::{Refusal, answer, datagram, expect, nobody},
    responder::{LIMIT, Responder, verdicts},
    trial,
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (path, mode) in [
        ("auto", "auto"),
        ("rewrite", "auto"),
        ("redirect", "auto"),
        ("auto", "generic"),
    ] {
        for (kind, test) in [
            (
                "bridge",
                answered_on_a_bridge as fn(&str, &str) -> Result<()>,
            ),
            ("macvlan", answered_on_a_macvlan),
            ("vlan", answered_on_a_vlan),
            ("bond", answered_on_a_bond),
            ("team", answered_on_a_team),
        ] {
            let name = format!("answered_on_a::{kind}::{path}_{mode}");
            trials.push(trial(name, &[], move || test(path, mode)));
        }
    }
    trials.extend([
        trial(
            "a_port_names_what_it_belongs_to",
            &[],
            a_port_names_what_it_belongs_to,
        ),
        trial(
            "the_same_frames_twice_are_refused",
            &[],
            the_same_frames_twice_are_refused,
        ),
        trial(
            "a_port_of_a_bond_is_refused",
            &[],
            a_port_of_a_bond_is_refused,
        ),
        trial(
            "promiscuous_mode_lasts_as_long_as_the_run",
            &[],
            promiscuous_mode_lasts_as_long_as_the_run,
        ),
    ]);
    trials
}

const MAC: Mac = Mac([2, 0, 0, 0, 2, 1]);

/// A lab whose cable is a plain one, and its other end.
fn cable() -> Result<(Lab, RawPort)> {
    let lab = Lab::static_arp().peer(Peer::Plain).build()?;
    let port = lab.raw_port()?;
    Ok((lab, port))
}

/// Makes an interface in the box, of a type that the kernel may not have. The test is skipped then.
fn make(lab: &Lab, words: &str) -> Result<()> {
    let made = lab.responder.ip(&format!("link add {words}")).map(drop);
    made.map_err(|error| match format!("{error:#}") {
        said if said.contains("Unknown device type") => {
            let mut kind = words.split_whitespace().skip_while(|word| *word != "type");
            let kind = kind.nth(1).unwrap_or(words);
            Skip(format!("this kernel has no interfaces of the type {kind}")).into()
        }
        _ => error,
    })
}

/// Five requests to the address of `interface`, which is of that name in the box.
fn answers(
    lab: &Lab,
    port: &RawPort,
    interface: &str,
    tags: &[Tag],
    (path, mode): (&str, &str),
) -> Result<()> {
    lab.responder
        .ip(&format!("link set {interface} address {MAC}"))?;
    lab.responder.ip(&format!("link set {interface} up"))?;
    lab::until("the interface to carry", LIMIT, || {
        let shown = lab.responder.ip(&format!("link show {interface}"))?;
        Ok(shown.contains("LOWER_UP").then_some(()))
    })?;
    let flags = ["-i", interface, "--path", path, "--xdp-mode", mode];
    let responder = Responder::start(lab, &flags)?;
    for number in 1..=5 {
        let sccrq = Sccrq::new(number);
        let payload = sccrq.message().bytes();
        let mut request = datagram(nobody(40_000), (lab.lns(1), 1701).into(), payload);
        request.destination_mac = MAC;
        request.tags = tags.to_vec();
        let reply = Refusal::DEFAULT.frame(&request, &sccrq);
        expect(port, &format!("number {number}"), &request.frame(), &reply)?;
    }
    let report = responder.finish()?;
    assert_eq!(report.verdicts()?, verdicts([("answered", 5)]));
    assert_eq!(report.count("/undelivered")?, 0);
    assert!(report.said("attached, generic mode"), "{:?}", report.said);
    Ok(())
}

fn answered_on_a_bridge(path: &str, mode: &str) -> Result<()> {
    let (lab, port) = cable()?;
    make(&lab, "br0 type bridge")?;
    lab.responder.ip("link set eth1 master br0")?;
    answers(&lab, &port, "br0", &[], (path, mode))
}

fn answered_on_a_macvlan(path: &str, mode: &str) -> Result<()> {
    let (lab, port) = cable()?;
    make(&lab, "up0 link eth1 type macvlan mode bridge")?;
    answers(&lab, &port, "up0", &[], (path, mode))
}

fn answered_on_a_vlan(path: &str, mode: &str) -> Result<()> {
    let (lab, port) = cable()?;
    make(&lab, "up0 link eth1 type vlan id 5")?;
    answers(&lab, &port, "up0", &[Tag::c(5)], (path, mode))
}

fn answered_on_a_bond(path: &str, mode: &str) -> Result<()> {
    let (lab, port) = cable()?;
    make(&lab, "bond0 type bond mode active-backup miimon 100")?;
    lab.responder.ip("link set eth1 down")?;
    lab.responder.ip("link set eth1 master bond0")?;
    answers(&lab, &port, "bond0", &[], (path, mode))
}

fn answered_on_a_team(path: &str, mode: &str) -> Result<()> {
    let (lab, port) = cable()?;
    make(&lab, "team0 type team")?;
    lab.responder.ip("link set eth1 down")?;
    lab.responder.ip("link set eth1 master team0")?;
    answers(&lab, &port, "team0", &[], (path, mode))
}

/// On a port of a bridge what is to the port's own address is answered, and the remark says where
/// the rest is to be had.
fn a_port_names_what_it_belongs_to() -> Result<()> {
    let (lab, port) = cable()?;
    make(&lab, "br0 type bridge")?;
    lab.responder.ip(&format!("link set br0 address {MAC}"))?;
    lab.responder.ip("link set eth1 master br0")?;
    let responder = Responder::start(&lab, &[])?;
    let sccrq = Sccrq::new(7);
    let payload = sccrq.message().bytes();
    let request = datagram(nobody(40_000), (lab.lns(1), 1701).into(), payload);
    let reply = Refusal::DEFAULT.frame(&request, &sccrq);
    expect(&port, "to the port", &request.frame(), &reply)?;
    let report = responder.finish()?;
    let remark = "eth1: it is a port of the bridge br0, whose own MAC address 02:00:00:00:02:01";
    assert!(report.said(remark), "{:?}", report.said);
    assert!(report.said("-i br0"), "{:?}", report.said);
    Ok(())
}

fn fails(lab: &Lab, flags: &[&str], words: &[&str]) -> Result<()> {
    let report = Responder::spawn(lab, flags)?.end()?;
    assert_eq!(report.status.code(), Some(1), "{:?}", report.said);
    for word in words {
        assert!(report.said(word), "{word}: {:?}", report.said);
    }
    Ok(())
}

fn the_same_frames_twice_are_refused() -> Result<()> {
    let (lab, _) = cable()?;
    make(&lab, "br0 type bridge")?;
    lab.responder.ip("link set eth1 master br0")?;
    let said = [
        "interfaces `br0` and `eth1` are one upon the other",
        "give one of them, `-i br0`",
    ];
    fails(&lab, &["-i", "br0", "-i", "eth1"], &said)?;
    fails(&lab, &["-i", "eth1", "-i", "br0"], &said)?;
    lab.responder.ip("link set eth1 nomaster")?;
    make(&lab, "up0 link eth1 type macvlan mode bridge")?;
    let said = ["interfaces `up0` and `eth1` are one upon the other"];
    fails(&lab, &["-i", "up0", "-i", "eth1"], &said)
}

fn a_port_of_a_bond_is_refused() -> Result<()> {
    let (lab, _) = cable()?;
    make(&lab, "bond0 type bond mode active-backup")?;
    lab.responder.ip("link set eth1 down")?;
    lab.responder.ip("link set eth1 master bond0")?;
    fails(
        &lab,
        &["-i", "eth1"],
        &["`eth1` is a port of the bond `bond0`", "give `-i bond0`"],
    )?;
    fails(
        &lab,
        &["-i", "bond0", "-i", "eth1"],
        &["interfaces `bond0` and `eth1` are one upon the other"],
    )?;
    let words = ["--path redirect answers nothing in native mode on a bond"];
    let flags = ["-i", "bond0", "--path", "redirect", "--xdp-mode", "native"];
    fails(&lab, &flags, &words)
}

/// A bridge takes in what is to other addresses in promiscuous mode alone, as a NIC does. However
/// the run ends, the mode ends with it.
fn promiscuous_mode_lasts_as_long_as_the_run() -> Result<()> {
    let (lab, port) = cable()?;
    make(&lab, "br0 type bridge")?;
    lab.responder.ip("link set eth1 master br0")?;
    lab.responder.ip("link set br0 up")?;
    let promiscuity = || -> Result<u64> {
        let shown = lab.responder.ip("-d -j link show dev br0")?;
        let shown: serde_json::Value = serde_json::from_str(&shown)?;
        shown[0]["promiscuity"].as_u64().context("it does not tell")
    };
    let sccrq = Sccrq::new(7);
    let payload = sccrq.message().bytes();
    let mut request = datagram(nobody(40_000), (lab.lns(1), 1701).into(), payload);
    request.destination_mac = Mac([2, 0, 0, 0, 0x77, 0x77]);
    let reply = Refusal::DEFAULT.frame(&request, &sccrq);

    assert_eq!(promiscuity()?, 0);
    let responder = Responder::start(&lab, &["-i", "br0"])?;
    assert_eq!(promiscuity()?, 0);
    port.send(&request.frame())?;
    assert_eq!(answer(&port, Duration::from_millis(100))?, None);
    responder.finish()?;
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let mut responder = Responder::start(&lab, &["-i", "br0", "--any-mac"])?;
        assert_eq!(promiscuity()?, 1);
        expect(&port, "another address", &request.frame(), &reply)?;
        responder.process().signal(signal)?;
        responder.process().wait(LIMIT)?;
        lab::until("the end of promiscuous mode", LIMIT, || {
            Ok((promiscuity()? == 0).then_some(()))
        })?;
    }
    Ok(())
}
