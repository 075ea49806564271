//! VLAN tags that a sender leaves beside the frame, where no XDP program sees them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use xtask::lab::{Datagram, Lab, RawPort, Sccrq, TagBeside, until};

use crate::{
    request::{Refusal, answer, datagram, hex, nobody},
    responder::{LIMIT, Responder},
    trial,
    way::{WAYS, Way},
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for way in WAYS {
        let name = format!("a_tag_beside_the_frame_is_kept::{way}");
        trials.push(trial(name, &["ethtool"], move || {
            a_tag_beside_the_frame_is_kept(way)
        }));
        let name = format!("a_tag_that_may_be_lost_is_said::{way}");
        trials.push(trial(name, &[], move || {
            a_tag_that_may_be_lost_is_said(way)
        }));
    }
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let name = format!("what_was_switched_is_put_back::{signal}");
        trials.push(trial(name, &["ethtool"], move || {
            what_was_switched_is_put_back(signal)
        }));
    }
    trials
}

/// Whether a tag beside the frame is lost where it is not seen to.
fn loses(way: Way) -> bool {
    way.path == "redirect" || way.mode == "native"
}

/// Whether the other end of the cable takes tags that stand beside its frames.
fn takes_tags(lab: &Lab) -> Result<bool> {
    let (namespace, interface) = lab.peer();
    let output = namespace
        .command("ethtool")
        .args(["-k", interface])
        .output()?;
    let shown = String::from_utf8(output.stdout)?;
    let line = |name: &str| {
        let mut lines = shown.lines();
        lines.find_map(|line| line.trim().strip_prefix(name))
    };
    let [one, other] = ["tx-vlan-offload: ", "tx-vlan-stag-hw-insert: "].map(line);
    ensure!(one == other, "{one:?}, {other:?} in\n{shown}");
    Ok(one.context("no such feature")? == "on")
}

/// The reply to a request that leaves the other end with a tag beside it.
fn reply(lab: &Lab, port: &RawPort) -> Result<(Vec<u8>, Datagram, Sccrq)> {
    let (namespace, interface) = lab.peer();
    let _tags = TagBeside::attach(namespace, interface)?;
    let sccrq = Sccrq::new(7);
    let lns = (lab.lns(1), 1701).into();
    let request = datagram(nobody(1701), lns, sccrq.message().bytes());
    port.send(&request.frame())?;
    let reply = answer(port, LIMIT)?.context("no answer")?;
    Ok((reply.bytes, request, sccrq))
}

/// Where the other end can be seen, it is told to put tags into frames for that long.
fn a_tag_beside_the_frame_is_kept(way: Way) -> Result<()> {
    let lab = way.one_cable().peer_in_box().build()?;
    let port = lab.raw_port()?;
    ensure!(takes_tags(&lab)?, "a veth does from the beginning");
    let responder = Responder::start(&lab, &way.flags())?;
    assert_eq!(takes_tags(&lab)?, !loses(way));
    let (reply, request, sccrq) = reply(&lab, &port)?;
    let tagged = Datagram {
        tags: vec![TagBeside::TAG],
        ..request
    };
    let expected = Refusal::DEFAULT.frame(&tagged, &sccrq);
    assert_eq!(hex(&reply), hex(&expected));
    let report = responder.finish()?;
    assert!(takes_tags(&lab)?, "it is not put back");
    let said = report.said.iter().any(|line| {
        line == "eth1: VLAN tags have to be in the frames: tx-vlan-hw-insert and \
                 tx-vlan-stag-hw-insert of lac0 off until the end"
    });
    assert_eq!(said, loses(way), "{:?}", report.said);
    Ok(())
}

/// Where it cannot be seen, what may happen is said, and does.
fn a_tag_that_may_be_lost_is_said(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let responder = Responder::start(&lab, &way.flags())?;
    let (reply, request, sccrq) = reply(&lab, &port)?;
    let tags = match loses(way) {
        true => vec![],
        false => vec![TagBeside::TAG],
    };
    let expected = Refusal::DEFAULT.frame(&Datagram { tags, ..request }, &sccrq);
    assert_eq!(hex(&reply), hex(&expected));
    let report = responder.finish()?;
    let said = report.said.iter().any(|line| {
        line == "eth1: VLAN tags that the other end of the veth leaves beside its frames are not \
                 seen, and replies go out without them; at that end: ethtool -K NAME txvlan off"
    });
    assert_eq!(said, loses(way), "{:?}", report.said);
    Ok(())
}

fn what_was_switched_is_put_back(signal: Signal) -> Result<()> {
    let lab = Lab::static_arp().peer_in_box().build()?;
    let mut responder = Responder::start(&lab, &[])?;
    ensure!(!takes_tags(&lab)?, "nothing was switched");
    responder.process().signal(signal)?;
    until("it to be put back", Duration::from_secs(10), || {
        Ok(takes_tags(&lab)?.then_some(()))
    })
}
