//! What is so of an interface or a process at the start, and is said.

use anyhow::Result;
use libtest_mimic::Trial;
use xtask::lab::{End, Lab, Sccrq, connect};

use crate::{
    loaded::attached,
    request::{Refusal, datagram, expect, nobody},
    responder::Responder,
    trial,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "a_long_alternative_name_is_one",
            &[],
            a_long_alternative_name_is_one,
        ),
        trial("a_missing_carrier_is_said", &[], a_missing_carrier_is_said),
        trial(
            "unfinished_checksums_are_said",
            &[],
            unfinished_checksums_are_said,
        ),
        trial("the_driver_says_why", &[], the_driver_says_why),
        trial(
            "an_upper_program_is_in_the_way",
            &[],
            an_upper_program_is_in_the_way,
        ),
        trial(
            "too_few_file_descriptors",
            &["sh"],
            too_few_file_descriptors,
        ),
        trial("a_user_namespace", &["unshare"], a_user_namespace),
    ]
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_broken-lns");

fn a_long_alternative_name_is_one() -> Result<()> {
    const NAME: &str = "the-interface-to-the-last-hop-router";
    let lab = Lab::static_arp().build()?;
    let port = lab.raw_port()?;
    lab.responder
        .ip(&format!("link property add dev eth1 altname {NAME}"))?;
    let responder = Responder::start(&lab, &["-i", NAME])?;
    let sccrq = Sccrq::new(7);
    let payload = sccrq.message().bytes();
    let request = datagram(nobody(1701), (lab.lns(1), 1701).into(), payload);
    let reply = Refusal::DEFAULT.frame(&request, &sccrq);
    expect(&port, "a request", &request.frame(), &reply)?;
    let report = responder.finish()?;
    assert!(report.said("eth1: attached"), "{:?}", report.said);

    let report = Responder::spawn(&lab, &["-i", "eth1", "-i", NAME])?.end()?;
    assert_eq!(report.status.code(), Some(1));
    assert!(
        report.said("is given more than once, under another name"),
        "{:?}",
        report.said
    );
    Ok(())
}

fn a_missing_carrier_is_said() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let (peer, interface) = lab.peer();
    peer.ip(&format!("link set {interface} down"))?;
    let report = Responder::start(&lab, &[])?.finish()?;
    assert!(report.said("eth1: it has no carrier"), "{:?}", report.said);
    peer.ip(&format!("link set {interface} up"))?;
    Ok(())
}

/// The other end of this cable is in another namespace, and may leave sums to be finished.
fn unfinished_checksums_are_said() -> Result<()> {
    let remark = "eth1: --verify-checksum drops what comes with an unfinished UDP checksum";
    for (lab, flags, is_said) in [
        (Lab::static_arp(), &["--verify-checksum"][..], true),
        (Lab::static_arp(), &[], false),
        (
            Lab::static_arp().peer_in_box(),
            &["--verify-checksum"],
            false,
        ),
    ] {
        let report = Responder::start(&lab.build()?, flags)?.finish()?;
        assert_eq!(report.said(remark), is_said, "{:?}", report.said);
    }
    Ok(())
}

/// A veth with fewer receive queues than its other end has transmit queues runs no native XDP. A
/// BPF link gives a number as the reason, which is one of many, and netlink the words.
fn the_driver_says_why() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let (peer, _) = lab.peer();
    let there = End::new(peer, "many").queues(2);
    connect(&there, &End::new(&lab.responder, "eth2").queues(1))?;
    let words = "veth: XDP expects number of rx queues not less than peer tx queues";
    let report = Responder::spawn(&lab, &["-i", "eth2", "--xdp-mode", "native"])?.end()?;
    assert_eq!(report.status.code(), Some(1));
    let error = format!("eth2: native mode is not possible with driver veth: {words}: No space");
    assert!(report.said(&error), "{:?}", report.said);
    assert!(
        report.said("ethtool -L eth2 combined N"),
        "{:?}",
        report.said
    );
    let report = Responder::start(&lab, &["-i", "eth2"])?.finish()?;
    assert!(
        report.said("eth2: attached, generic mode"),
        "{:?}",
        report.said
    );
    let remark = format!("eth2: generic mode, since native mode fails: {words}");
    assert!(report.said(&remark), "{:?}", report.said);
    assert_eq!(attached(&lab.responder, "eth2")?, []);
    Ok(())
}

/// The program that is in the way is not on this interface, and only the kernel can say that.
fn an_upper_program_is_in_the_way() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    lab.responder.ip("link add br0 type bridge")?;
    lab.responder.ip("link set eth1 master br0")?;
    let upper = Responder::start(&lab, &["-i", "br0"])?;
    let report = Responder::spawn(&lab, &["-i", "eth1", "--path", "rewrite"])?.end()?;
    assert_eq!(report.status.code(), Some(1));
    let words = "Cannot attach when an upper device already has a program";
    assert!(report.said(words), "{:?}", report.said);
    upper.finish().map(drop)
}

fn too_few_file_descriptors() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let mut shell = lab.responder.command("sh");
    let flags = "run --json --control none --path rewrite --track none";
    shell.args(["-c", &format!("ulimit -n 24; exec {PROGRAM} {flags}")]);
    let report = Responder::of(shell)?.end()?;
    assert_eq!(report.status.code(), Some(1));
    for words in [
        "eth1: cannot make the map `",
        "Too many open files (os error 24); raise the limit of open files: ulimit -n",
    ] {
        assert!(report.said(words), "{words}: {:?}", report.said);
    }
    Ok(())
}

/// All capabilities of a user namespace are none to BPF.
fn a_user_namespace() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let mut unshare = lab.responder.command("unshare");
    unshare.args(["-U", "-r", PROGRAM, "run", "--json", "--control", "none"]);
    let report = Responder::of(unshare)?.end()?;
    assert_eq!(report.status.code(), Some(1));
    let error = "not enough privilege: this is a user namespace";
    assert!(report.said(error), "{:?}", report.said);
    Ok(())
}
