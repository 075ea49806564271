//! Ready scenarios beside a clock, and beside a real LNS.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use xtask::{
    lab::{Avp, ControlMessage, Lab, MinimalLac, Sccrq, Xl2tpd, attribute, message_type},
    process,
};

use crate::{
    request::{ask, datagram, nobody},
    responder::{LIMIT, Responder},
    scenarios::ready,
    trial,
    way::{PLAYED, Way},
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![trial(
        "a_slow_lns_answers_late",
        &[],
        a_slow_lns_answers_late,
    )];
    trials.extend(PLAYED.iter().map(|way| {
        let name = format!("a_real_lns_takes_over_where_a_rule_passes::{way}");
        trial(name, &["xl2tpd"], || {
            a_real_lns_takes_over_where_a_rule_passes(*way)
        })
    }));
    trials
}

/// The first address of `slow.toml` answers after 0.4 to 0.6 seconds.
fn a_slow_lns_answers_late() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let port = lab.raw_port()?;
    let responder = Responder::start(&lab, &["--scenario", &ready("slow.toml")])?;
    let payload = Sccrq::new(7).message().bytes();
    let request = datagram(nobody(1701), ([192, 0, 2, 1], 1701).into(), payload).frame();
    let asked = Instant::now();
    ask(&port, &request, LIMIT)?.context("no answer")?;
    let waited = asked.elapsed();
    ensure!(waited >= Duration::from_millis(400), "after {waited:?}");
    let report = responder.finish()?;
    assert_eq!(report.count("/verdicts/deferred")?, 1);
    assert_eq!(report.count("/interfaces/0/sent/sent-later")?, 1);
    Ok(())
}

/// The next message to the LAC.
fn receive(lac: &MinimalLac) -> Result<ControlMessage> {
    let (_, payload) = lac.receive(LIMIT)?.context("the LNS says nothing")?;
    ControlMessage::parse(&payload)
}

/// `failover.toml`: the first LNS refuses, and the second is real, and gets not only the SCCRQ.
fn a_real_lns_takes_over_where_a_rule_passes(way: Way) -> Result<()> {
    let lab = way.lab(Lab::routed()).build()?;
    lab.responder.ip("addr add 192.0.2.2/32 dev lo")?;
    let program = process::find("xl2tpd").context("it was there a moment ago")?;
    let _lns = Xl2tpd::lns(&program, &lab.responder)?;
    let file = ready("failover.toml");
    let flags = [&way.flags()[..], &["--scenario", &file]].concat();
    let responder = Responder::start(&lab, &flags)?;
    let lac = lab.minimal_lac(1701)?;

    let refusal = lac.dial(lab.lns(1), &Sccrq::new(7))?.refusal()?;
    assert_eq!((refusal.stop.result, refusal.sent), (2, 1));

    lac.send(lab.lns(2), &Sccrq::new(8).message().bytes())?;
    let reply = receive(&lac)?;
    assert_eq!(reply.message_type(), Some(message_type::SCCRP));
    assert_eq!((reply.tunnel_id, reply.nr), (8, 1));
    let assigned = reply.attribute(attribute::ASSIGNED_TUNNEL_ID);
    let assigned = assigned.and_then(Avp::number).context("no tunnel id")?;
    // SCCCN: the tunnel is up once the LNS acknowledges it.
    let connected = ControlMessage {
        avps: vec![Avp::new(attribute::MESSAGE_TYPE, 3_u16.to_be_bytes())],
        ..ControlMessage::zlb(assigned, 1, 1)
    };
    lac.send(lab.lns(2), &connected.bytes())?;
    let deadline = Instant::now() + LIMIT;
    while receive(&lac)?.nr != 2 {
        ensure!(Instant::now() < deadline, "the LNS does not hear SCCCN");
    }

    let report = responder.finish()?;
    assert_eq!(report.count("/verdicts/answered")?, 1);
    assert_eq!(report.count("/verdicts/zlb")?, 1);
    ensure!(report.count("/verdicts/passed")? >= 2);
    Ok(())
}
