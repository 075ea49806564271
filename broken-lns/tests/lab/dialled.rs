//! A real LAC against every fault and every kind of garble: it does what the catalogue says.
//!
//! One LAC for each LNS, all of them at the same time, since xl2tpd takes half a minute to give up.

use std::{collections::BTreeMap, fmt::Write as _, fs, slice, time::Duration};

use anyhow::{Context as _, Result, ensure};
use broken_lns::scenario::{
    fault::FaultName,
    garble::GarbleKind,
    reaction::{LAC, Outcome, Reaction},
};
use libtest_mimic::Trial;
use xtask::{
    lab::{self, Capture, Event, Lab, Recording, Scratch, Target, Xl2tpd},
    process,
};

use crate::{
    responder::{Responder, text},
    trial,
    way::{PLAYED, Way},
};

/// How long a LAC waits for an answer, from its first SCCRQ on.
const PATIENCE: Duration = Duration::from_secs(31);

/// How late a LAC may be on a busy machine.
const SLACK: Duration = Duration::from_secs(3);

/// The UDP port of the first LAC; each of the others has the next one.
const FIRST_PORT: u16 = 3000;

pub(crate) fn trials() -> Vec<Trial> {
    // One way is enough, since other tests see that the answers are the same on all of them, and
    // a LAC takes its time.
    let trials = PLAYED.iter().take(1).map(|way| {
        let name = format!("a_real_lac_does_what_the_catalogue_says::{way}");
        trial(name, &["xl2tpd", "tcpdump", "tshark"], || {
            a_real_lac_does_what_the_catalogue_says(*way)
        })
    });
    trials.collect()
}

/// The keys of rules beside their addresses, each with what the catalogue says of the LAC.
fn rules() -> Vec<(String, Reaction)> {
    let mut rules = Vec::new();
    for fault in FaultName::ALL {
        let reactions = fault.reactions();
        match (fault, reactions) {
            (FaultName::Refuse, [closed, hung]) => {
                for (result, reaction) in [
                    (0, hung),
                    (1, closed),
                    (2, closed),
                    (3, closed),
                    (4, closed),
                    (5, closed),
                    (6, closed),
                    (7, closed),
                    (8, hung),
                    (65535, hung),
                ] {
                    let rule = format!("fault = \"refuse\"\nresult = {result}");
                    rules.push((rule, *reaction));
                }
            }
            // By its third octet, every address here has the result 2.
            (FaultName::CodeInAddress, [closed, _]) => {
                rules.push((format!("fault = \"{fault}\""), *closed));
            }
            (FaultName::Unreachable, [reaction]) => {
                for code in ["port", "host", "network", "admin-prohibited"] {
                    let rule = format!("fault = \"{fault}\"\ncode = \"{code}\"");
                    rules.push((rule, *reaction));
                }
            }
            (FaultName::Silent | FaultName::Acknowledge, [reaction]) => {
                rules.push((format!("fault = \"{fault}\""), *reaction));
            }
            // Of its faults the first attempt meets the first, and the LACs make no other.
            (FaultName::Cycle, []) => {
                let first = FaultName::Refuse.reactions()[0];
                let faults = "[{ fault = \"refuse\", result = 2 }, \"silent\"]";
                rules.push((format!("fault = \"cycle\"\nfaults = {faults}"), first));
            }
            (FaultName::Garble, []) => {
                for kind in GarbleKind::ALL {
                    let rule = format!("fault = \"garble\"\nkind = \"{kind}\"");
                    rules.push((rule, kind.entry().reaction));
                }
            }
            // What happens then is the business of a real LNS.
            (FaultName::Pass, []) => {}
            _ => panic!("the catalogue says of {fault} what nobody has tried: {reactions:?}"),
        }
    }
    rules
}

/// A LAC that dials, and the LNS that it is to meet.
struct Dialler {
    rule: String,
    expected: Reaction,
    target: Target,
    port: u16,
    xl2tpd: Xl2tpd,
}

/// What a LAC sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sent {
    sccrqs: usize,
    /// Acknowledgements of one message.
    zlbs: usize,
    stop_ccns: usize,
}

fn a_real_lac_does_what_the_catalogue_says(way: Way) -> Result<()> {
    let program = process::find("xl2tpd").context("it was there a moment ago")?;
    let lab = way.lab(Lab::routed()).build()?;
    let mut diallers = Vec::new();
    let mut scenario = "[default]\nfault = \"silent\"\n".to_owned();
    // Even addresses, since `wrong-source-address` answers from the odd one beside its own.
    for (index, (rule, expected)) in (1_u8..).zip(rules()) {
        let target = Target {
            name: "lns".to_owned(),
            lns: lab.lns(2 * index),
            redial: None,
        };
        write!(
            scenario,
            "\n[[lns]]\naddress = \"{}\"\n{rule}\n",
            target.lns
        )?;
        let port = FIRST_PORT + u16::from(index);
        let mut xl2tpd = Xl2tpd::start(&program, &lab.lac, port, slice::from_ref(&target))?;
        is_the_one_of_the_catalogue(&mut xl2tpd)?;
        diallers.push(Dialler {
            rule,
            expected,
            target,
            port,
            xl2tpd,
        });
    }
    let files = Scratch::new("dialled")?;
    let file = files.file("scenario.toml");
    fs::write(&file, scenario)?;
    let (peer, interface) = lab.peer();
    let capture = Capture::start(peer, interface)?;
    let flags = [&way.flags()[..], &["--scenario", text(&file)?]].concat();
    let responder = Responder::start(&lab, &flags)?;
    for dialler in &diallers {
        dialler.xl2tpd.dial(&dialler.target.name)?;
    }
    lab::pause(PATIENCE + SLACK)?;
    responder.finish()?;

    let sent = sent(&capture.stop()?)?;
    let mut complaints = Vec::new();
    for mut dialler in diallers {
        let sent = sent.get(&dialler.port).copied().unwrap_or_default();
        if let Err(complaint) = dialler.check(sent) {
            let Dialler { rule, expected, .. } = dialler;
            complaints.push(format!("{rule}\n{expected}: {complaint:#}"));
        }
    }
    ensure!(complaints.is_empty(), "{}", complaints.join("\n\n"));
    Ok(())
}

/// Fails where a LAC, which says its version first of all, is another than the catalogue speaks of.
fn is_the_one_of_the_catalogue(xl2tpd: &mut Xl2tpd) -> Result<()> {
    let version = format!("xl2tpd version {} ", LAC.replace(' ', "-"));
    let lines = xl2tpd.process().lines();
    ensure!(
        lines.iter().any(|line| line.text.contains(&version)),
        "the catalogue speaks of {LAC}; say there what this one does instead: {lines:#?}"
    );
    Ok(())
}

/// What each LAC sent, by its port.
fn sent(recording: &Recording) -> Result<BTreeMap<u16, Sent>> {
    let fields = ["udp.srcport", "l2tp.avp.message_type", "l2tp.Nr"];
    // An ICMP message from the box quotes what a LAC sent; that is not sent by it.
    let of_lacs = format!("eth.src == {} && l2tp", Lab::PEER_MAC);
    let mut sent: BTreeMap<u16, Sent> = BTreeMap::new();
    for row in recording.decode(&fields, &of_lacs)? {
        let [port, kind, nr] = row.as_slice() else {
            anyhow::bail!("not three columns: {row:?}");
        };
        let sent = sent.entry(port.parse()?).or_default();
        let count = match (kind.as_str(), nr.as_str()) {
            ("1", "0") => &mut sent.sccrqs,
            ("", "1") => &mut sent.zlbs,
            ("4", _) => &mut sent.stop_ccns,
            _ => anyhow::bail!("no LAC ought to send this: {row:?}"),
        };
        *count += 1;
    }
    Ok(sent)
}

impl Dialler {
    /// Compares what the LAC did with what is expected of it.
    fn check(&mut self, sent: Sent) -> Result<()> {
        let Reaction {
            acknowledges,
            outcome,
            log,
            ..
        } = self.expected;
        ensure!(self.xl2tpd.process().is_running(), "it crashed");
        let (sccrqs, stop_ccns) = match outcome {
            Outcome::Closed | Outcome::Hung => (1, 0..=0),
            // As often as anything that nobody acknowledges: at once, and after 1, 3, 7 and 15 s.
            Outcome::Cleared => (1, 5..=5),
            // It has only begun to send these.
            Outcome::TimedOut => (5, 1..=3),
        };
        let zlbs = if acknowledges { sccrqs } else { 0 };
        ensure!(
            (sent.sccrqs, sent.zlbs) == (sccrqs, zlbs) && stop_ccns.contains(&sent.stop_ccns),
            "it sent {sent:?} instead of {sccrqs}, {zlbs} and {stop_ccns:?}"
        );

        let lines = self.xl2tpd.process().lines();
        let says = |part: &str| lines.iter().any(|line| line.text.contains(part));
        ensure!(says(log), "its log does not say so: {lines:#?}");
        let lns = self.target.lns;
        let events = self.xl2tpd.events(0);
        let at = |wanted: &dyn Fn(&Event) -> bool| {
            let found = events.iter().find(|(_, event)| wanted(event));
            found.map(|(line, _)| line.at)
        };
        let closed = at(&|event| matches!(event, Event::Closed { .. }));
        let timed_out = at(&|event| *event == Event::TimedOut { lns });
        // It says so of what it ends itself, whether for an error or by its patience.
        let ended = says(&format!("Connection 0 closed to {lns}"));
        let (is_timed_out, is_ended) = match outcome {
            Outcome::Closed | Outcome::Hung => (false, false),
            Outcome::Cleared => (false, true),
            Outcome::TimedOut => (true, true),
        };
        ensure!(
            (closed.is_some(), timed_out.is_some(), ended)
                == (outcome == Outcome::Closed, is_timed_out, is_ended),
            "its connection ended otherwise: {lines:#?}"
        );
        if let Some(end) = timed_out {
            let begin = at(&|event| *event == Event::Connecting { lns }).context("not dialled")?;
            let waited = end.duration_since(begin)?;
            ensure!(
                waited >= PATIENCE - SLACK && waited <= PATIENCE + SLACK,
                "it gave up after {waited:?}"
            );
        }
        Ok(())
    }
}
