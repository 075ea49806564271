//! What keeps a responder from starting: each in a line that names the cause and the way out, with
//! its exit status, and with nothing attached.

use std::process::Command;

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use xtask::{
    lab::{End, Lab, Namespace, PassProgram, Peer, Sccrq, connect},
    process,
};

use crate::{
    loaded::attached,
    request::{Refusal, datagram, expect, nobody},
    responder::{Responder, command},
    trial,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("usage_errors", &[], usage_errors),
        trial(
            "what_the_surroundings_lack",
            &["setpriv", "setarch"],
            what_the_surroundings_lack,
        ),
        trial(
            "a_message_too_long_for_the_mtu",
            &[],
            a_message_too_long_for_the_mtu,
        ),
        trial("an_occupied_interface", &["bpftool"], an_occupied_interface),
        trial(
            "replacing_leaves_other_namespaces_alone",
            &["bpftool"],
            replacing_leaves_other_namespaces_alone,
        ),
        trial("an_occupied_queue", &[], an_occupied_queue),
        trial("no_native_mode", &[], no_native_mode),
    ]
}

/// Runs a command that has to fail without having attached anything to the lab's interface.
fn fails(lab: &Lab, command: Command, status: i32, words: &[&str]) -> Result<()> {
    let before = attached(&lab.responder, Lab::INTERFACE)?;
    let described = format!("{command:?}");
    let report = Responder::of(command)?.end()?;
    assert_eq!(
        report.status.code(),
        Some(status),
        "{described}: {:?}",
        report.said
    );
    let error = report.said.join("\n");
    for word in words {
        assert!(
            error.contains(word),
            "{described}\nlacks {word:?}:\n{error}"
        );
    }
    assert!(
        report.snapshots.is_empty(),
        "{described}: {:?}",
        report.snapshots
    );
    assert_eq!(
        attached(&lab.responder, Lab::INTERFACE)?,
        before,
        "{described}"
    );
    Ok(())
}

fn run(namespace: &Namespace, flags: &[&str]) -> Command {
    command(
        namespace,
        &[&["run", "--json", "--control", "none"], flags].concat(),
    )
}

fn usage_errors() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let too_long = "x".repeat(1014);
    for (flags, words) in [
        (&["--no-such-flag"][..], &["--no-such-flag"][..]),
        (&["--path", "fast"], &["auto, rewrite, redirect"]),
        (&["--result-code", "65536"], &["a number from 0 to 65535"]),
        (
            &["--error-message", &too_long],
            &["1014 octets long", "one AVP holds 1013"],
        ),
        (
            &["--error-code", "none", "--error-message", "why"],
            &["an error message needs an error code before it"],
        ),
        (&["--duration", "30"], &["give a number and a unit"]),
        (
            &["-i", "eth1", "-i", "eth1"],
            &["`eth1` is given more than once"],
        ),
    ] {
        fails(&lab, run(&lab.responder, flags), 2, words)?;
    }
    Ok(())
}

/// Interfaces, privileges, and a kernel. The last two are taken away for the occasion.
fn what_the_surroundings_lack() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let box_ = &lab.responder;
    fails(
        &lab,
        run(box_, &["-i", "eth7"]),
        1,
        &["there is no interface `eth7`; there are: lo, eth1"],
    )?;
    fails(
        &lab,
        run(box_, &["-i", "eth1", "-i", "eth7"]),
        1,
        &["there is no interface `eth7`"],
    )?;
    box_.ip("tuntap add dev tun0 mode tun")?;
    fails(
        &lab,
        run(box_, &["-i", "tun0"]),
        1,
        &["`tun0` carries no Ethernet frames"],
    )?;
    fails(
        &lab,
        run(box_, &["-i", "eth1", "--capture", "/nowhere/x.pcapng"]),
        1,
        &[
            "cannot write the capture file /nowhere/x.pcapng: No such file",
            "choose another place with --capture FILE",
        ],
    )?;

    let without = |capabilities: &str| {
        let mut setpriv = box_.command("setpriv");
        setpriv
            .arg(format!("--bounding-set={capabilities}"))
            .arg(format!("--inh-caps={capabilities}"))
            .args([env!("CARGO_BIN_EXE_broken-lns"), "run", "--json"]);
        setpriv
    };
    fails(
        &lab,
        without("-all"),
        1,
        &["CAP_NET_ADMIN", "CAP_BPF", "CAP_NET_RAW", "sudo"],
    )?;
    fails(
        &lab,
        without("-net_raw"),
        1,
        &["CAP_NET_RAW", "is missing", "sudo"],
    )?;

    let mut setarch = box_.command("setarch");
    setarch.args([
        "--uname-2.6",
        env!("CARGO_BIN_EXE_broken-lns"),
        "run",
        "--json",
        "--control",
        "none",
    ]);
    fails(
        &lab,
        setarch,
        1,
        &["this kernel is 2.6.", "too old", "need Linux 5.18"],
    )
}

/// The limit that is told is the limit.
fn a_message_too_long_for_the_mtu() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    lab.responder.ip("link set eth1 mtu 600")?;
    let (longest, too_long) = ("x".repeat(514), "x".repeat(515));
    fails(
        &lab,
        run(&lab.responder, &["--error-message", &too_long]),
        1,
        &["515 octets long", "eth1", "MTU of 600 holds 514"],
    )?;
    Responder::start(&lab, &["--error-message", &longest])?
        .finish()
        .map(drop)
}

/// Another program has the interface, by a link or by netlink. It stays unless it is to go.
fn an_occupied_interface() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let port = lab.raw_port()?;
    let sccrq = Sccrq::new(7);
    let payload = sccrq.message().bytes();
    let request = datagram(nobody(1701), (lab.lns(1), 1701).into(), payload);
    let reply = Refusal::DEFAULT.frame(&request, &sccrq);
    // What takes its place answers, and leaves nothing behind.
    let take_place = |flags: &[&str]| -> Result<()> {
        let flags = [&["--replace"], flags].concat();
        let responder = Responder::start(&lab, &flags)?;
        expect(&port, "in its place", &request.frame(), &reply)?;
        assert_eq!(attached(&lab.responder, Lab::INTERFACE)?.len(), 1);
        responder.finish()?;
        assert_eq!(attached(&lab.responder, Lab::INTERFACE)?, []);
        Ok(())
    };
    let occupied = |flags: &[&str], name: &str, mode: &str| -> Result<()> {
        let id = attached(&lab.responder, Lab::INTERFACE)?[0].id;
        let program = format!("eth1: XDP program {id}{name} ({mode}) is attached");
        fails(
            &lab,
            run(&lab.responder, flags),
            1,
            &[&program, "--replace"],
        )
    };

    let foreign = PassProgram::attach(&lab.responder, Lab::INTERFACE)?;
    occupied(&[], "", "native")?;
    occupied(
        &["--path", "rewrite", "--xdp-mode", "generic"],
        "",
        "native",
    )?;
    take_place(&[])?;
    drop(foreign);

    let first = Responder::start(&lab, &["--path", "rewrite"])?;
    occupied(&[], " `responder`", "generic")?;
    occupied(
        &["--path", "redirect", "--xdp-mode", "native"],
        " `responder`",
        "generic",
    )?;
    take_place(&["--path", "redirect", "--xdp-mode", "native"])?;
    // Whose place was taken has nothing to answer any more.
    assert_eq!(first.end()?.status.code(), Some(1));

    // The program of another interface, attached by netlink in each mode.
    let spare = &lab.responder;
    connect(&End::new(spare, "eth2"), &End::new(spare, "eth3"))?;
    let _elsewhere = PassProgram::attach(spare, "eth3")?;
    let id = attached(spare, "eth3")?[0].id.to_string();
    for (kind, mode) in [("xdpgeneric", "generic"), ("xdpdrv", "native")] {
        attach_by_netlink(spare, kind, &id)?;
        occupied(&[], "", mode)?;
        take_place(&[])?;
    }
    assert_eq!(attached(spare, "eth3")?.len(), 1);
    Ok(())
}

/// Attaches a loaded program to the lab's interface without a BPF link.
fn attach_by_netlink(namespace: &Namespace, kind: &str, id: &str) -> Result<()> {
    let mut bpftool = namespace.command("bpftool");
    bpftool.args(["net", "attach", kind, "id", id, "dev", Lab::INTERFACE]);
    process::run_quietly(&mut bpftool)
}

/// One program may be on interfaces of several namespaces, which number them alike. Only the one
/// on our interface goes.
fn replacing_leaves_other_namespaces_alone() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let (peer, interface) = lab.peer();
    let theirs = attached(peer, interface)?;
    let index = |namespace: &Namespace, interface: &str| -> Result<String> {
        let shown = namespace.ip(&format!("-o link show dev {interface}"))?;
        let (index, _) = shown.split_once(':').context("no index")?;
        Ok(index.to_owned())
    };
    let indexes = [
        index(peer, interface)?,
        index(&lab.responder, Lab::INTERFACE)?,
    ];
    assert_eq!(
        indexes[0], indexes[1],
        "the lab makes no test of this any more"
    );
    attach_by_netlink(&lab.responder, "xdpgeneric", &theirs[0].id.to_string())?;
    let responder = Responder::start(&lab, &["--replace"]);
    assert_eq!(attached(peer, interface)?, theirs);
    responder?.finish().map(drop)
}

/// A queue has one AF_XDP socket at a time, and `--replace` cannot take that.
fn an_occupied_queue() -> Result<()> {
    let lab = Lab::static_arp().peer(Peer::Plain).build()?;
    let first = Responder::start(&lab, &["--path", "redirect"])?;
    fails(
        &lab,
        run(&lab.responder, &["--path", "redirect", "--replace"]),
        1,
        &[
            "queue 0 of eth1",
            "another AF_XDP socket holds this queue",
            "end its program first",
        ],
    )?;
    // The first goes on as if nothing had been.
    let sccrq = Sccrq::new(7);
    let payload = sccrq.message().bytes();
    let request = datagram(nobody(1701), (lab.lns(1), 1701).into(), payload);
    let reply = Refusal::DEFAULT.frame(&request, &sccrq);
    expect(&lab.raw_port()?, "the first", &request.frame(), &reply)?;
    assert_eq!(first.finish()?.count("/answered")?, 1);
    Ok(())
}

/// The loopback interface has no native mode.
fn no_native_mode() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    for path in ["rewrite", "redirect", "auto"] {
        fails(
            &lab,
            run(
                &lab.responder,
                &["-i", "lo", "--path", path, "--xdp-mode", "native"],
            ),
            1,
            &[
                "lo: native mode is not possible",
                "--xdp-mode generic works",
            ],
        )?;
        assert_eq!(attached(&lab.responder, "lo")?, []);
        let responder = Responder::start(&lab, &["-i", "lo", "--path", path])?;
        let report = responder.finish()?;
        assert!(
            report.said("lo: attached, generic mode"),
            "{:?}",
            report.said
        );
        let remark = "lo: generic mode, since native mode fails";
        assert!(report.said(remark), "{:?}", report.said);
    }
    Ok(())
}
