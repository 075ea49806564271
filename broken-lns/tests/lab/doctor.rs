//! What the doctor says holds: what it says to type mends what it found, and brings requests here.

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use xtask::lab::{Lab, Namespace, PassProgram, Sccrq};

use crate::loaded::attached;
use crate::request::Refusal;
use crate::responder::{LIMIT, Report, Responder, command};
use crate::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "what_it_says_to_type_mends_what_it_found",
            &[],
            what_it_says_to_type_mends_what_it_found,
        ),
        trial(
            "what_it_says_to_type_brings_requests_here",
            &[],
            what_it_says_to_type_brings_requests_here,
        ),
        trial("it_names_another_program", &[], it_names_another_program),
    ]
}

/// What it prints about the lab's interface, and its exit status.
fn asked(lab: &Lab, flags: &[&str]) -> Result<(Report, Option<i32>)> {
    let arguments = [&["doctor", "--json"], flags].concat();
    let report = Responder::of(command(&lab.responder, &arguments))?.end()?;
    let status = report.status.code();
    Ok((report, status))
}

/// The finding of one check about the lab's interface: its state, and what to type.
fn finding(report: &Report, check: &str) -> Result<(String, Option<String>)> {
    let findings = report.snapshots.first().context("it printed nothing")?;
    let findings = findings["findings"].as_array().context("no findings")?;
    let of_check =
        |finding: &&Value| finding["about"] == Lab::INTERFACE && finding["check"] == check;
    let finding = findings.iter().find(of_check);
    let finding = finding.with_context(|| format!("nothing about {check}: {findings:?}"))?;
    let text = |key: &str| finding[key].as_str().map(str::to_owned);
    Ok((text("state").context("no state")?, text("type")))
}

/// Runs a command of `ip` that was printed.
fn type_in(namespace: &Namespace, command: &str) -> Result<()> {
    let arguments = command.strip_prefix("ip ").context("it is not of ip")?;
    namespace.ip(arguments).map(drop)
}

fn what_it_says_to_type_mends_what_it_found() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let (_, status) = asked(&lab, &[])?;
    ensure!(status == Some(0), "nothing is in the way of this lab");
    lab.responder.ip("link set eth1 down")?;
    let (report, status) = asked(&lab, &[])?;
    assert_eq!(status, Some(1));
    let (state, typed) = finding(&report, "link")?;
    assert_eq!(state, "problem");
    type_in(&lab.responder, &typed.context("nothing to type")?)?;
    let (report, status) = asked(&lab, &[])?;
    assert_eq!(
        (finding(&report, "link")?.0.as_str(), status),
        ("ok", Some(0))
    );
    assert_eq!(attached(&lab.responder, Lab::INTERFACE)?, []);
    Ok(())
}

/// Without what the lab has set up for it, the LAC reaches no LNS; with what the doctor says to
/// type there, it is refused: by a route, and by an entry for the address on the link.
fn what_it_says_to_type_brings_requests_here() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    lab.lac.ip("route del 192.0.2.0/24 dev lac0")?;
    lab.lac.ip("neighbour flush dev lac0 nud permanent")?;
    let (report, _) = asked(&lab, &["--lns", "192.0.2.0/24"])?;
    let (_, route) = finding(&report, "LNS")?;
    let (report, _) = asked(&lab, &["--lns", "203.0.113.7"])?;
    let (_, neighbour) = finding(&report, "LNS")?;
    for said in [route, neighbour] {
        let said = said.context("nothing to type")?;
        let at_the_router = said.strip_suffix(" (at the router)");
        let typed = at_the_router.context("it is not for the router")?;
        type_in(&lab.lac, &typed.replace("DEVICE", Lab::LAC_INTERFACE))?;
    }
    let responder = Responder::start(&lab, &[])?;
    for (lns, tunnel_id) in [(lab.lns(1), 7), ([203, 0, 113, 7].into(), 8)] {
        let lac = lab.minimal_lac(0)?;
        lac.send(lns, &Sccrq::new(tunnel_id).message().bytes())?;
        let (_, reply) = lac.receive(LIMIT)?.context("no reply")?;
        assert_eq!(reply, Refusal::DEFAULT.message(tunnel_id, 0).bytes());
    }
    responder.finish().map(drop)
}

fn it_names_another_program() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let program = PassProgram::attach(&lab.responder, Lab::INTERFACE)?;
    let (report, status) = asked(&lab, &[])?;
    let (state, typed) = finding(&report, "XDP program")?;
    assert_eq!((state.as_str(), status), ("problem", Some(1)));
    let typed = typed.context("nothing to type")?;
    ensure!(typed.contains("--replace"), "{typed}");
    drop(program);
    let (_, status) = asked(&lab, &[])?;
    assert_eq!(status, Some(0));
    Ok(())
}
