//! What changes of an interface while it is answered on is followed, and said.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use xtask::{
    lab::{self, End, Lab, Mac, PassProgram, RawPort, Sccrq, connect},
    process,
};

use crate::{
    control::Controlled,
    loaded::attached,
    metrics::{address, get},
    request::{Refusal, answer, datagram, expect, nobody},
    responder::{LIMIT, Responder, verdicts},
    trial,
    way::{WAYS, Way},
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for way in WAYS {
        let name = format!("another_mac_address_is_answered_for::{way}");
        trials.push(trial(name, &[], move || {
            another_mac_address_is_answered_for(way)
        }));
        let name = format!("replies_longer_than_the_mtu_are_counted::{way}");
        trials.push(trial(name, &[], move || {
            replies_longer_than_the_mtu_are_counted(way)
        }));
        let name = format!("a_detached_program_ends_the_run::{way}");
        trials.push(trial(name, &["bpftool"], move || {
            a_detached_program_ends_the_run(way)
        }));
        let name = format!("a_detached_program_is_attached_again::{way}");
        trials.push(trial(name, &["bpftool"], move || {
            a_detached_program_is_attached_again(way)
        }));
    }
    trials.extend([
        trial("a_lost_place_ends_the_run", &[], a_lost_place_ends_the_run),
        trial(
            "a_link_that_comes_and_goes_is_told",
            &[],
            a_link_that_comes_and_goes_is_told,
        ),
        trial(
            "more_queues_than_workers_are_told",
            &["ethtool"],
            more_queues_than_workers_are_told,
        ),
        trial("another_name_is_followed", &[], another_name_is_followed),
        trial(
            "one_interface_that_goes_leaves_the_other",
            &[],
            one_interface_that_goes_leaves_the_other,
        ),
        trial(
            "health_is_that_of_the_interface",
            &[],
            health_is_that_of_the_interface,
        ),
    ]);
    trials
}

/// The frame that asks an LNS, and the one that answers it.
fn exchange(lab: &Lab, mac: Mac) -> (Vec<u8>, Vec<u8>) {
    let sccrq = Sccrq::new(7);
    let payload = sccrq.message().bytes();
    let mut request = datagram(nobody(1701), (lab.lns(1), 1701).into(), payload);
    request.destination_mac = mac;
    (request.frame(), Refusal::DEFAULT.frame(&request, &sccrq))
}

fn is_answered(lab: &Lab, port: &RawPort) -> Result<()> {
    let (request, reply) = exchange(lab, Lab::RESPONDER_MAC);
    expect(port, "a request", &request, &reply)
}

fn another_mac_address_is_answered_for(way: Way) -> Result<()> {
    const OTHER: Mac = Mac([2, 0, 0, 0, 0, 0x99]);
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let mut responder = Responder::start(&lab, &way.flags())?;
    is_answered(&lab, &port)?;
    lab.responder
        .ip(&format!("link set eth1 address {OTHER}"))?;
    let said = "eth1: its MAC address is 02:00:00:00:00:99 now, and that is answered for";
    responder.process().wait_for_line(said, LIMIT)?;
    let (request, reply) = exchange(&lab, OTHER);
    expect(&port, "the other address", &request, &reply)?;
    port.send(&exchange(&lab, Lab::RESPONDER_MAC).0)?;
    assert_eq!(answer(&port, Duration::from_millis(100))?, None);
    let report = responder.finish()?;
    let expected = verdicts([("answered", 2), ("other-mac", 1)]);
    assert_eq!(report.verdicts()?, expected);
    Ok(())
}

fn replies_longer_than_the_mtu_are_counted(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    // A request of 91 octets, which is no longer than the MTU, and a reply of 100 over IPv4.
    let message = ["--error-message", "thirty-four octets make it longer."];
    let flags = [&way.flags()[..], &message].concat();
    let mut responder = Responder::start(&lab, &flags)?;
    let (request, _) = exchange(&lab, Lab::RESPONDER_MAC);
    let ask = || -> Result<()> {
        port.send(&request)?;
        port.send(&request)
    };
    ask()?;
    for (mtu, said) in [
        (100, "eth1: its MTU is 100 now, and was 1500"),
        (99, "eth1: its MTU is 99 now, and was 100"),
    ] {
        lab.responder.ip(&format!("link set eth1 mtu {mtu}"))?;
        let line = responder.process().wait_for_line(said, LIMIT)?;
        assert!(line.text.contains("counted as over-mtu"), "{}", line.text);
        ask()?;
    }
    lab.responder.ip("link set eth1 mtu 1500")?;
    let back = "eth1: its MTU is 1500 now, and was 99";
    let line = responder.process().wait_for_line(back, LIMIT)?;
    assert!(!line.text.contains("over-mtu"), "{}", line.text);
    ask()?;
    // Whether a longer reply gets out is for the driver to say.
    lab::until("all requests to be answered", LIMIT, || {
        let lines = responder.process().lines();
        let last = lines.iter().rev().find(|line| line.text.starts_with('{'));
        let last: Option<Value> = last.and_then(|line| serde_json::from_str(&line.text).ok());
        Ok(last.filter(|last| last["answered"] == 8).map(drop))
    })?;
    let report = responder.finish()?;
    assert_eq!(report.count("/interfaces/0/sent/over-mtu")?, 2);
    assert_eq!(report.count("/answered")?, 8);
    Ok(())
}

/// Detaches the program that is on the lab's interface by its BPF link, as its owner cannot see.
fn detach(lab: &Lab) -> Result<()> {
    let programs = attached(&lab.responder, Lab::INTERFACE)?;
    let [program] = programs.as_slice() else {
        anyhow::bail!("one program is attached, and not {programs:?}");
    };
    let mut show = lab.responder.command("bpftool");
    let links: Value = serde_json::from_str(&process::read(show.args(["-j", "link", "show"]))?)?;
    let mut links = links.as_array().context("no links")?.iter();
    let link = links.find(|link| link["prog_id"] == program.id);
    let id = link.context("no link of this program")?["id"].to_string();
    let mut detach = lab.responder.command("bpftool");
    process::run_quietly(detach.args(["link", "detach", "id", &id]))
}

fn a_detached_program_ends_the_run(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let responder = Responder::start(&lab, &way.flags())?;
    is_answered(&lab, &port)?;
    detach(&lab)?;
    let report = responder.end()?;
    assert_eq!(report.status.code(), Some(1));
    let error = "broken-lns: eth1: the XDP program was detached by somebody else; --keep-attached";
    assert!(report.said(error), "{:?}", report.said);
    assert_eq!(report.count("/answered")?, 1);
    Ok(())
}

fn a_detached_program_is_attached_again(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let flags = [&way.flags()[..], &["--keep-attached"]].concat();
    let mut responder = Responder::start(&lab, &flags)?;
    is_answered(&lab, &port)?;
    detach(&lab)?;
    let said = "eth1: the XDP program had been detached, and ours is attached again";
    responder.process().wait_for_line(said, LIMIT)?;
    is_answered(&lab, &port)?;
    let report = responder.finish()?;
    assert_eq!(report.verdicts()?, verdicts([("answered", 2)]));
    assert_eq!(attached(&lab.responder, Lab::INTERFACE)?, []);
    Ok(())
}

/// What takes the place has it: nobody fights for it unless told to.
fn a_lost_place_ends_the_run() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let port = lab.raw_port()?;
    for flags in [
        &["--path", "rewrite"][..],
        &["--path", "rewrite", "--keep-attached"],
    ] {
        let first = Responder::start(&lab, flags)?;
        let second = Responder::start(&lab, &["--path", "rewrite", "--replace"])?;
        let id = attached(&lab.responder, Lab::INTERFACE)?[0].id;
        let report = first.end()?;
        assert_eq!(report.status.code(), Some(1));
        let error = format!("eth1: XDP program {id} `responder` (generic) has taken the place");
        assert!(report.said(&error), "{:?}", report.said);
        is_answered(&lab, &port)?;
        assert_eq!(second.finish()?.count("/answered")?, 1);
    }
    Ok(())
}

fn a_link_that_comes_and_goes_is_told() -> Result<()> {
    let way = Way::new("redirect", "native");
    let mut controlled = Controlled::on(way, "[default]\nfault = \"refuse\"\nresult = 0\n")?;
    let (peer, interface) = controlled.lab.peer();
    let peer_link = |state: &str| peer.ip(&format!("link set {interface} {state}"));
    let own_link = |lab: &Lab, state: &str| lab.responder.ip(&format!("link set eth1 {state}"));
    let remarks = |controlled: &Controlled| -> Result<String> {
        Ok(controlled.reply("status")?["interfaces"][0]["remarks"].to_string())
    };

    let before = remarks(&controlled)?;
    assert!(!before.contains("carrier"), "{before}");
    peer_link("down")?;
    let wait = |responder: &mut Responder, said: &str| {
        let line = responder.process().wait_for_line(said, LIMIT);
        line.map(drop)
    };
    wait(
        &mut controlled.responder,
        "eth1: it has no carrier any more",
    )?;
    let now = remarks(&controlled)?;
    assert!(now.contains("it has no carrier"), "{now}");
    peer_link("up")?;
    wait(&mut controlled.responder, "eth1: it has a carrier now")?;
    own_link(&controlled.lab, "down")?;
    wait(
        &mut controlled.responder,
        "eth1: it is down now: ip link set eth1 up",
    )?;
    let now = remarks(&controlled)?;
    assert!(now.contains("it is down: ip link set eth1 up"), "{now}");
    own_link(&controlled.lab, "up")?;
    wait(&mut controlled.responder, "eth1: it is up again")?;
    lab::until("a carrier", LIMIT, || {
        Ok((remarks(&controlled)? == before).then_some(()))
    })?;
    // The one that was open before tells first that its interface was down.
    let port = controlled.lab.raw_port()?;
    is_answered(&controlled.lab, &port)
}

fn more_queues_than_workers_are_told() -> Result<()> {
    let lab = Lab::static_arp().queues(4).peer(lab::Peer::Plain).build()?;
    let (peer, interface) = lab.peer();
    let channels = |namespace: &lab::Namespace, interface: &str, count: &str| {
        let mut ethtool = namespace.command("ethtool");
        process::run_quietly(ethtool.args(["-L", interface, "rx", count, "tx", count]))
    };
    channels(peer, interface, "2")?;
    channels(&lab.responder, "eth1", "2")?;
    let mut responder = Responder::start(&lab, &["--path", "redirect"])?;
    channels(&lab.responder, "eth1", "4")?;
    let said = "eth1: it has 4 receive queues now, and had 2; queues 2 to 3 have no worker";
    responder.process().wait_for_line(said, LIMIT)?;
    responder.finish().map(drop)
}

/// What is asked by name, such as the driver's counters, is asked by the one that it has now.
fn another_name_is_followed() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let port = lab.raw_port()?;
    let mut responder = Responder::start(&lab, &["--path", "redirect"])?;
    // Kernels before 6.2 rename what is down only.
    for change in [
        "link set eth1 down",
        "link set eth1 name red1",
        "link set red1 up",
    ] {
        lab.responder.ip(change)?;
    }
    responder
        .process()
        .wait_for_line("eth1: its name is red1 now", LIMIT)?;
    lab::until("the cable to carry", LIMIT, || {
        let shown = lab.responder.ip("link show red1")?;
        Ok(shown.contains("LOWER_UP").then_some(()))
    })?;
    is_answered(&lab, &port)?;
    let report = responder.finish()?;
    assert_eq!(report.count("/answered")?, 1);
    assert_eq!(report.last()?["interfaces"][0]["name"], "eth1");
    Ok(())
}

/// The one that is left is answered on, and what came of the other stays in sight.
fn one_interface_that_goes_leaves_the_other() -> Result<()> {
    const MACS: [Mac; 2] = [Mac([2, 0, 0, 0, 1, 1]), Mac([2, 0, 0, 0, 1, 2])];
    let lab = Lab::static_arp().build()?;
    let (peer, _) = lab.peer();
    let there = End::new(peer, "second").mac(MACS[0]);
    connect(&there, &End::new(&lab.responder, "eth2").mac(MACS[1]))?;
    let program = PassProgram::attach(peer, "second")?;
    let (port, second) = (lab.raw_port()?, RawPort::open(peer, "second")?);
    let flags = ["-i", "eth2", "-i", "eth1", "--metrics", ":0"];
    let mut responder = Responder::start(&lab, &flags)?;
    let metrics = address(&mut responder)?;

    let (mut request, _) = exchange(&lab, MACS[1]);
    request[6..12].copy_from_slice(&MACS[0].0);
    second.send(&request)?;
    answer(&second, LIMIT)?.context("the second is not answered on")?;
    is_answered(&lab, &port)?;
    assert_eq!(get(&lab, metrics, "/healthz")?.0, "HTTP/1.1 200 OK");
    lab.responder.ip("link delete eth2")?;
    responder
        .process()
        .wait_for_line("interface `eth2` went away", LIMIT)?;
    is_answered(&lab, &port)?;
    let text = get(&lab, metrics, "/metrics")?.1;
    for line in [
        "broken_lns_attached{interface=\"eth2\"} 0",
        "broken_lns_attached{interface=\"eth1\"} 1",
        "broken_lns_answers_total{interface=\"eth1\",path=\"redirect\"} 2",
    ] {
        assert!(
            text.lines().any(|found| found.starts_with(line)),
            "{line}\n{text}"
        );
    }
    let (status, health) = lab::until("an ill health", LIMIT, || {
        let (status, health) = get(&lab, metrics, "/healthz")?;
        Ok((health != "ok\n").then_some((status, health)))
    })?;
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(health, "eth2: interface `eth2` went away\n");

    responder.process().signal(Signal::SIGINT)?;
    let report = responder.end()?;
    assert_eq!(report.status.code(), Some(1));
    assert!(
        report.said("broken-lns: interface `eth2` went away"),
        "{:?}",
        report.said
    );
    let interfaces = &report.last()?["interfaces"];
    assert_eq!(interfaces[0]["answered"], 1);
    assert_eq!(interfaces[0]["ended"], "interface `eth2` went away");
    assert_eq!(
        (&interfaces[1]["answered"], &interfaces[1]["ended"]),
        (&json!(2), &json!(null))
    );
    drop(program);
    Ok(())
}

fn health_is_that_of_the_interface() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let mut responder = Responder::start(&lab, &["--metrics", ":0"])?;
    let metrics = address(&mut responder)?;
    let health = |expected: &str| {
        lab::until(expected, LIMIT, || {
            let (status, body) = get(&lab, metrics, "/healthz")?;
            let code = if expected == "ok\n" { "200" } else { "503" };
            ensure!(
                body != expected || status.contains(code),
                "{status}: {body}"
            );
            Ok((body == expected).then_some(()))
        })
    };
    health("ok\n")?;
    lab.responder.ip("link set eth1 down")?;
    health("eth1: it is down\n")?;
    lab.responder.ip("link set eth1 up")?;
    health("ok\n")?;
    responder.finish().map(drop)
}
