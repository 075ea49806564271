//! `auto` finds a way out for every reply, and what cannot work is said.

use std::time::Duration;

use anyhow::Result;
use libtest_mimic::Trial;
use xtask::lab::{Lab, Peer, Sccrq};

use crate::{
    request::{Refusal, answer, datagram, expect, nobody},
    responder::{Responder, verdicts},
    trial,
};

const REQUESTS: u16 = 50;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for peer in [Peer::Plain, Peer::Gro, Peer::Xdp] {
        for (path, mode) in [
            ("auto", "auto"),
            ("auto", "native"),
            ("auto", "generic"),
            ("rewrite", "auto"),
            ("redirect", "auto"),
        ] {
            let name = format!("auto_loses_no_reply::{peer:?}::{path}_{mode}");
            trials.push(trial(name, &[], move || {
                auto_loses_no_reply(peer, path, mode)
            }));
        }
    }
    for (peer, warning) in [
        (
            Peer::Plain,
            "every reply will be lost: native XDP_TX on a veth",
        ),
        (Peer::Gro, "replies may be lost: native XDP_TX on a veth"),
    ] {
        let name = format!("what_may_lose_replies_is_warned_of::{peer:?}");
        trials.push(trial(name, &[], move || {
            what_may_lose_replies_is_warned_of(peer, warning)
        }));
    }
    trials.push(trial(
        "a_reply_longer_than_its_buffer_goes_to_the_worker",
        &[],
        a_reply_longer_than_its_buffer_goes_to_the_worker,
    ));
    trials
}

fn auto_loses_no_reply(peer: Peer, path: &str, mode: &str) -> Result<()> {
    let lab = Lab::static_arp().peer(peer).build()?;
    let port = lab.raw_port()?;
    let responder = Responder::start(&lab, &["--path", path, "--xdp-mode", mode])?;
    for tunnel_id in 1..=REQUESTS {
        let sccrq = Sccrq::new(tunnel_id);
        let lns = (lab.lns(1), 1701).into();
        let request = datagram(nobody(40_000), lns, sccrq.message().bytes());
        let expected = Refusal::DEFAULT.frame(&request, &sccrq);
        let what = format!("number {tunnel_id}");
        expect(&port, &what, &request.frame(), &expected)?;
    }
    assert_eq!(answer(&port, Duration::from_millis(50))?, None);
    let report = responder.finish()?;
    let expected = verdicts([("answered", u64::from(REQUESTS))]);
    assert_eq!(report.verdicts()?, expected);
    assert_eq!(report.lost_by_driver()?, 0);
    assert!(!report.said("lost"), "{:?}", report.said);
    Ok(())
}

/// The warning comes before the loss, and the driver's count stands beside ours.
fn what_may_lose_replies_is_warned_of(peer: Peer, warning: &str) -> Result<()> {
    let lab = Lab::static_arp().peer(peer).build()?;
    let port = lab.raw_port()?;
    let flags = ["--path", "rewrite", "--xdp-mode", "native"];
    let responder = Responder::start(&lab, &flags)?;
    for tunnel_id in 1..=REQUESTS {
        let payload = Sccrq::new(tunnel_id).message().bytes();
        let lns = (lab.lns(1), 1701).into();
        port.send(&datagram(nobody(40_000), lns, payload).frame())?;
    }
    // No veth that this kernel knows delivers them; if one does some day, there is nothing to
    // warn of any more.
    assert_eq!(answer(&port, Duration::from_millis(200))?, None);
    let report = responder.finish()?;
    assert!(report.said(warning), "{:?}", report.said);
    assert_eq!(report.count("/answered")?, u64::from(REQUESTS));
    if peer == Peer::Plain {
        assert_eq!(report.lost_by_driver()?, u64::from(REQUESTS));
    }
    Ok(())
}

/// The buffer of a short request on a veth has no room for a reply of a thousand octets. Where the
/// kernel half cannot do it, the worker can; without one the frame is counted as what it is.
fn a_reply_longer_than_its_buffer_goes_to_the_worker() -> Result<()> {
    let message: &'static str = Box::leak("x".repeat(1013).into_boxed_str());
    let refusal = Refusal {
        message,
        ..Refusal::DEFAULT
    };
    let lab = Lab::static_arp().peer_in_box().build()?;
    let port = lab.raw_port()?;
    let sccrq = Sccrq::new(7);
    let lns = (lab.lns(1), 1701).into();
    let request = datagram(nobody(40_000), lns, sccrq.message().bytes());
    for (path, mode, counted) in [
        ("auto", "generic", "answered"),
        ("redirect", "native", "answered"),
        ("rewrite", "native", "no-room"),
        ("rewrite", "generic", "no-room"),
    ] {
        let flags = [
            "--path",
            path,
            "--xdp-mode",
            mode,
            "--error-message",
            message,
        ];
        let responder = Responder::start(&lab, &flags)?;
        if counted == "answered" {
            let expected = refusal.frame(&request, &sccrq);
            expect(&port, path, &request.frame(), &expected)?;
        } else {
            port.send(&request.frame())?;
            assert_eq!(answer(&port, Duration::from_millis(100))?, None);
        }
        let report = responder.finish()?;
        assert_eq!(
            report.verdicts()?,
            verdicts([(counted, 1)]),
            "{path} {mode}"
        );
        let redirected = u64::from(counted == "answered");
        assert_eq!(report.count("/redirected")?, redirected);
    }
    Ok(())
}
